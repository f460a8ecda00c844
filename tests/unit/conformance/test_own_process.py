"""Whether a container that is said to run has a process of its own, and when that is known."""

import os
import signal
import subprocess
import time
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.observe import own_process
from conformance.observe.own_process import expect_own_process, wait_for_handler
from conformance.violation import BehaviourViolated


class SlowToTell:
    """An engine that says for so many looks that a container runs, and then that it ended."""

    def __init__(self, pid: int, looks: int) -> None:
        self.pid, self.looks, self.api = pid, looks, self

    def client(self) -> Any:
        return self

    def inside(self) -> Any:
        return SimpleNamespace(pid=os.getpid())

    def inspect_container(self, _id: str) -> Any:
        self.looks -= 1
        is_up = self.looks >= 0
        return {"State": {"Running": is_up, "Pid": self.pid if is_up else 0}}


def document(pid: int) -> Any:
    return {"Id": "c1", "State": {"Running": True, "Pid": pid}}


@pytest.fixture
def ended() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_an_engine_may_tell_of_an_end_later(ended):
    engine: Any = SlowToTell(ended, looks=3)
    expect_own_process(engine, document(ended))
    assert engine.looks < 0


def test_a_process_that_is_never_there_is_a_violation(ended, monkeypatch):
    monkeypatch.setattr(own_process, "PROCESS_END_TOLD_WITHIN_S", 0.2)
    engine: Any = SlowToTell(ended, looks=1000)
    with pytest.raises(BehaviourViolated, match="the container's process"):
        expect_own_process(engine, document(ended))


@pytest.mark.parametrize("pid", [0, os.getpid()])
def test_a_process_beside_the_engine_is_a_violation_at_once(pid):
    engine: Any = SlowToTell(pid, looks=1000)
    with pytest.raises(BehaviourViolated, match="the container's process"):
        expect_own_process(engine, document(pid))
    assert engine.looks == 999


def handler_of(command: list[str], monkeypatch: pytest.MonkeyPatch) -> float:
    """Give how long the handler of a process was waited for, in seconds."""
    monkeypatch.setattr(own_process, "HANDLER_WAIT_S", 30)
    engine: Any = SlowToTell(1, looks=0)
    began = time.monotonic()
    with subprocess.Popen(command) as process:
        wait_for_handler(engine, document(process.pid), signal.SIGTERM)
        took = time.monotonic() - began
        process.terminate()
        assert process.wait() == 7
    return took


def test_a_handler_that_comes_late_is_waited_for(monkeypatch):
    script = "sleep 0.3; trap 'exit 7' TERM; while :; do sleep 0.1; done"
    assert handler_of(["sh", "-c", script], monkeypatch) >= 0.25


def test_a_process_that_is_gone_gets_no_handler(ended):
    engine: Any = SlowToTell(1, looks=0)
    wait_for_handler(engine, document(ended), signal.SIGTERM)
