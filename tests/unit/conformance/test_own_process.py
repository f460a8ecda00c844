"""Whether a container that is said to run has a process of its own, and when that is known."""

import os
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.observe import own_process
from conformance.observe.own_process import expect_own_process
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
