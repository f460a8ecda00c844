"""Route netlink over one plain socket: several messages in one send, errors as OSError.

The socket stays bound to the network namespace of the thread that opened it, and may be used
from any thread afterwards. (pyroute2's own synchronous `IPRoute` keeps a socket per thread, and
so quietly opens a second one in the wrong namespace; hence only its message classes are used.)

The kernel works through the messages of one send in order and answers each before `sendto`
returns, so a batch costs one round trip.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Self

from refimpl.kernel.messages import ifaddrmsg, ifinfmsg, nsidmsg, rtmsg

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
RTM_NEWNSID = 88
RTM_GETNSID = 90

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

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_MASTER = 10
IFLA_TXQLEN = 13
IFLA_LINKINFO = 18
IFLA_GROUP = 27
IFLA_NET_NS_FD = 28
IFLA_EXT_MASK = 29
IFLA_NUM_TX_QUEUES = 31
IFLA_NUM_RX_QUEUES = 32
IFLA_LINK_NETNSID = 37
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
IFLA_INFO_SLAVE_KIND = 4
IFLA_INFO_SLAVE_DATA = 5
IFLA_BRPORT_MODE = 4
VETH_INFO_PEER = 1
IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_BROADCAST = 4
IFA_FLAGS = 8
NETNSA_NSID = 1
NETNSA_FD = 3

_HEADER = struct.Struct("=IHHII")
_ACKNOWLEDGEMENT = struct.Struct("=IHHIIi")
"""The header, and the error number; what is longer begins with them as well."""
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_LINK_FIXED_BYTES = 16
_NAMESPACE_FIXED_BYTES = 4
_SIOCGIFINDEX = 0x8933
_INTERFACE = struct.Struct("=16si20x")
"""struct ifreq, with the index as its value."""
_RECEIVE_BYTES = 64 * 1024
_NUMBER_MAX = 2**32 - 1
_ANSWER_TIMEOUT_S = 10
_DUMP_ATTEMPTS_MAX = 20
_LISTING = "list the links, addresses or routes"

_MESSAGE_CLASSES: dict[int, Any] = {
    **dict.fromkeys((RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK), ifinfmsg),
    **dict.fromkeys((RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR), ifaddrmsg),
    **dict.fromkeys((RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE), rtmsg),
    RTM_GETNSID: nsidmsg,
}


class Request(NamedTuple):
    """One netlink message, encoded so that it can be kept and sent again.

    Attributes:
        kind: RTM_NEWLINK and its like.
        doing: the words for what it is there to do, which begin the text of its error.
        flags: NLM_F_CREATE and its like.
        payload: what follows the header.
    """

    kind: int
    doing: str
    flags: int
    payload: bytes

    def encode(self, number: int, flags: int = 0) -> bytes:
        """Return the message with more flags and a number, which the answers to it will bear."""
        header = _HEADER.pack(
            _HEADER.size + len(self.payload),
            self.kind,
            self.flags | flags | NLM_F_REQUEST,
            number,
            0,
        )
        return header + self.payload


def make_request(
    kind: int,
    doing: str,
    *,
    flags: int = 0,
    fields: dict[str, int] | None = None,
    attributes: Sequence[tuple[str, Any]] = (),
) -> Request:
    """Encode a message by way of pyroute2.

    Args:
        kind: RTM_NEWLINK and its like.
        doing: see `Request`.
        flags: NLM_F_CREATE and its like.
        fields: the numbers of the message's fixed part.
        attributes: what follows it, in pyroute2's names.

    Raises:
        OSError: EINVAL when a value cannot be encoded.
    """
    message = _MESSAGE_CLASSES[kind]()
    for name, value in (fields or {}).items():
        message[name] = value
    message["attrs"] = list(attributes)
    try:
        message.encode()
    except (ValueError, TypeError, struct.error) as error:
        raise OSError(errno.EINVAL, f"{doing}: {error}") from error
    return Request(kind, doing, flags, bytes(message.data[_HEADER.size :]))


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute by hand, for the few messages that are new for every container.

    pyroute2 needs longer to encode such a message than the kernel to do what it says.
    """
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


@dataclass(slots=True)
class Answer:
    """What came back for one request: messages as they came, and the error if it failed."""

    kind: int
    error: OSError | None = None
    bodies: list[bytes] = field(default_factory=list)
    is_interrupted: bool = False

    def decode(self) -> list[Any]:
        """Return the messages as pyroute2 shows them."""
        messages = [_MESSAGE_CLASSES[self.kind](body) for body in self.bodies]
        for message in messages:
            message.decode()
        return messages


class Netlink:
    """A route socket of the namespace that the opening thread is in; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_number = 0
        """Of all requests so far, so that a late answer is never taken for another's."""
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
        # The kernel works in order and tells of every error, so the last one's acknowledgement
        # speaks for all. A dump ends with a message of its own and must not have one as well.
        is_dump = requests[-1].flags & NLM_F_DUMP == NLM_F_DUMP
        acknowledge = [0] * (len(requests) - 1) + [0 if is_dump else NLM_F_ACK]
        answers = [Answer(request.kind) for request in requests]
        with self._lock:
            if self._last_number > _NUMBER_MAX - len(requests):
                self._last_number = 0
            first = self._last_number + 1
            self._last_number += len(requests)
            numbers = range(first, first + len(requests))
            self._socket.sendto(
                b"".join(map(Request.encode, requests, numbers, acknowledge)), (0, 0)
            )
            while not self._receive(requests, answers, first):
                pass
        return answers

    def index_of(self, name: str) -> int:
        """Return a link's index; many times faster than asking for the link.

        Raises:
            OSError: ENODEV when there is no such link.
        """
        request = _INTERFACE.pack(name.encode(), 0)
        try:
            _, index = _INTERFACE.unpack(fcntl.ioctl(self._socket, _SIOCGIFINDEX, request))
        except OSError as error:
            raise OSError(error.errno, f"find link {name}: {error.strerror}") from error
        return int(index)

    def run(self, requests: Sequence[Request]) -> list[Answer]:
        """Send requests in one go and raise the first error; the others are done all the same."""
        answers = self.exchange(requests)
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        return answers

    def dump(self, kind: int) -> list[Any]:
        """Return every link, address or route, decoded.

        Args:
            kind: RTM_GETLINK, RTM_GETADDR or RTM_GETROUTE.
        """
        if kind == RTM_GETROUTE:
            # asked for all families, the kernel shows those of IPv4 alone
            families = (socket.AF_INET, socket.AF_INET6)
            return [one for family in families for one in self._dump(kind, (), family).decode()]
        mask = [("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)] if kind == RTM_GETLINK else []
        return self._dump(kind, mask).decode()

    def pairs_with(self, namespace: int) -> list[int]:
        """Return the indices that the other ends of veths have in another namespace.

        Args:
            namespace: a descriptor of that one.
        """
        answer = self._complete(_list_veths())
        if not answer.bodies:
            return []
        # asked for after the dump, which is what gives a namespace its id here, if nobody has
        (numbered,) = self.run([_get_id(namespace)])
        wanted = _attribute(numbered.bodies[0], _HEADER.size + _NAMESPACE_FIXED_BYTES, NETNSA_NSID)
        offset = _HEADER.size + _LINK_FIXED_BYTES
        return [
            _NUMBER.unpack(_attribute(body, offset, IFLA_LINK))[0]
            for body in answer.bodies
            if _attribute(body, offset, IFLA_LINK_NETNSID) == wanted
        ]

    def _dump(
        self, kind: int, attributes: Sequence[tuple[str, Any]], family: int = socket.AF_UNSPEC
    ) -> Answer:
        fields = {"family": int(family)}
        return self._complete(
            make_request(kind, _LISTING, flags=NLM_F_DUMP, fields=fields, attributes=attributes)
        )

    def _complete(self, request: Request) -> Answer:
        """Ask for everything of a kind, again when it changed meanwhile."""
        for _ in range(_DUMP_ATTEMPTS_MAX):
            (answer,) = self.run([request])
            if not answer.is_interrupted:
                return answer
        raise OSError(f"{request.doing}: they changed during {_DUMP_ATTEMPTS_MAX} attempts")

    def _receive(self, requests: Sequence[Request], answers: list[Answer], first: int) -> bool:
        """Sort what came into the answers; tell whether the last request has been answered."""
        data = self._socket.recv(_RECEIVE_BYTES)
        _, kind, _, number, _, code = _ACKNOWLEDGEMENT.unpack_from(data)
        if kind == _NLMSG_ERROR and number == first + len(requests) - 1 and code == 0:
            return True  # all went well, which is what nearly always comes
        is_complete = False
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, number, _ = _HEADER.unpack_from(data, offset)
            body = data[offset : offset + length]
            offset += (length + 3) & ~3
            place = number - first
            if not 0 <= place < len(requests):
                continue
            answer = answers[place]
            answer.is_interrupted |= bool(flags & _DUMP_INTERRUPTED)
            if kind in {_NLMSG_ERROR, _NLMSG_DONE}:
                answer.error = _read_error(body, kind, flags, requests[place].doing)
                is_complete |= place == len(requests) - 1
            else:
                answer.bodies.append(body)
        return is_complete


@lru_cache(maxsize=1)
def _list_veths() -> Request:
    mask = ("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)
    veth = ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth")]})
    return make_request(RTM_GETLINK, _LISTING, flags=NLM_F_DUMP, attributes=(mask, veth))


@lru_cache(maxsize=1)
def _get_id(namespace: int) -> Request:
    attributes = (("NETNSA_FD", namespace),)
    return make_request(RTM_GETNSID, "get the id of a namespace", attributes=attributes)


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
        raw = _attribute(body, _HEADER.size + 4 + _HEADER.size, _ERROR_TEXT_ATTRIBUTE)
        text = raw.rstrip(b"\0").decode(errors="replace")
    reason = os.strerror(-code) + (f" ({text})" if text else "")
    return OSError(-code, f"{doing}: {reason}")


def _attribute(body: bytes, offset: int, wanted: int) -> bytes:
    """Return the value of one attribute of those that begin at `offset`; empty without it."""
    while offset + 4 <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < 4:
            break
        if kind == wanted:
            return body[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return b""
