"""A name server for both engines that knows no name and says so at once.

Without it a name that the embedded DNS does not know is asked of a server that is not there, for
seconds, and 20.10 does not stop a container before that is over.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from conformance.observe.files import parse_resolv_conf
from tests.differential.netns_eyes import in_netns
from tests.differential.pair import Pair

_DEFAULT = ("8.8.8.8", "8.8.4.4")
"""Whom Docker asks where the machine names nobody that a container can reach."""

_NXDOMAIN = bytes((0x81, 0x83))
_POLL_S = 0.1


@contextmanager
def nobody_known_upstream(pair: Pair) -> Iterator[None]:
    """Answer NXDOMAIN, in either daemon's namespace, at the machine's name servers' addresses."""
    servers = parse_resolv_conf(Path("/etc/resolv.conf").read_text(encoding="utf-8")).nameservers
    usable = [server for server in servers if _is_reachable(server)] or list(_DEFAULT)
    with contextlib.ExitStack() as stack:
        opened = []
        for side in pair.sides:
            netns = side.host.daemon_netns().path
            for address in usable:
                _ip(netns, "add", address)
                stack.callback(_ip, netns, "delete", address)
                opened.append(in_netns(str(netns), partial(_listen, address)))
                stack.callback(opened[-1].close)
        over = threading.Event()
        thread = threading.Thread(target=_serve, args=(opened, over))
        thread.start()
        stack.callback(thread.join)
        stack.callback(over.set)
        yield


def _is_reachable(server: str) -> bool:
    address = ipaddress.ip_address(server.partition("%")[0])
    return address.version == 4 and not address.is_loopback


def _ip(netns: Path, verb: str, address: str) -> None:
    words = ("ip", "address", verb, f"{address}/32", "dev", "lo")
    subprocess.run(["nsenter", f"--net={netns}", *words], check=True, timeout=20)


def _listen(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind((address, 53))
    return opened


def _serve(opened: list[socket.socket], over: threading.Event) -> None:
    while not over.is_set():
        for ready in select.select(opened, [], [], _POLL_S)[0]:
            query, client = ready.recvfrom(4096)
            ready.sendto(query[:2] + _NXDOMAIN + query[4:], client)
