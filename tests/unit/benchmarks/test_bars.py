from dataclasses import replace

import pytest

from benchmarks.bars import make_bars, max_to_docker
from benchmarks.cases import BRIDGE, FLOOR_CASE, NONE, USER, Case, Figure
from benchmarks.machine import Load
from benchmarks.measure import EngineInfo, Measurements, Settings

REFERENCE = EngineInfo(name="reference", family="refimpl", label="reference", version="20.10.24")
DOCKER = EngineInfo(name="docker", family="docker", label="docker-20.10", version="20.10.24+dfsg1")
NEWER = EngineInfo(name="docker-28.5", family="docker", label="docker-28.5", version="28.5.2")
NETAVARK = EngineInfo(name="netavark", family="peer", label="netavark", version="1.4.0")


def measured(samples, engines=(REFERENCE, DOCKER), peers=()) -> Measurements:
    names = tuple(info.name for info in engines)
    return Measurements(
        settings=Settings(
            engines=names,
            peers=tuple(info.name for info in peers),
            rounds=3,
            warmup_rounds=0,
            seed=1,
        ),
        run_id="abc123",
        engines=engines,
        peers=peers,
        load=Load(cpus=2, load_average=0.1, busy_share=0.02),
        samples=samples,
    )


def metric(engine: str, network: str = BRIDGE) -> Case:
    return Case(Figure.METRIC, engine, network)


def bars_of(samples, **found):
    return {(bar.network, bar.what): bar for bar in make_bars(measured(samples, **found))}


@pytest.mark.parametrize(("ours_s", "is_met"), [(0.002, True), (0.0021, False)])
def test_allocate_is_held_to_twice_the_floor(ours_s, is_met):
    bars = bars_of({metric("reference"): [[ours_s]] * 5, FLOOR_CASE: [[0.001]] * 5})
    assert bars[BRIDGE, "allocate to the floor"].is_met == is_met


@pytest.mark.parametrize(("slowest_s", "is_met"), [(0.003, True), (0.0040, False)])
def test_tail_is_held_to_three_times_the_median(slowest_s, is_met):
    bars = bars_of({metric("reference"): [[0.001] * 2] * 50 + [[slowest_s] * 2]})
    assert bars[BRIDGE, "allocate's p99 to its p50"].is_met == is_met


def test_tail_of_a_few_samples_is_no_tail():
    assert (BRIDGE, "allocate's p99 to its p50") not in bars_of(
        {metric("reference"): [[0.001] * 3] * 33}
    )


@pytest.mark.parametrize(("release_s", "is_met"), [(0.001, True), (0.0011, False)])
def test_release_is_held_to_allocate(release_s, is_met):
    release = Case(Figure.RELEASE, "reference", USER)
    bars = bars_of({metric("reference", USER): [[0.001]] * 5, release: [[release_s]] * 5})
    assert bars[USER, "release to its own allocate"].is_met == is_met


@pytest.mark.parametrize(
    ("version", "share"),
    [("1.13.1", 1 / 4), ("20.10.24+dfsg1", 1 / 4), ("26.1.5+dfsg1", 1 / 8), ("28.5.2", 1 / 6)],
)
def test_share_of_docker_depends_on_its_release(version, share):
    assert max_to_docker(replace(DOCKER, version=version)) == share


def test_every_docker_of_the_run_is_a_bar_and_each_network_has_its_own():
    samples = {metric("reference", net): [[0.001]] * 5 for net in (BRIDGE, USER)}
    samples |= {metric("docker", net): [[0.005]] * 5 for net in (BRIDGE, USER)}
    samples |= {metric("docker-28.5", net): [[0.0059]] * 5 for net in (BRIDGE, USER)}
    bars = bars_of(samples, engines=(REFERENCE, DOCKER, NEWER))
    for network in (BRIDGE, USER):
        assert bars[network, "allocate to docker-20.10's"].is_met
        assert not bars[network, "allocate to docker-28.5's"].is_met


def test_peer_is_compared_on_the_network_that_it_makes_only():
    samples = {metric("reference", net): [[0.001]] * 5 for net in (BRIDGE, USER)}
    samples[Case(Figure.PEER, "netavark", BRIDGE)] = [[0.0009]] * 5
    bars = bars_of(samples, peers=(NETAVARK,))
    missed = bars[BRIDGE, "allocate to netavark's"]
    assert not missed.is_met
    assert str(missed) == (
        "MISSED: default bridge: allocate to netavark's: 1.00 / 0.90 ms = 1.11 [1.11 1.11], "
        "at most 1"
    )
    assert (USER, "allocate to netavark's") not in bars


def test_whole_start_is_held_to_dockers_on_every_network():
    samples = {Case(Figure.START, "reference", NONE): [[0.1]] * 5}
    samples[Case(Figure.START, "docker", NONE)] = [[0.09]] * 5
    bars = bars_of(samples)
    assert not bars[NONE, "whole start to docker-20.10's"].is_met
    assert len(bars) == 1


@pytest.mark.parametrize("network", [BRIDGE, USER])
@pytest.mark.parametrize(("ours_s", "is_met"), [(0.05, True), (0.051, False)])
def test_whole_end_on_a_network_is_held_to_half_of_every_dockers(network, ours_s, is_met):
    samples = {Case(Figure.END, "reference", network): [[ours_s]] * 5}
    samples |= {Case(Figure.END, name, network): [[0.1]] * 5 for name in ("docker", "docker-28.5")}
    bars = bars_of(samples, engines=(REFERENCE, DOCKER, NEWER))
    assert {what: bar.is_met for (_, what), bar in bars.items()} == {
        "whole end to docker-20.10's": is_met,
        "whole end to docker-28.5's": is_met,
    }


def test_end_without_a_network_has_no_bar():
    names = ("reference", "docker")
    assert bars_of({Case(Figure.END, name, NONE): [[0.1]] * 5 for name in names}) == {}


def test_run_without_the_reference_has_no_bar():
    assert bars_of({metric("docker"): [[0.003]]}, engines=(DOCKER,)) == {}


def test_wire_says_what_the_line_says():
    bar = bars_of({metric("reference"): [[0.003]] * 5, FLOOR_CASE: [[0.001]] * 5})[
        BRIDGE, "allocate to the floor"
    ]
    assert bar.to_wire() == {
        "network": BRIDGE,
        "what": "allocate to the floor",
        "met": False,
        "ours_ms": 3.0,
        "theirs_ms": 1.0,
        "limit": 2.0,
        "ratio": {"value": 3.0, "low": 3.0, "high": 3.0},
    }
