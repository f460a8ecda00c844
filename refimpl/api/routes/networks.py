"""Networks: /networks.

Mirrors: moby api/server/router/network/network_routes.go (v20.10).
"""

from __future__ import annotations

from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import route
from refimpl.api.versions import less_than
from refimpl.daemon.backend import Backend

_EMPTY = "got EOF while reading request body"


def _create(backend: Backend, request: Request, answer: Answer) -> None:
    body = request.json_object("types.NetworkCreateRequest", empty=_EMPTY)
    network_id, warning = backend.network_create(body)
    answer.json({"Id": network_id, "Warning": warning}, status=201)


def _list(backend: Backend, request: Request, answer: Answer) -> None:
    # from 1.28 on only an inspected network tells of its containers
    is_detailed = bool(request.version) and less_than(request.version, "1.28")
    answer.json(backend.network_list(request.filters(), detailed=is_detailed))


def _inspect(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    verbose = request.strict_flag("verbose")
    answer.json(backend.network_inspect(ref, verbose=verbose, scope=request.text("scope")))


def _connect(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.network_connect(ref, request.json_object("types.NetworkConnect", empty=_EMPTY))
    answer.empty(200)


def _disconnect(backend: Backend, request: Request, answer: Answer, ref: str) -> None:
    backend.network_disconnect(ref, request.json_object("types.NetworkDisconnect", empty=_EMPTY))
    answer.empty(200)


def _remove(backend: Backend, _request: Request, answer: Answer, ref: str) -> None:
    backend.network_remove(ref)
    answer.empty()


def _prune(backend: Backend, request: Request, answer: Answer) -> None:
    answer.json(backend.networks_prune(request.filters()))


ROUTES = (
    route("GET", "/networks", _list),
    route("GET", "/networks/", _list),
    route("POST", "/networks/create", _create),
    route("POST", "/networks/prune", _prune),
    route("POST", "/networks/{ref}/connect", _connect),
    route("POST", "/networks/{ref}/disconnect", _disconnect),
    route("GET", "/networks/{ref}", _inspect),
    route("DELETE", "/networks/{ref}", _remove),
)
