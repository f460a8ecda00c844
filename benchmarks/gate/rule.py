"""The rule of the gate: from paired samples to red, passed or inconclusive.

CPU time is judged by the Hodges-Lehmann estimate of the logarithms of the paired ratios and
Wilcoxon's signed-rank test, latency by the ratio of the 10th percentiles, waiting by the difference
of the medians of idle time, both with a bootstrap of whole blocks. docs/gate.md says why these, and
what they miss.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Numbers = Any
"""A numpy array of floats, one per pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What counts as slower.

    Attributes:
        cpu_ratio: CPU time is red only above this ratio, however sure the test is.
        wall_ratio: the same of the 10th percentile of latency.
        idle_share: the same of the idle time that was added, as a share of that percentile.
        p: the chance of a false alarm of each figure, before it is divided among the cases.
        excluded: a ratio that must be out of the question for a pass.
        confidence: of the two-sided intervals, and of the upper bounds of a pass.
        block: rounds that the bootstrap draws together, because latency is correlated in time.
        resamples: how often the bootstrap draws.
    """

    cpu_ratio: float = 1.03
    wall_ratio: float = 1.05
    idle_share: float = 0.05
    p: float = 0.01
    excluded: float = 1.10
    confidence: float = 0.99
    block: int = 10
    resamples: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What one side of the pairs took, in seconds, in the order of the rounds.

    Attributes:
        cpu: CPU time of the process.
        wall: latency.
        idle: how much of it the working thread neither worked nor queued for a processor; empty
            where that cannot be seen.
    """

    cpu: Sequence[float]
    wall: Sequence[float]
    idle: Sequence[float] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A ratio with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What one measurement of one case says.

    Attributes:
        pairs: how many pairs it rests on.
        cpu: ratio of CPU time, head to base (Hodges-Lehmann).
        cpu_p: one-sided p of Wilcoxon's test that head needs more.
        wall: ratio of the 10th percentiles of latency.
        wall_low: lower bound of that ratio at the chance of a false alarm that a case may have.
        idle: the median idle time that head has more than base, as a share of base's 10th
            percentile of latency; None where it was not seen.
        idle_low: lower bound of that share, likewise.
        reasons: why it is red; empty when it is not.
        excludes_slowdown: whether the upper bounds, 99 % each, are below what a pass must exclude.
    """

    pairs: int
    cpu: Estimate
    cpu_p: float
    wall: Estimate
    wall_low: float
    idle: Estimate | None
    idle_low: float | None
    reasons: tuple[str, ...]
    excludes_slowdown: bool

    @property
    def red(self) -> bool:
        """Whether head counts as slower."""
        return bool(self.reasons)


class Verdict(enum.Enum):
    """What the gate says of a case in the end."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


def judge(
    base: Samples,
    head: Samples,
    *,
    cases: int = 1,
    seed: int = 0,
    thresholds: Thresholds | None = None,
) -> Judgement:
    """Judge paired samples of one case.

    Args:
        base: what the base took.
        head: what the head took, pair by pair.
        cases: how many cases the job judges; the chance of a false alarm is divided among them.
        seed: of the bootstrap.
        thresholds: what counts as slower.

    Raises:
        ValueError: the sides differ in length, there are fewer pairs than two blocks, or a sample
            is not positive.
    """
    rule = thresholds or Thresholds()
    samples = (base.cpu, head.cpu, base.wall, head.wall)
    sides: list[Numbers] = [np.asarray(side, dtype=float) for side in samples]
    pairs = len(sides[0])
    if any(len(side) != pairs for side in sides):
        raise ValueError("the sides of the pairs differ in length")
    if pairs < 2 * rule.block:
        raise ValueError(f"{pairs} pairs are fewer than two blocks of {rule.block}")
    if any(not (side > 0).all() for side in sides):
        raise ValueError("a sample is not positive")
    alpha = rule.p / cases
    differences = np.log(sides[1] / sides[0])
    cpu = hodges_lehmann(differences, confidence=rule.confidence)
    cpu_high = hodges_lehmann(differences, confidence=2 * rule.confidence - 1).high
    cpu_p = slower_p(differences)
    draw = _draw_blocks(pairs, rule=rule, seed=seed)
    wall = _bound(_p10_ratio(sides[2], sides[3], draw), rule=rule, alpha=alpha)
    idle = None
    if base.idle and head.idle:
        idle = _bound(_added_idle_share(base, head, draw), rule=rule, alpha=alpha)
    reasons = []
    if cpu.value > rule.cpu_ratio and cpu_p < alpha:
        reasons.append(f"CPU time x{cpu.value:.3f} > {rule.cpu_ratio}, p = {cpu_p:.1g}")
    if wall.value > rule.wall_ratio and wall.lowest > 1:
        reasons.append(
            f"latency p10 x{wall.value:.3f} > {rule.wall_ratio}, at least x{wall.lowest:.3f}"
        )
    if idle is not None and idle.value > rule.idle_share and idle.lowest > 0:
        reasons.append(
            f"waits {idle.value:.1%} of latency longer > {rule.idle_share:.0%}, "
            f"at least {idle.lowest:.1%}"
        )
    highest = max(cpu_high, wall.highest, 0 if idle is None else 1 + idle.highest)
    return Judgement(
        pairs=pairs,
        cpu=cpu,
        cpu_p=cpu_p,
        wall=wall.estimate,
        wall_low=wall.lowest,
        idle=None if idle is None else idle.estimate,
        idle_low=None if idle is None else idle.lowest,
        reasons=tuple(reasons),
        excludes_slowdown=highest < rule.excluded,
    )


def hodges_lehmann(differences: Numbers, *, confidence: float) -> Estimate:
    """Return exp of the median of all pairwise means of log ratios, with its interval.

    The interval is the one that belongs to Wilcoxon's signed-rank test: order statistics of the
    pairwise means, in its normal approximation (Hollander & Wolfe, section 3.3).
    """
    n = len(differences)
    first, second = np.triu_indices(n)
    means = np.sort((differences[first] + differences[second]) / 2)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    outside = int(n * (n + 1) / 4 - z * math.sqrt(n * (n + 1) * (2 * n + 1) / 24))
    outside = max(0, outside)
    return Estimate(
        value=math.exp(float(np.median(means))),
        low=math.exp(float(means[outside])),
        high=math.exp(float(means[len(means) - 1 - outside])),
    )


def slower_p(differences: Numbers) -> float:
    """Return the one-sided p of Wilcoxon's signed-rank test that the differences are above zero.

    Pairs without a difference are left out, as Wilcoxon does; when no other is there, it is 1.
    """
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences, alternative="greater").pvalue)


Draw = Callable[[Numbers, float], Numbers]
"""Gives the quantiles of a side's samples, one for each time that its blocks were drawn."""


def _draw_blocks(pairs: int, *, rule: Thresholds, seed: int) -> Draw:
    """Draw blocks of rounds with replacement, the same for every figure and side.

    Rounds at the end that fill no block are left out.
    """
    count = pairs // rule.block
    used = count * rule.block
    chosen = np.random.default_rng(seed).integers(0, count, (rule.resamples, count))

    def quantiles(side: Numbers, share: float) -> Numbers:
        drawn = side[:used].reshape(count, rule.block)[chosen]
        return np.quantile(drawn.reshape(rule.resamples, used), share, axis=1)

    return quantiles


def _p10_ratio(base: Numbers, head: Numbers, draw: Draw) -> tuple[float, Numbers]:
    """Return the ratio of the 10th percentiles, and what it was of the blocks that were drawn."""
    value = float(np.quantile(head, 0.1) / np.quantile(base, 0.1))
    return value, draw(head, 0.1) / draw(base, 0.1)


def _added_idle_share(base: Samples, head: Samples, draw: Draw) -> tuple[float, Numbers]:
    """Return by how much the median of idle time grew, as a share of base's p10 of latency."""
    before: Numbers = np.asarray(base.idle, dtype=float)
    after: Numbers = np.asarray(head.idle, dtype=float)
    whole = float(np.quantile(np.asarray(base.wall, dtype=float), 0.1))
    value = float(np.median(after) - np.median(before)) / whole
    return value, (draw(after, 0.5) - draw(before, 0.5)) / whole


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A figure with its interval, and with its bounds at the chances of red and of a pass."""

    estimate: Estimate
    lowest: float
    highest: float

    @property
    def value(self) -> float:
        return self.estimate.value


def _bound(found: tuple[float, Numbers], *, rule: Thresholds, alpha: float) -> _Bounded:
    value, drawn = found
    tail = (1 - rule.confidence) / 2
    low, high, lowest, highest = map(
        float, np.quantile(drawn, (tail, 1 - tail, alpha, rule.confidence))
    )
    return _Bounded(Estimate(value=value, low=low, high=high), lowest, highest)
