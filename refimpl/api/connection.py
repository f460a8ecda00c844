"""One client's connection: requests in, answers out, and the socket itself for those who hijack it.

h11 keeps the protocol's state, this module moves its bytes. A connection belongs to one thread;
only `abort` may be called from another.

Mirrors: Go net/http server.go for what a badly formed request is answered with (as in Go 1.19,
which Docker 20.10 is built with), moby api/server/httputils for the shapes of the answers.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import logging
import select
import socket
import struct
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import h11

from refimpl.api.hang_ups import HangUps, has_hung_up
from refimpl.api.request import BodyError
from refimpl.limits import (
    API_DRAIN_BYTES_MAX,
    API_HEAD_BYTES_MAX,
    API_HEAD_READ_WAIT_S,
    API_HEAD_WAIT_S,
    API_LINGER_S,
)

_log = logging.getLogger(__name__)

_RECV_BYTES = 64 << 10
_LAST_CHUNK = b"0\r\n\r\n"


class ClientGone(Exception):
    """The client closed its connection; there is nobody to answer."""


class ProtocolError(Exception):
    """A request that cannot be understood: the status to answer and Go's text beside it."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Body(io.RawIOBase):
    """A request's body as a stream. Asks a client that waits for it to go on (100-continue)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read up to the buffer's length; 0 at the end. Raises BodyError."""
        if not self._rest:
            self._rest = memoryview(self._connection.receive_body())
        view = memoryview(buffer)
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Hijacked:
    """A connection that no longer speaks HTTP.

    Attributes:
        socket: the client's, its head sent and consumed.
        early: input that arrived together with the request.
        ending: the end of the request's body, which may still come before the input.
        on_hang_up: registers what is to happen when the client leaves during a block.
    """

    socket: socket.socket
    early: bytes
    ending: bytes
    on_hang_up: Callable[[Callable[[], None]], AbstractContextManager[None]]


class Connection:
    """An accepted socket, speaking HTTP/1.1."""

    def __init__(self, sock: socket.socket, hang_ups: HangUps) -> None:
        self._socket = sock
        self._hang_ups = hang_ups
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=API_HEAD_BYTES_MAX)
        self._waits_for_continue = False
        self._is_chunked = False
        self._lingers = False

    @property
    def name(self) -> str:
        """Who the client is, for the log."""
        try:
            peer = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        except OSError:
            return "a client that is gone"
        process, user, _ = struct.unpack("3i", peer)
        return f"the client of process {process}, user {user}"

    def on_hang_up(self, on_gone: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `on_gone` from another thread if the client leaves during the block."""
        return self._hang_ups.watch(self._socket, on_gone)

    # ------------------------------------------------------------------------------- requests

    def next_request(self) -> h11.Request | None:
        """Wait for the next request's head; None when the client has no more.

        Raises:
            ProtocolError: what came is not a request, or its head does not come to an end.
            ClientGone: the connection broke.
        """
        try:
            event = self._next_event(within_s=API_HEAD_WAIT_S)
        except h11.RemoteProtocolError as exc:
            raise _protocol_error(exc) from exc
        if not isinstance(event, h11.Request):
            return None
        if event.http_version not in {b"1.0", b"1.1"}:
            raise ProtocolError(505, "unsupported protocol version")
        self._waits_for_continue = self._h11.they_are_waiting_for_100_continue
        self._is_chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
        return event

    def receive_body(self) -> bytes:
        """Return the next piece of the body, b"" at its end.

        Raises:
            BodyError: the body broke off or is badly framed.
        """
        if self._h11.their_state is not h11.SEND_BODY:
            return b""
        self._ask_to_go_on()
        try:
            event = self._next_event()
        except h11.RemoteProtocolError as exc:
            broke_off = "closed connection" in str(exc)
            raise BodyError(
                "unexpected EOF" if broke_off else "invalid byte in chunk length"
            ) from exc
        except ClientGone as exc:
            raise BodyError("unexpected EOF") from exc
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def next_cycle(self) -> bool:
        """Read away what is left of the body; False when the connection cannot be kept."""
        if self._waits_for_continue:
            return False  # whether the body comes now, only the client knows
        read = 0
        with contextlib.suppress(BodyError):
            while read < API_DRAIN_BYTES_MAX:
                piece = self.receive_body()
                if not piece:
                    break
                read += len(piece)
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            return True
        self._lingers = True
        return False

    # -------------------------------------------------------------------------------- answers

    def send_whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a complete answer in one piece; the headers say the body's length."""
        data = [h11.Data(data=body)] if body else []
        self._send_events(_response(status, headers), *data, h11.EndOfMessage())

    def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer whose body goes out in chunks, and may go out while it comes.

        So a client that waits for 100-continue gets that first.
        """
        self._ask_to_go_on()
        self._send_events(_response(status, headers))

    def send_body(self, data: bytes) -> None:
        """Send a piece of the body at once."""
        self._send_events(h11.Data(data=data))

    def end_body(self) -> None:
        """Send the end of the answer."""
        self._send_events(h11.EndOfMessage())

    def send_protocol_error(self, error: ProtocolError) -> None:
        """Answer a request that was not understood as Go's server does, and hang up."""
        line = f"{error.status} {HTTPStatus(error.status).phrase}"
        if error.text == "Unsupported transfer encoding":
            body = error.text
        else:
            body = line = f"{line}: {error.text}" if error.text else line
        head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close"
        self._lingers = True
        with contextlib.suppress(OSError):
            self._socket.sendall(f"HTTP/1.1 {line}\r\n{head}\r\n\r\n{body}".encode())

    def refuse(self, message: str) -> None:
        """Answer 503 before any request is read, without waiting for the client, and hang up."""
        body = encode_json({"message": message})
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
        answer = f"HTTP/1.1 503 Service Unavailable\r\n{head}\r\n\r\n".encode() + body
        with contextlib.suppress(OSError):
            self._socket.send(answer, socket.MSG_DONTWAIT)
        self.close()

    # ---------------------------------------------------------------------------------- hijack

    def hijack(self, head: bytes) -> Hijacked:
        """Send a raw head and hand over the socket.

        What is left of the request's body is not input: dockerode sends one with each attach.
        Docker drops what came in the same packet as the head; here that is a whole body of a
        declared length, and of a body in chunks what has come and an empty last chunk. The rest of
        such a body stays input, because clients go on with bare input after the first chunk.

        Returns only when the client has consumed the head (or after `API_HEAD_READ_WAIT_S`): the
        docker SDK loses output that arrives in the same read as the head (docker-py#3332).

        Raises:
            ClientGone: there is no client any more.
        """
        early, ending = self._after_request()
        try:
            self._socket.sendall(head)
        except OSError as exc:
            raise ClientGone from exc
        self._wait_until_head_is_read()
        return Hijacked(socket=self._socket, early=early, ending=ending, on_hang_up=self.on_hang_up)

    def _after_request(self) -> tuple[bytes, bytes]:
        """Return the input that has come, and what may come before any further input."""
        if self._h11.their_state is h11.SEND_BODY:
            if self._is_chunked:
                return b"", _LAST_CHUNK
            try:
                while self.receive_body():
                    pass
            except BodyError as exc:
                raise ClientGone from exc
        return bytes(self._h11.trailing_data[0]), b""

    def is_client_gone(self) -> bool:
        """Return whether the client closed its end; one that only finished sending is there."""
        return has_hung_up(self._socket)

    def abort(self) -> None:
        """End the connection from another thread: blocked reads and writes return."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close. What the client sent is read away, or it would see a reset, not an end."""
        if self._lingers and not self._waits_for_continue:
            self._linger()
        self.abort()
        with contextlib.suppress(OSError):
            while self._socket.recv(_RECV_BYTES, socket.MSG_DONTWAIT):
                pass
        self._socket.close()

    def _linger(self) -> None:
        """Read a client on that is still sending, so that it comes to read its answer."""
        deadline = time.monotonic() + API_LINGER_S
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            while _is_readable(self._socket, deadline) and self._socket.recv(_RECV_BYTES):
                pass

    # -------------------------------------------------------------------------------- the wire

    def _next_event(self, *, within_s: float | None = None) -> Any:
        """Return the next event; `within_s` is from its first byte to its last."""
        deadline = None
        has_begun = within_s is not None and bool(self._h11.trailing_data[0])
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if within_s is not None and has_begun:
                deadline = deadline or time.monotonic() + within_s
                if not _is_readable(self._socket, deadline):
                    raise ProtocolError(408)
            try:
                data = self._socket.recv(_RECV_BYTES)
            except OSError as exc:
                raise ClientGone from exc
            self._h11.receive_data(data)
            has_begun = True
        return event

    def _ask_to_go_on(self) -> None:
        """Tell a client that waits for it to send its body."""
        if self._waits_for_continue:
            self._waits_for_continue = False
            self._send_events(h11.InformationalResponse(status_code=100, headers=[]))

    def _send_events(self, *events: Any) -> None:
        data = b"".join(self._h11.send(event) or b"" for event in events)
        try:
            self._socket.sendall(data)
        except OSError as exc:
            raise ClientGone from exc

    def _wait_until_head_is_read(self) -> None:
        deadline = time.monotonic() + API_HEAD_READ_WAIT_S
        pause = 0.0001
        while time.monotonic() < deadline and not has_hung_up(self._socket):
            unread = fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4)
            if struct.unpack("i", unread)[0] == 0:
                return
            time.sleep(pause)
            pause = min(pause * 2, 0.005)
        _log.debug("a client did not read the head of a hijacked answer in time")


def _response(status: int, headers: Mapping[str, str]) -> h11.Response:
    lines = [*headers.items(), ("Date", formatdate(usegmt=True))]
    reason = HTTPStatus(status).phrase.encode()
    return h11.Response(status_code=status, headers=lines, reason=reason)


def encode_json(value: Any) -> bytes:
    """Return a value as moby's WriteJSON does: compact, not escaped, with a line feed."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"


def _is_readable(sock: socket.socket, deadline: float) -> bool:
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _protocol_error(exc: h11.RemoteProtocolError) -> ProtocolError:
    """Translate what h11 refused into what Go's server answers."""
    if exc.error_status_hint == 501:
        return ProtocolError(501, "Unsupported transfer encoding")
    if exc.error_status_hint == 431:
        return ProtocolError(431)
    missing_host = "Missing mandatory Host" in str(exc)
    return ProtocolError(400, "missing required Host header" if missing_host else "")
