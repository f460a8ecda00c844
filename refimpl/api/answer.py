"""The ways in which a handler answers: JSON, nothing, a stream in chunks, or the bare socket.

Exactly one of them per request. Mirrors: moby api/server/httputils (v20.10): WriteJSON,
HijackConnection, and the 101/200 heads of postContainersAttach and postContainerExecStart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from typing import Any

from refimpl.api.connection import Connection, Hijacked, encode_json
from refimpl.api.request import Request
from refimpl.api.versions import less_than

RAW_STREAM = "application/vnd.docker.raw-stream"


class Answer:
    """The answer to one request.

    Attributes:
        started: a head went out, so a failure can no longer have a status of its own.
        hijacked: the socket was handed over; nothing more may be sent through here.
    """

    def __init__(
        self, connection: Connection, request: Request, headers: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._request = request
        self._headers = dict(headers)
        self.started = False
        self.hijacked = False

    def json(self, value: Any, status: int = 200) -> None:
        """Answer with a JSON document."""
        self._whole(status, encode_json(value), {"Content-Type": "application/json"})

    def text(self, text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer with plain text."""
        extra = {**(headers or {}), "Content-Type": "text/plain; charset=utf-8"}
        self._whole(status, text.encode("utf-8", "replace"), extra)

    def empty(self, status: int = 204) -> None:
        """Answer without a body."""
        self._whole(status, b"", {})

    def redirect(self, target: str) -> None:
        """Send the client elsewhere."""
        self._whole(HTTPStatus.MOVED_PERMANENTLY, b"", {"Location": target})

    def error(self, status: int, message: str) -> None:
        """Answer with a failure, in the shape that the client's API version knows.

        Clients before 1.24 get plain text, as from httputils.MakeErrorHandler.
        """
        if status == HTTPStatus.NOT_MODIFIED:
            self.empty(status)
        elif not less_than(self._request.version, "1.24"):
            self.json({"message": message}, status)
        else:
            self.text(message + "\n", status)

    @contextmanager
    def stream(self, content_type: str = "", status: int = 200) -> Iterator[ChunkedStream]:
        """Answer in chunks; the head goes out at once, the end when the block ends well."""
        headers = {**self._headers}
        if content_type:
            headers["Content-Type"] = content_type
        self.started = True
        self._connection.send_head(status, headers)
        yield ChunkedStream(self._connection)
        self._connection.end_body()

    def hijack(self) -> Hijacked:
        """Hand over the socket after a 101, or after a 200 to a client that asked for none."""
        if "upgrade" in self._request.headers:
            lines = ["HTTP/1.1 101 UPGRADED", f"Content-Type: {RAW_STREAM}"]
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        else:
            lines = ["HTTP/1.1 200 OK", f"Content-Type: {RAW_STREAM}"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        self.started = self.hijacked = True
        return self._connection.hijack("\r\n".join([*lines, "", ""]).encode())

    def raw_error(self, status: int, message: str) -> None:
        """Answer a failed attach as 20.10 does: a head without a length, the text, the end."""
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {RAW_STREAM}\r\n"
        self.started = self.hijacked = True
        self._connection.hijack(f"{line}\r\n{message}\r\n".encode("utf-8", "replace"))

    def is_client_gone(self) -> bool:
        """Return whether there is still somebody to answer."""
        return self._connection.is_client_gone()

    def on_hang_up(self, on_gone: Callable[[], None]) -> AbstractContextManager[None]:
        """Call `on_gone` from another thread if the client leaves during the block."""
        return self._connection.on_hang_up(on_gone)

    def _whole(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        bodiless = status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
        length = {} if bodiless else {"Content-Length": str(len(body))}
        self.started = True
        if bodiless or self._request.method == "HEAD":
            body = b""
        self._connection.send_whole(status, {**self._headers, **headers, **length}, body)


class ChunkedStream:
    """The body of a streamed answer."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Send one chunk now.

        Raises:
            ClientGone: nobody reads it.
        """
        if data:
            self._connection.send_body(data)

    def write_json(self, value: Any, end: bytes = b"\n") -> None:
        """Send one JSON document as one chunk."""
        self.write(encode_json(value).removesuffix(b"\n") + end)

    def is_open(self) -> bool:
        """Return whether the client is still there."""
        return not self._connection.is_client_gone()
