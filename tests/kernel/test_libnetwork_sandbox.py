"""libnetwork on the real kernel: what a container's process finds in its sandbox."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from conformance.observe.poll import wait_until
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.firewall import Firewall
from refimpl.kernel.linux import LinuxKernel
from refimpl.kernel.reaper import Reaper
from refimpl.libnetwork.controller import Controller, ControllerConfig
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.libnetwork.store import SQLiteStore
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions, SandboxOptions

pytestmark = pytest.mark.root

TIMEOUT_S = 20


class Ip(Protocol):
    """The fixture `ip`."""

    def __call__(self, *arguments: str, key: str | None = None) -> list[dict[str, Any]]: ...


class Machine:
    """A data root and an exec root, and the daemons that live on them one after the other."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.controllers: list[Controller] = []
        (root / "resolv.conf").write_text("nameserver 192.0.2.53\n")

    def boot(self) -> Controller:
        kernel = LinuxKernel()
        kernel.prepare_host()
        controller = Controller(
            kernel=kernel,
            files=LinuxFiles(),
            store=SQLiteStore(str(self.root / "netinit.db")),
            config=ControllerConfig(
                netns_directory=str(self.root / "netns"),
                host_resolv_conf_path=str(self.root / "resolv.conf"),
            ),
        )
        self.controllers.append(controller)
        controller.sandbox_cleanup()
        controller.init_default_networks()
        return controller

    def start(self, controller: Controller, name: str, *networks: Network) -> Sandbox:
        (self.root / name).mkdir(exist_ok=True)
        sandbox = controller.new_sandbox(
            SandboxOptions(
                container_id=name.ljust(64, "0"),
                hostname=name,
                hosts_path=str(self.root / name / "hosts"),
                resolv_conf_path=str(self.root / name / "resolv.conf"),
            )
        )
        for network in networks:
            connect(sandbox, name, network)
        sandbox.populate()
        return sandbox

    def crash(self, controller: Controller) -> None:
        """Let a daemon die: its threads and descriptors end, and nothing is tidied up."""
        controller.resolver.close()
        controller.store.close()


def connect(sandbox: Sandbox, name: str, network: Network) -> None:
    is_default = network.name == "bridge"
    options = EndpointOptions(disable_resolution=is_default)
    network.create_endpoint(name, options).join(sandbox)


@pytest.fixture
def machine(tmp_path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    for controller in machine.controllers:
        for network in controller.networks():
            if network.type == "bridge":
                controller.kernel.delete_link(str(network.state["bridge"]))
        for key in controller.kernel.sandbox_keys(f"{tmp_path}/netns"):
            if not key.endswith("/default"):
                controller.kernel.destroy_sandbox(key)
        controller.kernel.unmount(f"{tmp_path}/netns/default")
        Firewall().remove()
        controller.resolver.close()
        controller.kernel.close()


@pytest.fixture
def controller(machine) -> Controller:
    return machine.boot()


@pytest.fixture
def bridge(controller) -> Network:
    return named(controller, "bridge")


@pytest.fixture
def user(controller) -> Network:
    return new_network(controller, "user", "10.231.0.0/24")


def named(controller: Controller, name: str) -> Network:
    network = controller.network_by_name(name)
    assert network is not None
    return network


def new_network(controller: Controller, name: str, subnet: str, **options) -> Network:
    pools = (IPAMPool(subnet=subnet),)
    return controller.new_network(name, NetworkOptions(ipam=pools, **options))


def run(sandbox: Sandbox, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nsenter", f"--net={sandbox.key}", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )


def reaches(sandbox: Sandbox, address: str) -> bool:
    return run(sandbox, "busybox", "ping", "-c2", "-W1", address).returncode == 0


def lookup(sandbox: Sandbox, name: str) -> list[str]:
    """The addresses that a process in the sandbox gets for a name."""
    output = run(sandbox, "busybox", "nslookup", "-type=a", name, "127.0.0.11").stdout
    _, _, answers = output.partition("answer:")
    return re.findall(r"Address: (\S+)", answers)


def addresses(ip: Ip, sandbox: Sandbox) -> dict[str, list[str]]:
    return {
        link["ifname"]: [f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]]
        for link in ip("addr", key=sandbox.key)
    }


def default_route(ip: Ip, sandbox: Sandbox) -> list[tuple[str, str]]:
    routes = ip("route", "show", "default", key=sandbox.key)
    return [(route["gateway"], route["dev"]) for route in routes]


def veths(ip: Ip) -> list[str]:
    return [link["ifname"] for link in ip("link", "show", "type", "veth")]


def test_a_sandbox_has_its_interfaces_in_order_and_one_default_route(
    machine, controller, bridge, user, ip
):
    sandbox = machine.start(controller, "web", user, bridge)
    assert addresses(ip, sandbox) == {
        "lo": ["127.0.0.1/8"],
        "eth0": ["172.17.0.2/16"],
        "eth1": ["10.231.0.2/24"],
    }
    assert default_route(ip, sandbox) == [("172.17.0.1", "eth0")]


def test_the_mac_is_made_from_the_address(machine, controller, user, ip):
    sandbox = machine.start(controller, "web", user)
    (link,) = ip("link", "show", "eth0", key=sandbox.key)
    assert link["address"] == "02:42:0a:e7:00:02"


def test_peers_and_gateway_are_reached_and_other_networks_are_not(
    machine, controller, user, bridge
):
    web = machine.start(controller, "web", user)
    machine.start(controller, "db", user)
    machine.start(controller, "far", bridge)
    assert reaches(web, "10.231.0.1")
    assert reaches(web, "10.231.0.3")
    assert not reaches(web, "172.17.0.2")


def test_icc_false_separates_the_members_of_a_bridge(machine, controller):
    option = {"com.docker.network.bridge.enable_icc": "false"}
    network = new_network(controller, "apart", "10.232.0.0/24", options=option)
    web = machine.start(controller, "web", network)
    machine.start(controller, "db", network)
    assert reaches(web, "10.232.0.1")
    assert not reaches(web, "10.232.0.3")


@pytest.mark.parametrize("name", ["db", "DB", "db.user"])
def test_a_process_finds_its_peers_by_name(machine, controller, user, name):
    web = machine.start(controller, "web", user)
    machine.start(controller, "db", user)
    assert lookup(web, name) == ["10.231.0.3"]


def test_names_come_and_go_with_the_peer(machine, controller, user):
    web = machine.start(controller, "web", user)
    assert lookup(web, "db") == []
    db = machine.start(controller, "db", user)
    assert lookup(web, "db") == ["10.231.0.3"]
    db.delete()
    assert lookup(web, "db") == []


def test_a_live_join_and_leave_move_the_default_route(machine, controller, user, ip):
    sandbox = machine.start(controller, "web", user)
    first = new_network(controller, "aaa", "10.233.0.0/24")
    connect(sandbox, "web", first)
    assert addresses(ip, sandbox)["eth1"] == ["10.233.0.2/24"]
    assert default_route(ip, sandbox) == [("10.233.0.1", "eth1")]
    assert reaches(sandbox, "10.233.0.1")
    endpoint = first.endpoint_by_name("web")
    assert endpoint is not None
    endpoint.delete(force=True)
    assert set(addresses(ip, sandbox)) == {"lo", "eth0"}
    assert default_route(ip, sandbox) == [("10.231.0.1", "eth0")]


def test_a_live_join_of_a_user_network_brings_the_embedded_dns(machine, controller, bridge, user):
    machine.start(controller, "db", user)
    web = machine.start(controller, "web", bridge)
    connect(web, "web", user)
    assert lookup(web, "db") == ["10.231.0.2"]
    text = (machine.root / "web" / "resolv.conf").read_text()
    assert text == "nameserver 127.0.0.11\noptions ndots:0\n"


def test_files_that_a_container_has_mounted_are_changed_in_place(machine, controller, bridge, user):
    web = machine.start(controller, "web", bridge)
    paths = [machine.root / "web" / name for name in ("hosts", "resolv.conf")]
    before = [path.stat().st_ino for path in paths]
    connect(web, "web", user)
    assert [path.stat().st_ino for path in paths] == before
    assert "10.231.0.2\tweb\n" in paths[0].read_text()


def test_an_ipv6_network_gives_address_and_default_route(machine, controller, ip):
    pools = (IPAMPool(subnet="10.234.0.0/24"), IPAMPool(subnet="2001:db8:1::/64"))
    network = controller.new_network("six", NetworkOptions(ipam=pools, enable_ipv6=True))
    sandbox = machine.start(controller, "web", network)
    assert "2001:db8:1::2/64" in addresses(ip, sandbox)["eth0"]
    routes = ip("-6", "route", "show", "default", key=sandbox.key)
    assert [route["gateway"] for route in routes] == ["2001:db8:1::1"]


def test_none_has_only_loopback(machine, controller, ip):
    sandbox = machine.start(controller, "web", named(controller, "none"))
    assert addresses(ip, sandbox) == {"lo": ["127.0.0.1/8"]}
    assert ip("route", key=sandbox.key) == []


def test_after_a_stop_neither_namespace_nor_link_is_left(machine, controller, bridge, user, ip):
    sandbox = machine.start(controller, "web", bridge, user)
    assert len(veths(ip)) == 2
    sandbox.delete()
    wait_until("the links to be gone", lambda: veths(ip) == [], timeout_s=5)
    assert not Path(sandbox.key).exists()


def test_a_deleted_network_takes_its_bridge_along(controller, user, ip):
    name = f"br-{user.id[:12]}"
    assert [link["ifname"] for link in ip("link", "show", name)] == [name]
    user.delete()
    assert name not in {link["ifname"] for link in ip("link")}


def test_after_a_crash_everything_is_tidied_up_and_startable_again(
    machine, controller, bridge, user, ip
):
    stale = machine.start(controller, "web", bridge, user)
    hosted = controller.new_sandbox(
        SandboxOptions(
            container_id="h" * 64,
            hosts_path=str(machine.root / "hosts"),
            resolv_conf_path=str(machine.root / "h.resolv.conf"),
            use_default_sandbox=True,
        )
    )
    named(controller, "host").create_endpoint("hosted", EndpointOptions()).join(hosted)
    hosted.populate()
    machine.crash(controller)
    assert len(veths(ip)) == 2

    again = machine.boot()

    wait_until("the links to be gone", lambda: veths(ip) == [], timeout_s=5)
    assert not Path(stale.key).exists()
    assert not Path(hosted.key).exists()
    restored = named(again, "user")
    assert restored.id == user.id
    sandbox = machine.start(again, "web", named(again, "bridge"), restored)
    assert addresses(ip, sandbox)["eth1"] == ["10.231.0.2/24"]
    assert reaches(sandbox, "10.231.0.1")


def test_a_port_that_was_renamed_does_not_drive_the_default_network_away(
    machine, controller, bridge, ip, monkeypatch
):
    # whoever deletes links in the background may come too late
    monkeypatch.setattr(Reaper, "wake", lambda _reaper: None)
    machine.start(controller, "web", bridge)
    (port,) = veths(ip)
    subprocess.run(["ip", "link", "set", port, "name", "by-hand"], check=True)
    machine.crash(controller)

    again = machine.boot()

    assert veths(ip) == []
    assert named(again, "bridge").state["bridge"] == bridge.state["bridge"]


def test_a_graceful_end_leaves_no_namespace_and_no_mount(machine, controller, user, ip):
    machine.start(controller, "web", user)
    controller.close()
    wait_until("the links to be gone", lambda: veths(ip) == [], timeout_s=5)
    assert list((machine.root / "netns").iterdir()) == []
    assert str(machine.root) not in Path("/proc/self/mountinfo").read_text()
