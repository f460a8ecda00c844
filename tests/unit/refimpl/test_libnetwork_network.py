"""Networks and endpoints: options, texts and statuses as 20.10 gives them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from refimpl.daemon.network_lookup import find_network
from refimpl.errors import EngineError, Forbidden, InvalidParameter, NotFound, NotServed
from refimpl.kernel.base import GatewayPlan
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import World, network_options, start

BRIDGE = "com.docker.network.bridge."


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def controller(world):
    controller = world.boot()
    yield controller
    controller.close()


def named(controller: Controller, name: str) -> Network:
    network = controller.network_by_name(name)
    assert network is not None
    return network


def make(controller: Controller, *pools: IPAMPool, **options) -> Network:
    return controller.new_network("n", NetworkOptions(ipam=pools, **options))


def shown(network: Network) -> list[dict[str, object]]:
    return [entry.to_wire() for entry in network.ipam_config()]


# -- the predefined networks ---------------------------------------------------------------


def test_the_predefined_networks_are_there_in_dockers_order(controller):
    assert [(n.name, n.type) for n in controller.networks()] == [
        ("none", "null"),
        ("host", "host"),
        ("bridge", "bridge"),
    ]


def test_the_default_bridge_shows_the_options_that_20_10_shows(controller):
    assert dict(named(controller, "bridge").options.options) == {
        "com.docker.network.bridge.default_bridge": "true",
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.enable_ip_masquerade": "true",
        "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
        "com.docker.network.bridge.name": "docker0",
        "com.docker.network.driver.mtu": "1500",
    }


def test_a_fresh_default_bridge_shows_no_gateway_and_an_older_one_does(world, controller):
    assert shown(named(controller, "bridge")) == [{"Subnet": "172.17.0.0/16"}]
    again = World(kernel=world.kernel).boot(bridge="docker0")
    assert shown(named(again, "bridge")) == [{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]
    again.close()


def test_host_and_none_have_no_pools(controller):
    assert shown(named(controller, "host")) == []
    assert shown(named(controller, "none")) == []


@pytest.mark.parametrize("driver", ["host", "null"])
def test_a_second_network_of_a_single_driver_is_refused(controller, driver):
    with pytest.raises(Forbidden) as raised:
        make(controller, driver=driver)
    assert str(raised.value) == f'only one instance of "{driver}" network is allowed'


# -- what inspect shows --------------------------------------------------------------------


def test_a_network_without_subnet_shows_pool_and_gateway(controller):
    assert shown(make(controller)) == [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]


def test_a_network_with_a_subnet_shows_the_request_word_for_word(controller):
    pool = IPAMPool(subnet="10.1.0.5/24", ip_range="10.1.0.128/25", aux_addresses={"a": "10.1.0.9"})
    assert shown(make(controller, pool)) == [
        {
            "Subnet": "10.1.0.5/24",
            "IPRange": "10.1.0.128/25",
            "AuxiliaryAddresses": {"a": "10.1.0.9"},
        }
    ]


def test_an_ipv6_subnet_comes_beside_a_default_pool(controller):
    network = make(controller, IPAMPool(subnet="2001:db8::/64"), enable_ipv6=True)
    assert shown(network) == [
        {"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"},
        {"Subnet": "2001:db8::/64"},
    ]


def test_an_ipv6_subnet_without_enable_ipv6_is_shown_and_not_used(world, controller):
    network = make(controller, IPAMPool(subnet="2001:db8::/64"))
    assert len(shown(network)) == 2
    assert network.create_endpoint("e", EndpointOptions()).info.ipv6 is None
    (bridge,) = (plan for name, plan in world.kernel.bridges.items() if name != "docker0")
    assert [str(address) for address in bridge.addresses] == ["172.18.0.1/16"]
    start(controller, "web", "n")
    (sandbox,) = world.kernel.sandboxes.values()
    assert sandbox.gateway == GatewayPlan(ipv4="172.18.0.1", interface="eth0")


# -- refusals ------------------------------------------------------------------------------

SUBNET = "10.1.0.0/24"
REFUSALS = [
    ([IPAMPool(subnet="bad")], {}, 500, "Invalid subnet bad : invalid CIDR address: bad"),
    ([IPAMPool(gateway="10.1.0.1")], {}, 500, "Invalid subnet  : invalid CIDR address: "),
    (
        [IPAMPool(subnet=SUBNET, gateway="bad")],
        {},
        500,
        "invalid gateway address bad in Ipam configuration",
    ),
    (
        [IPAMPool(subnet=SUBNET, gateway="10.2.0.1")],
        {},
        500,
        "failed to allocate gateway (10.2.0.1): Requested address is out of range",
    ),
    (
        [IPAMPool(subnet=SUBNET, gateway="10.1.0.0")],
        {},
        500,
        "failed to allocate gateway (10.1.0.0): Address already in use",
    ),
    (
        [IPAMPool(subnet="10.1.0.0/31")],
        {},
        500,
        "failed to allocate gateway (): No available addresses on this pool",
    ),
    (
        [IPAMPool(subnet=SUBNET, aux_addresses={"a": "bad"})],
        {},
        500,
        "non parsable secondary ip address (a:bad) passed for network n",
    ),
    (
        [IPAMPool(subnet=SUBNET, aux_addresses={"a": "10.2.0.1"})],
        {},
        403,
        "auxiliary address: (a:10.2.0.1) must belong to the master pool: 10.1.0.0/24",
    ),
    (
        [IPAMPool(subnet=SUBNET, aux_addresses={"a": "10.1.0.1"})],
        {},
        500,
        "failed to allocate secondary ip address (a:10.1.0.1): Address already in use",
    ),
    (
        [IPAMPool(subnet=SUBNET), IPAMPool(subnet="10.2.0.0/24")],
        {},
        403,
        "bridge driver doesn't support multiple subnets",
    ),
    (
        [IPAMPool(subnet="172.17.0.0/24")],
        {},
        403,
        "Pool overlaps with other one on this address space",
    ),
    (
        [],
        {"enable_ipv6": True},
        404,
        "could not find an available, non-overlapping IPv6 address pool among the defaults to "
        "assign to the network",
    ),
    ([], {"driver": "foo"}, 404, 'plugin "foo" not found'),
    ([], {"ipam_driver": "foo"}, 404, 'plugin "foo" not found'),
    ([], {"ipam_driver": "null"}, 500, "ipv4 pool is empty"),
    ([], {"ingress": True}, 403, "Ingress network can only be global scope network"),
    (
        [],
        {"scope": "swarm"},
        403,
        "cannot create a swarm scoped network when swarm is not active",
    ),
    ([], {"config_from": "zz"}, 404, 'configuration network "zz" does not exist'),
    (
        [],
        {"options": {BRIDGE + "enable_icc": "x"}},
        500,
        "failed to parse com.docker.network.bridge.enable_icc value: x "
        '(strconv.ParseBool: parsing "x": invalid syntax)',
    ),
    (
        [],
        {"options": {"com.docker.network.driver.mtu": "x"}},
        500,
        "failed to parse com.docker.network.driver.mtu value: x "
        '(strconv.Atoi: parsing "x": invalid syntax)',
    ),
    (
        [],
        {"options": {"com.docker.network.driver.mtu": "-1"}},
        500,
        "invalid MTU number: -1",
    ),
    (
        [],
        {"options": {BRIDGE + "host_binding_ipv4": "x"}},
        500,
        "failed to parse com.docker.network.bridge.host_binding_ipv4 value: x (nil ip)",
    ),
    (
        [],
        {"options": {BRIDGE + "name": "a-name-that-is-too-long"}},
        500,
        "failed to check bridge interface existence: numerical result out of range",
    ),
    ([], {"options": {BRIDGE + "name": "a/b"}}, 500, "invalid argument"),
    ([], {"options": {BRIDGE + "name": "lo"}}, 500, "existing interface lo is not a bridge"),
]


@pytest.mark.parametrize(
    ("pools", "options", "status", "message"),
    REFUSALS,
    ids=[f"{number}-{row[3][:30]}" for number, row in enumerate(REFUSALS)],
)
def test_a_refused_network_has_dockers_text_and_leaves_nothing(
    world, controller, pools, options, status, message
):
    before = world.kernel.operations.copy()
    with pytest.raises(EngineError) as raised:
        make(controller, *pools, **options)
    assert (raised.value.status, str(raised.value)) == (status, message)
    assert world.kernel.operations == before
    world.assert_nothing_is_without_owner(controller)
    # 20.10 keeps the pool of a request that fails later; this engine does not
    make(controller, IPAMPool(subnet=SUBNET))


@pytest.mark.parametrize("name", [" ", "\t"])
def test_a_blank_name_is_refused(controller, name):
    with pytest.raises(EngineError) as raised:
        controller.new_network(name, NetworkOptions())
    assert str(raised.value) == f"invalid name: {name}"


def test_configuration_only_networks_are_not_served(controller):
    with pytest.raises(NotServed):
        make(controller, config_only=True)


def test_subnets_that_only_the_bridge_driver_sees_overlap_conflict_in_its_words(controller):
    first = make(controller, IPAMPool(subnet=SUBNET, ip_range="10.1.0.0/25"))
    with pytest.raises(Forbidden) as raised:
        make(controller, IPAMPool(subnet=SUBNET, ip_range="10.1.0.128/25"))
    message = str(raised.value)
    assert message.endswith("networks have overlapping IPv4")
    assert f"conflicts with network {first.id} (br-{first.id[:12]})" in message


def test_two_networks_do_not_share_a_bridge(controller):
    with pytest.raises(Forbidden, match="networks have same bridge name"):
        make(controller, options={BRIDGE + "name": "docker0"})


# -- bridges -------------------------------------------------------------------------------


def test_a_bridge_is_named_after_its_network_and_goes_with_it(world, controller):
    network = make(controller, IPAMPool(subnet=SUBNET))
    bridge = world.kernel.bridges[f"br-{network.id[:12]}"]
    assert [str(address) for address in bridge.addresses] == ["10.1.0.1/24"]
    network.delete()
    assert set(world.kernel.bridges) == {"docker0"}


def test_bridge_options_reach_bridge_interface_and_firewall(world, controller):
    network = make(
        controller,
        internal=True,
        options={
            BRIDGE + "name": "foo0",
            BRIDGE + "enable_icc": "false",
            BRIDGE + "enable_ip_masquerade": "0",
            "com.docker.network.driver.mtu": "1380",
            "com.docker.network.container_iface_prefix": "zz",
        },
    )
    assert "foo0" in world.kernel.bridges
    rule = next(rule for rule in world.kernel.firewall if rule.bridge == "foo0")
    assert (rule.internal, rule.icc, rule.masquerade) == (True, False, False)
    sandbox = start(controller, "web", network.name)
    (interface,) = world.kernel.sandboxes[sandbox.key].interfaces.values()
    assert (interface.name, interface.mtu_bytes) == ("zz0", 1380)


def test_an_mtu_that_no_link_can_have_is_accepted_until_a_start(world, controller):
    network = make(controller, options={"com.docker.network.driver.mtu": "99999999"})
    sandbox = start(controller, "web", network.name)
    (interface,) = world.kernel.sandboxes[sandbox.key].interfaces.values()
    assert interface.mtu_bytes == 99999999


def test_a_bridge_that_was_there_before_stays(world, controller):
    world.kernel.bridges["mine0"] = world.kernel.bridges["docker0"]
    network = make(controller, IPAMPool(subnet=SUBNET), options={BRIDGE + "name": "mine0"})
    network.delete()
    assert "mine0" in world.kernel.bridges


# -- endpoints -----------------------------------------------------------------------------


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
