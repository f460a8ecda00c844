"""Connecting and disconnecting: the status and the text of what is refused.

What is refused, and that nothing changes by it, are rows of their own in test_connect.py,
test_connect_refusals.py and test_disconnect.py: an engine with other words passes those.
"""

import ipaddress
from functools import partial

import pytest

from conformance.assertions import expect_api_error, expect_equal, expect_in
from conformance.observe.restarts import wait_between_restarts
from conformance.registry import behaviour

ALIAS = "network-scoped alias is supported only for containers in user defined networks"
ADDRESS = "user specified IP address is supported on user defined networks only"
OF_ITS_OWN_KIND = "user specified IP address is supported only when connecting to networks with"
TAKEN = "Address already in use"
ON_BRIDGE = pytest.mark.parametrize(
    ("endpoint", "text"),
    [({"Aliases": ["web"]}, ALIAS), ({"IPAMConfig": {"IPv4Address": "172.17.0.99"}}, ADDRESS)],
    ids=["aliases", "address"],
)


@behaviour(
    "connect.predefined.no-aliases-text",
    "Aliases on `bridge` MUST be refused with 400 `network-scoped alias is supported only for "
    "containers in user defined networks`.",
    source="runconfig ErrUnsupportedNetworkAndAlias v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_aliases_on_the_default_network(run, network, client):
    container, bridge = run(network_mode=network().name), client.networks.get("bridge")
    expect_api_error(partial(bridge.connect, container, aliases=["web"]), 400, ALIAS)


@behaviour(
    "connect.predefined.no-address-text",
    "An address of choice on `bridge` MUST be refused with 400 `user specified IP address is "
    "supported on user defined networks only`.",
    source="runconfig ErrUnsupportedNetworkAndIP v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_an_address_on_the_default_network(run, network, client):
    container, bridge = run(network_mode=network().name), client.networks.get("bridge")
    address = str(ipaddress.ip_network(bridge.attrs["IPAM"]["Config"][0]["Subnet"])[99])
    expect_api_error(partial(bridge.connect, container, ipv4_address=address), 400, ADDRESS)


@behaviour(
    "connect.predefined.checked-at-start-text",
    "The start of a container with aliases or an address on `bridge` MUST fail with 400 and the "
    "text of such a connect.",
    source="moby daemon updateNetworkConfig v17.06, called at the start",
    tier="quirk",
    docker="<25.0",
)
@ON_BRIDGE
def test_text_of_the_check_at_the_start(create_raw, client, endpoint, text):
    answer = create_raw({"NetworkingConfig": {"EndpointsConfig": {"bridge": endpoint}}})
    expect_equal("the status of create", 201, answer.status)
    expect_api_error(client.containers.get(answer.json()["Id"]).start, 400, text)


@behaviour(
    "connect.predefined.checked-at-create-text",
    "Creating a container on `bridge` with aliases or an address MUST be refused with 400 and the "
    "text of such a connect.",
    source="moby#46183 v25.0",
    tier="quirk",
    docker=">=25.0",
    replaces=("connect.predefined.checked-at-start-text",),
)
@ON_BRIDGE
def test_text_of_the_check_at_create(create_raw, endpoint, text):
    answer = create_raw({"NetworkingConfig": {"EndpointsConfig": {"bridge": endpoint}}})
    expect_equal("the status of create", 400, answer.status)
    expect_in("the message", text, answer.message)


@behaviour(
    "connect.address.taken-text",
    "An address that another container has MUST be refused with 403 `Address already in use`.",
    source="libnetwork ipamapi.ErrIPAlreadyAllocated v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_a_taken_address(run, network):
    net, container = network(), run()
    owner = run(network_mode=net.name)
    address = owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    expect_api_error(partial(net.connect, container, ipv4_address=address), 403, TAKEN)


@behaviour(
    "connect.address.reserved-text",
    "The gateway's address and the first and the last one of a subnet MUST be refused with 403 "
    "`Address already in use`.",
    source="libnetwork ipam/allocator.go v17.06: the bits are set with the pool",
    tier="quirk",
)
@pytest.mark.parametrize("place", [0, 1, -1], ids=["network", "gateway", "broadcast"])
def test_text_of_a_reserved_address(run, network, subnets, place):
    subnet = ipaddress.ip_network(subnets.ipv4())
    net, container = network(subnet=str(subnet)), run()
    expect_api_error(partial(net.connect, container, ipv4_address=str(subnet[place])), 403, TAKEN)


@behaviour(
    "connect.address.outside-text",
    "An address outside the network's subnets MUST be refused with 500 `It does not belong to any "
    "of this network's subnets`.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
    tier="quirk",
    docker="<25.0",
)
def test_text_of_an_address_outside(run, network, subnets):
    net, container = network(), run()
    stranger = str(ipaddress.ip_network(subnets.ipv4())[9])
    text = "It does not belong to any of this network's subnets"
    expect_api_error(partial(net.connect, container, ipv4_address=stranger), 500, text)


@behaviour(
    "connect.address.unparsable-text",
    "Something that is no address MUST be refused with 500 `Invalid IPv4 address: <word>`.",
    source="moby BuildCreateEndpointOptions v17.03: net.ParseIP",
    tier="quirk",
    docker="<25.0",
)
@pytest.mark.parametrize("word", ["hello", "10.0.0.1/24"])
def test_text_of_an_unparsable_address(run, network, word):
    net, container = network(), run()
    text = f"Invalid IPv4 address: {word}"
    expect_api_error(partial(net.connect, container, ipv4_address=word), 500, text)


@behaviour(
    "connect.address.no-such-family-text",
    "An address of a family for which nobody chose the network's subnet MUST be refused with 400 "
    "`user specified IP address is supported only when connecting to networks with`.",
    source="runconfig ErrUnsupportedNetworkNoSubnetAndIP v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_an_address_without_a_chosen_subnet(run, network):
    container, net, unchosen = run(), network(), network(ipam=None)
    wish = {"ipv6_address": "fd6e:6574:1::5"}
    expect_api_error(partial(net.connect, container, **wish), 400, OF_ITS_OWN_KIND)
    address = str(ipaddress.ip_network(unchosen.attrs["IPAM"]["Config"][0]["Subnet"])[9])
    wish = {"ipv4_address": address}
    expect_api_error(partial(unchosen.connect, container, **wish), 400, OF_ITS_OWN_KIND)


@behaviour(
    "connect.failed.port-programming-text",
    "A live connect that needs a port that is taken MUST fail with 500 `port is already "
    "allocated`.",
    source="libnetwork endpoint.sbJoin, bridge programExternalConnectivity v17.06",
    tier="quirk",
)
def test_text_of_a_port_that_is_taken(run, network):
    owner = run(ports={"80/tcp": None})
    (binding, *_) = owner.attrs["NetworkSettings"]["Ports"]["80/tcp"]
    ports = {"80/tcp": int(binding["HostPort"])}
    container = run(network_mode=network(internal=True).name, ports=ports)  # does not claim it
    expect_api_error(partial(network().connect, container), 500, "port is already allocated")


@behaviour(
    "connect.live.again-text",
    "A second connect to a network MUST be refused with 403 `endpoint with name <container> "
    "already exists in network <network>`.",
    source="libnetwork network.CreateEndpoint v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_a_second_connect(run, network):
    container, net = run(), network()
    net.connect(container)
    text = f"endpoint with name {container.name} already exists in network {net.name}"
    expect_api_error(partial(net.connect, container), 403, text)


@behaviour(
    "connect.live.unknown-network-text",
    "Connecting a running container to an unknown network, or disconnecting it, MUST be refused "
    "with 404 `network <name> not found`.",
    source="moby daemon findAndAttachNetwork, DisconnectFromNetwork v17.03",
    tier="quirk",
)
@pytest.mark.parametrize("action", ["connect", "disconnect"])
def test_text_of_an_unknown_network(run, api, new_name, action):
    container, missing = run(), new_name("nowhere")
    answer = api("POST", f"/networks/{missing}/{action}", {"Container": container.id})
    expect_equal("the status", 404, answer.status)
    expect_in("the message", f"network {missing} not found", answer.message)


@behaviour(
    "connect.stopped.unknown-network-text",
    "The start of a container with an unknown network recorded MUST fail with 404 `network <name> "
    "not found`.",
    source="moby daemon allocateNetwork v17.03",
    tier="quirk",
)
def test_text_of_a_start_on_an_unknown_network(create, api, new_name):
    container, missing = create(), new_name("nowhere")
    answer = api("POST", f"/networks/{missing}/connect", {"Container": container.id})
    expect_equal("the status", 200, answer.status)
    expect_api_error(container.start, 404, f"network {missing} not found")


@behaviour(
    "connect.unknown-container-text",
    "Connecting an unknown container, or disconnecting it, MUST be refused with 404 `No such "
    "container: <name>`.",
    source="moby daemon GetContainer v17.03",
    tier="quirk",
)
def test_text_of_an_unknown_container(network, new_name):
    net, ghost = network(), new_name("ghost")
    for call in (net.connect, net.disconnect):
        expect_api_error(partial(call, ghost), 404, f"No such container: {ghost}")


@behaviour(
    "connect.no-container-text",
    "A connect or disconnect that names no container, or is no such document, MUST be refused with "
    "400.",
    source="moby daemon GetContainer, api/server/router/network v17.09",
    tier="quirk",
)
def test_status_of_a_request_without_a_container(network, api):
    net = network()
    for action in ("connect", "disconnect"):
        for body in ({}, {"Container": ""}, b'{"Container": 5}', b"[]", b""):
            answer = api("POST", f"/networks/{net.id}/{action}", body)
            expect_equal(f"the status of {action} with {body!r}", 400, answer.status)


@behaviour(
    "connect.restarting-refused-text",
    "Connecting a container between two restarts MUST be refused with 404 `network sandbox for "
    "container <id> not found`.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
)
def test_text_of_a_connect_between_two_restarts(run, network, inspect):
    container, net = run(["false"], restart_policy={"Name": "always"}), network()
    wait_between_restarts(inspect, container)
    text = f"network sandbox for container {container.id} not found"
    expect_api_error(partial(net.connect, container), 404, text)


@behaviour(
    "disconnect.live.not-connected-text",
    "Disconnecting a running container from a network that it is not on MUST be refused with 500 "
    "`container <id> is not connected to network <network>`.",
    source="moby daemon disconnectFromNetwork v17.03",
    tier="quirk",
)
def test_text_of_a_live_disconnect_from_a_foreign_network(run, network):
    net, container = network(), run()
    text = f"container {container.id} is not connected to network {net.name}"
    for force in (False, True):
        expect_api_error(partial(net.disconnect, container, force=force), 500, text)


@behaviour(
    "disconnect.stopped.not-connected-text",
    "Disconnecting a container that does not run from a network that is not recorded MUST be "
    "refused with 500 `container <id> is not connected to the network <network>`.",
    source="moby daemon DisconnectFromNetwork v17.03",
    tier="quirk",
)
def test_text_of_a_stopped_disconnect_from_a_foreign_network(create, network):
    net, container = network(), create()
    text = f"container {container.id} is not connected to the network {net.name}"
    for force in (False, True):
        expect_api_error(partial(net.disconnect, container, force=force), 500, text)
