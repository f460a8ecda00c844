"""`pytest benchmarks/`: what is collected, in which order, and what is said when it cannot be."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import conftest, test_allocate
from conformance.engines.base import EngineError

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"


def call_pytest(*arguments):
    """Run a pytest that measures nothing."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def asked(*engines, rounds=1):
    options = {"netinit_engine": list(engines), "--rounds": rounds}
    alone = SimpleNamespace(has_plugin=lambda _name: False)
    return SimpleNamespace(getoption=options.__getitem__, pluginmanager=alone)


@pytest.mark.slow
def test_a_folder_is_collected_for_every_engine_and_what_moves_the_process_is_last():
    files = [str(BENCHMARKS / "test_allocate.py"), str(BENCHMARKS / "test_start.py")]
    engines = ["--engine", "reference", "--engine", "docker-20.10"]
    done = call_pytest(*files, *engines, "--collect-only", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    names = [line.rpartition("/")[2] for line in done.stdout.splitlines() if "::" in line]
    assert "test_start.py::test_start[reference-ports]" in names
    assert "test_start.py::test_start[docker-20.10-none]" in names
    assert [name.startswith("test_allocate.py") for name in names] == sorted(
        name.startswith("test_allocate.py") for name in names
    )
    assert names[-1].startswith("test_allocate.py")


@pytest.mark.slow
def test_file_that_replays_a_run_says_what_measures():
    done = call_pytest(str(BENCHMARKS / "allocate.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "`pytest benchmarks/ --benchmark-only`" in " ".join(done.stdout.split())
    assert "1 skipped" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("is_first", [True, False])
def test_suite_and_benchmarks_in_one_call_are_refused_in_a_sentence(is_first):
    places = [str(BENCHMARKS), str(ROOT / "conformance" / "behaviours" / "test_files.py")]
    done = call_pytest(*(places if is_first else places[::-1]), "--collect-only")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: the suite and the benchmarks need a pytest each" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (asked("nonsense"), "no engine is called 'nonsense'"),
        (asked("reference", rounds=0), "--rounds: at least 1"),
    ],
    ids=["engine", "rounds"],
)
def test_what_makes_no_sense_ends_before_anything_starts(options, said):
    with pytest.raises(pytest.UsageError, match=said):
        conftest.pytest_configure(options)


def test_engine_given_twice_is_measured_once_and_none_given_is_the_reference():
    assert conftest._engines(asked("docker", "docker")) == ["docker"]
    assert conftest._engines(asked()) == ["reference"]


def begin(fixture, *arguments):
    """Begin a fixture as pytest does."""
    return next(fixture.__wrapped__(*arguments))


@pytest.mark.parametrize(
    ("user", "outcome"),
    [(0, pytest.fail.Exception), (1000, pytest.skip.Exception)],
    ids=["root", "not-root"],
)
def test_engine_that_is_missing_is_an_error_and_without_root_a_skip(monkeypatch, user, outcome):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(conftest, "why_unavailable", lambda _spec: "docker: no dockerd")
    with pytest.raises(outcome, match="docker: no dockerd"):
        begin(conftest.engine, "docker")


def test_engine_that_does_not_come_up_is_a_sentence(monkeypatch):
    def fail(*_arguments):
        raise EngineError("docker did not come up")

    monkeypatch.setattr(conftest, "why_unavailable", lambda _spec: "")
    monkeypatch.setattr(conftest, "start_engine", fail)
    with pytest.raises(pytest.fail.Exception, match="docker did not come up") as found:
        begin(conftest.engine, "docker")
    assert not found.value.pytrace


@pytest.mark.parametrize(
    ("engines", "said"),
    [(["reference"], "run it as root"), (["docker"], "only the reference allocates in process")],
    ids=["not-root", "no-reference"],
)
def test_in_process_is_skipped_with_what_is_missing(monkeypatch, engines, said):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match=said):
        begin(test_allocate.booted, None, asked(*engines))
