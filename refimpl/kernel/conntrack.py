"""The kernel's memory of flows, as far as published ports need it forgotten.

The first packet of a flow decides where the flow goes. A UDP client that keeps its port would reach
the container that had the port before, or nobody, for as long as it goes on sending.

Mirrors: libnetwork iptables/conntrack.go (v20.10).
"""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from ipaddress import IPv4Address, IPv6Address

from refimpl.kernel.netlink import attribute

logger = logging.getLogger(__name__)

_NETLINK_NETFILTER = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_NESTED = 0x8000
_KIND_MASK = 0x3FFF
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ID, _FILTER = 1, 2, 12, 25
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_SOURCES = {socket.AF_INET: 1, socket.AF_INET6: 3}
"""By family: the attribute of a source address."""
_NUMBER, _DESTINATION_PORT = 1, 3
_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_BY_SOURCE, _BY_NUMBER, _BY_DESTINATION_PORT = 1 << 0, 1 << 3, 1 << 5
_HEADER = struct.Struct("=IHHIIBBH")
"""struct nlmsghdr and struct nfgenmsg."""
_ATTRIBUTE = struct.Struct("=HH")
_RECEIVE_BYTES = 64 * 1024
_ANSWER_TIMEOUT_S = 10


def forget_flows_to(ports: Mapping[int, Set[int]]) -> None:
    """Forget the UDP flows whose first packet went to one of these ports of the host.

    The kernel walks through all flows of the machine, whatever is asked for: so once a family.

    Args:
        ports: by family.
    """
    for family, wanted in ports.items():
        asked, flags = attribute(_NUMBER, bytes((socket.IPPROTO_UDP,))), _BY_NUMBER
        if len(wanted) == 1:
            asked += attribute(_DESTINATION_PORT, struct.pack(">H", *wanted))
            flags |= _BY_DESTINATION_PORT
        _forget(
            family,
            attribute(_TUPLE_ORIGINAL | _NESTED, attribute(_TUPLE_PROTOCOL | _NESTED, asked)),
            attribute(_ORIGINAL_FLAGS, struct.pack("=I", flags)),
            partial(_went_to, wanted),
        )


def forget_flows_from(addresses: Set[IPv4Address | IPv6Address]) -> None:
    """Forget the flows that these addresses answered: what came to a container through a port."""
    for address in addresses:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        source = attribute(_SOURCES[family], address.packed)
        _forget(
            family,
            attribute(_TUPLE_REPLY | _NESTED, attribute(_TUPLE_IP | _NESTED, source)),
            attribute(_REPLY_FLAGS, struct.pack("=I", _BY_SOURCE)),
            lambda _flow: True,
        )


def _forget(family: int, wanted: bytes, flags: bytes, is_meant: Callable[[bytes], bool]) -> None:
    """Forget what the kernel finds; a failure is logged, since nothing else depends on it."""
    try:
        with socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
        ) as one:
            one.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _ANSWER_TIMEOUT_S, 0)
            )
            _send(one, _GET, _DUMP, family, wanted + attribute(_FILTER | _NESTED, flags))
            flows = [body for kind, body in _answers(one) if kind not in {_ERROR, _DONE}]
            for flow in filter(is_meant, flows):
                _send(one, _DELETE, _ACK, family, _name(flow))
                for _ in _answers(one):
                    pass
    except OSError as error:
        logger.warning("flows of a published port are not forgotten: %s", error)


def _send(one: socket.socket, kind: int, flags: int, family: int, payload: bytes) -> None:
    length = _HEADER.size + len(payload)
    one.send(_HEADER.pack(length, kind, flags | _REQUEST, 0, 0, family, 0, 0) + payload)


def _answers(one: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Yield kind and attributes of each message, up to the one that ends an answer.

    Raises:
        OSError: the kernel refused; a flow that has gone by itself is no error.
    """
    while True:
        data = one.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, offset)
            if kind == _ERROR:
                (code,) = struct.unpack_from("=i", data, offset + 16)
                if code not in {0, -errno.ENOENT}:
                    raise OSError(-code, "look at the kernel's flows")
            yield kind, data[offset + _HEADER.size : offset + length]
            if kind in {_ERROR, _DONE}:
                return
            offset += (length + 3) & ~3


def _name(flow: bytes) -> bytes:
    """Return the attributes that name a flow, as they came."""
    return b"".join(
        attribute(kind, value)
        for kind, value in _attributes(flow)
        if kind & _KIND_MASK in {_TUPLE_ORIGINAL, _ID}
    )


def _went_to(ports: Set[int], flow: bytes) -> bool:
    return _destination_port(flow) in ports


def _destination_port(flow: bytes) -> int:
    """Return the port that a flow's first packet went to; 0 where it has none."""
    value = flow
    for wanted in (_TUPLE_ORIGINAL, _TUPLE_PROTOCOL, _DESTINATION_PORT):
        value = next((one for kind, one in _attributes(value) if kind & _KIND_MASK == wanted), b"")
    return int.from_bytes(value, "big")


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
