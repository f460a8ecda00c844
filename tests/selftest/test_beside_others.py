"""A run is green beside a second run and an owner who is at work on the same engine.

`NETINIT_OWNER_RUNS=20` makes so many runs, an even number, two at a time, every one of a fifth of
all rows, so that every row runs four times. Without it there are two short ones.
"""

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.registry import load_catalogue
from conformance.verdicts import Verdict
from tests.selftest.foreign import Theirs, environment, running_dockerd, what_is_missing
from tests.selftest.owner import Owner

pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]

RUNS = int(os.environ.get("NETINIT_OWNER_RUNS", "0"))
PARTS = 5
# Rows that look at the engine's machine, its events and its lists.
SHORT = [
    "connect.live",
    "disconnect.live",
    "events",
    "life.end",
    "network.list",
    "sandbox.pair",
    "reach.peer",
]


def rows_of(number: int) -> list[str]:
    """Give the rows of a run: a fifth of all, or a few where nothing is asked for."""
    rows = [row.id for row in load_catalogue()]
    return [row for row in rows if zlib.crc32(row.encode()) % PARTS == number % PARTS]


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    """A dockerd of each test's own: what one run left would be seen by the next."""
    with running_dockerd() as engine:
        engine.fill()
        yield engine


def start(theirs: Theirs, report: Path, number: int) -> subprocess.Popen[str]:
    words = ["run", "-q", "--engine", theirs.address, "--report", str(report)]
    return subprocess.Popen(
        [sys.executable, "-m", "conformance", *words, *(rows_of(number) if RUNS else SHORT)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )


def reds(process: subprocess.Popen[str], report: Path) -> list[Any]:
    """Wait for a run; give what was red in it, and the run itself if it came to no verdict."""
    output = process.communicate()[0]
    results = json.loads((report / "conformance.json").read_text())["results"]
    found = [result for result in results if Verdict(result["verdict"]).is_red]
    return found or ([] if process.returncode == 0 else [output])


@pytest.mark.parametrize("number", range(0, RUNS or 2, 2))
def test_two_runs_are_green_beside_each_other_and_an_owner_at_work(theirs, tmp_path, number):
    places = {one: tmp_path / str(one) for one in (number, number + 1)}
    with Owner(theirs) as owner:
        both = [(start(theirs, place, one), place) for one, place in places.items()]
        found = [reds(process, place) for process, place in both]
    print(*theirs.panics(), sep="\n")
    assert (found, owner.complaints) == ([[], []], [])
    assert theirs.subnets_that_stay_taken() == []
    assert owner.rounds > 0
