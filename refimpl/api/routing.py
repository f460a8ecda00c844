"""Routes: a method, a path with `{names}`, and the function that answers.

A name matches anything, slashes too, because the names of images have them; so an area lists its
longer paths first. Mirrors: moby api/server/router (v20.10), whose patterns are `{name:.*}`.
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
    """One endpoint."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler

    def match(self, request: Request) -> re.Match[str] | None:
        """Return the names in the request's path if it is this endpoint's."""
        return self.pattern.match(request.path) if request.method == self.method else None


def route(method: str, path: str, handler: Handler) -> Route:
    """Return the endpoint `method path`, where `{name}` in the path is passed to the handler."""
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.*)", re.escape(path))
    return Route(method, re.compile(pattern + r"\Z", re.DOTALL), handler)
