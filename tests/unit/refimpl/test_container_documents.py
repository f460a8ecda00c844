"""Goal: a container's documents on disk are read whole, or refused by document and field."""

from __future__ import annotations

import errno
import json
from typing import Any

import pytest

from refimpl.daemon.containers.container import Container, EndpointState, NetworkSettings
from refimpl.daemon.lifecycle.spec import Specs
from refimpl.libnetwork.controller import utc_now
from refimpl.model.binds import parse_binds
from refimpl.model.wire_container import Config, EndpointSettings, HostConfig
from tests.unit.refimpl.test_daemon_restore import Machine

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


def test_a_container_that_cannot_be_read_hides_no_other(tmp_path, caplog):
    machine = Machine(tmp_path)
    machine.add("good", {"Binds": ["/srv:/h:ro,z"]})
    machine.add("bad", {"Binds": ["/srv:/h:ro,rw"]})
    daemon = machine.boot()
    listed = daemon.container_list(all_=True, limit=0, size=False, filters={})
    assert [(one["Names"], one["Mounts"][0]["RW"]) for one in listed] == [(["/good"], False)]
    assert daemon.container_inspect("good")["Mounts"][0]["Mode"] == "ro,z"
    assert "hostconfig.json: Binds: invalid mode: ro,rw" in caplog.text


class Mounted:
    """A kernel whose root directory is mounted as shared, or not."""

    def __init__(self, *, is_shared: bool) -> None:
        self.is_shared = is_shared

    def check_propagation(self, source: str, propagation: str) -> None:
        assert (source, propagation) == ("/", "rslave")
        if not self.is_shared:
            raise OSError(errno.EINVAL, "it is not a shared or slave mount")


@pytest.mark.parametrize("is_shared", [True, False])
def test_mounts_are_made_in_an_order_in_which_none_hides_another(is_shared):
    unused: Any = None
    kernel: Any = Mounted(is_shared=is_shared)
    specs = Specs(
        config=unused, kernel=kernel, containers=unused, net_controller=unused, links=unused
    )
    container = Container.from_documents(ROOT, *documents())
    container.hosts_path, container.hostname_path = "/c/hosts", "/c/hostname"
    container.binds = parse_binds(
        ["/1:/a/b/c", "/2:/a:rslave", "/3:/etc:ro", "/4:/etc/hostname", "/:/all"],
        tmpfs=None,
        daemon_root="/var/lib/netinit",
    )
    mounts = specs._mounts(container)
    assert [(mount.source, mount.destination) for mount in mounts] == [
        ("/2", "/a"),
        ("/3", "/etc"),
        ("/", "/all"),
        ("/c/hosts", "/etc/hosts"),
        ("/4", "/etc/hostname"),
        ("/1", "/a/b/c"),
    ]
    assert container.hostname_path == "/4"
    asked = {mount.source: (mount.propagation, mount.read_only) for mount in mounts}
    assert (asked["/2"], asked["/3"], asked["/"]) == (
        ("rslave", False), ("rprivate", True), ("rslave" if is_shared else "rprivate", False)
    )  # fmt: skip


@pytest.mark.parametrize("value", [0, 5, -1])
def test_a_pointer_to_zero_is_shown(value):
    shown = Config(stop_timeout=value).to_wire()
    assert shown["StopTimeout"] == value
    assert "StopTimeout" not in Config().to_wire()
    assert HostConfig(init=False).to_wire()["Init"] is False
