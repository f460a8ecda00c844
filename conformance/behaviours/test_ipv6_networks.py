"""Networks with IPv6: what makes one, what refuses one, and what its bridge does."""

import ipaddress

import docker

from conformance.assertions import (
    expect_api_error,
    expect_equal,
    expect_in,
    expect_not_in,
    expect_refused,
    the_only,
)
from conformance.impact.setup import nobody
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

ULA = ipaddress.IPv6Network("fd00::/8")
NO_POOL = "could not find an available, non-overlapping IPv6 address pool among the defaults"


def pools(*subnets):
    made = [docker.types.IPAMPool(subnet=subnet) for subnet in subnets]
    return docker.types.IPAMConfig(pool_configs=made)


def lies_in(address, subnet):
    return address != "" and ipaddress.ip_address(address) in subnet


@behaviour(
    "ipv6.network.no-subnet-refused",
    "A network with EnableIPv6 and no IPv6 subnet MUST be refused, and MUST NOT be there "
    "afterwards, nor its IPv4 subnet be taken.",
    source="libnetwork ipam getPredefinedPool v17.06",
    docker="<27.0",
)
def test_ipv6_without_a_subnet_is_refused(network, client, new_name, subnets):
    name, subnet = new_name("network"), subnets.ipv4()
    expect_refused(lambda: network(name, enable_ipv6=True, ipam=pools(subnet)))
    expect_not_in("the networks", name, [net.name for net in client.networks.list()])
    network(ipam=pools(subnet))


@behaviour(
    "ipv6.network.no-subnet-text",
    "A network with EnableIPv6 and no IPv6 subnet MUST be refused with 404: no IPv6 address pool "
    "among the defaults.",
    source="libnetwork ipam getPredefinedPool v17.06, v20.10.23: NotFound",
    docker="<27.0",
    tier="quirk",
)
def test_ipv6_without_a_subnet_is_a_404(network, subnets):
    expect_api_error(lambda: network(enable_ipv6=True, ipam=pools(subnets.ipv4())), 404, NO_POOL)


@behaviour(
    "ipv6.network.no-subnet-chosen",
    "A network with EnableIPv6 and no IPv6 subnet MUST get a unique local /64 of the engine's "
    "choice, from which its containers have addresses.",
    source="moby#47853 v27.0",
    docker=">=27.0",
    replaces=("ipv6.network.no-subnet-refused",),
    concerns=nobody,
)
def test_ipv6_without_a_subnet_is_a_ula(network, subnets, run):
    net = network(enable_ipv6=True, ipam=pools(subnets.ipv4()))
    configs = net.attrs["IPAM"]["Config"]
    chosen = the_only("the IPv6 subnet", (c["Subnet"] for c in configs if ":" in c["Subnet"]))
    subnet = ipaddress.IPv6Network(chosen)
    expect_equal("unique local /64", (True, 64), (subnet.subnet_of(ULA), subnet.prefixlen))
    address = address_in(run(network=net.name), net, "GlobalIPv6Address")
    expect_equal("in the subnet", True, lies_in(address, subnet))


@behaviour(
    "ipv6.network.not-enabled",
    "An IPv6 subnet without EnableIPv6 MUST be shown and not be used: the container has no IPv6 "
    "address, and the network says EnableIPv6 false.",
    source="libnetwork network.ipamAllocate v17.06: returns before IPv6",
)
def test_subnet_without_enable_is_not_used(network, subnets, run):
    ipv6 = subnets.ipv6()
    net = network(ipam=pools(subnets.ipv4(), ipv6))
    expect_in("the subnets", ipv6, [one["Subnet"] for one in net.attrs["IPAM"]["Config"]])
    expect_equal("EnableIPv6", False, net.attrs["EnableIPv6"])
    container = run(network=net.name)
    expect_equal("the address", "", address_in(container, net, "GlobalIPv6Address"))


@behaviour(
    "ipv6.network.not-enabled-free",
    "An IPv6 subnet without EnableIPv6 MUST NOT be taken: a network with IPv6 may have it.",
    source="libnetwork network.ipamAllocate v17.06: returns before IPv6",
)
def test_subnet_without_enable_is_not_taken(network, subnets, run):
    ipv6 = subnets.ipv6()
    network(ipam=pools(subnets.ipv4(), ipv6))
    used = network(enable_ipv6=True, ipam=pools(subnets.ipv4(), ipv6))
    address = address_in(run(network=used.name), used, "GlobalIPv6Address")
    expect_equal("in the subnet", True, lies_in(address, ipaddress.ip_network(ipv6)))


@behaviour(
    "ipv6.network.overlap-refused",
    "A network whose IPv6 subnet overlaps that of another one MUST be refused, and MUST NOT take "
    "its IPv4 subnet.",
    source="libnetwork ipamapi.ErrPoolOverlap v17.06",
)
def test_overlapping_ipv6_is_refused(network, ipv6_network, subnets):
    taken = ipv6_network()
    configs = taken.attrs["IPAM"]["Config"]
    subnet = the_only("the IPv6 subnet", (c["Subnet"] for c in configs if ":" in c["Subnet"]))
    other = subnets.ipv4()
    half = str(next(ipaddress.ip_network(subnet).subnets(new_prefix=80)))
    expect_refused(lambda: network(enable_ipv6=True, ipam=pools(other, half)))
    network(ipam=pools(other))


@behaviour(
    "ipv6.network.subnet-free-again",
    "The IPv6 subnet of a network that was removed MUST be free for another one.",
    source="libnetwork network.ipamRelease v17.06",
)
def test_removed_network_gives_its_subnet_back(network, subnets, run):
    ipam = pools(subnets.ipv4(), subnets.ipv6())
    network(enable_ipv6=True, ipam=ipam).remove()
    again = network(enable_ipv6=True, ipam=ipam)
    address = address_in(run(network=again.name), again, "GlobalIPv6Address")
    expect_equal("an address", True, bool(address))


@behaviour(
    "ipv6.network.enable-ipv4-ignored",
    "EnableIPv4 false MUST be ignored: the network's containers have IPv4 all the same.",
    source="moby api types.NetworkCreate v17.06 has no such field",
    docker="<28.0",
    tier="quirk",
)
def test_ipv4_cannot_be_switched_off(api, new_name, network, client, subnets, run):
    net = _without_ipv4(api, new_name, client, subnets)
    try:
        container = run(network=net.name)
        expect_equal("has IPv4", True, bool(address_in(container, net)))
        container.remove(force=True)
    finally:
        net.remove()


def without_ipv4(setup):
    for network in setup.networks:
        if not network.has_ipv4:
            why = "it is to do without IPv4"
            yield network.effect("anew", why, "that was ignored, and its containers have none now")


@behaviour(
    "ipv6.network.alone",
    "A network with EnableIPv4 false and IPv6 MUST give its containers an IPv6 address and route "
    "and no IPv4 address.",
    source="moby#48271 v28.0",
    docker=">=28.0",
    replaces=("ipv6.network.enable-ipv4-ignored",),
    concerns=without_ipv4,
)
def test_network_may_have_ipv6_alone(api, new_name, client, subnets, run, host):
    net = _without_ipv4(api, new_name, client, subnets)
    try:
        container = run(network=net.name)
        netns = host.netns_of(container.attrs["State"]["Pid"])
        expect_equal("the IPv4 addresses", [], netns.addresses("eth0"))
        address = address_in(container, net, "GlobalIPv6Address")
        expect_in("its addresses", f"{address}/64", netns.addresses("eth0", "inet6"))
        container.remove(force=True)
    finally:
        net.remove()


def _without_ipv4(api, new_name, client, subnets):
    body = {
        "Name": new_name("network"),
        "EnableIPv4": False,
        "EnableIPv6": True,
        "IPAM": {"Config": [{"Subnet": subnets.ipv6()}]},
    }
    answer = api("POST", "/networks/create", body)
    expect_equal("the status of the create", 201, answer.status)
    return client.networks.get(answer.json()["Id"])
