"""A bridge that was there before the engine: its own addresses stay, ours come and go."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface

import pytest

from refimpl.kernel.base import BridgePlan
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import World, network_options

LAN = ("192.0.2.10/24", "198.51.100.7/24")
OURS = "10.77.0.1/24"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    give(world, *LAN)
    yield world
    world.close()


def give(world: World, *addresses: str) -> None:
    world.kernel.bridges["br0"] = BridgePlan(
        name="br0", addresses=tuple(map(ip_interface, addresses))
    )


def has(world: World, name: str = "br0") -> list[str]:
    return sorted(str(address) for address in world.kernel.bridges[name].addresses)


def make(controller: Controller, subnet: str = "10.77.0.0/24", **options: str) -> Network:
    labels = {"com.docker.network.bridge.name": "br0", **options}
    return controller.new_network("n", network_options(subnet, options=labels))


def test_its_addresses_stay_and_ours_goes_with_the_network(world):
    network = make(world.boot())
    assert has(world) == sorted([*LAN, OURS])
    network.delete()
    assert has(world) == sorted(LAN)


def test_ours_goes_after_a_restart_as_well(world):
    make(world.boot())
    network = world.boot().network_by_name("n")
    assert network is not None
    assert has(world) == sorted([*LAN, OURS])
    network.delete()
    assert has(world) == sorted(LAN)


def test_an_address_that_it_had_already_is_not_ours(world):
    give(world, *LAN, OURS)
    make(world.boot()).delete()
    assert has(world) == sorted([*LAN, OURS])


def test_a_network_that_cannot_be_made_takes_ours_off_again(world):
    controller = world.boot()
    world.kernel.fail["apply_firewall"] = OSError("nft is not there")
    with pytest.raises(OSError, match="nft is not there"):
        make(controller)
    assert has(world) == sorted(LAN)


def test_a_deletion_that_a_crash_cut_off_takes_ours_off_at_boot(world):
    controller = world.boot()
    network = make(controller)
    world.kernel.fail["take_addresses"] = KeyboardInterrupt()
    controller._revive = lambda network: None
    with pytest.raises(KeyboardInterrupt):
        network.delete()
    again = world.boot()
    assert again.network_by_name("n") is None
    assert has(world) == sorted(LAN)


def test_without_ipv4_of_ours_nothing_is_given_or_taken(world):
    make(world.boot(), **{"com.docker.network.bridge.inhibit_ipv4": "true"}).delete()
    assert has(world) == sorted(LAN)


def test_ipv6_of_ours_goes_too(world):
    labels = {"com.docker.network.bridge.name": "br0"}
    pools = (IPAMPool(subnet="10.77.0.0/24"), IPAMPool(subnet="2001:db8::/64"))
    options = NetworkOptions(ipam=pools, enable_ipv6=True, options=labels)
    network = world.boot().new_network("n", options)
    assert has(world) == sorted([*LAN, OURS, "2001:db8::1/64", "fe80::1/64"])
    network.delete()
    assert has(world) == sorted(LAN)


# -- the default network on it -------------------------------------------------------------


def test_the_default_network_takes_the_first_subnet_of_the_bridge_that_it_is_given(world):
    bridge = world.boot(bridge="br0").network_by_name("bridge")
    assert bridge is not None
    assert str(bridge.pools[0].gateway) == LAN[0]
    assert has(world) == sorted(LAN)


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("after", [{"bridge": "none"}, {}, {"bridge": "br0", "fixed_cidr": ""}])
def test_what_bip_gave_it_goes_when_bip_does(world, restarts, after):
    for _ in range(restarts):
        world.boot(bridge="br0", bip=OURS)
        assert has(world) == sorted([*LAN, OURS])
    world.boot(**after)
    assert has(world) == sorted(LAN)


def test_another_bip_replaces_the_first_one(world):
    world.boot(bridge="br0", bip=OURS)
    world.boot(bridge="br0", bip="10.78.0.1/24")
    assert has(world) == sorted([*LAN, "10.78.0.1/24"])


def test_our_own_bridge_keeps_what_a_user_gave_it(world):
    world.boot()
    plan = world.kernel.bridges["docker0"]
    world.kernel.bridges["docker0"] = BridgePlan(
        name="docker0", addresses=(*plan.addresses, ip_interface("203.0.113.1/24"))
    )
    world.boot(bip="10.78.0.1/24")
    assert has(world, "docker0") == ["10.78.0.1/24", "203.0.113.1/24"]
