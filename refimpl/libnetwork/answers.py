"""What the embedded DNS answers: a question and a sandbox's names in, a message out.

Pure: no sockets here. What it cannot answer itself it hands back to be forwarded.

A question as every stub resolver sends it is read here, and the addresses are written, without a
DNS library, since a thousand of them come in a second; whatever else a packet may hold, and the
names of reverse answers, are dnspython's. The answers are those of 20.10 to the byte: no EDNS of
its own, names not compressed.

Mirrors: libnetwork resolver.go and the server of its DNS library (v20.10).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from refimpl.libnetwork.ipam import IPAddress, parse_ip
from refimpl.limits import DNS_TCP_PAYLOAD_BYTES, DNS_TTL_S, DNS_UDP_PAYLOAD_BYTES

Shuffle = Callable[[MutableSequence[Any]], None]

SILENCE = b""
"""What some questions are answered with."""

HEADER = struct.Struct(">HHHHHH")
"""Id, flags, and how many entries each of the four sections has."""
_FIXED = struct.Struct(">HH")
"""Type and class of a question."""
_RECORD = struct.Struct(">HHIH")
"""Type, class, time to live and length of a record, behind its name."""

QR, TC, RD, RA, AD, CD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
_OPCODE = 0x7800
_QUERY, _NOTIFY = 0 << 11, 4 << 11
_OPCODES_TAKEN = frozenset((_QUERY, _NOTIFY))
_FORMERR, _NOTIMP = 1, 4
_OTHERS_MAX = (1, 1, 2)
"""How many answers, authorities and additional records a query may have."""
_PLAIN = frozenset(range(0x21, 0x7F)) - frozenset(b'."\\();@$')
"""What stands for itself in a name's text; anything else is written with a backslash."""
_LABEL_BYTES_MAX = 63
_NAME_BYTES_MAX = 255

_A, _PTR, _MX, _AAAA, _OPT = 1, 12, 15, 28, 41
_IN = 1
_REVERSE_IPV4, _REVERSE_IPV6 = ".in-addr.arpa", ".ip6.arpa"


def _library() -> ModuleType:
    from refimpl.libnetwork import dns_library  # noqa: PLC0415 - it says why

    return dns_library


class Backend(Protocol):
    """What the resolver asks a sandbox.

    Called from the resolver's thread, so it takes no lock that is held across kernel operations.
    """

    @property
    def ndots_set(self) -> bool:
        """Whether the user set ndots."""

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        """Return addresses of a name, and whether the name exists without one of this family."""

    def resolve_ip(self, address: IPAddress) -> str:
        """Return the name of an address, "" for none."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query that is one.

    Attributes:
        wire: The whole message.
        end: Where its question ends.
        name: Its name as text, without the dot at the end; "" for the root.
        rdtype: Its type.
        payload_bytes: The largest UDP answer that the client announces (EDNS), 0 without.
    """

    wire: bytes
    end: int
    name: str
    rdtype: int
    payload_bytes: int

    def room_bytes(self, *, udp: bool) -> int:
        """Return how long an answer may be."""
        return max(self.payload_bytes, DNS_UDP_PAYLOAD_BYTES) if udp else DNS_TCP_PAYLOAD_BYTES


# -- reading ---------------------------------------------------------------------------------------


def read_query(wire: bytes) -> Question | bytes:
    """Read a query, or return what is to be said to something else (SILENCE, mostly).

    Mirrors: DefaultMsgAcceptFunc and serveDNS of github.com/miekg/dns as 20.10 has it.
    """
    if len(wire) < HEADER.size:
        return SILENCE
    _, flags, questions, *others = HEADER.unpack_from(wire)
    if flags & QR:
        return SILENCE
    if flags & _OPCODE not in _OPCODES_TAKEN:
        return _refusal(wire, _NOTIMP, flags & _OPCODE)
    is_read = questions == 1 and all(map(int.__le__, others, _OTHERS_MAX))
    question = _read_question(wire, others) if is_read else None
    return _refusal(wire, _FORMERR) if question is None else question


def _read_question(wire: bytes, others: Sequence[int]) -> Question | None:
    """Read the question behind the header, and what is behind it; None for a malformed message.

    Args:
        wire: The message.
        others: How many entries its other sections have.
    """
    asked = _read_name(wire)
    if asked is None or asked[1] + _FIXED.size > len(wire):
        return None
    name, offset = asked
    rdtype, _ = _FIXED.unpack_from(wire, offset)
    end = offset + _FIXED.size
    payload_bytes = _read_payload_bytes(wire, end, others) if any(others) else 0
    return None if payload_bytes is None else Question(wire, end, name, rdtype, payload_bytes)


def _read_name(wire: bytes) -> tuple[str, int] | None:
    """Return the text of the name behind the header and where it ends; None for no name."""
    labels = []
    is_plain = True
    start = offset = HEADER.size
    while True:
        if offset >= len(wire):
            return None
        length = wire[offset]
        offset += 1
        if not length:
            break
        label = wire[offset : offset + length]
        offset += length
        # the first name of a message has nothing to point at, so there are no pointers
        if length > _LABEL_BYTES_MAX or offset - start >= _NAME_BYTES_MAX:
            return None
        is_plain = is_plain and _PLAIN.issuperset(label)
        labels.append(label)
    if is_plain:
        return b".".join(labels).decode("ascii"), offset
    return _library().name_to_text(labels), offset


def _read_payload_bytes(wire: bytes, end: int, others: Sequence[int]) -> int | None:
    """Return the UDP size that the client announces, 0 without; None for a malformed message."""
    # by far most of them: one OPT record of the root, and nothing behind it
    is_plain = list(others) == [0, 0, 1]
    if is_plain and wire[end : end + 1] == b"\0" and len(wire) >= end + 1 + _RECORD.size:
        rdtype, size, _, length = _RECORD.unpack_from(wire, end + 1)
        if rdtype == _OPT and end + 1 + _RECORD.size + length == len(wire):
            return int(size)
    announced: int | None = _library().read_payload_bytes(wire)
    return announced


def _refusal(wire: bytes, rcode: int, opcode: int = 0) -> bytes:
    """Say only that it cannot be; the flags are what 20.10 leaves of them."""
    identity, flags, *_ = HEADER.unpack_from(wire)
    kept = flags & (TC | RD | RA | AD | CD)
    return HEADER.pack(identity, QR | opcode | kept | rcode, 0, 0, 0, 0)


# -- answering -------------------------------------------------------------------------------------


def answer(
    question: Question, backend: Backend, *, udp: bool, shuffle: Shuffle = random.shuffle
) -> bytes | None:
    """Return the answer to a question, or None when an upstream server has to be asked.

    Its class is not looked at, as in 20.10.

    Args:
        question: The question.
        backend: The sandbox that asks.
        udp: Whether it came over UDP: an answer that has no room is then marked truncated.
        shuffle: Mixes the addresses of a name with several holders, so that they take turns.
    """
    if question.rdtype in {_A, _AAAA}:
        return _answer_address(question, backend, shuffle, udp=udp)
    if question.rdtype == _PTR:
        return _answer_pointer(question, backend, udp=udp)
    if question.rdtype == _MX:
        return _answer_mail_exchange(question, backend)
    return None


def _answer_address(
    question: Question, backend: Backend, shuffle: Shuffle, *, udp: bool
) -> bytes | None:
    addresses, is_miss = backend.resolve_name(question.name, 4 if question.rdtype == _A else 6)
    if not addresses:
        # our name without such an address: NOERROR and nothing in it. A single label with a
        # user's ndots: likewise, so that the client goes on with its search domains.
        is_root_label = backend.ndots_set and "." not in question.name
        return _encode(question, (), udp=udp) if is_miss or is_root_label else None
    values = [address.packed for address in addresses]
    if len(values) > 1:
        shuffle(values)
    return _encode(question, values, udp=udp)


def _answer_mail_exchange(question: Question, backend: Backend) -> bytes | None:
    """Return nothing without an error for a name of ours, which then takes its mail itself."""
    is_ours = any(backend.resolve_name(question.name, version)[0] for version in (4, 6))
    return _encode(question, (), udp=False) if is_ours else None


def _answer_pointer(question: Question, backend: Backend, *, udp: bool) -> bytes | None:
    address = _address_of(question.name)
    if address is None:
        is_reverse = question.name.endswith((_REVERSE_IPV4, _REVERSE_IPV6))
        # 20.10 holds any other name for an error, and says nothing
        return None if is_reverse else SILENCE
    name = backend.resolve_ip(address)
    if not name:
        return None
    target = _library().name_to_wire(name)
    # a container or a network may be called what no DNS name can be: then somebody else may know
    # better, where 20.10 says nothing (moby#46928)
    return None if target is None else _encode(question, (target,), udp=udp)


def _address_of(name: str) -> IPAddress | None:
    """Return the address that a reverse name stands for."""
    if name.endswith(_REVERSE_IPV4):
        return parse_ip(".".join(reversed(name.removesuffix(_REVERSE_IPV4).split("."))))
    nibbles = name.removesuffix(_REVERSE_IPV6)
    if not name.endswith(_REVERSE_IPV6) or nibbles[1::2] != "." * 31:
        return None
    digits = nibbles[::-2]
    return parse_ip(":".join(digits[start : start + 4] for start in range(0, 32, 4)))


def _encode(question: Question, values: Sequence[bytes], *, udp: bool) -> bytes:
    """Write an answer; what has no room is left out, and marked so if a client can ask again."""
    wire, end = question.wire, question.end
    identity, flags, *_ = HEADER.unpack_from(wire)
    kept = flags & _OPCODE or flags & (RD | CD)
    name = wire[HEADER.size : end - _FIXED.size]
    records = [
        b"".join((name, _RECORD.pack(question.rdtype, _IN, DNS_TTL_S, len(value)), value))
        for value in values
    ]
    if records:
        room = (question.room_bytes(udp=udp) - end) // len(records[0])
        if room < len(records):
            del records[max(room, 0) :]
            kept |= TC if udp else 0
    head = HEADER.pack(identity, QR | RA | kept, 1, len(records), 0, 0)
    return b"".join((head, wire[HEADER.size : end], *records))
