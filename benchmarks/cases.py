"""What is measured: a case is one figure of one engine on one kind of network."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FLOOR_ENGINE = "floor"
REFERENCE = "reference"
"""The engine whose allocate can also be measured without its API, in process."""

BRIDGE = "bridge"
USER = "user"
NONE = "none"
PORTS = "ports"
"""Not a network: the container on the default bridge that publishes two ports."""
ALLOCATING_NETWORKS = (BRIDGE, USER)
STARTED_NETWORKS = (NONE, BRIDGE, USER)
NETWORK_TITLES: Mapping[str, str] = {
    BRIDGE: "default bridge",
    USER: "user network",
    NONE: "none",
}


class Figure(enum.Enum):
    """What a number covers; the value is the heading of its rows."""

    FLOOR = "kernel floor: raw netlink, no bookkeeping"
    PEER = "the same work by a peer: a namespace, and its program set up by one call"
    IN_PROCESS = (
        "allocate in process: the function itself on store, files and kernel; no API, no runtime"
    )
    METRIC = "allocate by the engine's own metric, one start = one sample"
    RELEASE = "release by the engine's own metric, after each of these starts"
    OUTSIDE_IN = "outside in: start of a container minus start with network none"
    START = "whole start: the API request of the SDK until its answer"
    END = "whole end: the request to kill it until it has ended and its links are gone"

    @property
    def covers(self) -> str:
        """What its ratios compare, in one line; "" where the heading says it all."""
        return _COVERS.get(self, "")


_COVERS: Mapping[Figure, str] = {
    Figure.METRIC: "where an engine makes and fills the namespace differs: the reference within "
    "it, Docker 20.10 after it",
    Figure.RELEASE: "Docker's has the deletion of the links in it; the reference deletes them "
    "after it: see the whole end",
    Figure.OUTSIDE_IN: "all that the network adds to a start, wherever an engine counts it",
    Figure.START: 'mostly the runtime and the container\'s process: the rows "none" are starts '
    "without a network",
    Figure.END: 'the end of the process as well, see the rows "none"; and every deletion, early '
    "or late",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One figure of one engine on one kind of network.

    Attributes:
        figure: what the number covers.
        engine: the engine as `--engine` names it, `floor`, or the name of a peer.
        network: `bridge`, `user` or `none`.
    """

    figure: Figure
    engine: str
    network: str

    @property
    def id(self) -> str:
        """Its name in pytest and in the JSON."""
        return f"{self.figure.name.lower().replace('_', '-')}-{self.network}-{self.engine}"


FLOOR_CASE = Case(Figure.FLOOR, FLOOR_ENGINE, BRIDGE)


def plan_cases(engines: Sequence[str], peers: Sequence[str]) -> tuple[Case, ...]:
    """Return every case of a run over these engines and peers, in the order of the table."""
    cases = [FLOOR_CASE]
    cases += [Case(Figure.PEER, peer, BRIDGE) for peer in peers]
    if REFERENCE in engines:
        cases += [Case(Figure.IN_PROCESS, REFERENCE, net) for net in ALLOCATING_NETWORKS]
    for figure, networks in (
        (Figure.METRIC, ALLOCATING_NETWORKS),
        (Figure.RELEASE, ALLOCATING_NETWORKS),
        (Figure.OUTSIDE_IN, ALLOCATING_NETWORKS),
        (Figure.START, STARTED_NETWORKS),
        (Figure.END, STARTED_NETWORKS),
    ):
        cases += [Case(figure, engine, net) for net in networks for engine in engines]
    return tuple(cases)
