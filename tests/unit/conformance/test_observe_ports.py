"""Who answers on a port, and which ports are free, without an engine."""

import json
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from conformance.observe.ports import FREE_FINDER, Ports, ask_over, bindings, host_port


class PlainSockets:
    """Sockets of this process's own namespace."""

    def __init__(self) -> None:
        self.open = ExitStack()

    def make(self, where: None, kind: str, *, ipv6: bool = False) -> socket.socket:
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        stream = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
        return self.open.enter_context(socket.socket(family, stream))

    def serve(self, where: None, address: str, port: int, *, kind: str) -> socket.socket:
        made = self.make(where, kind)
        made.bind(("127.0.0.1", port))
        if kind == "tcp":
            made.listen()
        return made


@pytest.fixture
def sockets():
    made = PlainSockets()
    with made.open:
        yield made


@pytest.fixture
def ports(sockets):
    no_host: Any = None
    made = Ports(no_host, sockets)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_each_port_answers_with_its_word_as_often_as_it_is_asked(ports, kind):
    answering = {word: ports.answer(None, 0, word, kind=kind) for word in ("one", "two")}
    for word in ("one", "two", "one"):
        port = answering[word].server.getsockname()[1]
        assert ports.ask(None, "127.0.0.1", port, kind=kind) == word
    assert answering["one"].sources == ["127.0.0.1", "127.0.0.1"]


def test_source_port_of_a_client_stays(ports, sockets):
    port = ports.answer(None, 0, "here", kind="udp").server.getsockname()[1]
    client = sockets.make(None, "udp")
    assert ask_over(client, "127.0.0.1", port) == "here"
    before = client.getsockname()
    assert ask_over(client, "127.0.0.1", port) == "here"
    assert client.getsockname() == before


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_closed_port_is_refused(ports, sockets, kind):
    server = sockets.serve(None, "", 0, kind=kind)
    port = server.getsockname()[1]
    server.close()
    assert ports.ask(None, "127.0.0.1", port, kind=kind) == "refused"


def test_mute_ports_are_told_apart(ports, sockets):
    server = sockets.serve(None, "", 0, kind="tcp")
    port = server.getsockname()[1]
    assert ports.ask(None, "127.0.0.1", port, timeout_s=0.05) == "silence"
    asker = sockets.make(None, "tcp")
    asker.connect(("127.0.0.1", port))
    for _ in range(2):
        server.accept()[0].close()
    asker.settimeout(5)
    assert asker.recv(1) == b""


def find_free(first: int, end: int, count: int, given: list[int]) -> list[int]:
    """Run the finder as it is run in an engine's namespace."""
    words = json.dumps([first, end, count, given])
    command = [sys.executable, "-I", "-S", "-c", FREE_FINDER, words]
    return list(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


def test_free_ports_follow_each_other():
    row = find_free(20000, 32000, 3, [])
    assert row == [row[0], row[0] + 1, row[0] + 2]


def test_ports_that_are_given_or_taken_are_not_free():
    first, second = find_free(20000, 32000, 2, [])
    assert find_free(first, second + 1, 1, [first]) in ([second], [])
    with socket.socket() as server:
        server.bind(("127.0.0.1", first))
        assert find_free(first, second + 1, 1, [second]) == []


class Inspected:
    """A container of which only the ports are known."""

    def __init__(self, ports: dict[str, Any]) -> None:
        self.attrs = {"NetworkSettings": {"Ports": ports}}

    def reload(self) -> None:
        pass


def test_bindings_are_read_by_family():
    both = [{"HostIp": address, "HostPort": "8080"} for address in ("192.0.2.1", "::")]
    container: Any = Inspected({"80/tcp": both, "81/tcp": None})
    assert bindings(container, "80/tcp", "ipv4") == [("192.0.2.1", "8080")]
    assert bindings(container, "80/tcp", "ipv6") == [("::", "8080")]
    assert (bindings(container, "81/tcp"), bindings(container, "82/tcp")) == ([], [])
    assert host_port(container, "80/tcp") == 8080
