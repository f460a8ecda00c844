"""Addresses: does one cost more when 65,000 of the subnet's are in use already?

Two pools of a /8, one of which has 65,000 addresses in use, take turns at the same work. No
kernel, no store and no root is needed: this is the allocator alone.

    python -m benchmarks addresses --check
"""

from __future__ import annotations

import gc
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

import click

from benchmarks.figures import Ratio, percentile, ratio_of_medians
from benchmarks.machine import load_before_run
from benchmarks.options import json_option, refuse_quick_check, show_verdict, write_samples
from benchmarks.ratios import show_ratio
from refimpl.libnetwork.ipam import AddressPool

SUBNET = IPv4Network("10.0.0.0/8")
IN_USE = 65_000
BATCH = 100
"""How many addresses are taken, and then given back, in one sample."""
ROUNDS = 400
QUICK_ROUNDS = 5
MAX_RATIO = 1.2
_CHOSEN = SUBNET[200_000]
_HOLES = 65
"""How many addresses between those in use are free."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds for one address, taken and given back: one list for each way of taking it.

    Attributes:
        empty: of the pool in which nothing else is taken.
        in_use: of the one in which 65,000 addresses are; in the same rounds.
    """

    empty: dict[str, list[float]]
    in_use: dict[str, list[float]]

    def ratio(self, way: str) -> Ratio | None:
        """Return the ratio of the medians, with its interval."""
        rng = random.Random(way)  # noqa: S311
        rounds = ([[one] for one in samples[way]] for samples in (self.in_use, self.empty))
        return ratio_of_medians(*rounds, rng=rng)

    def misses(self) -> list[str]:
        """Return the bars that are missed, in words."""
        found = ((way, self.ratio(way)) for way in WAYS)
        return [
            f"{way}: {show_ratio(ratio)}, the bar is {MAX_RATIO}"
            for way, ratio in found
            if ratio is None or ratio.value > MAX_RATIO
        ]


def _take_lowest(pool: AddressPool) -> None:
    for taken in [pool.request() for _ in range(BATCH)]:
        pool.release(taken.ip)


def _take_chosen(pool: AddressPool) -> None:
    wishes = [_CHOSEN + number for number in range(BATCH)]
    for taken in [pool.request(wish) for wish in wishes]:
        pool.release(taken.ip)


def _refill_hole(pool: AddressPool) -> None:
    first = pool.request()
    for _ in range(BATCH):
        pool.release(first.ip)
        pool.request()
    pool.release(first.ip)


WAYS: dict[str, Callable[[AddressPool], None]] = {
    "lowest free": _take_lowest,
    "chosen": _take_chosen,
    "freed and taken again": _refill_hole,
}


def make_pools() -> tuple[AddressPool, AddressPool]:
    """Return an empty pool, and one with 65,000 addresses in use and holes between them."""
    empty, in_use = AddressPool(SUBNET), AddressPool(SUBNET)
    taken = [in_use.request() for _ in range(IN_USE + _HOLES)]
    for hole in taken[: IN_USE : IN_USE // _HOLES]:
        in_use.release(hole.ip)
    return empty, in_use


def measure(rounds: int) -> Samples:
    """Let both pools do the same work in turn, in either order."""
    empty, in_use = make_pools()
    samples = Samples({way: [] for way in WAYS}, {way: [] for way in WAYS})
    pairs = [(empty, samples.empty), (in_use, samples.in_use)]
    gc.collect()
    gc.disable()
    try:
        for number in range(-2, rounds):  # the first two are warm-up
            for way, work in WAYS.items():
                for pool, into in pairs[:: 1 if number % 2 else -1]:
                    seconds = _time(work, pool) / BATCH
                    if number >= 0:
                        into[way].append(seconds)
    finally:
        gc.enable()
    return samples


def _time(work: Callable[[AddressPool], None], pool: AddressPool) -> float:
    begin = time.perf_counter()
    work(pool)
    return time.perf_counter() - begin


def render(samples: Samples, *, quick: bool) -> str:
    """Return the table and the verdict as text."""
    lines = [f"{'one address of a /8':24} {'empty us':>9} {'65,000 in use us':>17} {'ratio':>20}"]
    lines += [
        f"{way:24} {percentile(samples.empty[way], 50) * 1e6:9.2f} "
        f"{percentile(samples.in_use[way], 50) * 1e6:17.2f} "
        f"{show_ratio(samples.ratio(way)):>20}"
        for way in WAYS
    ]
    return "\n".join([*lines, show_verdict([] if quick else samples.misses(), quick=quick)])


@click.command()
@click.option("--quick", is_flag=True, help="A few rounds: does it run at all?")
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if a bar is missed.")
def addresses(*, quick: bool, json_path: Path | None, check: bool) -> None:
    """Measure an address where none and where 65,000 are in use.

    The bar: with 65,000 of a /8 in use one must not take much longer than with none.
    The reference's allocator alone, in process; no root. A few seconds.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 3 the command line
    makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    load = load_before_run()
    samples = measure(QUICK_ROUNDS if quick else ROUNDS)
    write_samples(json_path, load, **asdict(samples))
    click.echo(render(samples, quick=quick))
    sys.exit(1 if check and samples.misses() else 0)
