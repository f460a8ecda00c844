"""Questions that the embedded DNS passes on: one server after the other, each with a deadline.

Runs inside the resolver's thread and lock; opens one socket per question, so that an answer can
only be the answer to it.

20.10 passes on whatever comes, also the answer to another question and one that ends in the
middle of a record, and counts an answer for which the client has no room as none. Here such an
answer is nobody's, and a long one reaches the client cut and marked so that it asks by TCP.

Mirrors: libnetwork resolver.go ServeDNS, the part after the own names (v20.10).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from refimpl.libnetwork.answers import HEADER, QR, SILENCE, TC, Question
from refimpl.limits import (
    DNS_UPSTREAM_QUERIES_MAX,
    DNS_UPSTREAM_QUERIES_PER_SANDBOX_MAX,
    DNS_UPSTREAM_SERVERS_MAX,
    DNS_UPSTREAM_TIMEOUT_S,
)

Reply = Callable[[bytes], None]
Watch = Callable[[socket.socket, int, Callable[[int], None]], None]
Forget = Callable[[socket.socket], None]

_PORT = 53
_READ_BYTES = 65537
_NOERROR = 0
_NXDOMAIN = 3
_AUTHORITATIVE = 0x0400
_RCODE = 0x000F
_RECORD_FIXED_BYTES = 10
_POINTER = 0xC0


@dataclass(frozen=True, slots=True)
class Upstream:
    """A nameserver, and from where it is asked.

    Attributes:
        address: Of IPv4, as 20.10 asks no other.
        from_host: From the daemon's network: a loopback server of the host's own resolv.conf.
            All others are asked from the sandbox, so that `--dns 127.0.0.1` is the container.
    """

    address: str
    from_host: bool = False


class Asker(Protocol):
    """The sandbox whose questions are passed on."""

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The nameservers in the order in which they are asked; the first three count."""

    def open_socket(self, upstream: Upstream, kind: socket.SocketKind) -> socket.socket:
        """Open a non-blocking IPv4 socket in the network that a server is asked from.

        Raises:
            OSError: it is gone.
        """


@dataclass(slots=True, eq=False)
class _Forwarded:
    """A question on its way."""

    asker: Asker
    question: Question
    servers: list[Upstream]
    reply: Reply
    is_datagram: bool
    message_id: bytes
    deadline_s: float = 0.0
    socket: socket.socket | None = None
    unsent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    last: bytes = SILENCE
    """An error that the last server answered, which the next one may better."""


class Forwarding:
    """The questions that wait for an upstream server.

    Args:
        clock: Monotonic seconds.
        watch: Registers a socket, its epoll events and their handler.
        forget: Takes a socket back.
        port: Where the servers listen.
    """

    def __init__(
        self, clock: Callable[[], float], watch: Watch, forget: Forget, port: int = _PORT
    ) -> None:
        self._clock = clock
        self._watch = watch
        self._forget = forget
        self._port = port
        self._waiting: dict[Asker, set[_Forwarded]] = {}
        self._count = 0
        self._deadlines: list[tuple[float, int, _Forwarded]] = []
        self._order = itertools.count()

    def ask(self, asker: Asker, question: Question, reply: Reply, *, is_datagram: bool) -> None:
        """Pass a question on.

        Nobody is told when no server answers, as in 20.10: the client asks again, or gives up.

        Args:
            asker: Whose question it is.
            question: The question.
            reply: Called once unless the sandbox goes: with the answer, its id that of the
                question, or with SILENCE.
            is_datagram: Ask over UDP; else over TCP, as the client did.
        """
        waiting = self._waiting.get(asker, ())
        if (
            len(waiting) >= DNS_UPSTREAM_QUERIES_PER_SANDBOX_MAX
            or self._count >= DNS_UPSTREAM_QUERIES_MAX
        ):
            reply(SILENCE)
            return
        forwarded = _Forwarded(
            asker=asker,
            question=question,
            servers=list(asker.upstreams[:DNS_UPSTREAM_SERVERS_MAX]),
            reply=reply,
            is_datagram=is_datagram,
            message_id=os.urandom(2),
        )
        self._waiting.setdefault(asker, set()).add(forwarded)
        self._count += 1
        self._next_server(forwarded)

    def drop(self, asker: Asker) -> None:
        """Forget every question of a sandbox; nobody is answered."""
        for forwarded in tuple(self._waiting.get(asker, ())):
            self._end(forwarded)

    def close(self) -> None:
        """Forget every question."""
        for asker in tuple(self._waiting):
            self.drop(asker)

    def next_deadline_s(self) -> float | None:
        """Return when `expire` has something to do, None for never."""
        self._discard_stale_deadlines()
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now_s: float) -> None:
        """Go on to the next server wherever one took too long."""
        self._discard_stale_deadlines()
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, _, forwarded = heapq.heappop(self._deadlines)
            self._failed(forwarded)
            self._discard_stale_deadlines()

    def _discard_stale_deadlines(self) -> None:
        while self._deadlines:
            deadline_s, _, forwarded = self._deadlines[0]
            if forwarded.socket is not None and forwarded.deadline_s == deadline_s:
                return
            heapq.heappop(self._deadlines)

    def _failed(self, forwarded: _Forwarded) -> None:
        """Go on after a server that was asked and gave nothing.

        What an earlier one said no longer counts then: 20.10 passes on only what the last server
        says that it asked.
        """
        forwarded.last = SILENCE
        self._next_server(forwarded)

    def _next_server(self, forwarded: _Forwarded) -> None:
        self._close_socket(forwarded)
        while forwarded.servers:
            upstream = forwarded.servers.pop(0)
            try:
                self._send(forwarded, upstream)
            except OSError:
                # no way there
                self._close_socket(forwarded)
                continue
            forwarded.deadline_s = self._clock() + DNS_UPSTREAM_TIMEOUT_S
            entry = (forwarded.deadline_s, next(self._order), forwarded)
            heapq.heappush(self._deadlines, entry)
            return
        self._end(forwarded)
        forwarded.reply(forwarded.last)

    def _send(self, forwarded: _Forwarded, upstream: Upstream) -> None:
        kind = socket.SOCK_DGRAM if forwarded.is_datagram else socket.SOCK_STREAM
        one = forwarded.asker.open_socket(upstream, kind)
        forwarded.socket = one
        message = forwarded.message_id + forwarded.question.wire[2:]
        with contextlib.suppress(BlockingIOError):
            one.connect((upstream.address, self._port))
        if forwarded.is_datagram:
            one.send(message)
            events = select.EPOLLIN
        else:
            forwarded.unsent = bytearray(len(message).to_bytes(2) + message)
            forwarded.received = bytearray()
            events = select.EPOLLIN | select.EPOLLOUT
        self._watch(one, events, lambda event: self._ready(forwarded, one, event))

    def _ready(self, forwarded: _Forwarded, one: socket.socket, event: int) -> None:
        if forwarded.socket is not one:
            return
        try:
            if forwarded.unsent and event & select.EPOLLOUT:
                sent = one.send(forwarded.unsent)
                del forwarded.unsent[:sent]
                if not forwarded.unsent:
                    self._watch(one, select.EPOLLIN, lambda e: self._ready(forwarded, one, e))
            if not event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                return
            chunk = one.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._failed(forwarded)
            return
        self._take(forwarded, chunk)

    def _take(self, forwarded: _Forwarded, chunk: bytes) -> None:
        if forwarded.is_datagram:
            # anybody may send a datagram: one that does not bear the id is not the server's
            if chunk[:2] == forwarded.message_id:
                self._judge(forwarded, chunk)
            return
        if not chunk:
            self._failed(forwarded)
            return
        forwarded.received += chunk
        length = int.from_bytes(forwarded.received[:2])
        if len(forwarded.received) >= 2 + length and len(forwarded.received) >= 2:
            self._judge(forwarded, bytes(forwarded.received[2 : 2 + length]))

    def _judge(self, forwarded: _Forwarded, answer: bytes) -> None:
        """Pass an answer on, unless another server may know better.

        An error is final only as the last server's word, or as an authoritative server's that
        there is no such name.
        """
        question = forwarded.question
        if answer[:2] != forwarded.message_id or not is_answer(answer, question):
            self._failed(forwarded)
            return
        final = cut(question.wire[:2] + answer[2:], question, udp=forwarded.is_datagram)
        (flags,) = HEADER.unpack_from(answer)[1:2]
        rcode = flags & _RCODE
        if rcode == _NOERROR or (rcode == _NXDOMAIN and flags & _AUTHORITATIVE):
            self._end(forwarded)
            forwarded.reply(final)
            return
        forwarded.last = final
        self._next_server(forwarded)

    def _end(self, forwarded: _Forwarded) -> None:
        self._close_socket(forwarded)
        waiting = self._waiting.get(forwarded.asker)
        if waiting is None or forwarded not in waiting:
            return
        waiting.discard(forwarded)
        self._count -= 1
        if not waiting:
            del self._waiting[forwarded.asker]

    def _close_socket(self, forwarded: _Forwarded) -> None:
        one, forwarded.socket = forwarded.socket, None
        if one is not None:
            self._forget(one)
            one.close()


def cut(answer: bytes, question: Question, *, udp: bool) -> bytes:
    """Return an answer for which the client has room; a longer one loses all but its question."""
    if len(answer) <= question.room_bytes(udp=udp):
        return answer
    identity, flags, *_ = HEADER.unpack_from(answer)
    head = HEADER.pack(identity, flags | TC, 1, 0, 0, 0)
    return head + question.wire[HEADER.size : question.end]


def is_answer(message: bytes, question: Question) -> bool:
    """Return whether a message is whole and answers this question, whatever the answer.

    Its sections are walked through and not decoded: what a record holds is the client's affair,
    and one of 64 KiB would hold everybody up.
    """
    if len(message) < HEADER.size:
        return False
    _, flags, questions, *records = HEADER.unpack_from(message)
    if not flags & QR or questions > 1:
        return False
    offset = HEADER.size
    if questions:
        asked, offset = question.wire[HEADER.size : question.end], question.end
        answered = message[HEADER.size : offset]
        # type and class as they are; of the name some servers change the case
        if answered[-4:] != asked[-4:] or answered[:-4].lower() != asked[:-4].lower():
            return False
    for _ in range(sum(records)):
        after = _skip_record(message, offset)
        if after is None:
            # a truncated answer may well end in the middle
            return bool(flags & TC)
        offset = after
    return True


def _skip_record(message: bytes, offset: int) -> int | None:
    """Return where a record ends; None when the message ends before."""
    while offset < len(message) and (length := message[offset]):
        offset += 1
        if length >= _POINTER:
            break
        offset += length
    offset += 1 + _RECORD_FIXED_BYTES
    if offset > len(message):
        return None
    offset += int.from_bytes(message[offset - 2 : offset])
    return offset if offset <= len(message) else None
