"""A daemon with a crowd: many sandboxes and networks, and one start more as the sample.

The daemon is that of `inprocess`: the reference's own, without API and container processes. This
module is run as a worker in namespaces of its own; it reads one JSON request per line:

    {"do": "containers", "count": 1000}      ->  {"seconds": 2.1}
    {"do": "sandboxes", "count": 300}        ->  {"seconds": 0.61}
    {"do": "networks", "count": 100}         ->  {"seconds": 0.40}
    {"do": "sample", "network": "bridge"}    ->  {"allocate": 0.0012, "release": 0.0011}
    {"do": "memory"}                         ->  {"kib": 41236}
    anything that fails                      ->  {"error": "..."}
"""

from __future__ import annotations

import gc
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.exec_root import mount_in_memory
from benchmarks.inprocess import InProcess

SANDBOXES_PER_NETWORK = 125
"""A bridge of the kernel's has 1,024 ports at most, so a crowd is spread over networks."""
_PSS = re.compile(r"^Pss:\s+([0-9]+) kB$", re.MULTILINE)


class Crowd:
    """A daemon whose sandboxes and networks grow and shrink on request."""

    def __init__(self, directory: Path) -> None:
        """Boot the daemon; it has the sample's containers and no crowd yet."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        mount_in_memory(directory / "exec")
        self._reference = InProcess(directory)
        self._networks: list[str] = []
        self._containers: list[Any] = []
        self._allocated = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what one request says."""
        match request["do"]:
            case "containers":
                return _timed(lambda: self._set_containers(request["count"]))
            case "sandboxes":
                return _timed(lambda: self._set_sandboxes(request["count"]))
            case "networks":
                return _timed(lambda: self._set_networks(request["count"]))
            case "sample":
                return self._sample(request["network"])
            case "memory":
                return {"kib": _pss_kib()}
        raise ValueError(f"no such request: {request['do']}")

    def close(self) -> None:
        """Shut the daemon down."""
        self._reference.close()

    def _sample(self, network: str) -> dict[str, float]:
        allocate_s = self._reference.allocate(network)
        release_s = _timed(self._reference.release)["seconds"]
        return {"allocate": allocate_s, "release": release_s}

    def _set_networks(self, count: int) -> None:
        daemon = self._reference.daemon
        while len(self._networks) < count:
            number = len(self._networks)
            subnet = f"10.{100 + number // 250}.{number % 250}.0/24"
            name = f"crowd-{number}"
            daemon.network_create({"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}})
            self._networks.append(name)
        while len(self._networks) > count:
            daemon.network_remove(self._networks.pop())

    def _set_sandboxes(self, count: int) -> None:
        while self._allocated < count:
            container = self._containers[self._allocated]
            with container.lock:
                self._reference.booted.allocate_network(container)
            self._reference.booted.expect_start()
            self._allocated += 1
        while self._allocated > count:
            self._allocated -= 1
            container = self._containers[self._allocated]
            with container.lock:
                self._reference.booted.release_network(container)

    def _set_containers(self, count: int) -> None:
        """Create the containers that are missing, and the networks that they need."""
        while len(self._containers) < count:
            number = len(self._containers)
            if number // SANDBOXES_PER_NETWORK >= len(self._networks):
                self._set_networks(len(self._networks) + 1)
            network = self._networks[number // SANDBOXES_PER_NETWORK]
            self._containers.append(self._reference.create(f"crowd-{number}", network))
        # The program does so when it has booted. A crowd's containers stand for those that it finds
        # on its disk then: no collection looks at them during a start.
        gc.freeze()


def _timed(work: Callable[[], None]) -> dict[str, float]:
    started = time.perf_counter()
    work()
    return {"seconds": time.perf_counter() - started}


def _pss_kib() -> int:
    gc.collect()
    found = _PSS.search(Path("/proc/self/smaps_rollup").read_text())
    if found is None:
        raise OSError("/proc/self/smaps_rollup says no Pss")
    return int(found[1])


def main() -> int:
    """Serve until the standard input ends; the argument is a directory to work in."""
    crowd = Crowd(Path(sys.argv[1]))
    try:
        print(json.dumps({}), flush=True)
        for line in sys.stdin:
            try:
                answer = crowd.answer(json.loads(line))
            except Exception as error:  # noqa: BLE001 - the parent is told and decides
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), flush=True)
    finally:
        crowd.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
