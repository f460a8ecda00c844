"""The peers: programs whose whole job is the work of allocate, called as their runtimes call them.

A CNI runtime (containerd, CRI-O) executes the `bridge` plugin, which executes `host-local` for the
address; Podman executes netavark. Both are given a namespace that exists, so the clock starts where
the floor's starts, before the namespace is made, and stops when the program has ended. What the
programs need to be told (JSON on standard input) is put together outside the clock.

Nothing is added that a peer does not do by itself: `lo` stays down and nobody writes hosts files,
which is in the peers' favour.

This module is run as a worker (see `worker`) in a network and a mount namespace of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from benchmarks import worker
from benchmarks.exec_root import mount_in_memory
from benchmarks.floor import Namespace

CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
NETAVARK_PATHS = ("/usr/lib/podman/netavark", "/usr/libexec/podman/netavark")
CONTAINER_ID = "ni" * 32
NETWORK_ID = "ab" * 32
SUBNET, GATEWAY, ADDRESS = "172.30.0.0/16", "172.30.0.1", "172.30.0.2"
RUN_TIMEOUT_S = 20.0

CNI_BRIDGE = "cni-bridge"
NETAVARK = "netavark"


class PeerError(Exception):
    """A peer failed, or is not installed."""


class Peer(ABC):
    """One network tool, driven on one bridge of its own."""

    def __init__(self, program: Path, directory: Path) -> None:
        self._program = program
        self._directory = directory
        self._namespace = Namespace(directory / "exec" / "netns")

    @abstractmethod
    def command(self, action: str) -> tuple[list[str], dict[str, str], str]:
        """Return what sets a namespace up ("add") or takes it down ("del").

        Returns:
            The arguments, the environment and the standard input.
        """

    def allocate(self) -> float:
        """Make a namespace and have it set up; returns the seconds that both took."""
        arguments, environment, request = self.command("add")
        started = time.perf_counter()
        self._namespace.make()
        self._namespace.leave()
        _run(arguments, environment, request)
        return time.perf_counter() - started

    def release(self) -> None:
        """Have the namespace taken down, and unmake it."""
        _run(*self.command("del"))
        self._namespace.unpin()


class CniBridge(Peer):
    """The CNI plugin `bridge` with `host-local`, network configuration of CNI 0.4."""

    def command(self, action: str) -> tuple[list[str], dict[str, str], str]:
        """See `Peer.command`."""
        environment = {
            "CNI_COMMAND": action.upper(),
            "CNI_CONTAINERID": CONTAINER_ID,
            "CNI_NETNS": str(self._namespace.path),
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(self._program.parent),
            # it has no other environment; the plugin may look for iptables
            "PATH": os.environ.get("PATH", os.defpath),
        }
        ipam = {
            "type": "host-local",
            "subnet": SUBNET,
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(self._directory / "addresses"),
        }
        request = {
            "cniVersion": "0.4.0",
            "name": "netinit-bench",
            "type": "bridge",
            "bridge": "ni-cni0",
            "isGateway": True,
            "ipam": ipam,
        }
        return [str(self._program)], environment, json.dumps(request)


class Netavark(Peer):
    """netavark as Podman calls it, without the DNS server that it would start."""

    def command(self, action: str) -> tuple[list[str], dict[str, str], str]:
        """See `Peer.command`."""
        network: dict[str, Any] = {
            "name": "netinit-bench",
            "id": NETWORK_ID,
            "driver": "bridge",
            "network_interface": "ni-nv0",
            "subnets": [{"subnet": SUBNET, "gateway": GATEWAY}],
            "ipv6_enabled": False,
            "internal": False,
            "dns_enabled": False,
            "ipam_options": {"driver": "host-local"},
        }
        request = {
            "container_id": CONTAINER_ID,
            "container_name": "netinit-bench",
            "networks": {network["name"]: {"static_ips": [ADDRESS], "interface_name": "eth0"}},
            "network_info": {network["name"]: network},
        }
        verb = {"add": "setup", "del": "teardown"}[action]
        state = self._directory / "netavark"
        arguments = [str(self._program), "--config", str(state), verb, str(self._namespace.path)]
        return arguments, dict(os.environ), json.dumps(request)


def _run(arguments: list[str], environment: dict[str, str], request: str) -> None:
    result = subprocess.run(
        arguments,
        input=request,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    if result.returncode != 0:
        said = (result.stdout + result.stderr).strip()
        raise PeerError(f"{arguments[0]} ended with {result.returncode}: {said}")


def find_peers() -> dict[str, Path]:
    """Return the programs of the peers that are installed here, by the peer's name."""
    found: dict[str, Path] = {}
    folder = next((Path(at) for at in CNI_FOLDERS if (Path(at) / "bridge").exists()), None)
    if folder is not None and (folder / "host-local").exists():
        found[CNI_BRIDGE] = folder / "bridge"
    netavark = next((Path(at) for at in NETAVARK_PATHS if Path(at).exists()), None)
    if netavark is not None:
        found[NETAVARK] = netavark
    return found


def version_of(name: str, program: Path) -> str:
    """Return what a peer says of its version; the words of the package's manager where it can.

    The plugins of Debian call themselves "CNI bridge plugin unknown".
    """
    query = shutil.which("dpkg-query")
    if query is not None:
        owner = subprocess.run(
            [query, "--search", str(program)], capture_output=True, text=True, check=False
        )
        package = owner.stdout.partition(":")[0]
        if owner.returncode == 0 and package:
            shown = subprocess.run(
                [query, "--show", "--showformat=${Package} ${Version}", package],
                capture_output=True,
                text=True,
                check=False,
            )
            if shown.returncode == 0:
                return shown.stdout
    said = subprocess.run(
        [str(program), "--version"], capture_output=True, text=True, check=False, timeout=10
    )
    return (said.stdout + said.stderr).strip() or name


PEERS: dict[str, type[Peer]] = {CNI_BRIDGE: CniBridge, NETAVARK: Netavark}


def main() -> int:
    """Serve allocates until the standard input ends; arguments: the peer and a folder."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    program = find_peers()[name]
    mount_in_memory(folder / "exec")
    peer = PEERS[name](program, folder)

    def allocate(_network: str) -> float:
        return peer.allocate()

    worker.serve(allocate, peer.release)
    return 0


if __name__ == "__main__":
    sys.exit(main())
