"""Connecting: what a container gets when it is connected to one more network, live or stopped."""

import ipaddress
import json
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import pytest

from conformance.assertions import (
    expect_equal,
    expect_fields,
    expect_hex_id,
    expect_in,
    expect_not_in,
    expect_refused,
)
from conformance.observe.restarts import wait_between_restarts
from conformance.registry import behaviour


def networks_of(document):
    """Give the container's endpoints by the names of their networks."""
    return document["NetworkSettings"]["Networks"]


@behaviour(
    "connect.live.interface",
    "Connecting a running container MUST give it an interface with the address, the prefix length "
    "and the MAC address that its inspect then reports for that network.",
    source="moby daemon connectToNetwork v17.03",
)
def test_live_connect_adds_an_interface(run, network, inspect, host):
    container, net = run(), network()
    net.connect(container)
    endpoint = networks_of(inspect(container))[net.name]
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links in the container", ["eth0", "eth1", "lo"], sorted(netns.links()))
    address = f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}"
    expect_equal("the addresses of eth1", [address], netns.addresses("eth1"))
    expect_equal("the MAC address of eth1", endpoint["MacAddress"], netns.mac("eth1"))


@behaviour(
    "connect.live.endpoint",
    "Connecting a running container MUST give it an endpoint, which the network's inspect lists "
    "with the same id and address as the container's, and leave its other networks alone.",
    source="moby daemon connectToNetwork, buildDetailedNetworkResources v17.03",
)
def test_live_connect_adds_an_endpoint(run, network, inspect, inspect_network):
    first, net = network(), network()
    container = run(network_mode=first.name)
    before = networks_of(container.attrs)[first.name]
    net.connect(container)
    networks = networks_of(inspect(container))
    expect_equal("the networks", sorted([first.name, net.name]), sorted(networks))
    expect_equal("the endpoint that it had", before, networks[first.name])
    endpoint = networks[net.name]
    expect_hex_id("the EndpointID", endpoint["EndpointID"])
    member = inspect_network(net)["Containers"][container.id]
    address = f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}"
    expected = {"EndpointID": endpoint["EndpointID"], "IPv4Address": address}
    expect_fields("the member", {"Name": container.name, **expected}, member)


@behaviour(
    "connect.live.event",
    "Connecting a running container MUST announce one `connect`.",
    source="moby daemon connectToNetwork v17.03: LogNetworkEventWithAttributes",
)
def test_live_connect_announces_one_event(run, network, events):
    container, net = run(), network()
    events.restart()
    net.connect(container)
    announced = events.collect("network", actor=container.id)
    expected = [("connect", net.id, net.name)]
    seen = [(event.action, event.actor, event.attributes.get("name")) for event in announced]
    expect_equal("the network events", expected, seen)


@behaviour(
    "connect.live.recorded",
    "A network that a running container was connected to MUST be on disk at once, with the "
    "container's other state.",
    source="moby daemon ConnectToNetwork v17.03: CheckpointTo",
    needs=("container-folder",),
)
def test_live_connect_is_on_disk(run, network, host):
    container, net = run(), network()
    net.connect(container)
    path = host.container_dir(container.id) / "config.v2.json"
    networks = networks_of(json.loads(path.read_text()))
    expect_equal("the networks on disk", ["bridge", net.name], sorted(networks))


@behaviour(
    "connect.live.again",
    "Connecting a running container to a network that it is on already MUST be refused, "
    "and MUST leave its endpoint there as it is.",
    source="libnetwork network.CreateEndpoint v17.06",
    bugs=("moby#19669",),
)
def test_live_connect_twice_is_refused(run, network, inspect):
    container, net = run(), network()
    net.connect(container)
    before = networks_of(inspect(container))
    expect_refused(lambda: net.connect(container))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "connect.live.one-wins",
    "Of several attempts at once to connect a running container to one network exactly one MUST "
    "succeed, and the others MUST be refused.",
    source="libnetwork network.CreateEndpoint: under the network's lock v17.06",
)
def test_one_of_several_connects_wins(run, network, api, inspect_network):
    container, net = run(), network()
    path, body = f"/networks/{net.id}/connect", {"Container": container.id}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: api("POST", path, body), range(6)))
    refused = [answer.status for answer in answers if answer.status >= HTTPStatus.BAD_REQUEST]
    expect_equal("how many were refused", 5, len(refused))
    members = inspect_network(net)["Containers"]
    expect_equal("the members of the network", [container.id], list(members))


@behaviour(
    "connect.live.several-at-once",
    "Connecting a running container to several networks at once MUST succeed for each, with an "
    "interface for each.",
    source="moby daemon ConnectToNetwork v17.03: under the container's lock",
)
def test_container_joins_six_networks_at_once(run, network, api, inspect, host):
    first, nets = network(), [network() for _ in range(6)]
    container = run(network_mode=first.name)
    body = {"Container": container.id}
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda net: api("POST", f"/networks/{net.id}/connect", body), nets)
        expect_equal("the statuses", [200] * 6, [answer.status for answer in answers])
    networks = networks_of(inspect(container))
    expect_equal("the networks", sorted(net.name for net in (first, *nets)), sorted(networks))
    netns = host.netns_of(container.attrs["State"]["Pid"])
    inside = {a.partition("/")[0] for link in netns.links() for a in netns.addresses(link)}
    reported = {endpoint["IPAddress"] for endpoint in networks.values()}
    expect_equal("the addresses in the container", reported, inside - {"127.0.0.1"})


@behaviour(
    "connect.live.unknown-network",
    "Connecting a running container to an unknown network MUST be refused and record nothing.",
    source="moby daemon findAndAttachNetwork v17.03",
)
def test_live_connect_to_an_unknown_network(run, api, new_name, inspect):
    container, missing = run(), new_name("nowhere")
    before = networks_of(inspect(container))
    body = {"Container": container.id}
    expect_refused(lambda: api("POST", f"/networks/{missing}/connect", body))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "connect.stopped.unknown-network",
    "Connecting a container that does not run to an unknown network is accepted: the name MUST be "
    "recorded, and the next start, which needs the network, MUST fail.",
    source="moby daemon ConnectToNetwork v17.03: found is not asked for",
    tier="quirk",
)
def test_stopped_connect_to_an_unknown_network(create, api, new_name, inspect):
    container, missing = create(), new_name("nowhere")
    answer = api("POST", f"/networks/{missing}/connect", {"Container": container.id})
    expect_equal("the status", 200, answer.status)
    expect_equal("the networks", ["bridge", missing], sorted(networks_of(inspect(container))))
    expect_refused(container.start)


@behaviour(
    "connect.stopped.recorded",
    "Connecting a container that does not run MUST record the network and what is asked of it, "
    "without an endpoint, an address or an event; the next start MUST connect it.",
    source="moby daemon ConnectToNetwork v17.03",
    bugs=("podman@3.2.1",),
)
def test_stopped_connect_is_recorded(create, start, network, inspect, inspect_network, events):
    container, net = create(), network()
    events.restart()
    net.connect(container, aliases=["web"])
    endpoint = networks_of(inspect(container))[net.name]
    expect_fields("the endpoint", {"EndpointID": "", "IPAddress": ""}, endpoint)
    expect_in("the aliases", "web", endpoint["Aliases"])
    expect_equal("the members", {}, inspect_network(net)["Containers"])
    expect_equal("the events", [], events.collect("network", actor=container.id))
    start(container)
    expect_in("the members after the start", container.id, inspect_network(net)["Containers"])


@behaviour(
    "connect.stopped.again",
    "Connecting a container that does not run again to a network that is recorded for it is "
    "accepted, and the aliases that come with it MUST be ignored.",
    source="moby daemon updateNetworkSettings v17.03: Avoid duplicate config",
    tier="quirk",
)
def test_second_stopped_connect_is_ignored(create, network, inspect):
    container, net = create(), network()
    net.connect(container, aliases=["first"])
    before = networks_of(inspect(container))[net.name]
    net.connect(container, aliases=["second"])
    expect_equal("the endpoint", before, networks_of(inspect(container))[net.name])


@behaviour(
    "connect.unknown-container",
    "Connecting an unknown container MUST be refused, and the network MUST have no member by it.",
    source="moby daemon ConnectContainerToNetwork v17.03: GetContainer comes first",
)
def test_unknown_container_cannot_be_connected(network, new_name, inspect_network):
    net, ghost = network(), new_name("ghost")
    expect_refused(lambda: net.connect(ghost))
    expect_equal("the members", {}, inspect_network(net)["Containers"])


@behaviour(
    "connect.no-container",
    "A connect request that names no container MUST be refused.",
    source="moby daemon GetContainer v17.09: an empty name is an invalid parameter",
)
@pytest.mark.parametrize("body", [{}, {"Container": ""}, {"Container": None}], ids=repr)
def test_connect_without_a_container(network, api, body):
    net = network()
    expect_refused(lambda: api("POST", f"/networks/{net.id}/connect", body))


@behaviour(
    "connect.network-by-reference",
    "The network MUST be found by its name, its id and the beginning of its id, to connect as well "
    "as to disconnect.",
    source="moby daemon FindNetwork v17.03",
)
@pytest.mark.parametrize("form", ["name", "id", "prefix"])
def test_network_is_found_by_any_reference(run, network, api, inspect, form):
    container, net = run(), network()
    reference = {"name": net.name, "id": net.id, "prefix": net.id[:12]}[form]
    body = {"Container": container.id}
    answer = api("POST", f"/networks/{reference}/connect", body)
    expect_equal("the status of connect", 200, answer.status)
    expect_in("the networks", net.name, networks_of(inspect(container)))
    answer = api("POST", f"/networks/{reference}/disconnect", body)
    expect_equal("the status of disconnect", 200, answer.status)
    expect_not_in("the networks", net.name, networks_of(inspect(container)))


@behaviour(
    "connect.container-by-reference",
    "The container MUST be found by its name, its id and the beginning of its id, to connect as "
    "well as to disconnect.",
    source="moby daemon GetContainer v17.03",
)
@pytest.mark.parametrize("form", ["name", "id", "prefix"])
def test_container_is_found_by_any_reference(run, network, inspect, form):
    container, net = run(), network()
    reference = {"name": container.name, "id": container.id, "prefix": container.id[:12]}[form]
    net.connect(reference)
    expect_in("the networks", net.name, networks_of(inspect(container)))
    net.disconnect(reference)
    expect_not_in("the networks", net.name, networks_of(inspect(container)))


@behaviour(
    "connect.mode-kept",
    "Connecting and disconnecting MUST NOT change the NetworkMode of the container.",
    source="moby daemon ConnectToNetwork, DisconnectFromNetwork v17.03",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_network_mode_stays(run, create, network, inspect, running):
    first, second = network(), network()
    container = (run if running else create)(network_mode=first.name)
    second.connect(container)
    first.disconnect(container)
    expect_equal("the networks", [second.name], sorted(networks_of(inspect(container))))
    mode = inspect(container)["HostConfig"]["NetworkMode"]
    expect_equal("the NetworkMode", first.name, mode)


@behaviour(
    "connect.paused",
    "A paused container MAY be connected: it MUST get its interface at once.",
    source="moby daemon ConnectToNetwork v17.03: a paused container runs",
)
def test_paused_container_is_connected(run, network, subnets, host):
    subnet = ipaddress.ip_network(subnets.ipv4())
    container, net = run(), network(subnet=str(subnet))
    netns = host.netns_of(container.attrs["State"]["Pid"])
    container.pause()
    net.connect(container, ipv4_address=str(subnet[77]))
    found = netns.addresses("eth1") if "eth1" in netns.links() else []
    net.disconnect(container)  # an engine that only took a note of it could not clean up
    container.unpause()
    expect_equal("the addresses while it was paused", [f"{subnet[77]}/24"], found)


@behaviour(
    "connect.restarting",
    "A container between two restarts MAY be connected, and MUST have an endpoint at once.",
    source="moby daemon ConnectToNetwork v17.03: Running is true while restarting",
    tier="quirk",
    docker="<28.0",
)
def test_restarting_container_is_connected(run, network, inspect, inspect_network):
    container, net = run(["false"], restart_policy={"Name": "always"}), network()
    wait_between_restarts(inspect, container)
    net.connect(container)
    members = inspect_network(net)["Containers"]
    net.disconnect(container)
    expect_equal("the members of the network", [container.id], list(members))
