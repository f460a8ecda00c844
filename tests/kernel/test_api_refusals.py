"""Bad requests get Docker's own status and text: each was recorded from dockerd 20.10.24.

The requests and their answers are in api_refusals.json. To ask a real engine again:

    export NETINIT_RECORD=1 NETINIT_CLI_HOST=unix:///run/docker.sock
    pytest tests/kernel/test_api_refusals.py

None of them succeeds, and none changes the engine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from conformance.image import build_archive
from tests.kernel.docker_cli import reference
from tests.unit.refimpl.raw_http import Client, Reply

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces"),
]

RECORDED = Path(__file__).with_name("api_refusals.json")
REFUSALS: list[dict[str, Any]] = json.loads(RECORDED.read_text())
IMAGE = "refusals:latest"
RECORD = "NETINIT_RECORD" in os.environ

Engine = tuple[Path, dict[str, str]]
"""The socket, and what to call the ids that its answers mention."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if given := os.environ.get("NETINIT_CLI_HOST"):
        with furnished(given) as names:
            yield Path(given.removeprefix("unix://")), names
        return
    with reference(tmp_path_factory.mktemp("refusals")) as host, furnished(host) as names:
        yield Path(host.removeprefix("unix://")), names


@contextmanager
def furnished(host: str) -> Iterator[dict[str, str]]:
    """Give an engine an image, a network and one container of each kind; take them away again."""
    client = docker.APIClient(base_url=host, version="1.41")
    ids: dict[str, str] = {}
    try:
        client.import_image_from_data(build_archive(), repository="refusals", tag="latest")
        image = client.inspect_image(IMAGE)["Id"]
        ids[image] = "<image>"
        pool = docker.types.IPAMPool(subnet="10.125.0.0/24")
        ipam = docker.types.IPAMConfig(pool_configs=[pool])
        ids[client.create_network("r-net", ipam=ipam)["Id"]] = "<r-net>"
        for name, mode, starts in (
            ("r-running", "bridge", True),
            ("r-paused", "bridge", True),
            ("r-stopped", "bridge", False),
            ("r-missing", "bridge", False),
            ("r-modeless", "no-such-network", False),
            ("r-host", "host", True),
            ("r-none", "none", True),
            ("r-shared", "container:r-running", True),
            ("r-netted", "r-net", True),
        ):
            command = ["no-such-program"] if name == "r-missing" else ["sleep", "1000"]
            config = client.create_host_config(network_mode=mode)
            made = client.create_container(IMAGE, command, name=name, host_config=config)
            ids[made["Id"]] = f"<{name}>"
            if starts:
                client.start(made["Id"])
        client.pause("r-paused")
        yield ids | {key.removeprefix("sha256:")[:12]: f"{name}[:12]" for key, name in ids.items()}
    finally:
        for made in client.containers(all=True, quiet=True):
            client.remove_container(made["Id"], force=True)
        if client.networks(names=["r-net"]):
            client.remove_network("r-net")
        if client.images("refusals"):
            client.remove_image(IMAGE)
        client.close()


def title(refusal: dict[str, Any]) -> str:
    body = refusal["body"]
    return f"{refusal['method']} {refusal['target']} {'(no body)' if body is None else body[:120]}"


@pytest.mark.parametrize("refusal", REFUSALS, ids=title)
def test_a_bad_request_is_refused_as_docker_refuses_it(
    engine: Engine, refusal: dict[str, Any]
) -> None:
    path, names = engine
    with Client(path) as client:
        body = refusal["body"]
        raw = body.encode() if body is not None else None
        reply = client.request(refusal["method"], refusal["target"], raw)
    answer = {"status": reply.status, "message": message(reply, names)}
    if RECORD:
        refusal.update(answer)
        RECORDED.write_text(json.dumps(REFUSALS, indent=1, ensure_ascii=False) + "\n")
    assert answer == {"status": refusal["status"], "message": refusal["message"]}


def test_an_images_name_of_one_mebibyte_is_refused(engine: Engine) -> None:
    body = json.dumps({"Image": "a" * (1 << 20)}).encode()
    with Client(engine[0]) as client:
        reply = client.request("POST", "/v1.41/containers/create", body)
    assert (reply.status, reply.message) == (
        400,
        "repository name must not be more than 255 characters",
    )


def message(reply: Reply, names: dict[str, str]) -> str:
    """Return the text of a refusal, ids replaced by what they are the ids of."""
    text = reply.body.decode()
    if reply.headers.get("content-type") == "application/json" and reply.status >= 400:
        text = reply.message
    for identity, name in names.items():
        text = text.replace(identity, name)
    return text
