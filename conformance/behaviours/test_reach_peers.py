"""Who reaches whom inside the engine: containers on the same network, on several, on none.

Seen from inside the containers: their processes' own connections, datagrams and pings.
"""

import contextlib
import socket

import pytest

from conformance.assertions import expect_equal, expect_in, expect_match, expect_not_equal
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

PORT = 8080
# As process 1 httpd itself would not hear SIGTERM, with which some engines begin a removal.
HTTPD = ["sh", "-c", f"trap 'exit 0' TERM; httpd -f -p {PORT} & wait"]
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2  # <linux/in.h>: no fragments
PINGS = ["NET_RAW"]  # the right to ping, which not every engine gives by default


@behaviour(
    "reach.peer.by-name",
    "Containers on one user network MUST reach each other by name, with ping and with TCP.",
    source="libnetwork drivers/bridge v17.06; moby docs, user-defined bridges",
)
def test_peers_reach_each_other_by_name(run, network, exec_in):
    net = network()
    one, two = (run(HTTPD, network=net.name, cap_add=PINGS) for _ in range(2))
    for asker, peer in ((one, two), (two, one)):
        ping = exec_in(asker, "ping", "-c1", "-W2", peer.name)
        expect_equal("the exit code of ping", 0, ping.exit_code)
        page = exec_in(asker, "wget", "-q", "-O-", f"http://{peer.name}:{PORT}/")
        expect_match("the answer over TCP", ".*404 Not Found.*", page.stderr)


@behaviour(
    "reach.peer.tcp",
    "Containers on one user network MUST reach each other's TCP ports by address, and each MUST "
    "see the other's own address.",
    source="libnetwork drivers/bridge v17.06",
)
def test_peers_reach_each_other_over_tcp(run, network, sockets):
    net = network()
    client, peer = run(network=net.name), run(network=net.name)
    server = sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)
    expect_equal("whom the server sees", address_in(client, net), sockets.source_seen(server))


@behaviour(
    "reach.peer.udp",
    "Containers on one user network MUST exchange datagrams, and each MUST see the other's own "
    "address.",
    source="libnetwork drivers/bridge v17.06",
)
def test_peers_exchange_datagrams(run, network, sockets):
    net = network()
    client, peer = run(network=net.name), run(network=net.name)
    server, sender = sockets.serve(peer, port=PORT, kind="udp"), sockets.make(client, "udp")
    sender.sendto(b"question", (address_in(peer, net), PORT))
    data, source = sockets.received_from(server)
    expect_equal("the datagram", (b"question", address_in(client, net)), (data, source[0]))
    server.sendto(b"answer", source)
    expect_equal("the answer", b"answer", sockets.received(sender))


@behaviour(
    "reach.peer.default-network",
    "Containers on the default network MUST reach each other by address.",
    source="libnetwork drivers/bridge v17.06: icc is on",
)
def test_peers_on_bridge_reach_each_other(run, sockets):
    client, peer = run(), run()
    sockets.serve(peer, port=PORT)
    address = peer.attrs["NetworkSettings"]["IPAddress"]
    outcome = sockets.outcome(client, address, PORT)
    expect_equal("the connection", "connected", outcome)


@behaviour(
    "reach.peer.ipv6",
    "Containers on a user network with IPv6 MUST reach each other by IPv6 address, and by name "
    "over IPv6.",
    source="libnetwork drivers/bridge v17.06",
)
def test_peers_reach_each_other_over_ipv6(run, ipv6_network, sockets, exec_in):
    net = ipv6_network()
    client, peer = run(network=net.name, cap_add=PINGS), run(network=net.name)
    server = sockets.serve(peer, "::", PORT)
    outcome = sockets.outcome(client, address_in(peer, net, "GlobalIPv6Address"), PORT)
    expect_equal("the connection", "connected", outcome)
    wanted = address_in(client, net, "GlobalIPv6Address")
    expect_equal("whom the server sees", wanted, sockets.source_seen(server))
    ping = exec_in(client, "ping", "-6", "-c1", "-W2", peer.name)
    expect_equal("the exit code of ping by name", 0, ping.exit_code)


@behaviour(
    "reach.peer.itself",
    "A container MUST reach its own port by its own address and by localhost.",
    source="libnetwork sandbox v17.06: lo is up",
)
def test_container_reaches_itself(run, network, sockets):
    net = network()
    container = run(network=net.name)
    sockets.serve(container, port=PORT)
    for address in (address_in(container, net), "127.0.0.1"):
        expect_equal(address, "connected", sockets.outcome(container, address, PORT))


@behaviour(
    "reach.peer.closed-port",
    "A port on which nothing listens MUST be refused by a peer at once, not met with silence.",
    source="libnetwork drivers/bridge v17.06",
)
def test_closed_port_is_refused(run, network, sockets):
    net = network()
    client, peer = run(network=net.name), run(network=net.name)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "refused", outcome)


@behaviour(
    "reach.peer.icc-off",
    "On a network with enable_icc=false containers MUST NOT reach each other, but MUST reach "
    "their gateway.",
    source="libnetwork drivers/bridge setIcc v17.06",
)
def test_peers_without_icc_are_apart(run, network, sockets, exec_in):
    net, other = network(options={"com.docker.network.bridge.enable_icc": "false"}), network()
    client, peer = run(network=net.name, cap_add=PINGS), run(network=net.name)
    sockets.serve(peer, port=PORT)
    for container in (client, peer):
        other.connect(container)
    plain = sockets.outcome(client, address_in(peer, other), PORT)
    expect_equal("TCP to the peer on another network", "connected", plain)
    address, gateway = address_in(peer, net), address_in(client, net, "Gateway")
    expect_equal("TCP to the peer", "silence", sockets.outcome(client, address, PORT))
    pings = [exec_in(client, "ping", "-c1", "-W1", to).exit_code for to in (address, gateway)]
    expect_equal("ping to the peer and to the gateway", [1, 0], pings)


@behaviour(
    "reach.peer.gateway",
    "A container MUST reach the gateway of its network, and there the engine's own ports.",
    source="libnetwork drivers/bridge v17.06: the bridge has the gateway's address",
)
@pytest.mark.parametrize("is_user_network", [False, True])
def test_gateway_is_reached(run, network, sockets, is_user_network):
    container = run(network=network().name) if is_user_network else run()
    (endpoint,) = container.attrs["NetworkSettings"]["Networks"].values()
    server = sockets.serve(None, endpoint["Gateway"])
    outcome = sockets.outcome(container, *server.getsockname())
    expect_equal("the connection", "connected", outcome)
    expect_equal("whom the engine sees", endpoint["IPAddress"], sockets.source_seen(server))


@behaviour(
    "reach.peer.mtu",
    "The MTU option of a network MUST be that of its containers' interfaces, and packets of that "
    "size MUST get through unfragmented.",
    source="libnetwork drivers/bridge com.docker.network.driver.mtu v17.06",
)
@pytest.mark.parametrize("mtu", [1280, 1476])
def test_mtu_is_that_of_the_network(run, network, host, sockets, mtu):
    net = network(options={"com.docker.network.driver.mtu": str(mtu)})
    one, two = run(network=net.name), run(network=net.name)
    for container in (one, two):
        eth0 = host.netns_of(container.attrs["State"]["Pid"]).links()["eth0"]
        expect_equal("the MTU", mtu, eth0["mtu"])
    server, sender = sockets.serve(two, port=PORT, kind="udp"), sockets.make(one, "udp")
    sender.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    whole = b"." * (mtu - 28)  # 20 bytes of IP and 8 of UDP in front
    sender.sendto(whole, (address_in(two, net), PORT))
    expect_equal("the bytes that arrive", len(whole), len(sockets.received(server)))


@behaviour(
    "reach.apart.user-networks",
    "Containers on two user networks MUST NOT reach each other by address.",
    source="libnetwork drivers/bridge DOCKER-ISOLATION v17.06",
)
def test_user_networks_are_apart(run, network, sockets, exec_in):
    nets = network(), network()
    one, two = (run(network=net.name, cap_add=PINGS) for net in nets)
    for container in (one, two):
        sockets.serve(container, port=PORT)
    for client, peer, net in ((one, two, nets[1]), (two, one, nets[0])):
        address, gateway = address_in(peer, net), address_in(peer, net, "Gateway")
        expect_equal("TCP from the machine", "connected", sockets.outcome(None, address, PORT))
        way = exec_in(client, "ping", "-c1", "-W2", gateway).exit_code
        expect_equal("ping to the peer's gateway", 0, way)
        expect_equal("TCP", "silence", sockets.outcome_apart(client, address, PORT))
        pings = [exec_in(client, "ping", "-c1", "-W1", address) for _ in range(sockets.tries_apart)]
        expect_in("ping", 1, [ping.exit_code for ping in pings])


@behaviour(
    "reach.apart.default-network",
    "A container on the default network and one on a user network MUST NOT reach each other by "
    "address.",
    source="libnetwork drivers/bridge DOCKER-ISOLATION v17.06",
)
def test_default_and_user_network_are_apart(run, network, sockets):
    net = network()
    on_bridge, on_net = run(), run(network=net.name)
    bridge_address = on_bridge.attrs["NetworkSettings"]["IPAddress"]
    for container, address in ((on_bridge, bridge_address), (on_net, address_in(on_net, net))):
        sockets.serve(container, port=PORT)
        expect_equal("from the machine", "connected", sockets.outcome(None, address, PORT))
    to_net = sockets.outcome_apart(on_bridge, address_in(on_net, net), PORT)
    to_bridge = sockets.outcome_apart(on_net, bridge_address, PORT)
    expect_equal("from and to `bridge`", ("silence", "silence"), (to_net, to_bridge))


@behaviour(
    "reach.apart.no-transit",
    "A container on two networks MUST reach the containers on both, and MUST NOT make them reach "
    "each other.",
    source="libnetwork drivers/bridge DOCKER-ISOLATION v17.06",
)
def test_container_on_two_networks_reaches_both(run, network, sockets):
    nets = network(), network()
    one, two, middle = run(network=nets[0].name), run(network=nets[1].name), run()
    for net in nets:
        net.connect(middle)
    for container in (one, two, middle):
        sockets.serve(container, port=PORT)
    for peer, net in ((one, nets[0]), (two, nets[1])):
        outcome = sockets.outcome(middle, address_in(peer, net), PORT)
        expect_equal("from the middle", "connected", outcome)
    to_two = sockets.outcome_apart(one, address_in(two, nets[1]), PORT)
    to_middle = sockets.outcome_apart(one, address_in(middle, nets[1]), PORT)
    expect_equal("to the other, to the middle there", ("silence", "silence"), (to_two, to_middle))


@behaviour(
    "reach.none.nobody",
    "A container in mode `none` MUST reach nobody but itself.",
    source="libnetwork drivers/null v17.06",
)
def test_none_reaches_only_itself(run, network, sockets):
    net = network()
    alone, other = run(network_mode="none"), run(network=net.name)
    for container in (alone, other):
        sockets.serve(container, port=PORT)
    server = sockets.serve(None, address_in(other, net, "Gateway"))
    for address, port in ((address_in(other, net), PORT), server.getsockname()):
        near = sockets.outcome(run(network=net.name), address, port)
        expect_equal("from the network", "connected", near)
        outcome = sockets.outcome(alone, address, port)
        expect_equal("the connection", "unreachable", outcome)
    expect_equal("itself", "connected", sockets.outcome(alone, "127.0.0.1", PORT))


@behaviour(
    "reach.host.all-networks",
    "A container in host mode MUST reach the containers on every network of the engine.",
    source="moby daemon v17.06: host mode shares the engine's namespace",
)
def test_host_mode_reaches_every_network(run, network, sockets):
    net = network()
    in_host, on_bridge, on_net = run(network_mode="host"), run(), run(network=net.name)
    for container in (on_bridge, on_net):
        sockets.serve(container, port=PORT)
    bridge_address = on_bridge.attrs["NetworkSettings"]["IPAddress"]
    for address in (bridge_address, address_in(on_net, net)):
        outcome = sockets.outcome(in_host, address, PORT)
        expect_equal("the connection", "connected", outcome)


@behaviour(
    "reach.container.localhost",
    "A container that joined another's network MUST reach its ports on localhost, and its peers "
    "MUST reach the joiner's ports by the other's name.",
    source="seed initializeNetworking, IsContainer branch; moby v17.06",
)
def test_joiner_shares_localhost(run, network, sockets, exec_in):
    net = network()
    target, peer = run(network=net.name), run(network=net.name)
    joiner = run(HTTPD, network_mode=f"container:{target.id}")
    sockets.serve(target, port=PORT + 1)
    outcome = sockets.outcome(joiner, "127.0.0.1", PORT + 1)
    expect_equal("from the joiner", "connected", outcome)
    page = exec_in(peer, "wget", "-q", "-O-", f"http://{target.name}:{PORT}/")
    expect_match("the joiner's answer to the peer", ".*404 Not Found.*", page.stderr)


@behaviour(
    "reach.changes.connect",
    "A container MUST reach its new peers, and be reached by them, as soon as it was connected.",
    source="libnetwork endpoint.sbJoin v17.06",
)
def test_connect_opens_the_way(run, network, sockets):
    net = network()
    peer, comer = run(network=net.name), run()
    for container in (peer, comer):
        sockets.serve(container, port=PORT)
    net.connect(comer)
    there = sockets.outcome(comer, address_in(peer, net), PORT)
    back = sockets.outcome(peer, address_in(comer, net), PORT)
    expect_equal("there and back", ("connected", "connected"), (there, back))


@behaviour(
    "reach.changes.disconnect",
    "A disconnect MUST end all traffic at once, of connections that stand, too.",
    source="libnetwork endpoint.sbLeave v17.06",
)
def test_disconnect_ends_traffic(run, network, sockets):
    net = network()
    peer, leaver = run(network=net.name), run(network=net.name)
    address = address_in(leaver, net)
    server, sender = sockets.serve(leaver, port=PORT, kind="udp"), sockets.make(peer, "udp")
    listener, standing = sockets.serve(leaver, port=PORT), sockets.make(peer, "tcp")
    standing.connect((address, PORT))
    taken, _ = listener.accept()
    sender.sendto(b"before", (address, PORT))
    standing.sendall(b"before")
    expect_equal("before", (b"before",) * 2, (sockets.received(server), sockets.received(taken)))
    net.disconnect(leaver)
    sender.sendto(b"after", (address, PORT))
    expect_equal("after", b"", sockets.received(server, timeout_s=0.5))
    with contextlib.suppress(OSError):  # it may have been told by now that there is no way
        standing.sendall(b"after")
    expect_equal("over the connection", b"", sockets.received(taken, timeout_s=0.5))
    taken.close()
    expect_not_equal("a connection", "connected", sockets.outcome(peer, address, PORT))


@behaviour(
    "reach.changes.other-network-stays",
    "A disconnect from one network MUST leave the traffic on the others as it is.",
    source="libnetwork endpoint.sbLeave v17.06",
)
def test_disconnect_leaves_the_others(run, network, sockets):
    stays, goes = network(), network()
    peer, container = run(network=stays.name), run(network=stays.name)
    goes.connect(container)
    server = sockets.serve(container, port=PORT, kind="udp")
    sender = sockets.make(peer, "udp")
    sender.connect((address_in(container, stays), PORT))
    for text in (b"before", b"after"):
        sender.send(text)
        expect_equal("what arrives", text, sockets.received(server))
        if text == b"before":
            goes.disconnect(container)


@behaviour(
    "reach.changes.new-address",
    "A container that was started anew with another address MUST be reached there, by its name, "
    "and its old address MUST be that of whoever has it now.",
    source="moby daemon releaseNetwork, allocateNetwork v17.06",
)
def test_container_is_reached_at_its_new_address(run, network, sockets, exec_in):
    net = network()
    client, peer = run(network=net.name, cap_add=PINGS), run(network=net.name)
    old = address_in(peer, net)
    expect_equal("ping before", 0, exec_in(client, "ping", "-c1", "-W2", peer.name).exit_code)
    peer.stop()
    heir = run()
    net.connect(heir, ipv4_address=old)
    peer.start()
    for container, port in ((peer, PORT), (heir, PORT + 1)):
        sockets.serve(container, port=port)
    new = address_in(peer, net)
    seen = [sockets.outcome(client, where, PORT) for where in (new, old)]
    expect_equal("the container's port at its new and old address", ["connected", "refused"], seen)
    ping = exec_in(client, "ping", "-c1", "-W2", peer.name)
    expect_match("ping by name", rf"PING \S+ \({new}\).* 0% packet loss.*", ping.stdout)


@behaviour(
    "reach.changes.stopped",
    "Nobody MUST be reached at the address of a container that was stopped.",
    source="moby daemon releaseNetwork v17.06",
)
def test_stopped_container_is_not_reached(run, network, sockets):
    net = network()
    client, peer = run(network=net.name), run(network=net.name)
    address = address_in(peer, net)
    before = sockets.outcome(client, address, PORT)
    peer.stop()
    after = sockets.outcome(client, address, PORT)
    expect_equal("a closed port, before", "refused", before)
    expect_not_equal("a closed port, after", "refused", after)


def with_strangers_over_ipv6(setup):
    routed = [one for one in setup.containers if setup.has_ipv6_route(one)]
    if not setup.crosses("25.0"):  # since then nobody on internal networks alone has a route
        routed = [one for one in routed if setup.default_route(one)]
    there = {end.network: one.name for one in routed for end in one.endpoints if end.address6}
    for one in routed:
        own = {end.network for end in one.endpoints}
        stranger = next((name for network, name in there.items() if network not in own), "")
        if stranger:
            why = f"it has IPv6, and so has {stranger} on another network"
            yield one.effect("reach over IPv6", why, "they no longer reach each other by IPv6")


@behaviour(
    "reach.apart.ipv6",
    "Containers on two user networks MUST NOT reach each other by IPv6 address.",
    source="moby v27.0: ip6tables is on",
    docker=">=27.0",
    bugs=("netavark#1515",),
    concerns=with_strangers_over_ipv6,
)
def test_user_networks_are_apart_over_ipv6(run, ipv6_network, sockets):
    nets = ipv6_network(), ipv6_network()
    client, peer, stranger = (run(network=nets[which].name) for which in (1, 1, 0))
    for container in (peer, stranger):
        sockets.serve(container, "::", PORT)
    # the first packets on a new network wait until its addresses are known to be unique
    near = sockets.outcome(client, address_in(peer, nets[1], "GlobalIPv6Address"), PORT)
    gateway = sockets.outcome(client, address_in(client, nets[1], "IPv6Gateway"), PORT, timeout_s=5)
    far = sockets.outcome_apart(client, address_in(stranger, nets[0], "GlobalIPv6Address"), PORT)
    expect_equal("near, at the gateway", ("connected", "refused"), (near, gateway))
    expect_not_equal("far", "connected", far)
