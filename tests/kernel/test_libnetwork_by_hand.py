"""libnetwork beside an administrator: a bridge of the host's, and links deleted by hand."""

from __future__ import annotations

import subprocess

import pytest

from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.kernel.test_libnetwork_sandbox import TIMEOUT_S, Ip, Machine, connect, new_network
from tests.kernel.test_libnetwork_sandbox import machine as machine  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.root


@pytest.fixture
def controller(machine: Machine) -> Controller:
    return machine.boot()


@pytest.fixture
def user(controller: Controller) -> Network:
    return new_network(controller, "user", "10.231.0.0/24")


def test_a_network_on_a_bridge_of_the_hosts_leaves_its_addresses(controller, ip):
    on_the_host("ip", "link", "add", "ni-lan", "type", "bridge")
    own = {"192.0.2.10/24", "198.51.100.7/24"}
    for address in own:
        on_the_host("ip", "address", "add", address, "dev", "ni-lan")
    on_the_host("ip", "link", "set", "ni-lan", "up")
    try:
        options = NetworkOptions(
            ipam=(IPAMPool(subnet="10.231.0.0/24"),),
            options={"com.docker.network.bridge.name": "ni-lan"},
        )
        network = controller.new_network("lan", options)
        assert addresses_of(ip, "ni-lan") == {*own, "10.231.0.1/24"}
        network.delete()
        assert addresses_of(ip, "ni-lan") == own
    finally:
        on_the_host("ip", "link", "delete", "ni-lan")


def addresses_of(ip: Ip, name: str) -> set[str]:
    (link,) = ip("-4", "address", "show", name)
    return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]}


def on_the_host(*command: str) -> None:
    subprocess.run(command, check=True, timeout=TIMEOUT_S)


def test_another_network_is_joined_after_a_link_was_deleted_by_hand(machine, controller, user, ip):
    sandbox = machine.start(controller, "web", user)
    (endpoint,) = user.endpoints()
    on_the_host("ip", "link", "delete", endpoint.host_name)
    other = new_network(controller, "zz", "10.232.0.0/24")
    connect(sandbox, "web", other)
    names = {link["ifname"] for link in ip("link", key=sandbox.key)}
    assert names == {"lo", "eth1"}
    (route,) = ip("route", "show", "default", key=sandbox.key)
    assert (route["gateway"], route["dev"]) == ("10.232.0.1", "eth1")
    endpoint.delete(force=True)
    sandbox.delete()
    user.delete()
    other.delete()


def test_a_bridge_that_was_deleted_by_hand_is_made_again(machine, controller, user, ip):
    bridge = str(user.state["bridge"])
    on_the_host("ip", "link", "delete", bridge)
    sandbox = machine.start(controller, "web", user)
    assert addresses_of(ip, bridge) == {"10.231.0.1/24"}
    (link,) = (link for link in ip("link", "show", "master", bridge))
    assert link["ifname"] == user.endpoints()[0].host_name
    sandbox.delete()
