"""Takes the samples: one worker per side, every pair in random order, new processes now and then.

CPU time is read from the kernel's clock of the other process, before a request to it and again
before the next one: what it does in the background after its answer counts as well. Releases are
outside of both figures, ten at a time.
"""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gate.plant import Plant
from benchmarks.gate.rule import Samples
from benchmarks.gate.serving import BATCH
from benchmarks.worker import Worker

PAIRS_PER_LIFE = 30
WARMUPS = 2
MODULES: Mapping[str, str] = {
    "in-process": "benchmarks.gate.in_process",
    "api": "benchmarks.gate.through_api",
}


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """What is compared: a way to ask for an allocate, and the kind of network.

    Attributes:
        way: a key of `MODULES`.
        network: `bridge` or `user`.
    """

    way: str
    network: str

    @property
    def id(self) -> str:
        """Its name in reports."""
        return f"{self.way}-{self.network}"


CASES = tuple(Case(way, network) for way in MODULES for network in ("bridge", "user"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of those that are compared: a revision, with what is planted in it."""

    name: str
    packages: Path
    plant: Plant = field(default_factory=Plant)


@dataclass(slots=True)
class _Record:
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


Found = Mapping[tuple[Case, str], Samples]
"""Samples by case and name of the side."""


class Meter:
    """Reads the CPU time that a process and its threads, ended ones too, have used so far."""

    def __init__(self, pid: int) -> None:
        """Name the process."""
        # clock_getcpuclockid(3), which the time module has for threads only
        self._clock = (~pid << 3) | 2

    def read_s(self) -> float:
        """Return user and system time in seconds.

        Raises:
            OSError: there is no such process any more.
        """
        return time.clock_gettime_ns(self._clock) / 1e9


class _Attendant:
    """One worker and its CPU clock: a sample's CPU time ends where the next request begins."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._meter = Meter(worker.ready["cpu_pid"])
        self._open: tuple[list[float], float] | None = None

    def allocate(self, network: str, record: _Record) -> None:
        before_s = self._settle()
        record.wall.append(self._worker.allocate(network))
        self._open = (record.cpu, before_s)

    def release(self) -> None:
        self._settle()
        self._worker.release()

    def _settle(self) -> float:
        now_s = self._meter.read_s()
        if self._open is not None:
            cpu, before_s = self._open
            cpu.append(now_s - before_s)
            self._open = None
        return now_s


def measure(
    sides: Sequence[Side],
    cases: Sequence[Case],
    *,
    pairs: int,
    rng: random.Random,
    workspace: Path,
) -> Found:
    """Take `pairs` samples of every side in every case, interleaved.

    Args:
        sides: who is compared; their order says nothing.
        cases: in which cases.
        pairs: rounded up to whole lives of 30 pairs.
        rng: for the order inside the rounds.
        workspace: an existing folder; what is made in it is removed again.

    Raises:
        WorkerError: a worker failed, or did not answer.
    """
    records = {(case, side.name): _Record() for case in cases for side in sides}
    for way, of_way in itertools.groupby(sorted(cases), key=lambda case: case.way):
        chosen = list(of_way)
        for _ in range(-(-pairs // PAIRS_PER_LIFE)):
            with ExitStack() as cleanup:
                folder = cleanup.enter_context(tempfile.TemporaryDirectory(dir=workspace))
                attendants = _start(sides, MODULES[way], Path(folder), cleanup)
                _live(attendants, chosen, records, rng)
    return {
        key: Samples(cpu=tuple(record.cpu), wall=tuple(record.wall))
        for key, record in records.items()
    }


def _start(
    sides: Sequence[Side], module: str, folder: Path, cleanup: ExitStack
) -> dict[str, _Attendant]:
    """Start a worker per side, all at once; they end, all at once, with `cleanup`."""
    pool = cleanup.enter_context(ThreadPoolExecutor(len(sides)))

    def start(side: Side) -> Worker:
        own = folder / side.name
        own.mkdir()
        log = folder / f"{side.name}.log"
        arguments = (str(own), *side.plant.to_arguments())
        return Worker(module, *arguments, log=log, packages=side.packages)

    starting = {side.name: pool.submit(start, side) for side in sides}

    def end_all() -> None:
        started = [future.result() for future in starting.values() if not future.exception()]
        list(pool.map(Worker.close, started))

    cleanup.callback(end_all)
    return {name: _Attendant(future.result()) for name, future in starting.items()}


def _live(
    attendants: Mapping[str, _Attendant],
    cases: Sequence[Case],
    records: Mapping[tuple[Case, str], _Record],
    rng: random.Random,
) -> None:
    """Warm the workers of one life up and take its samples."""
    for case in cases:
        for attendant in attendants.values():
            for _ in range(WARMUPS):
                attendant.allocate(case.network, _Record())
    _release(attendants)
    for _ in range(PAIRS_PER_LIFE // BATCH):
        for _ in range(BATCH):
            for case in rng.sample(cases, len(cases)):
                for name in rng.sample(list(attendants), len(attendants)):
                    attendants[name].allocate(case.network, records[case, name])
        _release(attendants)


def _release(attendants: Mapping[str, _Attendant]) -> None:
    """Release what everybody has, at the same time: most of a release is waiting."""
    with ThreadPoolExecutor(len(attendants)) as pool:
        list(pool.map(_Attendant.release, attendants.values()))
