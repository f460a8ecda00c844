"""Goal: the default network has IPv6 as 20.10 gives it, and what cannot be is refused.

Method: a controller on a kernel that is only remembered; the endpoints' addresses are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from refimpl.errors import EngineError, Forbidden
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.store import Put
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import World

WIDE, NARROW = "2001:db8:9::/64", "2001:db8:9::/112"
MAC = "02:42:0a:0b:0c:0d"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def default_network(world: World, **config: Any) -> Network:
    network = world.boot(**config).network_by_name("bridge")
    assert network is not None
    return network


def addresses(network: Network, name: str, **options: Any) -> tuple[str, str]:
    info = network.create_endpoint(name, EndpointOptions(**options)).info
    return str(info.ipv4), str(info.ipv6)


def test_address_ends_in_the_mac(world):
    network = default_network(world, ipv6=True, fixed_cidr_v6=WIDE)
    assert addresses(network, "a") == ("172.17.0.2/16", "2001:db8:9::242:ac11:2/64")
    assert addresses(network, "b", mac=MAC)[1] == "2001:db8:9::242:a0b:c0d/64"


def test_same_mac_is_refused_and_leaves_nothing(world):
    network = default_network(world, ipv6=True, fixed_cidr_v6=WIDE)
    first = network.create_endpoint("a", EndpointOptions(mac=MAC))
    with pytest.raises(Forbidden, match="Address already in use"):
        network.create_endpoint("b", EndpointOptions(mac=MAC))
    assert addresses(network, "c")[0] == "172.17.0.3/16"
    network.forget_endpoint(first)
    assert addresses(network, "b", mac=MAC)[1] == "2001:db8:9::242:a0b:c0d/64"


def test_small_range_is_given_out_in_order(world):
    network = default_network(world, ipv6=True, fixed_cidr_v6=NARROW)
    assert [addresses(network, name, mac=mac)[1] for name, mac in (("a", ""), ("b", MAC))] == [
        "2001:db8:9::2/112",
        "2001:db8:9::3/112",
    ]


def test_default_gateway_is_shown_and_kept_for_itself(world):
    network = default_network(
        world, ipv6=True, fixed_cidr_v6=NARROW, default_gateway_v6="2001:db8:9::2"
    )
    assert network.ipam_config()[1] == IPAMPool(
        subnet=NARROW, aux_addresses={"DefaultGatewayIPv6": "2001:db8:9::2"}
    )
    assert addresses(network, "a")[1] == "2001:db8:9::3/112"


def test_range_alone_is_shown_and_not_used(world):
    network = default_network(world, fixed_cidr_v6=WIDE)
    assert not network.options.enable_ipv6
    assert network.ipam_config()[1] == IPAMPool(subnet=WIDE)
    assert addresses(network, "a") == ("172.17.0.2/16", "None")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {},
            "IPv6 is enabled for the default bridge, but no subnet is configured. "
            "Specify an IPv6 subnet using --fixed-cidr-v6",
        ),
        (
            {"fixed_cidr_v6": WIDE, "default_gateway_v6": "fd00::7"},
            "auxiliary address: (DefaultGatewayIPv6:fd00::7) must belong to the master pool: "
            f"{WIDE}",
        ),
    ],
)
def test_what_cannot_be_ends_the_boot(world, config, text):
    with pytest.raises(EngineError) as refusal:
        world.boot(ipv6=True, **config)
    assert str(refusal.value) == text


def test_next_boot_keeps_the_bridges_address_for_the_bridge(world):
    config = {"ipv6": True, "fixed_cidr_v6": WIDE}
    default_network(world, **config)
    network = default_network(world, **config)
    assert network.ipam_config()[1].gateway == "2001:db8:9::1"
    assert addresses(network, "a")[1] == "2001:db8:9::242:ac11:2/64"
    other = default_network(world, ipv6=True, fixed_cidr_v6="2001:db8:a::/64")
    own = world.kernel.bridges["docker0"].addresses
    assert sorted(map(str, own)) == ["172.17.0.1/16", "2001:db8:a::1/64", "fe80::1/64"]
    assert addresses(other, "a")[1] == "2001:db8:a::242:ac11:2/64"


def test_auxiliary_addresses_lead_elsewhere(world):
    pools = (
        IPAMPool(subnet="10.8.0.0/24", aux_addresses={"DefaultGatewayIPv4": "10.8.0.9"}),
        IPAMPool(subnet=NARROW, aux_addresses={"DefaultGatewayIPv6": "2001:db8:9::9"}),
    )
    network = world.boot().new_network("n", NetworkOptions(ipam=pools, enable_ipv6=True))
    endpoint = network.create_endpoint("a", EndpointOptions())
    join = network.driver.join(network.id, endpoint.id)
    assert (str(join.gateway4), str(join.gateway6)) == ("10.8.0.9", "2001:db8:9::9")


def test_subnet_of_a_network_without_ipv6_is_shown_and_not_taken(world):
    controller = world.boot()
    pools = [(IPAMPool(subnet=f"10.{n}.0.0/16"), IPAMPool(subnet=WIDE)) for n in (7, 8, 9)]
    for name, ipam in zip("ab", pools, strict=False):
        network = controller.new_network(name, NetworkOptions(ipam=ipam))
        assert network.ipam_config() == ipam
    controller.new_network("c", NetworkOptions(ipam=pools[2], enable_ipv6=True))
    again = world.boot()
    assert {one.name: one.ipam_config() for one in again.networks() if one.name in "abc"} == dict(
        zip("abc", pools, strict=True)
    )


def test_row_of_an_earlier_engine_gives_its_unused_subnet_back(world):
    controller = world.boot()
    ipam = (IPAMPool(subnet="10.7.0.0/16"), IPAMPool(subnet=WIDE))
    network = controller.new_network("a", NetworkOptions(ipam=ipam, enable_ipv6=True))
    row = network.to_row()
    row["options"]["enable_ipv6"] = False
    world.store.commit([Put("network", network.id, row)])
    again = world.boot().network_by_name("a")
    assert again is not None
    assert again.ipam_config() == ipam
    assert [info.version for info in again.pools] == [4]


def test_link_local_subnet_has_its_gateway_once(world):
    ipam = (IPAMPool(subnet="10.7.0.0/16"), IPAMPool(subnet="fe80::/64"))
    network = world.boot().new_network("a", NetworkOptions(ipam=ipam, enable_ipv6=True))
    own = world.kernel.bridges[network.state["bridge"]].addresses
    assert sorted(map(str, own)) == ["10.7.0.1/16", "fe80::1/64"]
