"""The embedded DNS over real sockets: own names, other names, and clients that misbehave."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rrset
import pytest

from refimpl.libnetwork import answers
from refimpl.libnetwork.ipam import IPAddress
from refimpl.libnetwork.resolver import Resolver
from refimpl.libnetwork.upstream import Forwarding

TIMEOUT_S = 10.0


class Names:
    """A sandbox that knows two names."""

    def __init__(self, upstreams: tuple[str, ...] = (), *, ndots_set: bool = False) -> None:
        self.upstreams = upstreams
        self.ndots_set = ndots_set
        self.known = {"db": ("10.0.0.2",), "both": ("10.0.0.2", "10.0.0.3")}

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        addresses = [ip_address(text) for text in self.known.get(name.lower(), ())]
        found = tuple(address for address in addresses if address.version == version)
        return found, bool(addresses) and not found

    def resolve_ip(self, address: IPAddress) -> str:
        return "db.net" if str(address) == "10.0.0.2" else ""


def bound(kind: socket.SocketKind, address: tuple[str, int] = ("127.0.0.1", 0)) -> socket.socket:
    one = socket.socket(socket.AF_INET, kind)
    one.setblocking(False)
    one.bind(address)
    if kind == socket.SOCK_STREAM:
        one.listen()
    return one


class Server:
    """A resolver with one sandbox."""

    def __init__(self, names: Names) -> None:
        self.resolver = Resolver()
        self.udp = bound(socket.SOCK_DGRAM)
        self.port: int = self.udp.getsockname()[1]
        self.tcp = bound(socket.SOCK_STREAM, ("127.0.0.1", self.port))
        self.resolver.add("s", (self.udp, self.tcp), names)

    def ask(
        self, name: str, rdtype: str = "A", *, tcp: bool = False, **options
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, **options)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", timeout=TIMEOUT_S, port=self.port)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(*upstreams: str, **options: bool) -> Server:
        servers.append(Server(Names(upstreams, **options)))
        return servers[-1]

    yield make
    for server in servers:
        server.resolver.close()


def addresses(response: dns.message.Message) -> set[str]:
    return {str(item) for rrset in response.answer for item in rrset}


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_name_is_answered_with_its_address_for_ten_minutes(serve, tcp):
    response = serve().ask("db", tcp=tcp)
    assert addresses(response) == {"10.0.0.2"}
    assert response.answer[0].ttl == 600
    assert response.flags & dns.flags.RA


def test_an_answer_repeats_the_spelling_of_the_question(serve):
    assert serve().ask("dB").answer[0].name.to_text() == "dB."


def test_every_holder_of_a_name_is_in_the_answer(serve):
    assert addresses(serve().ask("both")) == {"10.0.0.2", "10.0.0.3"}


def test_the_holders_of_a_name_take_turns():
    query = dns.message.make_query("both", "A")

    def reverse(items) -> None:
        items.reverse()

    response = answers.answer(query, Names(), reverse)
    assert response is not None
    assert [str(item) for item in response.answer[0]] == ["10.0.0.3", "10.0.0.2"]


def test_an_ipv4_name_has_no_ipv6_address_and_no_error(serve):
    response = serve().ask("db", "AAAA")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


def test_an_own_name_has_no_mail_exchange_and_no_error(serve):
    response = serve().ask("db", "MX")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize(("name", "rdtype"), [("nowhere", "MX"), ("db", "TXT")])
def test_what_is_not_ours_to_answer_goes_upstream(serve, name, rdtype):
    assert serve().ask(name, rdtype).rcode() == dns.rcode.SERVFAIL


def test_an_address_has_its_name_and_network(serve):
    response = serve().ask("2.0.0.10.in-addr.arpa", "PTR")
    assert addresses(response) == {"db.net."}


def test_an_unknown_name_without_upstream_is_a_server_failure(serve):
    assert serve().ask("nowhere").rcode() == dns.rcode.SERVFAIL


def test_with_a_users_ndots_a_single_label_stays_inside(serve):
    response = serve(ndots_set=True).ask("nowhere")
    assert (response.rcode(), response.answer) == (dns.rcode.NOERROR, [])


def test_garbage_is_ignored_and_the_next_question_answered(serve):
    server = serve()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for garbage in (b"", b"x", b"\xff" * 600):
            client.sendto(garbage, ("127.0.0.1", server.port))
    assert addresses(server.ask("db")) == {"10.0.0.2"}


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
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as client:
        for at in range(0, len(stream), 7):
            client.sendall(stream[at : at + 7])
        received = b""
        while received.count(b"\x0a\x00\x00\x02") < 2:
            chunk = client.recv(4096)
            assert chunk, "the connection ended before both answers"
            received += chunk


def test_an_answer_that_does_not_fit_is_cut_and_marked():
    names = Names()
    names.known["many"] = tuple(f"10.1.{i}.{j}" for i in range(4) for j in range(1, 60))
    query = dns.message.make_query("many", "A")
    response = answers.answer(query, names)
    assert response is not None
    cut = dns.message.from_wire(answers.to_wire(query, response, udp=True))
    assert cut.flags & dns.flags.TC
    assert len(answers.to_wire(query, response, udp=True)) <= 512
    whole = dns.message.from_wire(answers.to_wire(query, response, udp=False))
    assert len(addresses(whole)) == 236
    large = dns.message.make_query("many", "A", payload=4096)
    assert len(answers.to_wire(large, response, udp=True)) > 512


@pytest.mark.parametrize("name", ["a..b", "x" * 64, "-", "a b"])
def test_a_network_whose_name_is_no_dns_name_breaks_nothing(name):
    names = Names()
    names.resolve_ip = lambda address: f"db.{name}"  # type: ignore[method-assign]
    query = dns.message.make_query("2.0.0.10.in-addr.arpa", "PTR")
    response = answers.answer(query, names)
    if response is not None:
        assert answers.to_wire(query, response, udp=True)


def test_a_removed_sandbox_is_answered_no_more_and_its_sockets_are_closed(serve):
    server = serve()
    server.ask("db")
    server.resolver.remove("s")
    assert server.udp.fileno() == server.tcp.fileno() == -1
    server.resolver.remove("s")


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


def test_a_question_that_is_none_is_refused():
    query = dns.message.make_query("db", "A")
    query.set_opcode(dns.opcode.STATUS)
    response = answers.answer(query, Names())
    assert response is not None
    assert response.rcode() == dns.rcode.NOTIMP


def test_a_class_of_its_own_is_not_ours():
    query = dns.message.make_query("db", "A", rdclass="CH")
    assert answers.answer(query, Names()) is None


@pytest.mark.parametrize("name", ["nonsense.in-addr.arpa", "db", "9.9.9.10.in-addr.arpa"])
def test_an_address_that_is_none_or_nobodys_is_not_ours(name):
    assert answers.answer(dns.message.make_query(name, "PTR"), Names()) is None


def ended(client: socket.socket) -> bool:
    client.settimeout(TIMEOUT_S)
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_tcp_client_that_says_nothing_is_let_go(serve, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.resolver.DNS_TCP_IDLE_S", 0.1)
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as client:
        assert ended(client)


def test_one_tcp_client_too_many_costs_the_oldest_its_place(serve, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.resolver.DNS_TCP_CLIENTS_MAX", 1)
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as oldest:
        assert addresses(server.ask("db", tcp=True)) == {"10.0.0.2"}
        assert ended(oldest)


def test_a_sandbox_that_goes_ends_its_tcp_clients(serve):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_S) as client:
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


# -- upstream ------------------------------------------------------------------------------


class Upstream:
    """A nameserver on an address of the loopback net, port of its own."""

    def __init__(self, address: str, port: int, answer: str | dns.rcode.Rcode | None) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.authoritative = False
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, port))
        self.port: int = self._udp.getsockname()[1]
        self._tcp = socket.create_server((address, self.port))
        for work in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        for one in (self._udp, self._tcp):
            one.shutdown(socket.SHUT_RDWR) if one is self._tcp else None
            one.close()

    def _reply(self, wire: bytes, via: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        self.asked.append(f"{via} {query.question[0].name}")
        if self.answer is None:
            return None
        response = dns.message.make_response(query)
        if self.authoritative:
            response.flags |= dns.flags.AA
        if isinstance(self.answer, str):
            name = query.question[0].name
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", self.answer))
        else:
            response.set_rcode(self.answer)
        return response.to_wire()

    def _serve_udp(self) -> None:
        while True:
            try:
                wire, client = self._udp.recvfrom(4096)
                reply = self._reply(wire, "udp")
                if reply is not None:
                    self._udp.sendto(reply, client)
            except OSError:
                return

    def _serve_tcp(self) -> None:
        while True:
            try:
                client, _ = self._tcp.accept()
                with client:
                    length = int.from_bytes(client.recv(2))
                    reply = self._reply(client.recv(length), "tcp")
                    if reply is not None:
                        client.sendall(len(reply).to_bytes(2) + reply)
            except OSError:
                return


@pytest.fixture
def upstreams(monkeypatch) -> Iterator[Callable[..., list[Upstream]]]:
    made: list[Upstream] = []
    original = Forwarding.__init__

    def make(*answers_: str | dns.rcode.Rcode | None) -> list[Upstream]:
        port = 0
        for number, answer in enumerate(answers_, 2):
            made.append(Upstream(f"127.0.0.{number}", port, answer))
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


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_other_names_are_asked_of_the_first_server_in_the_same_way(serve, upstreams, tcp):
    first, second = upstreams("192.0.2.1", "192.0.2.2")
    response = serve("127.0.0.2", "127.0.0.3").ask("example.org", tcp=tcp)
    assert addresses(response) == {"192.0.2.1"}
    assert first.asked == [("tcp" if tcp else "udp") + " example.org."]
    assert second.asked == []


def test_own_names_are_never_asked_outside(serve, upstreams):
    (upstream,) = upstreams("192.0.2.1")
    server = serve("127.0.0.2")
    server.ask("db")
    server.ask("db", "AAAA")
    assert upstream.asked == []


@pytest.mark.parametrize("first", [dns.rcode.SERVFAIL, dns.rcode.NXDOMAIN], ids=["servfail", "nx"])
def test_a_server_that_does_not_know_is_followed_by_the_next(serve, upstreams, first):
    upstreams(first, "192.0.2.2")
    assert addresses(serve("127.0.0.2", "127.0.0.3").ask("example.org")) == {"192.0.2.2"}


def test_an_authoritative_no_is_final(serve, upstreams):
    first, second = upstreams(dns.rcode.NXDOMAIN, "192.0.2.2")
    first.authoritative = True
    response = serve("127.0.0.2", "127.0.0.3").ask("example.org")
    assert response.rcode() == dns.rcode.NXDOMAIN
    assert second.asked == []


def test_when_no_server_knows_the_last_no_is_the_answer(serve, upstreams):
    upstreams(dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL)
    response = serve("127.0.0.2", "127.0.0.3").ask("example.org")
    assert response.rcode() == dns.rcode.NXDOMAIN


def test_a_dead_server_is_followed_by_the_next_at_once(serve, upstreams):
    upstreams("192.0.2.1")
    # nobody listens there: the kernel says so before any deadline
    assert addresses(serve("127.0.0.9", "127.0.0.2").ask("example.org")) == {"192.0.2.1"}


def test_a_silent_server_delays_nobody_else(serve, upstreams, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.upstream.DNS_UPSTREAM_TIMEOUT_S", 0.5)
    upstreams(None, "192.0.2.2")
    server = serve("127.0.0.2", "127.0.0.3")
    answered: list[set[str]] = []
    slow = threading.Thread(target=lambda: answered.append(addresses(server.ask("slow.org"))))
    begun_s = time.monotonic()
    slow.start()
    assert addresses(server.ask("db")) == {"10.0.0.2"}
    assert answered == []
    slow.join(TIMEOUT_S)
    assert answered == [{"192.0.2.2"}]
    assert time.monotonic() - begun_s >= 0.5


def test_only_silence_is_a_server_failure(serve, upstreams, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.upstream.DNS_UPSTREAM_TIMEOUT_S", 0.1)
    upstreams(None)
    assert serve("127.0.0.2").ask("slow.org").rcode() == dns.rcode.SERVFAIL


def test_beyond_the_limit_questions_fail_at_once(serve, upstreams, monkeypatch):
    monkeypatch.setattr("refimpl.libnetwork.upstream.DNS_UPSTREAM_QUERIES_MAX", 0)
    (upstream,) = upstreams("192.0.2.1")
    assert serve("127.0.0.2").ask("example.org").rcode() == dns.rcode.SERVFAIL
    assert upstream.asked == []


def test_a_sandbox_that_goes_takes_its_waiting_questions_along(serve, upstreams):
    (upstream,) = upstreams(None)
    server = serve("127.0.0.2")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(dns.message.make_query("slow.org", "A").to_wire(), ("127.0.0.1", server.port))
        deadline_s = time.monotonic() + TIMEOUT_S
        while not upstream.asked:
            assert time.monotonic() < deadline_s, "the upstream server was not asked"
            time.sleep(0.005)
    server.resolver.remove("s")
    assert server.resolver._forwarding.next_deadline_s() is None
