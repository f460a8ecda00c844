"""One job of the gate: measures, confirms what is red, and says pass, fail or inconclusive."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gate import interleave
from benchmarks.gate.cases import CASES, Case
from benchmarks.gate.interleave import PAIRS_PER_LIFE, Found, Side
from benchmarks.gate.revisions import Revision
from benchmarks.gate.rule import Judgement, Verdict, judge

PAIRS = 300
MORE_PAIRS = 900
LIMIT_S = 60.0
"""Until when a job measures on what is unclear. To confirm what is red it takes what it needs."""
BASE, HEAD, CONTROL = "base", "head", "control"
API_WAY = "api"
CONTROL_WAY = "in-process"
"""Where base is also compared with itself; once is enough, and here it is cheapest."""

Measure = Callable[[Sequence[str], Sequence[Case], int], Found]
"""Takes samples: names of sides, cases, pairs. Every call starts new processes."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the gate says of one case.

    Attributes:
        case: which.
        verdict: its end.
        measurements: every measurement in the order it was taken; none is thrown away.
    """

    case: Case
    verdict: Verdict
    measurements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one job found.

    Attributes:
        base: the revision that was compared with.
        head: the revision that was judged.
        unchanged: both have the same code; only the control was measured.
        outcomes: one per case.
        controls: base judged against itself by the same rule; a red one is a false alarm.
        seconds: how long it took.
    """

    base: str
    head: str
    unchanged: bool
    outcomes: tuple[Outcome, ...]
    controls: tuple[tuple[Case, Judgement], ...]
    seconds: float

    @property
    def verdict(self) -> Verdict:
        """The worst of its cases; unchanged code passes."""
        verdicts = {outcome.verdict for outcome in self.outcomes}
        for worst in (Verdict.FAIL, Verdict.INCONCLUSIVE):
            if worst in verdicts:
                return worst
        return Verdict.PASS


class Pace:
    """How long the processes of a case live here and now, and how many more lives fit in."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin the job's time now; `clock` tells seconds."""
        self._clock = clock
        self._deadline_s = clock() + LIMIT_S
        self._life_s: dict[str, float] = {}

    @contextmanager
    def taking(self, way: str) -> Iterator[None]:
        """Take the time of the first pairs of all cases of a way."""
        began_s = self._clock()
        yield
        self._life_s[way] = (self._clock() - began_s) * PAIRS_PER_LIFE / PAIRS

    def pairs_of(self, cases: Sequence[Case]) -> int:
        """Return how many pairs of these cases to take; 0 when no more fit in than at first.

        One case of a way has less to do in a life than all of them had; how much less is not known,
        since starting and warming up the processes is a part of it.
        """
        life_s = sum(self._life_s[way] for way in {case.way for case in cases})
        lives = int((self._deadline_s - self._clock()) / life_s)
        pairs = min(MORE_PAIRS, lives * PAIRS_PER_LIFE)
        return pairs if pairs > PAIRS else 0


def run_job(base: Revision, head: Revision, *, workspace: Path, seed: int, say: Say) -> Report:
    """Compare two revisions that lie ready.

    Raises:
        WorkerError: a revision could not be measured.
    """
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    packages = {BASE: base.packages, CONTROL: base.packages, HEAD: head.packages}

    def measure(names: Sequence[str], cases: Sequence[Case], pairs: int) -> Found:
        sides = [Side(name=name, packages=packages[name]) for name in names]
        return interleave.measure(sides, cases, pairs=pairs, rng=rng, workspace=workspace)

    started = time.monotonic()
    unchanged = base.digest == head.digest
    outcomes, controls = judge_cases(measure, unchanged=unchanged, seed=seed, say=say)
    return Report(
        base=base.label,
        head=head.label,
        unchanged=unchanged,
        outcomes=outcomes,
        controls=controls,
        seconds=time.monotonic() - started,
    )


def judge_cases(
    measure: Measure, *, unchanged: bool, seed: int, say: Say
) -> tuple[tuple[Outcome, ...], tuple[tuple[Case, Judgement], ...]]:
    """Measure and judge every case, and the control."""
    pace = Pace()
    controlled = [case for case in CASES if case.way == CONTROL_WAY]
    others = [case for case in CASES if case.way == API_WAY]

    def judged(found: Found, case: Case, name: str = HEAD) -> Judgement:
        return judge(found[case, BASE], found[case, name], cases=len(CASES), seed=seed)

    def again(cases: Sequence[Case], pairs: int, why: str) -> dict[Case, Judgement]:
        say(f"{', '.join(case.id for case in cases)}: {why}, {pairs} pairs with new processes")
        found = measure([BASE, HEAD], cases, pairs)
        return {case: judged(found, case) for case in cases}

    say(f"measuring {PAIRS} pairs in process" + (" (control only)" if unchanged else ""))
    names = [BASE, CONTROL] + ([] if unchanged else [HEAD])
    with pace.taking(CONTROL_WAY):
        found = measure(names, controlled, PAIRS)
    controls = tuple((case, judged(found, case, CONTROL)) for case in controlled)
    if unchanged:
        return (), controls
    say(f"measuring {PAIRS} pairs through the API")
    with pace.taking(API_WAY):
        found = {**found, **measure([BASE, HEAD], others, PAIRS)}
    first = {case: judged(found, case) for case in CASES}
    return decide(first, again, pace.pairs_of), controls


Again = Callable[[Sequence[Case], int, str], Mapping[Case, Judgement]]
"""Measures cases once more: which, how many pairs, and why in words."""


def decide(
    first: Mapping[Case, Judgement], again: Again, pairs_of: Callable[[Sequence[Case]], int]
) -> tuple[Outcome, ...]:
    """Come to a verdict on every case.

    A red measurement is taken once more, and only red twice in a row fails. Where the latest
    measurement cannot exclude the slowdown that a pass must exclude, one larger measurement is
    taken, once: to measure on until it looks right would make any code fail, or pass. Where a case
    has failed it is not taken, since the job's verdict is known then, nor where there is no time.

    Args:
        first: what was measured.
        again: measures on.
        pairs_of: tells how large the larger measurement of these cases may be, 0 for none.
    """
    taken = {case: [judgement] for case, judgement in first.items()}
    verdicts: dict[Case, Verdict] = {}

    def repeat(cases: Sequence[Case], pairs: int, why: str) -> None:
        if cases:
            for case, judgement in again(cases, pairs, why).items():
                taken[case].append(judgement)

    def judge_latest() -> None:
        red = [case for case in taken if case not in verdicts and taken[case][-1].red]
        repeat(red, PAIRS, "red")
        for case, judgements in taken.items():
            if case in red and judgements[-1].red:
                verdicts[case] = Verdict.FAIL
            elif judgements[-1].excludes_slowdown:
                verdicts.setdefault(case, Verdict.PASS)

    judge_latest()
    unclear = [case for case in taken if case not in verdicts]
    if unclear and Verdict.FAIL not in verdicts.values() and (pairs := pairs_of(unclear)):
        repeat(unclear, pairs, "unclear")
        judge_latest()
    return tuple(
        Outcome(
            case=case,
            verdict=verdicts.get(case, Verdict.INCONCLUSIVE),
            measurements=tuple(judgements),
        )
        for case, judgements in taken.items()
    )
