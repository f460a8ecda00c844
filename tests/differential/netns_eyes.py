"""What is seen from inside network namespaces: interfaces, routes, who answers, who is known.

Nothing runs in a container for this. A thread enters the namespace, opens sockets there and leaves
again; the sockets stay where they were opened. All questions of a moment are asked at once, so a
look costs the patience for those that nobody answers, and no more.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import dns.exception
import dns.message
import dns.rdatatype

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
_ECHO = {4: (socket.IPPROTO_ICMP, 8, 0), 6: (socket.IPPROTO_ICMPV6, 128, 129)}
"""Per family: protocol, type of a request, type of a reply."""
_RESOLVER = ("127.0.0.11", 53)
_NOT_OURS = {"local", "broadcast", "multicast", "anycast"}
_libc = ctypes.CDLL(None, use_errno=True)


def in_netns(path: str, work: Callable[[], T]) -> T:
    """Do a piece of work in a network namespace, in a thread that ends with it.

    Raises:
        OSError: the namespace is gone, or the work failed.
    """
    done: list[T] = []
    failed: list[OSError] = []

    def run() -> None:
        try:
            with Path(path).open("rb") as file:
                if _libc.setns(file.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {path}")
            done.append(work())
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def links_and_routes(path: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give what `ip address` and `ip route` show in a namespace, of either family."""
    output = subprocess.run(
        ["nsenter", f"--net={path}", "ip", "-j", "-d", "-batch", "-"],
        input="address show\nroute show table all\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    links, at = json.JSONDecoder().raw_decode(output)
    routes, _ = json.JSONDecoder().raw_decode(output[at:].lstrip())
    return (
        [link for link in links if link],
        [route for route in routes if route and route.get("type") not in _NOT_OURS],
    )


@dataclass(frozen=True)
class Questions:
    """What to ask from inside one namespace.

    Attributes:
        netns: a file that names it.
        pings: addresses that are to answer an echo request.
        names: names that the embedded DNS is asked for.
    """

    netns: str
    pings: tuple[str, ...]
    names: tuple[str, ...]


class _Asker:
    """The open sockets of one namespace, and what is still waited for."""

    def __init__(self, questions: Questions) -> None:
        self.answers: dict[str, Any] = {f"ping {a}": "silence" for a in questions.pings}
        self.answers |= {f"name {n}": [] for n in questions.names}
        self._questions = questions
        self._waiting = set(self.answers)
        self._echo: dict[int, socket.socket] = {}
        self._dns: socket.socket | None = None
        in_netns(questions.netns, self._open)

    def _open(self) -> None:
        for family in {ipaddress.ip_address(a).version for a in self._questions.pings}:
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            self._echo[family] = socket.socket(kind, socket.SOCK_RAW, _ECHO[family][0])
        if self._questions.names:
            self._dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._dns.connect(_RESOLVER)
        for opened in self.sockets():
            opened.setblocking(False)

    def sockets(self) -> list[socket.socket]:
        return [*self._echo.values(), *([self._dns] if self._dns else [])]

    def is_done(self) -> bool:
        return not self._waiting

    def send(self) -> None:
        for number, address in enumerate(self._questions.pings):
            family = ipaddress.ip_address(address).version
            packet = _echo_request(_ECHO[family][1], os.getpid() & 0xFFFF, number)
            try:
                self._echo[family].sendto(packet, (address, 0))
            except OSError:
                self._settle(f"ping {address}", "unreachable")
        for number, name in enumerate(self._questions.names):
            assert self._dns is not None
            query = dns.message.make_query(name, dns.rdatatype.A, id=number)
            try:
                self._dns.send(query.to_wire())
            except OSError:  # nobody listens there
                self._waiting -= {f"name {each}" for each in self._questions.names}
                return

    def receive(self, ready: socket.socket) -> None:
        """Read all that a socket has."""
        while True:
            try:
                data, sender = ready.recvfrom(4096)
            except BlockingIOError:
                return
            except OSError:  # refused: nobody listens there
                self._waiting -= {f"name {each}" for each in self._questions.names}
                return
            if ready is self._dns:
                self._read_reply(data)
            else:
                self._read_echo(ready.family, data, sender[0])

    def _read_echo(self, family: int, data: bytes, sender: str) -> None:
        version = 4 if family == socket.AF_INET else 6
        body = data[(data[0] & 15) * 4 :] if version == 4 else data
        kind, _, _, identity, number = struct.unpack("!BBHHH", body[:8])
        if kind != _ECHO[version][2] or identity != os.getpid() & 0xFFFF:
            return
        address = self._questions.pings[number]
        if ipaddress.ip_address(address) == ipaddress.ip_address(sender.partition("%")[0]):
            self._settle(f"ping {address}", "answers")

    def _read_reply(self, data: bytes) -> None:
        try:
            reply = dns.message.from_wire(data)
        except dns.exception.DNSException as error:
            self.answers["DNS"] = f"not a message: {error}"
            return
        found = [
            str(record)
            for records in reply.answer
            if records.rdtype == dns.rdatatype.A
            for record in records
        ]
        self._settle(f"name {self._questions.names[reply.id]}", sorted(found))

    def _settle(self, question: str, answer: Any) -> None:
        self.answers[question] = answer
        self._waiting.discard(question)

    def close(self) -> None:
        for opened in self.sockets():
            opened.close()


def ask(questions: Mapping[str, Questions], *, patience_s: float) -> dict[str, dict[str, Any]]:
    """Ask everything from everywhere at once and give the answers per asker.

    A ping is `answers`, `silence` or `unreachable` (the kernel has no way there); a name is the
    sorted list of its IPv4 addresses, empty also where nobody answered: an engine without an
    upstream server may say nothing, SERVFAIL or NXDOMAIN, and which is no promise.

    Args:
        questions: per asker.
        patience_s: how long to wait for those who do not answer.
    """
    askers: dict[str, _Asker] = {}
    try:
        for who, asked in questions.items():
            askers[who] = _Asker(asked)
        for asker in askers.values():
            asker.send()
        _gather(askers.values(), patience_s)
        return {who: asker.answers for who, asker in askers.items()}
    finally:
        for asker in askers.values():
            asker.close()


def _gather(askers: Iterable[_Asker], patience_s: float) -> None:
    owners = {opened: asker for asker in askers for opened in asker.sockets()}
    deadline = time.monotonic() + patience_s
    while not all(asker.is_done() for asker in owners.values()):
        left = deadline - time.monotonic()
        if left <= 0:
            return
        for ready in select.select(list(owners), [], [], left)[0]:
            owners[ready].receive(ready)


def _echo_request(kind: int, identity: int, number: int) -> bytes:
    """Make an echo request; for IPv6 the kernel fills in the checksum."""
    payload = b"netinit!"
    head = struct.pack("!BBHHH", kind, 0, 0, identity, number)
    total = sum(struct.unpack("!8H", head + payload))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", kind, 0, ~total & 0xFFFF, identity, number) + payload
