"""Reads an engine's containers and networks; sends GETs only, so that nothing can change."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import docker.errors
import requests

from conformance.engines.base import EngineError
from conformance.engines.external import ExternalEngine
from conformance.impact.documents import as_part
from conformance.impact.parts import Part, SetupError


def read_engine(engine: ExternalEngine) -> tuple[list[Part], bool]:
    """Read what is there, and whether the engine has live-restore.

    What goes away while it is read is left out.

    Raises:
        EngineError: the engine does not answer as an engine does.
        SetupError: likewise, naming the place.
    """
    api = engine.client().api
    try:
        info = as_part(api.info(), "GET /info")
        containers = _inspect(api.containers(all=True), "container", api.inspect_container)
        networks = _inspect(api.networks(), "network", api.inspect_network)
        return [*containers, *networks], info.flag("LiveRestoreEnabled")
    except RecursionError as exc:
        raise EngineError(f"{engine.name}: an answer is nested too deeply") from exc
    except (docker.errors.DockerException, requests.RequestException, ValueError) as exc:
        raise EngineError(f"{engine.name}: {exc}") from exc


def _inspect(listed: Any, kind: str, inspect: Callable[[str], Any]) -> list[Part]:
    if not isinstance(listed, list):
        raise SetupError(f"the list of {kind}s: expected a list, found {type(listed).__name__}")
    found = []
    for entry in listed:
        id = as_part(entry, f"the list of {kind}s").text("Id")
        try:
            document = inspect(quote(id, safe=""))
        except docker.errors.NotFound:
            continue
        found.append(as_part(document, f"{kind} {id[:12]}"))
    return found
