"""The lines of a history as series: what may be compared with one another, in commit order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.history.lines import FIGURES, Line, Ratio


@dataclass(frozen=True, slots=True)
class Point:
    """A revision's ratio, and the control's of the same minutes."""

    line: Line
    ratio: Ratio
    control: Ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One figure of one case against one anchor, measured on one model of processor.

    Attributes:
        cpu: the model; the ratio of two revisions is not the same on another one.
        case: such as `in-process-user`.
        figure: a key of `FIGURES`.
        points: oldest commit first.
    """

    cpu: str
    case: str
    figure: str
    points: Sequence[Point]

    @property
    def title(self) -> str:
        """What it is called in a report."""
        return f"{self.case}: {FIGURES[self.figure]}"


def make_series(lines: Iterable[Line], anchor: str) -> list[Series]:
    """Return the series of all that was measured against an anchor."""
    found: dict[tuple[str, str, str], list[Point]] = {}
    for line in sorted(lines, key=lambda line: line.time):
        if line.anchor != anchor:
            continue
        for case, figures in line.cases.items():
            for figure in FIGURES:
                point = Point(line, figures[figure], line.control[case][figure])
                found.setdefault((line.machine["cpu"], case, figure), []).append(point)
    return [
        Series(cpu=cpu, case=case, figure=figure, points=points)
        for (cpu, case, figure), points in sorted(found.items())
    ]


def control_of(series: Series) -> Series:
    """Return the series of the control: it has no step, so one that is found is a false alarm."""
    return Series(
        cpu=series.cpu,
        case=f"control {series.case}",
        figure=series.figure,
        points=[Point(point.line, point.control, point.control) for point in series.points],
    )


def control_misses(series: Series) -> int:
    """Return how many of the control's intervals do not have 1 in them; 1 of 100 should not."""
    controls = [point.control for point in series.points]
    return sum(not control.low <= 1 <= control.high for control in controls)
