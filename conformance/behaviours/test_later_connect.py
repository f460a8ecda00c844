"""Connecting, as a later release of Docker changed it on purpose; see test_later_releases.py."""

import ipaddress

import pytest

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_refused,
)
from conformance.observe.restarts import wait_between_restarts
from conformance.registry import behaviour


@behaviour(
    "connect.address.outside-is-invalid",
    "Connecting a container with an address outside the network's subnets MUST be refused as a "
    "wrong request: 400 `no configured subnet or ip-range contain the IP address`.",
    source="moby#46183 v25.0: ValidateIPAM",
    tier="quirk",
    docker=">=25.0,<29.0.4",
    replaces=("connect.address.outside-text",),
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_address_outside_is_a_wrong_request(run, create, network, subnets, inspect, running):
    net, container = network(), (run if running else create)()
    stranger = str(ipaddress.ip_network(subnets.ipv4())[9])
    text = f"no configured subnet or ip-range contain the IP address {stranger}"
    expect_api_error(lambda: net.connect(container, ipv4_address=stranger), 400, text)
    networks = inspect(container)["NetworkSettings"]["Networks"]
    expect_equal("the networks", ["bridge"], sorted(networks))


@behaviour(
    "connect.address.unparsable-is-invalid",
    "Connecting a container with something that is no address MUST be refused as a wrong request: "
    "400 `invalid IPv4 address: <word>`.",
    source="moby#46183 v25.0: ValidateIPAM",
    tier="quirk",
    docker=">=25.0",
    replaces=("connect.address.unparsable-text",),
)
@pytest.mark.parametrize("word", ["hello", "10.0.0.1/24"])
def test_no_address_is_a_wrong_request(run, network, inspect, word):
    net, container = network(), run()
    text = f"invalid IPv4 address: {word}"
    expect_api_error(lambda: net.connect(container, ipv4_address=word), 400, text)
    networks = inspect(container)["NetworkSettings"]["Networks"]
    expect_equal("the networks", ["bridge"], sorted(networks))


def with_wishes_on_bridge(setup):
    for one in setup.containers:
        for end in one.endpoints:
            if end.network == "bridge" and (end.ipv4 or end.aliases):
                why = "it asks for an address or an alias on the network bridge"
                yield one.effect("anew", why, "its create is refused, and not its start")


@behaviour(
    "connect.predefined.checked-at-create",
    "A container MUST NOT be created on `bridge` with aliases or with an address of its own "
    "choice.",
    source="moby#46183 v25.0",
    docker=">=25.0",
    replaces=("connect.predefined.checked-at-start",),
    concerns=with_wishes_on_bridge,
)
@pytest.mark.parametrize(
    "endpoint",
    [{"Aliases": ["web"]}, {"IPAMConfig": {"IPv4Address": "172.17.0.99"}}],
    ids=["aliases", "address"],
)
def test_default_network_is_checked_at_create(create_raw, endpoint):
    body = {"NetworkingConfig": {"EndpointsConfig": {"bridge": endpoint}}}
    expect_refused(lambda: create_raw(body))


def that_restart(setup):
    for one in setup.containers:
        if one.status == "restarting":
            why = "it ends again and again"
            yield one.effect("later", why, "it cannot be connected between two of its runs")


@behaviour(
    "connect.restarting-refused",
    "A container between two restarts MUST NOT be connected.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("connect.restarting",),
    concerns=that_restart,
)
def test_restarting_container_is_not_connected(run, network, inspect, inspect_network):
    container, net = run(["false"], restart_policy={"Name": "always"}), network()
    wait_between_restarts(inspect, container)
    expect_refused(lambda: net.connect(container))
    expect_equal("the members of the network", {}, inspect_network(net)["Containers"])


def is_inside_alone(setup, one):
    return bool(one.endpoints) and all(
        setup.network(end.network).is_internal for end in one.endpoints
    )


def on_internal_networks_alone(setup):
    inside = [one for one in setup.containers if is_inside_alone(setup, one)]
    for one in inside:
        if one.has_own_network:
            why = "it is on internal networks alone"
            yield one.effect("default route", why, "its default route is gone")
            if setup.has_ipv6_route(one):
                change = "its IPv6 default route is gone"
                yield one.effect("IPv6 default route", why, change)
    over_ipv6 = [one for one in setup.containers if setup.has_ipv6_route(one)]
    inside_six = [one for one in over_ipv6 if is_inside_alone(setup, one)]
    for one in over_ipv6 if inside_six else ():
        own = {end.network for end in one.endpoints}
        others = over_ipv6 if is_inside_alone(setup, one) else inside_six
        apart = (o.name for o in others if own.isdisjoint(end.network for end in o.endpoints))
        name = next(apart, "")
        if name:
            why = f"it reaches {name} by IPv6, and one of the two is inside alone"
            yield one.effect("reach over IPv6", why, "they no longer reach each other")


@behaviour(
    "network.gateway.internal-none",
    "A container on an internal network alone MUST NOT have a gateway, neither in inspect nor in "
    "its routes.",
    source="moby#46603 v25.0",
    docker=">=25.0",
    replaces=("network.gateway.internal-only",),
    concerns=on_internal_networks_alone,
)
def test_internal_network_gives_no_gateway(run, network, host):
    net = network(internal=True)
    container = run(network_mode=net.name)
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    expect_empty("the Gateway", endpoint["Gateway"])
    netns = host.netns_of(container.attrs["State"]["Pid"])
    defaults = [route for route in netns.routes() if route["dst"] == "default"]
    expect_equal("the default routes", [], defaults)
