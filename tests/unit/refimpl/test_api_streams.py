"""Attach, exec, logs, wait and events over real sockets: who closes what, and when."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
import threading
import time
from pathlib import Path

import pytest

from refimpl.api import streams
from refimpl.errors import EngineError
from tests.unit.refimpl.api_fake import FakeBackend, FakeSession
from tests.unit.refimpl.raw_http import WAIT_S, Client, request_bytes

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
ATTACH = "/v1.41/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1"
RAW_STREAM = "application/vnd.docker.raw-stream"


# ---------------------------------------------------------------------------------------- attach


def test_an_attach_is_upgraded_and_framed(backend: FakeBackend, client: Client) -> None:
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    head = client.head()
    assert (head.status, head.reason) == (101, "UPGRADED")
    assert head.headers["content-type"] == RAW_STREAM
    assert head.headers["connection"] == "Upgrade"
    assert head.headers["upgrade"] == "tcp"
    assert head.headers["api-version"] == "1.41"
    backend.session.say(b"out\n")
    backend.session.say(b"err\n", stream=2)
    assert client.frame() == (1, b"out\n")
    assert client.frame() == (2, b"err\n")
    backend.session.end()
    assert client.rest() == b""
    assert backend.session.detached.wait(WAIT_S)


def test_a_client_that_asks_for_no_upgrade_gets_a_plain_head(
    backend: FakeBackend, client: Client
) -> None:
    client.send(request_bytes("POST", ATTACH))
    head = client.head()
    assert (head.status, head.headers["content-type"]) == (200, RAW_STREAM)
    assert "upgrade" not in head.headers
    backend.session.say(b"out\n")
    backend.session.end()
    assert client.rest() == b"\x01\0\0\0\0\0\0\x04out\n"


def test_a_terminal_is_raw(backend: FakeBackend, client: Client) -> None:
    backend.session.tty = True
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    client.head()
    backend.session.say(b"out\r\n")
    backend.session.end()
    assert client.rest() == b"out\r\n"


def test_the_first_frame_waits_until_the_head_was_consumed(
    backend: FakeBackend, client: Client
) -> None:
    """A client that reads head and output in one go loses the output (docker-py#3332)."""
    backend.session.say(b"early\n")
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    deadline = time.monotonic() + 0.1
    while time.monotonic() < deadline:  # nothing may join the head, however late it is read
        assert client.sock.recv(65536, socket.MSG_PEEK).count(b"early") == 0
    client.head()
    assert client.frame() == (1, b"early\n")


def test_input_reaches_the_process_and_its_end_closes_only_the_input(
    backend: FakeBackend, client: Client
) -> None:
    session = backend.session
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    client.head()
    client.send(b"hello")
    assert session.got_input.wait(WAIT_S)
    client.sock.shutdown(socket.SHUT_WR)
    assert session.stdin_closed.wait(WAIT_S)
    assert session.stdin == b"hello"
    assert not session.detached.is_set()
    session.say(b"still here")
    assert client.frame() == (1, b"still here")


def test_input_that_came_with_the_request_is_not_lost(backend: FakeBackend, client: Client) -> None:
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE) + b"early")
    client.head()
    client.send(b" late")
    client.sock.shutdown(socket.SHUT_WR)
    assert backend.session.stdin_closed.wait(WAIT_S)
    assert backend.session.stdin == b"early late"


def test_a_client_that_goes_away_leaves_the_session(backend: FakeBackend, path: Path) -> None:
    with Client(path) as client:
        client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
        client.head()
    assert backend.session.detached.wait(WAIT_S)


def test_a_client_that_half_closed_and_then_goes_away_leaves_the_session(
    backend: FakeBackend, path: Path
) -> None:
    with Client(path) as client:
        client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
        client.head()
        client.sock.shutdown(socket.SHUT_WR)
        assert backend.session.stdin_closed.wait(WAIT_S)
        assert not backend.session.detached.is_set()
    assert backend.session.detached.wait(WAIT_S)


def test_the_end_of_the_process_is_an_end_and_no_reset_while_input_is_unread(
    backend: FakeBackend, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends while the client is still typing: its output must arrive, then an end."""
    session = backend.session
    blocked = threading.Event()
    monkeypatch.setattr(session, "write", lambda _data: blocked.wait(WAIT_S))
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    client.head()
    client.send(b"x" * 100_000)
    session.say(b"last words")
    session.end()
    assert client.frame() == (1, b"last words")
    assert client.rest() == b""
    blocked.set()


def test_a_client_may_still_write_when_its_session_has_ended(
    backend: FakeBackend, client: Client
) -> None:
    """It may be typing: as with Docker that is no broken pipe."""
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    client.head()
    backend.session.end()
    assert client.rest() == b""
    assert backend.session.detached.wait(WAIT_S)
    for _ in range(3):
        client.send(b"typed\n")


def test_a_slow_reader_gets_everything(backend: FakeBackend, client: Client) -> None:
    """More than the socket holds: the server has to wait for the reader, in partial writes."""
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    client.head()
    lines = [bytes([65 + i]) * 100_000 for i in range(20)]
    for line in lines:
        backend.session.say(line)
    backend.session.end()
    for line in lines:
        stream, data = client.frame()
        assert (stream, data) == (1, line)
    assert client.rest() == b""


@pytest.mark.parametrize(
    ("target", "status", "text"),
    [
        ("/containers/nope/attach", 404, b"No such container: nope\r\n"),
        (
            "/containers/paused/attach",
            409,
            b"container paused is paused, unpause the container before attach\r\n",
        ),
    ],
)
def test_a_failed_attach_is_a_raw_stream_with_a_status(
    client: Client, target: str, status: int, text: bytes
) -> None:
    client.send(request_bytes("POST", target, headers=UPGRADE))
    reply = client.reply()
    assert (reply.status, reply.headers, reply.body) == (
        status,
        {"content-type": RAW_STREAM},
        text,
    )


@pytest.mark.parametrize(
    ("headers", "pieces"),
    [
        ({"Content-Length": "2"}, [b"{}"]),
        ({"Content-Length": "2"}, [b"", b"{}"]),
        ({"Content-Length": "4"}, [b"{}", b"{}"]),
        ({"Transfer-Encoding": "chunked"}, [b"2\r\n{}\r\n0\r\n\r\n"]),
        ({"Transfer-Encoding": "chunked"}, [b"2\r\n{}\r\n", b"0\r\n\r\n"]),
        ({"Transfer-Encoding": "chunked"}, [b"", b"0\r\n\r\n"]),
        ({"Transfer-Encoding": "chunked"}, [b"2\r\n{}\r\n"]),
    ],
)
def test_the_body_of_an_attach_is_no_input(
    backend: FakeBackend, client: Client, headers: dict[str, str], pieces: list[bytes]
) -> None:
    """dockerode sends one each time; after the first chunk of an open one it sends bare input."""
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE | headers) + pieces[0])
    if "Content-Length" in headers:  # the answer waits for a body of a declared length
        for piece in pieces[1:]:
            client.send(piece)
    assert client.head().status == 101
    if "Transfer-Encoding" in headers:
        for piece in pieces[1:]:
            client.send(piece)
            _wait_until_read(client.sock)
    client.send(b"typed")
    client.sock.shutdown(socket.SHUT_WR)
    assert backend.session.stdin_closed.wait(WAIT_S)
    assert backend.session.stdin == b"typed"


def _wait_until_read(sock: socket.socket) -> None:
    """Wait until the server has taken what was sent, so that the next piece comes apart."""
    deadline = time.monotonic() + WAIT_S
    while struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0" * 4))[0]:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_an_attach_whose_body_breaks_off_leaves_the_session(
    backend: FakeBackend, path: Path
) -> None:
    with Client(path) as client:
        client.send(request_bytes("POST", ATTACH, headers=UPGRADE | {"Content-Length": "9"}))
    assert backend.session.detached.wait(WAIT_S)
    assert backend.session.stdin == b""


def test_clients_that_hang_up_while_their_process_takes_no_input_leave_no_thread(
    backend: FakeBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A created container: there is no process yet, so input and output wait, and nobody reads."""
    monkeypatch.setattr(streams, "API_LAST_INPUT_WAIT_S", 0.2)
    sessions = [FakeSession() for _ in range(20)]
    for session in sessions:
        monkeypatch.setattr(session, "write", lambda _, one=session: one.detached.wait(WAIT_S * 3))
    left = iter(sessions)
    monkeypatch.setattr(backend, "container_attach", lambda *_, **__: next(left), raising=False)
    with Client(path) as idle:
        assert idle.request("GET", "/_ping").status == 200
        before = threading.active_count()
        clients = [Client(path) for _ in sessions]
        for client in clients:
            client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
            client.head()
            client.send(b"typed too early")
        for client in clients:
            client.sock.close()
        assert all(session.detached.wait(WAIT_S) for session in sessions)
        deadline = time.monotonic() + WAIT_S
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threading.active_count() == before


def test_what_a_client_sent_before_it_left_still_comes(
    backend: FakeBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = backend.session
    left = threading.Event()
    was_detached = []

    def write(data: bytes) -> None:
        assert left.wait(WAIT_S)
        time.sleep(0.2)  # the hang-up has been seen by now
        was_detached.append(session.detached.is_set())
        session.stdin += data

    monkeypatch.setattr(session, "write", write)
    with Client(path) as client:
        client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
        client.head()
        client.send(b"last words")
    left.set()
    assert session.detached.wait(WAIT_S)
    assert (session.stdin, was_detached) == (b"last words", [False])
    assert session.stdin_closed.is_set()


def test_what_a_client_sent_comes_also_if_it_left_before_its_session_began(
    backend: FakeBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = backend.session
    write = session.write
    was_detached = []

    def late_write(data: bytes) -> None:
        time.sleep(0.1)
        was_detached.append(session.detached.is_set())
        write(data)

    monkeypatch.setattr(session, "write", late_write)
    with Client(path) as client:
        client.send(request_bytes("POST", ATTACH, headers=UPGRADE) + b"last words")
        client.head()
    assert session.detached.wait(WAIT_S)
    assert (session.stdin, was_detached) == (b"last words", [False])


def test_input_that_cannot_be_carried_ends_the_session_and_is_logged(
    backend: FakeBackend,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_data: bytes) -> None:
        raise RuntimeError("the pipe is on fire")

    monkeypatch.setattr(backend.session, "write", fail)
    client.send(request_bytes("POST", ATTACH, headers=UPGRADE))
    client.head()
    client.send(b"typed")
    assert client.rest() == b""
    assert backend.session.detached.is_set()
    assert "could not be carried" in caplog.text


# ------------------------------------------------------------------------------------------ exec


def test_an_execs_start_needs_no_end_of_its_body(backend: FakeBackend, client: Client) -> None:
    """dockerode leaves the body of a start with input open; Go's decoder stops after the value."""
    headers = UPGRADE | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    request = request_bytes("POST", "/exec/e/start", headers=headers)
    client.send(request + b'10\r\n{"Detach":false}\r\n')
    assert client.head().status == 101
    client.send(b"typed")
    client.sock.shutdown(socket.SHUT_WR)
    assert backend.session.stdin_closed.wait(WAIT_S)
    assert backend.session.stdin == b"typed"


def test_an_exec_does_not_get_the_requests_body_as_input(
    backend: FakeBackend, client: Client
) -> None:
    body = b'{"Detach":false,"Tty":false}'
    client.send(request_bytes("POST", "/exec/e/start", body, UPGRADE) + b"stdin")
    assert client.head().status == 101
    client.sock.shutdown(socket.SHUT_WR)
    assert backend.session.stdin_closed.wait(WAIT_S)
    assert backend.session.stdin == b"stdin"


def test_an_execs_start_says_whether_its_output_is_framed(
    backend: FakeBackend, client: Client
) -> None:
    backend.session = FakeSession(tty=True)
    client.send(request_bytes("POST", "/exec/e/start", b'{"Tty":false}', UPGRADE))
    client.head()
    backend.session.say(b"hi\r\n")
    backend.session.end()
    assert client.frame() == (1, b"hi\r\n")
    assert client.rest() == b""


def test_a_detached_exec_is_answered_at_once(client: Client) -> None:
    reply = client.request("POST", "/exec/e/start", b'{"Detach":true}')
    assert (reply.status, reply.body) == (200, b"")
    assert client.request("GET", "/_ping").status == 200


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"{}", b"\x01\0\0\0\0\0\0\x14no such executable\r\n"),
        (b'{"Tty":true}', b"no such executable\r\n"),
    ],
)
def test_an_exec_that_cannot_start_says_so_in_the_stream(
    backend: FakeBackend, client: Client, body: bytes, answer: bytes
) -> None:
    backend.exec_failure = EngineError("no such executable")
    client.send(request_bytes("POST", "/exec/e/start", body, UPGRADE))
    assert client.head().status == 101
    assert client.rest() == answer


def test_a_detached_exec_that_cannot_start_has_a_status(
    backend: FakeBackend, client: Client
) -> None:
    backend.exec_failure = EngineError("no such executable")
    reply = client.request("POST", "/exec/e/start", b'{"Detach":true}')
    assert (reply.status, reply.message) == (500, "no such executable")
