"""Whole starts in every network mode, first ones and later ones, on two engines in turn.

A first start makes the files that the later ones find. A sample is the time from the SDK's request
to start a container until its answer; its creation, its end and its removal are outside.

    python -m benchmarks modes --json modes.json
"""

from __future__ import annotations

import enum
import random
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from benchmarks.engines import started_engines
from benchmarks.figures import Ratio, percentile, ratio_of_medians
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
from conformance.engines.base import Engine, EngineError
from conformance.image import ImageError, ensure_image

ENGINES = ("reference", "docker")
ROUNDS = 30
QUICK_ROUNDS = 3
FOR_EVER = ("sleep", "86400")


class Mode(enum.StrEnum):
    """Whose network a container gets."""

    NONE = "none"
    HOST = "host"
    BRIDGE = "bridge"
    USER = "user network"
    CONTAINER = "container:"


@dataclass(slots=True)
class StartTimes:
    """What was measured of one engine in one mode; seconds, by round.

    Attributes:
        engine: the engine.
        mode: the mode.
        first: starts of a container that had never run.
        again: starts of one that had.
    """

    engine: str
    mode: Mode
    first: list[list[float]] = field(default_factory=list)
    again: list[list[float]] = field(default_factory=list)


class Modes:
    """The containers of one engine: one for each mode, and one more whose network is joined."""

    def __init__(self, engine: Engine, run_id: str) -> None:
        """Make the image, the user network and the containers, and start each container once."""
        self._api = engine.client().api
        self._prefix = f"{PREFIX}-{run_id}"
        self._labels = {LABEL: run_id}
        self._image = ensure_image(engine.client())
        self._made = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            network = self._api.create_network(self._prefix, driver="bridge", labels=self._labels)
            self._made.callback(self._api.remove_network, network["Id"])
            joined = self._create("joined", "bridge")
            self._made.callback(self._remove, joined)
            self._api.start(joined)
            self._network_modes = {
                Mode.NONE: "none",
                Mode.HOST: "host",
                Mode.BRIDGE: "bridge",
                Mode.USER: self._prefix,
                Mode.CONTAINER: f"container:{joined}",
            }
            self._containers: dict[Mode, str] = {}
            for mode, network_mode in self._network_modes.items():
                self._containers[mode] = self._create(mode.name.lower(), network_mode)
                self._made.callback(self._remove, self._containers[mode])
                self._start(self._containers[mode])
            undo.pop_all()

    def take(self, found: StartTimes) -> None:
        """Start a new container, and the one that ran before; note how long each took."""
        new = self._create(f"first-{found.mode.name.lower()}", self._network_modes[found.mode])
        try:
            first_s = self._start(new)
        finally:
            self._remove(new)
        found.again.append([self._start(self._containers[found.mode])])
        found.first.append([first_s])

    def _create(self, name: str, network_mode: str) -> str:
        created = self._api.create_container(
            self._image,
            list(FOR_EVER),
            name=f"{self._prefix}-{name}",
            labels=self._labels,
            host_config=self._api.create_host_config(network_mode=network_mode),
        )
        return str(created["Id"])

    def _start(self, container: str) -> float:
        """Start a container, end it again, and return how long the start took, in seconds."""
        started = time.perf_counter()
        self._api.start(container)
        seconds = time.perf_counter() - started
        self._api.kill(container)
        self._api.wait(container)
        return seconds

    def _remove(self, container: str) -> None:
        self._api.remove_container(container, force=True)

    def close(self) -> None:
        """Remove the containers and the network."""
        self._made.close()


def measure(rounds: int, seed: int) -> list[StartTimes]:
    """Start both engines and let them start containers in turn, in a new order each round.

    Returns:
        Every mode of the first engine, then every mode of the second.

    Raises:
        EngineError, ImageError: an engine, or the image of its containers, could not be had.
    """
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    run_id = f"modes-{random.SystemRandom().getrandbits(24):06x}"
    with ExitStack() as cleanup:
        slots = []
        for engine in cleanup.enter_context(started_engines(ENGINES, run_id=run_id)):
            modes = cleanup.enter_context(closing(Modes(engine, run_id)))
            slots += [(modes, StartTimes(engine.name, mode)) for mode in Mode]
        for _ in range(rounds):
            for modes, found in rng.sample(slots, len(slots)):
                modes.take(found)
    return [found for _, found in slots]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One mode, first starts or later ones, of both engines.

    Attributes:
        name: what the table calls it.
        ours: the first engine's samples in seconds.
        theirs: the second one's.
        ratio: of the medians.
    """

    name: str
    ours: list[float]
    theirs: list[float]
    ratio: Ratio | None

    @property
    def is_met(self) -> bool:
        """Whether the first engine's median is no longer than the second one's."""
        return percentile(self.ours, 50) <= percentile(self.theirs, 50)

    def __str__(self) -> str:
        """Return the line of the table; times in milliseconds."""
        figures = " ".join(
            f"{percentile(samples, 50) * 1e3:9.1f} {percentile(samples, 95) * 1e3:9.1f}"
            for samples in (self.ours, self.theirs)
        )
        return f"{self.name:22} {figures} {show_ratio(self.ratio):>22}"


def make_rows(found: Sequence[StartTimes], seed: int) -> list[Row]:
    """Return the lines of the table: the first starts of every mode, then the later ones."""
    half = len(found) // 2
    rows = []
    for kind in ("first", "again"):
        for ours, theirs in zip(found[:half], found[half:], strict=True):
            mine, other = getattr(ours, kind), getattr(theirs, kind)
            name = f"{ours.mode}, {kind}"
            rng = random.Random(f"{seed} {name}")  # noqa: S311 - resampling
            rows.append(
                Row(
                    name=name,
                    ours=[one for samples in mine for one in samples],
                    theirs=[one for samples in other for one in samples],
                    ratio=ratio_of_medians(mine, other, rng=rng),
                )
            )
    return rows


def render(found: Sequence[StartTimes], rows: Sequence[Row], *, quick: bool = False) -> str:
    """Return the table and the verdict as text."""
    ours, theirs = found[0].engine, found[-1].engine
    missed = [f"{row.name}: longer than {theirs}'s" for row in rows if not row.is_met]
    return "\n".join(
        [
            f"{'whole start, p50, p95 ms':22} {ours:>17} {theirs:>19} {'ratio of p50':>22}",
            *map(str, rows),
            show_verdict(missed, quick=quick),
        ]
    )


@click.command()
@click.option("--quick", is_flag=True, help="A few rounds only: does it run at all?")
@click.option("--seed", type=int, default=0, show_default=True, help="For the order.")
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if the reference is the slower one.")
def modes(*, quick: bool, seed: int, json_path: Path | None, check: bool) -> None:
    """Measure first and later starts in every network mode.

    On the reference and on Docker 20.10 in turn.
    The bars: in each mode the median first start, and the median later one, take at most Docker's.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 2 could not be
    measured, 3 the command line makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    require_root("this starts engines")
    load = load_before_run()
    try:
        found = measure(QUICK_ROUNDS if quick else ROUNDS, seed)
    except (EngineError, ImageError) as error:
        click.echo(f"error: nothing was measured: {error}", err=True)
        sys.exit(2)
    write_samples(json_path, load, starts=[asdict(one) for one in found])
    rows = make_rows(found, seed)
    click.echo(render(found, rows, quick=quick))
    sys.exit(1 if check and not all(row.is_met for row in rows) else 0)
