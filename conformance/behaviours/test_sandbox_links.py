"""The links of a sandbox: the pair of each endpoint, its names, and the bridge on the host."""

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_in,
    expect_match,
    expect_not_in,
)
from conformance.observe.poll import eventually
from conformance.registry import behaviour

DEFAULT_MTU, OTHER_MTU = 1500, 1380


def endpoint_of(container, net):
    """Give a container's endpoint on a network, as its inspect was when it was last read."""
    return container.attrs["NetworkSettings"]["Networks"][net.name]


def gateway_cidr(net):
    """Give a network's gateway with the length of its prefix: nobody chose another than `.1`."""
    subnet = net.attrs["IPAM"]["Config"][0]["Subnet"]
    address, _, length = subnet.partition("/")
    return f"{address.rpartition('.')[0]}.1/{length}"


def bridge_of(host, net):
    """Give the name of the link on the host that has the network's gateway address."""
    address, _, _ = gateway_cidr(net).partition("/")
    found = host.daemon_netns().links_with(address)
    expect_equal("the number of links with the gateway's address", 1, len(found))
    return found[0]


def host_side_of(host, container, name="eth0"):
    """Give the link on the host that is the other end of a container's interface."""
    inner = host.netns_of(container.attrs["State"]["Pid"]).links()
    expect_in("the links of the container", name, sorted(inner))
    links = host.daemon_netns().links().values()
    found = [link for link in links if link["ifindex"] == inner[name].get("link_index")]
    expect_equal(f"the number of links at the other end of {name}", 1, len(found))
    return found[0]


@behaviour(
    "sandbox.pair.port-of-the-bridge",
    "Each endpoint on a bridge network MUST be a veth pair: one end in the container, the other a "
    "port of the bridge that has the network's gateway address.",
    source="libnetwork drivers/bridge CreateEndpoint v17.06",
)
def test_endpoint_is_a_pair_on_the_bridge(run, network, host):
    first, second = network(), network()
    container = run(network_mode=first.name)
    second.connect(container)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    for net, name in ((first, "eth0"), (second, "eth1")):
        expect_equal("the kind", "veth", netns.links()[name]["linkinfo"]["info_kind"])
        outer = host_side_of(host, container, name)
        expect_equal("the bridge", bridge_of(host, net), outer.get("master"))
        expect_in("the flags of the host's end", "UP", outer["flags"])


@behaviour(
    "sandbox.pair.host-name",
    "The host's end of an endpoint's pair MUST be called `veth` and seven hex digits, and no two "
    "alike.",
    source="libnetwork netutils.GenerateIfaceName v17.06",
    tier="quirk",
)
def test_hosts_end_has_a_random_name(run, network, host):
    net = network()
    names = {host_side_of(host, run(network_mode=net.name))["ifname"] for _ in range(2)}
    expect_equal("the number of names", 2, len(names))
    for name in names:
        expect_match("the name", "veth[0-9a-f]{7}", name)


@behaviour(
    "sandbox.pair.mtu",
    "Both ends of an endpoint's pair MUST have the MTU of its network.",
    source="libnetwork drivers/bridge CreateEndpoint v17.06",
)
def test_both_ends_have_the_mtu(run, network, host):
    small = network(options={"com.docker.network.driver.mtu": str(OTHER_MTU)})
    for net, mtu in ((small, OTHER_MTU), (network(), DEFAULT_MTU)):
        container = run(network_mode=net.name)
        inner = host.netns_of(container.attrs["State"]["Pid"]).links()["eth0"]
        outer = host_side_of(host, container)
        expect_equal("the MTU of both ends", (mtu, mtu), (inner["mtu"], outer["mtu"]))


@behaviour(
    "sandbox.pair.gone-with-the-namespace",
    "The pair of an endpoint MUST be gone from the host when its container ends.",
    source="libnetwork drivers/bridge Leave, DeleteEndpoint v17.06",
)
def test_pair_goes_with_the_container(run, network, host):
    net = network()
    container, other = run(network_mode=net.name), run(network_mode=net.name)
    outer, kept = (host_side_of(host, one)["ifname"] for one in (container, other))
    container.kill()
    container.wait(timeout=30)
    eventually("the pair is gone", lambda: outer not in host.daemon_netns().links())
    expect_in("the links of the host", kept, sorted(host.daemon_netns().links()))


@behaviour(
    "sandbox.interface.one-per-network",
    "The interfaces of a started container MUST be called `eth0`, `eth1` and so on, one for each "
    "of its networks, beside `lo`.",
    source="libnetwork osl nextIfIndex, drivers/bridge Join v17.06",
)
def test_interfaces_are_counted_from_zero(create, network, inspect, host):
    nets = [network() for _ in range(3)]
    container = create(network_mode=nets[0].name)
    for net in nets[1:]:
        net.connect(container)
    for start in (1, 2):
        container.start()
        links = host.netns_of(inspect(container)["State"]["Pid"]).links()
        expect_equal(f"the links of start {start}", ["eth0", "eth1", "eth2", "lo"], sorted(links))
        container.stop()


@behaviour(
    "sandbox.interface.by-address",
    "Each address that inspect reports for a network MUST be on an interface whose MAC address is "
    "that of the same network in inspect.",
    source="libnetwork sandbox.populateNetworkResources v17.06",
)
def test_each_network_has_its_interface(create, network, host):
    nets = [network() for _ in range(3)]
    container = create(network_mode=nets[0].name)
    for net in nets[1:]:
        net.connect(container)
    container.start()
    container.reload()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    names = (name for name in netns.links() if name != "lo")
    found = {(netns.mac(name), *netns.addresses(name)) for name in names}
    endpoints = [endpoint_of(container, net) for net in nets]
    wanted = {(e["MacAddress"], f"{e['IPAddress']}/{e['IPPrefixLen']}") for e in endpoints}
    expect_equal("the interfaces", wanted, found)


def interfaces_by_network(host, container, nets):
    """Give the name of the interface of each network, in the order of the networks."""
    container.reload()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    by_mac = {link["address"]: name for name, link in netns.links().items()}
    return [by_mac.get(endpoint_of(container, net)["MacAddress"], "none") for net in nets]


@behaviour(
    "sandbox.interface.numbered-by-name",
    "When a container starts, its interfaces MUST be numbered by the names of their networks, in "
    "whichever order they are connected.",
    source="libnetwork sandbox.SetKey, epHeap.Less v17.06; numbered as connected since v28.0",
    docker="<28.0",
    tier="quirk",
)
def test_interfaces_follow_the_names(create, network, new_name, host):
    prefix = new_name("order")
    first, middle, last = (network(f"{prefix}-{word}") for word in "amz")
    container = create(network_mode=middle.name)
    for net in (last, first):
        net.connect(container)
    for _ in range(2):
        container.start()
        found = interfaces_by_network(host, container, (first, middle, last))
        expect_equal("the interfaces", ["eth0", "eth1", "eth2"], found)
        container.stop()


def on_several_networks(setup):
    for one in setup.containers:
        if one.has_own_network and len(one.endpoints) > 1 and one.runs:
            why = f"it is on {len(one.endpoints)} networks"
            change = "which of them is eth0 can be another at each start; the routes stay"
            yield one.effect("links", why, change, is_certain=False)


@behaviour(
    "sandbox.interface.numbered-as-connected",
    "When a container starts, its interfaces MUST be numbered in the order in which its networks "
    "are connected.",
    source="libnetwork sandbox v28.0",
    docker=">=28.0",
    tier="quirk",
    replaces=("sandbox.interface.numbered-by-name",),
    concerns=on_several_networks,
)
def test_interfaces_follow_the_connects(create, network, events, host):
    nets = [network() for _ in range(3)]
    container = create(network_mode=nets[0].name)
    for net in nets[1:]:
        net.connect(container)
    events.restart()
    container.start()
    told = events.collect("network", actor=container.id)
    order = [next(net for net in nets if net.id == event.actor) for event in told]
    expect_equal("the number of connects", 3, len(order))
    found = interfaces_by_network(host, container, order)
    expect_equal("the interfaces", ["eth0", "eth1", "eth2"], found)


@behaviour(
    "sandbox.interface.number-not-reused",
    "The number of an interface that a live disconnect took away MUST NOT be given to another one "
    "before the next start.",
    source="libnetwork osl nextIfIndex v17.06; the lowest free one since v28.0",
    docker="<28.0",
    tier="quirk",
)
def test_number_is_not_used_again(run, network, host):
    first, second, third = network(), network(), network()
    container = run(network_mode=first.name)
    second.connect(container)
    second.disconnect(container)
    third.connect(container)
    found = interfaces_by_network(host, container, (first, third))
    expect_equal("the interfaces", ["eth0", "eth2"], found)
    container.restart(timeout=0)
    found = interfaces_by_network(host, container, (first, third))
    expect_equal("the interfaces after a restart", ["eth0", "eth1"], sorted(found))


@behaviour(
    "sandbox.interface.lowest-free-number",
    "A live connect MUST give the interface the lowest number that is free, also one that a live "
    "disconnect set free.",
    source="libnetwork osl v28.0",
    docker=">=28.0",
    tier="quirk",
    replaces=("sandbox.interface.number-not-reused",),
)
def test_lowest_free_number_is_used(run, network, host):
    first, second, third, fourth = (network() for _ in range(4))
    container = run(network_mode=first.name)
    for net in (second, third):
        net.connect(container)
    second.disconnect(container)
    fourth.connect(container)
    found = interfaces_by_network(host, container, (first, third, fourth))
    expect_equal("the interfaces", ["eth0", "eth2", "eth1"], found)


@behaviour(
    "sandbox.bridge.named-after-network",
    "The bridge of a user network MUST be called `br-` and the first 12 digits of the network's "
    "id.",
    source="libnetwork drivers/bridge parseNetworkOptions v17.06",
)
def test_bridge_is_named_after_its_network(run, network, host):
    net = network()
    outer = host_side_of(host, run(network_mode=net.name))
    expect_equal("the bridge of a container", f"br-{net.id[:12]}", outer.get("master"))


@behaviour(
    "sandbox.bridge.made-with-network",
    "The bridge of a user network MUST be there, up and with the gateway's address, as soon as the "
    "network is made.",
    source="libnetwork drivers/bridge CreateNetwork v17.06",
)
def test_bridge_is_made_with_its_network(network, host):
    net = network()
    link = host.daemon_netns().links()[bridge_of(host, net)]
    expect_equal("the kind", "bridge", link["linkinfo"]["info_kind"])
    expect_in("the flags", "UP", link["flags"])


@behaviour(
    "sandbox.bridge.default-is-docker-zero",
    "The bridge of the default network MUST be called `docker0`, and say so in the network's "
    "options.",
    source="libnetwork drivers/bridge DefaultBridgeName v17.06",
)
def test_default_bridge_is_docker_zero(run, inspect_network, host):
    outer = host_side_of(host, run())
    expect_equal("the bridge of a container", "docker0", outer.get("master"))
    options = inspect_network("bridge")["Options"]
    expect_equal("the option", "docker0", options["com.docker.network.bridge.name"])


@behaviour(
    "sandbox.bridge.gateway-address",
    "The bridge of a network MUST have the gateway's address with the length of the subnet's "
    "prefix, and no other IPv4 address, while a container is on the network.",
    source="libnetwork drivers/bridge setupBridgeIPv4 v17.06",
)
def test_bridge_has_the_gateways_address(run, network, host):
    net = network()
    container = run(network_mode=net.name)
    bridge = host_side_of(host, container)["master"]
    addresses = host.daemon_netns().addresses(bridge)
    expect_equal("the addresses of the bridge", [gateway_cidr(net)], addresses)
    gateway = endpoint_of(container, net)["Gateway"]
    expect_equal("the gateway", gateway_cidr(net).partition("/")[0], gateway)


@behaviour(
    "sandbox.bridge.gone-with-network",
    "The bridge of a user network MUST go, with its address and its routes, when the network is "
    "removed.",
    source="libnetwork drivers/bridge DeleteNetwork v17.06",
)
def test_bridge_goes_with_its_network(run, network, host):
    net = network()
    container = run(network_mode=net.name)
    bridge = host_side_of(host, container)["master"]
    container.remove(force=True)
    net.remove()
    netns = host.daemon_netns()
    expect_not_in("the links of the host", bridge, sorted(netns.links()))
    subnet = net.attrs["IPAM"]["Config"][0]["Subnet"]
    expect_empty("the routes", [x for x in netns.routes() if x["dst"] == subnet])


@behaviour(
    "sandbox.bridge.kept-without-containers",
    "The bridge of a user network MUST stay, with its address, when the last container leaves it.",
    source="libnetwork drivers/bridge DeleteEndpoint v17.06",
)
def test_bridge_stays_without_containers(run, network, host):
    net = network()
    container = run(network_mode=net.name)
    bridge = host_side_of(host, container)["master"]
    container.remove(force=True)
    expect_in("the links of the host", bridge, sorted(host.daemon_netns().links()))
    expect_equal("its addresses", [gateway_cidr(net)], host.daemon_netns().addresses(bridge))


@behaviour(
    "sandbox.loopback.up",
    "The loopback of every sandbox MUST be up with 127.0.0.1/8, whatever the container's networks.",
    source="libnetwork osl NewSandbox loopbackUp v17.06",
)
def test_loopback_is_up(run, network, host):
    for mode in ("none", "bridge", network().name):
        container = run(network_mode=mode)
        netns = host.netns_of(container.attrs["State"]["Pid"])
        expect_in(f"the flags of lo in {mode}", "UP", netns.links()["lo"]["flags"])
        expect_equal(f"the addresses in {mode}", ["127.0.0.1/8"], netns.addresses("lo"))


@behaviour(
    "sandbox.route.one-per-subnet",
    "A container MUST have one route to the subnet of each of its networks, over the interface of "
    "that network and from its own address there, and none to anywhere else but the default one.",
    source="libnetwork osl AddInterface, sandbox.updateGateway v17.06",
)
def test_one_route_for_each_subnet(create, network, host):
    nets = [network() for _ in range(3)]
    container = create(network_mode=nets[0].name)
    for net in nets[1:]:
        net.connect(container)
    container.start()
    names = interfaces_by_network(host, container, nets)
    routes = host.netns_of(container.attrs["State"]["Pid"]).routes()
    wanted = sorted(
        (net.attrs["IPAM"]["Config"][0]["Subnet"], name, endpoint_of(container, net)["IPAddress"])
        for net, name in zip(nets, names, strict=True)
    )
    near = [x for x in routes if x["dst"] != "default"]
    found = sorted((x["dst"], x["dev"], x.get("prefsrc", "")) for x in near)
    expect_equal("the routes to the subnets", wanted, found)


@behaviour(
    "sandbox.route.one-default",
    "A container on several networks MUST have one default route, after its start and after a live "
    "connect.",
    source="libnetwork osl SetGateway, sandbox.updateGateway v17.06",
)
def test_there_is_one_default_route(create, start, network, new_name, host):
    # each comes before the last one in the alphabet, so that the default route has to move
    nets = [network(f"{first}{new_name('net')}") for first in "cba"]
    container = create(network_mode=nets[0].name)
    nets[1].connect(container)
    start(container)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    for when in ("after the start", "after a live connect"):
        defaults = [route for route in netns.routes() if route["dst"] == "default"]
        expect_equal(f"the number of default routes {when}", 1, len(defaults))
        if when == "after the start":
            nets[2].connect(container)
