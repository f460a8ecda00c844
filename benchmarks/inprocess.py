"""The reference in process: its own `allocate_network`, without its API and without a runtime.

The daemon is composed as the reference's own program composes it: real store, real files, real
kernel. Only the container's process is left out. So this figure is the floor plus what the
reference's own code costs, and the figure by the metric less this one is what its API costs.

This module is run as a worker (see `worker`) in a network and a mount namespace of its own.
"""

from __future__ import annotations

import gc
import io
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import any_revision, worker
from benchmarks.cases import BRIDGE, PORTS, USER
from benchmarks.exec_root import mount_in_memory
from benchmarks.links import wait_for_links_to_go
from refimpl.libnetwork.controller import new_id, utc_now

IMAGE = "netinit/empty"
USER_NETWORK = "netinit-bench"


class InProcess:
    """A daemon with one container per network, and at most one of them allocated."""

    def __init__(self, directory: Path, *, make_id: Callable[[], str] = new_id) -> None:
        """Boot a daemon below a directory and create the containers."""
        data_root, exec_root = directory / "data", directory / "exec"
        self.booted = any_revision.boot(str(data_root), str(exec_root), utc_now, make_id)
        self.daemon = self.booted.daemon
        self._import_image()
        self.daemon.network_create({"Name": USER_NETWORK, "CheckDuplicate": True})
        self._containers = {
            BRIDGE: self.create(BRIDGE, "bridge"),
            USER: self.create(USER, USER_NETWORK),
        }
        self._allocated: Any = None

    def _import_image(self) -> None:
        """Give the daemon an image with an empty root: nothing of it is ever run."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            root = tarfile.TarInfo("etc")
            root.type = tarfile.DIRTYPE
            tar.addfile(root)
        archive.seek(0)
        for _progress in self.daemon.image_import(
            archive, repo=IMAGE, tag="latest", changes=(), message=""
        ):
            pass

    def create(self, name: str, network_mode: str) -> Any:
        """Create a container."""
        container_id, _warnings = self.daemon.container_create(
            name,
            {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": network_mode}},
        )
        return self.booted.get_container(container_id)

    def _create_with_ports(self) -> Any:
        """Create a container that publishes two ports; older revisions cannot."""
        ports = {f"{port}/tcp": [{"HostPort": str(20000 + port)}] for port in (80, 443)}
        container_id, _warnings = self.daemon.container_create(
            PORTS,
            {
                "Image": IMAGE,
                "Cmd": ["true"],
                "ExposedPorts": {port: {} for port in ports},
                "HostConfig": {"NetworkMode": "bridge", "PortBindings": ports},
            },
        )
        return self.booted.get_container(container_id)

    def find(self, network: str) -> Any:
        """Return the container of a network; that of `PORTS` is made when it is first asked for."""
        if network == PORTS and PORTS not in self._containers:
            self._containers[PORTS] = self._create_with_ports()
        return self._containers[network]

    def allocate(self, network: str) -> float:
        """Allocate the network of a container; for `PORTS` on the default bridge, with two ports.

        Returns:
            How long it took, in seconds.
        """
        container = self.find(network)
        self._allocated = container
        with container.lock:
            started = time.perf_counter()
            self.booted.allocate_network(container)
            seconds = time.perf_counter() - started
        self.booted.expect_start()
        return seconds

    def release(self) -> None:
        """Release what `allocate` allocated."""
        container, self._allocated = self._allocated, None
        if container is not None:
            with container.lock:
                self.booted.release_network(container)

    def close(self) -> None:
        """Shut the daemon down."""
        self.daemon.close()


def main() -> int:
    """Serve allocates until the standard input ends; the argument is a directory to work in."""
    directory = Path(sys.argv[1])
    mount_in_memory(directory / "exec")
    reference = InProcess(directory)
    gc.freeze()  # as the program does when it has booted

    def release() -> None:
        reference.release()
        # the reference deletes them behind it; that is not to fall into the next sample
        wait_for_links_to_go()

    try:
        worker.serve(reference.allocate, release)
    finally:
        reference.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
