"""IPv6 addresses of containers on a user network: in inspect, in the namespace, in names.

Who reaches whom over IPv6 is in test_reach_peers.py, and the first rows on names in
test_dns_answers.py.
"""

import ipaddress

import docker
import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_in,
    expect_refused,
    the_only,
)
from conformance.observe.files import addresses_of
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

PINGS = ["NET_RAW"]  # the right to ping, which not every engine gives by default


def ipv6_subnet(net):
    subnets = [config["Subnet"] for config in net.attrs["IPAM"]["Config"]]
    return ipaddress.ip_network(the_only("the IPv6 subnet", (s for s in subnets if ":" in s)))


def global_ipv6(netns, link="eth0"):
    return [one for one in netns.addresses(link, "inet6") if not one.startswith("fe80:")]


def netns_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"])


def dual_stack(subnet, ipv6):
    pools = [docker.types.IPAMPool(subnet=subnet), docker.types.IPAMPool(**ipv6)]
    return {"enable_ipv6": True, "ipam": docker.types.IPAMConfig(pool_configs=pools)}


@behaviour(
    "ipv6.address.inspect",
    "On a network with IPv6 a container MUST have an address of the IPv6 subnet in "
    "GlobalIPv6Address, the subnet's prefix length in GlobalIPv6PrefixLen and an address of the "
    "subnet in IPv6Gateway, beside those of IPv4.",
    source="moby daemon UpdateEndpointNetworkInfo v17.06",
)
def test_inspect_shows_the_ipv6_address(run, ipv6_network):
    net = ipv6_network()
    container = run(network=net.name)
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    subnet = ipv6_subnet(net)
    expect_equal("GlobalIPv6PrefixLen", subnet.prefixlen, endpoint["GlobalIPv6PrefixLen"])
    for field in ("GlobalIPv6Address", "IPv6Gateway"):
        address = ipaddress.ip_address(endpoint[field])
        expect_equal(f"{field} is of the subnet", True, address in subnet)
    expect_equal("IPPrefixLen", 24, endpoint["IPPrefixLen"])


@behaviour(
    "ipv6.address.network-inspect",
    "Network inspect MUST list a running container with its IPv6 address and prefix length.",
    source="moby buildContainerAttachments v17.06",
)
def test_network_inspect_shows_the_ipv6_address(run, ipv6_network, inspect_network):
    net = ipv6_network()
    container = run(network=net.name)
    wanted = f"{address_in(container, net, 'GlobalIPv6Address')}/{ipv6_subnet(net).prefixlen}"
    member = inspect_network(net)["Containers"][container.id]
    expect_equal("the IPv6Address", wanted, member["IPv6Address"])


@behaviour(
    "ipv6.address.in-namespace",
    "A container's interface MUST have exactly the IPv6 address that inspect shows, with the "
    "subnet's prefix length, beside its IPv4 address and a link-local one.",
    source="libnetwork osl setInterfaceIPv6 v17.06",
)
def test_interface_has_the_ipv6_address(run, ipv6_network, host):
    net = ipv6_network()
    container = run(network=net.name)
    netns = netns_of(host, container)
    wanted = f"{address_in(container, net, 'GlobalIPv6Address')}/{ipv6_subnet(net).prefixlen}"
    expect_equal("the global addresses", [wanted], global_ipv6(netns))
    expect_equal("all of IPv6", 2, len(netns.addresses("eth0", "inet6")))
    expect_equal("the IPv4 addresses", 1, len(netns.addresses("eth0")))


@behaviour(
    "ipv6.address.usable-at-once",
    "The IPv6 address MUST be usable when the container's first process starts: it does not wait "
    "for duplicate address detection.",
    source="libnetwork osl setInterfaceIPv6 v17.06: IFA_F_NODAD",
    docker=">=17.06",
)
def test_address_is_not_tentative_at_the_start(create, ipv6_network):
    net = ipv6_network()
    container = create(("ip", "-6", "addr", "show", "dev", "eth0"), network=net.name)
    container.start()
    container.wait(timeout=30)
    shown = container.logs().decode().splitlines()
    lines = [line for line in shown if "inet6" in line and "fe80:" not in line]
    expect_equal("the global addresses", 1, len(lines))
    expect_not_in("its state", "tentative", lines[0])


@behaviour(
    "ipv6.address.reused",
    "The IPv6 address of a container that was removed MUST be free for another one.",
    source="libnetwork endpoint.releaseAddress v17.06",
)
def test_removed_container_gives_its_address_back(run, ipv6_network, inspect):
    net = ipv6_network()
    first = run(network=net.name)
    address = address_in(first, net, "GlobalIPv6Address")
    first.remove(force=True)
    second = run(network_mode="bridge")
    net.connect(second, ipv6_address=address)
    expect_equal("the address", address, address_in(second, net, "GlobalIPv6Address"))


@behaviour(
    "ipv6.address.exhausted",
    "On an IPv6 subnet of four addresses two containers MUST find room beside the network's own "
    "address and the gateway; a third MUST be refused and MUST start when one of them has gone.",
    source="libnetwork ipam v17.06: No available addresses on this pool",
)
def test_small_subnet_runs_full_and_empty(run, create, network, subnets):
    prefix = subnets.ipv6().split("/", maxsplit=1)[0]
    net = network(**dual_stack(subnets.ipv4(), {"subnet": f"{prefix}/126"}))
    holders = [run(network=net.name) for _ in range(2)]
    addresses = sorted(address_in(holder, net, "GlobalIPv6Address") for holder in holders)
    expect_equal("the addresses", [f"{prefix}2", f"{prefix}3"], addresses)
    third = create(network=net.name)
    expect_refused(third.start)
    holders[0].remove(force=True)
    third.start()
    expect_in("its address", address_in(third, net, "GlobalIPv6Address"), addresses)


@behaviour(
    "ipv6.address.restart",
    "After a restart a container MUST have an IPv6 address and default route again, those that "
    "inspect shows.",
    source="moby daemon allocateNetwork v17.06",
)
def test_restart_brings_the_ipv6_address_back(run, ipv6_network, host):
    net = ipv6_network()
    container = run(network=net.name)
    container.restart(timeout=1)
    netns = netns_of(host, container)
    wanted = address_in(container, net, "GlobalIPv6Address")
    expect_equal("the addresses", [f"{wanted}/64"], global_ipv6(netns))
    gateway = address_in(container, net, "IPv6Gateway")
    expect_equal("the default route", gateway, netns.default_gateway("-6"))


@behaviour(
    "ipv6.address.stopped",
    "A container that has stopped MUST show no IPv6 address, prefix length or gateway.",
    source="moby daemon cleanOperationalData v17.06",
    docker=">=17.06",
)
def test_stopped_container_shows_no_ipv6(run, ipv6_network, inspect):
    net = ipv6_network()
    container = run(network=net.name)
    container.stop(timeout=1)
    endpoint = inspect(container)["NetworkSettings"]["Networks"][net.name]
    empty = {"GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPv6Gateway": ""}
    expect_fields("the endpoint", empty, endpoint)


@behaviour(
    "ipv6.hosts.own-line",
    "/etc/hosts MUST have a line for the container's host name with its IPv6 address, beside the "
    "one with the IPv4 address.",
    source="libnetwork sandbox.updateHostsFile v19.03",
    docker=">=19.03",
)
def test_hosts_has_an_ipv6_line(run, ipv6_network, exec_in):
    net = ipv6_network()
    container = run(network=net.name)
    text = exec_in(container, "cat", "/etc/hosts").stdout
    own = [address_in(container, net), address_in(container, net, "GlobalIPv6Address")]
    shown = addresses_of(text, container.attrs["Config"]["Hostname"])
    expect_equal("the host name's addresses", sorted(own), sorted(shown))


@behaviour(
    "ipv6.gateway.default-route",
    "The IPv6 default route of a container MUST go to the IPv6Gateway that inspect shows, and the "
    "subnet MUST be on the link.",
    source="libnetwork osl setGatewayIPv6 v17.06",
)
def test_default_route_goes_to_the_gateway(run, ipv6_network, host):
    net = ipv6_network()
    container = run(network=net.name)
    netns = netns_of(host, container)
    gateway = address_in(container, net, "IPv6Gateway")
    expect_equal("the default route", gateway, netns.default_gateway("-6"))
    on_link = [route["dst"] for route in netns.routes("-6") if "gateway" not in route]
    expect_in("the routes on the link", str(ipv6_subnet(net)), on_link)


@behaviour(
    "ipv6.gateway.first-address",
    "Without a gateway in the request the IPv6 gateway MUST be the first address of the subnet.",
    source="libnetwork ipamAllocateVersion v17.06",
)
def test_gateway_is_the_first_address(run, ipv6_network):
    net = ipv6_network()
    container = run(network=net.name)
    expect_equal("IPv6Gateway", str(ipv6_subnet(net)[1]), address_in(container, net, "IPv6Gateway"))


@behaviour(
    "ipv6.gateway.configured",
    "A gateway that the request names for the IPv6 subnet MUST be the containers' gateway, and "
    "MUST answer them.",
    source="libnetwork#819 v17.06: the bridge driver honours the IPv6 gateway",
    bugs=("moby#18657",),
)
def test_named_gateway_is_used(run, network, subnets, host, exec_in):
    ipv6 = ipaddress.ip_network(subnets.ipv6())
    wish = {"subnet": str(ipv6), "gateway": str(ipv6[0x99])}
    net = network(**dual_stack(subnets.ipv4(), wish))
    container = run(network=net.name, cap_add=PINGS)
    expect_equal("IPv6Gateway", str(ipv6[0x99]), address_in(container, net, "IPv6Gateway"))
    shown = netns_of(host, container).default_gateway("-6")
    expect_equal("the default route", str(ipv6[0x99]), shown)
    # a bridge may still find out whether its new address is the only one
    ping = exec_in(container, "ping", "-6", "-c1", "-W10", str(ipv6[0x99]))
    expect_equal("the exit code of ping", 0, ping.exit_code)


@behaviour(
    "ipv6.gateway.auxiliary",
    "An auxiliary address of the name DefaultGatewayIPv6 MUST be where the containers' IPv6 "
    "default route leads, instead of the bridge.",
    source="libnetwork drivers/bridge processIPAM v17.06: DefaultGatewayV6AuxKey",
    tier="quirk",
)
def test_auxiliary_address_is_the_gateway(run, network, subnets, host):
    ipv6 = ipaddress.ip_network(subnets.ipv6())
    wish = {"subnet": str(ipv6), "aux_addresses": {"DefaultGatewayIPv6": str(ipv6[0x77])}}
    net = network(**dual_stack(subnets.ipv4(), wish))
    container = run(network=net.name)
    expect_equal("IPv6Gateway", str(ipv6[0x77]), address_in(container, net, "IPv6Gateway"))
    shown = netns_of(host, container).default_gateway("-6")
    expect_equal("the default route", str(ipv6[0x77]), shown)


def bridges_with_ipv6(setup):
    for network in setup.networks:
        if network.driver == "bridge" and network.has_ipv6:
            change = "once its bridge is made anew, as at a boot, that has no address fe80::1"
            yield network.effect("later", "it has IPv6", change)


@behaviour(
    "ipv6.bridge.link-local",
    "The bridge of a network with IPv6 MUST have the address fe80::1 beside the gateway's.",
    source="libnetwork drivers/bridge setupBridgeIPv6 v17.06: bridgeIPv6",
    docker="<27.0",
    tier="quirk",
    concerns=bridges_with_ipv6,
)
def test_bridge_has_a_link_local_address(run, ipv6_network, host):
    net, netns = ipv6_network(), host.daemon_netns()
    gateway = address_in(run(network=net.name), net, "IPv6Gateway")
    addresses = netns.addresses(netns.link_with(gateway), "inet6")
    expect_in("the bridge's addresses", "fe80::1/64", addresses)


@behaviour(
    "ipv6.live.connect",
    "A running container that joins a network with IPv6 MUST have an IPv6 address, `::1` on its "
    "loopback and an IPv6 default route at once, and MUST be reached there.",
    source="libnetwork sandbox.populateNetworkResources v17.06",
)
def test_live_connect_brings_ipv6(run, ipv6_network, network, host, exec_in):
    net = ipv6_network()
    peer = run(network=net.name, cap_add=PINGS)
    container = run(network=network().name)
    net.connect(container)
    netns, address = netns_of(host, container), address_in(container, net, "GlobalIPv6Address")
    expect_in("the new addresses", f"{address}/64", global_ipv6(netns, "eth1"))
    expect_equal("the loopback", ["::1/128"], netns.addresses("lo", "inet6"))
    gateway = address_in(container, net, "IPv6Gateway")
    expect_equal("the default route", gateway, netns.default_gateway("-6"))
    ping = exec_in(peer, "ping", "-6", "-c1", "-W10", address)
    expect_equal("the exit code of ping", 0, ping.exit_code)


@behaviour(
    "ipv6.live.disconnect",
    "A running container that leaves its only network with IPv6 MUST have neither an IPv6 address "
    "on another interface nor an IPv6 default route, and its address MUST be free.",
    source="libnetwork sandbox.clearNetworkResources v17.06",
)
def test_live_disconnect_takes_ipv6(run, ipv6_network, network, host):
    plain, net = network(), ipv6_network()
    container = run(network=plain.name)
    net.connect(container)
    address = address_in(container, net, "GlobalIPv6Address")
    net.disconnect(container)
    netns = netns_of(host, container)
    expect_equal("the links", ["eth0", "lo"], sorted(netns.links()))
    expect_empty("the addresses", global_ipv6(netns))
    expect_equal("the default route", "", netns.default_gateway("-6"))
    other = run(network=plain.name)
    net.connect(other, ipv6_address=address)
    expect_equal("the address", address, address_in(other, net, "GlobalIPv6Address"))


@behaviour(
    "ipv6.live.default-route-moves",
    "With two networks with IPv6 the IPv6 default route MUST go over the one whose name sorts "
    "first, and MUST move to the other when that one is left.",
    source="libnetwork sandbox.go epHeap.Less v17.06",
)
def test_default_route_moves_to_the_next_network(run, ipv6_network, new_name, host):
    first, last = ipv6_network("a" + new_name("net")), ipv6_network("z" + new_name("net"))
    container = run(network=last.name)
    first.connect(container)
    netns = netns_of(host, container)
    for net in (first, last):
        gateway = address_in(container, net, "IPv6Gateway")
        expect_equal("the default route", gateway, netns.default_gateway("-6"))
        if net is first:
            first.disconnect(container)


@behaviour(
    "ipv6.live.plain-network-first",
    "A network without IPv6 MUST NOT take the IPv6 default route away from one that has it, "
    "also where its name comes first.",
    source="libnetwork sandbox.go epHeap.Less v17.06 (docker/libnetwork#1693)",
    docker=">=17.04",
    bugs=("moby#51999", "moby#27101"),
)
def test_plain_network_leaves_the_ipv6_route(run, ipv6_network, network, new_name, host):
    plain, net = network("a" + new_name("net")), ipv6_network("z" + new_name("net"))
    container = run(network=net.name)
    netns, gateway = netns_of(host, container), address_in(container, net, "IPv6Gateway")
    plain.connect(container)
    expect_equal("the default route", gateway, netns.default_gateway("-6"))
    container.restart(timeout=1)
    netns = netns_of(host, container)
    expect_equal("after a restart", gateway, netns.default_gateway("-6"))


@behaviour(
    "ipv6.names.after-disconnect",
    "The IPv6 address of a container that has left the network MUST no longer be an answer for its "
    "name there.",
    source="libnetwork network.updateSvcRecord v17.06",
)
def test_name_has_no_ipv6_address_after_a_disconnect(run, ipv6_network, asker, dns):
    net = ipv6_network()
    client, peer = asker(net), run(network=net.name)
    wanted = [address_in(peer, net, "GlobalIPv6Address")]
    expect_equal("before", wanted, dns.addresses(client, peer.name, "AAAA"))
    net.disconnect(peer)
    expect_equal("after", [], dns.addresses(client, peer.name, "AAAA"))


@behaviour(
    "ipv6.names.alias",
    "An alias of a container MUST resolve to its IPv6 address, too.",
    source="libnetwork network.updateSvcRecord v17.06",
)
def test_alias_has_an_ipv6_address(run, ipv6_network, asker, dns):
    net = ipv6_network()
    client, peer = asker(net), run(network_mode="bridge")
    net.connect(peer, aliases=["six"])
    wanted = [address_in(peer, net, "GlobalIPv6Address")]
    expect_equal("the answer", wanted, dns.addresses(client, "six", "AAAA"))


@behaviour(
    "ipv6.internal.peers",
    "Containers on an internal network with IPv6 MUST have IPv6 addresses and reach each other "
    "there.",
    source="libnetwork drivers/bridge v17.06",
)
def test_internal_network_has_ipv6(run, ipv6_network, host, exec_in):
    net = ipv6_network(internal=True)
    one, two = (run(network=net.name, cap_add=PINGS) for _ in range(2))
    address = address_in(two, net, "GlobalIPv6Address")
    expect_equal("the addresses", [f"{address}/64"], global_ipv6(netns_of(host, two)))
    ping = exec_in(one, "ping", "-6", "-c1", "-W10", address)
    expect_equal("the exit code of ping", 0, ping.exit_code)


@behaviour(
    "ipv6.shared.same-addresses",
    "A container that shares the network of another one MUST see that one's IPv6 address, and one "
    "that shares the engine's MUST see the IPv6 addresses of the bridges.",
    source="moby daemon initializeNetworking v17.06",
)
@pytest.mark.parametrize(
    ("mode", "field"), [("container", "GlobalIPv6Address"), ("host", "IPv6Gateway")]
)
def test_shared_network_has_the_same_addresses(run, ipv6_network, exec_in, mode, field):
    net = ipv6_network()
    owner = run(network=net.name)
    sharer = run(network_mode="host" if mode == "host" else f"container:{owner.id}")
    words = exec_in(sharer, "ip", "-6", "addr", "show").stdout.split()
    shown = [words[at + 1] for at, word in enumerate(words) if word == "inet6"]
    expect_in("what it sees", f"{address_in(owner, net, field)}/64", shown)
