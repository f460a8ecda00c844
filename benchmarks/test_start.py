"""Benchmarks through the API: `pytest benchmarks/ --benchmark-only --engine reference`.

Each engine's rounds are taken in a row, so two engines are compared with the machine's mood as
well; `python -m benchmarks run` takes them in turn. What is kept here is for one engine over time.
"""

from __future__ import annotations

from functools import partial

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import BRIDGE, NONE, PORTS, USER
from benchmarks.starts import Starts

WARMUP_ROUNDS = 2
"""Not recorded: the first start of a container also makes the files that later ones find."""

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("network", [NONE, BRIDGE, USER, PORTS])
@pytest.mark.benchmark(group="start: the API request until its answer")
def test_start(
    starts: Starts, engine_label: str, network: str, start_rounds: int, benchmark: BenchmarkFixture
) -> None:
    """Start a container; on no network, on each kind, and with two published ports."""
    if network == PORTS:
        starts.add_published()
    benchmark.extra_info["engine"] = engine_label
    benchmark.pedantic(
        starts.start,
        args=(network,),
        teardown=starts.stop,
        rounds=start_rounds,
        warmup_rounds=WARMUP_ROUNDS,
    )


@pytest.mark.parametrize("network", [NONE, BRIDGE, USER])
@pytest.mark.benchmark(group="end: the request to kill until the container's links are gone")
def test_end_until_the_links_are_gone(
    starts: Starts, engine_label: str, network: str, start_rounds: int, benchmark: BenchmarkFixture
) -> None:
    """End a container: an engine that deletes the links later is not done before that."""
    if not starts.sees_links:
        pytest.skip(f"{engine_label} is not started here: its links cannot be seen")
    benchmark.extra_info["engine"] = engine_label
    benchmark.pedantic(
        starts.end,
        args=(network,),
        setup=partial(_start, starts, network),
        teardown=lambda _network: starts.settle(),
        rounds=start_rounds,
        warmup_rounds=WARMUP_ROUNDS,
    )


def _start(starts: Starts, network: str) -> None:
    starts.start(network)
    starts.note_releases()
