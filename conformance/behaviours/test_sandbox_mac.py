"""The MAC address of an endpoint: chosen by the engine or by the user."""

import re

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_in,
    expect_match,
    expect_not_equal,
)
from conformance.registry import behaviour

CHOSEN = "02:6e:69:00:00:07"
BAD = "zz:zz"


def macs_of(host, container, net):
    """Give the MAC address of a network that inspect reports and the one on the interface."""
    container.reload()
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    address = f"{endpoint['IPAddress']}/{endpoint['IPPrefixLen']}"
    netns = host.netns_of(container.attrs["State"]["Pid"])
    found = [name for name in netns.links() if address in netns.addresses(name)]
    expect_equal("the number of interfaces with the address", 1, len(found))
    return endpoint["MacAddress"], netns.mac(found[0])


def mac_from(address):
    """Give `02:42:` and the four bytes of an address."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))


@behaviour(
    "sandbox.mac.from-the-address",
    "Without a MAC address of its own an endpoint MUST have `02:42:` and the four bytes of its "
    "IPv4 address, so that the same address always has the same MAC address.",
    source="libnetwork netutils.GenerateMACFromIP v17.06; random since v28.0",
    docker="<28.0",
)
def test_mac_comes_from_the_address(run, network, host):
    net = network()
    container = run(network_mode=net.name)
    for start in (1, 2):
        found = macs_of(host, container, net)
        address = container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
        expect_equal(f"the MAC addresses of start {start}", (mac_from(address),) * 2, found)
        container.restart(timeout=0)


def is_mac_chosen(one, end):
    """Tell whether a hardware address was chosen; one that is shown may be lost already."""
    is_wanted = end.network == one.mode and end.mac.lower() == one.mac.lower()
    return is_wanted or not end.is_mac_of_address


def with_generated_macs(setup):
    for one in setup.containers:
        for end in one.endpoints:
            is_free = setup.network(end.network).driver == "bridge" and not is_mac_chosen(one, end)
            if one.runs and one.has_own_network and is_free and end.mac:
                why = f"its hardware address on {end.network} was not chosen"
                yield one.effect(f"mac on {end.network}", why, "it is another one after each start")


@behaviour(
    "sandbox.mac.new-each-start",
    "Without a MAC address of its own an endpoint MUST have another one at each start, though its "
    "address is the same.",
    source="moby#48808 v28.0",
    docker=">=28.0",
    tier="quirk",
    replaces=("sandbox.mac.from-the-address",),
    concerns=with_generated_macs,
)
def test_mac_is_new_at_each_start(run, network, host):
    net = network()
    container = run(network_mode=net.name)
    address = container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    before = macs_of(host, container, net)
    container.restart(timeout=0)
    after = macs_of(host, container, net)
    now = container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    expect_equal("the address", address, now)
    expect_not_equal("the MAC address", before, after)


@behaviour(
    "sandbox.mac.unique",
    "Containers on one network MUST have MAC addresses that differ and that are locally "
    "administered addresses of one host each.",
    source="libnetwork netutils GenerateMACFromIP, GenerateRandomMAC v17.06",
)
def test_macs_of_a_network_differ(run, network, host):
    net = network()
    found = [macs_of(host, run(network_mode=net.name), net)[1] for _ in range(3)]
    expect_equal("the number of addresses", 3, len(set(found)))
    for mac in found:
        expect_match("the address", "[0-9a-f][26ae](:[0-9a-f]{2}){5}", mac)


@behaviour(
    "sandbox.mac.chosen",
    "A MAC address for the whole container MUST be that of its interface on the user network of "
    "its network mode, and be what inspect reports there, after a restart too.",
    source="moby container.BuildCreateEndpointOptions v17.03",
)
def test_chosen_mac_is_used(run, network, host):
    net = network()
    container = run(network_mode=net.name, mac_address=CHOSEN)
    expect_equal("the MAC addresses", (CHOSEN, CHOSEN), macs_of(host, container, net))
    container.restart(timeout=0)
    expect_equal("after a restart", (CHOSEN, CHOSEN), macs_of(host, container, net))


@behaviour(
    "sandbox.mac.chosen-on-default",
    "A MAC address for the whole container MUST be that of its interface on the default network, "
    "and be what inspect reports, after a restart too.",
    source="moby container.BuildCreateEndpointOptions v17.03",
)
def test_chosen_mac_is_used_on_the_default_network(run, host):
    container = run(mac_address=CHOSEN)
    for start in (1, 2):
        container.reload()
        (endpoint,) = container.attrs["NetworkSettings"]["Networks"].values()
        real = host.netns_of(container.attrs["State"]["Pid"]).mac("eth0")
        found = (endpoint["MacAddress"], real)
        expect_equal(f"the MAC addresses of start {start}", (CHOSEN, CHOSEN), found)
        container.restart(timeout=0)


@behaviour(
    "sandbox.mac.chosen-for-one-network",
    "A MAC address for the whole container MUST NOT be used on any other network than that of its "
    "network mode.",
    source="moby container.BuildCreateEndpointOptions v17.03: the network of NetworkMode only",
)
def test_chosen_mac_is_of_one_network(create, network, host):
    net, other, live = network(), network(), network()
    container = create(network_mode=net.name, mac_address=CHOSEN)
    other.connect(container)
    container.start()
    live.connect(container)
    found = [macs_of(host, container, one)[1] for one in (net, other, live)]
    expect_equal("the network of the mode", CHOSEN, found[0])
    expect_equal("the number of MAC addresses", 3, len(set(found)))


@behaviour(
    "sandbox.mac.chosen-again-after-connect",
    "A container that leaves the network of its network mode and is connected to it again MUST "
    "have its MAC address there again.",
    source="moby container.BuildCreateEndpointOptions v17.03; the endpoint's own since v25.0",
    docker="<25.0",
    tier="quirk",
)
def test_chosen_mac_comes_back(run, network, host):
    net = network()
    container = run(network_mode=net.name, mac_address=CHOSEN)
    net.disconnect(container)
    net.connect(container)
    expect_equal("the MAC addresses", (CHOSEN, CHOSEN), macs_of(host, container, net))


def with_mac_on_user_network(setup):
    for one in setup.containers:
        if one.mac and one.user_endpoints and one.has_own_network:
            why = "it chooses a hardware address"
            yield one.effect("later", why, f"it loses it when it leaves {one.mode}")


@behaviour(
    "sandbox.mac.lost-with-endpoint",
    "A container that leaves the network of its network mode and is connected to it again MUST "
    "NOT have the MAC address there that it was created with: it was the endpoint's.",
    source="moby#45905 v25.0, API 1.44",
    docker=">=25.0",
    api=">=1.44",
    tier="quirk",
    replaces=("sandbox.mac.chosen-again-after-connect",),
    concerns=with_mac_on_user_network,
)
def test_chosen_mac_goes_with_the_endpoint(run, network, host):
    net = network()
    container = run(network_mode=net.name, mac_address=CHOSEN)
    expect_equal("the MAC addresses", (CHOSEN, CHOSEN), macs_of(host, container, net))
    net.disconnect(container)
    net.connect(container)
    reported, real = macs_of(host, container, net)
    expect_equal("the MAC address in inspect", real, reported)
    expect_not_equal("the MAC address", CHOSEN, real)


@behaviour(
    "sandbox.mac.of-endpoint-ignored",
    "A MAC address in an endpoint of a create request MUST be ignored.",
    source="moby daemon v17.03: not read; used since v25.0 with API 1.44",
    docker="<25.0",
    tier="quirk",
)
def test_mac_of_an_endpoint_is_ignored(create_raw, network, client, host):
    container, net = started_with_endpoint_mac(create_raw, network, client)
    reported, real = macs_of(host, container, net)
    expect_equal("the MAC address in inspect", real, reported)
    expect_not_equal("the MAC address", CHOSEN, real)


def with_mac_of_endpoint(setup):
    for one in setup.containers:
        for end in one.endpoints:
            if setup.is_anew and end.mac:
                why = f"it asks for a hardware address on {end.network}"
                yield one.effect("anew", why, "that was ignored, and is used now")


@behaviour(
    "sandbox.mac.of-endpoint-used",
    "A MAC address in an endpoint of a create request MUST be that of the interface on that "
    "network, after a restart too.",
    source="moby#45905 v25.0",
    docker=">=25.0",
    api=">=1.44",
    replaces=("sandbox.mac.of-endpoint-ignored",),
    concerns=with_mac_of_endpoint,
)
def test_mac_of_an_endpoint_is_used(create_raw, network, client, host):
    container, net = started_with_endpoint_mac(create_raw, network, client)
    expect_equal("the MAC addresses", (CHOSEN, CHOSEN), macs_of(host, container, net))
    container.restart(timeout=0)
    expect_equal("after a restart", (CHOSEN, CHOSEN), macs_of(host, container, net))


def started_with_endpoint_mac(create_raw, network, client):
    net = network()
    endpoints = {net.name: {"MacAddress": CHOSEN}}
    body = {
        "HostConfig": {"NetworkMode": net.name},
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }
    answer = create_raw(body)
    expect_equal("the status of create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    container.start()
    return container, net


@behaviour(
    "sandbox.mac.unparsable",
    "A container with a MAC address that cannot be read MUST NOT come to run: its create or its "
    "start is refused, and its network has no endpoint of it.",
    source="moby container.BuildCreateEndpointOptions net.ParseMAC v17.03",
)
@pytest.mark.parametrize("mac", [BAD, "02:42:00:00:00", "hello"])
def test_bad_mac_keeps_the_container_from_running(create_raw, network, api, inspect_network, mac):
    net = network()
    answer = create_raw({"MacAddress": mac, "HostConfig": {"NetworkMode": net.name}})
    if answer.status == 201:
        answer = api("POST", f"/containers/{answer.json()['Id']}/start")
    expect_equal("refused", True, answer.status >= 400)
    expect_empty("the members of the network", inspect_network(net)["Containers"])


@behaviour(
    "sandbox.mac.unparsable-at-start",
    "A MAC address that cannot be read MUST be accepted at create and fail the start: 500 "
    "`address <mac>: invalid MAC address`.",
    source="moby container.BuildCreateEndpointOptions v17.03; checked at create since v25.0",
    docker="<25.0",
    tier="quirk",
)
def test_bad_mac_is_told_of_at_start(create_raw, network, api):
    answer = create_raw({"MacAddress": BAD, "HostConfig": {"NetworkMode": network().name}})
    expect_equal("the status of create", 201, answer.status)
    answer = api("POST", f"/containers/{answer.json()['Id']}/start")
    expect_equal("the status of start", 500, answer.status)
    expect_in("the message", f"address {BAD}: invalid MAC address", answer.message)


MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}")


def with_unreadable_mac(setup):
    for one in setup.containers:
        if one.mac and not MAC.fullmatch(one.mac):
            why = f"its hardware address {one.mac} cannot be read"
            yield one.effect("anew", why, "its create is refused, and not its start")


@behaviour(
    "sandbox.mac.unparsable-at-create",
    "A MAC address that cannot be read MUST be refused at create: 400 `invalid MAC address <mac>`.",
    source="moby#45905 v25.0",
    docker=">=25.0",
    tier="quirk",
    replaces=("sandbox.mac.unparsable-at-start",),
    concerns=with_unreadable_mac,
)
def test_bad_mac_is_told_of_at_create(create_raw, network):
    answer = create_raw({"MacAddress": BAD, "HostConfig": {"NetworkMode": network().name}})
    expect_equal("the status of create", 400, answer.status)
    expect_in("the message", f"invalid MAC address {BAD}", answer.message)
