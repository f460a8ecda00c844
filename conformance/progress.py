"""How far a run is: what every engine works on now, and how long the rest will take."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

# Before an engine has ended so many rows, nothing is said of the time that is left.
_ROWS_MIN = 3


@dataclass(slots=True)
class _Lane:
    """One engine's part of the run."""

    ended: set[str] = field(default_factory=set)
    began_s: float = 0.0
    ended_s: float = 0.0
    running: dict[str, float] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return len(self.ended)


class Progress:
    """The state of a run, as far as its controller is told.

    The rest is estimated from the pace of each engine so far; an engine that has not begun yet is
    taken to be as fast as the others.
    """

    def __init__(
        self,
        engines: Iterable[str],
        *,
        rows: int,
        side_by_side: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing done.

        Args:
            engines: their specs.
            rows: how many rows each engine is to run.
            side_by_side: how many engines run at a time.
            clock: seconds that never go back.
        """
        self._lanes = {engine: _Lane() for engine in engines}
        self._rows = rows
        self._side_by_side = max(1, side_by_side)
        self._clock = clock

    def begin(self, engine: str, row: str) -> None:
        """Note that a row begins on an engine."""
        lane = self._lanes.setdefault(engine, _Lane())
        lane.running[row] = self._clock()
        lane.began_s = lane.began_s or lane.running[row]

    def end(self, engine: str, row: str) -> None:
        """Note that a row has ended on an engine, or one of the several tests that it has."""
        lane = self._lanes.setdefault(engine, _Lane())
        lane.ended.add(row)
        lane.ended_s = self._clock()
        lane.running.pop(row, None)

    def left_s(self) -> float | None:
        """Estimate the seconds until the last row ends; None as long as too little is known."""
        paces = {
            engine: (lane.ended_s - lane.began_s) / lane.done
            for engine, lane in self._lanes.items()
            if lane.done >= _ROWS_MIN
        }
        if not paces:
            return None
        usual = sum(paces.values()) / len(paces)
        left = [
            max(self._rows - lane.done, 0) * paces.get(engine, usual)
            for engine, lane in self._lanes.items()
        ]
        return max(*left, sum(left) / self._side_by_side)

    def at_work(self) -> list[str]:
        """Say which row each engine works on, and since when."""
        now = self._clock()
        return [
            f"{engine}: {row} ({now - began_s:.0f} s)"
            for engine, lane in self._lanes.items()
            for row, began_s in lane.running.items()
        ]

    def line(self) -> str:
        """Say in one line how far the run is."""
        done = sum(lane.done for lane in self._lanes.values())
        left = self.left_s()
        parts = [f"{done}/{self._rows * len(self._lanes)}"]
        parts += [f"about {in_words(left)} left"] if left is not None else []
        return "  ".join([", ".join(parts), *self.at_work()])


def in_words(seconds: float) -> str:
    """Write a time as short as it is known: `40 s`, `3 min`."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{round(seconds / 60)} min"
