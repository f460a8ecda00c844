"""Goal: what outlived a daemon is ended as its user wants it, and how it ended is known.

Method: processes of the test's own are written down as runc and crun write theirs, and ended.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from refimpl.oci.base import Ending
from refimpl.oci.survivors import end_survivors

FOR_EVER = 3600.0
LOOP = "echo ready; while :; do sleep 0.05; done"
Spawn = Callable[..., "subprocess.Popen[bytes]"]


def no_hurry() -> bool:
    return False


def write_state(root: Path, name: str, pid: int, start: int) -> None:
    (root / name).mkdir()
    state = {"init_process_pid": pid, "init_process_start": start}
    (root / name / "state.json").write_text(json.dumps(state))


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Start a script as the first process of a container: `spawn("one", "trap 'exit 7' TERM")`."""
    with ExitStack() as started:

        def start(
            name: str, traps: str = "", *, is_another: bool = False
        ) -> subprocess.Popen[bytes]:
            script = f"{traps}\n{LOOP}"
            process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
            started.callback(process.wait)
            started.callback(process.kill)
            assert process.stdout is not None
            started.callback(process.stdout.close)
            assert process.stdout.readline() == b"ready\n"
            stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            write_state(tmp_path, name, process.pid, int(stat[19]) + is_another)
            return process

        yield start


def test_who_listens_ends_by_itself_and_tells_its_code(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("one", "trap 'sleep 0.2; exit 7' USR1")
    endings = {"one": Ending(signal.SIGUSR1, FOR_EVER)}
    assert end_survivors(tmp_path, endings, no_hurry) == {"one": 7}
    assert process.wait() == 7


def test_who_ends_by_its_own_signal_has_that_code(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("one", "trap 'trap - TERM; kill -TERM $$' TERM")
    endings = {"one": Ending(signal.SIGTERM, FOR_EVER)}
    assert end_survivors(tmp_path, endings, no_hurry) == {"one": 128 + signal.SIGTERM}
    assert process.wait() == -signal.SIGTERM


def test_who_does_not_end_in_time_is_killed(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("one", "trap : TERM")
    endings = {"one": Ending(signal.SIGTERM, 0.2)}
    assert end_survivors(tmp_path, endings, no_hurry) == {}
    assert process.wait() == -signal.SIGKILL


def test_who_does_not_listen_gets_no_time(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("one", "trap '' TERM")
    endings = {"one": Ending(signal.SIGTERM, FOR_EVER)}
    assert end_survivors(tmp_path, endings, no_hurry) == {}
    assert process.wait() == -signal.SIGKILL


def test_one_that_stays_takes_no_time_from_the_others(spawn: Spawn, tmp_path: Path) -> None:
    stubborn, patient = spawn("one", "trap : TERM"), spawn("two", "trap 'sleep 0.5; exit 3' TERM")
    endings = {"one": Ending(signal.SIGTERM, 0.1), "two": Ending(signal.SIGTERM, FOR_EVER)}
    assert end_survivors(tmp_path, endings, no_hurry) == {"two": 3}
    assert (stubborn.wait(), patient.wait()) == (-signal.SIGKILL, 3)


def test_a_daemon_that_is_to_end_waits_for_nobody(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("one", "trap : TERM")
    endings = {"one": Ending(signal.SIGTERM, FOR_EVER)}
    assert end_survivors(tmp_path, endings, lambda: True) == {}
    assert process.wait() == -signal.SIGKILL


def test_another_process_of_that_number_is_left_alone(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn("one", is_another=True)
    assert end_survivors(tmp_path, {"one": Ending(signal.SIGKILL, 0.0)}, no_hurry) == {}
    assert process.poll() is None


@pytest.mark.parametrize("state", [None, "", "[]", '{"init_process_pid": "x"}', '{"init": 1}'])
def test_a_state_that_names_no_process_ends_none(tmp_path: Path, state: str | None) -> None:
    (tmp_path / "one").mkdir()
    if state is not None:
        (tmp_path / "one" / "state.json").write_text(state)
    assert end_survivors(tmp_path, {"one": Ending(signal.SIGKILL, 0.0)}, no_hurry) == {}
