"""From samples to figures: percentiles, ratios of medians and their bootstrap intervals."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 1000
CONFIDENCE = 0.95
MIN_ROUNDS = 5
"""With fewer there are too few different draws for an interval."""
FEW_SAMPLES = 100
"""With fewer the 99th percentile is the slowest sample, or close to it."""
MAX_DROPPED = 0.01
"""The share of the resamples that may have no ratio. They would lie beyond an end of the interval,
so that without them it is too narrow."""

Rounds = Sequence[Sequence[float]]
"""Samples in seconds, by the round in which they were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """A case's figures; times in seconds."""

    n: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A ratio of two medians with the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


def flatten(rounds: Rounds) -> list[float]:
    """Return the samples of all rounds, in the order in which they were taken."""
    return [sample for round_samples in rounds for sample in round_samples]


def percentile(samples: Sequence[float], percent: int) -> float:
    """Return a percentile, interpolated between the two samples around it.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("no sample")
    if len(samples) == 1:
        return samples[0]
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def percentiles(rounds: Rounds) -> Percentiles:
    """Return a case's figures."""
    samples = flatten(rounds)
    return Percentiles(
        n=len(samples),
        p50=percentile(samples, 50),
        p95=percentile(samples, 95),
        p99=percentile(samples, 99),
    )


def ratio_of_medians(
    numerator: Rounds, denominator: Rounds, *, rng: random.Random, resamples: int = RESAMPLES
) -> Ratio | None:
    """Return median(numerator) / median(denominator) with its bootstrap interval.

    Whole rounds are drawn, the same ones for both sides: what disturbed a round disturbed both,
    and samples of one round are not independent.

    Returns:
        None when a median is not positive: a difference of two starts can be, and a ratio to it
        says nothing. Likewise when that is so in more than MAX_DROPPED of the resamples, and when
        there are fewer than MIN_ROUNDS rounds.
    """
    rounds = min(len(numerator), len(denominator))
    value = _ratio(flatten(numerator), flatten(denominator))
    if value is None or rounds < MIN_ROUNDS:
        return None
    drawn = []
    for _ in range(resamples):
        chosen = rng.choices(range(rounds), k=rounds)
        resampled = _ratio(
            flatten([numerator[index] for index in chosen]),
            flatten([denominator[index] for index in chosen]),
        )
        if resampled is not None:
            drawn.append(resampled)
    if len(drawn) < (1 - MAX_DROPPED) * resamples:
        return None
    drawn.sort()
    tail = (1 - CONFIDENCE) / 2
    return Ratio(
        value=value,
        low=drawn[int(tail * (len(drawn) - 1))],
        high=drawn[int((1 - tail) * (len(drawn) - 1))],
    )


def _ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float | None:
    if not numerator or not denominator:
        return None
    above = statistics.median(numerator)
    below = statistics.median(denominator)
    if above <= 0 or below <= 0:
        return None
    return above / below
