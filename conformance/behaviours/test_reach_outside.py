"""Who reaches whom across the engine's edge: hosts outside its networks, internal networks.

The host outside is a namespace of the row's own on a wire to the engine's.
"""

import ipaddress

from conformance.assertions import expect_equal, expect_not_equal
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

PORT = 8080


def gateway_of(net):
    """Give the engine's address on a network; inspect of an internal one need not show it."""
    (pool,) = net.attrs["IPAM"]["Config"]
    return str(next(ipaddress.IPv4Network(pool["Subnet"]).hosts()))


@behaviour(
    "reach.outside.masquerade",
    "A container MUST reach hosts outside, which MUST see the engine's address and not the "
    "container's.",
    source="libnetwork drivers/bridge setupIPTablesInternal v17.06: MASQUERADE",
)
def test_outside_sees_the_engine(run, network, outside, sockets):
    net, beyond = network(), outside()
    server = sockets.serve(beyond.container, port=PORT)
    for container in (run(network=net.name), run()):
        outcome = sockets.outcome(container, beyond.address, PORT)
        expect_equal("the connection", "connected", outcome)
        seen = sockets.source_seen(server)
        expect_equal("whom the server sees", beyond.engine_address, seen)


def without_masquerade(setup):
    for one in setup.containers:
        route = setup.default_route(one)
        if one.has_own_network and route and not setup.network(route).is_masqueraded:
            why = f"its network {route} is not masqueraded"
            yield one.effect("way out", why, "answers of hosts outside are dropped")


@behaviour(
    "reach.outside.no-masquerade",
    "On a network with enable_ip_masquerade=false hosts outside MUST see the container's address.",
    source="libnetwork drivers/bridge EnableIPMasquerade v17.06",
    concerns=without_masquerade,
)
def test_outside_sees_the_container(run, network, outside, sockets):
    net = network(options={"com.docker.network.bridge.enable_ip_masquerade": "false"})
    beyond, container = outside(), run(network=net.name)
    beyond.route_to_engine()
    server = sockets.serve(beyond.container, port=PORT)
    outcome = sockets.outcome(container, beyond.address, PORT)
    expect_equal("the connection", "connected", outcome)
    expect_equal("whom the server sees", address_in(container, net), sockets.source_seen(server))


@behaviour(
    "reach.outside.engine-sees-the-container",
    "The engine's own namespace MUST see a container by its own address, at whichever of its "
    "addresses it is reached.",
    source="libnetwork drivers/bridge v17.06: MASQUERADE is for what is forwarded",
)
def test_engine_sees_the_container(run, network, outside, sockets, ports):
    net, beyond = network(), outside()
    container = run(network=net.name)
    [port] = ports.free()  # another program of the machine may have any
    server = sockets.serve(None, port=port)
    for address in (beyond.engine_address, address_in(container, net, "Gateway")):
        outcome = sockets.outcome(container, address, port)
        expect_equal("the connection", "connected", outcome)
        expect_equal("whom it sees", address_in(container, net), sockets.source_seen(server))


@behaviour(
    "reach.outside.not-in",
    "A host outside MUST NOT reach a port of a container that is not published, even where it has "
    "a route to the network.",
    source="libnetwork drivers/bridge v17.06: FORWARD drops by default",
    bugs=("moby#14041",),
)
def test_outside_does_not_reach_in(run, network, outside, sockets):
    net, beyond = network(), outside()
    beyond.route_to_engine()
    container = run(network=net.name)
    sockets.serve(container, port=PORT)
    inside = sockets.outcome(None, address_in(container, net), PORT)
    expect_equal("from the engine's namespace", "connected", inside)
    server = sockets.serve(None, gateway_of(net))
    route = sockets.outcome(beyond.container, *server.getsockname())
    expect_equal("the route from outside to the network's gateway", "connected", route)
    outcome = sockets.outcome(beyond.container, address_in(container, net), PORT)
    expect_not_equal("from outside", "connected", outcome)


@behaviour(
    "reach.internal.peers",
    "Containers on an internal network MUST reach each other, by name, too.",
    source="libnetwork drivers/bridge setupInternalNetworkRules v17.06",
)
def test_internal_peers_reach_each_other(run, network, sockets, exec_in):
    net = network(internal=True)
    client, peer = run(network=net.name, cap_add=["NET_RAW"]), run(network=net.name)
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)
    ping = exec_in(client, "ping", "-c1", "-W2", peer.name)
    expect_equal("the exit code of ping by name", 0, ping.exit_code)


@behaviour(
    "reach.internal.not-out",
    "A container on an internal network MUST NOT reach hosts outside.",
    source="libnetwork drivers/bridge setupInternalNetworkRules v17.06",
)
def test_internal_network_does_not_lead_out(run, network, outside, sockets):
    net, beyond = network(internal=True), outside()
    container, other = run(network=net.name), run(network=network().name)
    sockets.serve(beyond.container, port=PORT)
    way = sockets.outcome(other, beyond.address, PORT)
    expect_equal("from another network", "connected", way)
    outcome = sockets.outcome(container, beyond.address, PORT)
    expect_not_equal("the connection", "connected", outcome)


@behaviour(
    "reach.internal.not-in",
    "Nobody outside an internal network, on another network or beyond the engine, MUST reach a "
    "container on it.",
    source="libnetwork drivers/bridge setupInternalNetworkRules v17.06",
)
def test_internal_network_does_not_lead_in(run, network, outside, sockets):
    net, other, beyond = network(internal=True), network(), outside()
    beyond.route_to_engine()
    container, peer = run(network=net.name), run(network=net.name)
    stranger, server = run(network=other.name), sockets.serve(None, gateway_of(net))
    sockets.serve(container, port=PORT)
    near = sockets.outcome(peer, address_in(container, net), PORT)
    expect_equal("from a peer", "connected", near)
    for client in (stranger, beyond.container):
        way = sockets.outcome(client, *server.getsockname())
        expect_equal("the way to the network's gateway", "connected", way)
        outcome = sockets.outcome_apart(client, address_in(container, net), PORT)
        expect_not_equal("the connection", "connected", outcome)


@behaviour(
    "reach.internal.and-user",
    "A container on an internal and on a user network MUST reach the peers on both and, through "
    "the user network, the hosts outside.",
    source="libnetwork sandbox.getGatewayEndpoint v17.06: internal endpoints come last",
)
def test_internal_and_user_network_lead_out(run, network, outside, sockets):
    inner, net, beyond = network(internal=True), network(), outside()
    container, peer = run(network=inner.name), run(network=inner.name)
    net.connect(container)
    sockets.serve(peer, port=PORT)
    server = sockets.serve(beyond.container, port=PORT)
    to_peer = sockets.outcome(container, address_in(peer, inner), PORT)
    out = sockets.outcome(container, beyond.address, PORT)
    expect_equal("to the peer and out", ("connected", "connected"), (to_peer, out))
    expect_equal("whom the server sees", beyond.engine_address, sockets.source_seen(server))


@behaviour(
    "reach.outside.after-disconnect",
    "A container MUST NOT reach hosts outside once it was disconnected from its only network, and "
    "MUST again once it was connected to another.",
    source="libnetwork endpoint.sbLeave, sbJoin v17.06: the default route",
)
def test_way_out_goes_and_comes(run, network, outside, sockets):
    first, second, beyond = network(), network(), outside()
    container = run(network=first.name)
    sockets.serve(beyond.container, port=PORT)
    seen = [sockets.outcome(container, beyond.address, PORT)]
    first.disconnect(container)
    seen.append(sockets.outcome(container, beyond.address, PORT))
    second.connect(container)
    seen.append(sockets.outcome(container, beyond.address, PORT))
    expect_equal("before, without, after", ["connected", "unreachable", "connected"], seen)
