"""Measures revisions against the anchor, for one line of the history each."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import counts
from benchmarks.gate import interleave
from benchmarks.gate.cases import CASES
from benchmarks.gate.interleave import Found, Side
from benchmarks.gate.revisions import Commit, Revision, RevisionError, check_out
from benchmarks.gate.rule import Judgement, judge
from benchmarks.history.lines import CPU, WALL, Cases, Line, Ratio, append_line, read_lines
from benchmarks.machine import CpuTimes, describe_machine
from benchmarks.worker import WorkerError

ANCHOR, CONTROL, HEAD = "anchor", "control", "head"
SIDES = (ANCHOR, CONTROL, HEAD)
MEASURED_CASES = tuple(case for case in CASES if case.way == "in-process")
ATTEMPTS = 2
"""A worker that failed is given another chance before its revision counts as unmeasurable."""

Say = Callable[[str], None]
Take = Callable[[Commit, str], "Taken"]
"""Measures a commit against an anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The samples of one measurement, and what belongs to them."""

    found: Found
    counts: dict[str, Any] | None
    machine: dict[str, Any]


def take(commit: Commit, anchor: str, *, pairs: int, counted: bool, workspace: Path) -> Taken:
    """Measure a commit and the anchor twice (the second is the control), interleaved.

    Raises:
        RevisionError: git does not have them.
        WorkerError: one of them could not be measured.
    """
    with tempfile.TemporaryDirectory(dir=workspace) as folder:
        head = check_out(commit.id, Path(folder, HEAD))
        packages = check_out(anchor, Path(folder, ANCHOR)).packages
        sides = [
            Side(name=name, packages=head.packages if name == HEAD else packages) for name in SIDES
        ]
        rng = random.SystemRandom()
        machine, before = describe_machine(), CpuTimes.now()
        found = interleave.measure(
            sides, MEASURED_CASES, pairs=pairs, rng=rng, workspace=Path(folder)
        )
        steal = round(CpuTimes.now().steal_share_since(before), 4)
        exact = _count(head) if counted else None
    return Taken(found=found, counts=exact, machine={**machine, "steal_share": steal})


def _count(revision: Revision) -> dict[str, Any] | None:
    """Return the exact counts, or None where they cannot be had: the figures do not need them."""
    try:
        return counts.count_allocates(revision.packages)
    except (counts.CountError, OSError):
        return None


def add_lines(
    commits: Sequence[Commit],
    anchor: str,
    *,
    history: Path,
    again: bool,
    measure: Take,
    say: Say,
) -> list[Line]:
    """Measure commits in this order, and write each line down as soon as it is there.

    What has a line against this anchor is passed over, so that a run can be gone on with. A commit
    that cannot be measured has a line with the reason.

    Args:
        commits: which.
        anchor: the full id of the anchor's commit.
        history: the file.
        again: also those that have a line.
        measure: how.
        say: told what happens.

    Returns:
        The new lines.
    """
    known = {line.revision for line in read_lines(history) if line.anchor == anchor}
    added = []
    for number, commit in enumerate(commits, start=1):
        what = f"{number}/{len(commits)} {commit.id[:12]} {commit.subject}"
        if commit.id in known and not again:
            say(f"{what}: has a line already")
            continue
        line = _measure_line(commit, anchor, measure)
        append_line(history, line)
        say(f"{what}: {line.failure or describe(line)}")
        added.append(line)
    return added


def describe(line: Line) -> str:
    """Return a line's ratios in words."""
    return "; ".join(
        f"{case} CPU x{figures[CPU].value:.3f}, p10 x{figures[WALL].value:.3f}"
        for case, figures in line.cases.items()
    )


def _measure_line(commit: Commit, anchor: str, measure: Take) -> Line:
    failure = ""
    for _ in range(ATTEMPTS):
        measured = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            taken = measure(commit, anchor)
        except (WorkerError, RevisionError) as error:
            failure = str(error)
            continue
        judged = {
            name: {
                case.id: judge(taken.found[case, ANCHOR], taken.found[case, name])
                for case in MEASURED_CASES
            }
            for name in (HEAD, CONTROL)
        }
        return Line(
            revision=commit.id,
            time=commit.time,
            subject=commit.subject,
            anchor=anchor,
            measured=measured,
            pairs=min(each.pairs for each in judged[HEAD].values()),
            cases=_ratios(judged[HEAD]),
            control=_ratios(judged[CONTROL]),
            counts=taken.counts,
            machine=taken.machine,
        )
    return Line(
        revision=commit.id,
        time=commit.time,
        subject=commit.subject,
        anchor=anchor,
        measured=measured,
        cases={},
        control={},
        machine=describe_machine(),
        failure=failure,
    )


def _ratios(judged: dict[str, Judgement]) -> Cases:
    return {
        case: {
            figure: Ratio(estimate.value, estimate.low, estimate.high)
            for figure, estimate in ((CPU, each.cpu), (WALL, each.wall))
        }
        for case, each in judged.items()
    }
