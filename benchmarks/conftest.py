"""Lets `pytest benchmarks/ --engine reference --benchmark-autosave` work; for pytest only.

pytest reads this file when it is called with this folder or something in it, and never else.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import conformance
from benchmarks.cases import REFERENCE
from benchmarks.measure import EngineInfo, start_engine
from benchmarks.starts import Starts
from conformance.engines.base import EngineError
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT
from conformance.engines.settings import SettingsError
from conformance.image import ImageError
from conformance.runner import why_unavailable

DEFAULT_ROUNDS = 20
SUITE = "conformance.plugin"
SUITE_CONFTEST = Path(conformance.__file__).with_name("conftest.py")
NOT_WITH_SUITE = "the suite and the benchmarks need a pytest each: call it twice"
LAST_MODULE = "test_allocate.py"
"""It moves the whole process into other namespaces, in which no engine could be started."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options.

    Raises:
        pytest.UsageError: the suite is called as well.
    """
    if pluginmanager.has_plugin(SUITE):
        raise pytest.UsageError(NOT_WITH_SUITE)
    # it would fail at its own --engine; `pytest_configure` says it in a sentence
    pluginmanager.set_blocked(SUITE)
    group = parser.getgroup("netinit benchmarks")
    group.addoption(
        "--engine",
        dest="netinit_engine",
        action="append",
        default=[],
        metavar="ENGINE",
        help="engine to measure: a name of conformance/engines.toml, an address such as "
        "unix:///path; may be given more than once (default: reference)",
    )
    group.addoption(
        "--rounds",
        type=int,
        default=DEFAULT_ROUNDS,
        metavar="N",
        help=f"starts of each container (default: {DEFAULT_ROUNDS}); in process five times as many",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse, before anything starts, what makes no sense: the suite, rounds, an engine.

    Raises:
        pytest.UsageError: there is one.
    """
    if config.pluginmanager.has_plugin(str(SUITE_CONFTEST)):
        raise pytest.UsageError(NOT_WITH_SUITE)
    if config.getoption("--rounds") < 1:
        raise pytest.UsageError("--rounds: at least 1")
    for spec in _engines(config):
        try:
            why_unavailable(spec)
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None


def _engines(config: pytest.Config) -> list[str]:
    """Return the engines to measure, each once."""
    return list(dict.fromkeys(config.getoption("netinit_engine"))) or [REFERENCE]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a benchmark of each engine."""
    if "engine_name" in metafunc.fixturenames:
        metafunc.parametrize("engine_name", _engines(metafunc.config), scope="module")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what runs in process behind everything else, in whatever order the rest is."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path == here / LAST_MODULE)


@pytest.fixture(scope="session")
def start_rounds(pytestconfig: pytest.Config) -> int:
    """How often a container is started through the API."""
    return int(pytestconfig.getoption("--rounds"))


@pytest.fixture(scope="module")
def engine(engine_name: str) -> Iterator[tuple[EngineInfo, Starts]]:
    """An engine with its containers; it is stopped when the module is done with it."""
    if reason := why_unavailable(engine_name):
        # without root nothing is wrong with the engine; else what was asked for is missing
        if os.geteuid() != 0:
            pytest.skip(reason)
        pytest.fail(reason, pytrace=False)
    run_id = f"{random.SystemRandom().getrandbits(24):06x}"
    with ExitStack() as cleanup:
        folder = tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}bench-", dir=WORKSPACE_ROOT)
        workspace = Path(cleanup.enter_context(folder))
        try:
            started = start_engine(engine_name, run_id, workspace, cleanup)
        except (EngineError, ImageError) as error:
            pytest.fail(str(error), pytrace=False)
        yield started


@pytest.fixture
def engine_label(engine: tuple[EngineInfo, Starts]) -> str:
    """The engine and its release, for what is kept."""
    return engine[0].label


@pytest.fixture
def starts(engine: tuple[EngineInfo, Starts]) -> Iterator[Starts]:
    """The engine's containers; none of them runs, and none runs on."""
    yield engine[1]
    engine[1].stop_all()
