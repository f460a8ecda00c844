"""Trials of the gate's own rule: does it see a slowdown that is there, and none that is not?

A trial is what a job of the gate measures, with four sides in one interleaved run: a revision, the
same again, the same with CPU time planted in every allocate, and the same with a wait planted. So
every trial is one look at unchanged code and one at each slowdown, by the very rule of the job.

One JSON line per trial; a file that has lines already is gone on with.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.gate import interleave
from benchmarks.gate.cases import CASES, Case
from benchmarks.gate.interleave import Side
from benchmarks.gate.job import CONTROL_WAY, PAIRS
from benchmarks.gate.plant import Plant
from benchmarks.gate.rates import Rate
from benchmarks.gate.revisions import Revision
from benchmarks.gate.rule import Samples, judge

BASE, SAME, MORE_CPU, MORE_WAIT = "base", "same", "cpu", "wait"
JUDGED = (SAME, MORE_CPU, MORE_WAIT)
REVERSE, EXACT_WAIT = "reverse", "exact-wait"
TRIED = tuple(case for case in CASES if case.way == CONTROL_WAY)
"""The cases in which a slowdown can be planted."""
PLANTED_SHARE = 0.10
CALIBRATION_PAIRS = 60

Say = Callable[[str], None]


class TrialsError(Exception):
    """A file of trials cannot be used."""


def run_trials(
    revision: Revision,
    *,
    trials: int,
    out: Path,
    samples_out: Path | None,
    workspace: Path,
    say: Say,
) -> None:
    """Add trials to a file until it has as many as asked for.

    Args:
        revision: what is measured.
        trials: how many lines the file is to have in the end.
        out: the file.
        samples_out: where every sample goes, in microseconds, to try another rule on them.
        workspace: an existing folder.
        say: told about every trial.

    Raises:
        TrialsError: the file cannot be read, or has trials of another revision.
        WorkerError: the revision could not be measured.
    """
    done = count_trials(out, revision.commit)
    if done >= trials:
        return
    rng = random.SystemRandom()

    def measure(sides: Sequence[Side], pairs: int) -> interleave.Found:
        return interleave.measure(sides, TRIED, pairs=pairs, rng=rng, workspace=workspace)

    found = measure([Side(name=BASE, packages=revision.packages)], CALIBRATION_PAIRS)
    for number in range(done, trials):
        started = time.monotonic()
        # the trial before says how much a tenth is at present
        planted_s = (
            PLANTED_SHARE * statistics.median(found[TRIED[0], BASE].cpu),
            PLANTED_SHARE * percentile_10(found[TRIED[0], BASE].wall),
        )
        found = measure(make_sides(revision.packages, planted_s), PAIRS)
        trial: dict[str, Any] = {
            "revision": revision.commit,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - started, 1),
            "load_average": round(os.getloadavg()[0], 2),
            "cases": {case.id: judge_case(found, case, planted_s) for case in TRIED},
        }
        _append(out, trial)
        if samples_out is not None:
            _append(samples_out, _microseconds(found))
        reds = [
            f"{case} {name}"
            for case, judged in trial["cases"].items()
            for name in JUDGED
            if judged[name]["reasons"]
        ]
        red = ", ".join(reds) or "none"
        say(f"{number + 1}/{trials}, load {trial['load_average']}: red: {red}")


def count_trials(out: Path, revision: str) -> int:
    """Return how many trials of a revision a file has.

    Raises:
        TrialsError: the file cannot be read, or has trials of another revision: rates of both
            together would say nothing of either.
    """
    done = read_trials(out)
    others = sorted({trial["revision"] for trial in done} - {revision})
    if others:
        raise TrialsError(f"{out} has trials of {', '.join(others)}, these are of {revision}")
    return len(done)


def make_sides(packages: Path, planted_s: tuple[float, float]) -> list[Side]:
    """Return the four sides of a trial; `planted_s` is the CPU time and the wait."""
    plants = {MORE_CPU: Plant(cpu_s=planted_s[0]), MORE_WAIT: Plant(wait_s=planted_s[1])}
    return [
        Side(name=name, packages=packages, plant=plants.get(name, Plant()))
        for name in (BASE, *JUDGED)
    ]


def percentile_10(samples: Sequence[float]) -> float:
    """Return the 10th percentile."""
    return statistics.quantiles(samples, n=10, method="inclusive")[0]


def judge_case(
    found: interleave.Found, case: Case, planted_s: tuple[float, float]
) -> dict[str, Any]:
    """Judge the three sides of one case against its base, and say how much was really planted."""
    base = found[case, BASE]

    def judged(one: Samples, other: Samples) -> dict[str, Any]:
        return asdict(judge(one, other, cases=len(CASES), seed=0))

    tenth_s = PLANTED_SHARE * percentile_10(base.wall)
    same = found[case, SAME]
    exact = Samples(
        cpu=same.cpu,
        wall=[wall + tenth_s for wall in same.wall],
        idle=[idle + tenth_s for idle in same.idle],
    )
    return {name: judged(base, found[case, name]) for name in JUDGED} | {
        # a real wait ends in a queue for the processor, which only adds to it
        EXACT_WAIT: judged(base, exact),
        # unchanged code from the other side: is base slower than the same again?
        REVERSE: judged(found[case, SAME], base),
        "planted_cpu_share": round(planted_s[0] / statistics.median(base.cpu), 4),
        "planted_wait_share": round(planted_s[1] / percentile_10(base.wall), 4),
        "cpu_ms": round(1e3 * statistics.median(base.cpu), 4),
        "wall_p10_ms": round(1e3 * percentile_10(base.wall), 4),
    }


def read_trials(path: Path) -> list[dict[str, Any]]:
    """Return the trials of a file, none when it is not there.

    Raises:
        TrialsError: it cannot be read, or a line of it is no trial.
    """
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise TrialsError(str(error)) from error
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            trial = json.loads(line)
        except ValueError as error:
            raise TrialsError(f"{path}, line {number}: {error}") from error
        if not isinstance(trial, dict) or not isinstance(trial.get("revision"), str):
            raise TrialsError(f"{path}, line {number}: not a trial")
        found.append(trial)
    return found


def sum_up(path: Path) -> str:
    """Return what the trials of a file say, as text.

    Raises:
        TrialsError: there is none, or the file has something else.
    """
    trials = read_trials(path)
    if not trials:
        raise TrialsError(f"{path}: there is no trial")
    try:
        return summarise(trials)
    except (KeyError, TypeError, ValueError) as error:
        raise TrialsError(f"{path}: not the trials of this version: {error!r}") from error


def summarise(trials: Sequence[Mapping[str, Any]]) -> str:
    """Return the rates of every case with their intervals, as text; there is a trial at least."""
    loads = sorted(trial["load_average"] for trial in trials)
    seconds = statistics.median(trial["seconds"] for trial in trials)
    revisions = sorted({trial["revision"] for trial in trials})
    lines = [
        f"of {', '.join(revisions)}",
        f"{len(trials)} trials of {seconds:.0f} s, load average {loads[0]:.1f} to {loads[-1]:.1f}, "
        f"median {statistics.median(loads):.1f}",
    ]
    titles = {
        SAME: "unchanged code, red",
        REVERSE: "unchanged code from the other side, red",
        MORE_CPU: "+10 % CPU time, red",
        MORE_WAIT: "+10 % pure wait, slept, red",
        EXACT_WAIT: "+10 % pure wait, added to the samples of unchanged code, red",
    }
    for case in trials[0]["cases"]:
        judged = [trial["cases"][case] for trial in trials]
        lines.append(case)
        for name, title in titles.items():
            hits = sum(bool(one[name]["reasons"]) for one in judged)
            lines.append(f"  {title}: {Rate.of(hits, len(judged))}")
        figures = ((MORE_CPU, "cpu"), (MORE_WAIT, "wall"), (EXACT_WAIT, "wall"))
        for name, figure in (*figures, (SAME, "cpu"), (SAME, "wall")):
            ratios = [one[name][figure]["value"] for one in judged]
            lines.append(f"  ratio of {figure}, side {name}: {_spread(ratios)}")
        for name in (SAME, MORE_WAIT):
            shares = [one[name]["idle"]["value"] for one in judged if one[name]["idle"]]
            if shares:
                lines.append(f"  idle time more, side {name}: {_spread(shares)}")
        for share in ("planted_cpu_share", "planted_wait_share"):
            lines.append(f"  {share}: {_spread([one[share] for one in judged])}")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    ordered = sorted(values)
    edge = len(ordered) // 20
    return (
        f"median {statistics.median(ordered):.3f}, "
        f"9 of 10 between {ordered[edge]:.3f} and {ordered[-1 - edge]:.3f}"
    )


def _microseconds(found: interleave.Found) -> dict[str, Any]:
    return {
        f"{case.id} {name}": {
            "cpu": [round(1e6 * value) for value in samples.cpu],
            "wall": [round(1e6 * value) for value in samples.wall],
            "idle": [round(1e6 * value) for value in samples.idle],
        }
        for (case, name), samples in found.items()
    }


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(entry) + "\n")
