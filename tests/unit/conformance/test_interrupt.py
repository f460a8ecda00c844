"""What Ctrl-C does to a run: it comes when it can be taken, and makes no row red."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conformance import fixtures, plugin, runner
from conformance.leaks import LeakFound
from conformance.registry import Behaviour
from conformance.rowrun import ROW, RowRun

SIGINT = {signal.SIGINT}


@pytest.fixture
def row() -> Any:
    stash = pytest.Stash()
    stash[ROW] = RowRun(behaviour=Behaviour(id="a.b", statement="It MUST.", source="x"), spec="x")
    return SimpleNamespace(stash=stash)


def is_held() -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), pytest.exit.Exception("enough")])
def test_row_that_is_interrupted_is_known_as_such(row, error):
    protocol = plugin.pytest_runtest_protocol(cast("pytest.Item", row))
    next(protocol)
    assert not row.stash[ROW].is_interrupted
    with pytest.raises(type(error)):
        protocol.throw(error)
    assert row.stash[ROW].is_interrupted


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_interrupted_row_is_cleaned_up_and_not_asked_what_it_left(monkeypatch, row, is_interrupted):
    def find(*_: object) -> None:
        raise LeakFound(["container x"], [], [])

    started = SimpleNamespace(
        engine=SimpleNamespace(is_managed=True), subnets=None, state=object(), leaked=[]
    )
    cleaned: list[bool] = []
    bench = SimpleNamespace(clean_up=lambda: cleaned.append(True))
    monkeypatch.setattr(fixtures, "prepare_row", lambda _node: started)
    monkeypatch.setattr(fixtures, "Workbench", lambda *_, **__: bench)
    monkeypatch.setattr(fixtures, "check_nothing_left", find)
    config = SimpleNamespace(option=SimpleNamespace(netinit_run_id="r"))
    fixture = cast("Any", fixtures.workbench).__wrapped__
    made = fixture(SimpleNamespace(node=row, config=config), "x")
    next(made)
    row.stash[ROW].is_interrupted = is_interrupted
    with pytest.raises(StopIteration if is_interrupted else LeakFound):
        next(made)
    assert cleaned == [True]


def test_interrupt_waits_until_pytest_is_up(tmp_path, monkeypatch):
    script = (
        "import os, pathlib, signal, sys\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "pathlib.Path(sys.argv[1]).write_text('came this far')\n"
    )
    came = tmp_path / "came"
    command = [sys.executable, "-c", script, str(came)]
    monkeypatch.setattr(runner, "pytest_command", lambda *_: command)
    monkeypatch.setattr(runner, "sweep", lambda *_, **__: [])
    runner.run_rows(runner.RunRequest(rows=["a"], engines=["x"], report=Path(tmp_path)))
    assert came.exists()
    assert not is_held()


def test_interrupt_comes_once_the_session_can_be_ended():
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGINT)
    try:
        plugin.pytest_collection(cast("pytest.Session", None))
        assert not is_held()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGINT)
