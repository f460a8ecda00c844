"""Goal: what is not ours is asked of the upstream servers as Docker does, and never passed on torn.

Method: real servers on addresses of the loopback net; what 20.10.24 does with each was measured.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.libnetwork import answers
from refimpl.libnetwork.upstream import Forwarding, cut, is_answer
from tests.unit.refimpl.dns_backend import (
    TIMEOUT_S,
    Names,
    Server,
    addresses,
    count_descriptors,
    wait_for,
)

SHORT_S = 0.1
Answer = Callable[[dns.message.Message], list[bytes]]


def says(address: str = "192.0.2.1", *, flags: int = 0, rcode: int = 0, count: int = 1) -> Answer:
    """Answer with an address, or with an error."""

    def answer(query: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(query)
        response.flags |= flags
        response.set_rcode(dns.rcode.Rcode(rcode))
        if not rcode:
            name = query.question[0].name
            more = [f"198.51.{number // 256}.{number % 256}" for number in range(1, count)]
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", address, *more))
        return [response.to_wire(max_size=65535)]

    return answer


def silent(_query: dns.message.Message) -> list[bytes]:
    return []


def garbage(query: dns.message.Message) -> list[bytes]:
    return [query.id.to_bytes(2) + b"garbage"]


def torn(query: dns.message.Message) -> list[bytes]:
    return [says()(query)[0][:-3]]


def echo(query: dns.message.Message) -> list[bytes]:
    return [query.to_wire()]


def other_question(query: dns.message.Message) -> list[bytes]:
    other = dns.message.make_query("other.example", "A", id=query.id)
    return says("192.0.2.66")(other)


def forged_first(query: dns.message.Message) -> list[bytes]:
    """What somebody sends who does not know the id, and then the answer."""
    forged = says("192.0.2.66")(query)[0]
    return [bytes((forged[0] ^ 1,)) + forged[1:], *says()(query)]


SERVFAIL, REFUSED = says(rcode=2), says(rcode=5)
NXDOMAIN, NXDOMAIN_FOR_SURE = says(rcode=3), says(rcode=3, flags=dns.flags.AA)


class Nameserver:
    """A nameserver on an address of the loopback net, port of its own."""

    def __init__(self, address: str, port: int, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.queries: list[bytes] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, port))
        self.port: int = self._udp.getsockname()[1]
        self._tcp = socket.create_server((address, self.port))
        self._is_closed = False
        self._threads = [
            threading.Thread(target=work) for work in (self._serve_udp, self._serve_tcp)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._is_closed = True
        port = self._udp.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", port)
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        self._udp.close()
        self._tcp.close()

    def _replies(self, wire: bytes, via: str) -> list[bytes]:
        query = dns.message.from_wire(wire)
        self.queries.append(wire)
        self.asked.append(f"{via} {query.question[0].name}")
        return self.answer(query)

    def _serve_udp(self) -> None:
        while True:
            wire, client = self._udp.recvfrom(4096)
            if self._is_closed:
                return
            for reply in self._replies(wire, "udp"):
                self._udp.sendto(reply, client)

    def _serve_tcp(self) -> None:
        while True:
            try:
                client, _ = self._tcp.accept()
            except OSError:
                return
            with client:
                length = int.from_bytes(client.recv(2))
                for reply in self._replies(client.recv(length), "tcp"):
                    client.sendall(len(reply).to_bytes(2) + reply)


@pytest.fixture
def nameservers(monkeypatch) -> Iterator[Callable[..., list[Nameserver]]]:
    """Start servers at 127.0.0.2, 127.0.0.3, ... on a port that the resolver then asks."""
    made: list[Nameserver] = []
    original = Forwarding.__init__

    def make(*answers_: Answer) -> list[Nameserver]:
        port = 0
        for number, answer in enumerate(answers_, 2):
            made.append(Nameserver(f"127.0.0.{number}", port, answer))
            port = made[0].port
        monkeypatch.setattr(
            Forwarding,
            "__init__",
            lambda self, clock, watch, forget: original(self, clock, watch, forget, port),
        )
        return made

    yield make
    for one in made:
        one.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(*upstreams: str, **options: bool) -> Server:
        servers.append(Server(Names(*upstreams, **options)))
        return servers[-1]

    yield make
    for server in servers:
        server.resolver.close()


@pytest.fixture
def impatient(monkeypatch):
    """Servers have less time than in life."""
    monkeypatch.setattr("refimpl.libnetwork.upstream.DNS_UPSTREAM_TIMEOUT_S", SHORT_S)


def is_answered(server: Server, *, tcp: bool = False, name: str = "example.org") -> bool:
    query = dns.message.make_query(name, "A")
    send = dns.query.tcp if tcp else dns.query.udp
    try:
        send(query, "127.0.0.1", timeout=5 * SHORT_S, port=server.tcp_port if tcp else server.port)
    except (dns.exception.Timeout, EOFError):
        return False
    return True


# -- which server ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_other_names_are_asked_of_the_first_server_in_the_same_way(serve, nameservers, tcp):
    first, second = nameservers(says("192.0.2.1"), says("192.0.2.2"))
    response = serve("127.0.0.2", "127.0.0.3").ask("example.org", tcp=tcp)
    assert addresses(response) == {"192.0.2.1"}
    assert first.asked == [("tcp" if tcp else "udp") + " example.org."]
    assert second.asked == []


def test_a_question_is_passed_on_as_it_is_under_an_id_of_its_own(serve, nameservers):
    (nameserver,) = nameservers(says())
    server = serve("127.0.0.2")
    for _ in range(3):
        server.ask("example.org", use_edns=0, payload=1232, want_dnssec=True, id=7)
    wire = dns.message.make_query("example.org", "A", use_edns=0, payload=1232, want_dnssec=True)
    assert [query[2:] for query in nameserver.queries] == [wire.to_wire()[2:]] * 3
    assert {query[:2] for query in nameserver.queries} != {b"\0\7"}


def test_own_names_are_never_asked_outside(serve, nameservers):
    (nameserver,) = nameservers(says())
    server = serve("127.0.0.2")
    server.ask("db")
    server.ask("db", "AAAA")
    assert nameserver.asked == []


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    "first",
    [
        SERVFAIL,
        REFUSED,
        says(rcode=1),
        says(rcode=4),
        NXDOMAIN,
        garbage,
        torn,
        echo,
        other_question,
    ],
    ids=["servfail", "refused", "formerr", "notimp", "nx", "garbage", "torn", "echo", "other"],
)
def test_a_server_that_does_not_know_is_followed_by_the_next_at_once(
    serve, nameservers, first, tcp
):
    nameservers(first, says("192.0.2.2"))
    response = serve("127.0.0.2", "127.0.0.3").ask("example.org", tcp=tcp)
    assert addresses(response) == {"192.0.2.2"}


@pytest.mark.parametrize(
    ("answer", "rcode"),
    [(NXDOMAIN_FOR_SURE, 3), (says(flags=dns.flags.TC), 0)],
    ids=["authoritative no", "truncated"],
)
def test_some_answers_are_final(serve, nameservers, answer, rcode):
    _, second = nameservers(answer, says("192.0.2.2"))
    assert serve("127.0.0.2", "127.0.0.3").ask("example.org").rcode() == rcode
    assert second.asked == []


@pytest.mark.parametrize("last", [SERVFAIL, REFUSED, NXDOMAIN], ids=["servfail", "refused", "nx"])
def test_when_no_server_knows_the_last_ones_word_is_the_answer(serve, nameservers, last):
    nameservers(NXDOMAIN, SERVFAIL, last)
    response = serve("127.0.0.2", "127.0.0.3", "127.0.0.4").ask("example.org")
    assert (
        response.rcode() == dns.message.from_wire(last(dns.message.make_query("a", "A"))[0]).rcode()
    )


def test_a_fourth_server_is_not_asked(serve, nameservers):
    *_, fourth = nameservers(SERVFAIL, SERVFAIL, SERVFAIL, says())
    upstreams = [f"127.0.0.{number}" for number in range(2, 6)]
    assert serve(*upstreams).ask("example.org").rcode() == dns.rcode.SERVFAIL
    assert fourth.asked == []


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_dead_server_is_followed_by_the_next_at_once(serve, nameservers, tcp):
    nameservers(says())
    # nobody listens there: the kernel says so before any deadline
    response = serve("127.0.0.9", "127.0.0.2").ask("example.org", tcp=tcp)
    assert addresses(response) == {"192.0.2.1"}


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_silent_server_is_followed_by_the_next_in_time(serve, nameservers, impatient, tcp):
    nameservers(silent, says("192.0.2.2"))
    server = serve("127.0.0.2", "127.0.0.3")
    begun_s = time.monotonic()
    assert addresses(server.ask("example.org", tcp=tcp)) == {"192.0.2.2"}
    # a server that closes the connection has said that nothing will come
    assert tcp or time.monotonic() - begun_s >= SHORT_S


def test_a_silent_server_delays_nobody_else(serve, nameservers, impatient):
    nameservers(silent, says("192.0.2.2"))
    server = serve("127.0.0.2", "127.0.0.3")
    answered: list[set[str]] = []
    slow = threading.Thread(target=lambda: answered.append(addresses(server.ask("slow.org"))))
    slow.start()
    assert addresses(server.ask("db")) == {"10.0.0.2"}
    assert answered == []
    slow.join(TIMEOUT_S)
    assert answered == [{"192.0.2.2"}]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    "answers_",
    [(), (silent,), (SERVFAIL, silent), (NXDOMAIN, garbage)],
    ids=["no server", "a silent one", "an error and a silent one", "a no and garbage"],
)
def test_where_the_last_server_says_nothing_nothing_is_said(
    serve, nameservers, impatient, monkeypatch, answers_, tcp
):
    monkeypatch.setattr("refimpl.libnetwork.resolver.DNS_TCP_IDLE_S", 4 * SHORT_S)
    nameservers(*answers_)
    server = serve(*(f"127.0.0.{number}" for number in range(2, 2 + len(answers_))))
    assert not is_answered(server, tcp=tcp)


def test_a_forged_answer_is_nobodys(serve, nameservers):
    nameservers(forged_first)
    assert addresses(serve("127.0.0.2").ask("example.org")) == {"192.0.2.1"}


# -- room ------------------------------------------------------------------------------------------


def test_a_long_answer_reaches_those_who_have_room(serve, nameservers):
    nameservers(says(count=60))
    server = serve("127.0.0.2")
    assert len(addresses(server.ask("example.org", use_edns=0, payload=4096))) == 60
    assert len(addresses(server.ask("example.org", tcp=True))) == 60
    short = server.ask("example.org")
    assert (addresses(short), bool(short.flags & dns.flags.TC)) == (set(), True)


def test_a_very_long_answer_comes_whole_by_tcp(serve, nameservers):
    nameservers(says(count=2000))
    assert len(addresses(serve("127.0.0.2").ask("example.org", tcp=True))) == 2000


def test_a_truncated_answer_tells_the_client_to_ask_by_tcp(serve, nameservers):
    (nameserver,) = nameservers(says(flags=dns.flags.TC))
    server = serve("127.0.0.2")
    assert server.ask("example.org").flags & dns.flags.TC
    nameserver.answer = says()
    assert addresses(server.ask("example.org", tcp=True)) == {"192.0.2.1"}
    assert nameserver.asked == ["udp example.org.", "tcp example.org."]


# -- limits and ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limit", ["DNS_UPSTREAM_QUERIES_MAX", "DNS_UPSTREAM_QUERIES_PER_SANDBOX_MAX"]
)
def test_a_question_too_many_is_dropped(serve, nameservers, impatient, monkeypatch, limit):
    (nameserver,) = nameservers(silent)
    server = serve("127.0.0.2")
    monkeypatch.setattr(f"refimpl.libnetwork.upstream.{limit}", 1)
    first = threading.Thread(target=is_answered, args=(server,))
    first.start()
    wait_for(lambda: nameserver.asked, "the first question is under way")
    assert not is_answered(server, name="second.org")
    first.join(TIMEOUT_S)
    # the first one's time is over, so there is room again
    assert nameserver.asked[0] == "udp example.org."
    nameserver.answer = says()
    assert addresses(server.ask("third.org")) == {"192.0.2.1"}


def test_a_sandbox_that_goes_takes_its_waiting_questions_along(serve, nameservers):
    (nameserver,) = nameservers(silent)
    server = serve("127.0.0.2")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        before = count_descriptors()
        client.sendto(dns.message.make_query("slow.org", "A").to_wire(), ("127.0.0.1", server.port))
        wait_for(lambda: nameserver.asked, "the upstream server is asked")
    server.resolver.remove("s")
    # its own two sockets, the one that asked, and the client's
    assert count_descriptors() <= before - 3


def test_a_server_that_is_out_of_reach_is_followed_by_the_next(serve, nameservers, monkeypatch):
    nameservers(says())
    server = serve("127.0.0.1", "127.0.0.2")
    original = server.names.open_socket

    def open_socket(upstream, kind):
        if upstream.address == "127.0.0.1":
            raise OSError("the namespace is gone")
        return original(upstream, kind)

    monkeypatch.setattr(server.names, "open_socket", open_socket)
    assert addresses(server.ask("example.org")) == {"192.0.2.1"}


def test_a_client_that_says_no_more_has_the_servers_answer_yet(serve, nameservers):
    nameservers(says())
    query = dns.message.make_query("example.org", "A").to_wire()
    with serve("127.0.0.2").call() as client:
        client.sendall(len(query).to_bytes(2) + query)
        client.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := client.recv(65536):
            received += chunk
    assert addresses(dns.message.from_wire(received[2:])) == {"192.0.2.1"}


def test_closing_ends_every_waiting_question(nameservers):
    (nameserver,) = nameservers(silent)
    before = count_descriptors()
    server = Server(Names("127.0.0.2"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for number in range(20):
            query = dns.message.make_query(f"slow{number}.org", "A")
            client.sendto(query.to_wire(), ("127.0.0.1", server.port))
        wait_for(lambda: len(nameserver.asked) == 20, "all questions are under way")
    server.resolver.close()
    assert count_descriptors() <= before


# -- any message -----------------------------------------------------------------------------------

QUERY = dns.message.make_query("exAmple.org", "A")
READ = cast("answers.Question", answers.read_query(QUERY.to_wire()))
WHOLE = QUERY.id.to_bytes(2) + says(count=5)(QUERY)[0][2:]


@given(st.binary(max_size=300))
def test_nothing_at_all_is_taken_for_an_answer_to_the_question(rubbish):
    message = WHOLE[:2] + rubbish
    if is_answer(message, READ):
        response = dns.message.from_wire(message, ignore_trailing=True)
        assert response.flags & dns.flags.QR


@given(st.integers(0, len(WHOLE) - 1))
def test_no_beginning_of_an_answer_is_one(length):
    assert is_answer(WHOLE, READ)
    assert not is_answer(WHOLE[:length], READ)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_spoiled_answer_harms_nobody(at, byte):
    spoiled = WHOLE[:at] + bytes((byte,)) + WHOLE[at + 1 :]
    if is_answer(spoiled, READ):
        assert len(cut(spoiled, READ, udp=True)) <= 512


def test_the_case_of_the_name_does_not_matter_and_its_type_does():
    lower = WHOLE[:12] + WHOLE[12 : READ.end].lower() + WHOLE[READ.end :]
    assert is_answer(lower, READ)
    for name, rdtype in (("example.net", "A"), ("example.org", "AAAA")):
        other = dns.message.make_response(dns.message.make_query(name, rdtype, id=QUERY.id))
        assert not is_answer(other.to_wire(), READ)
