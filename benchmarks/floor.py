"""The kernel floor: the work of an allocate that nobody can avoid, and nothing else.

One allocate is: a new network namespace, its file (the bind mount that keeps it alive), a veth
pair with one end in the namespace and the other a port of a bridge, `lo` up, the address, the
default route. Six system calls and two netlink datagrams. No bookkeeping, no files, no firewall.

This module is run as a worker (see `worker`) inside a network and a mount namespace of its own,
so whatever it makes is gone when it ends, however it ends. It is single-threaded and changes its
own namespace; a daemon has to use a thread for that, which costs it more and is its own choice.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import time
from ipaddress import IPv4Interface
from pathlib import Path

from benchmarks import netlink, worker
from benchmarks.exec_root import mount_in_memory

BRIDGE = "ni-floor"
SANDBOX_INTERFACE = "eth0"
SUBNET_GATEWAY = IPv4Interface("172.17.0.1/16")
SANDBOX_ADDRESS = IPv4Interface("172.17.0.2/16")
SANDBOX_MAC = bytes.fromhex("0242ac110002")

_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_MNT_DETACH = 2
_LO_INDEX = 1
_FIRST_INDEX = 100

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


class Namespace:
    """A network namespace with a name, one at a time, made by a process without threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._home_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def make(self) -> None:
        """Make it, give it its name, and stay inside.

        Raises:
            OSError: the kernel refused a step.
        """
        _check(_libc.unshare(_CLONE_NEWNET), "unshare")
        os.close(os.open(self.path, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o600))
        _check(
            _libc.mount(b"/proc/self/ns/net", os.fsencode(self.path), None, _MS_BIND, None),
            "bind mount",
        )

    def leave(self) -> None:
        """Go back to where the process came from."""
        _check(_libc.setns(self._home_fd, _CLONE_NEWNET), "setns")

    def unpin(self) -> None:
        """Take its name away; it is gone when nobody is inside."""
        _check(_libc.umount2(os.fsencode(self.path), _MNT_DETACH), "umount")
        self.path.unlink()


class Floor:
    """Makes one sandbox at a time below a directory, and unmakes it."""

    def __init__(self, directory: Path) -> None:
        self._namespace = Namespace(directory / "netns")
        self._host = netlink.NetlinkSocket()
        self._index = _FIRST_INDEX
        self._host.execute([netlink.set_up(_LO_INDEX), netlink.new_bridge(BRIDGE)])
        self._bridge_index = socket.if_nametoindex(BRIDGE)
        self._host.execute([netlink.new_address(self._bridge_index, SUBNET_GATEWAY)])

    def allocate(self) -> float:
        """Make the sandbox.

        Returns:
            How long it took, in seconds.

        Raises:
            OSError: the kernel refused a step; what was made before it goes with the worker.
        """
        self._index += 2
        started = time.perf_counter()
        self._namespace.make()
        netns_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        inside = netlink.NetlinkSocket()
        self._host.execute(
            [
                netlink.new_veth(
                    (f"veth{self._index}", self._index),
                    (SANDBOX_INTERFACE, self._index + 1),
                    master_index=self._bridge_index,
                    netns_fd=netns_fd,
                    mac=SANDBOX_MAC,
                )
            ]
        )
        inside.execute(
            [
                netlink.set_up(_LO_INDEX),
                netlink.new_address(self._index + 1, SANDBOX_ADDRESS),
                netlink.set_up(self._index + 1),
                netlink.new_default_route(SUBNET_GATEWAY.ip),
            ]
        )
        inside.close()
        os.close(netns_fd)
        return time.perf_counter() - started

    def release(self) -> None:
        """Unmake what `allocate` made."""
        self._host.execute([netlink.delete_link(self._index)])
        self._namespace.unpin()
        self._namespace.leave()


def main() -> int:
    """Serve allocates until the standard input ends; the argument is a directory to work in."""
    exec_root = Path(sys.argv[1], "exec")
    mount_in_memory(exec_root)
    floor = Floor(exec_root)

    def allocate(_network: str) -> float:
        return floor.allocate()

    worker.serve(allocate, floor.release)
    return 0


if __name__ == "__main__":
    sys.exit(main())
