"""The documents of the API have Docker's fields, each of Docker's type.

The shapes are in api_shapes.json, recorded from dockerd 20.10.24 by this file, as in
test_api_refusals.py. A shape is a path (`NetworkSettings.Networks.*.IPAddress`) and the JSON types
that are found there.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from conformance.image import build_archive
from tests.kernel.docker_cli import reference

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces"),
]

RECORDED = Path(__file__).with_name("api_shapes.json")
SHAPES: dict[str, dict[str, list[str]]] = json.loads(RECORDED.read_text())
IMAGE = "shapes:latest"
SUBNET = "10.126.0.0/24"

ABSENT = {
    "image inspect": {"GraphDriver.Data.MergedDir", "GraphDriver.Data.WorkDir"},
    "version": {"Experimental"},
}
"""What Docker has and the reference has no use for."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What an engine answers about one container, one network, one image, over their lives."""
    if given := os.environ.get("NETINIT_CLI_HOST"):
        yield asked(given)
        return
    with reference(tmp_path_factory.mktemp("shapes")) as host:
        yield asked(host)


def asked(host: str) -> dict[str, Any]:
    # Any: the stubs take less than the SDK does
    client: Any = docker.APIClient(base_url=host, version="1.41")
    since = time.time()
    client.import_image_from_data(build_archive(), repository="shapes", tag="latest")
    found: dict[str, Any] = {"image inspect": client.inspect_image(IMAGE)}
    found["image list"] = client.images("shapes")
    pool = docker.types.IPAMPool(subnet=SUBNET)
    ipam = docker.types.IPAMConfig(pool_configs=[pool])
    found["network create"] = client.create_network("shapes", ipam=ipam, labels={"a": "b"})
    found |= container_documents(client)
    client.remove_network("shapes")
    found["image remove"] = client.remove_image(IMAGE)
    found["container prune"] = client.prune_containers(filters={"label": "none"})
    found["network prune"] = client.prune_networks(filters={"label": "none"})
    found["version"] = client.version()
    events = client.events(since=f"{since:.9f}", until=f"{time.time():.9f}", decode=True)
    found["events"] = [event for event in events if event["Action"] != "pull"]
    client.close()
    return found


def container_documents(client: Any) -> dict[str, Any]:
    """Lead one container through its life."""
    found: dict[str, Any] = {}
    end = client.create_endpoint_config(ipv4_address="10.126.0.9", aliases=["alias"])
    config = client.create_host_config(
        network_mode="shapes", extra_hosts={"x": "192.0.2.1"}, dns=["192.0.2.53"]
    )
    found["create"] = client.create_container(
        IMAGE,
        ["sleep", "1000"],
        name="shapes",
        environment=["A=b"],
        labels={"a": "b"},
        host_config=config,
        networking_config=client.create_networking_config({"shapes": end}),
    )
    found["inspect created"] = client.inspect_container("shapes")
    found["list created"] = client.containers(all=True)
    client.start("shapes")
    client.connect_container_to_network("shapes", "bridge")
    found["inspect running"] = client.inspect_container("shapes")
    found["list running"] = client.containers()
    for network in ("shapes", "bridge", "host", "none"):
        found[f"network inspect {network}"] = client.inspect_network(network)
    execution = client.exec_create("shapes", ["true"], user="root", workdir="/tmp")
    found["exec create"] = execution
    found["exec inspect"] = client.exec_inspect(execution)
    client.exec_start(execution)
    found["exec inspect ended"] = client.exec_inspect(execution)
    client.stop("shapes", timeout=0)
    found["wait"] = client.wait("shapes")
    found["inspect exited"] = client.inspect_container("shapes")
    found["list exited"] = client.containers(all=True)
    client.remove_container("shapes")
    return found


def shape(document: Any) -> dict[str, list[str]]:
    """Return the paths of a document with the types found there; ids are all one name."""
    found: dict[str, set[str]] = defaultdict(set)

    def walk(value: Any, path: str) -> None:
        found[path].add(type(value).__name__)
        if isinstance(value, dict):
            for name, child in value.items():
                shown = re.sub(r"^[0-9a-f]{64}$", "<id>", name).replace(".", "_")
                walk(child, f"{path}.{shown}" if path else shown)
        elif isinstance(value, list):
            for child in value:
                walk(child, f"{path}[]")

    walk(document, "")
    return {path: sorted(types) for path, types in sorted(found.items())}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_document_has_dockers_shape(documents: dict[str, Any], name: str) -> None:
    found = shape(documents[name])
    for path in ABSENT.get(name, set()):
        found.setdefault(path, SHAPES[name][path])
    assert found == SHAPES[name]


def test_every_document_is_recorded(documents: dict[str, Any]) -> None:
    if "NETINIT_RECORD" in os.environ:
        recorded = {name: shape(document) for name, document in documents.items()}
        RECORDED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")
    assert sorted(json.loads(RECORDED.read_text())) == sorted(documents)
