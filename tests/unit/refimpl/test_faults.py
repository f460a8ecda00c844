"""Goal: the fault wrappers strike where they are told to, once, and count everything in one row.

Method: wrapped in-memory objects; the crash in a child process, seen by its signal.
"""

import errno
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults import FailingAt, InjectedFault, Moment, Recorder


class Counter:
    kind = "counter"

    def __init__(self) -> None:
        self.value = 0
        self.is_closed = False

    @property
    def doubled(self) -> int:
        return self.value * 2

    def add(self, amount: int, *, times: int = 1) -> int:
        self.value += amount * times
        return self.value

    def close(self) -> None:
        self.is_closed = True


class Opener:
    def __init__(self) -> None:
        self.opened: tuple[socket.socket, ...] = ()

    def open(self) -> tuple[socket.socket, ...]:
        self.opened = tuple(socket.socketpair())
        return self.opened


def test_recorder_passes_calls_results_and_properties_on() -> None:
    counter = Counter()
    wrapped = Recorder().wrap(counter, "counter")
    assert wrapped.add(2, times=3) == 6
    assert wrapped.doubled == 12
    assert wrapped.kind == "counter"
    with pytest.raises(AttributeError, match="missing"):
        wrapped.missing  # type: ignore[attr-defined]  # noqa: B018


def test_operations_of_several_objects_are_numbered_in_one_row() -> None:
    recorder = Recorder()
    first, second = recorder.wrap(Counter(), "first"), recorder.wrap(Counter(), "second")
    first.add(1)
    second.add(1)
    first.add(1)
    assert recorder.names == ("first.add", "second.add", "first.add")


def test_uncounted_methods_are_done_and_not_counted() -> None:
    recorder = Recorder()
    counter = Counter()
    recorder.wrap(counter, "counter").close()
    recorder.wrap(counter, "counter", uncounted=("add",)).add(1)
    assert (counter.is_closed, counter.value, recorder.names) == (True, 1, ())


@pytest.mark.parametrize(
    ("moment", "value_when_it_failed"), [(Moment.BEFORE, 1), (Moment.AFTER, 2)]
)
def test_failing_at_fails_only_the_chosen_operation(moment: Moment, value_when_it_failed: int):
    counter = Counter()
    faults = FailingAt(2, moment)
    wrapped = faults.wrap(counter, "counter")
    wrapped.add(1)
    with pytest.raises(InjectedFault, match=rf"{moment.value} operation 2: counter\.add") as caught:
        wrapped.add(1)
    assert caught.value.errno == errno.EIO
    assert counter.value == value_when_it_failed
    wrapped.add(1)
    assert counter.value == value_when_it_failed + 1
    assert len(faults.names) == 3


def test_an_operation_that_fails_by_itself_keeps_its_own_error() -> None:
    wrapped = FailingAt(1, Moment.AFTER).wrap(Counter(), "counter")
    unfit: Any = None
    with pytest.raises(TypeError):
        wrapped.add(unfit)


def test_sockets_of_an_operation_that_fails_afterwards_are_closed() -> None:
    opener = Opener()
    with pytest.raises(InjectedFault):
        FailingAt(1, Moment.AFTER).wrap(opener, "opener").open()
    assert [one.fileno() for one in opener.opened] == [-1, -1]


CRASHING = """
import os, sys
from tests.faults import CrashingAt, Moment

class Writer:
    def write(self):
        os.write(1, b".")

writer = CrashingAt(2, Moment(sys.argv[1])).wrap(Writer(), "writer")
for _ in range(3):
    writer.write()
"""


@pytest.mark.parametrize(("moment", "output"), [(Moment.BEFORE, b"."), (Moment.AFTER, b"..")])
def test_crashing_at_kills_its_process_at_the_chosen_operation(moment, output) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CRASHING, moment.value],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (result.returncode, result.stdout, result.stderr) == (-signal.SIGKILL, output, b"")
