"""The option host_ipv4: the address that hosts outside see instead of the outgoing link's own."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, ip_network

import pytest

from refimpl.errors import EngineError
from refimpl.kernel.base import FirewallNetwork
from refimpl.kernel.firewall import render
from tests.unit.refimpl.libnetwork_world import World, network_options

HOST_IPV4 = "com.docker.network.host_ipv4"
NETWORK = FirewallNetwork(
    bridge="br0",
    subnets=(ip_network("10.1.0.0/24"), ip_network("fd00::/64")),
    snat_to=IPv4Address("192.0.2.7"),
)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_it_stands_in_the_firewall_for_ipv4_alone():
    script = render("netinit", [NETWORK])
    assert 'ip saddr 10.1.0.0/24 oifname != "br0" snat ip to 192.0.2.7\n' in script
    assert 'ip6 saddr fd00::/64 oifname != "br0" masquerade\n' in script


@pytest.mark.parametrize("change", [{"internal": True}, {"masquerade": False}])
def test_where_nothing_is_masqueraded_it_says_nothing(change):
    values = {name: getattr(NETWORK, name) for name in ("bridge", "subnets", "snat_to")}
    assert "192.0.2.7" not in render("netinit", [FirewallNetwork(**values, **change)])


def test_it_comes_back_with_the_network(world):
    options = network_options("10.1.0.0/24", options={HOST_IPV4: "192.0.2.7"})
    world.boot().new_network("n", options)
    world.boot()
    assert [one.snat_to for one in world.kernel.firewall if one.bridge != "docker0"] == [
        IPv4Address("192.0.2.7")
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("zzz", f"failed to parse {HOST_IPV4} value: zzz (nil ip)"),
        ("", f"failed to parse {HOST_IPV4} value:  (nil ip)"),
        ("192.0.2.300", f"failed to parse {HOST_IPV4} value: 192.0.2.300 (nil ip)"),
        ("192.0.2.7; drop", f"failed to parse {HOST_IPV4} value: 192.0.2.7; drop (nil ip)"),
        (
            "fd00::1",
            'Failed to Setup IP tables: Unable to enable NAT rule: Bad IP address "fd00::1"',
        ),
    ],
)
def test_what_is_no_ipv4_address_is_refused_and_leaves_nothing(world, value, text):
    controller = world.boot()
    with pytest.raises(EngineError) as caught:
        controller.new_network("n", network_options("10.1.0.0/24", options={HOST_IPV4: value}))
    assert str(caught.value) == text
    world.assert_nothing_is_without_owner(controller)
