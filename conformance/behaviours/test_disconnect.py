"""Disconnecting: what goes with a network, live or stopped, and what is refused."""

import json

import pytest

from conformance.assertions import (
    expect_api_error,
    expect_equal,
    expect_hex_id,
    expect_in,
    expect_refused,
    expect_true,
)
from conformance.registry import behaviour


def networks_of(document):
    """Give the container's endpoints by the names of their networks."""
    return document["NetworkSettings"]["Networks"]


@behaviour(
    "disconnect.live.interface",
    "Disconnecting a running container from a network MUST take away the interface, and nothing "
    "else.",
    source="libnetwork endpoint.sbLeave v17.06",
)
def test_live_disconnect_removes_the_interface(run, network, host):
    net = network()
    container = run()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    before = netns.links()["eth0"]["address"], netns.addresses("eth0")
    net.connect(container)
    expect_equal("the links while connected", ["eth0", "eth1", "lo"], sorted(netns.links()))
    net.disconnect(container)
    links = netns.links()
    expect_equal("the links after it", ["eth0", "lo"], sorted(links))
    expect_equal("what is left", before, (links["eth0"]["address"], netns.addresses("eth0")))


@behaviour(
    "disconnect.live.endpoint",
    "Disconnecting a running container MUST take its endpoint off the network and the network out "
    "of the container's inspect.",
    source="moby daemon disconnectFromNetwork v17.03",
)
def test_live_disconnect_removes_the_endpoint(run, network, inspect, inspect_network):
    net, other = network(), network()
    container = run(network_mode=net.name)
    other.connect(container)
    net.disconnect(container)
    expect_equal("the members of the network", {}, inspect_network(net)["Containers"])
    expect_equal("the networks", [other.name], sorted(networks_of(inspect(container))))
    members = inspect_network(other)["Containers"]
    expect_equal("the members of the other network", [container.id], list(members))


@behaviour(
    "disconnect.live.host-side",
    "Disconnecting a running container MUST take away the bridge port that connecting it made.",
    source="libnetwork bridge driver DeleteEndpoint v17.06",
)
def test_live_disconnect_removes_the_port(run, network, inspect, host):
    net, container = network(), run()
    net.connect(container)
    gateway = networks_of(inspect(container))[net.name]["Gateway"]
    expect_equal("the number of new ports", 1, len(host.bridge_ports(gateway)))
    net.disconnect(container)
    expect_equal("the ports after it", set(), host.bridge_ports(gateway))


@behaviour(
    "disconnect.live.address-free",
    "The address of a running container that is disconnected MUST be free for another one at once.",
    source="libnetwork endpoint.releaseAddress v17.06",
)
def test_live_disconnect_frees_the_address(run, network, inspect):
    net, first, second = network(), run(), run()
    net.connect(first)
    address = networks_of(inspect(first))[net.name]["IPAddress"]
    net.disconnect(first)
    net.connect(second, ipv4_address=address)
    expect_equal("its address", address, networks_of(inspect(second))[net.name]["IPAddress"])


@behaviour(
    "disconnect.live.recorded",
    "A network that a running container was disconnected from MUST be gone from disk at once.",
    source="moby daemon DisconnectFromNetwork v17.03: CheckpointTo",
    needs=("container-folder",),
)
def test_live_disconnect_is_on_disk(run, network, host):
    net = network()
    container = run(network_mode=net.name)
    path = host.container_dir(container.id) / "config.v2.json"
    expect_in("the networks on disk", net.name, networks_of(json.loads(path.read_text())))
    net.disconnect(container)
    expect_equal("after it", {}, networks_of(json.loads(path.read_text())))


@behaviour(
    "disconnect.live.last-network",
    "Disconnecting a running container from its last network MUST leave it running, with `lo` and "
    "without a route; connecting it later MUST give it an interface again.",
    source="libnetwork endpoint.sbLeave v17.06; moby daemon DisconnectFromNetwork v17.03",
)
def test_last_network_may_be_left(run, network, inspect, host):
    net = network()
    container = run(network_mode=net.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    net.disconnect(container)
    expect_equal("the links", ["lo"], sorted(netns.links()))
    expect_equal("the routes", [], netns.routes())
    expect_true("the container runs", inspect(container)["State"]["Running"])
    other = network()
    other.connect(container)
    endpoint = networks_of(inspect(container))[other.name]
    expect_hex_id("the new EndpointID", endpoint["EndpointID"])
    expect_equal("the default gateway", endpoint["Gateway"], netns.default_gateway())


@behaviour(
    "disconnect.live.not-connected",
    "Disconnecting a running container from a network that it is not on MUST be refused, with "
    "force, too, and its networks MUST NOT change.",
    source="moby daemon disconnectFromNetwork v17.03",
)
@pytest.mark.parametrize("force", [False, True], ids=["plain", "force"])
def test_live_disconnect_from_a_foreign_network(run, network, inspect, force):
    net, container = network(), run()
    before = networks_of(inspect(container))
    expect_refused(lambda: net.disconnect(container, force=force))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "disconnect.stopped.forgotten",
    "Disconnecting a container that does not run MUST take the network out of its inspect; its "
    "next start MUST NOT connect it.",
    source="moby daemon DisconnectFromNetwork v17.03",
    bugs=("podman@3.2.1",),
)
def test_stopped_disconnect_is_forgotten(create, start, network, inspect, inspect_network):
    first, net = network(), network()
    container = create(network_mode=first.name)
    net.connect(container)
    net.disconnect(container)
    expect_equal("the networks", [first.name], sorted(networks_of(inspect(container))))
    start(container)
    expect_in("the members of the other", container.id, inspect_network(first)["Containers"])
    expect_equal("the members", {}, inspect_network(net)["Containers"])


@behaviour(
    "disconnect.stopped.not-connected",
    "Disconnecting a container that does not run from a network that is not recorded for it MUST "
    "be refused, with force, too, and its networks MUST NOT change.",
    source="moby daemon DisconnectFromNetwork v17.03",
)
@pytest.mark.parametrize("force", [False, True], ids=["plain", "force"])
def test_stopped_disconnect_from_a_foreign_network(create, network, inspect, force):
    net, container = network(), create()
    before = networks_of(inspect(container))
    expect_refused(lambda: net.disconnect(container, force=force))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "disconnect.live.unknown-network",
    "Disconnecting a running container from an unknown network MUST be refused.",
    source="moby daemon DisconnectFromNetwork v17.03: FindNetwork comes first",
)
def test_live_disconnect_from_an_unknown_network(run, api, new_name):
    container, missing = run(), new_name("nowhere")
    body = {"Container": container.id}
    expect_refused(lambda: api("POST", f"/networks/{missing}/disconnect", body))


@behaviour(
    "disconnect.unknown-network.not-recorded",
    "Disconnecting a running container with force, or one that does not run, from a network that "
    "neither exists nor is recorded MUST be refused with 500 `is not connected to the network`.",
    source="moby daemon DisconnectFromNetwork v17.03: a failed lookup is excused",
    tier="quirk",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_forced_disconnect_from_an_unknown_network(run, create, api, new_name, running):
    container, missing = (run if running else create)(), new_name("nowhere")
    body = {"Container": container.id, "Force": running}
    answer = api("POST", f"/networks/{missing}/disconnect", body)
    expect_equal("the status", 500, answer.status)
    expect_in("the message", f"is not connected to the network {missing}", answer.message)


@behaviour(
    "disconnect.unknown-network.recorded",
    "A network that does not exist any more MUST be taken away by disconnecting the container that "
    "does not run and has it recorded.",
    source="moby daemon DisconnectFromNetwork v17.03: a failed lookup is excused",
)
def test_removed_network_can_be_left(create, network, api, inspect):
    net = network()
    container = create(network_mode=net.name)
    expect_equal("the networks before", [net.name], sorted(networks_of(inspect(container))))
    net.remove()
    answer = api("POST", f"/networks/{net.name}/disconnect", {"Container": container.id})
    expect_equal("the status", 200, answer.status)
    expect_equal("the networks", {}, networks_of(inspect(container)))


@behaviour(
    "disconnect.unknown-container",
    "Disconnecting an unknown container MUST be refused.",
    source="moby daemon DisconnectContainerFromNetwork v17.03: GetContainer comes first",
)
def test_unknown_container_cannot_be_disconnected(network, new_name):
    net, ghost = network(), new_name("ghost")
    expect_refused(lambda: net.disconnect(ghost))


@behaviour(
    "disconnect.unknown-container.force",
    "Disconnecting an unknown container with force MUST look for an endpoint of that name, and "
    "be refused without one: 404 `endpoint <name> not found`.",
    source="moby daemon ForceEndpointDelete v17.03",
    tier="quirk",
)
def test_forced_disconnect_looks_for_an_endpoint(network, new_name):
    net, ghost = network(), new_name("ghost")
    text = f"endpoint {ghost} not found"
    expect_api_error(lambda: net.disconnect(ghost, force=True), 404, text)


@behaviour(
    "disconnect.no-container",
    "A disconnect request that names no container MUST be refused.",
    source="moby daemon GetContainer v17.09: an empty name is an invalid parameter",
)
def test_disconnect_without_a_container(network, api):
    net = network()
    expect_refused(lambda: api("POST", f"/networks/{net.id}/disconnect", {}))


@behaviour(
    "disconnect.paused",
    "A paused container MAY be disconnected: its interface MUST go at once.",
    source="moby daemon DisconnectFromNetwork v17.03: a paused container runs",
)
def test_paused_container_is_disconnected(run, network, inspect, host):
    net = network()
    container = run(network_mode=net.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    container.pause()
    net.disconnect(container)
    links, networks = netns.links(), networks_of(inspect(container))
    net.connect(container)  # an engine that only took a note of it could not clean up
    container.unpause()
    expect_equal("the links while it is paused", ["lo"], sorted(links))
    expect_equal("the networks while it is paused", {}, networks)
    expect_true("the container runs", inspect(container)["State"]["Running"])
