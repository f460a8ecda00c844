"""allocate_network where no client can see it: no controller, a failing clean-up, a missing map."""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.events.metrics import Metrics
from refimpl.daemon.network.links import Links
from refimpl.daemon.network.sandbox_options import SandboxSettings
from refimpl.daemon.networking import Networking
from refimpl.errors import EngineError
from refimpl.libnetwork.controller import new_id
from refimpl.model.network_mode import NetworkMode
from refimpl.model.wire_container import Config, EndpointSettings, HostConfig
from tests.unit.refimpl.libnetwork_world import World, network_options

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@dataclass
class Engine:
    """The seed's part of the daemon on a kernel in memory, and its metrics."""

    world: World
    networking: Networking
    metrics: Metrics

    def container(self, mode: str = "default", **config: Any) -> Container:
        """Return a container whose map of networks was never filled in."""
        identity = new_id()
        return Container(
            id=identity,
            name=f"/c{identity[:6]}",
            created=NOW,
            root=f"/data/containers/{identity}",
            image_id="",
            path="sh",
            args=[],
            config=Config(hostname=identity[:12], **config),
            host_config=HostConfig(network_mode=NetworkMode(mode)),
        )

    def allocations(self) -> float:
        """Return the count of `allocate`."""
        name = "engine_daemon_network_actions_seconds_count"
        return self.metrics.registry.get_sample_value(name, {"action": "allocate"}) or 0


@pytest.fixture
def engine() -> Iterator[Engine]:
    world, metrics = World(), Metrics()
    config = DaemonConfig(data_root="/data", exec_root="/run/x")
    link_index = LinkIndex()
    containers = ContainerRegistry(link_index)
    controller = world.boot()
    links = Links(link_index=link_index, containers=containers, files=world.files)
    networking = Networking(
        config=config,
        net_controller=controller,
        containers=containers,
        build_sandbox_options=SandboxSettings(
            config=config, net_controller=controller, links=links
        ).build_sandbox_options,
        checkpoints=Checkpoints(world.files, lambda delay_s, work: None),
        files=world.files,
        events=Events(lambda: NOW),
        network_actions=metrics.network_actions,
    )
    yield Engine(world, networking, metrics)
    world.close()


def networks_of(container: Container) -> list[str]:
    return sorted(container.network_settings.networks or {})


def refuse(container_id: str) -> None:
    raise EngineError(f"the sandbox of {container_id} stays")


def refuse_as_the_kernel_does(container_id: str) -> None:
    raise OSError(f"the sandbox of {container_id} is busy")


def test_without_a_controller_nothing_is_done(engine: Engine) -> None:
    container = engine.container()
    writes, operations = list(engine.world.files.writes), list(engine.world.kernel.operations)

    replace(engine.networking, net_controller=None).allocate_network(container)

    assert container.network_settings.networks is None
    assert container.network_settings.sandbox_id == ""
    assert engine.world.files.writes == writes
    assert engine.world.kernel.operations == operations
    assert engine.allocations() == 0


@pytest.mark.parametrize("failure", [refuse, refuse_as_the_kernel_does])
def test_a_clean_up_that_fails_is_only_logged(
    engine: Engine,
    failure: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    container = engine.container()
    monkeypatch.setattr(engine.networking.controller(), "sandbox_destroy", failure)

    with caplog.at_level(logging.ERROR):
        engine.networking.allocate_network(container)

    text = f"failed to cleanup up stale network sandbox for container {container.id}"
    assert [record.getMessage() for record in caplog.records] == [text]
    assert container.network_settings.sandbox_key in engine.world.kernel.sandboxes
    assert engine.allocations() == 1


@pytest.mark.parametrize(
    ("mode", "network"), [("default", "bridge"), ("none", "none"), ("backend", "backend")]
)
def test_a_map_that_was_never_filled_in_gets_the_network_of_the_mode(
    engine: Engine, mode: str, network: str
) -> None:
    made = engine.networking.controller().new_network("backend", network_options("10.9.0.0/24"))
    container = engine.container(mode)

    engine.networking.allocate_network(container)

    assert networks_of(container) == [network]
    assert container.network_settings.networks is not None
    settings = container.network_settings.networks[network].settings
    assert settings.endpoint_id
    if mode == "backend":
        assert settings.network_id == made.id
        assert settings.ip_address == "10.9.0.2"


@pytest.mark.parametrize(
    ("mode", "config"), [("container:other", {}), ("default", {"network_disabled": True})]
)
def test_no_map_is_filled_in_where_no_network_is_wanted(
    engine: Engine, mode: str, config: dict[str, Any]
) -> None:
    container = engine.container(mode, **config)

    engine.networking.allocate_network(container)

    assert container.network_settings.networks is None
    assert container.network_settings.sandbox_id == ""
    assert engine.world.kernel.sandboxes == {}
    assert engine.allocations() == 0


def test_the_host_configuration_is_written_as_it_is_each_time(engine: Engine) -> None:
    container = engine.container()
    path = f"{container.root}/hostconfig.json"

    def dns_written() -> list[str]:
        engine.networking.checkpoints.write_host_config(container)
        written: list[str] = json.loads(engine.world.files.text(path))["Dns"]
        return written

    container.host_config.dns = ["192.0.2.1"]
    assert dns_written() == ["192.0.2.1"]
    writes = engine.world.files.writes.count(path)
    # unchanged, it is written all the same, and then what changed inside it
    assert dns_written() == ["192.0.2.1"]
    assert engine.world.files.writes.count(path) == writes + 1
    container.host_config.dns.append("192.0.2.2")
    assert dns_written() == ["192.0.2.1", "192.0.2.2"]


def test_a_live_connect_that_the_kernel_refuses_records_no_address(engine: Engine) -> None:
    controller = engine.networking.controller()
    for name in ("full", "other"):
        controller.new_network(name, network_options(f"10.{len(name)}.0.0/24"))
    container = engine.container()
    engine.networking.initialize_networking(container)
    engine.world.kernel.fail["add_interface"] = OSError(errno.EXFULL, "exchange full")
    with pytest.raises(OSError, match="exchange full"):
        engine.networking.connect_to_network(
            container, "full", EndpointSettings(), update_settings=True
        )
    full = (container.network_settings.networks or {})["full"].settings
    assert (full.endpoint_id, full.ip_address, full.mac_address) == ("", "", "")

    engine.networking.connect_to_network(
        container, "other", EndpointSettings(), update_settings=True
    )
    (sandbox,) = engine.world.kernel.sandboxes.values()
    assert sorted(sandbox.interfaces) == ["eth0", "eth1"]
