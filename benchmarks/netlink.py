"""The five rtnetlink messages of the kernel floor, packed by hand.

No library on purpose: the floor is the work of the kernel alone, and every layer between it
and the kernel would be somebody's choice. Only IPv4, only what an allocate needs.

Source: the kernel's include/uapi/linux/{netlink,rtnetlink,if_link,if_addr,veth}.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

NLMSG_ERROR = 2
NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_NEWADDR = 20
RTM_NEWROUTE = 24

IFF_UP = 0x1

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_NET_NS_FD = 28
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
VETH_INFO_PEER = 1

IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_BROADCAST = 4

RTA_GATEWAY = 5
RT_TABLE_MAIN = 254
RTPROT_BOOT = 3
RT_SCOPE_UNIVERSE = 0
RTN_UNICAST = 1

_HEADER = struct.Struct("=IHHII")
_IFINFOMSG = struct.Struct("=BxHiII")
_IFADDRMSG = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")
_ERROR = struct.Struct("=i")

_RECEIVE_BYTES = 65536
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Message:
    """One request without its header: the header's sequence number is the socket's business."""

    type: int
    flags: int
    body: bytes


def attribute(kind: int, payload: bytes) -> bytes:
    """Pack one attribute (`struct rtattr`), padded to four bytes."""
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def _name(text: str) -> bytes:
    return text.encode() + b"\0"


def _u32(value: int) -> bytes:
    return struct.pack("=I", value)


def _ifinfomsg(index: int, *, up: bool) -> bytes:
    flags = IFF_UP if up else 0
    return _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, flags, flags)


def new_bridge(name: str, *, up: bool = True) -> Message:
    """Create a bridge."""
    info = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bridge"))
    body = _ifinfomsg(0, up=up) + attribute(IFLA_IFNAME, _name(name)) + info
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def new_veth(
    host: tuple[str, int],
    peer: tuple[str, int],
    *,
    master_index: int,
    netns_fd: int,
    mac: bytes,
) -> Message:
    """Create a pair in one message: one end a port of a bridge, the other in a namespace.

    Both ends get their name and index from us, so that nothing has to be asked afterwards. The
    host's end is created up; the peer cannot be (ENOTCONN: it is opened before the two are tied).
    """
    peer_body = (
        _ifinfomsg(peer[1], up=False)
        + attribute(IFLA_IFNAME, _name(peer[0]))
        + attribute(IFLA_ADDRESS, mac)
        + attribute(IFLA_NET_NS_FD, _u32(netns_fd))
    )
    info = attribute(IFLA_INFO_KIND, b"veth") + attribute(
        IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer_body)
    )
    body = (
        _ifinfomsg(host[1], up=True)
        + attribute(IFLA_IFNAME, _name(host[0]))
        + attribute(IFLA_MASTER, _u32(master_index))
        + attribute(IFLA_LINKINFO, info)
    )
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def set_up(index: int) -> Message:
    """Set a link up."""
    return Message(RTM_NEWLINK, 0, _ifinfomsg(index, up=True))


def new_address(index: int, interface: IPv4Interface) -> Message:
    """Give a link an address, with the broadcast address of its subnet."""
    local = interface.ip.packed
    body = (
        _IFADDRMSG.pack(socket.AF_INET, interface.network.prefixlen, 0, RT_SCOPE_UNIVERSE, index)
        + attribute(IFA_LOCAL, local)
        + attribute(IFA_ADDRESS, local)
        + attribute(IFA_BROADCAST, interface.network.broadcast_address.packed)
    )
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)


def new_default_route(gateway: IPv4Address) -> Message:
    """Add the default route."""
    body = _RTMSG.pack(
        socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0
    ) + attribute(RTA_GATEWAY, gateway.packed)
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body)


def delete_link(index: int) -> Message:
    """Delete a link, and with one end of a pair the other."""
    return Message(RTM_DELLINK, 0, _ifinfomsg(index, up=False))


def encode(messages: Sequence[Message], first_sequence: int) -> bytes:
    """Put several requests into one datagram; only the last asks to be acknowledged.

    The kernel handles them in order and reports every error whether asked or not, so the
    acknowledgement of the last one, with no error before it, says that all were done.
    """
    parts = []
    for offset, message in enumerate(messages):
        flags = NLM_F_REQUEST | message.flags
        if offset == len(messages) - 1:
            flags |= NLM_F_ACK
        length = _HEADER.size + len(message.body)
        header = _HEADER.pack(length, message.type, flags, first_sequence + offset, 0)
        parts.append(header + message.body + bytes(-length % 4))
    return b"".join(parts)


def answers(datagram: bytes) -> list[tuple[int, int]]:
    """Return (sequence number, errno or 0) of each acknowledgement and error in a datagram."""
    found = []
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, _flags, sequence, _port = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size:
            break
        if kind == NLMSG_ERROR:
            (code,) = _ERROR.unpack_from(datagram, offset + _HEADER.size)
            found.append((sequence, -code))
        offset += length + -length % 4
    return found


class NetlinkSocket:
    """A route socket; it stays bound to the namespace that it was opened in."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.bind((0, 0))
        self._sequence = 1

    def execute(self, messages: Sequence[Message]) -> None:
        """Send several requests at once and return when the kernel has done them.

        Raises:
            OSError: the first error that the kernel reports; requests after it were tried too.
        """
        first = self._sequence
        last = first + len(messages) - 1
        self._sequence = last + 1
        self._socket.send(encode(messages, first))
        error = 0
        done = False
        while not done:
            for sequence, code in answers(self._socket.recv(_RECEIVE_BYTES)):
                error = error or code
                done = done or sequence == last
        if error:
            raise OSError(error, f"netlink: {os.strerror(error)}")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
