"""A controller on a kernel in memory, and a look at what it left there."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import islice
from typing import Any

from refimpl.libnetwork.controller import Controller, ControllerConfig
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.libnetwork.store import Snapshot, SQLiteStore
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions, SandboxOptions
from tests.faults import Recorder
from tests.unit.refimpl.fake_kernel import FakeFiles, FakeKernel

NETNS = "/run/x/netns"
HOST_RESOLV_CONF = b"search example.org\nnameserver 127.0.0.53\nnameserver 10.0.2.3\n"


@dataclass
class World:
    """Kernel, files and store that outlive their controllers, as those of a machine do."""

    kernel: FakeKernel = field(default_factory=FakeKernel)
    files: FakeFiles = field(default_factory=FakeFiles)
    store: SQLiteStore = field(default_factory=lambda: SQLiteStore(":memory:"))

    _controllers: list[Controller] = field(default_factory=list)

    def close(self) -> None:
        """End the threads of every controller, as the death of their processes would."""
        for controller in self._controllers:
            controller.resolver.close()
        for one in self.kernel.claimed.values():
            one.close()

    def __post_init__(self) -> None:
        self.files.content["/etc/resolv.conf"] = HOST_RESOLV_CONF
        self.files.content["/etc/hosts"] = b"127.0.0.1\tlocalhost thehost\n"

    def controller(self, recorder: Recorder | None = None, **config: Any) -> Controller:
        """Return a controller that has not booted yet."""
        recorder = recorder or Recorder()
        controller = Controller(
            kernel=recorder.wrap(
                self.kernel,
                "kernel",
                uncounted=("close", "links", "host_subnets", "sandbox_keys", "sweep"),
            ),
            files=recorder.wrap(self.files, "files", uncounted=("read",)),
            store=recorder.wrap(self.store, "store", uncounted=("close", "load", "write_back")),
            config=ControllerConfig(netns_directory=NETNS, **config),
        )
        self._controllers.append(controller)
        return controller

    def boot(self, recorder: Recorder | None = None, **config: Any) -> Controller:
        """Return a controller that has done what the daemon does at its start."""
        controller = self.controller(recorder, **config)
        controller.sandbox_cleanup()
        controller.init_default_networks()
        return controller

    def assert_nothing_is_without_owner(self, controller: Controller) -> None:
        """Compare kernel and rows with the controller, which has no sandbox any more."""
        snapshot: Snapshot = self.store.load()
        assert self.kernel.sandboxes == {}
        assert self.kernel.unswept == []
        assert self.kernel.host_keys <= {f"{NETNS}/default"}
        assert self.kernel.stray_veths == {}
        assert snapshot.sandboxes == {}
        assert snapshot.endpoints == {}
        networks = controller.networks()
        assert set(snapshot.networks) == {network.id for network in networks}
        bridges = {network.state["bridge"] for network in networks if network.type == "bridge"}
        assert set(self.kernel.bridges) == bridges
        assert self.kernel.firewall is not None
        assert {rule.bridge for rule in self.kernel.firewall} == bridges
        for network in networks:
            assert network.endpoints() == ()
            assert not network.records
            for info in network.pools:
                own = {info.gateway.ip}
                first = map(ip_address, map(str, islice(info.pool.subnet.hosts(), 20)))
                assert {a for a in first if info.pool.is_taken(a)} <= own


def network_options(subnet: str = "", **options: Any) -> NetworkOptions:
    """Return options of a bridge network with one subnet, or with one of the defaults."""
    ipam = (IPAMPool(subnet=subnet),) if subnet else ()
    return NetworkOptions(ipam=ipam, **options)


def sandbox_options(name: str = "web", **options: Any) -> SandboxOptions:
    """Return the options of a container's sandbox."""
    values: dict[str, Any] = {
        "container_id": container_id(name),
        "hostname": container_id(name)[:12],
        "hosts_path": f"/c/{name}/hosts",
        "resolv_conf_path": f"/c/{name}/resolv.conf",
    }
    return SandboxOptions(**{**values, **options})


def container_id(name: str) -> str:
    """Return the id of a container, the same for the same name."""
    return name.encode().hex().ljust(64, "0")


def connect(sandbox: Sandbox, network: Network, name: str = "web", **options: Any) -> None:
    """Connect as the daemon does: a joined endpoint, or none at all."""
    values: dict[str, Any] = {"disable_resolution": network.name in {"bridge", "host", "none"}}
    if not values["disable_resolution"]:
        values["my_aliases"] = (container_id(name)[:12],)
    endpoint = network.create_endpoint(name, EndpointOptions(**{**values, **options}))
    try:
        endpoint.join(sandbox)
    except BaseException:
        endpoint.delete()
        raise


def start(controller: Controller, name: str = "web", *networks: str) -> Sandbox:
    """Start as the daemon does: everything, or an error and nothing."""
    controller.sandbox_destroy(container_id(name))
    sandbox = controller.new_sandbox(
        sandbox_options(name, use_default_sandbox=networks == ("host",))
    )
    try:
        for network_name in networks:
            network = controller.network_by_name(network_name)
            assert network is not None
            connect(sandbox, network, name)
        sandbox.populate()
    except BaseException:
        sandbox.delete()
        raise
    return sandbox
