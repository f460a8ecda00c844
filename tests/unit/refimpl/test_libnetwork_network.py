"""Networks and endpoints: options, texts and statuses as 20.10 gives them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from refimpl.errors import EngineError, Forbidden
from refimpl.kernel.base import GatewayPlan
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import World, start

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


def test_a_default_pool_avoids_the_hosts_nameservers(world):
    """As in 20.10, which reads them from the host's resolv.conf each time."""
    world.files.content["/etc/resolv.conf"] = b"nameserver 172.17.0.9\nnameserver fd00::1\n"
    controller = world.boot(default_address_pools=(("172.17.0.0/16", 18),))
    world.files.content["/etc/resolv.conf"] = b"nameserver 172.17.128.9\n"
    made = controller.new_network("net", NetworkOptions())
    bridge = controller.network_by_name("bridge")
    assert str(bridge.pools[0].pool.subnet) == "172.17.64.0/18"
    assert str(made.pools[0].pool.subnet) == "172.17.0.0/18"
    assert str(controller.new_network("next", NetworkOptions()).pools[0].pool.subnet) == (
        "172.17.192.0/18"
    )


def test_without_a_resolv_conf_every_default_pool_may_be_used(world):
    del world.files.content["/etc/resolv.conf"]
    controller = world.boot(default_address_pools=(("10.9.0.0/16", 24),))
    assert str(controller.network_by_name("bridge").pools[0].pool.subnet) == "10.9.0.0/24"


def test_a_gateway_that_nobody_named_is_shown_after_a_restart(world):
    """Measured on 20.10 to 28.5."""
    network = world.boot().new_network(
        "net", NetworkOptions(ipam=(IPAMPool(subnet="10.9.1.0/24"),))
    )
    assert network.ipam_config() == (IPAMPool(subnet="10.9.1.0/24"),)
    (shown,) = world.boot().network_by_name("net").ipam_config()
    assert shown == IPAMPool(subnet="10.9.1.0/24", gateway="10.9.1.1")


@pytest.mark.parametrize(("text", "shown"), [("", "<nil>"), ("10.1.1.1", "10.1.1.1")])
def test_a_link_local_address_that_is_none_is_refused_in_gos_words(controller, text, shown):
    network = controller.new_network("net", NetworkOptions())
    with pytest.raises(EngineError) as raised:
        network.create_endpoint("web", EndpointOptions(link_local=(text,)))
    assert str(raised.value) == f"invalid link local IP address: {shown}"


def test_a_full_network_says_so_of_a_chosen_address_too(controller):
    options = NetworkOptions(ipam=(IPAMPool(subnet="10.9.1.0/30"),))
    network = controller.new_network("net", options)
    network.create_endpoint("web", EndpointOptions())
    with pytest.raises(EngineError) as raised:
        network.create_endpoint("app", EndpointOptions(ipv4="10.9.1.2"))
    assert str(raised.value) == "No available addresses on this pool"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scope": "swarm"}, "cannot create a swarm scoped network when swarm is not active"),
        ({"scope": "global"}, "This node is not a swarm manager"),
        ({"ingress": True}, "Ingress network can only be global scope network"),
        ({"scope": "swarm", "config_only": True}, "configuration network can only contain"),
        ({"scope": "swarm", "ipam": (IPAMPool(subnet="x"),)}, "Invalid subnet x"),
    ],
)
def test_what_needs_a_cluster_is_refused_after_what_cannot_be_read(controller, options, words):
    with pytest.raises(EngineError, match=words):
        controller.new_network("n", NetworkOptions(**options))
