"""Requests that the SDK cannot form: odd bodies, wrong types, broken JSON.

One request, one connection, and the answer as it came: status, headers, bytes.
"""

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

from conformance.documents import as_document
from conformance.engines.base import API_TIMEOUT_S, Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the engine answered to one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON; an empty one is None."""
        return as_document(json.loads(self.body)) if self.body.strip() else None

    @property
    def message(self) -> str:
        """The `message` of an error document, or the whole body as text."""
        try:
            document = self.json()
        except ValueError:
            document = None
        if isinstance(document, dict) and "message" in document:
            return str(document["message"])
        return self.body.decode("utf-8", "replace").strip()


class _Connection(http.client.HTTPConnection):
    """HTTP over a connection that is already open."""

    def __init__(self, opened: socket.socket) -> None:
        super().__init__("engine", timeout=API_TIMEOUT_S)
        self.sock = opened


def request(
    engine: Engine,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: dict[str, str] | None = None,
) -> Answer:
    """Send one request and read the whole answer.

    Args:
        engine: whom to ask.
        method: GET, POST, DELETE, ...
        path: path and query, with or without /vX.YZ.
        body: bytes are sent as they are; None sends no body; anything else is sent as JSON.
        headers: on top of Content-Type: application/json, which every body gets.
    """
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    all_headers = {} if data is None else {"Content-Type": "application/json"}
    all_headers |= headers or {}
    with engine.connect() as opened:
        connection = _Connection(opened)
        connection.request(method, path, body=data, headers=all_headers)
        answer = connection.getresponse()
        return Answer(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.getheaders()},
            body=answer.read(),
        )
