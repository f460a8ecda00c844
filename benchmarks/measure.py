"""One run: every engine and the floor, interleaved round by round in random order.

Interleaved, because a machine's mood changes by the minute: engines measured one after the other
are compared with the weather, not with each other. Within a round the order is random, because a
sample feels what came just before it.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.cases import (
    ALLOCATING_NETWORKS,
    BRIDGE,
    FLOOR_CASE,
    NONE,
    REFERENCE,
    STARTED_NETWORKS,
    Case,
    Figure,
    plan_cases,
)
from benchmarks.figures import Rounds
from benchmarks.machine import CpuTimes, Load, load_before_run
from benchmarks.peers import find_peers, version_of
from benchmarks.starts import Starts
from benchmarks.worker import Worker
from conformance.engines.factory import make_engine
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT, ManagedEngine

FLOOR_MODULE = "benchmarks.floor"
IN_PROCESS_MODULE = "benchmarks.inprocess"
PEERS_MODULE = "benchmarks.peers"
CHEAP_REPEATS = 5
"""How often a round takes a sample that costs milliseconds, where an engine's start costs 300."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is asked to do."""

    engines: tuple[str, ...]
    peers: tuple[str, ...] = ()
    rounds: int
    warmup_rounds: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine or a peer as it was found: its name in the run, label in the table, version."""

    name: str
    family: str
    label: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """Everything that a run found."""

    settings: Settings
    run_id: str
    engines: tuple[EngineInfo, ...]
    peers: tuple[EngineInfo, ...] = ()
    load: Load
    samples: Mapping[Case, Rounds]

    def label(self, engine: str) -> str:
        """Return how the table calls an engine."""
        return next((info.label for info in self.engines if info.name == engine), engine)

    @property
    def plan(self) -> tuple[Case, ...]:
        """Every case of the run, measured or not, in the order of the table."""
        return plan_cases(self.settings.engines, self.settings.peers)

    @property
    def docker(self) -> str | None:
        """The engine that the others are compared with: the first real Docker of the run."""
        return next((info.name for info in self.engines if info.family == "docker"), None)


Sampler = Callable[[], dict[Case, float]]
Progress = Callable[[str], None]


@dataclass(slots=True)
class Recorder:
    """Collects the samples of each case by round."""

    rounds: dict[Case, list[list[float]]] = field(default_factory=dict)

    def add(self, index: int, found: dict[Case, float]) -> None:
        """Note what one sampler found in round `index`."""
        for case, seconds in found.items():
            by_round = self.rounds.setdefault(case, [])
            while len(by_round) <= index:
                by_round.append([])
            by_round[index].append(seconds)


def run_rounds(
    slots: Sequence[Sampler], *, settings: Settings, progress: Progress
) -> dict[Case, Rounds]:
    """Take every slot's sample once a round, in a new random order each time."""
    rng = random.Random(settings.seed)  # noqa: S311 - an order, not a secret
    recorder = Recorder()
    total = settings.warmup_rounds + settings.rounds
    started = time.monotonic()
    for index in range(total):
        order = list(slots)
        rng.shuffle(order)
        for take in order:
            found = take()
            if index >= settings.warmup_rounds:
                recorder.add(index - settings.warmup_rounds, found)
        elapsed_s = time.monotonic() - started
        left_s = elapsed_s / (index + 1) * (total - index - 1)
        progress(f"round {index + 1}/{total}, {left_s:.0f} s left")
    return dict(recorder.rounds)


def outside_in(samples: Mapping[Case, Rounds]) -> dict[Case, Rounds]:
    """Return, for each start on a network, start minus start with network none, round by round."""
    found: dict[Case, Rounds] = {}
    for case, rounds in samples.items():
        if case.figure is not Figure.START or case.network == NONE:
            continue
        none_rounds = samples[Case(Figure.START, case.engine, NONE)]
        found[Case(Figure.OUTSIDE_IN, case.engine, case.network)] = [
            [with_network - without for with_network, without in zip(left, right, strict=True)]
            for left, right in zip(rounds, none_rounds, strict=True)
        ]
    return found


def measure(settings: Settings, progress: Progress) -> Measurements:
    """Start everything, take all samples, and take everything away again.

    Raises:
        EngineError, SettingsError: an engine could not be had.
        StartError, WorkerError: a sample could not be taken.
    """
    load = load_before_run()
    run_id = f"{random.SystemRandom().getrandbits(24):06x}"
    with ExitStack() as cleanup:
        workspace = Path(
            cleanup.enter_context(
                tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}bench-", dir=WORKSPACE_ROOT)
            )
        )
        slots = _worker_slots(settings.engines, workspace, cleanup)
        slots += [_peer_slot(peer, workspace, cleanup) for peer in settings.peers]
        infos = []
        for spec in settings.engines:
            progress(f"starting {spec}")
            info, engine_slots = _engine_slots(spec, run_id, workspace, cleanup)
            infos.append(info)
            slots += engine_slots
        before = CpuTimes.now()
        samples = run_rounds(slots, settings=settings, progress=progress)
        steal_share = CpuTimes.now().steal_share_since(before)
        progress("stopping the engines")
    return Measurements(
        settings=settings,
        run_id=run_id,
        engines=tuple(infos),
        peers=tuple(_peer_info(peer) for peer in settings.peers),
        load=replace(load, steal_share=steal_share),
        samples={**samples, **outside_in(samples)},
    )


def _worker_slots(engines: Sequence[str], workspace: Path, cleanup: ExitStack) -> list[Sampler]:
    """Start the workers that allocate without an engine; each has a folder of its own."""
    cases = {FLOOR_MODULE: [FLOOR_CASE]}
    if REFERENCE in engines:
        cases[IN_PROCESS_MODULE] = [
            Case(Figure.IN_PROCESS, REFERENCE, network) for network in ALLOCATING_NETWORKS
        ]
    slots: list[Sampler] = []
    for module, served in cases.items():
        folder = workspace / module.rpartition(".")[2]
        folder.mkdir()
        worker = cleanup.enter_context(
            Worker(module, str(folder), log=workspace / f"{folder.name}.log")
        )
        slots += [_worker_sampler(worker, case) for case in served] * CHEAP_REPEATS
    return slots


def _peer_slot(peer: str, workspace: Path, cleanup: ExitStack) -> Sampler:
    folder = workspace / peer
    folder.mkdir()
    worker = cleanup.enter_context(
        Worker(PEERS_MODULE, peer, str(folder), log=workspace / f"{peer}.log")
    )
    return _worker_sampler(worker, Case(Figure.PEER, peer, BRIDGE))


def _peer_info(peer: str) -> EngineInfo:
    version = version_of(peer, find_peers()[peer])
    return EngineInfo(name=peer, family="peer", label=peer, version=version)


def _worker_sampler(worker: Worker, case: Case) -> Sampler:
    def take() -> dict[Case, float]:
        seconds = worker.allocate(case.network)
        worker.release()
        return {case: seconds}

    return take


def make_label(spec: str, *, family: str, version: str) -> str:
    """Return an engine's name in the table, which says which release `docker` or an address is."""
    release = ".".join(version.split(".")[:2])
    if "://" in spec:
        return f"external-{release}"
    return f"{spec}-{release}" if spec == family else spec


def _engine_slots(
    spec: str, run_id: str, workspace: Path, cleanup: ExitStack
) -> tuple[EngineInfo, list[Sampler]]:
    """Start an engine with its containers; they are gone when `cleanup` unwinds."""
    info, starts = start_engine(spec, run_id, workspace, cleanup)

    def sampler(network: str) -> Sampler:
        return lambda: starts.samples_by_case(network)

    return info, [sampler(network) for network in STARTED_NETWORKS]


def start_engine(
    spec: str, run_id: str, workspace: Path, cleanup: ExitStack
) -> tuple[EngineInfo, Starts]:
    """Start an engine and make its containers; both are gone when `cleanup` unwinds.

    Raises:
        EngineError, ImageError, SettingsError: it could not be had.
    """
    engine = make_engine(spec, run_id=f"bench-{run_id}", workspace=workspace)
    cleanup.callback(engine.stop)
    if isinstance(engine, ManagedEngine):
        engine.exec_root_in_memory = True
    engine.start()
    starts = cleanup.enter_context(closing(Starts(engine, run_id=run_id)))
    version = engine.version().version
    label = make_label(spec, family=engine.family, version=version)
    info = EngineInfo(name=spec, family=engine.family, label=label, version=version)
    return info, starts
