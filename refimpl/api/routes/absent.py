"""What this engine never has: volumes, plugins and the objects of a swarm.

Reads are answered as by a Docker that has none, so that clients which look everywhere come to
their end: `docker inspect NAME`, `docker volume ls`.

Mirrors: moby api/server/router/{volume,plugin,swarm}, daemon/cluster/errors.go (v20.10).
"""

from __future__ import annotations

from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import Route, route
from refimpl.daemon.backend import Backend
from refimpl.errors import NotFound, Unavailable

_NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)
_NO_SWARM = "This node is not part of a swarm"
_SWARM = (
    ("GET", "/swarm"),
    ("GET", "/swarm/unlockkey"),
    *(("GET", f"/{kind}/{{id}}") for kind in ("nodes", "services", "tasks", "secrets", "configs")),
    *(("DELETE", f"/{kind}/{{id}}") for kind in ("services", "secrets", "configs")),
)
_SWARM_WITH_QUERY = (
    *(("GET", f"/{kind}") for kind in ("nodes", "services", "tasks", "secrets", "configs")),
    ("GET", "/services/{id}/logs"),
    ("GET", "/tasks/{id}/logs"),
    ("DELETE", "/nodes/{id}"),
)
_SWARM_WITH_BODY = (
    "/swarm/unlock",
    "/swarm/update",
    *(f"/{kind}/create" for kind in ("services", "secrets", "configs")),
    *(f"/{kind}/{{id}}/update" for kind in ("nodes", "services", "secrets", "configs")),
)


def _no_manager(_backend: Backend, _request: Request, _answer: Answer, **_names: str) -> None:
    raise Unavailable(_NO_MANAGER)


def _no_manager_for_body(
    _backend: Backend, request: Request, _answer: Answer, **_names: str
) -> None:
    request.json_object("swarm.Spec", empty="got EOF while reading request body")
    raise Unavailable(_NO_MANAGER)


def _leave_swarm(_backend: Backend, _request: Request, _answer: Answer) -> None:
    raise Unavailable(_NO_SWARM)


def _list_volumes(_backend: Backend, _request: Request, answer: Answer) -> None:
    answer.json({"Volumes": [], "Warnings": None})


def _prune_volumes(_backend: Backend, _request: Request, answer: Answer) -> None:
    answer.json({"VolumesDeleted": [], "SpaceReclaimed": 0})


def _no_volume(_backend: Backend, _request: Request, _answer: Answer, ref: str) -> None:
    raise NotFound(f"get {ref}: no such volume")


def _list_plugins(_backend: Backend, _request: Request, answer: Answer) -> None:
    answer.json([])


def _no_plugin(_backend: Backend, _request: Request, _answer: Answer, ref: str) -> None:
    raise NotFound(f'plugin "{ref}" not found')


ROUTES: tuple[Route, ...] = (
    route("GET", "/volumes", _list_volumes),
    route("POST", "/volumes/prune", _prune_volumes),
    route("GET", "/volumes/{ref}", _no_volume),
    route("DELETE", "/volumes/{ref}", _no_volume),
    route("GET", "/plugins", _list_plugins),
    route("GET", "/plugins/{ref}/json", _no_plugin, parses_query=False),
    route("DELETE", "/plugins/{ref}", _no_plugin),
    route("POST", "/swarm/leave", _leave_swarm),
    *(route("POST", path, _no_manager_for_body, parses_query=False) for path in _SWARM_WITH_BODY),
    *(route(method, path, _no_manager) for method, path in _SWARM_WITH_QUERY),
    *(route(method, path, _no_manager, parses_query=False) for method, path in _SWARM),
)
