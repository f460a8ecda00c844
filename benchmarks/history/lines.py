"""What the history keeps: one JSON line per measurement, and the anchors that it was held against.

A line is never changed and never taken out: a revision that is measured again has two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HISTORY = HERE / "history.jsonl"
ANCHORS = HERE / "anchor.json"
CPU, WALL = "cpu", "wall_p10"
FIGURES: Mapping[str, str] = {CPU: "CPU time", WALL: "latency p10"}


class HistoryError(Exception):
    """A file of the history cannot be read; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """The revision that others are measured against.

    Attributes:
        revision: the full id of a commit.
        since: the day (UTC) from which on it is the anchor.
        reason: why this one.
    """

    revision: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A revision's figure divided by the anchor's, with the ends of its 99 % interval."""

    value: float
    low: float
    high: float


Cases = Mapping[str, Mapping[str, Ratio]]
"""By case (`in-process-user`) and figure (a key of `FIGURES`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measurement of a revision against an anchor.

    Attributes:
        revision: the full id of its commit.
        time: when that was committed, ISO 8601 in UTC.
        subject: the first line of its message.
        anchor: the full id of the anchor's commit.
        measured: when this was measured, ISO 8601 in UTC.
        pairs: how many pairs per case; 0 if it could not be measured.
        cases: its ratios.
        control: the ratios of the anchor to itself, of the same minutes: all of them are 1.
        counts: what one allocate takes exactly (`benchmarks.counts`), where it was counted.
        machine: processor, kernel, load average before, share of time given to others.
        failure: why it could not be measured.
    """

    revision: str
    time: str
    subject: str
    anchor: str
    measured: str
    pairs: int = 0
    cases: Cases
    control: Cases
    counts: Mapping[str, Any] | None = None
    machine: Mapping[str, Any]
    failure: str | None = None

    def to_wire(self) -> dict[str, Any]:
        """Return it as it is written down."""
        return {
            "revision": self.revision,
            "time": self.time,
            "subject": self.subject,
            "anchor": self.anchor,
            "measured": self.measured,
            "pairs": self.pairs,
            "cases": _cases_to_wire(self.cases),
            "control": _cases_to_wire(self.control),
            "counts": self.counts,
            "machine": self.machine,
            "failure": self.failure,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Line:
        """Read what `to_wire` returned.

        Raises:
            KeyError: something is missing.
            TypeError: there is more in it, or it is no line.
            ValueError: something in it is not what it should be.
        """
        cases, control = (_cases_from_wire(wire[name]) for name in ("cases", "control"))
        line = cls(**{**wire, "cases": cases, "control": control})
        line._check()
        return line

    def _check(self) -> None:
        for name in ("revision", "time", "subject", "anchor", "measured"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} is no text")
        if not isinstance(self.machine.get("cpu"), str):
            raise ValueError("machine names no cpu")
        for case, figures in self.cases.items():
            if set(figures) != set(FIGURES) or set(self.control.get(case, ())) != set(FIGURES):
                raise ValueError(f"{case}: not the figures {', '.join(FIGURES)}, and its control's")


def read_lines(path: Path) -> list[Line]:
    """Return the lines of a history, in the order they were written; no file is an empty one.

    Raises:
        HistoryError: the file, or a line of it, cannot be read.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise HistoryError(f"{path}: {error}") from error
    lines = []
    for number, text in enumerate(texts, start=1):
        try:
            lines.append(Line.from_wire(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HistoryError(f"{path}, line {number}: {error!r}") from error
    return lines


def append_line(path: Path, line: Line) -> None:
    """Add a line to a history, in one write: a run that is killed leaves no half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line.to_wire()) + "\n")


def read_anchors(path: Path = ANCHORS) -> list[Anchor]:
    """Return all anchors, the one in use last.

    Raises:
        HistoryError: there is none.
    """
    try:
        anchors = [Anchor(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise HistoryError(f"{path}: {error}") from error
    if not anchors:
        raise HistoryError(f"{path}: it names no anchor")
    return anchors


def write_anchors(anchors: Sequence[Anchor], path: Path = ANCHORS) -> None:
    """Write the anchors, the one in use last."""
    wire = [
        {"revision": each.revision, "since": each.since, "reason": each.reason} for each in anchors
    ]
    path.write_text(json.dumps(wire, indent=2) + "\n", encoding="utf-8")


def _cases_to_wire(cases: Cases) -> dict[str, Any]:
    return {
        case: {
            figure: [round(number, 5) for number in (ratio.value, ratio.low, ratio.high)]
            for figure, ratio in figures.items()
        }
        for case, figures in cases.items()
    }


def _cases_from_wire(wire: Mapping[str, Any]) -> dict[str, dict[str, Ratio]]:
    return {
        case: {figure: _ratio_from_wire(numbers) for figure, numbers in figures.items()}
        for case, figures in wire.items()
    }


def _ratio_from_wire(numbers: Sequence[float]) -> Ratio:
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"{numbers}: not three numbers")
    return Ratio(*numbers)
