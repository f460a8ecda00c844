"""Raw DNS from inside a container, and a DNS server for its engine to forward to."""

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset
from docker.models.containers import Container

from conformance.assertions import expect_equal
from conformance.observe.files import parse_resolv_conf
from conformance.observe.sockets import Sockets, resolv_conf_of

PORT = 53
_READ_BYTES = 65535
NO_ANSWER = "no answer"
Handler = Callable[[dns.message.Message, str], dns.message.Message | bytes | None]
"""What a server answers to a question that came by "udp" or "tcp"; None = nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsAnswer:
    """What came back to one question.

    Attributes:
        rcode: "NOERROR", "NXDOMAIN", ...; NO_ANSWER when nothing came in time.
        records: the answer section's data as texts, in order.
        ttls: the lifetimes of these records in seconds.
        flags: the header's flags: QR AA TC RD RA AD CD.
        payload: the size in an OPT record; None without EDNS.
        message: the whole message, for what is not above.
    """

    rcode: str
    records: tuple[str, ...] = ()
    ttls: tuple[int, ...] = ()
    flags: frozenset[str] = frozenset()
    payload: int | None = None
    message: dns.message.Message | None = None

    @classmethod
    def of(cls, message: dns.message.Message) -> "DnsAnswer":
        """Read a message."""
        data = [(rrset.ttl, str(record)) for rrset in message.answer for record in rrset]
        return cls(
            rcode=dns.rcode.to_text(message.rcode()),
            records=tuple(text for _, text in data),
            ttls=tuple(ttl for ttl, _ in data),
            flags=frozenset(dns.flags.to_text(message.flags).split()),
            payload=message.payload if message.edns >= 0 else None,
            message=message,
        )


class DnsClient:
    """Asks the name server that a container's resolv.conf names, out of that container."""

    def __init__(self, sockets: Sockets) -> None:
        """Use a row's sockets."""
        self._sockets = sockets

    def server_of(self, container: Container) -> str:
        """Give the first name server in a container's resolv.conf."""
        return next(iter(parse_resolv_conf(resolv_conf_of(container)).nameservers), "")

    def ask(
        self,
        container: Container,
        name: str,
        type: str = "A",
        *,
        tcp: bool = False,
        payload: int | None = None,
        timeout_s: float = 2,
    ) -> DnsAnswer:
        """Ask for a name, without any search list.

        Args:
            container: who asks.
            name: what for; a PTR question may be asked with an address's reverse name.
            type: the record's type.
            tcp: ask over TCP.
            payload: ask with EDNS and this size.
            timeout_s: how long to wait for the answer.
        """
        question = dns.message.make_query(name, type, use_edns=payload is not None or False)
        if payload is not None:
            question.use_edns(0, payload=payload)
        return self.exchange(container, question, tcp=tcp, timeout_s=timeout_s)

    def ask_reverse(self, container: Container, address: str) -> DnsAnswer:
        """Ask for the name of an address."""
        name = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        return self.ask(container, name, "PTR")

    def exchange(
        self,
        container: Container,
        question: dns.message.Message,
        *,
        tcp: bool = False,
        is_last: bool = False,
        repeats: bool = False,
        timeout_s: float = 2,
    ) -> DnsAnswer:
        """Send a message of the row's own making and give what comes back.

        Args:
            container: who asks.
            question: the message.
            tcp: send it over TCP.
            is_last: then close the sending half of the TCP connection before the answer comes.
            repeats: give a record that is in the answer twice twice.
            timeout_s: how long to wait for the answer.
        """
        server = self.server_of(container)
        made = self._sockets.make(container, "tcp" if tcp else "udp", ipv6=":" in server)
        made.settimeout(timeout_s)
        deadline = time.time() + timeout_s
        try:
            made.connect((server, PORT))
            if tcp:
                dns.query.send_tcp(made, question, deadline)
                if is_last:
                    made.shutdown(socket.SHUT_WR)
                answer, _ = dns.query.receive_tcp(made, deadline, one_rr_per_rrset=repeats)
            else:
                made.send(question.to_wire())
                answer = dns.message.from_wire(made.recv(_READ_BYTES), one_rr_per_rrset=repeats)
        except (OSError, EOFError, dns.exception.Timeout):
            return DnsAnswer(rcode=NO_ANSWER)
        if answer.id != question.id:
            return DnsAnswer(rcode=f"an answer to another question: {answer.id}")
        return DnsAnswer.of(answer)

    def exchange_all(
        self, container: Container, questions: Sequence[dns.message.Message]
    ) -> list[DnsAnswer]:
        """Send several messages over one TCP connection; give the answers in their order."""
        with self._sockets.make(container, "tcp") as made:
            found = {}
            with contextlib.suppress(OSError, EOFError, dns.exception.Timeout):
                made.connect((self.server_of(container), PORT))
                for question in questions:
                    dns.query.send_tcp(made, question)
                for _ in questions:
                    answer, _ = dns.query.receive_tcp(made, time.time() + 2)
                    found[answer.id] = DnsAnswer.of(answer)
        return [found.get(question.id, DnsAnswer(rcode=NO_ANSWER)) for question in questions]

    def addresses(self, container: Container, name: str, type: str = "A") -> list[str]:
        """Give the addresses that a name has for a container, sorted; [] for none."""
        return sorted(self.ask(container, name, type).records)


def expect_unknown(client: DnsClient, asker: Container, name: str) -> None:
    """Expect an engine not to know a name, asked for by a container of the fixture `asker`."""
    expect_equal(f"what becomes of {name}", "NXDOMAIN", client.ask(asker, name).rcode)


class DnsServer:
    """A DNS server on a container's or the engine's address while a `with` block runs."""

    def __init__(
        self, sockets: Sockets, where: Container | None, address: str, handler: Handler
    ) -> None:
        """Bind port 53, UDP and TCP."""
        self.address = address
        self.questions: list[tuple[str, str, str]] = []
        """What was asked so far: ("udp" or "tcp", name, type)."""
        self.messages: list[dns.message.Message] = []
        self.clients: set[str] = set()
        """The addresses from which questions came."""
        self._handler = handler
        self._udp = sockets.serve(where, address, PORT, kind="udp")
        self._tcp = sockets.serve(where, address, PORT, kind="tcp")
        self._wake = os.eventfd(0)
        self._thread = threading.Thread(target=self._serve, name=f"dns {address}", daemon=True)

    def __enter__(self) -> "DnsServer":
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop answering, free the port and wait for the thread."""
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        os.close(self._wake)
        self._udp.close()
        self._tcp.close()

    def names(self, type: str = "") -> list[str]:
        """Give the names that were asked for so far, all or those of one type."""
        return [name for _, name, kind in self.questions if type in ("", kind)]

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for source in (self._wake, self._udp, self._tcp):
                selector.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake in ready:
                    return
                with contextlib.suppress(OSError, EOFError, dns.exception.DNSException):
                    if self._udp in ready:
                        self._answer_datagram()
                    if self._tcp in ready:
                        self._answer_connection()

    def _answer_datagram(self) -> None:
        wire, client = self._udp.recvfrom(_READ_BYTES)
        self.clients.add(client[0])
        answer = self._reply(wire, "udp")
        if answer is not None:
            self._udp.sendto(answer, client)

    def _answer_connection(self) -> None:
        connection, client = self._tcp.accept()
        self.clients.add(client[0])
        with connection:
            connection.settimeout(5)
            question, _ = dns.query.receive_tcp(connection, time.time() + 5)
            answer = self._reply(question.to_wire(), "tcp")
            if answer is not None:
                connection.sendall(len(answer).to_bytes(2, "big") + answer)

    def _reply(self, wire: bytes, kind: str) -> bytes | None:
        question = dns.message.from_wire(wire)
        first = question.question[0]
        name = first.name.to_text(omit_final_dot=True)
        self.messages.append(question)
        self.questions.append((kind, name, dns.rdatatype.to_text(first.rdtype)))
        answer = self._handler(question, kind)
        return answer.to_wire() if isinstance(answer, dns.message.Message) else answer


def answering(*records: str) -> Handler:
    """Answer every question with these records, given as `ttl class type data`."""

    def handle(question: dns.message.Message, kind: str) -> dns.message.Message:
        answer = dns.message.make_response(question, recursion_available=True)
        name = question.question[0].name
        for record in records:
            ttl, rdclass, rdtype, data = record.split(maxsplit=3)
            answer.answer.append(dns.rrset.from_text(name, int(ttl), rdclass, rdtype, data))
        return answer

    return handle


def failing(rcode: str) -> Handler:
    """Answer every question with a return code alone, as a server that is no authority."""

    def handle(question: dns.message.Message, kind: str) -> dns.message.Message:
        answer = dns.message.make_response(question, recursion_available=True)
        answer.set_rcode(dns.rcode.from_text(rcode))
        return answer

    return handle


def silent(question: dns.message.Message, kind: str) -> None:
    """Answer nothing."""
