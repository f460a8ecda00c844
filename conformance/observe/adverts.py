"""Router advertisements: what a container sends that wants to be its neighbours' IPv6 router."""

import ipaddress
import socket
import struct
from pathlib import Path

from conformance.observe.sockets import socket_in

_ALL_NODES = ipaddress.IPv6Address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_SENDER = ipaddress.IPv6Address("fe80::bad:1")
_ICMPV6 = 58
_IPV6_FRAME = 0x86DD
_ROUTER_ADVERTISEMENT = 134
_PREFIX_INFORMATION = 3
_ON_LINK_AND_AUTONOMOUS = 0xC0
_LIFETIME_S = 1800


def advertisement(mac: str, prefix: ipaddress.IPv6Network) -> bytes:
    """Build the frame of a default router that offers a /64 for addresses of one's own (RFC 4861).

    Args:
        mac: the sender's hardware address.
        prefix: the subnet.
    """
    option = struct.pack(
        "!BBBBIII16s",
        _PREFIX_INFORMATION,
        4,
        prefix.prefixlen,
        _ON_LINK_AND_AUTONOMOUS,
        _LIFETIME_S,
        _LIFETIME_S,
        0,
        prefix.network_address.packed,
    )
    head = struct.pack("!BBHBBHII", _ROUTER_ADVERTISEMENT, 0, 0, 64, 0, _LIFETIME_S, 0, 0)
    message = head + option
    pseudo = _SENDER.packed + _ALL_NODES.packed + struct.pack("!II", len(message), _ICMPV6)
    message = message[:2] + struct.pack("!H", _checksum(pseudo + message)) + message[4:]
    packet = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255)
    packet += _SENDER.packed + _ALL_NODES.packed
    ethernet = _ALL_NODES_MAC + bytes.fromhex(mac.replace(":", ""))
    return ethernet + struct.pack("!H", _IPV6_FRAME) + packet + message


def advertise(netns: Path, link: str, mac: str, prefix: str) -> None:
    """Send a router advertisement over a link of a container; it need not have IPv6 itself.

    Raises:
        EngineError: the namespace cannot be entered.
    """
    with socket_in(netns, socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((link, _IPV6_FRAME))
        sender.send(advertisement(mac, ipaddress.IPv6Network(prefix)))


def _checksum(data: bytes) -> int:
    total = sum(int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
