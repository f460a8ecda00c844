"""Who is kept apart, and who is not: internal networks, icc off, the machine's own settings."""

from conformance.assertions import expect_equal, expect_not_equal
from conformance.engines.processes import run_tool
from conformance.impact.setup import nobody
from conformance.observe.outside import attach_outside
from conformance.observe.ports import ports_of
from conformance.observe.sockets import Sockets, address_in
from conformance.registry import behaviour

PORT = 8080


def in_netns(daemon, script):
    """Run a shell script in the namespace of an engine of one's own."""
    run_tool("nsenter", f"--net={daemon.host.daemon_netns().path}", "sh", "-c", script)


@behaviour(
    "reach.internal.machine",
    "The engine's machine MUST reach a container on an internal network at its address.",
    source="moby#47329: not so in 25.0.0; mended in 25.0.4 (#47356)",
    bugs=("moby#47329",),
)
def test_machine_reaches_an_internal_network(run, network, sockets):
    net = network(internal=True)
    container = run(network=net.name)
    sockets.serve(container, port=PORT)
    outcome = sockets.outcome(None, address_in(container, net), PORT)
    expect_equal("from the machine", "connected", outcome)


@behaviour(
    "reach.internal.peers-ipv6",
    "Containers on an internal network with IPv6 MUST reach each other by IPv6 address.",
    source="moby/libnetwork#2626: not so with ip6tables in 20.10",
    bugs=("libnetwork#2626",),
)
def test_internal_peers_reach_each_other_by_ipv6(run, ipv6_network, sockets):
    net = ipv6_network(internal=True)
    client, peer = run(network=net.name), run(network=net.name)
    sockets.serve(peer, "::", PORT)
    # the first packets on a new network wait until its addresses are known to be unique
    address = address_in(peer, net, "GlobalIPv6Address")
    outcome = sockets.outcome(client, address, PORT, timeout_s=5)
    expect_equal("the connection", "connected", outcome)


@behaviour(
    "reach.peer.icc-off-unfiltered",
    "On a network with enable_icc=false containers MUST NOT reach each other, also where the "
    "machine does not show bridged packets to its firewall (net.bridge.bridge-nf-call-iptables=0).",
    source="moby#11404; libnetwork drivers/bridge setupBridgeNetFiltering v17.06",
    needs=("host-view",),
    bugs=("moby#11404",),
)
def test_peers_are_apart_where_bridged_packets_are_not_filtered(own_daemon):
    daemon = own_daemon()
    in_netns(daemon, "echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables")
    net = daemon.network(options={"com.docker.network.bridge.enable_icc": "false"})
    client, peer = daemon.run(network=net.name), daemon.run(network=net.name)
    other = daemon.network()
    for container in (client, peer):
        other.connect(container)
    sockets = Sockets(daemon.host)
    try:
        sockets.serve(peer, port=PORT)
        plain = sockets.outcome(client, address_in(peer, other), PORT)
        expect_equal("TCP to the peer on another network", "connected", plain)
        outcome = sockets.outcome(client, address_in(peer, net), PORT)
        expect_equal("TCP to the peer", "silence", outcome)
    finally:
        sockets.close()


@behaviour(
    "reach.outside.not-in-on-a-router",
    "A host outside with a route to the network MUST NOT reach a port of a container that is not "
    "published, also on a machine that was a router before the engine was started.",
    source="moby#14041; 28.0 no longer leaves it to the policy of FORWARD (moby#48724)",
    needs=("host-view",),
    bugs=("moby#14041",),
)
def test_outside_does_not_reach_in_on_a_router(own_daemon, run, subnets):
    daemon, beyond = own_daemon(), run(network_mode="none")
    daemon.engine.kill()
    accept = "iptables -P FORWARD ACCEPT; ip6tables -P FORWARD ACCEPT"
    in_netns(daemon, f"echo 1 >/proc/sys/net/ipv4/ip_forward; {accept}")
    daemon.engine.resume()
    there = attach_outside(daemon.host, beyond, subnets.ipv4(), "ni-wire0")
    there.route_to_engine()
    net = daemon.network()
    with ports_of(daemon.host) as ports:
        (port,) = ports.free()
        container = daemon.run(network=net.name, ports={"80/tcp": port})
        ports.answer(container, 80, "here")
        ports.answer(container, PORT, "secret")
        for address in (there.engine_address, address_in(container, net, "Gateway")):
            published = ports.ask(there.container, address, port)
            expect_equal("the published port", "here", published)
        other = ports.ask(there.container, address_in(container, net), PORT, timeout_s=1)
        expect_not_equal("another port of the container", "secret", other)


@behaviour(
    "reach.apart.from-routed",
    "A container on a network with the gateway mode `routed` MUST reach a port that a container on "
    "another network publishes at the machine's address.",
    source="moby#49509: not so in 28.0.0; mended in 28.0.1",
    docker=">=27.0",
    bugs=("moby#49509",),
    concerns=nobody,
)
def test_routed_network_reaches_published_ports(run, network, outside, ports):
    routed = network(options={"com.docker.network.bridge.gateway_mode_ipv4": "routed"})
    beyond, (port,) = outside(), ports.free()
    ports.answer(run(network=network().name, ports={"80/tcp": port}), 80, "here")
    asker = run(network=routed.name)
    for address in (address_in(asker, routed, "Gateway"), beyond.engine_address):
        expect_equal("who answers", "here", ports.ask(asker, address, port))
