"""Goal: the relay passes on everything, each end too, and lets go of a port when it is told.

Method: the process itself, with ports of 127.0.0.1, which it treats as any other.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address

import pytest

from refimpl.kernel import relay as relay_module
from refimpl.kernel.base import PortClaim, PublishedPort
from refimpl.kernel.ports import claim
from refimpl.kernel.relay import Relay
from refimpl.relay import Loop

LOOPBACK = IPv4Address("127.0.0.1")
WAIT_S = 20.0
MUCH = os.urandom(1 << 20)
"""More than the buffers on the way hold."""


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def relay(name) -> Iterator[Relay]:
    one = Relay(name, lambda work: work())
    yield one
    one.close()


class Port:
    """A claimed port that leads to a server of the test."""

    def __init__(self, relay: Relay, kind: str = "tcp") -> None:
        self.kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
        self.server = socket.socket(socket.AF_INET, self.kind)
        self.server.settimeout(WAIT_S)
        self.server.bind(("127.0.0.1", 0))
        if kind == "tcp":
            self.server.listen()
        self.claim = claim(kind, LOOPBACK, 0)
        self.address = self.claim.getsockname()
        target = self.server.getsockname()[1]
        self.port = PublishedPort(kind, LOOPBACK, self.address[1], LOOPBACK, target)
        relay.add([PortClaim(self.port, self.claim)], at_once=True)

    def client(self) -> socket.socket:
        one = socket.socket(socket.AF_INET, self.kind)
        one.settimeout(WAIT_S)
        one.connect(self.address)
        return one

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()
        self.claim.close()


def read_all(one: socket.socket) -> bytes:
    data = bytearray()
    while part := one.recv(65536):
        data += part
    return bytes(data)


def check_serves(port: Port) -> None:
    with port.client() as client, port.server.accept()[0] as accepted:
        accepted.sendall(b"here")
        assert client.recv(100) == b"here"


def test_much_goes_both_ways_and_each_end_is_passed_on(relay) -> None:
    with Port(relay) as port, port.client() as client:
        accepted, _ = port.server.accept()
        with accepted:
            accepted.settimeout(WAIT_S)
            sender = threading.Thread(target=client.sendall, args=(MUCH,))
            sender.start()
            data = b""
            while len(data) < len(MUCH):
                data += accepted.recv(65536)
            sender.join()
            assert data == MUCH
            # the client has said all; the server answers all the same
            client.shutdown(socket.SHUT_WR)
            assert accepted.recv(1) == b""
            sender = threading.Thread(target=accepted.sendall, args=(MUCH,))
            sender.start()
            data = b""
            while len(data) < len(MUCH):
                data += client.recv(65536)
            sender.join()
            assert data == MUCH
            accepted.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""


def test_client_that_says_all_at_once_is_answered(relay) -> None:
    with Port(relay) as port, port.client() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        accepted, _ = port.server.accept()
        with accepted:
            assert read_all(accepted) == b"question"
            accepted.sendall(b"answer")
        assert read_all(client) == b"answer"


def test_container_that_refuses_ends_the_connection(relay) -> None:
    with Port(relay) as port:
        port.server.close()
        with port.client() as client, contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_clients_of_udp_are_told_apart(relay) -> None:
    with Port(relay, "udp") as port, port.client() as one, port.client() as other:
        for client, word in ((one, b"one"), (other, b"other"), (one, b"again")):
            client.send(word)
            data, address = port.server.recvfrom(100)
            port.server.sendto(data + b"!", address)
            assert client.recv(100) == word + b"!"


@pytest.mark.parametrize(("kind", "limit"), [("tcp", 128), ("tcp", 129), ("udp", 128)])
def test_flood_of_one_port_leaves_room_for_the_others(relay, kind, limit) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        other = Port(relay)  # the process has this limit
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with contextlib.ExitStack() as at_end:
        at_end.enter_context(other)
        flooded = at_end.enter_context(Port(relay, kind))
        clients = [at_end.enter_context(flooded.client()) for _ in range(150)]
        for client in clients:
            client.send(b"flood")
        if kind == "udp":
            for _ in clients:
                flooded.server.recv(100)
        check_serves(other)
        check_serves(at_end.enter_context(Port(relay)))
        check_serves(other)


def test_event_of_a_closed_descriptor_is_not_its_successors() -> None:
    loop = Loop()
    called: list[str] = []
    with contextlib.ExitStack() as at_end:
        pairs = [socket.socketpair() for _ in range(2)]
        for one in (each for pair in pairs for each in pair):
            at_end.enter_context(one)
        successor, peer = (at_end.enter_context(one) for one in socket.socketpair())

        def close_the_other(which: int) -> Callable[[int], None]:
            def call(_events: int) -> None:
                called.append("first")
                other = pairs[1 - which][0]
                number = other.fileno()
                loop.close(other)
                os.dup2(successor.fileno(), number)
                heir = at_end.enter_context(socket.socket(fileno=number))
                loop.add(heir, select.EPOLLIN, lambda _events: called.append("successor"))

            return call

        for which, (one, end) in enumerate(pairs):
            loop.add(one, select.EPOLLIN, close_the_other(which))
            end.send(b"?")
        loop.run_once(WAIT_S)
        assert called == ["first"]
        for one, _end in pairs:
            loop.mute(one)
        peer.send(b"!")
        loop.run_once(WAIT_S)
        assert called == ["first", "successor"]


def test_port_is_free_when_it_is_removed(relay) -> None:
    with Port(relay) as port, Port(relay) as other:
        with port.client() as client:
            accepted, _ = port.server.accept()
            relay.remove([port.port])
            port.claim.close()
            claim("tcp", LOOPBACK, port.address[1]).close()
            with accepted:
                assert client.recv(1) == b""
        relay.remove([port.port])
        with other.client() as client, other.server.accept()[0] as accepted:
            accepted.sendall(b"still there")
            assert client.recv(100) == b"still there"


def test_killed_process_is_replaced_with_all_ports(relay) -> None:
    with Port(relay) as port:
        process = relay._process
        assert process is not None
        process.kill()
        process.wait(WAIT_S)
        with Port(relay) as other:
            check_serves(port)
            check_serves(other)


def test_process_that_hangs_is_killed_at_once(name, monkeypatch) -> None:
    monkeypatch.setattr(relay_module, "_ANSWER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(relay_module, "_END_TIMEOUT_S", 2 * WAIT_S)
    one = Relay(name, lambda work: work())
    with Port(one) as port, Port(one) as other:
        process = one._process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        one.remove([port.port])
        assert time.monotonic() - begun < WAIT_S
        assert process.returncode == -signal.SIGKILL
        check_serves(other)
    one.close()


def test_port_whose_owner_has_gone_spoils_nobodys(relay) -> None:
    """Where a deleted table is written anew, ports may be served that are just being given up."""
    with Port(relay) as served:
        with Port(relay) as port:
            relay.remove([port.port])
            gone = PortClaim(port.port, claim("tcp", LOOPBACK, 0))
            gone.socket.close()
            relay.add([gone], at_once=True)
            check_serves(served)
            relay.add([PortClaim(port.port, port.claim)], at_once=True)
            check_serves(port)
        with Port(relay) as other:
            check_serves(served)
            check_serves(other)


def test_next_daemon_waits_for_the_process(name) -> None:
    last, after = Relay(name, lambda work: work()), Relay(name, lambda work: work())
    after.wait_for_the_last()  # nobody is there
    with Port(last):
        waiter = threading.Thread(target=after.wait_for_the_last)
        waiter.start()
        waiter.join(0.1)
        assert waiter.is_alive()
        last.close()
        waiter.join(WAIT_S)
        assert not waiter.is_alive()


def test_next_daemon_kills_a_process_that_was_stopped(name, caplog) -> None:
    last, after = Relay(name, lambda work: work()), Relay(name, lambda work: work())
    other = Relay(f"{name}-2", lambda work: work())
    with Port(last), Port(other) as theirs:
        process, control = last._process, last._control
        assert process is not None
        assert control is not None
        process.send_signal(signal.SIGSTOP)
        control.close()  # as when its daemon is killed
        after.wait_for_the_last()
        assert process.wait(WAIT_S) == -signal.SIGKILL
        assert "has not ended" not in caplog.text
        check_serves(theirs)
        last._control = None
    last.close()
    other.close()


def test_nobody_else_is_killed_for_the_name(name, monkeypatch) -> None:
    monkeypatch.setattr(relay_module, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(relay_module, "_END_TIMEOUT_S", 0.0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mine:
        mine.bind(f"\0netinit/relay/{name}")
        Relay(name, lambda work: work()).wait_for_the_last()


def test_nothing_is_started_before_it_is_needed(name) -> None:
    begun: list[Callable[[], None]] = []
    one = Relay(name, begun.append)
    one.settle()
    one.add([], at_once=True)
    one.remove([])
    assert begun == []
    with claim("tcp", LOOPBACK, 0) as listener:
        port = PublishedPort("tcp", LOOPBACK, 1, LOOPBACK, 1)
        one.add([PortClaim(port, listener)], at_once=False)
        assert begun == []
        one.settle()
        one.remove([port])
        assert len(begun) == 1
        begun[0]()  # too late: it is gone again
    assert one._process is None
