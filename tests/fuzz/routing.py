"""What there is to ask for, read from the reference's own routing table.

So a new route is fuzzed at once, and its parameters too: the names that its handler asks for.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from refimpl.api.routes import ROUTES, unserved
from refimpl.api.routing import Route

_ASKED = re.compile(r"request\.\w+\(\s*\"(\w+)\"")
_NAME = re.compile(r"\(\?P<(\w+)>(?:\.\*|\[\^/\]\+)\)")
_SLOW = re.compile(
    r"(GET|HEAD) /events|GET /containers/\{\w+\}/logs|POST /containers/\{\w+\}/(attach|wait)"
    r"|POST /exec/\{\w+\}/start"
)
_STOPS = re.compile(r"POST /containers/\{\w+\}/(stop|restart)|DELETE /containers/\{\w+\}")


@dataclass(frozen=True)
class Endpoint:
    """A route as it is written down: `POST /containers/{ref}/start`.

    Attributes:
        method: of the route.
        path: with names in braces.
        parameters: what its handler asks the query for, and `filters` if it has any.
        is_unserved: whether it is only there to say that the reference does not have it.
    """

    method: str
    path: str
    parameters: tuple[str, ...]
    is_unserved: bool

    @property
    def name(self) -> str:
        """Its method and path."""
        return f"{self.method} {self.path}"

    @property
    def is_stream(self) -> bool:
        """Whether it is there to wait."""
        return bool(_SLOW.fullmatch(self.name))

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a container that is asked to end."""
        return bool(_STOPS.fullmatch(self.name))


def _endpoint(route: Route) -> Endpoint:
    escaped = _NAME.sub(r"{\1}", route.pattern.pattern.removesuffix(r"\Z"))
    source = inspect.getsource(route.handler)
    parameters = _ASKED.findall(source)
    if ".filters(" in source:
        parameters.append("filters")
    path = re.sub(r"\\(.)", r"\1", escaped)
    is_unserved = route.handler.__module__ == unserved.__name__
    return Endpoint(route.method, path, tuple(parameters), is_unserved)


ENDPOINTS: tuple[Endpoint, ...] = tuple(_endpoint(route) for route in ROUTES)
PARAMETERS: tuple[str, ...] = tuple(
    sorted({name for endpoint in ENDPOINTS for name in endpoint.parameters})
)


def endpoint_of(method: str, target: str) -> Endpoint | None:
    """Find the route of a request by its method and its target, which may be nonsense."""
    path = re.sub(r"^/v[0-9.]+(?=/)", "", target.partition("?")[0])
    for route, endpoint in zip(ROUTES, ENDPOINTS, strict=True):
        if route.method == method and route.pattern.match(path):
            return endpoint
    return None
