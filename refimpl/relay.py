"""The relay: a program that leads on what reaches a published port and no firewall rule can lead.

That is [::1], since packets from there never leave the loopback interface, and IPv6 for a container
that has none. One process serves all ports of an engine; it is started by `kernel/relay.py`, gets
listening sockets from there, and ends when the other end of its control socket is closed.

It uses nothing of the engine, so that it begins at once. One thread and one epoll serve everything.

Mirrors: docker-proxy, libnetwork cmd/proxy (v20.10).
"""

from __future__ import annotations

import array
import contextlib
import errno
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_BUFFER_BYTES = 64 * 1024
"""What waits for a slow reader, in each direction of a connection."""
_CONNECTIONS_MAX = 4096
_CLIENTS_MAX = 4096
"""Of UDP, for each port."""
_CLIENTS_SHARE = 4
"""The part of all descriptors that clients may take: the rest is for ports."""
_PER_CONNECTION = 2
"""Descriptors: the client's and the one to the container."""
_CLIENT_IDLE_S = 90
"""moby: UDPConnTrackTimeout."""
_MESSAGE_BYTES = 64 * 1024
_DESCRIPTORS_MAX = 253
_IPV6_BYTES = 16
_LINK_LOCAL = b"\xfe\x80"
_PKTINFO_BYTES = socket.CMSG_SPACE(_IPV6_BYTES + 4)
_AT_ONCE = 64
"""Connections or packets of one port before the others get their turn."""

_Asked = tuple[tuple[int, int, bytes], ...]
"""The address at which a client asked, as it goes with each answer; empty for IPv4."""
_Client = tuple[Any, _Asked]
"""A client's own address, and the one at which it asked."""


class Loop:
    """What is waited for, and what is called when it comes."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}

    def add(self, one: socket.socket, events: int, call: Callable[[int], None]) -> None:
        """Call `call` with what comes of these events."""
        self._calls[one.fileno()] = call
        self._epoll.register(one, events)

    def change(self, one: socket.socket, events: int) -> None:
        """Wait for these events instead."""
        if one.fileno() in self._calls:
            self._epoll.modify(one, events)

    def mute(self, one: socket.socket) -> None:
        """Wait for it no more: epoll tells of a connection's end for as long as it is asked."""
        if self._calls.pop(one.fileno(), None) is not None:
            self._epoll.unregister(one)

    def close(self, one: socket.socket) -> None:
        """Wait for it no more, and close it; repeatable."""
        if one.fileno() < 0:
            return
        self.mute(one)
        one.close()

    def run_once(self, timeout_s: float) -> None:
        """Wait for something, and do what it asks for."""
        come = self._epoll.poll(timeout_s)
        calls = [self._calls.get(descriptor) for descriptor, _ in come]
        for (descriptor, events), call in zip(come, calls, strict=True):
            # one that was closed meanwhile may have left its number to another
            if call is not None and self._calls.get(descriptor) is call:
                call(events)


class Room:
    """The descriptors of all ports' clients.

    When there is room for no more, the port that has most gives some up: whoever floods one port
    does not keep the clients of another away.

    Args:
        descriptors_max: for all ports together.
    """

    def __init__(self, descriptors_max: int) -> None:
        self._max = descriptors_max
        self._total = 0
        self._taken: dict[StreamPort | PacketPort, int] = {}

    def take(self, port: StreamPort | PacketPort, count: int) -> None:
        """Note what a client of a port takes, and make room for it first."""
        while self._taken and self._total + count > self._max:
            is_greedy = self._taken.get(port, 0) * len(self._taken) >= self._max
            fullest = port if is_greedy else max(self._taken, key=self._taken.__getitem__)
            fullest.drop_oldest()
        self._taken[port] = self._taken.get(port, 0) + count
        self._total += count

    def give(self, port: StreamPort | PacketPort, count: int) -> None:
        """Note that a client of a port has gone."""
        self._total -= count
        self._taken[port] -= count
        if not self._taken[port]:
            del self._taken[port]


class Connection:
    """One client's connection and the one to the container; what comes from one goes to the other.

    An end of one direction is passed on, and the other direction goes on.
    """

    def __init__(
        self,
        loop: Loop,
        client: socket.socket,
        server: socket.socket,
        ended: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._ends = (client, server)
        self._pending = (bytearray(), bytearray())
        """What is to be written, to the client and to the server."""
        self._has_ended = [False, False]
        """Whether the client, the server will say no more."""
        self._is_shut = [False, False]
        self._is_connected = False
        self._ended = ended
        loop.add(client, 0, lambda events: self._handle(0, events))
        loop.add(server, select.EPOLLOUT, lambda events: self._handle(1, events))

    def close(self) -> None:
        """End it."""
        for one in self._ends:
            self._loop.close(one)
        self._ended(self)

    def _handle(self, side: int, events: int) -> None:
        try:
            if not self._is_connected:
                if side == 0 or self._ends[1].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    self.close()
                    return
                self._is_connected = True
            elif events & select.EPOLLERR:
                self.close()
                return
            if events & (select.EPOLLIN | select.EPOLLHUP) and not self._has_ended[side]:
                self._read(side)
            for each in (0, 1):
                self._write(each)
        except OSError:
            self.close()
            return
        if all(self._is_shut):
            self.close()
            return
        for each in (0, 1):
            if self._has_ended[each] and self._is_shut[each]:
                self._loop.mute(self._ends[each])
            else:
                self._loop.change(self._ends[each], self._interest(each))

    def _read(self, side: int) -> None:
        room = _BUFFER_BYTES - len(self._pending[1 - side])
        if room <= 0:
            return
        try:
            data = self._ends[side].recv(room)
        except BlockingIOError:
            return
        self._pending[1 - side].extend(data)
        self._has_ended[side] = not data

    def _write(self, side: int) -> None:
        pending = self._pending[side]
        if pending:
            with contextlib.suppress(BlockingIOError):
                del pending[: self._ends[side].send(pending)]
        if not pending and self._has_ended[1 - side] and not self._is_shut[side]:
            self._is_shut[side] = True
            with contextlib.suppress(OSError):
                self._ends[side].shutdown(socket.SHUT_WR)

    def _interest(self, side: int) -> int:
        events = 0
        if not self._has_ended[side] and len(self._pending[1 - side]) < _BUFFER_BYTES:
            events |= select.EPOLLIN
        if self._pending[side]:
            events |= select.EPOLLOUT
        return events


class StreamPort:
    """A published port of TCP or SCTP."""

    def __init__(self, loop: Loop, room: Room, one: socket.socket, target: tuple[str, int]) -> None:
        self._loop = loop
        self._room = room
        self._listener = one
        self._target = target
        self._connections: dict[Connection, None] = {}
        loop.add(one, select.EPOLLIN, self._accept)

    def close(self) -> None:
        """Serve it no more; what flows through it ends."""
        self._loop.close(self._listener)
        for connection in tuple(self._connections):
            connection.close()

    def expire(self, _now: float) -> None:
        """Do nothing: a connection may be idle for ever."""

    def drop_oldest(self) -> None:
        """End the oldest connection."""
        for connection in self._connections:
            connection.close()
            return

    def _accept(self, _events: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                client, _address = self._listener.accept()
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE}:
                    self.drop_oldest()
                return
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        if len(self._connections) >= _CONNECTIONS_MAX:
            self.drop_oldest()
        self._room.take(self, _PER_CONNECTION)
        client.setblocking(False)
        try:
            server = _connect(client.type, client.proto, self._target)
        except OSError:
            client.close()
            self._room.give(self, _PER_CONNECTION)
            return
        connection = Connection(self._loop, client, server, self._forget)
        self._connections[connection] = None

    def _forget(self, connection: Connection) -> None:
        if connection in self._connections:
            del self._connections[connection]
            self._room.give(self, _PER_CONNECTION)


class PacketPort:
    """A published port of UDP: a socket to the container for each client, until it is idle."""

    def __init__(self, loop: Loop, room: Room, one: socket.socket, target: tuple[str, int]) -> None:
        self._loop = loop
        self._room = room
        self._socket = one
        self._target = target
        self._clients: dict[_Client, tuple[socket.socket, float]] = {}
        """The one that has been idle for longest comes first."""
        if one.family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        loop.add(one, select.EPOLLIN, self._forward)

    def close(self) -> None:
        """Serve it no more."""
        self._loop.close(self._socket)
        for client in tuple(self._clients):
            self._forget(client)

    def expire(self, now: float) -> None:
        """Forget the clients that have been idle for too long."""
        for client, (_, last) in tuple(self._clients.items()):
            if now - last < _CLIENT_IDLE_S:
                return
            self._forget(client)

    def drop_oldest(self) -> None:
        """Forget the client that has been idle for longest."""
        for client in self._clients:
            self._forget(client)
            return

    def _forward(self, _events: int) -> None:
        for data, client in _packets(self._socket):
            known = self._clients.pop(client, None)
            try:
                server = self._open(client) if known is None else known[0]
            except OSError:
                continue
            self._clients[client] = (server, time.monotonic())
            with contextlib.suppress(OSError):
                try:
                    server.send(data)
                except ConnectionRefusedError:
                    # said of an earlier packet, and for once: this one was not sent
                    server.send(data)

    def _open(self, client: _Client) -> socket.socket:
        if len(self._clients) >= _CLIENTS_MAX:
            self.drop_oldest()
        self._room.take(self, 1)
        try:
            server = _connect(socket.SOCK_DGRAM, socket.IPPROTO_UDP, self._target)
        except BaseException:
            self._room.give(self, 1)
            raise
        self._loop.add(server, select.EPOLLIN, lambda _events: self._answer(client))
        return server

    def _answer(self, client: _Client) -> None:
        server, _ = self._clients.pop(client)
        self._clients[client] = (server, time.monotonic())
        address, asked = client
        for data, _source in _packets(server):
            with contextlib.suppress(OSError):
                self._socket.sendmsg([data], asked, 0, address)

    def _forget(self, client: _Client) -> None:
        self._loop.close(self._clients.pop(client)[0])
        self._room.give(self, 1)


def _packets(one: socket.socket) -> Iterator[tuple[bytes, _Client]]:
    for _ in range(_AT_ONCE):
        try:
            data, extra, _flags, address = one.recvmsg(_MESSAGE_BYTES, _PKTINFO_BYTES)
            yield data, (address, _answer_from(extra))
        except ConnectionRefusedError:
            continue
        except OSError:
            return


def _answer_from(extra: Sequence[tuple[int, int, bytes]]) -> _Asked:
    """Return what an answer must be sent with to come from the address that was asked."""
    asked: list[tuple[int, int, bytes]] = []
    for level, kind, content in extra:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            address, link = content[:_IPV6_BYTES], content[_IPV6_BYTES:]
            if not address.startswith(_LINK_LOCAL):
                link = bytes(len(link))  # whichever the routes say
            asked.append((level, kind, address + link))
    return tuple(asked)


def _connect(kind: int, protocol: int, target: tuple[str, int]) -> socket.socket:
    """Begin to connect to the container."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    server = socket.socket(family, kind, protocol)
    try:
        server.setblocking(False)
        server.connect(target)
    except BlockingIOError:
        pass
    except BaseException:
        server.close()
        raise
    return server


class Control:
    """The daemon's end: which ports there are."""

    def __init__(self, loop: Loop, room: Room, one: socket.socket) -> None:
        self._loop = loop
        self._room = room
        self._socket = one
        self.ports: dict[str, StreamPort | PacketPort] = {}
        loop.add(one, select.EPOLLIN, self._read)

    def _read(self, _events: int) -> None:
        data, descriptors = _receive(self._socket)
        if not data:
            os._exit(0)  # the daemon has ended: so do all ports, at once
        message = json.loads(data)
        for descriptor, (name, protocol, address, port) in zip(
            descriptors, message.get("add", ()), strict=False
        ):
            serve = PacketPort if protocol == "udp" else StreamPort
            one = socket.socket(fileno=descriptor)
            self.ports[name] = serve(self._loop, self._room, one, (address, port))
        if "remove" in message:
            for name in message["remove"]:
                port = self.ports.pop(name, None)
                if port is not None:
                    port.close()
            self._socket.send(b"+")


def _receive(one: socket.socket) -> tuple[bytes, list[int]]:
    size = socket.CMSG_SPACE(_DESCRIPTORS_MAX * array.array("i").itemsize)
    data, extra, _flags, _address = one.recvmsg(_MESSAGE_BYTES, size)
    descriptors = array.array("i")
    for level, kind, content in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, descriptors.tolist()


def main() -> None:
    """Serve until the daemon ends; the argument is the descriptor of the control socket."""
    # a terminal's interrupt is the daemon's affair
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loop = Loop()
    descriptors_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = Room(descriptors_max // _CLIENTS_SHARE)
    control = Control(loop, room, socket.socket(fileno=int(sys.argv[1])))
    while True:
        loop.run_once(_CLIENT_IDLE_S / 3)
        now = time.monotonic()
        for port in tuple(control.ports.values()):
            port.expire(now)


if __name__ == "__main__":
    main()
