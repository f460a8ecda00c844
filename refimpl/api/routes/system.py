"""The engine itself: /_ping, /version, /info.

Mirrors: moby api/server/router/system/system_routes.go (v20.10).
"""

from __future__ import annotations

from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import route
from refimpl.api.versions import less_than
from refimpl.daemon.backend import Backend

_NEVER_CACHED = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}


def _ping(_backend: Backend, request: Request, answer: Answer) -> None:
    # no Builder-Version header: clients then know that there is no BuildKit
    answer.text("" if request.method == "HEAD" else "OK", headers=_NEVER_CACHED)


def _version(backend: Backend, _request: Request, answer: Answer) -> None:
    answer.json(backend.version())


def _info(backend: Backend, request: Request, answer: Answer) -> None:
    info = backend.info()
    if less_than(request.version, "1.25"):
        names = [_security_option_name(option) for option in info.get("SecurityOptions") or []]
        info = {**info, "ExecutionDriver": "<not supported>", "SecurityOptions": names}
    answer.json(info)


def _security_option_name(option: str) -> str:
    """Return the name in `name=seccomp,profile=default` (moby: DecodeSecurityOptions)."""
    pairs = dict(part.partition("=")[::2] for part in option.split(","))
    return pairs.get("name", option)


ROUTES = (
    route("GET", "/_ping", _ping, parses_query=False),
    route("HEAD", "/_ping", _ping, parses_query=False),
    route("GET", "/version", _version, parses_query=False),
    route("GET", "/info", _info, parses_query=False),
)
