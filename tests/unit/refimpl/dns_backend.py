"""A sandbox as its resolver sees it: a few names, and servers on this machine's loopback."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import dns.rdatatype

from refimpl.libnetwork.ipam import IPAddress
from refimpl.libnetwork.resolver import Resolver
from refimpl.libnetwork.upstream import Upstream

TIMEOUT_S = 10.0


class Names:
    """A sandbox that knows two names."""

    def __init__(self, *upstreams: str, ndots_set: bool = False) -> None:
        self.upstreams = tuple(map(Upstream, upstreams))
        self.ndots_set = ndots_set
        self.known: dict[str, tuple[str, ...]] = {
            "db": ("10.0.0.2",),
            "both": ("10.0.0.2", "10.0.0.3"),
            "six": ("10.0.0.6", "fd00::6"),
        }
        self.reverse = {"10.0.0.2": "db.net", "fd00::6": "six.net"}
        self.asked: list[Upstream] = []

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        addresses = [ip_address(text) for text in self.known.get(name.lower(), ())]
        found = tuple(address for address in addresses if address.version == version)
        return found, bool(addresses) and not found

    def resolve_ip(self, address: IPAddress) -> str:
        return self.reverse.get(str(address), "")

    def open_socket(self, upstream: Upstream, kind: socket.SocketKind) -> socket.socket:
        self.asked.append(upstream)
        return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)


def addresses(response: dns.message.Message) -> set[str]:
    return {
        str(item)
        for rrset in response.answer
        if rrset.rdtype in {dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.PTR}
        for item in rrset
    }


class Server:
    """A resolver with one sandbox, on this machine's loopback."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.resolver = Resolver()
        self.udp = bound(socket.SOCK_DGRAM)
        self.tcp = bound(socket.SOCK_STREAM)
        self.port: int = self.udp.getsockname()[1]
        self.tcp_port: int = self.tcp.getsockname()[1]
        self.resolver.add("s", (self.udp, self.tcp), names)

    def ask(
        self, name: str, rdtype: str = "A", *, tcp: bool = False, **options: Any
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, **options)
        if tcp:
            return dns.query.tcp(query, "127.0.0.1", timeout=TIMEOUT_S, port=self.tcp_port)
        return dns.query.udp(query, "127.0.0.1", timeout=TIMEOUT_S, port=self.port)

    def call(self) -> socket.socket:
        """Open a TCP connection to it."""
        return socket.create_connection(("127.0.0.1", self.tcp_port), TIMEOUT_S)


def bound(kind: socket.SocketKind) -> socket.socket:
    """Open a socket as a sandbox hands it to its resolver."""
    one = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    one.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        one.listen()
    return one


def count_descriptors() -> int:
    """Count the process's open descriptors, without those that wait to be collected."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition, which the words describe."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain until {what}"
        time.sleep(0.005)
