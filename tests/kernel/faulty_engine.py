"""An engine whose n-th operation fails, or kills it, and a look at everything it may leave behind.

The engine is composed as `refimpl.program` composes it, without the API; kernel, files and store
(and the OCI runtime, where it may be killed at it) go through one `Trap`, which counts while it is
armed. Run as a program it boots, looks, starts the container unarmed, stops it, and then starts it
armed with SIGKILL:

    python -m tests.kernel.faulty_engine DIR bridge|user|three|ports NUMBER before|after

The container is on the default bridge, on a user network, or on three networks at once;
or it publishes ports, which move from one network to another.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from conformance.image import build_archive
from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.daemon import Daemon, Services, database_path
from refimpl.errors import EngineError
from refimpl.kernel.base import Link
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.links import RETIRED_GROUP
from refimpl.kernel.linux import LinuxKernel
from refimpl.libnetwork.controller import new_id, utc_now
from refimpl.libnetwork.store import SQLiteStore
from refimpl.oci.runtime import become_subreaper, find_runtime
from tests.faults import InjectedFault, Moment, Recorder
from tests.mount_table import mounts_below

T = TypeVar("T")
NAME = "faulty"
IMAGE = "faulty-busybox:latest"
USER_SUBNETS = {"nether": "10.232.0.0/24", "outer": "10.232.1.0/24", "away": "10.232.2.0/24"}
CASES: dict[str, tuple[str, ...]] = {
    "bridge": ("bridge",),
    "user": ("nether",),
    "three": ("bridge", "nether", "outer"),
    "ports": ("bridge", "away"),
}
"""The container's networks, in the order in which it is connected to them."""
PORTS = {"80/tcp": [{"HostPort": "28080"}], "53/udp": [{"HostPort": "28053"}]}
"""What it publishes in the case `ports`; they move on with the second network."""
STOP_S = 20.0
LINKS_GO_S = 5.0
_INTERVAL_S = 0.01


class Trap(Recorder):
    """Counts operations while it is armed, and springs at one of them."""

    def __init__(self, *, kills: bool = False) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._armed = False
        self._at: tuple[int, Moment] | None = None
        self._kills = kills

    def arm(self, number: int = 0, moment: Moment = Moment.BEFORE) -> None:
        """Count from 1 from now on, and spring at `number` (0: at none)."""
        self.seen = []
        self._at = (number, moment)
        self._armed = True

    def disarm(self) -> None:
        self._armed = False

    def run(self, name: str, operation: Callable[[], T]) -> T:
        if not self._armed:
            return operation()
        self.seen.append(name)
        number = len(self.seen)
        self._spring(name, number, Moment.BEFORE)
        result = operation()
        try:
            self._spring(name, number, Moment.AFTER)
        except InjectedFault:
            for one in result if isinstance(result, tuple) else (result,):
                if isinstance(one, socket.socket):
                    one.close()  # the resolver's, or a port's, which nobody will get
            raise
        return result

    def _spring(self, name: str, number: int, moment: Moment) -> None:
        if (number, moment) != self._at:
            return
        if self._kills:
            os.kill(os.getpid(), signal.SIGKILL)
        raise InjectedFault(name, number, moment)


def compose(root: Path, trap: Trap, *, with_runtime: bool) -> Daemon:
    """Boot an engine below `root`."""
    config = DaemonConfig(data_root=str(root / "data"), exec_root=str(root / "exec"))
    runtime = find_runtime(config.exec("runtime"), LinuxFiles().read_inside)
    daemon = Daemon(
        Services(
            config=config,
            kernel=trap.wrap(LinuxKernel(), "kernel", uncounted=("close", "sweep")),
            files=trap.wrap(LinuxFiles(), "files"),
            runtime=trap.wrap(runtime, "runtime") if with_runtime else runtime,
            open_store=lambda: trap.wrap(SQLiteStore(database_path(config.data_root)), "store"),
            clock=utc_now,
            new_id=new_id,
        )
    )
    daemon.boot()
    return daemon


def create(daemon: Daemon, case: str) -> None:
    """Create the container that is started over and over, and the networks that it is on."""
    for _ in daemon.image_import(
        io.BytesIO(build_archive()), repo=IMAGE, tag="", changes=(), message=""
    ):
        pass
    first, *others = CASES[case]
    ports = PORTS if case == "ports" else {}
    for network in set(CASES[case]) & set(USER_SUBNETS):
        ipam = {"Config": [{"Subnet": USER_SUBNETS[network]}]}
        daemon.network_create({"Name": network, "CheckDuplicate": True, "IPAM": ipam})
    daemon.container_create(
        NAME,
        {
            "Image": IMAGE,
            "Cmd": ["sleep", "600"],
            "ExposedPorts": {key: {} for key in ports},
            "HostConfig": {"NetworkMode": first, "PortBindings": ports},
        },
    )
    for network in others:
        daemon.network_connect(network, {"Container": NAME})


def start_and_stop(daemon: Daemon) -> dict[str, str]:
    """Start the container, look at it, stop it; return the addresses that it had by network."""
    daemon.container_start(NAME)
    settings = daemon.container_inspect(NAME)["NetworkSettings"]
    addresses = {name: one["IPAddress"] for name, one in settings["Networks"].items()}
    inside = subprocess.run(
        ["nsenter", f"--net={settings['SandboxKey']}", "ip", "-j", "-4", "address", "show", "up"],
        capture_output=True,
        check=True,
        timeout=STOP_S,
    )
    found = [one["local"] for link in json.loads(inside.stdout) for one in link["addr_info"]]
    assert sorted(found) == sorted(["127.0.0.1", *addresses.values()])
    stop(daemon)
    return addresses


def stop(daemon: Daemon) -> None:
    """Kill the container if it runs, and wait until its end has been handled."""
    waiter = daemon.container_wait(NAME, "not-running")
    with suppress(EngineError):
        daemon.container_kill(NAME, "KILL")
    assert waiter.result(STOP_S) is not None, "the container did not end"


def left_behind(daemon: Daemon) -> dict[str, Any]:
    """Return everything outside the container's own directory that a start can leave."""
    config = daemon.services.config
    links = _lasting_links(daemon)
    with closing(
        sqlite3.connect(f"file:{database_path(config.data_root)}?mode=ro", uri=True)
    ) as db:
        rows = {
            table: [row for (row,) in db.execute(f"SELECT value FROM {table}")]
            for table in ("network", "endpoint", "sandbox")
        }
    rules = subprocess.run(
        ["nft", "list", "ruleset"], capture_output=True, text=True, check=True, timeout=STOP_S
    )
    container = daemon.containers.get_container(NAME)
    sockets = subprocess.run(
        ["ss", "-Hltun"], capture_output=True, text=True, check=True, timeout=STOP_S
    )
    return {
        "sockets": sorted(line.split()[4] for line in sockets.stdout.splitlines()),
        "namespaces": sorted(path.name for path in Path(config.exec("netns")).iterdir()),
        "mounts": [
            *mounts_below(config.exec_root),
            *mounts_below(config.data_root),
        ],
        "links": sorted(link.name for link in links),
        "addresses": sorted(str(address) for link in links for address in link.addresses),
        # networks are written in another order after a boot than when they are made one by one
        "words of the rules": sorted(rules.stdout.replace(",", " ").split()),
        "networks": sorted(json.loads(row)["name"] for row in rows["network"]),
        "endpoints": rows["endpoint"],
        "sandboxes": rows["sandbox"],
        "containers of the runtime": list(daemon.services.runtime.list()),
        "bundles": sorted(path.name for path in Path(config.exec("bundles")).iterdir()),
        "drafts": sorted(path.name for path in Path(container.root).glob("*.new")),
    }


def _lasting_links(daemon: Daemon) -> tuple[Link, ...]:
    """Return the host's links, when those that are retired have gone or had the time to."""
    deadline = time.monotonic() + LINKS_GO_S
    while _retired_links() and time.monotonic() < deadline:
        time.sleep(_INTERVAL_S)
    return daemon.services.kernel.links()


def _retired_links() -> list[str]:
    shown = subprocess.run(
        ["ip", "-j", "link", "show", "group", str(RETIRED_GROUP)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [link["ifname"] for link in json.loads(shown or "[]") if link]


def main(directory: str, case: str, number: str, moment: str) -> None:
    """Boot on what the last run left, report it, and run into the trap."""
    become_subreaper()
    trap = Trap(kills=True)
    daemon = compose(Path(directory), trap, with_runtime=True)
    if not list(daemon.containers):
        create(daemon, case)
        start_and_stop(daemon)
    report: dict[str, Any] = {"left": left_behind(daemon)}
    report["addresses"] = start_and_stop(daemon)
    report["left after a start"] = left_behind(daemon)
    print(json.dumps(report), flush=True)
    trap.arm(int(number), Moment(moment))
    daemon.container_start(NAME)
    trap.disarm()
    print(json.dumps(trap.seen), flush=True)
    stop(daemon)
    daemon.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
