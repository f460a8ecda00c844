"""Goal: a container's documents on disk are read whole, or refused by document and field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refimpl.daemon.containers.container import Container, EndpointState, NetworkSettings
from refimpl.libnetwork.controller import utc_now
from refimpl.model.wire_container import Config, EndpointSettings, HostConfig

ROOT = "/var/lib/netinit/containers/1"


def documents(**host_config: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is written of a container, as it is read."""
    container = Container(
        id="1",
        name="/web",
        created=utc_now(),
        root=ROOT,
        image_id="sha256:0",
        path="true",
        args=["a"],
        config=Config(),
        host_config=HostConfig.from_wire(host_config),
        network_settings=NetworkSettings(
            networks={"bridge": EndpointState(settings=EndpointSettings(ip_address="10.0.0.1"))}
        ),
    )
    written = container.document(), container.host_config.to_wire()
    return json.loads(json.dumps(written[0])), json.loads(json.dumps(written[1]))


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split("/")
    for name in way:
        document = document[name]
    if value is ...:
        del document[last]
    else:
        document[last] = value


def test_what_was_written_is_read_back():
    config, host_config = documents(Binds=["/a:/b:ro,z"])
    container = Container.from_documents(ROOT, config, host_config)
    assert (container.name, container.args) == ("/web", ["a"])
    assert container.network_settings.networks is not None
    assert container.network_settings.networks["bridge"].settings.ip_address == "10.0.0.1"
    assert [(bind.destination, bind.read_only) for bind in container.binds] == [("/b", True)]
    assert (container.document(), container.host_config.to_wire()) == (config, host_config)


PLACES = {
    "ID": "ID",
    "Created": "Created",
    "State": "State",
    "State/StartedAt": "State: StartedAt",
    "State/Running": "State: Running",
    "NetworkSettings": "NetworkSettings",
    "NetworkSettings/Networks/bridge": "NetworkSettings: Networks: bridge",
    "NetworkSettings/Networks/bridge/IPAMOperational": "Networks: bridge: IPAMOperational",
    "NetworkSettings/Networks/bridge/IPAddress": "NetworkSettings: Networks: bridge",
    "Config/Env": "Config",
}
ABSENT_IS_ZERO = frozenset(
    {"Config/Env", "NetworkSettings/Networks/bridge/IPAddress", "NetworkSettings/Networks/bridge"}
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param(path, value, id=f"{path}-{value!r}")
        for path in PLACES
        for value in (..., None, 5, {"a": 1})
        if path not in ABSENT_IS_ZERO or value not in (..., None)
    ],
)
def test_a_field_of_another_type_is_refused_by_name(path, value):
    config, host_config = documents()
    put(config, path, value)
    with pytest.raises(ValueError, match=rf"^config\.v2\.json: .*{PLACES[path]}: "):
        Container.from_documents(ROOT, config, host_config)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"Created": "yesterday"}, "Created"),
        ({"Created": "9" * 5000}, "Created"),
        ({"Args": [1]}, "Args"),
        ({"RestartCount": True}, "RestartCount"),
    ],
    ids=["no-moment", "long-moment", "no-texts", "no-number"],
)
def test_a_value_that_is_none_is_refused_by_name_and_shown_in_part(config, fault):
    written, host_config = documents()
    with pytest.raises(ValueError, match=rf"^config\.v2\.json: {fault}: ") as refusal:
        Container.from_documents(ROOT, written | config, host_config)
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_a_document_that_is_no_object_is_refused(document):
    with pytest.raises(ValueError, match=r"^config\.v2\.json: "):
        Container.from_documents(ROOT, document, documents()[1])


@pytest.mark.parametrize(
    ("host_config", "fault"),
    [
        ({"Binds": ["/a:/b:bogus"]}, "Binds: invalid mode: bogus"),
        ({"Binds": ["/a:/b", "/c:/b"]}, "Binds: Duplicate mount point: /b"),
        ({"Binds": ["name:/b"]}, "Binds: only bind mounts"),
        ({"Memory": 2**70}, "the document: json: cannot unmarshal number"),
        ([], "the document: json: cannot unmarshal array"),
    ],
    ids=["mode", "twice", "volume", "number", "list"],
)
def test_a_host_configuration_that_is_none_is_refused(host_config, fault):
    config, written = documents()
    changed = written | host_config if isinstance(host_config, dict) else host_config
    with pytest.raises(ValueError, match=rf"^hostconfig\.json: {fault}"):
        Container.from_documents(ROOT, config, changed)
