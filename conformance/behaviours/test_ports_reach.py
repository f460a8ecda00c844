"""Published ports: who reaches them, and from where.

The engine's machine is its network namespace. A host outside is one on a wire to it.
"""

import socket

import pytest

from conformance.assertions import expect_equal, expect_in, expect_not_equal
from conformance.impact.setup import nobody
from conformance.observe.poll import eventually
from conformance.observe.ports import host_port, ports_of
from conformance.observe.sockets import address_in, failure_word
from conformance.registry import behaviour

INSIDE = 80
LOOPBACK = "127.0.0.1"


def run_published(run, ports, kind="tcp", *, word="here", where="", **options):
    """Run a container with one published port and answer there; give it and the host's port."""
    (port,) = ports.free()
    binding = (where, port) if where else port
    container = run(ports={f"{INSIDE}/{kind}": binding}, **options)
    return container, port, ports.answer(container, INSIDE, word, kind=kind)


def read_to_end(connection):
    """Read until the other side closes."""
    connection.settimeout(5)
    return b"".join(iter(lambda: connection.recv(65536), b""))


@behaviour(
    "ports.reach.outside",
    "A host outside MUST reach a published port, TCP or UDP, at the engine's address.",
    source="libnetwork portmapper v17.06: DNAT in the chain DOCKER",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_outside_reaches_the_port(run, network, outside, ports, kind):
    beyond = outside()
    for options in ({}, {"network": network().name}):
        _, port, _ = run_published(run, ports, kind, **options)
        answer = ports.ask(beyond.container, beyond.engine_address, port, kind=kind)
        expect_equal("who answers", "here", answer)


@behaviour(
    "ports.reach.outside-source",
    "The container MUST see a host outside by that host's own address.",
    source="libnetwork portmapper v17.06: the destination is translated, the source is not",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_container_sees_who_asks(run, outside, ports, kind):
    beyond = outside()
    _, port, answering = run_published(run, ports, kind)
    answer = ports.ask(beyond.container, beyond.engine_address, port, kind=kind)
    expect_equal("who answers", "here", answer)
    expect_equal("whom the container sees", [beyond.address], answering.sources)


@behaviour(
    "ports.reach.host-address",
    "The engine's machine MUST reach a published port, TCP or UDP, at its own address.",
    source="libnetwork portmapper v17.06: DNAT in OUTPUT",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_machine_reaches_the_port_at_its_address(run, outside, ports, kind):
    beyond = outside()
    _, port, _ = run_published(run, ports, kind)
    answer = ports.ask(None, beyond.engine_address, port, kind=kind)
    expect_equal("who answers", "here", answer)


@behaviour(
    "ports.reach.loopback",
    "The engine's machine MUST reach a published port, TCP or UDP, at 127.0.0.1.",
    source="libnetwork portmapper v17.06: the userland proxy",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_machine_reaches_the_port_by_loopback(run, ports, kind):
    _, port, _ = run_published(run, ports, kind)
    expect_equal("who answers", "here", ports.ask(None, LOOPBACK, port, kind=kind))


@behaviour(
    "ports.reach.loopback-ipv6",
    "The engine's machine MUST reach a published port, TCP or UDP, at [::1], though the container "
    "has only IPv4.",
    source="moby 20.10.6 release notes: the userland proxy listens on IPv6, too",
    docker=">=20.10.6",
    bugs=("moby#41858",),
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_machine_reaches_the_port_by_ipv6_loopback(run, ports, kind):
    _, port, _ = run_published(run, ports, kind)
    expect_equal("who answers", "here", ports.ask(None, "::1", port, kind=kind))


@behaviour(
    "ports.reach.bound-ipv6-loopback",
    "A port that is published on [::1] alone MUST lead to a container that has only IPv4.",
    source="moby#48067, mended in 27.0.3",
    docker=">=20.10.6",
    bugs=("moby#48067",),
)
def test_port_on_ipv6_loopback(run, ports):
    _, port, _ = run_published(run, ports, where="::1")
    answers = [ports.ask(None, address, port) for address in ("::1", LOOPBACK)]
    expect_equal("who answers at ::1 and at 127.0.0.1", ["here", "refused"], answers)


@behaviour(
    "ports.reach.host-ipv6-address",
    "The engine's machine MUST reach a port that is published without a host address at its own "
    "IPv6 address.",
    source="moby#41858, mended in 20.10.6",
    docker=">=20.10.6",
    bugs=("moby#41858",),
)
def test_machine_reaches_the_port_at_its_ipv6_address(run, ipv6_network, ports):
    peer = ipv6_network()
    run(network=peer.name)  # without a container a bridge is down, and its address out of use
    _, port, _ = run_published(run, ports)
    (config,) = [x for x in peer.attrs["IPAM"]["Config"] if ":" in x["Subnet"]]
    address = config.get("Gateway") or config["Subnet"].replace("/64", "1")
    # a new bridge may not use its IPv6 address before it knows that nobody else has it
    eventually("it answers", lambda: ports.ask(None, address, port, timeout_s=1) == "here")


@behaviour(
    "ports.reach.dual-stack",
    "The published port of a container with both families MUST be reached at 127.0.0.1 and at "
    "[::1].",
    source="moby 20.10.6 release notes: the userland proxy listens on IPv6, too",
    docker=">=20.10.6",
)
def test_port_of_a_dual_stack_container(run, ipv6_network, ports):
    net, (port,) = ipv6_network(), ports.free()
    container = run(network=net.name, ports={f"{INSIDE}/tcp": port})
    ports.answer(container, INSIDE, "here", address="::")
    expect_equal("who answers at 127.0.0.1", "here", ports.ask(None, LOOPBACK, port))
    # a new bridge may not use its IPv6 address before it knows that nobody else has it
    eventually("[::1] answers", lambda: ports.ask(None, "::1", port, timeout_s=1) == "here")


@behaviour(
    "ports.reach.peer-same-network",
    "A container MUST reach a port that its peer on the same network publishes, TCP or UDP, at "
    "the network's gateway.",
    source="libnetwork drivers/bridge v17.06; moby#48664",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_peer_reaches_the_port(run, network, ports, kind):
    net = network()
    peer = run(network=net.name)
    _, port, _ = run_published(run, ports, kind, network=net.name)
    gateway = address_in(peer, net, "Gateway")
    expect_equal("who answers", "here", ports.ask(peer, gateway, port, kind=kind))


@behaviour(
    "ports.reach.peer-at-engine",
    "A container MUST reach a TCP port that its peer on the same network publishes at the "
    "engine's address outside.",
    source="libnetwork drivers/bridge v17.06; moby#48664",
)
def test_peer_reaches_the_port_at_the_engine(run, network, outside, ports):
    net, beyond = network(), outside()
    peer = run(network=net.name)
    _, port, _ = run_published(run, ports, network=net.name)
    expect_equal("who answers", "here", ports.ask(peer, beyond.engine_address, port))


@behaviour(
    "ports.reach.peer-at-engine-udp",
    "A container MUST reach a UDP port that its peer on the same network publishes at the "
    "engine's address outside, and be answered from there.",
    source="moby/libnetwork#1729, mended in moby 28.0",
    bugs=("libnetwork#1729",),
    concerns=nobody,
)
def test_peer_reaches_the_udp_port_at_the_engine(run, network, outside, ports):
    net, beyond = network(), outside()
    peer = run(network=net.name)
    _, port, _ = run_published(run, ports, "udp", network=net.name)
    answer = ports.ask(peer, beyond.engine_address, port, kind="udp")
    expect_equal("who answers", "here", answer)


@behaviour(
    "ports.reach.peer-other-network",
    "A container on another network MUST reach a published TCP port at its own gateway and at the "
    "engine's address.",
    source="libnetwork drivers/bridge v17.06: the userland proxy",
    bugs=("podman#2886",),
)
def test_stranger_reaches_the_port(run, network, outside, ports):
    net, other, beyond = network(), network(), outside()
    _, port, _ = run_published(run, ports, network=net.name)
    stranger = run(network=other.name)
    for address in (address_in(stranger, other, "Gateway"), beyond.engine_address):
        expect_equal("who answers", "here", ports.ask(stranger, address, port))


@behaviour(
    "ports.reach.peer-other-network-udp",
    "A container on another network MUST reach a published UDP port at its own gateway.",
    source="moby/libnetwork#1729, mended in moby 28.0",
    bugs=("libnetwork#1729",),
)
def test_stranger_reaches_the_udp_port(run, network, ports):
    net, other = network(), network()
    _, port, _ = run_published(run, ports, "udp", network=net.name)
    stranger = run(network=other.name)
    gateway = address_in(stranger, other, "Gateway")
    expect_equal("who answers", "here", ports.ask(stranger, gateway, port, kind="udp"))


@behaviour(
    "ports.reach.peer-other-network-udp-at-engine",
    "A container on another network MUST reach a published UDP port at the engine's address "
    "outside, and be answered from there.",
    source="moby/libnetwork#1729, mended in moby 28.0",
    bugs=("libnetwork#1729",),
    concerns=nobody,
)
def test_stranger_reaches_the_udp_port_at_the_engine(run, network, outside, ports):
    net, other, beyond = network(), network(), outside()
    _, port, _ = run_published(run, ports, "udp", network=net.name)
    stranger = run(network=other.name)
    answer = ports.ask(stranger, beyond.engine_address, port, kind="udp")
    expect_equal("who answers", "here", answer)


@behaviour(
    "ports.reach.itself",
    "A container MUST reach its own published TCP port at its gateway and at the engine's address.",
    source="libnetwork drivers/bridge v17.06: the userland proxy; moby#48664",
)
def test_container_reaches_itself(run, network, outside, ports):
    net, beyond = network(), outside()
    container, port, _ = run_published(run, ports, network=net.name)
    for address in (address_in(container, net, "Gateway"), beyond.engine_address):
        expect_equal("who answers", "here", ports.ask(container, address, port))


@behaviour(
    "ports.reach.itself-udp",
    "A container MUST reach its own published UDP port at its gateway.",
    source="libnetwork drivers/bridge v17.06: the userland proxy",
)
def test_container_reaches_itself_by_udp(run, network, ports):
    net = network()
    container, port, _ = run_published(run, ports, "udp", network=net.name)
    gateway = address_in(container, net, "Gateway")
    expect_equal("who answers", "here", ports.ask(container, gateway, port, kind="udp"))


@behaviour(
    "ports.reach.bound-address-only",
    "A port that is published on one address of the engine MUST NOT be reached at another.",
    source="libnetwork portmapper v17.06: the host address is in the rule and in the proxy",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_is_on_its_address_only(run, outside, ports, kind):
    here, there = outside(), outside()
    _, port, _ = run_published(run, ports, kind, where=here.engine_address)
    answers = [
        ports.ask(here.container, here.engine_address, port, kind=kind),
        ports.ask(there.container, there.engine_address, port, kind=kind, timeout_s=1),
        ports.ask(None, LOOPBACK, port, kind=kind, timeout_s=1),
    ]
    expect_equal("who answers there, elsewhere, at loopback", "here", answers[0])
    expect_equal("who answers elsewhere and by loopback", ["refused", "refused"], answers[1:])


@behaviour(
    "ports.reach.loopback-is-private",
    "A port that is published on 127.0.0.1 MUST NOT be reached by a host outside at the engine's "
    "address.",
    source="libnetwork portmapper v17.06: the host address is in the rule and in the proxy",
)
def test_loopback_port_is_not_reached_from_outside(run, outside, ports):
    beyond = outside()
    _, port, _ = run_published(run, ports, where=LOOPBACK)
    expect_equal("who answers the machine", "here", ports.ask(None, LOOPBACK, port))
    answer = ports.ask(beyond.container, beyond.engine_address, port, timeout_s=1)
    expect_equal("who answers from outside", "refused", answer)


@behaviour(
    "ports.reach.loopback-from-the-wire",
    "A port that is published on 127.0.0.1 MUST NOT be reached by a host outside that sends to "
    "127.0.0.1 over the wire.",
    source="moby#45610, mended in 28.0.0 (#49325)",
    bugs=("moby#45610",),
    concerns=nobody,
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_loopback_port_is_not_reached_over_the_wire(run, outside, ports, kind):
    beyond = outside()
    _, port, _ = run_published(run, ports, kind, where=LOOPBACK)
    expect_equal("who answers the machine", "here", ports.ask(None, LOOPBACK, port, kind=kind))
    beyond.route_loopback_to_engine()
    answer = ports.ask(beyond.container, LOOPBACK, port, kind=kind, timeout_s=1)
    expect_not_equal("who answers from outside", "here", answer)


def with_ports_on_bridges(setup):
    for one in setup.containers:
        networks = [setup.network(end.network) for end in one.endpoints]
        is_routed = any(net.driver == "bridge" and not net.is_internal for net in networks)
        if one.ports and one.has_own_network and is_routed:
            ports = ", ".join(sorted(one.ports))
            change = "a host outside with a route no longer reaches it at the container's address"
            yield one.effect("direct from outside", f"it publishes {ports}", change)


@behaviour(
    "ports.reach.container-address",
    "A host outside that has a route to the network MUST NOT reach a published port at the "
    "container's own address.",
    source="moby#45610, mended in 28.0.0 (#49325)",
    docker=">=28.0",
    bugs=("moby#45610",),
    concerns=with_ports_on_bridges,
)
def test_port_is_not_reached_at_the_containers_address(run, network, outside, ports):
    net, beyond = network(), outside()
    beyond.route_to_engine()
    container, port, _ = run_published(run, ports, network=net.name)
    for address in (beyond.engine_address, address_in(container, net, "Gateway")):
        there = ports.ask(beyond.container, address, port)
        expect_equal("who answers at the engine's addresses", "here", there)
    answer = ports.ask(beyond.container, address_in(container, net), INSIDE, timeout_s=1)
    expect_not_equal("who answers at the container's", "here", answer)


@behaviour(
    "ports.reach.other-ports",
    "A host outside MUST NOT reach the ports of a container that it does not publish, whatever "
    "other port it publishes.",
    source="libnetwork portmapper v17.06: one port's rule",
)
def test_other_ports_stay_closed(run, network, outside, ports):
    net, beyond = network(), outside()
    beyond.route_to_engine()
    container, port, _ = run_published(run, ports, network=net.name)
    ports.answer(container, INSIDE + 1, "secret")
    for address in (beyond.engine_address, address_in(container, net, "Gateway")):
        expect_equal("the port", "here", ports.ask(beyond.container, address, port))
    other = ports.ask(beyond.container, address_in(container, net), INSIDE + 1, timeout_s=1)
    expect_not_equal("another port of the container", "secret", other)


@behaviour(
    "ports.reach.nobody-listens",
    "A published port on which nothing listens in the container MUST be refused to a host outside.",
    source="libnetwork portmapper v17.06: the container's own kernel answers",
)
def test_port_without_a_listener_is_refused(run, outside, ports):
    beyond, (port,) = outside(), ports.free()
    container = run(ports={f"{INSIDE}/tcp": port})
    expect_equal("who answers", "refused", ports.ask(beyond.container, beyond.engine_address, port))
    ports.answer(container, INSIDE, "here")
    answer = ports.ask(beyond.container, beyond.engine_address, port)
    expect_equal("who answers once somebody listens", "here", answer)


@behaviour(
    "ports.reach.icc-off",
    "With enable_icc=false a peer MUST reach a published port at the engine's address.",
    source="moby docs: icc is about direct traffic; moby#53713 about it without the proxy",
)
def test_peer_reaches_the_port_without_icc(run, network, outside, ports):
    net = network(options={"com.docker.network.bridge.enable_icc": "false"})
    beyond, peer = outside(), run(network=net.name)
    _, port, _ = run_published(run, ports, network=net.name)
    expect_equal("who answers", "here", ports.ask(peer, beyond.engine_address, port))


@behaviour(
    "ports.reach.without-userland-proxy",
    "Without the userland proxy a published port MUST be reached from the machine at 127.0.0.1 "
    "and at its address, from a peer on the same network and from the container itself.",
    source="libnetwork v17.06: hairpin mode and route_localnet; moby#48664",
    needs=("host-view", "userland-proxy-option"),
    bugs=("moby#48664",),
)
def test_port_is_reached_without_the_proxy(own_daemon):
    daemon = own_daemon({"userland-proxy": False})
    net = daemon.network()
    with ports_of(daemon.host) as ports:
        peer = daemon.run(network=net.name)
        container, port, _ = run_published(daemon.run, ports, network=net.name)
        gateway = address_in(peer, net, "Gateway")
        seen = {
            "the machine by loopback": ports.ask(None, LOOPBACK, port),
            "the machine by address": ports.ask(None, gateway, port),
            "a peer": ports.ask(peer, gateway, port),
            "the container itself": ports.ask(container, gateway, port),
        }
    expect_equal("who answers", dict.fromkeys(seen, "here"), seen)


@behaviour(
    "ports.reach.half-closed",
    "A client that has sent all and closed its side MUST still get the answer, at 127.0.0.1 and "
    "at the engine's address outside.",
    source="moby docker-proxy tcp_proxy v17.06: CloseWrite",
)
def test_half_closed_connection_is_answered(run, outside, sockets, ports):
    beyond, (port,) = outside(), ports.free()
    container = run(ports={f"{INSIDE}/tcp": port})
    server = sockets.serve(container, port=INSIDE)
    for where, address in ((None, LOOPBACK), (beyond.container, beyond.engine_address)):
        client = sockets.make(where, "tcp")
        seen = half_closed_exchange(client, (address, port), server)
        expect_equal("what arrives there and comes back", (b"question", b"answer"), seen)


def half_closed_exchange(client, place, server):
    """Ask, close the client's side, answer; give what arrived at both ends, or why not."""
    try:
        client.connect(place)
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        connection, _ = server.accept()
        with connection:
            arrived = read_to_end(connection)
            connection.sendall(b"answer")
        return arrived, read_to_end(client)
    except OSError as exc:
        return failure_word(exc)


@behaviour(
    "ports.reach.joiner",
    "A port that a container publishes MUST lead to a container that joined its network, too.",
    source="moby v17.06: container mode shares the namespace",
)
def test_port_leads_to_a_joiner(run, ports):
    (port,) = ports.free()
    target = run(ports={f"{INSIDE}/tcp": port})
    joiner = run(network_mode=f"container:{target.id}")
    ports.answer(joiner, INSIDE, "joiner")
    expect_equal("who answers", "joiner", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.reach.chosen-port",
    "A port of the engine's choice MUST be reached where inspect says that it is.",
    source="libnetwork portallocator v17.06",
)
def test_chosen_port_is_reached(run, outside, ports):
    beyond = outside()
    container = run(ports={f"{INSIDE}/tcp": None})
    ports.answer(container, INSIDE, "here")
    port = host_port(container, f"{INSIDE}/tcp")
    expect_in("the port", port, range(1, 65536))
    expect_equal("who answers", "here", ports.ask(beyond.container, beyond.engine_address, port))


@behaviour(
    "ports.reach.sctp",
    "A host outside and the engine's machine MUST reach a published SCTP port at the engine's "
    "address, and inspect MUST show it as `<port>/sctp`.",
    source="libnetwork portmapper v18.05: SCTP",
    needs=("sctp",),
)
def test_sctp_port_is_reached(run, outside, ports):
    beyond = outside()
    container, port, _ = run_published(run, ports, "sctp")
    expect_equal("the port in inspect", port, host_port(container, f"{INSIDE}/sctp"))
    for asker in (beyond.container, None):
        answer = ports.ask(asker, beyond.engine_address, port, kind="sctp")
        expect_equal("who answers", "here", answer)
