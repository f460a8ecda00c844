"""nftables rules as netlink messages, for what is programmed with every container: no nft, no fork.

Only what such rules need: tables, chains, a few expressions, and one transaction that is sent as
it lies. pyroute2 knows no `dnat`, and its encoder would cost more than the kernel's own work.

The rules are put together as iptables-nft does it (matches as nftables' own expressions, targets
by way of the kernel's `nft_compat`), so that `iptables` can list and change them. Whoever looks at
a container's rules with iptables sees what Docker's would show.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

from refimpl.kernel.netlink import attribute

_NETLINK_NETFILTER = 12
_NFNL_MSG_BATCH_BEGIN = 0x10
_NFNL_MSG_BATCH_END = 0x11
_NFNL_SUBSYS_NFTABLES = 10
_NFT_MSG_NEWTABLE = 0
_NFT_MSG_DELTABLE = 2
_NFT_MSG_NEWCHAIN = 3
_NFT_MSG_NEWRULE = 6
_NFT_MSG_DELRULE = 8
_NFT_MSG_NEWSETELEM = 12
_NFT_MSG_DELSETELEM = 14
_NLM_F_REQUEST = 0x1
_NLM_F_ACK = 0x4
_NLM_F_EXCL = 0x200
_NLM_F_CREATE = 0x400
_NLM_F_APPEND = 0x800
_NLMSG_ERROR = 2
_NLA_F_NESTED = 0x8000
_NFPROTO_INET = 1

_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY, _CHAIN_TYPE = 1, 3, 4, 5, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_COMPAT = 1, 2, 4, 5
_COMPAT_PROTOCOL, _COMPAT_FLAGS = 1, 2
_LIST_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA = 1, 1, 2
_DATA_VALUE, _DATA_VERDICT = 1, 2
_ELEMENTS_TABLE, _ELEMENTS_SET, _ELEMENTS = 1, 2, 3
_ELEMENT_KEY, _ELEMENT_DATA = 1, 2
_ELEMENTS_PER_MESSAGE = 500
"""An attribute has at most 64 KiB."""
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_NFT_JUMP = -3
_POLICY_ACCEPT = 1
_REGISTER = 1
_META_L4PROTO = 16
_CMP_EQ = 0
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2

HOOK_OUTPUT, HOOK_POSTROUTING = 3, 4
PRIORITY_DNAT, PRIORITY_SNAT = -100, 100

_NUMBER = struct.Struct(">I")
_PORT = struct.Struct(">H")
_HEADER = struct.Struct("=IHHIIBBH")
"""struct nlmsghdr and struct nfgenmsg."""
_ERROR_CODE = struct.Struct("=i")
_ERROR_OFFSET = 16
_RECEIVE_BYTES = 16 * 1024
_ANSWER_TIMEOUT_S = 10
_SO_SNDBUFFORCE = 32
_USUAL_SEND_BYTES = 64 * 1024


def table(name: str) -> bytes:
    """Make a table of the IPv4 family; no error when it is there already."""
    return _message(_NFT_MSG_NEWTABLE, _NLM_F_CREATE, attribute(_TABLE_NAME, _text(name)))


def no_inet_table(name: str) -> tuple[bytes, bytes]:
    """Delete a table of the inet family; no error when it is not there, as it is made first."""
    named = attribute(_TABLE_NAME, _text(name))
    return (
        _message(_NFT_MSG_NEWTABLE, _NLM_F_CREATE, named, family=_NFPROTO_INET),
        _message(_NFT_MSG_DELTABLE, 0, named, family=_NFPROTO_INET),
    )


def chain(table_name: str, name: str) -> bytes:
    """Make a chain that rules jump to; EEXIST when it is there already."""
    payload = attribute(_CHAIN_TABLE, _text(table_name)) + attribute(_CHAIN_NAME, _text(name))
    return _message(_NFT_MSG_NEWCHAIN, _NLM_F_CREATE | _NLM_F_EXCL, payload)


def flush(table_name: str, chain_name: str) -> bytes:
    """Delete every rule of a chain."""
    payload = attribute(_RULE_TABLE, _text(table_name)) + attribute(_RULE_CHAIN, _text(chain_name))
    return _message(_NFT_MSG_DELRULE, 0, payload)


def nat_chain(table_name: str, name: str, hook: int, priority: int) -> bytes:
    """Make a chain that sees the first packet of every connection, and lets it pass."""
    payload = b"".join(
        (
            attribute(_CHAIN_TABLE, _text(table_name)),
            attribute(_CHAIN_NAME, _text(name)),
            _nest(
                _CHAIN_HOOK,
                attribute(_HOOK_NUMBER, _NUMBER.pack(hook)),
                attribute(_HOOK_PRIORITY, struct.pack(">i", priority)),
            ),
            attribute(_CHAIN_POLICY, _NUMBER.pack(_POLICY_ACCEPT)),
            attribute(_CHAIN_TYPE, _text("nat")),
        )
    )
    return _message(_NFT_MSG_NEWCHAIN, _NLM_F_CREATE, payload)


def rule(
    table_name: str,
    chain_name: str,
    *expressions: bytes,
    protocol: int = 0,
    is_first: bool = False,
) -> bytes:
    """Append a rule.

    Args:
        table_name: of the IPv4 family.
        chain_name: in it.
        expressions: what the functions below return, matches first.
        protocol: IPPROTO_UDP or _TCP when a target insists on it, as DNAT to a port does.
        is_first: Put it before the rules that are there instead.
    """
    payload = [
        attribute(_RULE_TABLE, _text(table_name)),
        attribute(_RULE_CHAIN, _text(chain_name)),
        _nest(_RULE_EXPRESSIONS, *expressions),
    ]
    if protocol:
        payload.append(
            _nest(
                _RULE_COMPAT,
                attribute(_COMPAT_PROTOCOL, _NUMBER.pack(protocol)),
                attribute(_COMPAT_FLAGS, _NUMBER.pack(0)),
            )
        )
    flags = _NLM_F_CREATE | (0 if is_first else _NLM_F_APPEND)
    return _message(_NFT_MSG_NEWRULE, flags, b"".join(payload))


def set_elements(
    table_name: str, set_name: str, elements: Sequence[tuple[bytes, bytes]]
) -> list[bytes]:
    """Put elements into a set or a map of a table of the inet family.

    Args:
        table_name: of the inet family.
        set_name: in it.
        elements: key and data (b"" in a set); each part of one begins at a multiple of four bytes.
            One that is there already is no error, unless it has other data.
    """
    return _elements(_NFT_MSG_NEWSETELEM, _NLM_F_CREATE, table_name, set_name, elements)


def no_set_elements(
    table_name: str, set_name: str, elements: Sequence[tuple[bytes, bytes]]
) -> list[bytes]:
    """Take elements out of a set or a map; ENOENT when one is not there."""
    keys = [(key, b"") for key, _ in elements]
    return _elements(_NFT_MSG_DELSETELEM, 0, table_name, set_name, keys)


def _elements(
    kind: int,
    flags: int,
    table_name: str,
    set_name: str,
    elements: Sequence[tuple[bytes, bytes]],
) -> list[bytes]:
    place = attribute(_ELEMENTS_TABLE, _text(table_name)) + attribute(
        _ELEMENTS_SET, _text(set_name)
    )
    messages = []
    for first in range(0, len(elements), _ELEMENTS_PER_MESSAGE):
        encoded = (
            _nest(_LIST_ELEMENT, *_key_and_data(key, data))
            for key, data in elements[first : first + _ELEMENTS_PER_MESSAGE]
        )
        payload = place + _nest(_ELEMENTS, *encoded)
        messages.append(_message(kind, flags, payload, family=_NFPROTO_INET))
    return messages


def _key_and_data(key: bytes, data: bytes) -> list[bytes]:
    attributes = [_nest(_ELEMENT_KEY, attribute(_DATA_VALUE, key))]
    if data:
        attributes.append(_nest(_ELEMENT_DATA, attribute(_DATA_VALUE, data)))
    return attributes


# -- expressions -----------------------------------------------------------------------------------


def is_protocol(protocol: int) -> bytes:
    """Match UDP or TCP."""
    loaded = _expression(
        "meta",
        attribute(2, _NUMBER.pack(_META_L4PROTO)),
        attribute(1, _NUMBER.pack(_REGISTER)),
    )
    return loaded + _equals(bytes((protocol,)))


def is_source(address: bytes) -> bytes:
    """Match the IPv4 source address."""
    return _load(_NETWORK_HEADER, 12, len(address)) + _equals(address)


def is_destination(address: bytes) -> bytes:
    """Match the IPv4 destination address."""
    return _load(_NETWORK_HEADER, 16, len(address)) + _equals(address)


def is_source_port(port: int) -> bytes:
    """Match the source port of UDP or TCP."""
    return _load(_TRANSPORT_HEADER, 0, _PORT.size) + _equals(_PORT.pack(port))


def is_destination_port(port: int) -> bytes:
    """Match the destination port of UDP or TCP."""
    return _load(_TRANSPORT_HEADER, 2, _PORT.size) + _equals(_PORT.pack(port))


def counter() -> bytes:
    """Count packets and bytes, as every rule of iptables does."""
    return _expression("counter", attribute(1, bytes(8)), attribute(2, bytes(8)))


def jump(chain_name: str) -> bytes:
    """Go on in another chain, and come back."""
    verdict = _nest(
        _DATA_VERDICT,
        attribute(_VERDICT_CODE, struct.pack(">i", _NFT_JUMP)),
        attribute(_VERDICT_CHAIN, _text(chain_name)),
    )
    return _expression("immediate", attribute(1, _NUMBER.pack(0)), _nest(2, verdict))


def target_dnat(address: bytes, port: int) -> bytes:
    """Send the connection to an address and port (iptables -j DNAT --to-destination).

    The body is the kernel's struct nf_nat_range2: flags, two addresses of 16 bytes, two ports in
    network order, a base port.
    """
    map_ips_and_ports = struct.pack("=I", 0x1 | 0x2)
    padded = address + bytes(12)
    body = map_ips_and_ports + padded * 2 + _PORT.pack(port) * 2 + bytes(4)
    return _target("DNAT", 2, body)


def target_snat_port(port: int) -> bytes:
    """Give the connection another source port (iptables -j SNAT --to-source :PORT).

    The body is struct nf_nat_ipv4_multi_range_compat: a count and one range of IPv4.
    """
    body = struct.pack("=II", 1, 0x2) + bytes(8) + _PORT.pack(port) * 2
    return _target("SNAT", 0, body)


# -- transactions ----------------------------------------------------------------------------------


def transaction(messages: Sequence[bytes]) -> bytes:
    """Number the messages and wrap them up: the kernel does them all or none.

    Only the last one is acknowledged, since the kernel tells of every error anyway.
    """
    begin = _message(_NFNL_MSG_BATCH_BEGIN, 0, b"", family=0, resource=_NFNL_SUBSYS_NFTABLES)
    end = _message(_NFNL_MSG_BATCH_END, 0, b"", family=0, resource=_NFNL_SUBSYS_NFTABLES)
    numbered = [bytearray(message) for message in (begin, *messages, end)]
    for number, message in enumerate(numbered):
        struct.pack_into("=I", message, 8, number)
    (flags,) = struct.unpack_from("=H", numbered[-2], 6)
    struct.pack_into("=H", numbered[-2], 6, flags | _NLM_F_ACK)
    return b"".join(numbered)


def run(data: bytes | bytearray, last: int, doing: str) -> None:
    """Do a transaction in the calling thread's network namespace.

    Args:
        data: from `transaction`.
        last: how many messages it was made of.
        doing: the words that begin an error's text.

    Raises:
        OSError: the kernel refused; nothing was done.
    """
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
    ) as one:
        # the kernel answers at once; the limit is there so that a lost answer is an error, no hang
        one.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _ANSWER_TIMEOUT_S, 0)
        )
        if len(data) > _USUAL_SEND_BYTES:
            one.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, 2 * len(data))
        one.sendto(data, (0, 0))
        while not _is_last(one.recv(_RECEIVE_BYTES), last, doing):
            pass


def _is_last(answer: bytes, last: int, doing: str) -> bool:
    """Read one answer and tell whether it is the last one.

    Raises:
        OSError: it is an error.
    """
    _, kind, _, number, *_ = _HEADER.unpack_from(answer)
    if kind != _NLMSG_ERROR:
        return False
    (code,) = _ERROR_CODE.unpack_from(answer, _ERROR_OFFSET)
    if code:
        raise OSError(-code, f"{doing}: {os.strerror(-code)}")
    return bool(number == last)


# -- encoding --------------------------------------------------------------------------------------


def _message(
    kind: int, flags: int, payload: bytes, *, family: int = socket.AF_INET, resource: int = 0
) -> bytes:
    if family:
        kind |= _NFNL_SUBSYS_NFTABLES << 8
    length = _HEADER.size + len(payload)
    header = _HEADER.pack(
        length, kind, flags | _NLM_F_REQUEST, 0, 0, family, 0, socket.htons(resource)
    )
    return header + payload


def _nest(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | _NLA_F_NESTED, b"".join(attributes))


def _expression(name: str, *attributes: bytes) -> bytes:
    return _nest(
        _LIST_ELEMENT,
        attribute(_EXPRESSION_NAME, _text(name)),
        _nest(_EXPRESSION_DATA, *attributes),
    )


def _load(header: int, offset: int, size: int) -> bytes:
    return _expression(
        "payload",
        *(
            attribute(kind, _NUMBER.pack(value))
            for kind, value in enumerate((_REGISTER, header, offset, size), start=1)
        ),
    )


def _equals(value: bytes) -> bytes:
    return _expression(
        "cmp",
        attribute(1, _NUMBER.pack(_REGISTER)),
        attribute(2, _NUMBER.pack(_CMP_EQ)),
        _nest(3, attribute(_DATA_VALUE, value)),
    )


def _target(name: str, revision: int, body: bytes) -> bytes:
    return _expression(
        "target",
        attribute(1, _text(name)),
        attribute(2, _NUMBER.pack(revision)),
        attribute(3, body),
    )


def _text(name: str) -> bytes:
    return name.encode() + b"\0"
