"""Finds the revisions at which a figure changed, with Apache Otava's change points.

Needs `apache-otava`, which is imported by this module and by no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otava.analysis import compute_change_points

from benchmarks.history.series import Series

WINDOW = 50
MAX_P = 1e-4
"""Otava's own 0.001 reports a step in one of fourteen histories of 60 commits without any."""
MIN_MAGNITUDE = 0.03
MIN_POINTS_AFTER = 3
"""A last point that is far off is taken for a step, which the next points then take back."""
MIN_POINTS = 2 * MIN_POINTS_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A change of a figure that lasted.

    Attributes:
        index: of the first point of the new level.
        revision: which that is.
        subject: of its commit.
        before: mean ratio of the level before.
        after: mean ratio of the level after.
        p: of Otava's test that they are one level.
    """

    index: int
    revision: str
    subject: str
    before: float
    after: float
    p: float


def find_steps(series: Series) -> list[Step]:
    """Return the steps of a series, in its order; too few points have none."""
    values = [point.ratio.value for point in series.points]
    return [
        Step(
            index=index,
            revision=series.points[index].line.revision,
            subject=series.points[index].line.subject,
            before=before,
            after=after,
            p=p,
        )
        for index, before, after, p in find_changes(values)
    ]


def find_changes(values: Sequence[float]) -> list[tuple[int, float, float, float]]:
    """Return index, mean before, mean after and p of the changes that have lasted long enough."""
    if len(values) < MIN_POINTS:
        return []
    found, _weak = compute_change_points(
        list(values), window_len=WINDOW, max_pvalue=MAX_P, min_magnitude=MIN_MAGNITUDE
    )
    return [
        (
            int(change.index),
            float(change.stats.mean_1),
            float(change.stats.mean_2),
            float(change.stats.pvalue),
        )
        for change in found
        if len(values) - change.index >= MIN_POINTS_AFTER
    ]
