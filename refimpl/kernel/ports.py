"""Published ports: a socket that claims each, nftables elements that lead it to the container.

Everything of one change (a start, a stop) is one nftables transaction. No packet passes through the
daemon; what no rule can lead on passes through the relay (`kernel/relay.py`), a process of its own.

Mirrors: libnetwork portmapper/mapper.go and drivers/bridge/port_mapping.go (v20.10).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import socket
import struct
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from refimpl.kernel import conntrack, nftables
from refimpl.kernel.base import PortClaim, PublishedPort
from refimpl.kernel.firewall import (
    ANY_IPV4,
    ANY_IPV6,
    ONE_IPV4,
    ONE_IPV6,
    OPEN_IPV4,
    OPEN_IPV6,
)
from refimpl.kernel.relay import Relay

logger = logging.getLogger(__name__)

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_BACKLOG = 4096
_CLAIMS_SHARE = 0.75
"""The part of all descriptors that ports may take: an image can expose any number, and the rest of
the engine, and of its clients, needs some as well."""
_PROTOCOLS = {
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_PROTOCOL_NUMBERS = {name: number for name, (_, number) in _PROTOCOLS.items()}
_PORT = struct.Struct(">Hxx")
_PROTOCOL = struct.Struct("=Bxxx")
_SETS = {4: (ANY_IPV4, ONE_IPV4, OPEN_IPV4), 6: (ANY_IPV6, ONE_IPV6, OPEN_IPV6)}

Elements = dict[str, list[tuple[bytes, bytes]]]
Change = Callable[[str, str, Sequence[tuple[bytes, bytes]]], list[bytes]]


def ephemeral_ports() -> tuple[int, int]:
    """Return the first and the last port that the kernel gives out by itself."""
    first, last = _RANGE.read_text(encoding="ascii").split()
    return int(first), int(last)


def claim(protocol: str, address: IPv4Address | IPv6Address, port: int) -> socket.socket:
    """Bind a port of the host; what would be a connection waits there for the relay.

    A TCP socket listens: one that is only bound would let another bind as well, or would itself be
    refused for a minute after the port's last owner had a connection.

    Raises:
        OSError: somebody has the port, or the host does not have the address; EMFILE where ports
            have most of the descriptors that the process may have.
    """
    kind, number = _PROTOCOLS[protocol]
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    one = socket.socket(family, kind | socket.SOCK_NONBLOCK, number)
    try:
        # the kernel gives the lowest free number: so many are open
        if one.fileno() >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] * _CLAIMS_SHARE:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((str(address), port))
        if kind == socket.SOCK_STREAM:
            one.listen(_BACKLOG)
    except BaseException:
        one.close()
        raise
    return one


class Ports:
    """The published ports of an engine.

    Args:
        table: the name of its nftables table.
        relay: leads on what the table cannot.
    """

    def __init__(self, table: str, relay: Relay) -> None:
        self._table = table
        self._relay = relay
        self._with_loopback: set[str] = set()
        """Bridges through which 127.0.0.1 leads to containers."""

    def renew_bridge(self, name: str) -> None:
        """Note that a bridge may be a new one; ports may have been published before it was made."""
        if name in self._with_loopback:
            self._with_loopback.discard(name)
            self._route_localnet(name)

    def publish(
        self, bridge: str, claims: Sequence[PortClaim], *, with_relay: bool, is_live: bool
    ) -> None:
        """Lead the claimed ports to a container; nothing is left when it raises.

        Raises:
            FileNotFoundError: the table is gone.
            OSError: the kernel refused.
        """
        ports = [one.port for one in claims]
        elements = _elements(ports)
        if bridge not in self._with_loopback:
            self._route_localnet(bridge)
        self._put(elements)
        try:
            if with_relay:
                relayed = [one for one in claims if one.port.host_ip.version == 6]
                self._relay.add(relayed, at_once=is_live)
            conntrack.forget_flows_to(_udp(ports))
        except BaseException:
            with contextlib.suppress(OSError):
                self._take(elements)
            raise

    def unpublish(self, ports: Sequence[PublishedPort]) -> None:
        """Take them back; no error when they are not there."""
        try:
            self._take(_elements(ports))
        finally:
            self._relay.remove([port for port in ports if port.host_ip.version == 6])
        conntrack.forget_flows_from({port.ip for port in ports})

    def _route_localnet(self, bridge: str) -> None:
        """Let the host reach containers of a bridge from 127.0.0.1; the table guards the rest."""
        path = Path("/proc/sys/net/ipv4/conf", bridge, "route_localnet")
        try:
            path.write_text("1", encoding="ascii")
            self._with_loopback.add(bridge)
        except OSError as error:
            # the host's own addresses lead there all the same
            logger.warning("127.0.0.1 does not lead to published ports: %s", error)

    def _put(self, elements: Elements) -> None:
        try:
            self._change(nftables.set_elements, elements, "publish ports")
        except FileExistsError:
            # left by a change that could not be undone, and led elsewhere
            self._take(elements)
            self._change(nftables.set_elements, elements, "publish ports")

    def _take(self, elements: Elements) -> None:
        try:
            self._change(nftables.no_set_elements, elements, "take back published ports")
        except FileNotFoundError:
            # some are gone, or all with their table
            for name, ones in elements.items():
                self._take_any(name, ones)

    def _take_any(self, name: str, ones: list[tuple[bytes, bytes]]) -> None:
        """Take back those that are there, in few changes: each takes some milliseconds."""
        try:
            self._change(_make_and_take, {name: ones}, "take back published ports")
        except FileNotFoundError:
            return  # the table is gone
        except FileExistsError:
            # one leads elsewhere
            half = len(ones) // 2
            for some in (ones[:half], ones[half:]) if half else ():
                self._take({name: some})

    def _change(self, change: Change, elements: Elements, doing: str) -> None:
        messages = [
            message
            for name, ones in elements.items()
            for message in change(self._table, name, ones)
        ]
        if messages:
            nftables.run(nftables.transaction(messages), len(messages), doing)


def _make_and_take(table: str, name: str, elements: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Take elements out of a map or set; no error when one is not there, as it is made first."""
    made = nftables.set_elements(table, name, elements)
    return made + nftables.no_set_elements(table, name, elements)


def _elements(ports: Sequence[PublishedPort]) -> Elements:
    """Return the elements for those that a rule can lead on, by the name of their map or set."""
    elements: Elements = {}
    opened: dict[str, dict[bytes, bytes]] = {}
    for port in ports:
        if port.host_ip.version != port.ip.version or port.host_ip == IPv6Address("::1"):
            continue
        protocol = _PROTOCOL.pack(_PROTOCOL_NUMBERS[port.protocol])
        any_address, one_address, is_open = _SETS[port.ip.version]
        key = protocol + _PORT.pack(port.host_port)
        target = _PORT.pack(port.port)
        name = any_address
        if not port.host_ip.is_unspecified:
            name, key = one_address, port.host_ip.packed + key
        elements.setdefault(name, []).append((key, port.ip.packed + target))
        opened.setdefault(is_open, {})[port.ip.packed + protocol + target] = b""
    for is_open, keys in opened.items():
        elements[is_open] = list(keys.items())
    return elements


def _udp(ports: Sequence[PublishedPort]) -> dict[int, set[int]]:
    """Return, by family, the host ports that rules lead on and that know no connections."""
    found: dict[int, set[int]] = {}
    for port in ports:
        if port.protocol == "udp" and port.host_ip.version == port.ip.version:
            family = socket.AF_INET if port.ip.version == 4 else socket.AF_INET6
            found.setdefault(family, set()).add(port.host_port)
    return found
