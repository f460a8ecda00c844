"""Containers: /containers.

Mirrors: moby api/server/router/container/container_routes.go (v20.10).
"""

from __future__ import annotations

from refimpl.api import streams
from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import route
from refimpl.api.versions import less_than
from refimpl.daemon.backend import Backend
from refimpl.errors import EngineError, InvalidParameter, NotServed

_JSON_OBJECT_BYTES_MIN = 7
"""moby: "a non-nil json object is at least 7 characters"; a shorter body of a start is ignored."""


def _create(backend: Backend, request: Request, answer: Answer) -> None:
    # 20.10 does not mark this decoder's errors as the client's fault: they are a 500
    body = request.json_object("runconfig.ContainerConfigWrapper", error=EngineError)
    platform = "" if less_than(request.version, "1.41") else request.text("platform")
    container_id, warnings = backend.container_create(request.text("name") or None, body, platform)
    answer.json({"Id": container_id, "Warnings": warnings}, status=201)


def _list(backend: Backend, request: Request, answer: Answer) -> None:
    filters = request.filters()
    limit = request.integer_or_none("limit") or 0
    found = backend.container_list(
        all_=request.flag("all"), limit=limit, size=request.flag("size"), filters=filters
    )
    answer.json(found)


def _inspect(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    answer.json(backend.container_inspect(ref, size=request.flag("size")))


def _start(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    if not 0 <= request.content_length <= _JSON_OBJECT_BYTES_MIN:
        if less_than(request.version, "1.24"):
            raise NotServed("this engine takes no HostConfig at a start, as API 1.23 and older did")
        raise InvalidParameter(
            "starting container with non-empty request body was deprecated since API v1.22 "
            "and removed in v1.24"
        )
    backend.container_start(ref)
    answer.empty()


def _stop(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.container_stop(ref, request.timeout_s("t"))
    answer.empty()


def _restart(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.container_restart(ref, request.timeout_s("t"))
    answer.empty()


def _kill(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.container_kill(ref, request.text("signal"))
    answer.empty()


def _pause(backend: Backend, _request: Request, answer: Answer, ref: str) -> None:
    backend.container_pause(ref)
    answer.empty()


def _unpause(backend: Backend, _request: Request, answer: Answer, ref: str) -> None:
    backend.container_unpause(ref)
    answer.empty()


def _rename(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.container_rename(ref, request.text("name"))
    answer.empty()


def _remove(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.container_remove(
        ref, force=request.flag("force"), volumes=request.flag("v"), link=request.flag("link")
    )
    answer.empty()


def _resize(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    rows, columns = request.terminal_size()
    backend.container_resize(ref, rows, columns)
    answer.empty(200)


def _prune(backend: Backend, request: Request, answer: Answer) -> None:
    answer.json(backend.containers_prune(request.filters(InvalidParameter)))


def _wait(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    waiter = backend.container_wait(ref, request.text("condition"))
    # before 1.30 clients expected the answer's head only with its body
    if less_than(request.version, "1.30"):
        streams.send_wait_at_end(answer, waiter)
    else:
        streams.send_wait(answer, waiter)


def _logs(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    stdout, stderr = request.flag("stdout"), request.flag("stderr")
    if not (stdout or stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    reader = backend.container_logs(
        ref,
        stdout=stdout,
        stderr=stderr,
        follow=request.flag("follow"),
        since=request.text("since"),
        until=request.text("until"),
        timestamps=request.flag("timestamps"),
        details=request.flag("details"),
        tail=request.text("tail") or "all",
    )
    streams.send_logs(answer, reader)


def _attach(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    try:
        session = backend.container_attach(
            ref,
            stdin=request.flag("stdin"),
            stdout=request.flag("stdout"),
            stderr=request.flag("stderr"),
            logs=request.flag("logs"),
            stream=request.flag("stream"),
            detach_keys=request.text("detachKeys"),
        )
    except EngineError as exc:
        answer.raw_error(exc.status, str(exc))
        return
    try:
        hijacked = answer.hijack()
        streams.pump(hijacked, session, framed=not session.tty)
    finally:
        session.detach()


ROUTES = (
    route("GET", "/containers/json", _list),
    route("POST", "/containers/create", _create),
    route("POST", "/containers/prune", _prune),
    route("GET", "/containers/{ref}/json", _inspect, parses_query=False),
    route("GET", "/containers/{ref}/logs", _logs),
    route("POST", "/containers/{ref}/start", _start),
    route("POST", "/containers/{ref}/stop", _stop),
    route("POST", "/containers/{ref}/restart", _restart),
    route("POST", "/containers/{ref}/kill", _kill),
    route("POST", "/containers/{ref}/pause", _pause),
    route("POST", "/containers/{ref}/unpause", _unpause),
    route("POST", "/containers/{ref}/rename", _rename),
    route("POST", "/containers/{ref}/resize", _resize),
    route("POST", "/containers/{ref}/wait", _wait),
    route("POST", "/containers/{ref}/attach", _attach),
    route("DELETE", "/containers/{ref}", _remove),
)
