"""Goal: the embedded DNS serves many sandboxes at once, whatever their processes send it.

Method: real sockets and a real thread; only the sandbox behind them is made up.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import dns.flags
import dns.message
import dns.query
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refimpl.libnetwork.resolver import Resolver
from tests.unit.refimpl.dns_backend import (
    TIMEOUT_S,
    Names,
    Server,
    addresses,
    bound,
    count_descriptors,
    wait_for,
)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(*upstreams: str, **options: bool) -> Server:
        servers.append(Server(Names(*upstreams, **options)))
        return servers[-1]

    yield make
    for server in servers:
        server.resolver.close()


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_name_is_answered_with_its_address_for_ten_minutes(serve, tcp):
    response = serve().ask("db", tcp=tcp)
    assert addresses(response) == {"10.0.0.2"}
    assert response.answer[0].ttl == 600
    assert response.flags & dns.flags.RA


def test_garbage_is_ignored_and_the_next_question_answered(serve):
    server = serve()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for garbage in (b"", b"x", b"\xff" * 600):
            client.sendto(garbage, ("127.0.0.1", server.port))
    assert addresses(server.ask("db")) == {"10.0.0.2"}


class Recorded:
    """A UDP socket whose ancillary data is kept."""

    def __init__(self, one: socket.socket) -> None:
        self.one = one
        self.ancillary: list[tuple[int, int, bytes]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.one, name)

    def sendmsg(self, data: Any, ancillary: Any, *rest: Any) -> int:
        self.ancillary += ancillary
        return self.one.sendmsg(data, ancillary, *rest)


def test_an_answer_names_the_address_that_it_comes_from():
    # the kernel chooses another one for a socket that was bound before `lo` had an address
    udp = Recorded(bound(socket.SOCK_DGRAM))
    resolver = Resolver()
    try:
        resolver.add("s", (cast(socket.socket, udp), bound(socket.SOCK_STREAM)), Names())
        query = dns.message.make_query("db", "A")
        dns.query.udp(query, "127.0.0.1", timeout=TIMEOUT_S, port=udp.getsockname()[1])
    finally:
        resolver.close()
    # level IP, IP_PKTINFO: any interface, this address, any target
    source = struct.pack("=I4s4s", 0, socket.inet_aton("127.0.0.1"), bytes(4))
    assert udp.ancillary == [(socket.IPPROTO_IP, 8, source)]


def test_an_answer_is_not_answered(serve):
    server = serve()
    query = dns.message.make_query("db", "A")
    reply = dns.message.make_response(query)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        client.sendto(reply.to_wire(), ("127.0.0.1", server.port))
        client.sendto(query.to_wire(), ("127.0.0.1", server.port))
        first = dns.message.from_wire(client.recv(600))
    assert first.answer


def test_two_questions_in_pieces_on_one_connection_are_both_answered(serve):
    server = serve()
    wire = dns.message.make_query("db", "A").to_wire()
    stream = (len(wire).to_bytes(2) + wire) * 2
    with server.call() as client:
        for at in range(0, len(stream), 7):
            client.sendall(stream[at : at + 7])
        received = b""
        while received.count(b"\x0a\x00\x00\x02") < 2:
            chunk = client.recv(4096)
            assert chunk, "the connection ended before both answers"
            received += chunk


def test_a_removed_sandbox_is_answered_no_more_and_its_sockets_are_closed(serve):
    server = serve()
    server.ask("db")
    server.resolver.remove("s")
    assert server.udp.fileno() == server.tcp.fileno() == -1
    server.resolver.remove("s")


@pytest.mark.usefixtures("many_descriptors")
def test_five_hundred_sandboxes_have_one_thread(serve):
    server = serve()
    before = threading.active_count()
    for number in range(500):
        sockets = (bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM))
        server.resolver.add(f"s{number}", sockets, Names())
    # another test's thread may end meanwhile
    assert threading.active_count() <= before
    assert addresses(server.ask("db")) == {"10.0.0.2"}


def test_after_close_the_thread_is_gone(serve):
    before = set(threading.enumerate())
    serve().resolver.close()
    assert set(threading.enumerate()) <= before


def ended(client: socket.socket) -> bool:
    client.settimeout(TIMEOUT_S)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_tcp_client_that_says_nothing_is_let_go(serve, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.resolver.DNS_TCP_IDLE_S", 0.1)
    server = serve()
    with server.call() as client:
        assert ended(client)


def test_one_tcp_client_too_many_costs_the_oldest_its_place(serve, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.resolver.DNS_TCP_CLIENTS_MAX", 1)
    server = serve()
    with server.call() as oldest:
        assert addresses(server.ask("db", tcp=True)) == {"10.0.0.2"}
        assert ended(oldest)


def test_a_sandbox_that_goes_ends_its_tcp_clients(serve):
    server = serve()
    with server.call() as client:
        assert addresses(server.ask("db", tcp=True)) == {"10.0.0.2"}
        server.resolver.remove("s")
        assert ended(client)


def test_a_closed_resolver_takes_no_sandbox(serve):
    server = serve()
    server.resolver.close()
    sockets = (bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM))
    with pytest.raises(OSError, match="closed"):
        server.resolver.add("t", sockets, Names())
    for one in sockets:
        one.close()


def test_what_a_connection_sends_that_is_no_question_is_answered_as_one_packet_is(serve):
    with serve().call() as client:
        client.sendall(b"\0\0" + b"\0\5abcde" + b"\0\x0c" + b"ab" + bytes(10))
        assert client.recv(100) == b"\0\x0c" + b"ab\x80\1" + bytes(8)


def test_a_client_that_reads_nothing_is_no_burden(serve):
    server = serve()
    server.names.known["many"] = tuple(f"10.1.{i}.{j}" for i in range(2) for j in range(200))
    query = dns.message.make_query("many", "A").to_wire()
    with server.call() as client:
        client.settimeout(0.1)
        # until the answers, which nobody takes, fill every buffer on the way
        with contextlib.suppress(TimeoutError):
            while True:
                client.sendall((len(query).to_bytes(2) + query) * 100)
        assert addresses(server.ask("db")) == {"10.0.0.2"}
        unsent = [len(one.unsent) for one in server.resolver._clients]
        assert max(unsent) < 1 << 20


def test_sandboxes_that_come_and_go_leave_no_descriptor_and_no_thread(serve):
    server = serve()
    server.ask("db")
    before, threads = count_descriptors(), threading.active_count()
    clients = []
    for number in range(200):
        udp, tcp = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
        server.resolver.add(f"s{number}", (udp, tcp), Names())
        clients.append(socket.create_connection(tcp.getsockname(), TIMEOUT_S))
    assert addresses(server.ask("db", tcp=True)) == {"10.0.0.2"}
    for number in range(200):
        server.resolver.remove(f"s{number}")
    for client in clients:
        client.close()
    # the resolver closes its end of the question's connection when it comes to read its end
    wait_for(lambda: count_descriptors() <= before, "the descriptors to be closed")
    assert threading.active_count() <= threads


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(Names())
    yield server
    server.resolver.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(packets=st.lists(st.binary(max_size=700), max_size=5))
def test_no_packet_silences_it(server, packets):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, server.call() as connection:
        for packet in packets:
            client.sendto(packet, ("127.0.0.1", server.port))
            connection.sendall(packet)
    assert addresses(server.ask("db")) == {"10.0.0.2"}


def test_a_client_that_says_no_more_has_its_answers_yet(serve):
    query = dns.message.make_query("db", "A").to_wire()
    with serve().call() as client:
        client.sendall((len(query).to_bytes(2) + query) * 100)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    assert received.count(b"\x0a\0\0\2") == 100
