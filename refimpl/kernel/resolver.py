"""Where the embedded DNS listens in a sandbox, and the rules that lead port 53 there.

As in Docker the sockets have ports of the kernel's choice, so that a container may itself listen
on port 53 of every address, and nat rules of the sandbox's namespace make a question to port 53
reach them and its answer come from there.

Mirrors: libnetwork resolver_unix.go reexecSetupResolver (v20.10).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from refimpl.kernel import nftables

_IP_FREEBIND = 15
_PORT = 53
_BACKLOG = 128
_TABLE = "nat"
_OUTPUT, _POSTROUTING = "DOCKER_OUTPUT", "DOCKER_POSTROUTING"
_UDP_PLACE, _TCP_PLACE = 0xFEDC, 0xFDCB
"""Stand for the ports in the transaction that is kept; no other field of it has such bytes."""
_NETWORK_SHORT = struct.Struct(">H")


def open_resolver(address: str) -> tuple[socket.socket, ...]:
    """Listen at an address of the calling thread's namespace, and lead its port 53 there.

    Nothing need be up yet, not even `lo`.

    Returns:
        A UDP and a listening TCP socket, both non-blocking.

    Raises:
        OSError: EBUSY, EEXIST or the like when the kernel refuses; nothing is left.
    """
    with contextlib.ExitStack() as undo:
        sockets = []
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            one = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
            undo.callback(one.close)
            one.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
            one.bind((address, 0))
            if kind == socket.SOCK_STREAM:
                one.listen(_BACKLOG)
            sockets.append(one)
        udp_port, tcp_port = (one.getsockname()[1] for one in sockets)
        _lead(address, udp_port, tcp_port)
        undo.pop_all()
        return tuple(sockets)


def open_socket(kind: socket.SocketKind) -> socket.socket:
    """Open a non-blocking IPv4 socket in the calling thread's namespace."""
    return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)


@dataclass(frozen=True, slots=True)
class _Rules:
    """A transaction, encoded once, and where in it the ports go."""

    data: bytes
    messages: int
    udp_offsets: tuple[int, ...]
    tcp_offsets: tuple[int, ...]

    def apply(self, udp_port: int, tcp_port: int, doing: str) -> None:
        data = bytearray(self.data)
        for offsets, port in ((self.udp_offsets, udp_port), (self.tcp_offsets, tcp_port)):
            for offset in offsets:
                _NETWORK_SHORT.pack_into(data, offset, port)
        nftables.run(data, self.messages, doing)


def _lead(address: str, udp_port: int, tcp_port: int) -> None:
    doing = f"lead port {_PORT} of {address} to the embedded DNS"
    try:
        _new_rules(address).apply(udp_port, tcp_port, doing)
    except FileExistsError:
        # an earlier resolver of this namespace has left its rules, which lead nowhere
        _replaced_rules(address).apply(udp_port, tcp_port, doing)


@lru_cache(maxsize=1)
def _new_rules(address: str) -> _Rules:
    """Return what makes table, chains and rules; it fails where our chains are there already."""
    host = socket.inet_aton(address)
    messages = [
        nftables.table(_TABLE),
        nftables.nat_chain(_TABLE, "OUTPUT", nftables.HOOK_OUTPUT, nftables.PRIORITY_DNAT),
        nftables.nat_chain(
            _TABLE, "POSTROUTING", nftables.HOOK_POSTROUTING, nftables.PRIORITY_SNAT
        ),
        nftables.chain(_TABLE, _OUTPUT),
        nftables.chain(_TABLE, _POSTROUTING),
    ]
    for outer, own in (("OUTPUT", _OUTPUT), ("POSTROUTING", _POSTROUTING)):
        to_own_chain = (nftables.is_destination(host), nftables.counter(), nftables.jump(own))
        messages.append(nftables.rule(_TABLE, outer, *to_own_chain, is_first=True))
    return _keep([*messages, *_translations(host)])


@lru_cache(maxsize=1)
def _replaced_rules(address: str) -> _Rules:
    """Return what puts other rules into our chains."""
    flushes = [nftables.flush(_TABLE, chain) for chain in (_OUTPUT, _POSTROUTING)]
    return _keep([*flushes, *_translations(socket.inet_aton(address))])


def _keep(messages: Sequence[bytes]) -> _Rules:
    data = nftables.transaction(messages)
    return _Rules(data, len(messages), _find(data, _UDP_PLACE), _find(data, _TCP_PLACE))


def _find(data: bytes, place: int) -> tuple[int, ...]:
    wanted = _NETWORK_SHORT.pack(place)
    return tuple(offset for offset in range(len(data)) if data.startswith(wanted, offset))


def _translations(host: bytes) -> list[bytes]:
    # moby inserts each at the top, so TCP, which comes second there, stands first
    return [
        *_translation(host, socket.IPPROTO_TCP, _TCP_PLACE),
        *_translation(host, socket.IPPROTO_UDP, _UDP_PLACE),
    ]


def _translation(host: bytes, protocol: int, port: int) -> tuple[bytes, bytes]:
    return (
        nftables.rule(
            _TABLE,
            _OUTPUT,
            nftables.is_protocol(protocol),
            nftables.is_destination(host),
            nftables.is_destination_port(_PORT),
            nftables.counter(),
            nftables.target_dnat(host, port),
            protocol=protocol,
        ),
        nftables.rule(
            _TABLE,
            _POSTROUTING,
            nftables.is_protocol(protocol),
            nftables.is_source(host),
            nftables.is_source_port(port),
            nftables.counter(),
            nftables.target_snat_port(_PORT),
            protocol=protocol,
        ),
    )
