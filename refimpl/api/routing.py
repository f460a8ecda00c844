"""Routes: a method, a path with `{names}`, and the function that answers.

A name matches anything, slashes too, because the names of images have them; so an area lists its
longer paths first. Only `{id}`, which the objects of a swarm have, ends at a slash.

Mirrors: moby api/server/router (v20.10), whose patterns are `{name:.*}` and `{id}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from refimpl.api.request import Request

Handler = Callable[..., None]
"""Called as `handler(backend, request, answer, **names)`; raises EngineError to refuse."""


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    Attributes:
        parses_query: whether a malformed query is refused; else its faulty parameters are ignored.
    """

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    parses_query: bool

    def match(self, request: Request) -> re.Match[str] | None:
        """Return the names in the request's path if it is this endpoint's."""
        return self.pattern.match(request.path) if request.method == self.method else None


def route(method: str, path: str, handler: Handler, *, parses_query: bool = True) -> Route:
    """Return the endpoint `method path`, where `{name}` in the path is passed to the handler.

    Args:
        method: of the endpoint.
        path: of the endpoint.
        handler: what answers.
        parses_query: whether moby's handler calls httputils.ParseForm.
    """
    pattern = re.escape(path).replace(r"\{id\}", "(?P<id>[^/]+)")
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", pattern)
    return Route(method, re.compile(pattern + r"\Z", re.DOTALL), handler, parses_query)
