"""Connecting: what an endpoint may not ask for, and what a refused connect leaves behind.

The statuses and texts of these refusals are rows of test_connect_texts.py.
"""

import ipaddress
from functools import partial

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_in,
    expect_not_equal,
    expect_refused,
)
from conformance.registry import behaviour


def networks_of(document):
    """Give the container's endpoints by the names of their networks."""
    return document["NetworkSettings"]["Networks"]


def taken_address(net, run):
    """Let another container have an address of a network; give the address."""
    owner = run(network_mode=net.name)
    return owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]


@behaviour(
    "connect.predefined.no-aliases",
    "Connecting a running container to `bridge` with aliases MUST be refused, and its networks "
    "MUST NOT change.",
    source="runconfig ErrUnsupportedNetworkAndAlias v17.06",
)
def test_no_aliases_on_the_default_network(run, network, client, inspect):
    container, bridge = run(network_mode=network().name), client.networks.get("bridge")
    before = networks_of(inspect(container))
    expect_refused(lambda: bridge.connect(container, aliases=["web"]))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "connect.predefined.no-address",
    "Connecting a running container to `bridge` with an address of its own choice MUST be "
    "refused, and its networks MUST NOT change.",
    source="runconfig ErrUnsupportedNetworkAndIP v17.06",
)
def test_no_address_on_the_default_network(run, network, client, inspect):
    container, bridge = run(network_mode=network().name), client.networks.get("bridge")
    before = networks_of(inspect(container))
    address = str(ipaddress.ip_network(bridge.attrs["IPAM"]["Config"][0]["Subnet"])[99])
    expect_refused(lambda: bridge.connect(container, ipv4_address=address))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "connect.predefined.checked-at-start",
    "A container created on `bridge` with aliases or with an address MUST be created, and fail to "
    "start.",
    source="moby daemon updateNetworkConfig v17.06, called at the start",
    docker="<25.0",
)
@pytest.mark.parametrize(
    "endpoint",
    [{"Aliases": ["web"]}, {"IPAMConfig": {"IPv4Address": "172.17.0.99"}}],
    ids=["aliases", "address"],
)
def test_default_network_is_checked_at_the_start(create_raw, client, endpoint):
    answer = create_raw({"NetworkingConfig": {"EndpointsConfig": {"bridge": endpoint}}})
    expect_equal("the status of create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    expect_refused(container.start)


@behaviour(
    "connect.address.used",
    "A running container that is connected with an address of its own choice MUST have that "
    "address.",
    source="moby BuildCreateEndpointOptions v17.03: CreateOptionIpam",
)
def test_address_of_choice_is_used(run, network, subnets, inspect):
    subnet = ipaddress.ip_network(subnets.ipv4())
    net, address = network(subnet=str(subnet)), str(subnet[77])
    container = run()
    net.connect(container, ipv4_address=address)
    expect_equal("the address", address, networks_of(inspect(container))[net.name]["IPAddress"])


@behaviour(
    "connect.address.taken",
    "Connecting a running container with an address that another one has MUST be refused, and MUST "
    "NOT make it a member of the network.",
    source="libnetwork ipamapi.ErrIPAlreadyAllocated v17.06",
)
def test_taken_address_is_refused(run, network, inspect_network):
    net, container = network(), run()
    address = taken_address(net, run)
    expect_refused(lambda: net.connect(container, ipv4_address=address))
    expect_equal("the number of members", 1, len(inspect_network(net)["Containers"]))


@behaviour(
    "connect.address.outside",
    "Connecting a running container with an address outside the network's subnets MUST be refused, "
    "and MUST NOT make it a member of the network.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
)
def test_address_outside_the_subnet_is_refused(run, network, subnets, inspect_network):
    net, container = network(), run()
    stranger = str(ipaddress.ip_network(subnets.ipv4())[9])
    expect_refused(lambda: net.connect(container, ipv4_address=stranger))
    expect_equal("the members", {}, inspect_network(net)["Containers"])


@behaviour(
    "connect.address.reserved",
    "The gateway's address and the first and the last one of a subnet MUST NOT be given to a "
    "container that asks for them.",
    source="libnetwork ipam/allocator.go v17.06: the bits are set with the pool",
)
def test_reserved_address_is_refused(run, network, subnets):
    subnet = ipaddress.ip_network(subnets.ipv4())
    net, container = network(subnet=str(subnet)), run()
    for place in (0, 1, -1):
        expect_refused(partial(net.connect, container, ipv4_address=str(subnet[place])))


@behaviour(
    "connect.address.unparsable",
    "Connecting a running container with something that is no address MUST be refused, and MUST "
    "NOT make it a member of the network.",
    source="moby BuildCreateEndpointOptions v17.03: net.ParseIP",
)
@pytest.mark.parametrize("word", ["hello", "10.0.0.1/24"])
def test_unparsable_address_is_refused(run, network, inspect_network, word):
    net, container = network(), run()
    expect_refused(lambda: net.connect(container, ipv4_address=word))
    expect_equal("the members", {}, inspect_network(net)["Containers"])


@behaviour(
    "connect.address.no-such-family",
    "An IPv6 address on a network that has no subnet of that family, or an IPv4 address on a "
    "network whose subnet nobody chose, MUST be refused, and MUST NOT be recorded.",
    source="moby validateNetworkingConfig v17.03; runconfig ErrUnsupportedNetworkNoSubnetAndIP",
    docker="<29.0.4",  # moby#51577: an address needs no chosen subnet any more
)
def test_address_needs_a_chosen_subnet(run, network, client, inspect):
    container, net = run(), network()
    before = networks_of(inspect(container))
    chosen = client.networks.get(net.id)
    expect_refused(lambda: chosen.connect(container, ipv6_address="fd6e:6574:1::5"))
    unchosen = network(ipam=None)
    address = str(ipaddress.ip_network(unchosen.attrs["IPAM"]["Config"][0]["Subnet"])[9])
    expect_refused(lambda: unchosen.connect(container, ipv4_address=address))
    expect_equal("the networks", before, networks_of(inspect(container)))


@behaviour(
    "connect.failed.networks-unchanged",
    "A connect of a running container that is refused for its options MUST leave the container's "
    "networks as they were, on the next start, too.",
    source="moby daemon updateNetworkConfig v17.03: validates before it records",
    docker="<29.0.4",  # moby#51577: an address needs no chosen subnet any more
)
def test_refused_connect_records_nothing(run, network, inspect):
    container, net = run(), network(ipam=None)
    before = networks_of(inspect(container))
    address = str(ipaddress.ip_network(net.attrs["IPAM"]["Config"][0]["Subnet"])[9])
    expect_refused(lambda: net.connect(container, ipv4_address=address))
    expect_equal("the networks", before, networks_of(inspect(container)))
    container.restart(timeout=1)
    expect_equal("after a restart", ["bridge"], sorted(networks_of(inspect(container))))


@behaviour(
    "connect.failed.address-recorded",
    "A connect of a running container that fails because its address is taken leaves the network "
    "recorded, without an address: the next start MUST try it again, and fail with it.",
    source="moby daemon updateNetworkConfig v17.03: records before CreateEndpoint",
    tier="quirk",
)
def test_failed_connect_stays_recorded(run, network, inspect):
    net, first = network(), network()
    container = run(network_mode=first.name)
    address = taken_address(net, run)
    expect_refused(lambda: net.connect(container, ipv4_address=address))
    networks = networks_of(inspect(container))
    expect_equal("the networks", sorted([first.name, net.name]), sorted(networks))
    expect_empty("its address", networks[net.name]["IPAddress"])
    container.stop()
    expect_refused(container.start)


@behaviour(
    "connect.failed.repaired-while-stopped",
    "A network that a failed connect left recorded MUST be taken away by disconnecting the stopped "
    "container, which then starts.",
    source="moby daemon DisconnectFromNetwork v17.03",
    tier="quirk",
)
def test_failed_connect_is_repaired(run, network, inspect):
    net, container = network(), run()
    address = taken_address(net, run)
    expect_refused(lambda: net.connect(container, ipv4_address=address))
    container.stop()
    expect_refused(container.start)
    net.disconnect(container)
    container.start()
    expect_equal("the networks", ["bridge"], sorted(networks_of(inspect(container))))


@behaviour(
    "connect.failed.corrected-live",
    "A running container MUST be connected by a second attempt with a free address, after a first "
    "one with a taken address failed.",
    source="moby daemon connectToNetwork v17.03: replaces what is recorded",
)
def test_second_attempt_succeeds(run, network, subnets, inspect):
    subnet = ipaddress.ip_network(subnets.ipv4())
    net, container = network(subnet=str(subnet)), run()
    address = taken_address(net, run)
    expect_refused(lambda: net.connect(container, ipv4_address=address))
    net.connect(container, ipv4_address=str(subnet[99]))
    endpoint = networks_of(inspect(container))[net.name]
    expect_equal("the address", str(subnet[99]), endpoint["IPAddress"])


@behaviour(
    "connect.failed.port-programming",
    "A connect of a running container that fails because a published port is taken MUST take the "
    "endpoint off the network, though inspect goes on listing the network.",
    source="libnetwork endpoint.sbJoin, bridge programExternalConnectivity v17.06",
    tier="quirk",
)
def test_port_that_is_taken_fails_the_connect(run, network, client, inspect, inspect_network):
    owner = run(ports={"80/tcp": None})
    (binding, *_) = owner.attrs["NetworkSettings"]["Ports"]["80/tcp"]
    ports = {"80/tcp": int(binding["HostPort"])}
    container = run(network_mode=network(internal=True).name, ports=ports)  # does not claim it
    net = network()
    expect_refused(lambda: net.connect(container))
    expect_equal("the members", {}, inspect_network(net)["Containers"])
    expect_in("the networks", net.name, networks_of(inspect(container)))


@behaviour(
    "connect.mac-address-ignored",
    "A MAC address that comes with a connect of a running container MUST be ignored.",
    source="moby daemon connectToNetwork v17.03: MacAddress is overwritten",
    tier="quirk",
)
def test_mac_address_of_a_connect_is_ignored(run, network, api, inspect, host):
    container, net = run(), network()
    wanted = "02:00:00:77:77:77"
    body = {"Container": container.id, "EndpointConfig": {"MacAddress": wanted}}
    answer = api("POST", f"/networks/{net.id}/connect", body)
    expect_equal("the status", 200, answer.status)
    given = networks_of(inspect(container))[net.name]["MacAddress"]
    expect_not_equal("the MAC address", wanted, given)
    real = [
        link["address"] for link in host.netns_of(inspect(container)["State"]["Pid"]).ip("link")
    ]
    expect_in("the interfaces", given, real)


@behaviour(
    "connect.null-endpoint",
    "A connect request with null for the endpoint MUST be taken like one without.",
    source="moby daemon ConnectToNetwork v17.03: a nil endpointConfig becomes an empty one",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_null_endpoint_is_an_empty_one(run, create, network, api, inspect, running):
    container, net, plain = (run if running else create)(), network(), network()
    body = {"Container": container.id}
    for one, more in ((net, {"EndpointConfig": None}), (plain, {})):
        answer = api("POST", f"/networks/{one.id}/connect", body | more)
        expect_equal(f"taken ({answer.message})", True, answer.status < 400)
    networks = networks_of(inspect(container))
    expect_equal("an address", running, bool(networks[net.name]["IPAddress"]))
    for field in ("IPAMConfig", "Links", "Aliases", "DriverOpts"):
        expect_equal(field, networks[plain.name].get(field), networks[net.name].get(field))


@behaviour(
    "connect.wrong-type",
    "A connect request with a value of a wrong type, or that is no JSON, MUST be refused.",
    source="moby api/server/router/network postNetworkConnect v17.09",
)
@pytest.mark.parametrize(
    "body",
    [b'{"Container": 5}', b'{"EndpointConfig": "x"}', b"[]", b'{"Container":'],
    ids=["number", "endpoint", "list", "broken"],
)
def test_malformed_connect_is_refused(network, api, body):
    net = network()
    expect_refused(lambda: api("POST", f"/networks/{net.id}/connect", body))


@behaviour(
    "connect.no-body",
    "A connect request without a body MUST be refused: 400.",
    source="moby api/server/router/network postNetworkConnect v17.09",
    tier="quirk",
)
def test_connect_without_a_body_is_refused(network, api):
    answer = api("POST", f"/networks/{network().id}/connect", b"")
    expect_equal("the status", 400, answer.status)
