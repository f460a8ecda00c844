"""Docker's endpoints, one file an area. A handler decodes, calls the backend once, and encodes."""

from __future__ import annotations

from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routes import (
    absent,
    containers,
    events,
    execs,
    images,
    networks,
    system,
    unserved,
)
from refimpl.api.routing import Route
from refimpl.api.versions import check_version
from refimpl.daemon.backend import Backend
from refimpl.errors import NotFound

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *events.ROUTES,
    *execs.ROUTES,
    *containers.ROUTES,
    *networks.ROUTES,
    *images.ROUTES,
    # a longer path of the unserved ones comes before the name in an absent one
    *unserved.ROUTES,
    *absent.ROUTES,
)


def dispatch(backend: Backend, request: Request, answer: Answer) -> None:
    """Answer one request.

    Raises:
        EngineError: the request is refused: no such endpoint, a version that is not served, a
            malformed query, or whatever the backend says.
    """
    for route in ROUTES:
        if names := route.match(request):
            check_version(request.version)
            if route.parses_query:
                request.check_query()
            route.handler(backend, request, answer, **names.groupdict())
            return
    raise NotFound("page not found")
