"""Published ports as their users meet them: which are free, and who answers there."""

import collections
import contextlib
import json
import selectors
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from docker.models.containers import Container

from conformance.assertions import expect_true
from conformance.engines.base import EngineError
from conformance.engines.processes import run_tool
from conformance.observe.host import HostView
from conformance.observe.sockets import Sockets, failure_word

# Below the ports that the kernel and the engines choose themselves (ip_local_port_range).
_FIRST_PORT = 20000
_END_PORT = 32000
_WORD_MAX_BYTES = 1024

# Run inside the namespace: finds ports in a row that no socket has, of either family and kind.
FREE_FINDER = """
import json, random, socket, sys
first, end, count, given = json.loads(sys.argv[1])
def is_free(port):
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    probe.bind((address, port))
                except OSError:
                    return False
    return port not in given
choice = range(first, end - count + 1)
starts = random.sample(choice, min(200, len(choice)))
rows = ([start + at for at in range(count)] for start in starts)
print(json.dumps(next((row for row in rows if all(map(is_free, row))), [])))
"""


@dataclass(frozen=True, slots=True)
class Answering:
    """A port that answers everybody with one word.

    Attributes:
        server: the socket.
        word: the answer.
        sources: the addresses that it was asked from, the newest last.
    """

    server: socket.socket
    word: str
    sources: list[str] = field(default_factory=list)

    def answer(self) -> None:
        """Answer who asks now; one that has gone again is nobody's concern."""
        with contextlib.suppress(OSError):
            if self.server.type == socket.SOCK_DGRAM:
                _, source = self.server.recvfrom(_WORD_MAX_BYTES)
                self.sources.append(str(source[0]))
                self.server.sendto(self.word.encode(), source)
                return
            connection, source = self.server.accept()
            self.sources.append(str(source[0]))
            with connection:
                connection.sendall(self.word.encode())


class _Answerer:
    """One thread that answers on all ports of a row."""

    def __init__(self) -> None:
        self._new: collections.deque[Answering] = collections.deque()
        self._waker, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def add(self, port: Answering) -> None:
        if not self._thread.is_alive():
            self._thread.start()
        self._new.append(port)
        self._waker.send(b"1")

    def close(self) -> None:
        self._waker.close()
        if self._thread.is_alive():
            self._thread.join()
        self._woken.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if isinstance(key.data, Answering):
                        key.data.answer()
                    elif not self._woken.recv(1):
                        return
                    else:
                        port = self._new.popleft()
                        selector.register(port.server, selectors.EVENT_READ, port)


class Ports:
    """A row's ports: finds free ones, answers in containers, asks from anywhere."""

    def __init__(self, host: HostView, sockets: Sockets) -> None:
        """Begin without a port."""
        self._host = host
        self._sockets = sockets
        self._given: list[int] = []
        self._answerer = _Answerer()

    def close(self) -> None:
        """Answer nobody any more; the sockets are closed by `sockets`."""
        self._answerer.close()

    def free(self, count: int = 1) -> list[int]:
        """Give ports in a row that nothing in the engine's namespace has, TCP or UDP.

        Raises:
            EngineError: there are none.
        """
        words = json.dumps([_FIRST_PORT, _END_PORT, count, self._given])
        found = json.loads(self._in_engine(sys.executable, "-I", "-S", "-c", FREE_FINDER, words))
        if not found:
            raise EngineError(f"no {count} ports in a row are free in the engine's namespace")
        self._given += found
        return [int(port) for port in found]

    def ephemeral(self) -> range:
        """Give the ports that are the kernel's to choose from, in the engine's namespace."""
        first, last = self._in_engine("cat", "/proc/sys/net/ipv4/ip_local_port_range").split()
        return range(int(first), int(last) + 1)

    def _in_engine(self, *command: str) -> str:
        return run_tool("nsenter", f"--net={self._host.daemon_netns().path}", *command)

    def answer(
        self, where: Container | None, port: int, word: str, *, kind: str = "tcp", address: str = ""
    ) -> Answering:
        """Answer everybody on a port with a word, for the rest of the row.

        Args:
            where: a running container; None = the engine's namespace.
            port: the port there.
            word: the answer.
            kind: "tcp", "udp" or "sctp".
            address: where to listen, IPv4 or IPv6; "" = every IPv4 address.
        """
        server = self._sockets.serve(where, address, port, kind=kind)
        server.setblocking(False)
        answering = Answering(server, word)
        self._answerer.add(answering)
        return answering

    def ask(
        self,
        where: Container | None,
        address: str,
        port: int,
        *,
        kind: str = "tcp",
        timeout_s: float = 5,
    ) -> str:
        """Ask on a port; give the word of whoever answers, or say why nobody does.

        That is "refused" (there is a host, its port is closed), "unreachable", "silence", or
        "closed": somebody took the connection and ended it without a word.

        Args:
            where: the container that asks; None = from the engine's namespace.
            address: IPv4 or IPv6.
            port: the port there.
            kind: "tcp", "udp" or "sctp".
            timeout_s: how long to wait; only "silence" takes so long.
        """
        asker = self._sockets.make(where, kind, ipv6=":" in address)
        return ask_over(asker, address, port, timeout_s=timeout_s)


def ask_over(asker: socket.socket, address: str, port: int, *, timeout_s: float = 5) -> str:
    """Ask as `Ports.ask` does, over a socket that there is already: so the source port stays."""
    asker.settimeout(timeout_s)
    try:
        asker.connect((address, port))
        if asker.type == socket.SOCK_DGRAM:
            asker.send(b"?")
        return asker.recv(_WORD_MAX_BYTES).decode() or "closed"
    except OSError as exc:
        return failure_word(exc)


@contextlib.contextmanager
def ports_of(host: HostView) -> Iterator[Ports]:
    """Lend a row the ports of one engine; its own daemon has others than the shared one."""
    sockets = Sockets(host)
    ports = Ports(host, sockets)
    try:
        yield ports
    finally:
        ports.close()
        sockets.close()


def bindings(container: Container, port: str, family: str = "") -> list[tuple[str, str]]:
    """Give where a port is published, of inspect as it is now: (host address, host port), sorted.

    Args:
        container: whose port.
        port: the container's own port: "80/tcp".
        family: "ipv4" or "ipv6" for what is published there alone; "" = both.
    """
    container.reload()
    found: list[dict[str, Any]] = container.attrs["NetworkSettings"]["Ports"].get(port) or []
    pairs = sorted((entry["HostIp"], entry["HostPort"]) for entry in found)
    return [pair for pair in pairs if not family or (":" in pair[0]) == (family == "ipv6")]


def host_port(container: Container, port: str) -> int:
    """Give the port of the engine's machine on which a container's port is published first.

    Raises:
        BehaviourViolated: it is published nowhere.
    """
    found = bindings(container, port)
    expect_true(f"{port} is published", found)
    return int(found[0][1])
