"""Streams that live longer than an answer: attached terminals, followed logs, waits and events.

A hijacked connection has two directions and so two threads: the connection's own carries the
process's output to the client, a second one carries the client's input to the process. Either may
wait for the process for ever, so the end of the client ends the session from outside (hang_ups).

Mirrors: moby pkg/stdcopy (the 8-byte frame), daemon/attach.go
(v20.10).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from refimpl.api.answer import Answer, ChunkedStream
from refimpl.api.connection import ClientGone, Hijacked
from refimpl.api.hang_ups import has_hung_up
from refimpl.daemon.backend import STDERR, AttachSession, EventStream, LogReader, Waiter, WaitResult
from refimpl.errors import EngineError
from refimpl.limits import API_LAST_INPUT_WAIT_S, API_POLL_S

_log = logging.getLogger(__name__)

_RECV_BYTES = 32 << 10


def frame(stream: int, data: bytes) -> bytes:
    """Return bytes framed for a client without a terminal: stream, three zeros, length, data."""
    return struct.pack(">BxxxI", stream, len(data)) + data


def pump(hijacked: Hijacked, session: AttachSession, *, framed: bool) -> None:
    """Carry a session over a hijacked connection until the process or the client is gone.

    Args:
        hijacked: the client.
        session: the process's streams; detached when this returns.
        framed: whether output is framed by stream number.
    """
    inbound = threading.Thread(
        target=_carry_input, args=(hijacked, session), name="api-stdin", daemon=True
    )
    late = threading.Timer(API_LAST_INPUT_WAIT_S, session.detach)

    def end() -> None:
        # what the client sent before it left still comes, if the process takes it in time
        try:
            if inbound.is_alive():
                late.start()
                return
        except RuntimeError:
            _log.warning("no thread is left to wait for a process to read its input")
        session.detach()

    try:
        inbound.start()  # first: a client that has left already has input to be carried, too
        with hijacked.on_hang_up(end):
            for stream, data in session.output():
                hijacked.socket.sendall(frame(stream, data) if framed else data)
    except OSError:
        pass  # the client is gone, and the process does not care
    finally:
        session.detach()
        late.cancel()
        # as in Docker what the client still sends is taken: it may be typing, and breaks nothing
        for how, wait_s in (
            (socket.SHUT_WR, API_LAST_INPUT_WAIT_S),
            (socket.SHUT_RDWR, API_POLL_S),
        ):
            with contextlib.suppress(OSError):
                hijacked.socket.shutdown(how)
            if inbound.ident is not None:
                inbound.join(timeout=wait_s)


def _carry_input(hijacked: Hijacked, session: AttachSession) -> None:
    """Carry the client's input to the process, to its end; a failure ends the session."""
    try:
        _carry(hijacked, session)
    except Exception:  # noqa: BLE001 - a thread's failure is seen by nobody else
        _log.exception("a client's input could not be carried to its process")
        session.detach()


def _carry(hijacked: Hijacked, session: AttachSession) -> None:
    data = hijacked.early or _receive(hijacked.socket)
    if data and data == hijacked.ending:
        data = _receive(hijacked.socket)
    data = data.removeprefix(hijacked.ending)
    while data:
        session.write(data)
        data = _receive(hijacked.socket)
    # the client has finished sending; it may still be reading
    session.close_stdin()
    if has_hung_up(hijacked.socket):
        session.detach()


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(_RECV_BYTES)
    except OSError:
        return b""


def send_logs(answer: Answer, reader: LogReader) -> None:
    """Answer with a log: framed by stream number, raw for a container with a terminal."""
    with (
        contextlib.closing(reader),
        answer.stream() as out,
        answer.on_hang_up(reader.close),
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
