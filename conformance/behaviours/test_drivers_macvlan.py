"""Macvlan networks: what a container gets, and whom it reaches.

The parent is one end of a wire that the row lays; at the other end is a host.
"""

import docker

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_not_equal,
)
from conformance.observe.poll import eventually
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

NEEDS = ("macvlan",)
PORT = 8080


def on(parent, **options):
    """Give what makes a network a macvlan network on a parent."""
    return {"driver": "macvlan", "options": {"parent": parent, **options}}


def netns_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"])


def router_of(net):
    """Give the first address of a network's subnet, which is its gateway's."""
    subnet = net.attrs["IPAM"]["Config"][0]["Subnet"]
    return subnet.rpartition(".")[0] + ".1"


@behaviour(
    "drivers.macvlan.interface",
    "A container on a macvlan network MUST have one interface, `eth0`, which is a macvlan of mode "
    "bridge with the container's address.",
    source="libnetwork drivers/macvlan macvlan_joinleave.go Join v17.06",
    needs=NEEDS,
)
def test_interface_is_a_macvlan(run, network, wire, host):
    net = network(**on(wire().parent))
    container = run(network=net.name)
    netns = netns_of(host, container)
    links = netns.links()
    expect_equal("the links", ["eth0", "lo"], sorted(links))
    info = links["eth0"]["linkinfo"]
    expect_equal(
        "kind and mode", ("macvlan", "bridge"), (info["info_kind"], info["info_data"]["mode"])
    )
    expect_equal("its addresses", [address_in(container, net) + "/24"], netns.addresses("eth0"))


@behaviour(
    "drivers.macvlan.default-route",
    "The default route of a container on a macvlan network MUST lead to the subnet's gateway, "
    "which is a host on the parent's wire and not the engine.",
    source="libnetwork drivers/macvlan macvlan_joinleave.go Join: SetGateway v17.06",
    needs=NEEDS,
)
def test_default_route_leads_to_a_router_on_the_wire(run, network, wire, host, sockets):
    cable = wire()
    net = network(**on(cable.parent))
    cable.give(router_of(net) + "/24")
    container = run(network=net.name)
    expect_equal("the default route", router_of(net), netns_of(host, container).default_gateway())
    expect_equal("as inspect has it", router_of(net), address_in(container, net, "Gateway"))
    sockets.serve(cable.container, port=PORT)
    outcome = sockets.outcome(container, router_of(net), PORT)
    expect_equal("the connection to the router", "connected", outcome)


@behaviour(
    "drivers.macvlan.peers",
    "Containers on a macvlan network of mode bridge MUST reach each other.",
    source="libnetwork drivers/macvlan v17.06: the mode bridge is the default",
    needs=NEEDS,
)
def test_peers_reach_each_other(run, network, wire, sockets):
    net = network(**on(wire().parent))
    client, peer = run(network=net.name), run(network=net.name)
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)


@behaviour(
    "drivers.macvlan.dns",
    "A container on a macvlan network MUST find its peers by their names, and MUST NOT once they "
    "have stopped.",
    source="libnetwork sandbox_dns_unix.go startResolver v17.06: every user network",
    needs=NEEDS,
)
def test_peers_are_found_by_name(run, network, wire, dns, asker):
    net = network(**on(wire().parent))
    peer, client = run(network=net.name), asker(net)
    expect_equal("the name", [address_in(peer, net)], dns.addresses(client, peer.name))
    peer.stop(timeout=0)
    expect_empty("the name of the stopped peer", dns.addresses(client, peer.name))


@behaviour(
    "drivers.macvlan.own-address-outside",
    "A host on the parent's wire MUST see a container of a macvlan network by the container's own "
    "address, and MUST reach any of its ports there without publishing.",
    source="docs.docker.com engine/network/drivers/macvlan: appears directly on the network",
    needs=NEEDS,
)
def test_hosts_on_the_wire_see_the_container(run, network, wire, sockets):
    cable = wire()
    net = network(**on(cable.parent))
    cable.give(router_of(net) + "/24")
    container = run(network=net.name)
    server = sockets.serve(cable.container, port=PORT)
    outcome = sockets.outcome(container, router_of(net), PORT)
    expect_equal("out", "connected", outcome)
    expect_equal("whom the host sees", address_in(container, net), sockets.source_seen(server))
    sockets.serve(container, port=PORT + 1)
    outcome = sockets.outcome(cable.container, address_in(container, net), PORT + 1)
    expect_equal("in", "connected", outcome)


@behaviour(
    "drivers.macvlan.apart-from-the-engine",
    "The engine's own namespace MUST NOT reach a container on a macvlan network over the parent, "
    "even with an address of the subnet there.",
    source="docs.docker.com engine/network/drivers/macvlan: the host is not reached",
    needs=NEEDS,
)
def test_engine_does_not_reach_the_container(run, network, wire, sockets):
    cable = wire()
    net = network(**on(cable.parent))
    cable.give(router_of(net) + "/24")
    cable.give_parent(router_of(net) + "00/24")
    container = run(network=net.name)
    sockets.serve(container, port=PORT)
    address = address_in(container, net)
    from_the_wire = sockets.outcome(cable.container, address, PORT)
    expect_equal("from the wire", "connected", from_the_wire)
    expect_not_equal("from the engine", "connected", sockets.outcome(None, address, PORT))


@behaviour(
    "drivers.macvlan.nothing-on-the-host",
    "A macvlan network and its containers MUST NOT bring a link, an address or a firewall rule to "
    "the engine's namespace.",
    source="libnetwork drivers/macvlan v17.06: the interface lives in the sandbox",
    needs=NEEDS,
)
def test_nothing_is_made_on_the_host(run, network, wire, subnets, host):
    cable, engine, subnet = wire(), host.daemon_netns(), subnets.ipv4()

    def seen(*ours):
        about = (cable.parent, subnet, subnet.rpartition(".")[0] + ".", *ours)
        return (host.made_by(*about), engine.addresses(cable.parent))

    before = seen()
    net = network(subnet=subnet, **on(cable.parent))
    run(network=net.name)
    expect_equal("links, rules and the parent's addresses", before, seen(net.id[:12]))


@behaviour(
    "drivers.macvlan.ports",
    "A port MUST NOT be published for a container whose only network is a macvlan network.",
    source="libnetwork drivers/macvlan ProgramExternalConnectivity v17.06: does nothing",
    needs=NEEDS,
)
def test_ports_are_not_published(run, network, wire):
    net = network(**on(wire().parent))
    container = run(network=net.name, ports={"80/tcp": None})
    ports = container.attrs["NetworkSettings"]["Ports"]
    expect_empty("the published ports", [port for port in ports.values() if port])


@behaviour(
    "drivers.macvlan.parents-mtu",
    "The interface of a container on a macvlan network MUST have its parent's MTU.",
    source="libnetwork drivers/macvlan createMacVlan v17.06: the kernel's choice",
    needs=NEEDS,
)
def test_mtu_is_the_parents(run, network, wire, host):
    cable = wire()
    cable.set_parent("mtu", "1380")
    net = network(**on(cable.parent))
    container = run(network=net.name)
    expect_equal("the MTU", 1380, netns_of(host, container).links()["eth0"]["mtu"])


@behaviour(
    "drivers.macvlan.asked-addresses",
    "The address and the MAC that a container asks for on a macvlan network MUST be those of its "
    "interface.",
    source="libnetwork drivers/macvlan macvlan_endpoint.go CreateEndpoint v17.06",
    needs=NEEDS,
    bugs=("podman#10283",),
)
def test_asked_addresses_are_given(create, network, wire, host):
    net = network(**on(wire().parent))
    wanted = router_of(net) + "9"
    container = create(network_mode=net.name, mac_address="02:42:0a:0b:0c:0d")
    net.disconnect(container)
    net.connect(container, ipv4_address=wanted)
    container.start()
    netns = netns_of(host, container)
    expect_equal("the addresses", [wanted + "/24"], netns.addresses("eth0"))
    expect_equal("the MAC", address_in(container, net, "MacAddress"), netns.mac("eth0"))


@behaviour(
    "drivers.macvlan.dual-stack",
    "A container on a macvlan network with IPv6 MUST have an address and a default route of either "
    "family.",
    source="libnetwork drivers/macvlan macvlan_joinleave.go Join: SetGatewayIPv6 v17.06",
    needs=NEEDS,
)
def test_dual_stack(run, ipv6_network, wire, host):
    net = ipv6_network(**on(wire().parent))
    container = run(network=net.name)
    netns = netns_of(host, container)
    address = address_in(container, net, "GlobalIPv6Address")
    length = address_in(container, net, "GlobalIPv6PrefixLen")
    found = [one for one in netns.addresses("eth0", "inet6") if not one.startswith("fe80")]
    expect_equal("the IPv6 addresses", [f"{address}/{length}"], found)
    for family, field in (("-4", "Gateway"), ("-6", "IPv6Gateway")):
        gateway = address_in(container, net, field)
        expect_equal(f"the default route {family}", gateway, netns.default_gateway(family))
        expect_not_equal(f"the default route {family}", "", gateway)


@behaviour(
    "drivers.macvlan.several-subnets",
    "On a macvlan network with several subnets a container MUST get its address from the first one "
    "that has one free, or the one it asks for, and the gateway of that subnet.",
    source="libnetwork drivers/macvlan getSubnetforIPv4 v17.06",
    needs=NEEDS,
)
def test_gateway_is_of_the_addresses_subnet(create_raw, client, network, wire, subnets, host):
    pools = [docker.types.IPAMPool(subnet=subnets.ipv4()) for _ in range(2)]
    net = network(ipam=docker.types.IPAMConfig(pool_configs=pools), **on(wire().parent))
    starts = [pool["Subnet"].rpartition(".")[0] for pool in pools]
    for start, asked in ((starts[0], ""), (starts[1], starts[1] + ".77")):
        endpoint = {"IPAMConfig": {"IPv4Address": asked}} if asked else {}
        body = {"HostConfig": {"NetworkMode": net.name}}
        body["NetworkingConfig"] = {"EndpointsConfig": {net.name: endpoint}}
        container = client.containers.get(create_raw(body).json()["Id"])
        container.start()
        netns = netns_of(host, container)
        expect_equal("the default route", start + ".1", netns.default_gateway())
        address = address_in(container, net)
        expect_equal("the address", asked or f"{start}.2", address)
        expect_equal("those of eth0", [f"{address}/24"], netns.addresses("eth0"))


@behaviour(
    "drivers.macvlan.live-connect",
    "A running container that is connected to a macvlan network MUST get a macvlan, and MUST lose "
    "it when it is disconnected; its other network is not touched.",
    source="libnetwork endpoint.sbJoin, sbLeave v17.06",
    needs=NEEDS,
)
def test_interface_comes_and_goes(run, network, wire, host):
    first, net = network(), network(**on(wire().parent))
    container = run(network=first.name)
    netns = netns_of(host, container)
    net.connect(container)
    kinds = [link["linkinfo"]["info_kind"] for name, link in netns.links().items() if name != "lo"]
    expect_equal("the kinds of its links", ["macvlan", "veth"], sorted(kinds))
    net.disconnect(container)
    expect_equal("its links afterwards", ["eth0", "lo"], sorted(netns.links()))
    expect_equal("its address", [address_in(container, first) + "/24"], netns.addresses("eth0"))


@behaviour(
    "drivers.macvlan.restart",
    "A container on a macvlan network MUST have its interface again after each restart, and its "
    "peers MUST reach it.",
    source="libnetwork drivers/macvlan Leave, Join v17.06",
    needs=NEEDS,
)
def test_interface_is_there_after_restarts(run, network, wire, sockets):
    net = network(**on(wire().parent))
    container, peer = run(network=net.name), run(network=net.name)
    for number in range(3):
        container.restart(timeout=0)
        sockets.serve(container, port=PORT + number)
        outcome = sockets.outcome(peer, address_in(container, net), PORT + number)
        expect_equal(f"the connection after restart {number + 1}", "connected", outcome)


@behaviour(
    "drivers.macvlan.internal",
    "A container on an internal macvlan network MUST have no default route, and MUST reach its "
    "peers.",
    source="libnetwork drivers/macvlan macvlan_joinleave.go Join v17.06: no gateway where internal",
    needs=NEEDS,
)
def test_internal_network_has_no_default_route(run, network, wire, host, sockets):
    net = network(internal=True, **on(wire().parent))
    container, peer = run(network=net.name), run(network=net.name)
    expect_equal("the default route", "", netns_of(host, container).default_gateway())
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(container, address_in(peer, net), PORT)
    expect_equal("the connection to the peer", "connected", outcome)


@behaviour(
    "drivers.macvlan.internal-shown",
    "Inspect MUST show no gateway for a container on an internal macvlan network.",
    source="libnetwork drivers/macvlan macvlan_joinleave.go Join v17.06",
    needs=NEEDS,
)
def test_internal_network_shows_no_gateway(run, network, wire):
    net = network(internal=True, **on(wire().parent))
    expect_equal("the gateway", "", address_in(run(network=net.name), net, "Gateway"))


@behaviour(
    "drivers.macvlan.mode-private",
    "In the mode private containers of one macvlan network MUST NOT reach each other, and MUST "
    "reach hosts on the wire.",
    source="libnetwork drivers/macvlan setMacVlanMode v17.06",
    needs=NEEDS,
)
def test_private_keeps_containers_apart(run, network, wire, sockets):
    cable = wire()
    net = network(**on(cable.parent, macvlan_mode="private"))
    cable.give(router_of(net) + "/24")
    client, peer = run(network=net.name), run(network=net.name)
    for server in (peer, cable.container):
        sockets.serve(server, port=PORT)
    outcome = sockets.outcome(client, router_of(net), PORT)
    expect_equal("to the host on the wire", "connected", outcome)
    outcome = sockets.outcome(cable.container, address_in(peer, net), PORT)
    expect_equal("from the wire to the peer", "connected", outcome)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_not_equal("to the peer", "connected", outcome)


@behaviour(
    "drivers.macvlan.mode-passthru",
    "In the mode passthru one container MUST have the parent to itself: the start of a second one "
    "is refused, and works once the first has stopped.",
    source="libnetwork drivers/macvlan createMacVlan v17.06: the kernel takes one",
    needs=NEEDS,
)
def test_passthru_is_for_one(run, create, network, wire, api, inspect_network):
    net = network(**on(wire().parent, macvlan_mode="passthru"))
    first, second = run(network=net.name), create(network=net.name)
    answer = api("POST", f"/containers/{second.id}/start")
    expect_equal("the second one is refused", True, answer.status >= 400)
    members = inspect_network(net)["Containers"]
    expect_equal("the members", [first.id], list(members))
    first.stop(timeout=0)
    second.start()
    members = inspect_network(net)["Containers"]
    expect_equal("the members then", [second.id], list(members))


@behaviour(
    "drivers.macvlan.passthru-mac",
    "The parent of a passthru network MUST have the container's MAC while the container runs, and "
    "its own again afterwards.",
    source="libnetwork osl setInterfaceMAC v17.06; the kernel's mode passthru",
    needs=NEEDS,
)
def test_parent_gets_its_mac_back(run, network, wire, host):
    cable, engine = wire(), host.daemon_netns()
    own = engine.mac(cable.parent)
    net = network(**on(cable.parent, macvlan_mode="passthru"))
    container = run(network=net.name)
    expect_equal("meanwhile", address_in(container, net, "MacAddress"), engine.mac(cable.parent))
    container.stop(timeout=0)
    eventually("the parent has its own MAC", lambda: engine.mac(cable.parent) == own)
