"""Route netlink over one plain socket: several messages in one send, errors as OSError.

The socket stays bound to the network namespace of the thread that opened it, and may be used
from any thread afterwards. (pyroute2's own synchronous `IPRoute` keeps a socket per thread, and
so quietly opens a second one in the wrong namespace; hence only its message classes are used.)

The kernel works through the messages of one send in order and answers each before `sendto`
returns, so a batch costs one round trip.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_REPLACE = 0x100

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22
RTM_NEWROUTE = 24
RTM_DELROUTE = 25
RTM_GETROUTE = 26

IFF_UP = 0x1
IFA_F_NODAD = 0x02
RTEXT_FILTER_SKIP_STATS = 1 << 3

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_DUMP_INTERRUPTED = 0x10
_ACK_HAS_ATTRIBUTES = 0x200
_ERROR_TEXT_ATTRIBUTE = 1
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11

_HEADER = struct.Struct("=IHHII")
_RECEIVE_BYTES = 256 * 1024
_ANSWER_TIMEOUT_S = 10
_DUMP_ATTEMPTS_MAX = 20

_MESSAGE_CLASSES: dict[int, Any] = {
    **dict.fromkeys((RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK), ifinfmsg),
    **dict.fromkeys((RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR), ifaddrmsg),
    **dict.fromkeys((RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE), rtmsg),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One netlink message, and in `doing` the words for what it is there to do."""

    kind: int
    doing: str
    flags: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    attributes: Sequence[tuple[str, Any]] = ()
    is_dump: bool = False

    def encode(self, sequence: int) -> bytes:
        """Return the message in the kernel's format; `sequence` marks the answers to it."""
        message = _MESSAGE_CLASSES[self.kind]()
        message["header"]["type"] = self.kind
        # a dump ends with a message of its own and must not be acknowledged as well
        acknowledge = 0 if self.is_dump else NLM_F_ACK
        message["header"]["flags"] = self.flags | NLM_F_REQUEST | acknowledge
        message["header"]["sequence_number"] = sequence
        for name, value in self.fields.items():
            message[name] = value
        message["attrs"] = list(self.attributes)
        try:
            message.encode()
        except (ValueError, TypeError, struct.error) as error:
            # such as a MAC that is none: the kernel would say EINVAL if it could be told
            raise OSError(errno.EINVAL, f"{self.doing}: {error}") from error
        return bytes(message.data)


@dataclass(slots=True)
class Answer:
    """What came back for one request: messages, and the error if it failed."""

    error: OSError | None = None
    messages: list[Any] = field(default_factory=list)
    is_interrupted: bool = False


class Netlink:
    """A route socket of the namespace that the opening thread is in."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        # the kernel answers at once; the limit is there so that a lost answer is an error, no hang
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _ANSWER_TIMEOUT_S, 0)
        )
        self._socket.bind((0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def exchange(self, requests: Sequence[Request]) -> list[Answer]:
        """Send requests in one go; each has its own answer, and a failed one stops no other."""
        if not requests:
            return []
        data = b"".join(request.encode(number) for number, request in enumerate(requests, 1))
        self._socket.sendto(data, (0, 0))
        answers = [Answer() for _ in requests]
        open_numbers = set(range(1, len(requests) + 1))
        while open_numbers:
            self._receive(requests, answers, open_numbers)
        return answers

    def run(self, requests: Sequence[Request]) -> list[Answer]:
        """Send requests in one go and raise the first error; the others are done all the same."""
        answers = self.exchange(requests)
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        return answers

    def dump(self, kind: int, *, link_kind: str = "") -> list[Any]:
        """Return every link, address or route, decoded; asked again when they changed meanwhile.

        Args:
            kind: RTM_GETLINK, RTM_GETADDR or RTM_GETROUTE.
            link_kind: only links of this kind, such as `veth`.
        """
        attributes: list[tuple[str, Any]] = []
        if kind == RTM_GETLINK:
            attributes.append(("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS))
        if link_kind:
            attributes.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", link_kind)]}))
        request = Request(
            kind=kind,
            doing="list the links, addresses or routes",
            flags=NLM_F_DUMP,
            attributes=attributes,
            is_dump=True,
        )
        for _ in range(_DUMP_ATTEMPTS_MAX):
            (answer,) = self.run([request])
            if not answer.is_interrupted:
                return answer.messages
        raise OSError(f"{request.doing}: they changed during {_DUMP_ATTEMPTS_MAX} attempts")

    def _receive(
        self, requests: Sequence[Request], answers: list[Answer], open_numbers: set[int]
    ) -> None:
        data = self._socket.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, number, _ = _HEADER.unpack_from(data, offset)
            body = data[offset : offset + length]
            offset += (length + 3) & ~3
            if number not in open_numbers:
                continue
            answer = answers[number - 1]
            answer.is_interrupted |= bool(flags & _DUMP_INTERRUPTED)
            if kind in {_NLMSG_ERROR, _NLMSG_DONE}:
                answer.error = _read_error(body, kind, flags, requests[number - 1].doing)
                open_numbers.discard(number)
            else:
                message = _MESSAGE_CLASSES[kind](body)
                message.decode()
                answer.messages.append(message)


def _read_error(body: bytes, kind: int, flags: int, doing: str) -> OSError | None:
    """Return the error of an acknowledgement, with the kernel's own sentence where it has one."""
    if len(body) < _HEADER.size + 4:
        return None
    (code,) = struct.unpack_from("=i", body, _HEADER.size)
    if code >= 0:
        return None
    text = ""
    if kind == _NLMSG_ERROR and flags & _ACK_HAS_ATTRIBUTES:
        # errno, then the header of the request (all that CAP_ACK leaves of it), then attributes
        text = _attribute_text(body, _HEADER.size + 4 + _HEADER.size)
    reason = os.strerror(-code) + (f" ({text})" if text else "")
    return OSError(-code, f"{doing}: {reason}")


def _attribute_text(body: bytes, offset: int) -> str:
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        if length < 4:
            break
        if kind == _ERROR_TEXT_ATTRIBUTE:
            return body[offset + 4 : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += (length + 3) & ~3
    return ""
