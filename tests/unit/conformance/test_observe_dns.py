"""The suite's own DNS client and server, on this machine's loopback instead of in containers."""

import socket
from types import SimpleNamespace
from typing import Any

import dns.message
import pytest

from conformance.observe import dns as observed
from conformance.observe.sockets import Sockets, address_in
from conformance.violation import BehaviourViolated

LOOPBACK = "127.0.0.1"
HERE: Any = None
"""Stands for a container and for the engine."""


class _HereSockets(Sockets):
    """Makes its sockets in the test's own namespace."""

    def make(self, where, kind, *, ipv6=False):
        made = socket.socket(
            socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
        )
        self._open.callback(made.close)
        made.settimeout(5)
        return made


class _Client(observed.DnsClient):
    def server_of(self, container):
        return LOOPBACK


@pytest.fixture
def sockets():
    made = _HereSockets(host=HERE)
    yield made
    made.close()


@pytest.fixture
def client(sockets, monkeypatch):
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        monkeypatch.setattr(observed, "PORT", free.getsockname()[1])
    return _Client(sockets)


@pytest.mark.parametrize("is_tcp", [False, True])
def test_client_reads_what_the_server_answers(sockets, client, is_tcp) -> None:
    handler = observed.answering("60 IN A 192.0.2.1", "60 IN A 192.0.2.2")
    with observed.DnsServer(sockets, None, LOOPBACK, handler) as server:
        answer = client.ask(None, "host.example", tcp=is_tcp)
    assert (answer.rcode, answer.records, answer.ttls) == (
        "NOERROR",
        ("192.0.2.1", "192.0.2.2"),
        (60, 60),
    )
    assert answer.flags == {"QR", "RD", "RA"}
    assert answer.payload is None
    assert server.questions == [("tcp" if is_tcp else "udp", "host.example", "A")]
    assert server.clients == {LOOPBACK}


def test_client_tells_silence_from_a_failure(sockets, client) -> None:
    with observed.DnsServer(sockets, None, LOOPBACK, observed.silent):
        assert client.ask(None, "host.example", timeout_s=0.1).rcode == observed.NO_ANSWER
    with observed.DnsServer(sockets, None, LOOPBACK, observed.failing("SERVFAIL")):
        assert client.ask(None, "host.example").rcode == "SERVFAIL"
    # nobody listens any more
    assert client.ask(None, "host.example", tcp=True).rcode == observed.NO_ANSWER


def test_only_nxdomain_is_unknown(sockets, client) -> None:
    with observed.DnsServer(sockets, None, LOOPBACK, observed.failing("NXDOMAIN")):
        observed.expect_unknown(client, HERE, "host.example")
    with (
        observed.DnsServer(sockets, None, LOOPBACK, observed.answering()),
        pytest.raises(BehaviourViolated, match="NXDOMAIN"),
    ):
        observed.expect_unknown(client, HERE, "host.example")


def test_edns_size_goes_there_and_comes_back(sockets, client) -> None:
    with observed.DnsServer(sockets, None, LOOPBACK, observed.answering()) as server:
        answer = client.ask(None, "host.example", payload=1400)
    assert server.messages[0].payload == 1400
    assert answer.payload is not None


def test_answer_to_another_question_is_told(sockets, client) -> None:
    def confused(question, kind):
        answer = dns.message.make_response(question)
        answer.id ^= 1
        return answer

    with observed.DnsServer(sockets, None, LOOPBACK, confused):
        assert "another question" in client.ask(None, "host.example").rcode


def test_socket_tells_connected_from_refused(sockets) -> None:
    server = sockets.serve(None, LOOPBACK)
    port = server.getsockname()[1]
    assert sockets.outcome(None, LOOPBACK, port) == "connected"
    assert sockets.source_seen(server) == LOOPBACK
    server.close()
    assert sockets.outcome(None, LOOPBACK, port) == "refused"


def test_no_datagram_is_an_empty_one(sockets) -> None:
    server = sockets.serve(None, LOOPBACK, kind="udp")
    assert sockets.received(server, timeout_s=0.05) == b""
    sockets.make(None, "udp").sendto(b"hello", server.getsockname())
    assert sockets.received(server) == b"hello"


def test_address_is_that_of_the_network() -> None:
    networks = {"one": {"IPAddress": "10.0.0.2"}, "two": {"IPAddress": "10.0.1.2"}}
    container: Any = SimpleNamespace(
        reload=lambda: None, attrs={"NetworkSettings": {"Networks": networks}}
    )
    assert address_in(container, SimpleNamespace(name="two")) == "10.0.1.2"
