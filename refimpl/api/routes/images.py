"""Images, as far as a machine without a registry needs them: /images.

Mirrors: moby api/server/router/image/image_routes.go (v20.10).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from refimpl.api import streams
from refimpl.api.answer import Answer
from refimpl.api.request import Request
from refimpl.api.routing import route
from refimpl.daemon.backend import Backend, Wire
from refimpl.errors import EngineError, NotServed


def _create(backend: Backend, request: Request, answer: Answer) -> None:
    if image := request.text("fromImage"):
        progress = backend.image_pull(image, request.text("tag"))
        with answer.stream("application/json") as out:
            streams.send_progress(out, progress)
        return
    source = request.text("fromSrc")
    if not source:
        raise EngineError('Get "http:": http: no Host in request URL')
    if source != "-":
        raise NotServed(f"this engine imports an image from the request only, not from {source!r}")
    progress = backend.image_import(
        request.body,
        repo=request.text("repo"),
        tag=request.text("tag"),
        changes=request.texts("changes"),
        message=request.text("message"),
    )
    # a failure before the first document still has a status of its own
    first = list(itertools.islice(progress, 1))
    with answer.stream("application/json") as out:
        streams.send_progress(out, itertools.chain(first, progress))


def _load(backend: Backend, request: Request, answer: Answer) -> None:
    def progress() -> Iterator[Wire]:
        yield from backend.image_load(request.body, quiet=request.flag("quiet", default=True))

    # unlike an import, a load that fails does so inside of a 200
    with answer.stream("application/json") as out:
        streams.send_progress(out, progress())


def _list(backend: Backend, request: Request, answer: Answer) -> None:
    filters = request.filters()
    answer.json(backend.image_list(all_=request.flag("all"), filters=filters))


def _inspect(backend: Backend, _request: Request, answer: Answer, name: str) -> None:
    answer.json(backend.image_inspect(name))


def _history(backend: Backend, _request: Request, answer: Answer, name: str) -> None:
    answer.json(backend.image_history(name))


def _tag(backend: Backend, request: Request, answer: Answer, name: str) -> None:
    backend.image_tag(name, request.text("repo"), request.text("tag"))
    answer.empty(201)


def _remove(backend: Backend, request: Request, answer: Answer, name: str) -> None:
    prune = not request.flag("noprune")
    answer.json(backend.image_remove(name, force=request.flag("force"), prune=prune))


def _prune(backend: Backend, request: Request, answer: Answer) -> None:
    answer.json(backend.images_prune(request.filters()))


ROUTES = (
    route("GET", "/images/json", _list),
    route("POST", "/images/create", _create),
    route("POST", "/images/load", _load),
    route("POST", "/images/prune", _prune),
    route("GET", "/images/{name}/json", _inspect, parses_query=False),
    route("GET", "/images/{name}/history", _history, parses_query=False),
    route("POST", "/images/{name}/tag", _tag),
    route("DELETE", "/images/{name}", _remove),
)
