"""What two published ports cost an allocate: the reference in process, with and without, in turn.

python -m benchmarks ports
"""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import click

from benchmarks.cases import BRIDGE, PORTS
from benchmarks.figures import percentile, ratio_of_medians
from benchmarks.machine import load_before_run
from benchmarks.options import (
    json_option,
    refuse_quick_check,
    require_root,
    show_verdict,
    write_samples,
)
from benchmarks.ratios import show_ms, show_ratio
from benchmarks.worker import Worker, WorkerError
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

RATIO_MAX = 1.5
ROUNDS = 200
QUICK_ROUNDS = 10
WARMUP_ROUNDS = 5


@dataclass(slots=True)
class Samples:
    """Allocates in seconds, by round."""

    without: list[list[float]] = field(default_factory=list)
    with_ports: list[list[float]] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Return the ratio of the medians."""
        return _median(self.with_ports) / _median(self.without)


def measure(rounds: int, seed: int) -> Samples:
    """Allocate and release both in a new order each round.

    Raises:
        WorkerError: the worker could not do it.
    """
    rng = random.Random(seed)  # noqa: S311 - an order, not a secret
    samples = Samples()
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}ports-", dir=WORKSPACE_ROOT) as folder:
        work = Path(folder, "work")
        work.mkdir()
        with Worker("benchmarks.inprocess", str(work), log=Path(folder, "log")) as worker:
            for number in range(WARMUP_ROUNDS + rounds):
                for network in rng.sample((BRIDGE, PORTS), 2):
                    seconds = worker.allocate(network)
                    worker.release()
                    if number >= WARMUP_ROUNDS:
                        found = samples.without if network == BRIDGE else samples.with_ports
                        found.append([seconds])
    return samples


def render(samples: Samples, *, quick: bool = False) -> str:
    """Return the figures and the verdict as text."""
    rng = random.Random(0)  # noqa: S311 - resampling
    ratio = ratio_of_medians(samples.with_ports, samples.without, rng=rng)
    missed = [f"two ports: more than {RATIO_MAX} times an allocate"] * _is_missed(samples)
    return "\n".join(
        [
            f"allocate, p50 in ms:     {show_ms(_median(samples.without))}",
            f"with two ports:          {show_ms(_median(samples.with_ports))}",
            f"ratio of p50:            {show_ratio(ratio)}",
            show_verdict(missed, quick=quick),
        ]
    )


def _median(rounds: list[list[float]]) -> float:
    return percentile([one for samples in rounds for one in samples], 50)


def _is_missed(samples: Samples) -> bool:
    return samples.ratio > RATIO_MAX


@click.command()
@click.option("--quick", is_flag=True, help="A few rounds only: does it run at all?")
@click.option("--seed", type=int, default=0, show_default=True, help="For the order.")
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if the ports cost too much.")
def ports(*, quick: bool, seed: int, json_path: Path | None, check: bool) -> None:
    """Allocate with and without two published ports, in process.

    The bar: with two ports the median allocate takes at most 1.5 times as long.

    Exit codes: 0 measured (with --check: and the bar met), 1 the bar missed, 2 could not be
    measured, 3 the command line makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    require_root("this makes network namespaces")
    load = load_before_run()
    try:
        samples = measure(QUICK_ROUNDS if quick else ROUNDS, seed)
    except WorkerError as error:
        click.echo(f"error: nothing was measured: {error}", err=True)
        sys.exit(2)
    write_samples(json_path, load, without=samples.without, with_ports=samples.with_ports)
    click.echo(render(samples, quick=quick))
    sys.exit(1 if check and _is_missed(samples) else 0)
