"""Connecting again, failing to: what is left of the second attempt."""

import ipaddress

import pytest

from conformance.assertions import expect_equal, expect_refused
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "connect.stopped.again-address",
    "The address that comes with a second connect of a container that does not run MUST be "
    "ignored: its start uses what was asked for at first.",
    source="moby daemon updateNetworkSettings v17.03: Avoid duplicate config",
)
@pytest.mark.parametrize("first", [7, None], ids=["with-address", "without"])
def test_address_of_a_second_connect_is_ignored(create, network, subnets, first):
    subnet = ipaddress.ip_network(subnets.ipv4())
    net, container = network(subnet=str(subnet)), create()
    net.connect(container, ipv4_address=first and str(subnet[first]))
    net.connect(container, ipv4_address=str(subnet[99]))
    container.start()
    container.reload()
    expect_equal("the address", str(subnet[first or 2]), address_in(container, net))


@behaviour(
    "connect.live.again-nothing-used",
    "A second connect of a running container that is refused MUST NOT use up an address.",
    source="libnetwork network.CreateEndpoint v17.06: the name is looked at first",
)
def test_refused_connect_uses_no_address(run, network, subnets):
    subnet = ipaddress.ip_network(subnets.ipv4())
    # five addresses beside the gateway's
    net = network(subnet=f"{subnet[0]}/29")
    container = run(network_mode=net.name)
    for _ in range(6):
        expect_refused(lambda: net.connect(container))
    others = [run(network_mode=net.name) for _ in range(4)]
    found = sorted(address_in(one, net) for one in (container, *others))
    expect_equal("the addresses", [str(subnet[n]) for n in range(2, 7)], found)


@behaviour(
    "connect.live.same-endpoint-after-refusal",
    "A second connect of a running container that is refused MUST leave its endpoint as it was in "
    "the network's inspect and its interface as it was.",
    source="libnetwork network.CreateEndpoint v17.06",
)
def test_refused_connect_leaves_the_endpoint(run, network, inspect_network, host):
    net = network()
    container = run(network_mode=net.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    before, links = inspect_network(net)["Containers"][container.id], sorted(netns.links())
    expect_refused(lambda: net.connect(container, aliases=["other"]))
    expect_equal("the member", before, inspect_network(net)["Containers"].get(container.id))
    expect_equal("the links", links, sorted(netns.links()))
