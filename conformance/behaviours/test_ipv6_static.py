"""IPv6 addresses that somebody asks for: used, taken, outside, unreadable."""

import re
from functools import partial

import pytest

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_not_in,
    expect_refused,
    the_only,
)
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

OUTSIDE = "2001:db8:ffff::5"


def prefix_of(net):
    subnets = [config["Subnet"] for config in net.attrs["IPAM"]["Config"]]
    return the_only("the IPv6 subnet", (one for one in subnets if ":" in one)).partition("/")[0]


def global_ipv6_of(host, container):
    container.reload()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    shown = [one for link in netns.links() for one in netns.addresses(link, "inet6")]
    return [one for one in shown if not one.startswith(("fe80:", "::1/"))]


@behaviour(
    "ipv6.static.used",
    "An IPv6 address that the user asks for MUST be the container's, in inspect and in its "
    "namespace, after a restart, too.",
    source="moby docs, docker network connect --ip6; libnetwork CreateOptionIpam v17.06",
    bugs=("libnetwork#988",),
)
def test_asked_address_is_used(create, ipv6_network, host):
    net, container = ipv6_network(), create()
    address = prefix_of(net) + "50"
    net.connect(container, ipv6_address=address)
    for act in (container.start, lambda: container.restart(timeout=1)):
        act()
        shown = address_in(container, net, "GlobalIPv6Address")
        expect_equal("GlobalIPv6Address", address, shown)
        expect_equal("in the namespace", [f"{address}/64"], global_ipv6_of(host, container))


@behaviour(
    "ipv6.static.spelling",
    "An IPv6 address MAY be asked for in any spelling; inspect MUST show it in its shortest one.",
    source="libnetwork: net.IP.String",
    tier="quirk",
)
def test_address_is_shown_in_its_short_form(run, ipv6_network):
    net, container = ipv6_network(), run()
    head = prefix_of(net).removesuffix("::").upper()
    net.connect(container, ipv6_address=f"{head}:0:0:0:00AB")
    shown = address_in(container, net, "GlobalIPv6Address")
    expect_equal("GlobalIPv6Address", prefix_of(net) + "ab", shown)


@behaviour(
    "ipv6.static.taken",
    "A start that asks for an IPv6 address that another container has MUST fail, and MUST succeed "
    "once that one has gone; who has it keeps it.",
    source="libnetwork ipam requestAddress v17.06",
)
def test_taken_address_fails_the_start(run, create, ipv6_network, host):
    net = ipv6_network()
    holder, heir = run(network=net.name), create()
    address = address_in(holder, net, "GlobalIPv6Address")
    net.connect(heir, ipv6_address=address)
    expect_refused(heir.start)
    expect_equal("the holder's", [f"{address}/64"], global_ipv6_of(host, holder))
    holder.remove(force=True)
    heir.start()
    expect_equal("the heir's", [f"{address}/64"], global_ipv6_of(host, heir))


@behaviour(
    "ipv6.static.taken-text",
    "A live connect with an IPv6 address that another container has, or that is the gateway's, "
    "MUST be refused with 403, `Address already in use`.",
    source="libnetwork ipamapi.ErrIPAlreadyAllocated v17.06",
    tier="quirk",
)
def test_taken_address_is_forbidden(run, ipv6_network):
    net = ipv6_network()
    holder, other = run(network=net.name), run()
    addresses = (address_in(holder, net, field) for field in ("GlobalIPv6Address", "IPv6Gateway"))
    for address in addresses:
        answer = partial(net.connect, other, ipv6_address=address)
        expect_api_error(answer, 403, "Address already in use")


@behaviour(
    "ipv6.static.outside",
    "A live connect with an IPv6 address outside the subnet MUST be refused, and MUST NOT give the "
    "container an interface there.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
)
def test_outside_address_is_refused(run, ipv6_network, inspect_network, host):
    net, container = ipv6_network(), run()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    before = sorted(netns.links())
    expect_refused(lambda: net.connect(container, ipv6_address=OUTSIDE))
    expect_equal("the links", before, sorted(netns.links()))
    expect_not_in("the members", container.id, inspect_network(net)["Containers"])


@behaviour(
    "ipv6.static.outside-text",
    "A live connect with an IPv6 address outside the subnet MUST be refused with 500: it does not "
    "belong to any of this network's subnets.",
    source="libnetwork endpoint.assignAddressVersion v17.06",
    docker="<25.0",
    tier="quirk",
)
def test_outside_address_is_a_500(run, ipv6_network):
    net, container = ipv6_network(), run()
    text = f"Invalid address {OUTSIDE}: It does not belong to any of this network's subnets"
    expect_api_error(lambda: net.connect(container, ipv6_address=OUTSIDE), 500, text)


@behaviour(
    "ipv6.static.outside-named",
    "A live connect with an IPv6 address outside the subnet MUST be refused with 400, as an "
    "invalid endpoint setting.",
    source="moby api/types/network ValidateEndpointIPAMConfig v25.0",
    docker=">=25.0",
    tier="quirk",
    replaces=("ipv6.static.outside-text",),
)
def test_outside_address_is_a_400(run, ipv6_network):
    net, container = ipv6_network(), run()
    text = re.compile(f"no configured subnet or ip-range contain the IP address {OUTSIDE}")
    expect_api_error(lambda: net.connect(container, ipv6_address=OUTSIDE), 400, text)


@behaviour(
    "ipv6.static.unparsable",
    "A connect with an IPv6 address that is none MUST be refused, and the container MUST NOT be a "
    "member of the network.",
    source="moby daemon validateEndpointSettings v17.06",
)
@pytest.mark.parametrize("word", ["hello", "fd00::5/64", "fd00::5%eth0", "::1::2"])
def test_unparsable_address_is_refused(run, ipv6_network, inspect_network, word):
    net, container = ipv6_network(), run()
    expect_refused(lambda: net.connect(container, ipv6_address=word))
    expect_not_in("the members", container.id, inspect_network(net)["Containers"])


@behaviour(
    "ipv6.static.ipv4-kept-free",
    "A connect that fails for its IPv6 address MUST NOT keep the IPv4 address that it was to have.",
    source="seed connect: what fails leaves nothing; libnetwork createEndpoint defers its releases",
)
def test_refused_ipv6_takes_no_ipv4(run, ipv6_network):
    net = ipv6_network()
    holder, other = run(network=net.name), run()
    taken, free = address_in(holder, net, "GlobalIPv6Address"), address_in(holder, net)
    network, _, last = free.rpartition(".")
    expect_refused(lambda: net.connect(other, ipv6_address=taken))
    heir = run()
    net.connect(heir, ipv4_address=f"{network}.{int(last) + 1}")
    expect_equal("the address", f"{network}.{int(last) + 1}", address_in(heir, net))


@behaviour(
    "ipv6.static.both-families",
    "An IPv4 and an IPv6 address that are asked for at once MUST both be the container's.",
    source="moby docs, docker network connect --ip --ip6",
)
def test_both_addresses_are_used(run, ipv6_network):
    net, container = ipv6_network(), run()
    subnets = [config["Subnet"] for config in net.attrs["IPAM"]["Config"]]
    ipv4 = next(one for one in subnets if "." in one).replace(".0/24", ".44")
    net.connect(container, ipv4_address=ipv4, ipv6_address=prefix_of(net) + "44")
    expect_equal("IPAddress", ipv4, address_in(container, net))
    shown = address_in(container, net, "GlobalIPv6Address")
    expect_equal("GlobalIPv6Address", prefix_of(net) + "44", shown)


@behaviour(
    "ipv6.static.without-ipv6",
    "A network without IPv6 MUST give a container no IPv6 address, asked for or not.",
    source="moby runconfig ErrUnsupportedNetworkNoSubnetAndIP v17.06",
)
def test_network_without_ipv6_gives_none(run, network, host):
    net, container = network(), run(network=network().name)
    expect_refused(lambda: net.connect(container, ipv6_address=OUTSIDE))
    net.connect(container)
    expect_equal("GlobalIPv6Address", "", address_in(container, net, "GlobalIPv6Address"))
    expect_empty("its addresses", global_ipv6_of(host, container))
