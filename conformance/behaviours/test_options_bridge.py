"""The engine's options for the default network: its addresses, gateway, MTU and masquerade.

Each row has an engine of its own. What an option asks for holds for the network `bridge`, unless
the row says more.
"""

import contextlib
import ipaddress

import pytest

from conformance.assertions import (
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_equal,
    expect_not_in,
    expect_refused,
)
from conformance.observe.outside import attach_outside
from conformance.observe.sockets import Sockets, address_in
from conformance.registry import behaviour

PORT = 8080
MTU = 1400
MTU_OPTION = "com.docker.network.driver.mtu"
MASQUERADE_OPTION = "com.docker.network.bridge.enable_ip_masquerade"
BIP, FIXED_CIDR = ("bip-option",), ("bip-option", "fixed-cidr-option")
GATEWAY = ("bip-option", "default-gateway-option")


def first_of(subnet):
    """Give a subnet's first address with the length of its prefix, as the option `bip` has it."""
    network = ipaddress.ip_network(subnet)
    return f"{network[1]}/{network.prefixlen}"


def on_bridge(container):
    """Give a container's endpoint on the default network."""
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"]["bridge"]


def ipam_of(daemon):
    return daemon.inspect_network("bridge")["IPAM"]["Config"][0]


def netns_of(daemon, container):
    container.reload()
    return daemon.host.netns_of(container.attrs["State"]["Pid"])


@behaviour(
    "options.bip.default-network",
    "With the option `bip` the default bridge MUST have that address and no other, and containers "
    "MUST get addresses of its subnet, and it as their gateway.",
    source="moby daemon initBridgeDriver v17.03",
    needs=BIP,
)
def test_bip_is_the_bridges_address(own_daemon, subnets):
    subnet = subnets.ipv4()
    daemon = own_daemon({"bip": first_of(subnet)})
    addresses = daemon.host.daemon_netns().addresses("docker0")
    expect_equal("the addresses of the bridge", [first_of(subnet)], addresses)
    container = daemon.run()
    own, gateway = on_bridge(container), first_of(subnet).partition("/")[0]
    expect_equal("the gateway", gateway, own["Gateway"])
    expect_equal("the default route", gateway, netns_of(daemon, container).default_gateway())
    expect_equal("in the subnet", True, in_subnet(own["IPAddress"], subnet))
    expect_equal("the length of the prefix", 24, own["IPPrefixLen"])


def in_subnet(address, subnet):
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet)


@behaviour(
    "options.bip.shown",
    "With the option `bip` the inspect of the default network MUST show the subnet and the address "
    "as its gateway.",
    source="moby daemon initBridgeDriver v17.03",
    needs=BIP,
)
def test_bip_is_shown(own_daemon, subnets):
    subnet = subnets.ipv4()
    daemon = own_daemon({"bip": first_of(subnet)})
    expected = {"Subnet": subnet, "Gateway": first_of(subnet).partition("/")[0]}
    expect_fields("the pool", expected, ipam_of(daemon))


@behaviour(
    "options.bip.any-address",
    "The address of the option `bip` MAY be any of its subnet; containers MUST then be given the "
    "others, the first one too.",
    source="moby daemon initBridgeDriver v17.03",
    needs=BIP,
)
def test_bip_may_be_in_the_middle(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    daemon = own_daemon({"bip": f"{network[2]}/29"})
    found = [on_bridge(daemon.run())["IPAddress"] for _ in range(3)]
    expect_equal("the addresses", [str(network[n]) for n in (1, 3, 4)], sorted(found))
    expect_equal("the gateway", str(network[2]), ipam_of(daemon)["Gateway"])


@behaviour(
    "options.bip.other-networks-apart",
    "A network whose subnet the engine chooses MUST NOT overlap the subnet of the option `bip`.",
    source="libnetwork ipamutils, ipam/allocator.go getPredefinedPool v17.06",
    needs=BIP,
)
def test_chosen_subnets_keep_off_the_bip(own_daemon):
    # among the pools that an engine chooses from: 172.17.0.0/16 and those after it
    taken = ipaddress.ip_network("172.18.0.0/15")
    daemon = own_daemon({"bip": f"{taken[1]}/15"})
    for _ in range(3):
        net = daemon.network(ipam=None)
        chosen = ipaddress.ip_network(net.attrs["IPAM"]["Config"][0]["Subnet"])
        expect_equal(f"{chosen} overlaps {taken}", False, chosen.overlaps(taken))
    daemon.run(network=net.name)


@behaviour(
    "options.bip.taken-subnet-refused",
    "A network that asks for the subnet of the option `bip` MUST be refused.",
    source="libnetwork ipam ErrPoolOverlap v17.06",
    needs=BIP,
)
def test_subnet_of_the_bip_is_taken(own_daemon, subnets):
    subnet = subnets.ipv4()
    daemon = own_daemon({"bip": first_of(subnet)})
    expect_refused(lambda: daemon.network(subnet=subnet))


@behaviour(
    "options.bip.after-restart",
    "After a restart the engine with the same `bip` MUST have the same default network, and a "
    "container MUST come up in its subnet again.",
    source="moby daemon initBridgeDriver v17.03",
    needs=BIP,
)
def test_bip_holds_after_a_restart(own_daemon, subnets):
    subnet = subnets.ipv4()
    daemon = own_daemon({"bip": first_of(subnet)})
    container = daemon.run()
    before = ipam_of(daemon)
    daemon.engine.restart()
    expect_equal("the pool", before, ipam_of(daemon))
    again = daemon.client.containers.get(container.id)
    again.start()
    expect_equal("in the subnet", True, in_subnet(on_bridge(again)["IPAddress"], subnet))


@behaviour(
    "options.bip.changed",
    "An engine that is started with another `bip` MUST move its default bridge there, and a "
    "container of before MUST start with an address of the new subnet.",
    source="moby daemon initNetworkController, initBridgeDriver v17.03",
    needs=BIP,
)
def test_changed_bip_moves_the_bridge(own_daemon, subnets):
    first, second = subnets.ipv4(), subnets.ipv4()
    daemon = own_daemon({"bip": first_of(first)})
    container = daemon.run()
    daemon.engine.config["bip"] = first_of(second)
    daemon.engine.restart()
    addresses = daemon.host.daemon_netns().addresses("docker0")
    expect_equal("the addresses of the bridge", [first_of(second)], addresses)
    again = daemon.client.containers.get(container.id)
    again.start()
    own = on_bridge(again)
    expect_equal("in the new subnet", True, in_subnet(own["IPAddress"], second))
    expect_equal("the gateway", first_of(second).partition("/")[0], own["Gateway"])


@behaviour(
    "options.fixed-cidr.range",
    "With the option `fixed-cidr` containers on the default network MUST get addresses of that "
    "range, while the subnet and the gateway stay those of `bip`.",
    source="moby daemon initBridgeDriver v17.03: SubPool",
    needs=FIXED_CIDR,
    bugs=("moby#14859",),
)
def test_fixed_cidr_bounds_the_addresses(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    inside = f"{network[128]}/26"
    daemon = own_daemon({"bip": f"{network[1]}/24", "fixed-cidr": inside})
    for _ in range(3):
        own = on_bridge(daemon.run())
        expect_equal("in the range", True, in_subnet(own["IPAddress"], inside))
        expected = {"IPPrefixLen": 24, "Gateway": str(network[1])}
        expect_fields("the endpoint", expected, own)
    expect_equal("the IPRange", inside, ipam_of(daemon).get("IPRange"))


@behaviour(
    "options.fixed-cidr.exhausted",
    "When every address of `fixed-cidr` is taken, a container on the default network MUST NOT "
    "start, and MUST start once one is free.",
    source="libnetwork ipam RequestAddress v17.06",
    needs=FIXED_CIDR,
)
def test_fixed_cidr_is_all_there_is(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    inside = f"{network[8]}/30"
    daemon = own_daemon({"bip": f"{network[1]}/24", "fixed-cidr": inside})
    members = [daemon.run() for _ in range(4)]
    found = {on_bridge(container)["IPAddress"] for container in members}
    expect_equal("the addresses", {str(network[n]) for n in range(8, 12)}, found)
    late = daemon.create()
    expect_refused(late.start)
    members[0].remove(force=True)
    late.start()
    expect_in("the address", on_bridge(late)["IPAddress"], found)


@behaviour(
    "options.fixed-cidr.alone",
    "With the option `fixed-cidr` and no `bip` a new default bridge MUST have the first address of "
    "the range.",
    source="libnetwork ipamAllocateVersion v17.06; measured on 20.10.24 and, changed, on 26.1.5",
    docker="<26.0",
    needs=("fixed-cidr-option",),
    tier="quirk",
)
def test_fixed_cidr_alone_gives_the_gateway(own_daemon):
    # of the subnet that the default bridge has when nobody chooses one
    daemon = own_daemon({"fixed-cidr": "172.17.64.0/24"})
    addresses = daemon.host.daemon_netns().addresses("docker0")
    expect_equal("the addresses of the bridge", ["172.17.64.0/16"], addresses)
    own = on_bridge(daemon.run())
    expected = {"IPAddress": "172.17.64.1", "Gateway": "172.17.64.0", "IPPrefixLen": 16}
    expect_fields("the endpoint", expected, own)


@behaviour(
    "options.fixed-cidr.is-the-subnet",
    "With the option `fixed-cidr` and no `bip` a new default bridge MUST have the range as its "
    "subnet, and its first address.",
    source="moby daemon initBridgeDriver v26.1",
    docker=">=26.0",
    needs=("fixed-cidr-option",),
    bugs=("moby#45356",),
    replaces=("options.fixed-cidr.alone",),
)
def test_fixed_cidr_alone_is_the_subnet(own_daemon, subnets):
    subnet = ipaddress.ip_network(subnets.ipv4())
    daemon = own_daemon({"fixed-cidr": str(subnet)})
    addresses = daemon.host.daemon_netns().addresses("docker0")
    expect_equal("the addresses of the bridge", [f"{subnet[1]}/24"], addresses)
    own = on_bridge(daemon.run())
    expected = {"IPAddress": str(subnet[2]), "Gateway": str(subnet[1]), "IPPrefixLen": 24}
    expect_fields("the endpoint", expected, own)


@behaviour(
    "options.default-gateway.used",
    "With the option `default-gateway` the default route of containers on the default network MUST "
    "lead to that address, and inspect MUST show it as their gateway; the bridge keeps its own.",
    source="libnetwork drivers/bridge setupGatewayIPv4 v17.06",
    needs=GATEWAY,
)
def test_default_gateway_is_the_route(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    bip, gateway = f"{network[1]}/24", str(network[254])
    daemon = own_daemon({"bip": bip, "default-gateway": gateway})
    container = daemon.run()
    expect_equal("the Gateway", gateway, on_bridge(container)["Gateway"])
    expect_equal("the default route", gateway, netns_of(daemon, container).default_gateway())
    addresses = daemon.host.daemon_netns().addresses("docker0")
    expect_equal("the addresses of the bridge", [bip], addresses)


@behaviour(
    "options.default-gateway.not-given-away",
    "The address of the option `default-gateway` MUST NOT be given to a container.",
    source="moby daemon initBridgeDriver v17.03: AuxAddresses",
    needs=GATEWAY,
)
def test_default_gateway_is_reserved(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    daemon = own_daemon({"bip": f"{network[1]}/29", "default-gateway": str(network[3])})
    found = [on_bridge(daemon.run())["IPAddress"] for _ in range(4)]
    expect_equal("the addresses", [str(network[n]) for n in (2, 4, 5, 6)], sorted(found))
    expect_refused(daemon.create().start)


@behaviour(
    "options.default-gateway.shown",
    "The inspect of the default network MUST show the option `default-gateway` as the auxiliary "
    "address `DefaultGatewayIPv4`, and the bridge's own address as its gateway.",
    source="moby daemon initBridgeDriver v17.03: AuxAddresses",
    needs=GATEWAY,
    tier="quirk",
)
def test_default_gateway_is_shown(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    daemon = own_daemon({"bip": f"{network[1]}/24", "default-gateway": str(network[9])})
    expected = {
        "Gateway": str(network[1]),
        "AuxiliaryAddresses": {"DefaultGatewayIPv4": str(network[9])},
    }
    expect_fields("the pool", expected, ipam_of(daemon))


@behaviour(
    "options.default-gateway.default-network-only",
    "The option `default-gateway` MUST NOT change the gateway of a user network.",
    source="moby daemon initBridgeDriver v17.03",
    needs=GATEWAY,
)
def test_default_gateway_leaves_user_networks(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    daemon = own_daemon({"bip": f"{network[1]}/24", "default-gateway": str(network[9])})
    net = daemon.network()
    container = daemon.run(network_mode=net.name)
    wanted = net.attrs["IPAM"]["Config"][0]["Subnet"].replace(".0/24", ".1")
    expect_equal("the Gateway", wanted, address_in(container, net, "Gateway"))
    expect_equal("the default route", wanted, netns_of(daemon, container).default_gateway())


@behaviour(
    "options.mtu.default-network",
    "With the option `mtu` the interfaces of containers on the default network MUST have that MTU.",
    source="moby daemon initBridgeDriver v17.03: DriverMTU",
    needs=("mtu-option",),
)
def test_mtu_is_that_of_the_default_network(own_daemon):
    daemon = own_daemon({"mtu": MTU})
    container = daemon.run()
    expect_equal("the MTU", MTU, netns_of(daemon, container).links()["eth0"]["mtu"])
    options = daemon.inspect_network("bridge")["Options"]
    expect_equal("the option that is shown", str(MTU), options[MTU_OPTION])


@behaviour(
    "options.mtu.user-network-default",
    "The option `mtu` MUST NOT change the MTU of a user network, which is 1500 unless the "
    "network's own option says otherwise.",
    source="moby daemon initBridgeDriver v17.03: the default network's option",
    needs=("mtu-option",),
)
@pytest.mark.parametrize(("option", "expected"), [("", 1500), ("1380", 1380)])
def test_mtu_leaves_user_networks(own_daemon, option, expected):
    daemon = own_daemon({"mtu": MTU})
    net = daemon.network(options={MTU_OPTION: option} if option else {})
    container = daemon.run(network_mode=net.name)
    expect_equal("the MTU", expected, netns_of(daemon, container).links()["eth0"]["mtu"])


@behaviour(
    "options.ip-masq.off",
    "With the option `ip-masq` off a host outside MUST see the container's own address as the "
    "source of what comes from the default network.",
    source="moby daemon initBridgeDriver v17.03: EnableIPMasquerade",
    needs=("ip-masq-option", "host-view"),
)
def test_no_masquerade_for_the_default_network(own_daemon):
    daemon = own_daemon({"ip-masq": False})
    container = daemon.run()
    seen = source_seen_outside(daemon, container)
    expect_equal("whom it sees", on_bridge(container)["IPAddress"], seen)
    options = daemon.inspect_network("bridge")["Options"]
    expect_equal("the option that is shown", "false", options[MASQUERADE_OPTION])


@behaviour(
    "options.ip-masq.user-network",
    "With the option `ip-masq` off what comes from a user network MUST be masqueraded all the "
    "same: its own option decides.",
    source="libnetwork drivers/bridge EnableIPMasquerade v17.06",
    needs=("ip-masq-option", "host-view"),
)
def test_masquerade_for_user_networks_stays(own_daemon):
    daemon = own_daemon({"ip-masq": False})
    container = daemon.run(network_mode=daemon.network().name)
    own = [x["IPAddress"] for x in container.attrs["NetworkSettings"]["Networks"].values()]
    expect_not_in("whom it sees", source_seen_outside(daemon, container), own)


def source_seen_outside(daemon, container):
    """Send a datagram to a host outside, and give the address that it saw it come from."""
    beyond = daemon.run(network_mode="none")
    wire = attach_outside(daemon.host, beyond, daemon.subnets.ipv4(), "ni-wire0")
    with contextlib.closing(Sockets(daemon.host)) as sockets:
        server = sockets.serve(beyond, port=PORT, kind="udp")
        sockets.make(container, "udp").sendto(b"hello", (wire.address, PORT))
        _, (source, _) = server.recvfrom(64)
    return source


@behaviour(
    "options.icc.user-network",
    "With the option `icc` off containers on a user network MUST reach each other all the same.",
    source="libnetwork drivers/bridge EnableICC v17.06: the default network's option",
    needs=("icc-option", "host-view"),
)
def test_icc_off_leaves_user_networks(own_daemon):
    daemon = own_daemon({"icc": False})
    net = daemon.network()
    client, peer = (daemon.run(network_mode=net.name) for _ in range(2))
    apart, alone = daemon.run(), daemon.run()
    with contextlib.closing(Sockets(daemon.host)) as sockets:
        for container in (peer, alone):
            sockets.serve(container, port=PORT)
        outcome = sockets.outcome(client, address_in(peer, net), PORT)
        expect_equal("on the user network", "connected", outcome)
        near = sockets.outcome(None, on_bridge(alone)["IPAddress"], PORT)
        expect_equal("on the default network, from the machine", "connected", near)
        outcome = sockets.outcome(apart, on_bridge(alone)["IPAddress"], PORT)
        expect_not_equal("on the default network", "connected", outcome)


@behaviour(
    "options.refused.bad-value",
    "An engine MUST NOT start with a value of `bip`, `fixed-cidr`, `default-gateway`, `dns` or "
    "`dns-search` that cannot be read, and MUST say which value it was.",
    source="moby daemon/config, initBridgeDriver v17.03",
    needs=(*GATEWAY, "fixed-cidr-option", "dns-option"),
)
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("bip", "10.999.0.1/24"),
        ("fixed-cidr", "10.999.0.0/24"),
        ("default-gateway", "10.999.0.1"),
        ("dns", ["10.999.0.53"]),
        ("dns-search", ["two words"]),
    ],
    ids=["bip", "fixed-cidr", "default-gateway", "dns", "dns-search"],
)
def test_value_that_cannot_be_read_ends_the_start(refused_daemon, option, value):
    told = refused_daemon({option: value})
    expect_in("the end of the log", value if isinstance(value, str) else value[0], told)


@behaviour(
    "options.refused.bip-with-bridge",
    "An engine MUST NOT start with both `bridge` and `bip`.",
    source="moby daemon verifyDaemonSettings v17.03",
    needs=("bridge-option", "bip-option"),
)
def test_bip_with_bridge_ends_the_start(refused_daemon, subnets):
    told = refused_daemon({"bridge": "br9", "bip": first_of(subnets.ipv4())})
    expect_in("the end of the log", "You specified -b & --bip, mutually exclusive options", told)


@behaviour(
    "options.refused.reserved-address",
    "An engine MUST NOT start with a `bip` that is the network's or the broadcast address of its "
    "subnet, or with a `default-gateway` that is the bridge's address or outside the subnet.",
    source="libnetwork ipamAllocateVersion v17.06",
    needs=GATEWAY,
)
@pytest.mark.parametrize(
    ("bip", "gateway", "text"),
    [
        (0, None, "failed to allocate gateway"),
        (255, None, "failed to allocate gateway"),
        (1, 1, "failed to allocate secondary ip address (DefaultGatewayIPv4:"),
        (1, 300, "must belong to the master pool"),
    ],
    ids=["network", "broadcast", "the-bridge", "outside"],
)
def test_reserved_address_ends_the_start(refused_daemon, subnets, bip, gateway, text):
    network = ipaddress.ip_network(subnets.ipv4())
    config = {"bip": f"{network[0] + bip}/24"}
    if gateway is not None:
        config["default-gateway"] = str(network[0] + gateway)
    expect_in("the end of the log", text, refused_daemon(config))


@behaviour(
    "options.refused.missing-bridge",
    "An engine MUST NOT start with a `bridge` that is not there.",
    source="libnetwork drivers/bridge NonDefaultBridgeExistError v17.06",
    needs=("bridge-option",),
)
def test_missing_bridge_ends_the_start(refused_daemon):
    told = refused_daemon({"bridge": "nothere"})
    text = "bridge device with non default name nothere must be created manually"
    expect_in("the end of the log", text, told)
