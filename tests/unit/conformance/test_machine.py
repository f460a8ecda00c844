"""A mount namespace is pinned on the first CPU on which the kernel takes it."""

import os

import pytest

from conformance.engines import machine
from conformance.engines.base import EngineError


@pytest.fixture
def tried(monkeypatch):
    """The CPUs on which the command was run; `answers` says by CPU with which words it fails."""

    def play(answers):
        cpus = []

        def run_tool(*words):
            cpu = int(words[words.index("--cpu-list") + 1])
            cpus.append(cpu)
            if answers[cpu]:
                raise EngineError(f"`unshare` failed with 1: {answers[cpu]}")

        monkeypatch.setattr(machine, "run_tool", run_tool)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(answers))
        return cpus

    return play


REFUSED = "unshare: mount /proc/7/ns/mnt on /x failed: Invalid argument"
NO_SPACE = "unshare: unshare failed: No space left on device"


@pytest.mark.parametrize(
    ("answers", "cpus"),
    [
        pytest.param({0: "", 1: ""}, [0], id="first"),
        pytest.param({0: REFUSED, 1: REFUSED, 5: "", 6: ""}, [0, 1, 5], id="third"),
        pytest.param({3: ""}, [3], id="only-one"),
    ],
)
def test_next_cpu_is_tried_where_the_kernel_refuses_the_id(tried, answers, cpus):
    used = tried(answers)
    machine._pin("unshare")
    assert used == cpus


@pytest.mark.parametrize(
    ("answers", "cpus", "words"),
    [
        pytest.param({0: NO_SPACE, 1: ""}, [0], "No space", id="another-failure"),
        pytest.param({0: REFUSED, 1: NO_SPACE, 2: ""}, [0, 1], "No space", id="then-another"),
        pytest.param({0: REFUSED, 1: REFUSED}, [0, 1], "Invalid argument", id="nowhere"),
    ],
)
def test_failure_is_final(tried, answers, cpus, words):
    used = tried(answers)
    with pytest.raises(EngineError, match=words):
        machine._pin("unshare")
    assert used == cpus
