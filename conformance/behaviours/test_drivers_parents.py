"""The parents of macvlan networks: which links can be one, and what becomes of them."""

import ipaddress

import docker
import pytest

from conformance.assertions import (
    expect_api_error,
    expect_equal,
    expect_in,
    expect_not_in,
    expect_refused,
    expect_true,
)
from conformance.impact.setup import nobody
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

NEEDS = ("macvlan",)
PORT = 8080
BAD_VLANS = (".0", ".4095", ".x", ".1.2")


def on(parent, **options):
    """Give what makes a network a macvlan network on a parent."""
    return {"driver": "macvlan", "options": {"parent": parent, **options}}


@behaviour(
    "drivers.parent.kept",
    "The parent of a macvlan network MUST stay as it was when the network is removed.",
    source="libnetwork drivers/macvlan DeleteNetwork v17.06: only what the driver made goes",
    needs=NEEDS,
)
def test_parent_stays(run, network, wire, subnets, host):
    cable, engine = wire(), host.daemon_netns()
    cable.give_parent(subnets.ipv4().replace(".0/", ".9/"))
    before = (engine.links()[cable.parent]["flags"], engine.addresses(cable.parent))
    net = network(**on(cable.parent))
    run(network=net.name).remove(force=True)
    net.remove()
    expect_in("the links", cable.parent, engine.links())
    after = (engine.links()[cable.parent]["flags"], engine.addresses(cable.parent))
    expect_equal("flags and addresses of the parent", before, after)


@behaviour(
    "drivers.parent.missing",
    "A macvlan network whose parent does not exist MUST NOT be made.",
    source="libnetwork drivers/macvlan createVlanLink v17.06",
    needs=NEEDS,
)
def test_missing_parent_is_refused(network, new_name, client):
    name = new_name("network")
    expect_refused(lambda: network(name, **on("ni-nowhere")))
    expect_not_in("the networks", name, [one.name for one in client.networks.list()])


@behaviour(
    "drivers.parent.missing-text",
    "A parent that does not exist and names no VLAN MUST be refused with 500 `invalid subinterface "
    "vlan name <p>, example formatting is eth0.10`.",
    source="libnetwork drivers/macvlan createVlanLink v17.06",
    tier="quirk",
    needs=NEEDS,
)
def test_missing_parent_is_named(network):
    text = "invalid subinterface vlan name ni-nowhere, example formatting is eth0.10"
    expect_api_error(lambda: network(**on("ni-nowhere")), 500, text)


@behaviour(
    "drivers.parent.loopback",
    "A macvlan network on the loopback interface MUST NOT be made.",
    source="libnetwork drivers/macvlan CreateNetwork v17.06",
    needs=NEEDS,
)
def test_loopback_is_refused(network):
    expect_refused(lambda: network(**on("lo")))


@behaviour(
    "drivers.parent.bad-vlan",
    "A parent that would be a VLAN, but whose number is none of 1 to 4094, MUST be refused, and no "
    "link MUST be made.",
    source="libnetwork drivers/macvlan createVlanLink, parseVlan v17.06",
    needs=NEEDS,
)
@pytest.mark.parametrize("ending", BAD_VLANS)
def test_bad_vlan_is_refused(network, wire, host, ending):
    parent = wire().parent
    before = host.made_by(parent)
    expect_refused(lambda: network(**on(parent + ending)))
    expect_equal("the links", before, host.made_by(parent))


@behaviour(
    "drivers.parent.bad-vlan-text",
    "The refusal of a VLAN's number MUST be a 500 that names it.",
    source="libnetwork drivers/macvlan createVlanLink, parseVlan v17.06",
    tier="quirk",
    needs=NEEDS,
)
@pytest.mark.parametrize(
    ("ending", "text"),
    [
        (".4095", "vlan id must be between 1-4094, received: 4095"),
        (".x", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
        (".1.2", "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10"),
    ],
)
def test_bad_vlan_is_named(network, wire, ending, text):
    parent = wire().parent
    expect_api_error(lambda: network(**on(parent + ending)), 500, text)


@behaviour(
    "drivers.mode.unknown",
    "A macvlan network of an unknown mode MUST NOT be made.",
    source="libnetwork drivers/macvlan CreateNetwork v17.06",
    needs=NEEDS,
)
@pytest.mark.parametrize("mode", ["zzz", "BRIDGE"])
def test_unknown_mode_is_refused(network, wire, client, new_name, mode):
    name, parent = new_name("network"), wire().parent
    expect_refused(lambda: network(name, **on(parent, macvlan_mode=mode)))
    expect_not_in("the networks", name, [one.name for one in client.networks.list()])


@behaviour(
    "drivers.mode.unknown-text",
    "An unknown mode MUST be refused with 500 `requested macvlan mode '<m>' is not valid, 'bridge' "
    "mode is the macvlan driver default`.",
    source="libnetwork drivers/macvlan CreateNetwork v17.06",
    tier="quirk",
    needs=NEEDS,
)
def test_unknown_mode_is_named(network, wire):
    text = "requested macvlan mode 'zzz' is not valid, 'bridge' mode is the macvlan driver default"
    parent = wire().parent
    expect_api_error(lambda: network(**on(parent, macvlan_mode="zzz")), 500, text)


@behaviour(
    "drivers.parent.one-network",
    "A second macvlan network on one parent MUST NOT be made, and MUST be once the first has been "
    "removed.",
    source="libnetwork drivers/macvlan createNetwork v17.06; until moby#47318",
    docker="<28.0",
    needs=NEEDS,
)
def test_second_network_on_a_parent_is_refused(network, wire):
    parent = wire().parent
    first = network(**on(parent))
    expect_refused(lambda: network(**on(parent)))
    first.remove()
    network(**on(parent))


@behaviour(
    "drivers.parent.one-network-text",
    "The refusal MUST be 500 `network dm-<id> is already using parent interface <p>`.",
    source="libnetwork drivers/macvlan createNetwork v17.06; until moby#47318",
    tier="quirk",
    docker="<28.0",
    needs=NEEDS,
)
def test_user_of_the_parent_is_named(network, wire):
    parent = wire().parent
    first = network(**on(parent))
    text = f"network dm-{first.id[:12]} is already using parent interface {parent}"
    expect_api_error(lambda: network(**on(parent)), 500, text)


@behaviour(
    "drivers.parent.several-networks",
    "Several macvlan networks on one parent MUST work, each with its own subnet.",
    source="moby#47318",
    docker=">=28.0",
    needs=NEEDS,
    replaces=("drivers.parent.one-network",),
    concerns=nobody,
)
def test_several_networks_on_a_parent(run, network, wire, sockets):
    parent = wire().parent
    for _ in range(2):
        net = network(**on(parent))
        client, peer = run(network=net.name), run(network=net.name)
        sockets.serve(peer, port=PORT)
        outcome = sockets.outcome(client, address_in(peer, net), PORT)
        expect_equal("the connection", "connected", outcome)


@behaviour(
    "drivers.parent.passthru-alone",
    "A passthru network MUST NOT be made on a parent that has another macvlan network.",
    source="libnetwork drivers/macvlan createNetwork v17.06; moby#47318 keeps it",
    needs=NEEDS,
)
def test_passthru_is_alone_on_its_parent(network, wire):
    parent = wire().parent
    network(**on(parent))
    expect_refused(lambda: network(**on(parent, macvlan_mode="passthru")))


@behaviour(
    "drivers.parent.gone",
    "A start MUST fail while the parent of the container's macvlan network is gone, MUST leave no "
    "endpoint, and MUST work once the parent is back.",
    source="libnetwork drivers/macvlan createMacVlan v17.06",
    needs=NEEDS,
)
def test_start_without_the_parent_fails(create, network, wire, api, inspect_network):
    cable = wire()
    net = network(**on(cable.parent))
    container = create(network=net.name)
    cable.cut()
    answer = api("POST", f"/containers/{container.id}/start")
    expect_equal("it is refused", True, answer.status >= 400)
    expect_equal("the members", {}, inspect_network(net)["Containers"] or {})
    cable.lay()
    container.start()
    expect_in("the members", container.id, inspect_network(net)["Containers"])


@behaviour(
    "drivers.parent.gone-text",
    "The refusal MUST be a 500 that says `the requested parent interface <p> was not found on the "
    "Docker host`.",
    source="libnetwork drivers/macvlan createMacVlan v17.06",
    tier="quirk",
    needs=NEEDS,
)
def test_missing_parent_is_named_at_start(create, network, wire):
    cable = wire()
    container = create(network=network(**on(cable.parent)).name)
    cable.cut()
    text = f"the requested parent interface {cable.parent} was not found on the Docker host"
    expect_api_error(container.start, 500, text)
    cable.lay()


@behaviour(
    "drivers.parent.gone-removal",
    "A macvlan network whose parent is gone MUST be removable, and its containers too.",
    source="libnetwork drivers/macvlan DeleteNetwork v17.06",
    needs=NEEDS,
)
def test_network_without_its_parent_is_removed(run, network, wire, client):
    cable = wire()
    net = network(**on(cable.parent))
    container = run(network=net.name)
    cable.cut()
    container.remove(force=True)
    net.remove()
    expect_not_in("the networks", net.id, [one.id for one in client.networks.list()])


def start_again_and_connect(net, sockets, containers):
    """Start two containers again, and expect the one to reach the other."""
    client, peer = containers
    for container in containers:
        container.restart(timeout=0)
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)


@behaviour(
    "drivers.macvlan.engine-restarted",
    "A macvlan network MUST be there after the engine was restarted, and its containers MUST start "
    "and reach each other.",
    source="libnetwork drivers/macvlan macvlan_store.go populateNetworks v17.06",
    needs=NEEDS,
    bugs=("libnetwork#2571",),
)
def test_network_survives_a_restart(own_daemon, wire, sockets):
    daemon = own_daemon()
    net = daemon.network(**on(wire(daemon).parent))
    containers = [daemon.run(network=net.name) for _ in range(2)]
    daemon.engine.restart()
    start_again_and_connect(net, sockets, containers)


@behaviour(
    "drivers.macvlan.engine-killed",
    "A macvlan network MUST be there after the engine and its containers were killed, and the "
    "containers MUST start again and reach each other.",
    source="libnetwork sandbox_store.go sandboxCleanup v17.06",
    needs=NEEDS,
)
def test_network_survives_a_crash(own_daemon, wire, sockets):
    daemon = own_daemon()
    net = daemon.network(**on(wire(daemon).parent))
    containers = [daemon.run(network=net.name) for _ in range(2)]
    daemon.engine.kill_everything()
    daemon.engine.resume()
    start_again_and_connect(net, sockets, containers)


@behaviour(
    "drivers.parent.dummy",
    "A macvlan network without a parent MUST get a dummy link `dm-<id>` of its own, on which its "
    "containers reach each other; the link goes with the network.",
    source="libnetwork drivers/macvlan createDummyLink, delDummyLink v17.06",
    needs=(*NEEDS, "macvlan-dummy"),
)
def test_network_without_a_parent_gets_a_dummy(run, network, host, sockets):
    net = network(driver="macvlan")
    name = f"dm-{net.id[:12]}"
    kind = host.daemon_netns().links()[name]["linkinfo"]["info_kind"]
    expect_equal("the kind of its link", "dummy", kind)
    client, peer = run(network=net.name), run(network=net.name)
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)
    for container in (client, peer):
        container.remove(force=True)
    net.remove()
    expect_not_in("the links", name, host.daemon_netns().links())


@behaviour(
    "drivers.parent.vlan-made",
    "A parent `<link>.<n>` that is not there MUST be made as the VLAN n of that link, up, and MUST "
    "go with the network.",
    source="libnetwork drivers/macvlan createVlanLink, delVlanLink v17.06",
    needs=(*NEEDS, "macvlan-vlan"),
)
def test_vlan_is_made(run, network, wire, host):
    parent = f"{wire().parent}.10"
    net = network(**on(parent))
    made = host.daemon_netns().links()[parent]
    expect_equal("its VLAN", 10, made["linkinfo"]["info_data"]["id"])
    expect_in("its flags", "UP", made["flags"])
    run(network=net.name).remove(force=True)
    net.remove()
    expect_not_in("the links", parent, host.daemon_netns().links())


@behaviour(
    "drivers.parent.vlan-found",
    "A VLAN that was there before the network MUST stay when the network is removed.",
    source="libnetwork drivers/macvlan DeleteNetwork v17.06: CreatedSlaveLink",
    needs=(*NEEDS, "macvlan-vlan"),
)
def test_found_vlan_stays(network, wire, host):
    cable = wire()
    parent = f"{cable.parent}.20"
    cable.add_vlan(parent, 20)
    network(**on(parent)).remove()
    expect_in("the links", parent, host.daemon_netns().links())


@behaviour(
    "drivers.ipvlan.l2",
    "A container on an ipvlan network MUST have `eth0` of kind ipvlan and mode l2 with its "
    "parent's MAC, the subnet's gateway as its default route, and MUST reach its peers.",
    source="libnetwork drivers/ipvlan ipvlan_joinleave.go Join v17.06",
    needs=("ipvlan",),
)
def test_ipvlan_l2(run, network, wire, host, sockets):
    parent = wire().parent
    net = network(driver="ipvlan", options={"parent": parent})
    client, peer = run(network=net.name), run(network=net.name)
    netns = host.netns_of(client.attrs["State"]["Pid"])
    info = netns.links()["eth0"]["linkinfo"]
    found = (info["info_kind"], info["info_data"]["mode"])
    expect_equal("kind and mode", ("ipvlan", "l2"), found)
    expect_equal("the MAC", host.daemon_netns().mac(parent), netns.mac("eth0"))
    expect_equal("the route", address_in(client, net, "Gateway"), netns.default_gateway())
    sockets.serve(peer, port=PORT)
    outcome = sockets.outcome(client, address_in(peer, net), PORT)
    expect_equal("the connection", "connected", outcome)


@behaviour(
    "drivers.ipvlan.l3",
    "In the mode l3 the default route of a container on an ipvlan network MUST lead out of `eth0` "
    "without a gateway.",
    source="libnetwork drivers/ipvlan ipvlan_joinleave.go Join: AddStaticRoute v17.06",
    needs=("ipvlan",),
)
def test_ipvlan_l3(run, network, wire, host):
    net = network(driver="ipvlan", options={"parent": wire().parent, "ipvlan_mode": "l3"})
    container = run(network=net.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    default = [route for route in netns.routes() if route["dst"] == "default"]
    found = [(route["dev"], route.get("gateway", "")) for route in default]
    expect_equal("the default route", [("eth0", "")], found)


@behaviour(
    "drivers.ipvlan.mode-unknown",
    "An ipvlan network of an unknown mode MUST NOT be made.",
    source="libnetwork drivers/ipvlan CreateNetwork v17.06",
    needs=("ipvlan-driver", "host-view"),
)
def test_unknown_ipvlan_mode_is_refused(network, wire):
    options = {"parent": wire().parent, "ipvlan_mode": "zzz"}
    expect_refused(lambda: network(driver="ipvlan", options=options))


@behaviour(
    "drivers.macvlan.default-pool",
    "A macvlan network without a subnet MUST get one of the default pools, as a bridge network "
    "does.",
    source="libnetwork network.go ipamAllocateVersion v17.06",
    needs=NEEDS,
)
def test_network_without_a_subnet_gets_one(run, network, wire, inspect_network):
    net = network(ipam=docker.types.IPAMConfig(), **on(wire().parent))
    pools = [pool["Subnet"] for pool in inspect_network(net)["IPAM"]["Config"]]
    expect_equal("the number of subnets", 1, len(pools))
    address = ipaddress.ip_address(address_in(run(network=net.name), net))
    expect_true("the address is of that subnet", address in ipaddress.ip_network(pools[0]))
