"""Ratios between two cases of a run, and how a figure is shown."""

from __future__ import annotations

import random

from benchmarks.cases import Case
from benchmarks.figures import Ratio, ratio_of_medians
from benchmarks.measure import Measurements


def ratio_between(measurements: Measurements, above: Case, below: Case) -> Ratio | None:
    """Return the ratio of two cases' medians; None where one of them was not measured."""
    samples = measurements.samples
    if above == below or above not in samples or below not in samples:
        return None
    # The same draw for the same pair of cases, so that a saved run gives the same table again.
    rng = random.Random(f"{measurements.settings.seed} {above.id} {below.id}")  # noqa: S311
    return ratio_of_medians(samples[above], samples[below], rng=rng)


def ratio_to_wire(ratio: Ratio | None) -> dict[str, float] | None:
    """Return a ratio for the JSON."""
    if ratio is None:
        return None
    return {"value": ratio.value, "low": ratio.low, "high": ratio.high}


def show_number(value: float) -> str:
    """Return three significant digits, but not more than three decimals and no exponent."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.1 else f"{value:.3f}"


def show_ratio(ratio: Ratio | None) -> str:
    """Return a ratio with its interval."""
    if ratio is None:
        return "-"
    value, low, high = (show_number(number) for number in (ratio.value, ratio.low, ratio.high))
    return f"{value} [{low} {high}]"


def show_ms(seconds: float) -> str:
    """Return a time in milliseconds."""
    return f"{seconds * 1000:.2f}"
