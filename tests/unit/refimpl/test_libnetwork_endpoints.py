"""Endpoints of networks, and what happens to networks at once or twice; as 20.10 has it."""

from __future__ import annotations

import re
import threading

import pytest

from refimpl.daemon.network.lookup import find_network
from refimpl.errors import EngineError, Forbidden, InvalidParameter, NotFound
from refimpl.libnetwork.network import Network
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import network_options, start
from tests.unit.refimpl.test_libnetwork_network import SUBNET, controller, make, named, world

__all__ = ["controller", "world"]  # fixtures


@pytest.fixture
def network(controller) -> Network:
    return make(controller, IPAMPool(subnet="10.1.0.0/29"))


def test_an_endpoint_has_the_lowest_address_and_a_mac_made_from_it(network):
    info = network.create_endpoint("e", EndpointOptions()).info
    assert (str(info.ipv4), info.mac) == ("10.1.0.2/29", "02:42:0a:01:00:02")
    assert len(info.id) == 64


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("02:42:AA:bb:0c:0D", "02:42:aa:bb:0c:0d"),
        ("02-42-aa-bb-0c-0d", "02:42:aa:bb:0c:0d"),
        ("0242.aabb.0c0d", "02:42:aa:bb:0c:0d"),
    ],
)
def test_a_mac_is_read_as_go_reads_it(network, given, normal):
    assert network.create_endpoint("e", EndpointOptions(mac=given)).info.mac == normal


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"ipv4": "10.1.0.1"}, 403, "Address already in use"),
        ({"ipv4": "10.1.0.0"}, 403, "Address already in use"),
        ({"ipv4": "10.1.0.7"}, 403, "Address already in use"),
        (
            {"ipv4": "10.9.0.1"},
            500,
            "Invalid address 10.9.0.1: It does not belong to any of this network's subnets",
        ),
        ({"mac": "zz:zz"}, 500, "address zz:zz: invalid MAC address"),
        ({"link_local": ("10.1.1.1",)}, 500, "invalid link local IP address: 10.1.1.1"),
    ],
)
def test_a_refused_endpoint_has_dockers_text_and_takes_no_address(
    network, options, status, message
):
    with pytest.raises(EngineError) as raised:
        network.create_endpoint("e", EndpointOptions(**options))
    assert (raised.value.status, str(raised.value)) == (status, message)
    assert network.endpoints() == ()
    assert str(network.create_endpoint("e", EndpointOptions()).info.ipv4) == "10.1.0.2/29"


def test_a_name_is_taken_once_per_network(network):
    network.create_endpoint("e", EndpointOptions())
    with pytest.raises(Forbidden) as raised:
        network.create_endpoint("e", EndpointOptions())
    assert str(raised.value) == "endpoint with name e already exists in network n"


def test_an_exhausted_network_says_so_and_recovers(network):
    endpoints = [network.create_endpoint(str(i), EndpointOptions()) for i in range(5)]
    with pytest.raises(EngineError) as raised:
        network.create_endpoint("more", EndpointOptions())
    assert raised.value.status == 500
    assert str(raised.value) == (
        f"no available IPv4 addresses on this network's address pools: n ({network.id})"
    )
    endpoints[2].delete()
    assert str(network.create_endpoint("more", EndpointOptions()).info.ipv4) == "10.1.0.4/29"


def test_ipv4_is_given_back_when_ipv6_cannot_be_had(controller):
    pools = (IPAMPool(subnet="10.1.0.0/24"), IPAMPool(subnet="2001:db8::/64"))
    network = make(controller, *pools, enable_ipv6=True)
    with pytest.raises(EngineError, match="Invalid address 2001:db9::1"):
        network.create_endpoint("e", EndpointOptions(ipv6="2001:db9::1"))
    info = network.create_endpoint("e", EndpointOptions()).info
    assert (str(info.ipv4), str(info.ipv6)) == ("10.1.0.2/24", "2001:db8::2/64")


def test_a_network_with_endpoints_is_not_deleted(network):
    endpoint = network.create_endpoint("e", EndpointOptions())
    with pytest.raises(Forbidden) as raised:
        network.delete()
    assert str(raised.value) == f"network n id {network.id} has active endpoints"
    endpoint.delete()
    network.delete()


def test_a_deleted_network_takes_no_endpoint(network):
    network.delete()
    with pytest.raises(EngineError, match="does not exist"):
        network.create_endpoint("e", EndpointOptions())


def test_parallel_endpoints_have_distinct_addresses_and_one_winner_per_name(controller):
    network = make(controller, IPAMPool(subnet=SUBNET))
    won: list[str] = []

    def work(number: int) -> None:
        network.create_endpoint(f"e{number}", EndpointOptions())
        try:
            network.create_endpoint("shared", EndpointOptions())
        except Forbidden:
            return
        won.append(str(number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    addresses = {str(endpoint.info.ipv4) for endpoint in network.endpoints()}
    assert len(addresses) == 17
    assert len(won) == 1


def test_parallel_networks_have_distinct_pools(controller):
    made: list[Network] = []

    def work(number: int) -> None:
        made.append(controller.new_network(f"n{number}", network_options()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({network.pools[0].pool.subnet for network in made}) == 8


def test_all_pools_used_up_is_not_found(controller):
    for number in range(30):
        controller.new_network(f"n{number}", network_options())
    with pytest.raises(NotFound, match="could not find an available, non-overlapping IPv4"):
        controller.new_network("one-too-many", network_options())


@pytest.mark.parametrize("operation", ["delete_link", "apply_firewall"])
def test_a_deletion_that_fails_leaves_the_network_whole(world, controller, operation):
    network = make(controller, IPAMPool(subnet=SUBNET))
    world.kernel.fail[operation] = OSError("no")
    with pytest.raises(OSError, match="no"):
        network.delete()
    world.assert_nothing_is_without_owner(controller)
    start(controller, "web", "n").delete()
    network.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_single_driver_serves_again_after_its_network_went(controller):
    named(controller, "host").delete()
    assert controller.new_network("again", NetworkOptions(driver="host")).type == "host"


def test_host_gateway_is_the_address_of_the_bridge(controller):
    assert named(controller, "bridge").gateway_address() == "172.17.0.1"
    assert named(controller, "none").gateway_address() == ""


def test_an_endpoint_needs_a_name(controller):
    with pytest.raises(EngineError, match="invalid name:  "):
        named(controller, "bridge").create_endpoint(" ", EndpointOptions())


def test_a_link_local_address_goes_on_the_interface_too(world, controller):
    network = make(controller, IPAMPool(subnet=SUBNET))
    endpoint = network.create_endpoint("e", EndpointOptions(link_local=("169.254.7.7", "fe80::7")))
    plan = network.driver.join(network.id, endpoint.id).interface
    assert plan is not None
    assert [str(address) for address in plan.addresses] == [
        "10.1.0.2/24",
        "169.254.7.7/16",
        "fe80::7/64",
    ]


def test_a_network_is_deleted_once(world, controller, network):
    network.delete()
    again = controller.new_network("n", network_options("10.1.0.0/24"))
    operations = len(world.kernel.operations)
    with pytest.raises(NotFound, match=f"unknown network {network.name} id {network.id}"):
        network.delete()
    assert world.kernel.operations[operations:] == []
    assert controller.network_by_name("n") is again


def test_networks_of_one_name_are_found_oldest_first_and_one_by_one(controller):
    first, second, third = (controller.new_network("twin", network_options()) for _ in range(3))
    assert controller.networks_by_name("twin") == (first, second, third)
    with pytest.raises(InvalidParameter, match=re.escape("twin is ambiguous (3 matches")):
        find_network(controller, "twin")
    assert find_network(controller, second.id) is second
    first.delete()
    with pytest.raises(InvalidParameter, match=re.escape("twin is ambiguous (2 matches")):
        find_network(controller, "twin")
    third.delete()
    assert controller.networks_by_name("twin") == (second,)
    assert find_network(controller, "twin") is second
    second.delete()
    assert controller.networks_by_name("twin") == ()
    with pytest.raises(NotFound):
        find_network(controller, "twin")
