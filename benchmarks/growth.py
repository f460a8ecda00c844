"""Growth: does a start cost more when there are many sandboxes or networks already?

A crowd (see `crowd`) grows and shrinks again, several times over; at each size some starts are
timed: on the way up in one pass, on the way down in the next. So every size is measured in every
pass, and a machine whose mood drifts hardly favours a size.

    python -m benchmarks growth --json growth.json
"""

from __future__ import annotations

import enum
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.cases import BRIDGE, USER
from benchmarks.crowd import SANDBOXES_PER_NETWORK
from benchmarks.figures import Ratio, percentile, ratio_of_medians
from benchmarks.machine import describe_machine, load_before_run
from benchmarks.options import json_option, refuse_quick_check, require_root, show_verdict
from benchmarks.ratios import show_ratio
from benchmarks.worker import Worker, WorkerError
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

SANDBOXES = (10, 100, 300, 1000)
NETWORKS = (10, 100)
SANDBOXES_AMONG_NETWORKS = 10
PASSES = 12
SAMPLES_PER_PASS = 100
"""They take most of a second, as a shared machine may be a third slower for as long as that."""
WARMUP_S = 1.5
"""How long starts go unrecorded after a change of size: the kernel announces new bridges and frees
old namespaces for about a second, which is no part of their being there."""
STEP = 100
NETWORKS_STEP = 10
"""How far a crowd grows in one request, which must be answered in time."""
MAX_RATIO = 1.2
MAX_KIB_PER_SANDBOX = 60.0


class ExitCode(enum.IntEnum):
    """What the command ends with."""

    OK = 0
    BAR_MISSED = 1
    ERROR = 2


@dataclass(slots=True)
class Size:
    """One size of the crowd, with every sample that was taken at it.

    Attributes:
        sandboxes: how many there are.
        networks: how many there are, without the predefined ones.
        allocate: seconds per start, by network, one list per pass.
        release: the same for the removal.
        kib: the daemon's own memory (Pss) at each pass. What was needed once is kept for later,
            so only the first pass shows what a sandbox takes.
    """

    sandboxes: int
    networks: int
    allocate: dict[str, list[list[float]]] = field(default_factory=lambda: {BRIDGE: [], USER: []})
    release: dict[str, list[list[float]]] = field(default_factory=lambda: {BRIDGE: [], USER: []})
    kib: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the tables call it."""
        return f"{self.sandboxes} sandboxes, {self.networks} networks"


@dataclass(frozen=True, slots=True)
class Growth:
    """Everything that was measured: sizes in sandboxes, then sizes in networks.

    A quick one is held to no bar: its one pass, up to a hundred sandboxes, is too little for that.
    """

    sandboxes: list[Size]
    networks: list[Size]
    seed: int
    machine: dict[str, Any]
    quick: bool = False

    def ratio(self, size: Size, first: Size, network: str) -> Ratio | None:
        """Return the ratio of a size's median allocate to that of the smallest size."""
        rng = random.Random(f"{self.seed} {size.name} {network}")  # noqa: S311
        return ratio_of_medians(size.allocate[network], first.allocate[network], rng=rng)

    def kib_per_sandbox(self) -> float:
        """Return what one sandbox more takes of the daemon's memory (its container has its own)."""
        first, last = self.sandboxes[0], self.sandboxes[-1]
        return (last.kib[0] - first.kib[0]) / (last.sandboxes - first.sandboxes)

    def misses(self) -> list[str]:
        """Return the bars that are missed, in words."""
        missed = []
        for sizes in (self.sandboxes, self.networks):
            for network in (BRIDGE, USER):
                ratio = self.ratio(sizes[-1], sizes[0], network)
                if ratio is None or ratio.value > MAX_RATIO:
                    missed.append(
                        f"{network}: {sizes[-1].name} to {sizes[0].name}: {show_ratio(ratio)}, "
                        f"the bar is {MAX_RATIO}"
                    )
        if self.kib_per_sandbox() > MAX_KIB_PER_SANDBOX:
            missed.append(
                f"{self.kib_per_sandbox():.1f} KiB per sandbox, the bar is {MAX_KIB_PER_SANDBOX:g}"
            )
        return missed


def measure(crowd: Worker, *, seed: int, quick: bool) -> Growth:
    """Let the crowd grow and shrink, and time starts at each size.

    Raises:
        WorkerError: the crowd could not do it.
    """
    passes = 1 if quick else PASSES
    wanted = SANDBOXES[:2] if quick else SANDBOXES
    # containers and networks are there from the beginning, so that memory shows the sandboxes
    for count in range(STEP, wanted[-1] + 1, STEP):
        crowd.ask({"do": "containers", "count": count})
    networks = -(-wanted[-1] // SANDBOXES_PER_NETWORK)
    growth = Growth(
        [Size(count, networks) for count in wanted],
        [Size(SANDBOXES_AMONG_NETWORKS, count) for count in NETWORKS],
        seed,
        {**describe_machine(), "load": asdict(load_before_run())},
        quick,
    )
    for number in range(passes):
        order = 1 if number % 2 == 0 else -1
        now = 0
        for size in growth.sandboxes[::order]:
            _resize(crowd, now, size.sandboxes)
            now = size.sandboxes
            _sample(crowd, size)
        _resize(crowd, now, SANDBOXES_AMONG_NETWORKS)
        for size in growth.networks[::order]:
            _set_networks(crowd, networks, size.networks)
            _sample(crowd, size)
            _set_networks(crowd, size.networks, networks)
        _resize(crowd, SANDBOXES_AMONG_NETWORKS, 0)
    return growth


def _resize(crowd: Worker, now: int, wanted: int) -> None:
    step = STEP if wanted > now else -STEP
    for count in [*range(now + step, wanted, step), wanted]:
        crowd.ask({"do": "sandboxes", "count": count})


def _set_networks(crowd: Worker, now: int, wanted: int) -> None:
    step = NETWORKS_STEP if wanted > now else -NETWORKS_STEP
    for count in [*range(now + step, wanted, step), wanted]:
        crowd.ask({"do": "networks", "count": count})


def _sample(crowd: Worker, size: Size) -> None:
    size.kib.append(int(crowd.ask({"do": "memory"})["kib"]))
    deadline_s = time.monotonic() + WARMUP_S
    while time.monotonic() < deadline_s:
        for network in (BRIDGE, USER):
            crowd.ask({"do": "sample", "network": network})
    for network in (BRIDGE, USER):
        size.allocate[network].append([])
        size.release[network].append([])
    for _ in range(SAMPLES_PER_PASS):
        for network in (BRIDGE, USER):
            one = crowd.ask({"do": "sample", "network": network})
            size.allocate[network][-1].append(float(one["allocate"]))
            size.release[network][-1].append(float(one["release"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One size on one network; the times are in seconds.

    Attributes:
        size: which one.
        network: `bridge` or `user`.
        allocate: every sample.
        release_p50: the median.
        ratio: the median of allocate to that at the smallest size; None for that one itself.
    """

    size: Size
    network: str
    allocate: list[float]
    release_p50: float
    ratio: Ratio | None


def make_rows(growth: Growth) -> list[Row]:
    """Return the lines of the table in their order: sizes in sandboxes, then in networks."""
    return [
        Row(
            size=size,
            network=network,
            allocate=[one for samples in size.allocate[network] for one in samples],
            release_p50=percentile(
                [one for samples in size.release[network] for one in samples], 50
            ),
            ratio=None if size is sizes[0] else growth.ratio(size, sizes[0], network),
        )
        for sizes in (growth.sandboxes, growth.networks)
        for size in sizes
        for network in (BRIDGE, USER)
    ]


def verdict(growth: Growth) -> list[str]:
    """Return what is said below the table."""
    memory = f"memory: {growth.kib_per_sandbox():.1f} KiB per sandbox"
    misses = [] if growth.quick else growth.misses()
    return [memory, *show_verdict(misses, quick=growth.quick).splitlines()]


def render(growth: Growth) -> str:
    """Return the table and the verdict as text."""
    lines = [
        f"{'':34} {'allocate p50 p99':>18} {'to the first':>20} {'release p50':>12} {'MiB':>7}"
    ]
    lines += [
        f"{row.size.name + ', ' + row.network:34} "
        f"{percentile(row.allocate, 50) * 1e3:9.2f}{percentile(row.allocate, 99) * 1e3:9.2f} "
        f"{show_ratio(row.ratio) if row.ratio else '1':>20} "
        f"{row.release_p50 * 1e3:12.2f} "
        f"{row.size.kib[0] / 1024:7.1f}"
        for row in make_rows(growth)
    ]
    return "\n".join([*lines, *verdict(growth)])


def read_growth(path: Path) -> Growth:
    """Read what `--json` wrote.

    Raises:
        ValueError: it is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        sizes = {
            kind: [Size(**one) for one in document[kind]] for kind in ("sandboxes", "networks")
        }
        found = Growth(**{**document, **sizes})
        # what cannot be shown is not the JSON of a growth run either
        render(found)
        return found
    except (ArithmeticError, OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not the JSON of a growth run: {error}") from error


@click.command()
@click.option("--quick", is_flag=True, help="One pass up to 100 sandboxes: does it run at all?")
@click.option("--seed", type=int, default=0, show_default=True, help="For the intervals.")
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if a bar is missed.")
def growth(*, quick: bool, seed: int, json_path: Path | None, check: bool) -> None:
    """Measure a start among 10 and among 1,000 sandboxes.

    And on one of 10 and of 100 networks: does it cost more where there are many?
    The reference alone, in process and without container processes. About 6 minutes.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 2 could not be
    measured, 3 the command line makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    require_root("this makes network namespaces")
    WORKSPACE_ROOT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}growth-", dir=WORKSPACE_ROOT) as name:
        folder = Path(name)
        try:
            with Worker("benchmarks.crowd", str(folder), log=folder / "crowd.log") as crowd:
                measured = measure(crowd, seed=seed, quick=quick)
        except WorkerError as error:
            click.echo(f"error: nothing was measured: {error}", err=True)
            sys.exit(ExitCode.ERROR)
    if json_path is not None:
        json_path.write_text(json.dumps(asdict(measured), indent=1))
    click.echo(render(measured))
    sys.exit(ExitCode.BAR_MISSED if check and measured.misses() else ExitCode.OK)
