"""Questions that the embedded DNS passes on: one server after the other, each with a deadline.

Runs inside the resolver's thread and lock; opens one socket per question, so that an answer can
only be the answer to it.

Mirrors: libnetwork resolver.go ServeDNS, the part after the own names (v20.10).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import select
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from refimpl.limits import (
    DNS_UPSTREAM_QUERIES_MAX,
    DNS_UPSTREAM_SERVERS_MAX,
    DNS_UPSTREAM_TIMEOUT_S,
)

Reply = Callable[[bytes], None]
Watch = Callable[[socket.socket, int, Callable[[int], None]], None]
Forget = Callable[[socket.socket], None]

_PORT = 53
_READ_BYTES = 65537
_HEADER_BYTES = 12
_SERVFAIL = 2
_NXDOMAIN = 3
_AUTHORITATIVE = 0x04


@dataclass(slots=True, eq=False)
class _Question:
    owner: object
    wire: bytes
    servers: list[str]
    reply: Reply
    failed: Callable[[], None]
    is_datagram: bool
    message_id: bytes
    deadline_s: float = 0.0
    socket: socket.socket | None = None
    unsent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    last: bytes = b""
    """An answer that other servers may better: NXDOMAIN of one that is not authoritative."""


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
        self._waiting: set[_Question] = set()
        self._deadlines: list[tuple[float, int, _Question]] = []
        self._order = itertools.count()

    def ask(
        self,
        owner: object,
        wire: bytes,
        servers: Sequence[str],
        reply: Reply,
        failed: Callable[[], None],
        *,
        is_datagram: bool,
    ) -> None:
        """Pass a question on.

        Args:
            owner: Whose question it is, for `drop`.
            wire: The question as it came.
            servers: Addresses in the order in which they are asked; the first three count.
            reply: Called once with the answer, its id that of the question.
            failed: Called instead when no server answered.
            is_datagram: Ask over UDP; else over TCP, as the client did.
        """
        if not servers or len(self._waiting) >= DNS_UPSTREAM_QUERIES_MAX:
            failed()
            return
        question = _Question(
            owner=owner,
            wire=wire,
            servers=list(servers[:DNS_UPSTREAM_SERVERS_MAX]),
            reply=reply,
            failed=failed,
            is_datagram=is_datagram,
            message_id=os.urandom(2),
        )
        self._waiting.add(question)
        self._next_server(question)

    def drop(self, owner: object) -> None:
        """Forget every question of an owner; nobody is answered."""
        for question in [question for question in self._waiting if question.owner is owner]:
            self._end(question)

    def close(self) -> None:
        """Forget every question."""
        for question in tuple(self._waiting):
            self._end(question)

    def next_deadline_s(self) -> float | None:
        """Return when `expire` has something to do, None for never."""
        self._discard_stale_deadlines()
        return self._deadlines[0][0] if self._deadlines else None

    def expire(self, now_s: float) -> None:
        """Go on to the next server wherever one took too long."""
        self._discard_stale_deadlines()
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, _, question = heapq.heappop(self._deadlines)
            self._next_server(question)
            self._discard_stale_deadlines()

    def _discard_stale_deadlines(self) -> None:
        while self._deadlines:
            deadline_s, _, question = self._deadlines[0]
            if question in self._waiting and question.deadline_s == deadline_s:
                return
            heapq.heappop(self._deadlines)

    def _next_server(self, question: _Question) -> None:
        self._close_socket(question)
        while question.servers:
            server = question.servers.pop(0)
            try:
                self._send(question, server)
            except OSError:
                self._close_socket(question)
                continue
            question.deadline_s = self._clock() + DNS_UPSTREAM_TIMEOUT_S
            entry = (question.deadline_s, next(self._order), question)
            heapq.heappush(self._deadlines, entry)
            return
        self._end(question)
        if question.last:
            question.reply(question.last)
        else:
            question.failed()

    def _send(self, question: _Question, server: str) -> None:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        kind = socket.SOCK_DGRAM if question.is_datagram else socket.SOCK_STREAM
        one = socket.socket(family, kind | socket.SOCK_NONBLOCK)
        question.socket = one
        message = question.message_id + question.wire[2:]
        with contextlib.suppress(BlockingIOError):
            one.connect((server, self._port))
        if question.is_datagram:
            one.send(message)
            events = select.EPOLLIN
        else:
            question.unsent = bytearray(len(message).to_bytes(2) + message)
            question.received = bytearray()
            events = select.EPOLLIN | select.EPOLLOUT
        self._watch(one, events, lambda event: self._ready(question, one, event))

    def _ready(self, question: _Question, one: socket.socket, event: int) -> None:
        if question.socket is not one:
            return
        try:
            if question.unsent and event & select.EPOLLOUT:
                sent = one.send(question.unsent)
                del question.unsent[:sent]
                if not question.unsent:
                    self._watch(one, select.EPOLLIN, lambda e: self._ready(question, one, e))
            if not event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                return
            chunk = one.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self._next_server(question)
            return
        self._take(question, chunk)

    def _take(self, question: _Question, chunk: bytes) -> None:
        if question.is_datagram:
            self._judge(question, chunk)
            return
        if not chunk:
            self._next_server(question)
            return
        question.received += chunk
        length = int.from_bytes(question.received[:2])
        if len(question.received) >= 2 + length and length:
            self._judge(question, bytes(question.received[2 : 2 + length]))

    def _judge(self, question: _Question, answer: bytes) -> None:
        """Pass an answer on, unless another server may know better.

        A server failure is no answer; NXDOMAIN is final only from an authoritative server.
        """
        if len(answer) < _HEADER_BYTES or answer[:2] != question.message_id:
            # not an answer to this question: wait on
            return
        final = question.wire[:2] + answer[2:]
        rcode = answer[3] & 0x0F
        if rcode == _SERVFAIL or (rcode == _NXDOMAIN and not answer[2] & _AUTHORITATIVE):
            if rcode == _NXDOMAIN or not question.last:
                question.last = final
            self._next_server(question)
            return
        self._end(question)
        question.reply(final)

    def _end(self, question: _Question) -> None:
        self._close_socket(question)
        self._waiting.discard(question)

    def _close_socket(self, question: _Question) -> None:
        one, question.socket = question.socket, None
        if one is not None:
            self._forget(one)
            one.close()
