"""The bars: what the reference is held to, each one a ratio of two figures of the same run.

A bar that needs something which the run did not measure (a release, a peer, enough samples for a
tail) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from benchmarks.cases import (
    ALLOCATING_NETWORKS,
    BRIDGE,
    FLOOR_CASE,
    NETWORK_TITLES,
    REFERENCE,
    STARTED_NETWORKS,
    Case,
    Figure,
)
from benchmarks.figures import FEW_SAMPLES, Ratio, percentiles
from benchmarks.measure import EngineInfo, Measurements
from benchmarks.ratios import ratio_between, ratio_to_wire, show_number

MAX_TO_FLOOR = 2.0
MAX_TAIL = 3.0
"""The reference's p99 to its own p50, on an idle machine."""

MAX_TO_DOCKER: tuple[tuple[str, float], ...] = (("23.0", 1 / 4), ("27.0", 1 / 8))
"""Before which release of Docker, and the largest share of its allocate that ours may take."""
MAX_TO_NEWEST_DOCKER = 1 / 6
MAX_END_TO_DOCKER = 1 / 2
"""The largest share of any Docker's whole end on a network that ours may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One thing that the reference is held to; the times are in seconds.

    Attributes:
        network: `bridge`, `user` or `none`.
        what: the figure of ours that is compared, and with what.
        ours: our figure.
        theirs: the figure that it is compared with.
        limit: the largest `ours / theirs` that meets the bar.
        ratio: the ratio of the two with its interval; None where it has none (a tail).
    """

    network: str
    what: str
    ours: float
    theirs: float
    limit: float
    ratio: Ratio | None

    @property
    def is_met(self) -> bool:
        """Whether the reference is as fast as the bar asks, in this run."""
        return self.ours <= self.limit * self.theirs

    def __str__(self) -> str:
        """Say it in one line."""
        share = show_number(self.ours / self.theirs) if self.theirs > 0 else "-"
        interval = (
            f" [{show_number(self.ratio.low)} {show_number(self.ratio.high)}]" if self.ratio else ""
        )
        return (
            f"{'met' if self.is_met else 'MISSED'}: {NETWORK_TITLES[self.network]}: {self.what}: "
            f"{self.ours * 1000:.2f} / {self.theirs * 1000:.2f} ms = {share}{interval}, "
            f"at most {show_number(self.limit)}"
        )

    def to_wire(self) -> dict[str, Any]:
        """Return the bar for the JSON."""
        return {
            "network": self.network,
            "what": self.what,
            "met": self.is_met,
            "ours_ms": self.ours * 1000,
            "theirs_ms": self.theirs * 1000,
            "limit": self.limit,
            "ratio": ratio_to_wire(self.ratio),
        }


def make_bars(measurements: Measurements) -> tuple[Bar, ...]:
    """Return the bars of a run that measured the reference; in the order of the verdict."""
    found: list[Bar] = []
    for network in ALLOCATING_NETWORKS:
        ours = Case(Figure.METRIC, REFERENCE, network)
        if ours not in measurements.samples:
            continue
        found += _allocate_bars(measurements, ours)
    dockers = [info for info in measurements.engines if info.family == "docker"]
    for network in STARTED_NETWORKS:
        ours = Case(Figure.START, REFERENCE, network)
        for info in dockers:
            theirs = Case(Figure.START, info.name, network)
            found += _compare(measurements, ours, theirs, f"whole start to {info.label}'s", 1.0)
    for network in ALLOCATING_NETWORKS:
        ours = Case(Figure.END, REFERENCE, network)
        for info in dockers:
            theirs = Case(Figure.END, info.name, network)
            what = f"whole end to {info.label}'s"
            found += _compare(measurements, ours, theirs, what, MAX_END_TO_DOCKER)
    return tuple(found)


def _allocate_bars(measurements: Measurements, ours: Case) -> Iterator[Bar]:
    yield from _compare(measurements, ours, FLOOR_CASE, "allocate to the floor", MAX_TO_FLOOR)
    figures = percentiles(measurements.samples[ours])
    if figures.n >= FEW_SAMPLES:
        yield Bar(
            network=ours.network,
            what="allocate's p99 to its p50",
            ours=figures.p99,
            theirs=figures.p50,
            limit=MAX_TAIL,
            ratio=None,
        )
    release = Case(Figure.RELEASE, REFERENCE, ours.network)
    yield from _compare(measurements, release, ours, "release to its own allocate", 1.0)
    for info in measurements.engines:
        if info.family == "docker":
            theirs = Case(Figure.METRIC, info.name, ours.network)
            what = f"allocate to {info.label}'s"
            yield from _compare(measurements, ours, theirs, what, max_to_docker(info))
    if ours.network == BRIDGE:
        for peer in measurements.peers:
            theirs = Case(Figure.PEER, peer.name, BRIDGE)
            yield from _compare(measurements, ours, theirs, f"allocate to {peer.label}'s", 1.0)


def max_to_docker(info: EngineInfo) -> float:
    """Return the largest share of a Docker's allocate that ours may take, by its release."""
    try:
        version = Version(info.version.partition("+")[0])
    except InvalidVersion:
        return MAX_TO_NEWEST_DOCKER
    return next(
        (share for before, share in MAX_TO_DOCKER if version < Version(before)),
        MAX_TO_NEWEST_DOCKER,
    )


def _compare(
    measurements: Measurements, ours: Case, theirs: Case, what: str, limit: float
) -> Iterator[Bar]:
    samples = measurements.samples
    if ours in samples and theirs in samples:
        yield Bar(
            network=ours.network,
            what=what,
            ours=percentiles(samples[ours]).p50,
            theirs=percentiles(samples[theirs]).p50,
            limit=limit,
            ratio=ratio_between(measurements, ours, theirs),
        )
