"""A client that can misbehave: it sends a shot and says what came back.

What comes back must be HTTP to the letter: h11 reads it. A server that says nothing is waited for
as long as a loaded machine may need, but on routes that are there to wait, where the client leaves
after a moment.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from dataclasses import dataclass
from typing import Any

import h11

from tests.fuzz.shots import Shot

ANSWER_WAIT_S = 30.0
"""How long an answer may take that nothing holds up, on a loaded machine."""

STREAM_WAIT_S = 0.08
"""How long a client reads a stream, or waits where the route is there to wait."""

CONTINUE_WAIT_S = 0.5
"""How long a client waits for `100 Continue` before it sends its body unasked."""

_BODY_WAIT_S = 5.0
_RECV_BYTES = 64 << 10
_ANSWER_BYTES_MAX = 8 << 20


@dataclass(frozen=True)
class Outcome:
    """What became of a shot.

    Attributes:
        kind: `answer`; `closed` without one; `left` = the client hung up or did not wait longer;
            `late` = no answer within ANSWER_WAIT_S; `malformed`: not HTTP, or an answer that breaks
            off; `refused` = there was no connection.
        status: of an answer, else 0.
        message: its error text, else what is wrong.
        body: its body, as far as it was read.
    """

    kind: str
    status: int = 0
    message: str = ""
    body: bytes = b""


def send(path: str, shot: Shot, *, patience_s: float = ANSWER_WAIT_S) -> Outcome:
    """Send a shot, whose placeholders are filled, to the engine at a socket.

    Args:
        path: of the socket.
        shot: what to send.
        patience_s: how long an answer or its rest may take before the client leaves; when that is
            ANSWER_WAIT_S, an answer that is not there by then is an error.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(ANSWER_WAIT_S)
        try:
            sock.connect(path)
        except OSError as error:
            return Outcome("refused", message=str(error))
        # an engine need not read a body that it does not use: this client does not insist
        sock.settimeout(patience_s)
        try:
            if not _send(sock, shot):
                return Outcome("left")
        except OSError:
            pass  # the server has closed; it may have answered before
        return _Reader(sock, shot, patience_s).read()


def _send(sock: socket.socket, shot: Shot) -> bool:
    """Send; False when the client hangs up before it reads."""
    head, body = shot.head_and_body()
    if shot.ending == "hang up early":
        sock.sendall(head[: len(head) // 2])
        return False
    if shot.ending == "hang up after the head":
        sock.sendall(head + body[: len(body) // 2])
        return False
    if shot.framing == "expect" and shot.body is not None:
        sock.sendall(head)
        sock.settimeout(CONTINUE_WAIT_S)
        with contextlib.suppress(TimeoutError):
            sock.recv(1, socket.MSG_PEEK)
        sock.settimeout(_BODY_WAIT_S)
        sock.sendall(body)
    else:
        sock.sendall((head + body) * (2 if shot.ending == "twice" else 1))
    if shot.ending == "hang up":
        return False
    if shot.ending == "half-close" or not (shot.is_whole() or shot.ending == "type"):
        # what is not whole would be waited for: the client says that no more comes
        sock.shutdown(socket.SHUT_WR)
    return True


class _Reader:
    """Reads what a server answers, as the client of a shot."""

    def __init__(self, sock: socket.socket, shot: Shot, patience_s: float) -> None:
        self._sock = sock
        self._shot = shot
        self._patience_s = patience_s
        self._deadline = time.monotonic() + patience_s
        self._client = _waiting_client(shot)
        self._head: h11.Response | h11.InformationalResponse | None = None
        self._body = bytearray()

    def read(self) -> Outcome:
        """Read one answer, or two where the client has asked twice."""
        outcome = self._answer()
        if self._shot.ending == "twice" and self._client.our_state is h11.DONE:
            with contextlib.suppress(h11.ProtocolError):
                self._client.start_next_cycle()
                _ask(self._client, self._shot)
                self._head, self._body = None, bytearray()
                second = self._answer()
                return outcome if second.kind == "closed" else second
        return outcome

    def _answer(self) -> Outcome:
        outcome = None
        while outcome is None:
            try:
                event = self._client.next_event()
            except h11.RemoteProtocolError as error:
                return self._broken(error)
            if event is h11.NEED_DATA:
                outcome = self._more()
            elif event is h11.PAUSED:
                outcome = self._drain()
            else:
                outcome = self._take(event)
        return outcome

    def _take(self, event: Any) -> Outcome | None:
        """Take a part of the answer; None = go on."""
        if isinstance(event, h11.Data):
            self._body += event.data[: _ANSWER_BYTES_MAX - len(self._body)]
        elif isinstance(event, h11.Response) or getattr(event, "status_code", 0) == 101:
            self._head = event
            if self._shot.ending == "hang up after the answer's head":
                return self._done("left")
            self._begin_stream()
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return self._done("answer") if self._head else Outcome("closed")
        return None

    def _begin_stream(self) -> None:
        if self._shot.ending == "type":
            with contextlib.suppress(OSError):
                self._sock.sendall(b"echo typed\n\x10\x11\x04")
                self._sock.shutdown(socket.SHUT_WR)
        self._deadline = time.monotonic() + self._patience_s

    def _more(self) -> Outcome | None:
        """Give the client what came; None = go on."""
        wait_s = self._deadline - time.monotonic()
        try:
            self._sock.settimeout(max(wait_s, 0.001))
            data = self._sock.recv(_RECV_BYTES)
        except TimeoutError:
            if self._patience_s < ANSWER_WAIT_S:
                return self._done("left")
            return Outcome("late", message=f"no whole answer within {ANSWER_WAIT_S:.0f} s")
        except ConnectionResetError:
            # the server closed without reading all: what it said is lost with it
            return self._done("left") if self._head else Outcome("closed", message="reset")
        self._client.receive_data(data)
        return None

    def _drain(self) -> Outcome:
        """Read on where the connection is no HTTP any more."""
        while True:
            try:
                self._sock.settimeout(max(self._deadline - time.monotonic(), 0.001))
                if not self._sock.recv(_RECV_BYTES):
                    return self._done("answer")
            except OSError:
                return self._done("left")

    def _broken(self, error: h11.RemoteProtocolError) -> Outcome:
        if self._head is None and not self._client.trailing_data[0]:
            return Outcome("closed", message=str(error))
        status = self._head.status_code if self._head else 0
        return Outcome("malformed", status, str(error), bytes(self._body))

    def _done(self, kind: str) -> Outcome:
        if self._head is None:
            return Outcome(kind)
        body = bytes(self._body)
        message, fault = _message(self._head, body, is_whole=kind == "answer")
        if fault and self._shot.method != "HEAD":
            return Outcome("malformed", self._head.status_code, fault, body)
        return Outcome(kind, self._head.status_code, message, body)


def _waiting_client(shot: Shot) -> h11.Connection:
    """Give a client's state after it has sent; the bytes themselves go another way."""
    client = h11.Connection(h11.CLIENT)
    _ask(client, shot)
    return client


def _ask(client: h11.Connection, shot: Shot) -> None:
    headers = [("Host", "engine")]
    is_upgrade = any(name.lower() == "upgrade" for name, _ in shot.headers)
    if is_upgrade:
        headers += [("Connection", "Upgrade"), ("Upgrade", "tcp")]
    method = "HEAD" if shot.raw is None and shot.method == "HEAD" else "GET"
    client.send(h11.Request(method=method, target="/", headers=headers))
    client.send(h11.EndOfMessage())


def _message(
    head: h11.Response | h11.InformationalResponse, body: bytes, *, is_whole: bool
) -> tuple[str, str]:
    """Give an answer's error text, and what is wrong with its body; "" = nothing."""
    kind = dict(head.headers).get(b"content-type", b"").decode("latin-1")
    if head.status_code < 400 or not kind.startswith("application/json"):
        return body[:500].decode("utf-8", "replace") if head.status_code >= 400 else "", ""
    if not is_whole:
        return "", ""
    try:
        return str(json.loads(body.decode("utf-8"))["message"]), ""
    except (ValueError, KeyError, TypeError) as error:
        return "", f"an error without a message ({error}): {body[:200]!r}"
