"""A tiny engine in memory that can be told to deviate: proof that the suite would notice.

It speaks just enough of the Docker Engine API for the rows in rows/: version, info, one image,
containers and networks that can be created, started, inspected and removed.
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.selftest.unix_api import VERSION, JsonHandler, UnixApi


class Deviant(UnixApi):
    """The engine; `deviations` names what it does wrongly."""

    def __init__(self, path: Path, *deviations: str) -> None:
        super().__init__(path, Handler)
        self.address = f"unix://{path}"
        self.deviations = set(deviations)
        self.is_silent = False
        self.containers: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> "Deviant":
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Handler(JsonHandler):
    """One connection to the engine."""

    server: Deviant

    def handle_one(self) -> None:
        if self.server.is_silent:
            self.close_connection = True
            return None
        parts = urlsplit(self.path)
        path = re.sub(r"^/v[\d.]+", "", parts.path)
        body = json.loads(self.read() or b"null")
        for method, pattern, act in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                with self.server.lock:
                    return act(self, *match.groups(), query=parse_qs(parts.query), body=body)
        return self.answer(404, {"message": f"no such thing: {path}"})

    do_GET = do_POST = do_DELETE = handle_one


def get_version(call: Handler, **_: Any) -> None:
    call.answer(200, VERSION)


def get_info(call: Handler, **_: Any) -> None:
    document = {"IPv4Forwarding": True, "SystemTime": "2026-11-24T12:00:00.5Z"}
    call.answer(200, {**document, "DockerRootDir": "/nonexistent"})


def get_image(call: Handler, _name: str, **_: Any) -> None:
    call.answer(200, {"Id": "sha256:" + "a" * 64, "RepoTags": []})


def list_images(call: Handler, **_: Any) -> None:
    call.answer(200, [])


def list_containers(call: Handler, *, query: dict[str, list[str]], **_: Any) -> None:
    labels = json.loads(query.get("filters", ["{}"])[0]).get("label", [])
    found = [
        {"Id": key, "Names": [container["Name"]]}
        for key, container in call.server.containers.items()
        if all(f"{k}={v}" in labels for k, v in container["Config"]["Labels"].items()) or not labels
    ]
    call.answer(200, found)


def list_networks(call: Handler, *, query: dict[str, list[str]], **_: Any) -> None:
    bridge = {"Id": "b" * 64, "Name": "bridge", "IPAM": {"Config": []}}
    call.answer(200, [] if "filters" in query else [bridge])


def get_network(call: Handler, _name: str, **_: Any) -> None:
    call.answer(200, {"Id": "b" * 64, "Name": "bridge", "Containers": {}})


def create_container(call: Handler, *, query: dict[str, list[str]], body: Any) -> None:
    number = len(call.server.containers) + 1
    key = f"{number:064x}"
    call.server.containers[key] = {
        "Id": key,
        "Name": f"/{query['name'][0]}",
        "State": {"Running": False},
        "Config": body,
    }
    call.answer(201, {"Id": key, "Warnings": []})


def get_container(call: Handler, key: str, **_: Any) -> None:
    found = call.server.containers.get(key)
    call.answer(*((200, found) if found else (404, {"message": f"No such container: {key}"})))


def start_container(call: Handler, key: str, **_: Any) -> None:
    if "refuses-start" in call.server.deviations:
        return call.answer(500, {"message": "driver failed"})
    if "falls-silent" in call.server.deviations:
        call.server.is_silent = call.close_connection = True
        return None
    is_running = "never-runs" not in call.server.deviations
    call.server.containers[key]["State"]["Running"] = is_running
    return call.answer(204)


def remove_container(call: Handler, key: str, **_: Any) -> None:
    if "keeps-containers" not in call.server.deviations:
        call.server.containers.pop(key, None)
    call.answer(204)


ROUTES = (
    ("GET", r"/version", get_version),
    ("GET", r"/info", get_info),
    ("GET", r"/images/json", list_images),
    ("GET", r"/images/(.+)/json", get_image),
    ("GET", r"/containers/json", list_containers),
    ("GET", r"/networks", list_networks),
    ("GET", r"/networks/(\w+)", get_network),
    ("POST", r"/containers/create", create_container),
    ("GET", r"/containers/(\w+)/json", get_container),
    ("POST", r"/containers/(\w+)/start", start_container),
    ("DELETE", r"/containers/(\w+)", remove_container),
)
