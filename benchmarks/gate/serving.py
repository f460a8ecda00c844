"""The worker's side of the gate: allocates on request, several before a release.

    {"do": "allocate", "network": "user"}                 ->  {"seconds": 0.0021}
    {"do": "release"}      everything that is allocated   ->  {}
    anything that fails                                   ->  {"error": "..."}

The first answer comes unasked when the worker is ready; it has the process whose CPU time counts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from benchmarks.cases import BRIDGE, USER

BATCH = 10
"""Containers per network: that many allocates between two releases."""
USER_NETWORK = "netinit-bench"
NETWORK_MODES: Mapping[str, str] = {BRIDGE: "bridge", USER: USER_NETWORK}


class Allocator(Protocol):
    """What a worker serves."""

    @property
    def cpu_pid(self) -> int:
        """The process whose CPU time counts."""

    def allocate(self, network: str, index: int) -> None:
        """Allocate the network of the container `index` of those on a network."""

    def release(self, allocated: list[tuple[str, int]]) -> None:
        """Release these containers, given as network and index."""


def serve(allocator: Allocator) -> None:
    """Answer the requests on standard input until it ends, then release what is allocated."""
    _say({"cpu_pid": allocator.cpu_pid})
    allocated: list[tuple[str, int]] = []
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if request["do"] == "allocate":
                network = request["network"]
                index = sum(taken == network for taken, _ in allocated)
                started = time.perf_counter()
                allocator.allocate(network, index)
                answer = {"seconds": time.perf_counter() - started}
                allocated.append((network, index))
            else:
                released, allocated = allocated, []
                allocator.release(released)
        except Exception as error:  # noqa: BLE001 - the parent is told and decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        _say(answer)
    allocator.release(allocated)


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
