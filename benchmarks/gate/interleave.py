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

from benchmarks.gate.cases import MODULES, Case
from benchmarks.gate.plant import Plant
from benchmarks.gate.rule import Samples
from benchmarks.gate.serving import BATCH
from benchmarks.worker import Worker

PAIRS_PER_LIFE = 60
"""After so many, new processes with a new hash seed, the same for all sides.

The seed alone moves the CPU time of a process by 2 %, so that sides with a seed each would have to
be restarted twenty times before it averages out; measured, docs/gate.md.
"""
WARMUPS = BATCH
"""Unrecorded allocates per case: the first one of every container writes files that then stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of those that are compared, each in a process of its own.

    A process is the faster the more often it is asked, because its caches stay warm: sides that
    shared one would gain 13 % on the others.

    Attributes:
        name: what its samples are called.
        packages: of its revision.
        plant: what is added to every allocate. A process can do this to itself only, so it works
            in process and not through the API.
    """

    name: str
    packages: Path
    plant: Plant = field(default_factory=Plant)


@dataclass(slots=True)
class _Record:
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)


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

    def allocate(self, network: str, plant: Plant, record: _Record) -> None:
        before_s = self._settle()
        request = {"do": "allocate", "network": network, "plant": plant.to_wire()}
        answer = self._worker.ask(request)
        record.wall.append(float(answer["seconds"]))
        if "idle" in answer:
            record.idle.append(float(answer["idle"]))
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
        pairs: rounded up to whole lives of 60 pairs.
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
                seed = rng.randrange(2**32)
                attendants = _start(sides, MODULES[way], Path(folder), seed, cleanup)
                _live(attendants, sides, chosen, records, rng)
    return {
        key: Samples(cpu=tuple(record.cpu), wall=tuple(record.wall), idle=tuple(record.idle))
        for key, record in records.items()
    }


def _start(
    sides: Sequence[Side], module: str, folder: Path, hash_seed: int, cleanup: ExitStack
) -> dict[str, _Attendant]:
    """Start the workers of the sides, all at once; they end, all at once, with `cleanup`."""
    pool = cleanup.enter_context(ThreadPoolExecutor(len(sides)))

    def start(side: Side) -> Worker:
        own = folder / side.name
        own.mkdir()
        log = folder / f"{side.name}.log"
        environment = {"PYTHONHASHSEED": str(hash_seed)}
        return Worker(module, str(own), log=log, packages=side.packages, environment=environment)

    starting = {side.name: pool.submit(start, side) for side in sides}

    def end_all() -> None:
        started = [future.result() for future in starting.values() if not future.exception()]
        list(pool.map(Worker.close, started))

    cleanup.callback(end_all)
    return {name: _Attendant(future.result()) for name, future in starting.items()}


def _live(
    attendants: Mapping[str, _Attendant],
    sides: Sequence[Side],
    cases: Sequence[Case],
    records: Mapping[tuple[Case, str], _Record],
    rng: random.Random,
) -> None:
    """Warm the workers of one life up and take its samples."""
    for case in cases:
        for attendant in attendants.values():
            for _ in range(WARMUPS):
                attendant.allocate(case.network, Plant(), _Record())
    _release(attendants)
    for _ in range(PAIRS_PER_LIFE // BATCH):
        for _ in range(BATCH):
            for case in rng.sample(cases, len(cases)):
                for side in rng.sample(sides, len(sides)):
                    record = records[case, side.name]
                    attendants[side.name].allocate(case.network, side.plant, record)
        _release(attendants)


def _release(attendants: Mapping[str, _Attendant]) -> None:
    """Release what everybody has, at the same time: most of a release is waiting."""
    with ThreadPoolExecutor(len(attendants)) as pool:
        list(pool.map(_Attendant.release, attendants.values()))
