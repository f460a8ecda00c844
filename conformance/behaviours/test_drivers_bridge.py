"""The bridge driver's options, as far as no other file has them."""

import ipaddress

import pytest

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_not_in,
    expect_refused,
)
from conformance.engines.processes import run_tool
from conformance.observe.outside import attach_outside
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

PORT = 8080
BRIDGE = "com.docker.network.bridge."
GATEWAY_MODE = f"{BRIDGE}gateway_mode_ipv"
HOST_IPV4 = "com.docker.network.host_ipv4"
IFNAME = "com.docker.network.endpoint.ifname"
UNREADABLE = (
    (HOST_IPV4, "zzz"),
    (HOST_IPV4, "10.1.2.300"),
    (BRIDGE + "inhibit_ipv4", "zzz"),
    (BRIDGE + "enable_ip_masquerade", "zzz"),
    (BRIDGE + "enable_icc", "zzz"),
    (BRIDGE + "host_binding_ipv4", "zzz"),
)


def second_address(host, beyond):
    """Give the engine one more address on the wire to a host outside; it goes with the wire."""
    netns = host.daemon_netns()
    link = netns.link_with(beyond.engine_address)
    address = str(ipaddress.IPv4Address(beyond.engine_address) + 100)
    tool = ("nsenter", f"--net={netns.path}", "ip")
    run_tool(*tool, "addr", "add", f"{address}/24", "dev", link)
    return address


@behaviour(
    "drivers.bridge.host-ipv4",
    "On a network with the option host_ipv4 hosts outside MUST see that address of the engine's, "
    "and on other networks the one of the outgoing link.",
    source="libnetwork drivers/bridge setupIPTablesInternal v20.10: SNAT; moby/libnetwork#2454",
)
def test_outside_sees_the_chosen_address(run, network, outside, host, sockets):
    beyond = outside()
    chosen = second_address(host, beyond)
    server = sockets.serve(beyond.container, port=PORT)
    for options, expected in (({HOST_IPV4: chosen}, chosen), ({}, beyond.engine_address)):
        container = run(network=network(options=options).name)
        outcome = sockets.outcome(container, beyond.address, PORT)
        expect_equal("the connection", "connected", outcome)
        expect_equal("whom the server sees", expected, sockets.source_seen(server))


@behaviour(
    "drivers.bridge.host-ipv4-no-masquerade",
    "With enable_ip_masquerade=false the option host_ipv4 MUST have no effect: hosts outside see "
    "the container's own address.",
    source="libnetwork drivers/bridge setupIPTablesInternal v20.10: within ipmasq",
)
def test_no_masquerade_no_chosen_address(run, network, outside, host, sockets):
    beyond = outside()
    chosen = second_address(host, beyond)
    net = network(options={HOST_IPV4: chosen, BRIDGE + "enable_ip_masquerade": "false"})
    container = run(network=net.name)
    server = sockets.serve(beyond.container, port=PORT, kind="udp")
    # a datagram, since not every release lets an answer come back to the container's address
    sockets.make(container, "udp").sendto(b"hello", (beyond.address, PORT))
    _, source = sockets.received_from(server)
    expect_equal("whom the server sees", address_in(container, net), source[0])


@behaviour(
    "drivers.bridge.host-ipv4-of-ipv6",
    "An IPv6 address as host_ipv4 MUST be refused, and MUST leave neither a network nor a link.",
    source="libnetwork drivers/bridge v20.10: iptables refuses it",
)
def test_ipv6_as_host_ipv4_is_refused(own_daemon):
    daemon = own_daemon()
    before = sorted(daemon.host.daemon_netns().links())
    networks = len(daemon.client.networks.list())
    expect_refused(lambda: daemon.network(options={HOST_IPV4: "fd00::1"}))
    expect_equal("the networks", networks, len(daemon.client.networks.list()))
    expect_equal("the links", before, sorted(daemon.host.daemon_netns().links()))


@behaviour(
    "drivers.bridge.unreadable",
    "An option of the bridge driver whose value cannot be read MUST be refused, and no network "
    "MUST be made.",
    source="libnetwork drivers/bridge networkConfiguration.fromLabels v17.06",
)
@pytest.mark.parametrize(("option", "value"), UNREADABLE)
def test_unreadable_option_is_refused(network, client, new_name, option, value):
    name = new_name("network")
    expect_refused(lambda: network(name, options={option: value}))
    expect_not_in("the networks", name, [one.name for one in client.networks.list()])


@behaviour(
    "drivers.bridge.unreadable-text",
    "The refusal of an unreadable option MUST be 500 `failed to parse <option> value: <value> "
    "(…)`.",
    source="libnetwork drivers/bridge parseErr v17.06",
    tier="quirk",
    docker="<25.0",
)
@pytest.mark.parametrize(("option", "value"), UNREADABLE)
def test_unreadable_option_is_named(network, option, value):
    text = f"failed to parse {option} value: {value} ("
    expect_api_error(lambda: network(options={option: value}), 500, text)


@behaviour(
    "drivers.bridge.unreadable-status",
    "The refusal of an unreadable option MUST be 400 `failed to parse <option> value: <value> "
    "(…)`.",
    source="moby libnetwork drivers/bridge parseErr v25.0: InvalidParameter",
    tier="quirk",
    docker=">=25.0",
    replaces=("drivers.bridge.unreadable-text",),
)
@pytest.mark.parametrize(("option", "value"), UNREADABLE)
def test_unreadable_option_is_a_bad_request(network, option, value):
    text = f"failed to parse {option} value: {value} ("
    expect_api_error(lambda: network(options={option: value}), 400, text)


@behaviour(
    "drivers.bridge.unknown-option",
    "An option that the bridge driver does not know MUST be accepted, and have no effect.",
    source="libnetwork drivers/bridge networkConfiguration.fromLabels v17.06",
)
def test_unknown_option_has_no_effect(network, run, sockets):
    net = network(options={BRIDGE + "no_such_option": "zzz"})
    client, peer = run(network=net.name), run(network=net.name)
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)


@behaviour(
    "drivers.bridge.unknown-option-shown",
    "An option that the bridge driver does not know MUST be shown as it was given, and the network "
    "MUST take containers.",
    source="libnetwork network.go v17.06: the generic data of the record",
)
def test_unknown_option_is_shown(network, run):
    option = {BRIDGE + "no_such_option": "zzz"}
    net = network(options=option)
    expect_equal("the options", option, net.attrs["Options"])
    run(network=net.name)


@behaviour(
    "drivers.bridge.inhibit-ipv4",
    "With the option inhibit_ipv4 no link of the engine's MUST have the gateway's address; the "
    "containers' gateway stays the same, and they MUST reach each other.",
    source="libnetwork drivers/bridge setupBridgeIPv4 v19.03: InhibitIPv4",
)
def test_bridge_has_no_address(network, run, host, sockets):
    net = network(options={BRIDGE + "inhibit_ipv4": "true"})
    client, peer = run(network=net.name), run(network=net.name)
    gateway = address_in(client, net, "Gateway")
    route = host.netns_of(client.attrs["State"]["Pid"]).default_gateway()
    expect_equal("the default route", gateway, route)
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)
    found = host.daemon_netns().links_with(gateway)
    expect_empty("the links with the gateway's address", found)


@behaviour(
    "drivers.bridge.default-bridge-option",
    "When a network with the option default_bridge is made and removed, containers on the default "
    "network MUST still reach hosts outside; to refuse the option is as good.",
    source="libnetwork drivers/bridge DefaultBridge v17.06: the engine's own mark",
)
def test_default_network_outlives_the_option(own_daemon, sockets):
    daemon = own_daemon()
    far, container = daemon.run(network_mode="none"), daemon.run()
    beyond = attach_outside(daemon.host, far, daemon.subnets.ipv4(), "ni-wire0")
    sockets.serve(far, port=PORT)
    body = {"Driver": "bridge", "Options": {BRIDGE + "default_bridge": "true"}}
    made = daemon.network_raw({**body, "IPAM": {"Config": [{"Subnet": daemon.subnets.ipv4()}]}})
    if made.status == 201:
        daemon.client.networks.get(made.json()["Id"]).remove()
    outcome = sockets.outcome(container, beyond.address, PORT)
    expect_equal("the connection", "connected", outcome)


def with_gateway_mode_routed(setup):
    for network in setup.networks:
        if "routed" in (network.options.get(f"{GATEWAY_MODE}{family}") for family in "46"):
            why = "it has the gateway mode routed"
            yield network.effect("anew", why, "hosts outside see its containers' own addresses")


@behaviour(
    "drivers.bridge.gateway-mode-routed",
    "With the option gateway_mode_ipv4=routed hosts outside MUST see the container's own address.",
    source="moby#47871: gateway modes",
    docker=">=27.0",
    concerns=with_gateway_mode_routed,
)
def test_routed_network_is_not_translated(network, run, outside, sockets):
    net = network(options={BRIDGE + "gateway_mode_ipv4": "routed"})
    beyond, container = outside(), run(network=net.name)
    beyond.route_to_engine()
    server = sockets.serve(beyond.container, port=PORT)
    outcome = sockets.outcome(container, beyond.address, PORT)
    expect_equal("the connection", "connected", outcome)
    expect_equal("whom the server sees", address_in(container, net), sockets.source_seen(server))


def with_gateway_mode_isolated(setup):
    for network in setup.networks:
        if "isolated" in (network.options.get(f"{GATEWAY_MODE}{family}") for family in "46"):
            why = "it has the gateway mode isolated"
            yield network.effect("anew", why, "its bridge has no address, so nobody has a gateway")


@behaviour(
    "drivers.bridge.gateway-mode-isolated",
    "On an internal network with the option gateway_mode_ipv4=isolated the bridge MUST have no "
    "address, and containers no default route; they MUST reach each other.",
    source="moby#49262: the gateway mode isolated",
    docker=">=28.0",
    concerns=with_gateway_mode_isolated,
)
def test_isolated_bridge_has_no_address(network, run, host, sockets):
    net = network(internal=True, options={BRIDGE + "gateway_mode_ipv4": "isolated"})
    expect_empty("the addresses", host.daemon_netns().addresses(f"br-{net.id[:12]}"))
    client, peer = run(network=net.name), run(network=net.name)
    netns = host.netns_of(client.attrs["State"]["Pid"])
    expect_equal("the default route", "", netns.default_gateway())
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)


def with_bad_gateway_mode(setup):
    for network in setup.networks:
        for family in ("4", "6"):
            mode = network.options.get(f"{GATEWAY_MODE}{family}", "nat")
            known = ["nat", "routed", "nat-unprotected", *["isolated"] * network.is_internal]
            if network.driver == "bridge" and mode not in known:
                why = f"its gateway mode is {mode}"
                yield network.effect("anew", why, "it is refused")


@behaviour(
    "drivers.bridge.gateway-mode-unknown",
    "An unknown gateway mode MUST be refused, and so MUST `isolated` on a network that is not "
    "internal.",
    source="moby#47871, moby#49262",
    docker=">=28.0",
    concerns=with_bad_gateway_mode,
)
@pytest.mark.parametrize("mode", ["zzz", "isolated"])
def test_unknown_gateway_mode_is_refused(network, mode):
    expect_refused(lambda: network(options={BRIDGE + "gateway_mode_ipv4": mode}))


@behaviour(
    "drivers.bridge.endpoint-ifname-ignored",
    "The endpoint option ifname is not known, and MUST be ignored: the interfaces are numbered.",
    source="libnetwork v17.06: an option that no driver reads",
    tier="quirk",
    docker="<28.0",
)
def test_interface_name_is_ignored(create, network, api, host):
    container = connected_with_name(create, network, api)
    links = host.netns_of(container.attrs["State"]["Pid"]).links()
    expect_equal("the links", ["eth0", "eth1", "lo"], sorted(links))


def with_names_for_links(setup):
    for one in setup.containers:
        for end in one.endpoints:
            name = end.options.get(IFNAME, "")
            if name:
                why = f"it has an option for a link's name on {end.network}"
                yield one.effect("links", why, f"the link is called {name}")


@behaviour(
    "drivers.bridge.endpoint-ifname",
    "The endpoint option ifname MUST be the interface's name in the container.",
    source="moby#49155",
    docker=">=28.0",
    replaces=("drivers.bridge.endpoint-ifname-ignored",),
    concerns=with_names_for_links,
)
def test_interface_has_its_name(create, network, api, host):
    container = connected_with_name(create, network, api)
    links = host.netns_of(container.attrs["State"]["Pid"]).links()
    expect_equal("the links", ["eth0", "lo", "zz7"], sorted(links))


def connected_with_name(create, network, api):
    """Run a container on the default network and on one where it asks for a name."""
    container = create()
    body = {"Container": container.id, "EndpointConfig": {"DriverOpts": {IFNAME: "zz7"}}}
    expect_equal("the status", 200, api("POST", f"/networks/{network().name}/connect", body).status)
    container.start()
    container.reload()
    return container
