"""The endpoints of Docker's API 1.41 that this engine does not have, so that it can say so.

A client that meets one gets a sentence, and can tell it from a path that Docker does not know.
"""

from __future__ import annotations

from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import Route, route
from refimpl.daemon.backend import Backend
from refimpl.errors import NotServed

_ENDPOINTS = {
    "GET": (
        "/containers/{ref}/top",
        "/containers/{ref}/stats",
        "/containers/{ref}/changes",
        "/containers/{ref}/export",
        "/containers/{ref}/archive",
        "/containers/{ref}/attach/ws",
        "/images/search",
        "/images/get",
        "/images/{name}/get",
        "/distribution/{name}/json",
        "/system/df",
        "/plugins/privileges",
    ),
    "HEAD": ("/containers/{ref}/archive",),
    "PUT": ("/containers/{ref}/archive",),
    "POST": (
        "/containers/{ref}/update",
        "/containers/{ref}/copy",
        "/commit",
        "/build",
        "/build/prune",
        "/build/cancel",
        "/session",
        "/grpc",
        "/auth",
        "/images/{name}/push",
        "/volumes/create",
        "/plugins/pull",
        "/plugins/create",
        "/plugins/{name}/enable",
        "/plugins/{name}/disable",
        "/plugins/{name}/push",
        "/plugins/{name}/upgrade",
        "/plugins/{name}/set",
        "/swarm/init",
        "/swarm/join",
    ),
}


def _unserved(method: str, path: str) -> Route:
    def refuse(_backend: Backend, _request: Request, _answer: Answer, **_names: str) -> None:
        raise NotServed(f"this engine does not serve {method} {path} of the Docker API")

    return route(method, path, refuse, parses_query=False)


ROUTES = tuple(_unserved(method, path) for method, paths in _ENDPOINTS.items() for path in paths)
