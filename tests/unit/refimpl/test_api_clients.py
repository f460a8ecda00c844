"""Goal: many clients, clients that leave, and the socket's file."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from pathlib import Path
from typing import cast

import pytest

from refimpl.api import server as server_module
from refimpl.api.server import Listener, Server, SocketInUse
from refimpl.daemon.backend import Backend
from tests.unit.refimpl.api_fake import FakeBackend, serving
from tests.unit.refimpl.raw_http import WAIT_S, Client, request_bytes

# --------------------------------------------------------------------------------- many, and gone


def test_a_hundred_clients_are_served_at_once(path: Path) -> None:
    """All connect before any asks, so a server that takes one at a time would never answer."""
    clients = [Client(path) for _ in range(100)]
    for client in reversed(clients):
        client.send(request_bytes("GET", "/info"))
    assert {client.reply().status for client in clients} == {200}
    for client in clients:
        client.sock.close()


@pytest.mark.usefixtures("many_descriptors")
def test_a_burst_of_clients_is_not_refused(backend: FakeBackend, tmp_path: Path) -> None:
    """They connect at once while nothing is accepted; without a backlog they get EAGAIN."""
    listener = Listener(tmp_path / "api.sock")
    limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
    clients = []
    try:
        for _ in range(min(1000, limit)):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            clients.append(client)
            client.connect(str(listener.path))
        server = Server(cast("Backend", backend), listener)
        for client in clients:
            client.settimeout(WAIT_S)
            client.sendall(request_bytes("GET", "/_ping", headers={"Connection": "close"}))
        for client in clients:
            assert client.recv(1024).startswith(b"HTTP/1.1 200")
        server.close()
    finally:
        for client in clients:
            client.close()
        listener.close()


def test_a_thread_that_cannot_be_started_is_one_clients_trouble(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "api-client":
            raise RuntimeError("can't start new thread")
        start(thread)

    with Client(path) as before:
        assert before.request("GET", "/_ping").status == 200
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            for _ in range(3):
                with Client(path) as client:
                    reply = client.reply()
                    assert reply.status == 503
                    assert reply.message == (
                        "the engine can serve no further client: can't start new thread"
                    )
                    assert client.rest() == b""
        assert before.request("GET", "/_ping").status == 200
        with Client(path) as after:
            assert after.request("GET", "/_ping").status == 200
    refusals = [record.getMessage() for record in caplog.records]
    assert len(refusals) == 1
    assert f"the client of process {os.getpid()}, user" in refusals[0]


def test_one_client_too_many_is_turned_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "API_CLIENTS_MAX", 2)
    with Client(path) as one, Client(path) as two, Client(path) as three:
        assert {client.request("GET", "/_ping").status for client in (one, two)} == {200}
        assert three.reply().status == 503


def test_an_accept_that_fails_is_tried_again_and_logged_once(
    backend: FakeBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class OutOfDescriptors:
        """A listening socket whose first accepts fail."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.failures = 3

        def accept(self) -> object:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.real.accept()

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    listener = Listener(tmp_path / "api.sock")
    listener.socket = cast("socket.socket", OutOfDescriptors(listener.socket))
    server = Server(cast("Backend", backend), listener)
    try:
        with Client(listener.path) as client:
            assert client.request("GET", "/_ping").status == 200
    finally:
        server.close()
    assert [record.getMessage() for record in caplog.records] == [
        "accept failed: [Errno 24] Too many open files; trying on"
    ]


def test_a_client_that_leaves_without_reading_disturbs_nobody(
    backend: FakeBackend, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        with Client(path) as client:
            client.send(request_bytes("GET", "/info"))
    with Client(path) as client:
        assert client.request("GET", "/_ping").status == 200
    assert [record for record in caplog.records if record.exc_info] == []


# ---------------------------------------------------------------------------------- socket's file


def test_the_socket_is_for_owner_and_group_only(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_stale_socket_file_is_replaced(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(backend, path), Client(path) as client:
        assert client.request("GET", "/_ping").status == 200
    assert not path.exists()


def test_a_live_socket_is_not_taken_over(backend: FakeBackend, path: Path) -> None:
    with pytest.raises(SocketInUse, match="another engine listens on"), serving(backend, path):
        pass
    with Client(path) as client:
        assert client.request("GET", "/_ping").status == 200


def test_a_file_that_is_no_socket_is_left_alone(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"), serving(backend, path):
        pass
    assert path.read_text() == "precious"


def test_closing_ends_every_connection_and_thread(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    before = set(threading.enumerate())
    with serving(backend, path) as server:
        idle, busy = Client(path), Client(path)
        busy.send(request_bytes("POST", "/containers/x/wait"))
        assert busy.head().status == 200
        server.close()
        assert idle.rest() == b""
        assert busy.rest() == b""
    assert [thread for thread in threading.enumerate() if thread not in before] == []
    assert not path.exists()
    assert backend.waiter.closed.wait(WAIT_S)
    for client in (idle, busy):
        client.sock.close()


def test_a_successors_socket_file_is_not_removed(backend: FakeBackend, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with serving(backend, path) as first:
        os.unlink(path)  # noqa: PTH108 - as an administrator would
        with serving(backend, path), Client(path) as client:
            first.close()
            assert path.exists()
            assert client.request("GET", "/_ping").status == 200
