"""The reference and a real Docker 20.10, side by side, as alike as two engines can be.

Either one runs in a network namespace and folders of its own, has the same image and the same
address pools; whatever differs between their answers is then volatile, or a difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.engines.base import Engine
from conformance.engines.dockerd import DockerdEngine
from conformance.engines.factory import make_engine
from conformance.engines.managed import workspace_of
from conformance.engines.reference import ReferenceEngine
from conformance.engines.settings import load_settings
from conformance.image import ensure_image
from conformance.observe.host import HostView
from conformance.rawapi import Answer, request

DOCKER = "docker-20.10"
"""The machine's own dockerd where it is a 20.10, else the one of `ci/engines/provision.py`."""

REFERENCE = "reference"
API = "/v1.41"
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Side:
    """One of the two engines.

    Attributes:
        name: `docker` or `reference`.
        engine: how it is started, stopped and looked into.
        image: the name of the image that both have.
        image_id: its id, which is the engine's own.
    """

    name: str
    engine: Engine
    image: str
    image_id: str

    @property
    def api(self) -> Any:
        """The SDK's low-level client. Any: the stubs take less than the SDK does."""
        return self.engine.client().api

    @property
    def host(self) -> HostView:
        """The engine seen from the machine: files, namespaces."""
        inside = self.engine.inside()
        assert inside is not None, f"{self.name} runs on this machine"
        return HostView(inside)

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one raw request; the path is without the version."""
        return request(self.engine, method, API + path, body)

    def get(self, path: str) -> Any:
        """Give the document at a path."""
        answer = self.request("GET", path)
        assert answer.status == 200, f"{self.name}: GET {path}: {answer.status} {answer.message}"
        return answer.json()


@dataclass(frozen=True)
class Pair:
    """Both engines; `pair.docker.api` and `pair.reference.api` are their low-level clients."""

    docker: Side
    reference: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        """Docker first: it is the one that is right."""
        return self.docker, self.reference


def why_unavailable() -> str:
    """Say in one sentence why this machine cannot have both engines; "" = it can."""
    settings = load_settings()
    workspace = workspace_of("none")
    reasons = [
        make(settings[spec], run_id="none", slot=spec, workspace=workspace).why_unavailable()
        for make, spec in ((DockerdEngine, DOCKER), (ReferenceEngine, REFERENCE))
    ]
    return next(filter(None, reasons), "")


@contextmanager
def running_pair(name: str = "") -> Iterator[Pair]:
    """Start both engines at once; stop them, and take away all that is left of them, at the end.

    Args:
        name: tells this pair from another one of the same process; a few letters.
    """
    run_id = f"diff{os.getpid()}{name}"
    workspace = workspace_of(run_id)
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        stack.callback(_remove_empty, workspace)
        engines = [
            make_engine(spec, run_id=run_id, workspace=workspace) for spec in (DOCKER, REFERENCE)
        ]
        started = []
        for engine in engines:
            # before the start: one that comes up half is stopped too
            stack.callback(engine.stop)
            started.append(pool.submit(engine.start))
        for future in started:
            future.result()
        yield Pair(_side("docker", engines[0]), _side("reference", engines[1]))


def _side(name: str, engine: Engine) -> Side:
    image = ensure_image(engine.client())
    api = engine.client().api
    image_id = api.inspect_image(image)["Id"]
    # an engine makes tables and modules with its first container: no scenario is the first
    api.create_container(image, ["true"], name="first")
    api.start("first")
    api.wait("first", timeout=START_TIMEOUT_S)
    api.remove_container("first")
    return Side(name, engine, image, image_id)


def _remove_empty(folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
