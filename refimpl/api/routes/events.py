"""What happens in the engine, as it happens: /events.

Mirrors: moby api/server/router/system/system_routes.go getEvents (v20.10).
"""

from __future__ import annotations

from refimpl.api import streams
from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import route
from refimpl.daemon.backend import Backend


def _events(backend: Backend, request: Request, answer: Answer) -> None:
    filters = request.filters()
    subscription = backend.events_subscribe(
        since=request.text("since"), until=request.text("until"), filters=filters
    )
    streams.send_events(answer, subscription)


ROUTES = (route("GET", "/events", _events),)
