"""Allocating: what of an endpoint is made anew at each start, and what the user gave and keeps."""

import ipaddress

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_hex_id,
    expect_not_in,
)
from conformance.registry import behaviour

# What an engine fills in while a container runs.
OPERATIONAL = (
    "EndpointID",
    "Gateway",
    "IPAddress",
    "IPPrefixLen",
    "IPv6Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "MacAddress",
)


def endpoint_of(document, net):
    """Give a container's endpoint on a network."""
    return document["NetworkSettings"]["Networks"][net.name]


def settings_of(document, net):
    """Give that part of an endpoint which belongs to the user."""
    endpoint = endpoint_of(document, net)
    return {field: endpoint[field] for field in ("NetworkID", "Aliases", "Links", "DriverOpts")}


@behaviour(
    "allocate.operational-data.reset",
    "The operational data of an endpoint (ids, addresses, gateways, MAC address) MUST be reset "
    "when the container stops or starts, and each start MUST give a new EndpointID.",
    source="seed allocateNetwork: cleanOperationalData; moby v17.03",
    tier="core",
    bugs=("moby#47146",),
)
def test_operational_data_is_made_anew(run, network, inspect):
    net = network()
    container = run(network_mode=net.name)
    seen: set[str] = set()
    for _ in range(2):
        running = endpoint_of(inspect(container), net)
        expect_hex_id("the EndpointID", running["EndpointID"])
        expect_not_in("the EndpointIDs of earlier starts", running["EndpointID"], seen)
        expect_equal("IPPrefixLen while it runs", 24, running["IPPrefixLen"])
        seen.add(running["EndpointID"])
        container.stop()
        stopped = endpoint_of(inspect(container), net)
        for field in OPERATIONAL:
            expect_empty(f"{field} while it is stopped", stopped[field])
        container.start()


@behaviour(
    "allocate.ipam-config.kept",
    "The address that a user asked for MUST survive stop and start, and an endpoint without such a "
    "wish MUST NOT come to have one.",
    source="seed allocateNetwork: cleanOperationalData keeps IPAMConfig, drops IPAMOperational",
    tier="core",
)
def test_ipam_config_of_the_user_survives(create, network, subnets, inspect):
    subnet = ipaddress.ip_network(subnets.ipv4())
    wished, plain, address = network(subnet=str(subnet)), network(), str(subnet[77])
    container = create(network_mode=plain.name)
    wished.connect(container, ipv4_address=address)
    for _ in range(2):
        container.start()
        document = inspect(container)
        expect_equal("the address", address, endpoint_of(document, wished)["IPAddress"])
        container.stop()
        document = inspect(container)
        config = endpoint_of(document, wished)["IPAMConfig"]
        expect_equal("the wish while it is stopped", {"IPv4Address": address}, config)
        expect_empty("the IPAMConfig nobody gave", endpoint_of(document, plain)["IPAMConfig"])


@behaviour(
    "allocate.endpoint-settings.kept",
    "NetworkID, Aliases, Links and DriverOpts of an endpoint MUST be the same after stop and "
    "start; the aliases MUST NOT grow.",
    source="moby daemon cleanOperationalData v17.03: leaves them alone",
)
def test_endpoint_settings_survive_restarts(run, client, create_raw, network, inspect):
    net = network()
    given = {
        "Aliases": ["web", "shop"],
        "Links": [f"{run(network_mode=net.name).name}:db"],
        "DriverOpts": {"org.example.colour": "red"},
    }
    config = {"EndpointsConfig": {net.name: given}}
    answer = create_raw({"HostConfig": {"NetworkMode": net.name}, "NetworkingConfig": config})
    container = client.containers.get(answer.json()["Id"])
    container.start()
    first = settings_of(inspect(container), net)
    expect_equal("the NetworkID", net.id, first["NetworkID"])
    expect_equal("the aliases", given["Aliases"], first["Aliases"][:2])
    expect_fields("the endpoint", {k: given[k] for k in ("Links", "DriverOpts")}, first)
    for _ in range(2):
        container.stop()
        expect_equal("the settings while stopped", first, settings_of(inspect(container), net))
        container.start()
        expect_equal("the settings after a start", first, settings_of(inspect(container), net))
