"""A client of an HTTP API on a unix socket that speaks bytes, and so can misbehave."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT_S = 10.0
"""How long a test waits for what must happen."""


@dataclass(frozen=True)
class Reply:
    """One answer, taken apart; `body` is decoded from chunks."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["message"])


class Client:
    """A raw connection."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_S)
        self.sock.connect(str(path))
        self.buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        self.send(request_bytes(method, target, body, headers))
        return self.reply(head_only=method == "HEAD")

    def until(self, mark: bytes) -> bytes:
        """Return everything up to and with `mark`."""
        while mark not in self.buffer:
            self._more()
        found, _, self.buffer = self.buffer.partition(mark)
        return found + mark

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def rest(self) -> bytes:
        """Return everything until the server closes."""
        while data := self.sock.recv(65536):
            self.buffer += data
        data, self.buffer = self.buffer, b""
        return data

    def chunk(self) -> bytes:
        size = int(self.until(b"\r\n"), 16)
        data = self.exactly(size)
        assert self.exactly(2) == b"\r\n"
        return data

    def frame(self) -> tuple[int, bytes]:
        head = self.exactly(8)
        assert head[1:4] == b"\0\0\0"
        return head[0], self.exactly(int.from_bytes(head[4:], "big"))

    def head(self) -> Reply:
        lines = self.until(b"\r\n\r\n").decode().split("\r\n")
        _, status, reason = lines[0].split(" ", 2)
        pairs = (line.split(": ", 1) for line in lines[1:] if line)
        headers = {name.lower(): value for name, value in pairs}
        return Reply(int(status), reason, headers, b"")

    def reply(self, *, head_only: bool = False) -> Reply:
        head = self.head()
        if head_only or head.status in {204, 304}:
            return head
        if head.headers.get("transfer-encoding") == "chunked":
            body = b""
            while piece := self.chunk():
                body += piece
        elif "content-length" in head.headers:
            body = self.exactly(int(head.headers["content-length"]))
        else:
            body = self.rest()
        return Reply(head.status, head.reason, head.headers, body)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(self.buffer)
        self.buffer += data


def request_bytes(
    method: str,
    target: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> bytes:
    """Return a request as a careful client would send it."""
    lines = {"Host": "docker"}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")
