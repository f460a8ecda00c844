"""The worker's side of the gate: allocates on request, several before a release.

    {"do": "allocate", "network": "user"}         ->  {"seconds": 0.0021, "idle": 0.000002}
    {"do": "allocate", "network": "user",
     "plant": {"wait_s": 0.0002}}                 ->  {"seconds": 0.0023, "idle": 0.000202}
    {"do": "release"}                             ->  {}, and everything is released
    anything that fails                           ->  {"error": "..."}

There is no "idle" where the work is another process's. The first answer comes unasked when the
worker is ready; it has the process whose CPU time counts.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from benchmarks.cases import BRIDGE, USER
from benchmarks.gate.idle import IdleMeter
from benchmarks.gate.plant import Plant
from benchmarks.links import wait_for_links_to_go

BATCH = 10
"""Containers per network: that many allocates between two releases."""
USER_NETWORK = "netinit-bench"
NETWORK_MODES: Mapping[str, str] = {BRIDGE: "bridge", USER: USER_NETWORK}


class Allocator(Protocol):
    """What a worker serves."""

    @property
    def cpu_pid(self) -> int:
        """The process whose CPU time counts."""

    @property
    def works_in_caller(self) -> bool:
        """Whether the thread that asks does the work itself."""

    def allocate(self, network: str, index: int) -> None:
        """Allocate the network of the container `index` of those on a network."""

    def release(self, allocated: list[tuple[str, int]]) -> None:
        """Release these containers, given as network and index."""


def serve(allocator: Allocator) -> None:
    """Answer the requests on standard input until it ends, then release what is allocated."""
    _say({"cpu_pid": allocator.cpu_pid})
    meter = _make_meter(allocator)
    allocated: list[tuple[str, int]] = []
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if request["do"] == "allocate":
                network = request["network"]
                plant = Plant(**request.get("plant", {}))
                index = sum(taken == network for taken, _ in allocated)
                answer = _measure(partial(allocator.allocate, network, index), plant, meter)
                allocated.append((network, index))
            else:
                released, allocated = allocated, []
                allocator.release(released)
                wait_for_links_to_go()
        except Exception as error:  # noqa: BLE001 - the parent is told and decides
            answer = {"error": f"{type(error).__name__}: {error}"}
        _say(answer)
    allocator.release(allocated)


def _make_meter(allocator: Allocator) -> IdleMeter | None:
    if not allocator.works_in_caller:
        return None
    try:
        return IdleMeter()
    except FileNotFoundError:
        return None


def _measure(work: Callable[[], None], plant: Plant, meter: IdleMeter | None) -> dict[str, float]:
    if meter is None:
        started = time.perf_counter()
        work()
        plant.spend()
        return {"seconds": time.perf_counter() - started}
    meter.start()
    work()
    plant.spend()
    seconds, idle = meter.read()
    return {"seconds": seconds, "idle": idle}


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
