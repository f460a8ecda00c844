"""The rule of the gate: from paired samples to red, passed or inconclusive.

CPU time is judged by the Hodges-Lehmann estimate of the logarithms of the paired ratios and
Wilcoxon's signed-rank test, latency by the ratio of the 10th percentiles and a bootstrap of whole
blocks. docs/gate.md says why these, and what they miss.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
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
        p: the chance of a false alarm of each half, before it is divided among the cases.
        excluded: a ratio that must be out of the question for a pass.
        confidence: of the two-sided intervals, and of the upper bounds of a pass.
        block: rounds that the bootstrap draws together, because latency is correlated in time.
        resamples: how often the bootstrap draws.
    """

    cpu_ratio: float = 1.03
    wall_ratio: float = 1.05
    p: float = 0.01
    excluded: float = 1.10
    confidence: float = 0.99
    block: int = 10
    resamples: int = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What one side of the pairs took, in seconds, in the order of the rounds."""

    cpu: Sequence[float]
    wall: Sequence[float]


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
        reasons: why it is red; empty when it is not.
        excludes_slowdown: whether the upper bounds of both ratios, 99 % each, are below the ratio
            that a pass must exclude.
    """

    pairs: int
    cpu: Estimate
    cpu_p: float
    wall: Estimate
    wall_low: float
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
    sides = [np.asarray(side, dtype=float) for side in (base.cpu, head.cpu, base.wall, head.wall)]
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
    cpu_p = slower_p(differences)
    drawn = _bootstrap_p10(sides[2], sides[3], rule=rule, seed=seed)
    tail = (1 - rule.confidence) / 2
    wall = Estimate(
        value=float(np.quantile(sides[3], 0.1) / np.quantile(sides[2], 0.1)),
        low=float(np.quantile(drawn, tail)),
        high=float(np.quantile(drawn, 1 - tail)),
    )
    wall_low = float(np.quantile(drawn, alpha))
    bounds = (
        hodges_lehmann(differences, confidence=2 * rule.confidence - 1).high,
        float(np.quantile(drawn, rule.confidence)),
    )
    reasons = []
    if cpu.value > rule.cpu_ratio and cpu_p < alpha:
        reasons.append(f"CPU time x{cpu.value:.3f} > {rule.cpu_ratio}, p = {cpu_p:.1g}")
    if wall.value > rule.wall_ratio and wall_low > 1:
        reasons.append(
            f"latency p10 x{wall.value:.3f} > {rule.wall_ratio}, at least x{wall_low:.3f}"
        )
    return Judgement(
        pairs=pairs,
        cpu=cpu,
        cpu_p=cpu_p,
        wall=wall,
        wall_low=wall_low,
        reasons=tuple(reasons),
        excludes_slowdown=max(bounds) < rule.excluded,
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


def _bootstrap_p10(base: Numbers, head: Numbers, *, rule: Thresholds, seed: int) -> Numbers:
    """Return ratios of 10th percentiles of blocks drawn with replacement, the same on both sides.

    Rounds at the end that fill no block are left out of the interval.
    """
    blocks = len(base) // rule.block
    used = blocks * rule.block
    chosen = np.random.default_rng(seed).integers(0, blocks, (rule.resamples, blocks))

    def p10(side: Numbers) -> Numbers:
        drawn = side[:used].reshape(blocks, rule.block)[chosen]
        return np.quantile(drawn.reshape(rule.resamples, used), 0.1, axis=1)

    return p10(head) / p10(base)
