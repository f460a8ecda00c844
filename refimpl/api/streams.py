"""Streams that live longer than an answer: attached terminals, followed logs, waits and events.

A hijacked connection has two directions and so two threads: the connection's own carries the
process's output to the client, a second one carries the client's input to the process and notices
when the client is gone.

Mirrors: moby pkg/stdcopy (the 8-byte frame), daemon/attach.go
(v20.10).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from refimpl.api.answer import Answer, ChunkedStream
from refimpl.api.connection import ClientGone
from refimpl.daemon.backend import STDERR, AttachSession, EventStream, LogReader, Waiter, WaitResult
from refimpl.errors import EngineError
from refimpl.limits import API_POLL_S

_RECV_BYTES = 32 << 10
_LAST_INPUT_WAIT_S = 5.0
"""How long a client may take to notice that its session has ended, and to close."""


def frame(stream: int, data: bytes) -> bytes:
    """Return bytes framed for a client without a terminal: stream, three zeros, length, data."""
    return struct.pack(">BxxxI", stream, len(data)) + data


def pump(
    sock: socket.socket,
    session: AttachSession,
    *,
    early: bytes = b"",
    framed: bool,
) -> None:
    """Carry a session over a hijacked socket until the process or the client is gone.

    Args:
        sock: the client's socket, its head sent and consumed.
        session: the process's streams; detached when this returns.
        early: input that arrived together with the request.
        framed: whether output is framed by stream number.
    """
    inbound = threading.Thread(
        target=_carry_input, args=(sock, session, early), name="api-stdin", daemon=True
    )
    inbound.start()
    try:
        for stream, data in session.output():
            sock.sendall(frame(stream, data) if framed else data)
    except OSError:
        pass  # the client is gone, and the process does not care
    finally:
        session.detach()
        # as in Docker what the client still sends is taken: it may be typing, and breaks nothing
        for how, wait_s in ((socket.SHUT_WR, _LAST_INPUT_WAIT_S), (socket.SHUT_RDWR, API_POLL_S)):
            with contextlib.suppress(OSError):
                sock.shutdown(how)
            inbound.join(timeout=wait_s)


def _carry_input(sock: socket.socket, session: AttachSession, early: bytes) -> None:
    """Carry the client's input to the process; leave the session when the client is gone."""
    data = early or _receive(sock)
    while data:
        session.write(data)
        data = _receive(sock)
    # the client has finished sending; it may be gone, or still be reading
    session.close_stdin()
    poller = select.poll()
    with contextlib.suppress(OSError, ValueError):
        poller.register(sock, 0)
        poller.poll()
    session.detach()


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(_RECV_BYTES)
    except OSError:
        return b""


@contextmanager
def watched(sock: socket.socket, on_gone: Callable[[], None]) -> Iterator[None]:
    """Call `on_gone` from another thread when the client closes during the block.

    Nothing is read from the socket: a next request may already be in it.
    """
    wake = os.eventfd(0)

    def watch() -> None:
        poller = select.poll()
        poller.register(wake, select.POLLIN)
        poller.register(sock, 0)
        if wake not in dict(poller.poll()):
            on_gone()

    thread = threading.Thread(target=watch, name="api-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.eventfd_write(wake, 1)
        thread.join()
        os.close(wake)


def send_logs(answer: Answer, reader: LogReader) -> None:
    """Answer with a log: framed by stream number, raw for a container with a terminal."""
    with (
        contextlib.closing(reader),
        answer.stream() as out,
        watched(answer.client_socket, reader.close),
    ):
        try:
            for stream, data in reader.read():
                out.write(data if reader.tty else frame(stream, data))
        except EngineError as exc:
            text = f"Error grabbing logs: {exc}\n".encode("utf-8", "replace")
            out.write(text if reader.tty else frame(STDERR, text))


def send_events(answer: Answer, events: EventStream) -> None:
    """Answer with events as they come, one JSON document each, until they end."""
    with contextlib.closing(events), answer.stream("application/json") as out:
        while not events.ended and out.is_open():
            event = events.read(API_POLL_S)
            if event is not None:
                out.write_json(event)


def send_wait(answer: Answer, waiter: Waiter) -> None:
    """Answer a wait: the head at once, so that the client knows it is registered, then the end."""
    with contextlib.closing(waiter), answer.stream("application/json") as out:
        out.write_json(_wait_wire(_await(waiter, out.is_open)))


def send_wait_at_end(answer: Answer, waiter: Waiter) -> None:
    """Answer a wait of a client before API 1.30: head and body together, at the end."""
    with contextlib.closing(waiter):
        answer.json(_wait_wire(_await(waiter, lambda: not answer.is_client_gone())))


def _await(waiter: Waiter, is_open: Callable[[], bool]) -> WaitResult:
    while (result := waiter.result(API_POLL_S)) is None:
        if not is_open():
            raise ClientGone
    return result


def _wait_wire(result: WaitResult) -> dict[str, object]:
    error = {"Message": result.error} if result.error else None
    return {"Error": error, "StatusCode": result.status_code}


def send_progress(out: ChunkedStream, progress: Iterator[object]) -> None:
    """Send progress documents; a failure becomes the last of them (jsonmessage's errorDetail)."""
    try:
        for document in progress:
            out.write_json(document, end=b"\r\n")
    except EngineError as exc:
        out.write_json({"errorDetail": {"message": str(exc)}, "error": str(exc)}, end=b"\r\n")
