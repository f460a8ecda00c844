"""Bursts: several containers started at the same moment, on two engines in turn.

python -m benchmarks burst --json burst.json
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click
import docker

from benchmarks.cases import BRIDGE
from benchmarks.engines import started_engines
from benchmarks.figures import percentile, ratio_of_medians
from benchmarks.machine import load_before_run
from benchmarks.options import (
    json_option,
    refuse_quick_check,
    require_root,
    show_verdict,
    write_samples,
)
from benchmarks.ratios import show_ratio
from benchmarks.starts import LABEL, PREFIX
from conformance.engines.base import EngineError
from conformance.engines.managed import ManagedEngine
from conformance.image import ensure_image

ENGINES = ("reference", "docker")
AT_ONCE = 8
ROUNDS = 20
QUICK_ROUNDS = 3
REQUEST_TIMEOUT_S = 60


@dataclass(slots=True)
class Bursts:
    """What was measured on one engine; seconds, by round.

    Attributes:
        walls: from the first request to the last answer.
        starts: each start's own time.
    """

    engine: str
    walls: list[list[float]] = field(default_factory=list)
    starts: list[list[float]] = field(default_factory=list)

    def row(self) -> str:
        """Return the engine's line of the table."""
        walls = [one for samples in self.walls for one in samples]
        starts = [one for samples in self.starts for one in samples]
        return (
            f"{self.engine:12} {AT_ONCE / percentile(walls, 50):10.1f} starts/s   "
            f"one start p50 {percentile(starts, 50) * 1e3:6.0f} ms, "
            f"p99 {percentile(starts, 99) * 1e3:6.0f} ms"
        )


class Starters:
    """The containers of one engine and a client for each of them."""

    def __init__(self, engine: ManagedEngine, run_id: str) -> None:
        """Make the containers, on the default bridge."""
        image = ensure_image(engine.client())
        self._clients: list[docker.APIClient] = []
        self._containers: list[str] = []
        self._executor = ThreadPoolExecutor(AT_ONCE)
        for number in range(AT_ONCE):
            client = docker.APIClient(base_url=engine.address, timeout=REQUEST_TIMEOUT_S)
            self._clients.append(client)
            created = client.create_container(
                image,
                ["sleep", "86400"],
                name=f"{PREFIX}-{run_id}-{number}",
                labels={LABEL: run_id},
                host_config=client.create_host_config(network_mode=BRIDGE),
            )
            self._containers.append(created["Id"])

    def burst(self, found: Bursts) -> None:
        """Start all at once, note how long it took, and stop them again."""
        started = time.perf_counter()
        starts = list(self._executor.map(self._start, self._clients, self._containers))
        found.walls.append([time.perf_counter() - started])
        found.starts.append(starts)
        for client, container in zip(self._clients, self._containers, strict=True):
            client.kill(container)
            client.wait(container)

    @staticmethod
    def _start(client: docker.APIClient, container: str) -> float:
        started = time.perf_counter()
        client.start(container)
        return time.perf_counter() - started

    def close(self) -> None:
        """Remove the containers."""
        self._executor.shutdown()
        for client, container in zip(self._clients, self._containers, strict=False):
            client.remove_container(container, force=True)
            client.close()


def measure(rounds: int, seed: int) -> list[Bursts]:
    """Start both engines and let them take bursts in turn, in a new order each round.

    Raises:
        EngineError: an engine could not be had.
    """
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    run_id = f"burst-{random.SystemRandom().getrandbits(24):06x}"
    with ExitStack() as cleanup:
        slots = []
        for engine in cleanup.enter_context(started_engines(ENGINES, run_id=run_id)):
            starters = cleanup.enter_context(closing(Starters(engine, run_id)))
            starters.burst(Bursts(engine.name))  # the first one is not recorded
            slots.append((starters, Bursts(engine.name)))
        for _ in range(rounds):
            for starters, found in rng.sample(slots, len(slots)):
                starters.burst(found)
    return [found for _, found in slots]


@click.command()
@click.option("--quick", is_flag=True, help="A few rounds only: does it run at all?")
@click.option("--seed", type=int, default=0, show_default=True, help="For the order.")
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if the reference is the slower one.")
def burst(*, quick: bool, seed: int, json_path: Path | None, check: bool) -> None:
    """Measure eight containers that start at once.

    On the reference and on Docker 20.10 in turn.
    The bars: the median burst, and the 99th percentile of a start in it, take at most Docker's.

    Exit codes: 0 measured (with --check: and both bars met), 1 a bar missed, 2 could not be
    measured, 3 the command line makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    require_root("this starts engines")
    load = load_before_run()
    try:
        reference, other = measure(QUICK_ROUNDS if quick else ROUNDS, seed)
    except EngineError as error:
        click.echo(f"error: nothing was measured: {error}", err=True)
        sys.exit(2)
    write_samples(json_path, load, bursts=[asdict(reference), asdict(other)])
    rng = random.Random(seed)  # noqa: S311 - resampling
    ratio = ratio_of_medians(reference.walls, other.walls, rng=rng)
    click.echo(f"{reference.row()}\n{other.row()}")
    click.echo(f"time for all {AT_ONCE}, reference to {other.engine}: {show_ratio(ratio)}")
    missed = misses(reference, other)
    click.echo(show_verdict(missed, quick=quick))
    sys.exit(1 if check and missed else 0)


def misses(ours: Bursts, theirs: Bursts) -> list[str]:
    """Return the bars that the first engine misses beside the second one, in words."""
    found = []
    for what, name, p in (("the median burst", "walls", 50), ("a start's p99", "starts", 99)):
        mine, other = (
            percentile([one for samples in getattr(each, name) for one in samples], p)
            for each in (ours, theirs)
        )
        if mine > other:
            found.append(f"{what}: {mine:.3f} s, {theirs.engine}'s {other:.3f} s")
    return found
