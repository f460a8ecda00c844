"""The embedded DNS: one thread and one epoll for the sockets of every sandbox.

The sockets were bound inside the sandboxes' namespaces (see `Kernel.create_sandbox`) and stay in
them, whoever reads them. Nothing here blocks: a question for an upstream server waits in a table
with its deadline while others are answered.

A sandbox keeps two descriptors open here, one more for each question that waits for an upstream
server, and one for each of its TCP clients; `refimpl.limits` bounds the last two.

Mirrors: libnetwork resolver.go, resolver_unix.go (v20.10).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from refimpl.libnetwork import answers, upstream
from refimpl.libnetwork.answers import Question
from refimpl.libnetwork.upstream import Forwarding, Reply
from refimpl.limits import DNS_TCP_CLIENTS_MAX, DNS_TCP_IDLE_S, DNS_TCP_UNSENT_BYTES_MAX

logger = logging.getLogger(__name__)

_BATCH = 32
"""Datagrams that are taken from one socket before the others have their turn."""
_READ_BYTES = 65535
_IP_PKTINFO = 8
"""Not in Python's socket module before 3.14."""


class Backend(answers.Backend, upstream.Asker, Protocol):
    """A sandbox, for its resolver."""


@dataclass(slots=True)
class _Tenant:
    """One sandbox's part of the resolver."""

    id: str
    backend: Backend
    udp: socket.socket
    tcp: socket.socket
    source: tuple[int, int, bytes]
    """Ancillary data that makes an answer come from the address that was asked."""
    clients: set[_Client] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class _Client:
    """A TCP connection of a sandbox's process."""

    tenant: _Tenant
    connection: socket.socket
    deadline_s: float = 0.0
    waiting: int = 0
    """How many of its questions are with an upstream server."""
    has_ended: bool = False
    """It says no more, and may still be owed answers."""
    received: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)

    def has_message(self) -> bool:
        """Return whether a whole message has come."""
        return len(self.received) >= 2 + int.from_bytes(self.received[:2])

    def is_owed(self) -> bool:
        """Return whether it has asked what it has no answer to."""
        return bool(self.waiting or self.unsent) or self.has_message()

    def take_message(self) -> bytes:
        """Return the first message and forget it."""
        end = 2 + int.from_bytes(self.received[:2])
        message = bytes(self.received[2:end])
        del self.received[:end]
        return message


def _source_of(udp: socket.socket) -> tuple[int, int, bytes]:
    """Return IP_PKTINFO with the socket's own address.

    A socket that was bound before the namespace had any address sends from whichever address the
    route prefers (the kernel takes the address for a broadcast then), and a connected client drops
    an answer from 127.0.0.1 to what it asked of 127.0.0.11.
    """
    address = socket.inet_aton(udp.getsockname()[0])
    return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=I4s4s", 0, address, bytes(4))


class Resolver:
    """The embedded DNS of all sandboxes; `add`, `remove` and `close` may come from any thread.

    The thread starts with the first sandbox that needs it.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._tenants: dict[str, _Tenant] = {}
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._clients: dict[_Client, None] = {}
        """Of all sandboxes, in the order in which they came."""
        self._idle: dict[_Client, None] = {}
        """Those who wait for nothing, the one whose time ends first before the others."""
        self._epoll: select.epoll | None = None
        self._wake = -1
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._forwarding = Forwarding(clock, self._watch, self._forget)

    def add(self, sandbox_id: str, sockets: Sequence[socket.socket], backend: Backend) -> None:
        """Answer on a sandbox's sockets (UDP, TCP) from now on; they are closed by `remove`.

        Raises:
            OSError: the resolver is closed.
        """
        udp, tcp = sockets
        tenant = _Tenant(sandbox_id, backend, udp, tcp, _source_of(udp))
        with self._lock:
            if self._is_closed:
                raise OSError(errno.ESHUTDOWN, "the embedded DNS is closed")
            self._start()
            self._tenants[sandbox_id] = tenant
            self._watch(udp, select.EPOLLIN, lambda _: self._read_datagrams(tenant))
            self._watch(tcp, select.EPOLLIN, lambda _: self._accept(tenant))

    def remove(self, sandbox_id: str) -> None:
        """Stop answering a sandbox and close its sockets; no error when it is unknown."""
        with self._lock:
            tenant = self._tenants.pop(sandbox_id, None)
            if tenant is None:
                return
            for client in tuple(tenant.clients):
                self._drop_client(client)
            for one in (tenant.udp, tenant.tcp):
                self._forget(one)
                one.close()
            self._forwarding.drop(tenant.backend)

    def close(self) -> None:
        """Stop answering everybody and end the thread."""
        with self._lock:
            for sandbox_id in tuple(self._tenants):
                self.remove(sandbox_id)
            self._forwarding.close()
            self._is_closed = True
            thread, self._thread = self._thread, None
            if thread is not None:
                os.eventfd_write(self._wake, 1)
        if thread is not None:
            thread.join()

    # -- the loop --------------------------------------------------------------------------
    def _start(self) -> None:
        if self._thread is not None:
            return
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._thread = threading.Thread(
            target=self._serve, args=(self._epoll,), name="resolver", daemon=True
        )
        self._thread.start()

    def _serve(self, epoll: select.epoll) -> None:
        try:
            while True:
                events = epoll.poll(self._timeout_s())
                with self._lock:
                    if self._is_closed:
                        return
                    for descriptor, event in events:
                        self._handle(descriptor, event)
                    self._expire()
        finally:
            epoll.close()
            os.close(self._wake)

    def _timeout_s(self) -> float | None:
        with self._lock:
            idle = next(iter(self._idle), None)
            deadlines = [
                None if idle is None else idle.deadline_s,
                self._forwarding.next_deadline_s(),
            ]
        earliest = min((one for one in deadlines if one is not None), default=None)
        return None if earliest is None else max(0.0, earliest - self._clock())

    def _handle(self, descriptor: int, event: int) -> None:
        if descriptor == self._wake:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            return
        # an earlier event of this round may have closed it
        handler = self._handlers.get(descriptor)
        if handler is None:
            return
        try:
            handler(event)
        except Exception:
            # one sandbox's odd packet must not silence the others
            logger.exception("embedded DNS")

    def _expire(self) -> None:
        now_s = self._clock()
        while self._idle and (client := next(iter(self._idle))).deadline_s <= now_s:
            self._drop_client(client)
        self._forwarding.expire(now_s)

    def _watch(self, one: socket.socket, events: int, handler: Callable[[int], None]) -> None:
        if self._epoll is None:
            return
        descriptor = one.fileno()
        if descriptor in self._handlers:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def _forget(self, one: socket.socket) -> None:
        if self._epoll is not None and self._handlers.pop(one.fileno(), None) is not None:
            self._epoll.unregister(one.fileno())

    # -- UDP -------------------------------------------------------------------------------
    def _read_datagrams(self, tenant: _Tenant) -> None:
        for _ in range(_BATCH):
            try:
                wire, client = tenant.udp.recvfrom(_READ_BYTES)
            except OSError:
                # nothing more, or an ICMP error of an earlier answer
                return

            def reply(answer: bytes, to: tuple[str, int] = client) -> None:
                if answer:
                    with contextlib.suppress(OSError):
                        tenant.udp.sendmsg([answer], [tenant.source], 0, to)

            self._ask(tenant, wire, reply, udp=True)

    # -- TCP -------------------------------------------------------------------------------
    def _accept(self, tenant: _Tenant) -> None:
        for _ in range(_BATCH):
            try:
                connection, _ = tenant.tcp.accept()
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE} and self._clients:
                    # the next round has a descriptor for it
                    self._drop_client(next(iter(self._clients)))
                return
            connection.setblocking(False)
            if len(self._clients) >= DNS_TCP_CLIENTS_MAX:
                self._drop_client(next(iter(self._clients)))
            client = _Client(tenant, connection)
            tenant.clients.add(client)
            self._clients[client] = None
            self._rest(client)
            # its question has mostly come with it; this also begins to watch the connection
            self._serve_client(client, select.EPOLLIN)

    def _rest(self, client: _Client) -> None:
        """Give a client its time anew, unless it is one of ours who keeps it waiting."""
        self._idle.pop(client, None)
        if not client.waiting:
            client.deadline_s = self._clock() + DNS_TCP_IDLE_S
            self._idle[client] = None

    def _serve_client(self, client: _Client, event: int) -> None:
        try:
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                chunk = client.connection.recv(_READ_BYTES)
                if not chunk and (client.has_ended or not client.is_owed()):
                    self._drop_client(client)
                    return
                client.has_ended = not chunk
                client.received += chunk
                self._rest(client)
        except BlockingIOError:
            pass
        except OSError:
            self._drop_client(client)
            return
        self._read_messages(client)
        if client in self._clients:
            self._send(client)

    def _read_messages(self, client: _Client) -> None:
        """Answer what has come, as far as it is this client's turn and he takes the answers."""
        for _ in range(_BATCH):
            if not client.has_message() or len(client.unsent) >= DNS_TCP_UNSENT_BYTES_MAX:
                return
            wire = client.take_message()

            def reply(answer: bytes) -> None:
                if client not in self._clients:
                    return
                client.waiting -= 1
                self._rest(client)
                if answer:
                    client.unsent += len(answer).to_bytes(2) + answer
                    self._send(client)

            client.waiting += 1
            self._idle.pop(client, None)
            self._ask(client.tenant, wire, reply, udp=False)

    def _send(self, client: _Client) -> None:
        try:
            if client.unsent:
                sent = client.connection.send(client.unsent)
                del client.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop_client(client)
            return
        if client.has_ended and not client.is_owed():
            self._drop_client(client)
            return
        # a message that waits for its turn has it when the client can be written to
        has_message = client.has_message()
        events = select.EPOLLOUT if client.unsent or has_message else 0
        is_taking = len(client.unsent) < DNS_TCP_UNSENT_BYTES_MAX
        if is_taking and not has_message and not client.has_ended:
            events |= select.EPOLLIN
        self._watch(client.connection, events, lambda event: self._serve_client(client, event))

    def _drop_client(self, client: _Client) -> None:
        self._clients.pop(client, None)
        self._idle.pop(client, None)
        client.tenant.clients.discard(client)
        self._forget(client.connection)
        client.connection.close()

    # -- questions -------------------------------------------------------------------------
    def _ask(self, tenant: _Tenant, wire: bytes, reply: Reply, *, udp: bool) -> None:
        """See to it that `reply` is called once, now or later, if only with SILENCE."""
        question = answers.read_query(wire)
        if not isinstance(question, Question):
            reply(question)
            return
        answer = answers.answer(question, tenant.backend, udp=udp)
        if answer is None:
            self._forwarding.ask(tenant.backend, question, reply, is_datagram=udp)
        else:
            reply(answer)
