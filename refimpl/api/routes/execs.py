"""One more process in a running container: /containers/{ref}/exec and /exec/{id}.

Mirrors: moby api/server/router/container/exec.go (v20.10).
"""

from __future__ import annotations

from refimpl.api import streams
from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import route
from refimpl.daemon.backend import STDOUT, Backend
from refimpl.errors import EngineError, InvalidParameter
from refimpl.model.wire import WireError, decode
from refimpl.model.wire_container import ExecStartRequest

_EMPTY = "got EOF while reading request body"


def _create(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    body = request.json_object("types.ExecConfig", empty=_EMPTY)
    answer.json({"Id": backend.exec_create(ref, body)}, status=201)


def _start(backend: Backend, request: Request, answer: Answer, exec_id: str) -> None:
    body = request.json_object("types.ExecStartCheck", empty=_EMPTY)
    try:
        options = decode(ExecStartRequest, body, go_type="types.ExecStartCheck")
    except WireError as error:
        raise InvalidParameter(str(error)) from error
    backend.exec_exists(exec_id)
    if options.detach:
        backend.exec_start(exec_id, detach=True)
        answer.empty(200)
        return
    # as in moby the start's own Tty, not the exec's, says how the output is framed
    framed = not options.tty
    hijacked = answer.hijack()
    try:
        session = backend.exec_start(exec_id, detach=False)
    except EngineError as exc:
        # too late for a status: moby writes the error where the output would have gone
        text = f"{exc}\r\n".encode("utf-8", "replace")
        hijacked.socket.sendall(streams.frame(STDOUT, text) if framed else text)
        return
    if session is not None:
        streams.pump(hijacked, session, framed=framed)


def _inspect(backend: Backend, _request: Request, answer: Answer, exec_id: str) -> None:
    answer.json(backend.exec_inspect(exec_id))


def _resize(backend: Backend, request: Request, answer: Answer, exec_id: str) -> None:
    rows, columns = request.terminal_size()
    backend.exec_resize(exec_id, rows, columns)
    answer.empty(200)


ROUTES = (
    route("POST", "/containers/{ref}/exec", _create),
    route("POST", "/exec/{exec_id}/start", _start),
    route("POST", "/exec/{exec_id}/resize", _resize),
    route("GET", "/exec/{exec_id}/json", _inspect, parses_query=False),
)
