"""Networks that only hold a configuration, and those that are made from one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from refimpl.errors import EngineError, Forbidden, NotFound
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.store import Put
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.unit.refimpl.libnetwork_world import World, network_options, start

POOL = IPAMPool(subnet="10.1.0.0/24")
MTU = {"com.docker.network.driver.mtu": "1400"}


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def controller(world) -> Controller:
    return world.boot()


def configuration(controller: Controller, name: str = "cfg", **options) -> Network:
    values = {"ipam": (POOL,), "config_only": True, **options}
    return controller.new_network(name, NetworkOptions(**values))


def derived(controller: Controller, name: str = "n", **options) -> Network:
    return controller.new_network(name, NetworkOptions(config_from="cfg", **options))


def test_a_configuration_shows_what_it_was_given_and_takes_nothing(world, controller):
    network = configuration(controller, options=MTU, driver="bridge")
    assert network.type == "null"
    assert network.ipam_config() == (POOL,)
    assert network.pools == ()
    assert set(world.kernel.bridges) == {"docker0"}
    configuration(controller, "another")
    controller.new_network("n", network_options(POOL.subnet)).delete()


def test_its_options_are_not_read_and_its_driver_need_not_be_there(controller):
    configuration(controller, driver="no-such", options={"com.docker.network.driver.mtu": "abc"})
    configuration(controller, "b", ipam_driver="no-such")


def test_a_subnet_that_cannot_be_read_is_refused_all_the_same(controller):
    with pytest.raises(EngineError, match="Invalid subnet zzz : invalid CIDR address: zzz"):
        configuration(controller, ipam=(IPAMPool(subnet="zzz"),))


def test_no_container_is_on_it(world, controller):
    configuration(controller)
    with pytest.raises(Forbidden, match="cannot create endpoint on configuration-only network"):
        start(controller, "web", "cfg")
    world.assert_nothing_is_without_owner(controller)


def test_a_network_takes_everything_from_its_configuration(world, controller):
    pools = (POOL, IPAMPool(subnet="fd00::/64"))
    configuration(
        controller, ipam=pools, options=MTU, labels={"l": "1"}, enable_ipv6=True, ipam_options={}
    )
    network = derived(controller, internal=True)
    assert network.type == "bridge"
    assert network.ipam_config() == pools
    options = network.options
    assert (options.options, options.labels, options.enable_ipv6) == (MTU, {"l": "1"}, True)
    assert (options.internal, options.config_only, options.config_from) == (True, False, "cfg")
    sandbox = start(controller, "web", "n")
    (plan,) = world.kernel.sandboxes[sandbox.key].interfaces.values()
    assert plan.mtu_bytes == 1400


@pytest.mark.parametrize("name", ["cfg", "plain"])
def test_a_configuration_that_is_none_is_not_found(controller, name):
    controller.new_network("plain", network_options("10.9.0.0/24"))
    with pytest.raises(NotFound, match=f'configuration network "{name}" does not exist'):
        controller.new_network("n", NetworkOptions(config_from=name))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ipam": (POOL,)}, "user specified configurations are not supported"),
        ({"labels": {"a": "b"}}, "user specified configurations are not supported"),
        ({"enable_ipv6": True}, "user specified configurations are not supported"),
        ({"ipam_driver": "zzz"}, "user specified configurations are not supported"),
        ({"ipam_options": {"a": "b"}}, "user specified configurations are not supported"),
        ({"options": {"a": "b"}}, "network driver options are not supported"),
        ({"config_only": True}, "a configuration network cannot depend on another"),
    ],
)
def test_a_network_from_a_configuration_brings_nothing_of_its_own(controller, options, words):
    configuration(controller)
    with pytest.raises(Forbidden, match=words):
        derived(controller, **options)


@pytest.mark.parametrize(
    "options", [{"internal": True}, {"attachable": True}, {"ingress": True}, {"scope": "swarm"}]
)
def test_a_configuration_holds_no_operators_fields(controller, options):
    with pytest.raises(Forbidden, match="can only contain network specific fields"):
        configuration(controller, **options)


def test_a_used_configuration_is_not_removed(controller):
    network, user = configuration(controller), derived(controller)
    with pytest.raises(Forbidden, match='configuration network "cfg" is in use'):
        network.delete()
    user.delete()
    network.delete()
    assert controller.network_by_name("cfg") is None


def test_a_network_that_could_not_be_made_does_not_use_it(controller):
    network = configuration(controller, options={"com.docker.network.driver.mtu": "abc"})
    with pytest.raises(EngineError, match="failed to parse"):
        derived(controller)
    network.delete()


def test_both_come_back_at_the_next_start(world):
    first = world.boot()
    before = [configuration(first, options=MTU), derived(first)]
    controller = world.boot()
    for one in before:
        after = controller.network_by_id(one.id)
        assert after is not None
        assert after.options == one.options
        # Docker, too, shows a gateway that it chose from its second start on
        assert [each.subnet for each in after.ipam_config()] == ["10.1.0.0/24"]
        assert after.type == one.type
    with pytest.raises(Forbidden, match="is in use"):
        controller.network_by_name("cfg").delete()
    start(controller, "web", "n")


def test_a_row_of_before_there_were_configurations_is_read(world):
    network = world.boot().new_network("n", network_options("10.2.0.0/24"))
    row = network.to_row()
    del row["options"]["config_only"], row["options"]["config_from"]
    world.store.commit([Put("network", network.id, row)])
    after = world.boot().network_by_name("n")
    assert after is not None
    assert after.options == network.options
