"""A start with a fault at every single operation it consists of, on one network and on three.

For every n: the n-th operation on kernel, files or store fails (before it is done, or after), or
the daemon is killed at it and started again. Afterwards nothing may be left without an owner: no
namespace, mount, link, address, rule or row; and the container must start, with its old addresses.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refimpl.daemon.daemon import Daemon
from refimpl.errors import EngineError
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.firewall import Firewall
from refimpl.oci.base import RuntimeFailure
from refimpl.oci.runtime import become_subreaper, find_runtime
from tests.faults import Moment
from tests.kernel import faulty_engine

pytestmark = [pytest.mark.root, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 60
FIRST_ADDRESSES = {
    "bridge": "172.17.0.2",
    "nether": "10.232.0.2",
    "outer": "10.232.1.2",
    "away": "10.232.2.2",
}
NOTHING: dict[str, Any] = {
    "sockets": [],
    "namespaces": [],
    "mounts": [],
    "endpoints": [],
    "sandboxes": [],
    "containers of the runtime": [],
    "bundles": [],
    "drafts": [],
}
CASES = pytest.mark.parametrize("case", faulty_engine.CASES)


def addresses(case: str) -> dict[str, str]:
    return {network: FIRST_ADDRESSES[network] for network in faulty_engine.CASES[case]}


def check_is_clean(left: dict[str, Any], case: str) -> None:
    """Make sure that what all others are compared with is nothing but the networks."""
    own = faulty_engine.USER_SUBNETS.keys() & set(faulty_engine.CASES[case])
    assert {key: left[key] for key in NOTHING} == NOTHING
    assert left["networks"] == sorted(["bridge", "host", "none", *own])
    assert [one for one in left["links"] if not one.startswith("br-")] == ["docker0", "lo"]
    assert len(left["links"]) == 2 + len(own)


def remove_bridges() -> None:
    """Remove every bridge of the test session's own namespace."""
    shown = subprocess.run(
        ["ip", "-j", "link", "show", "type", "bridge"],
        check=False,
        capture_output=True,
        timeout=RUN_S,
    )
    for bridge in json.loads(shown.stdout or "[]"):
        subprocess.run(["ip", "link", "delete", bridge["ifname"]], check=False, timeout=RUN_S)


@pytest.fixture(autouse=True)
def _needs_a_runtime(tmp_path: Path) -> None:
    try:
        find_runtime(str(tmp_path / "probe"), LinuxFiles().read_inside).close()
    except RuntimeFailure as failure:
        pytest.skip(f"no OCI runtime works here: {failure}")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Daemon, faulty_engine.Trap]]:
    become_subreaper()
    trap = faulty_engine.Trap()
    daemon = faulty_engine.compose(tmp_path, trap, with_runtime=False)
    yield daemon, trap
    trap.disarm()
    daemon.close()
    Firewall().remove()
    remove_bridges()
    daemon.services.kernel.close()


@pytest.mark.timeout(300)
@CASES
def test_failing_operation_leaves_nothing_and_the_container_starts(engine, capsys, case):
    daemon, trap = engine
    faulty_engine.create(daemon, case)
    assert faulty_engine.start_and_stop(daemon) == addresses(case)
    before = faulty_engine.left_behind(daemon)
    check_is_clean(before, case)

    trap.arm()
    daemon.container_start(faulty_engine.NAME)
    trap.disarm()
    operations = trap.seen
    faulty_engine.stop(daemon)
    assert any(name.startswith("kernel.create_sandbox") for name in operations), operations

    leaks = []
    refused = 0
    for number, name in enumerate(operations, 1):
        for moment in Moment:
            trap.arm(number, moment)
            try:
                daemon.container_start(faulty_engine.NAME)
            except (EngineError, OSError):
                refused += 1
            finally:
                trap.disarm()
            point = f"{moment.value} {number} {name}"
            state = daemon.container_inspect(faulty_engine.NAME)["State"]
            if state["Running"]:
                faulty_engine.stop(daemon)
            after = faulty_engine.left_behind(daemon)
            leaks += [
                f"{point}: {key}: {before[key]} -> {after[key]}"
                for key in before
                if after[key] != before[key]
            ]
            assert faulty_engine.start_and_stop(daemon) == addresses(case), point
    with capsys.disabled():
        print(
            f"\n{case}: failure points tried: {2 * len(operations)} "
            f"({len(operations)} operations), starts refused: {refused}, leaks found: {len(leaks)}"
        )
    assert not leaks, "\n".join(leaks)
    # the faults were real: most operations are needed
    assert refused > len(operations)


@pytest.mark.timeout(600)
@CASES
def test_crash_at_every_operation_is_cleaned_up_at_the_next_boot(tmp_path, capsys, case):
    def run(number: int, moment: Moment) -> tuple[int, list[Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "tests.kernel.faulty_engine", str(tmp_path), case,
             str(number), moment.value],
            cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False,
        )  # fmt: skip
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        assert reports, f"no report at {moment.value} {number}: {done.stderr}"
        return done.returncode, reports

    try:
        code, reports = run(0, Moment.BEFORE)
        assert code == 0, code
        first, operations = reports
        check_is_clean(first["left"], case)
        leaks = []
        previous = "at first"
        points = [(number, moment) for number in range(1, len(operations) + 1) for moment in Moment]
        for number, moment in [*points, (0, Moment.BEFORE)]:
            code, reports = run(number, moment)
            assert code == (-signal.SIGKILL if number else 0), f"{code} at {moment.value} {number}"
            report = reports[0]
            for when in ("left", "left after a start"):
                leaks += [
                    f"{previous}, {when}: {key}: {first['left'][key]} -> {report[when][key]}"
                    for key in first["left"]
                    if report[when][key] != first["left"][key]
                ]
            assert report["addresses"] == addresses(case), previous
            previous = f"killed {moment.value} {number} {operations[number - 1]}"
        with capsys.disabled():
            print(
                f"\n{case}: crash points tried: {len(points)} ({len(operations)} operations), "
                f"leaks found: {len(leaks)}"
            )
        assert not leaks, "\n".join(leaks)
    finally:
        remove_bridges()
