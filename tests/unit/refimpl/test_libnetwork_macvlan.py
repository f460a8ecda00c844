"""Networks of the driver macvlan: options, parents, endpoints, and what faults leave of them."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

import pytest

from refimpl.errors import EngineError
from refimpl.kernel.base import Link, ParentPlan
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.store import Put
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.faults import FailingAt, Moment, Recorder
from tests.unit.refimpl.libnetwork_world import World, connect, container_id, start

GONE = "the requested parent interface par0 was not found on the Docker host"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    plug(world)
    yield world
    world.close()


@pytest.fixture
def controller(world) -> Controller:
    return world.boot()


def plug(world: World, name: str = "par0") -> None:
    world.kernel.foreign_links[name] = Link(
        index=9, name=name, kind="veth", master=None, addresses=()
    )


def make(
    controller: Controller, name: str = "mac", subnets: str = "10.1.0.0/24", **options
) -> Network:
    labels = {"parent": "par0", **options.pop("options", {})}
    pools = tuple(IPAMPool(subnet=subnet) for subnet in subnets.split())
    return controller.new_network(
        name, NetworkOptions(driver="macvlan", ipam=pools, options=labels, **options)
    )


# -- options -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"macvlan_mode": "zzz"},
            "requested macvlan mode 'zzz' is not valid, 'bridge' mode is the",
        ),
        ({"macvlan_mode": "BRIDGE"}, "requested macvlan mode 'BRIDGE' is not valid"),
        ({"parent": "lo"}, "loopback interface is not a valid macvlan parent link"),
        (
            {"parent": "nope0"},
            "invalid subinterface vlan name nope0, example formatting is eth0.10",
        ),
        ({"parent": "nope0.10"}, "-o parent interface does was not found on the host: nope0"),
        ({"parent": ".10"}, "-o parent interface does was not found on the host: "),
        ({"parent": "par0.0"}, "vlan id must be between 1-4094, received: 0"),
        ({"parent": "par0.4095"}, "vlan id must be between 1-4094, received: 4095"),
        ({"parent": "par0.-1"}, "vlan id must be between 1-4094, received: -1"),
        ({"parent": "par0.x"}, "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
        ({"parent": "par0."}, "unable to parse a valid vlan id from:  (ex. eth0.10 for vlan 10)"),
        (
            {"parent": "par0.1.2"},
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead "
            "received par0.1.2",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_dockers_words(world, controller, options, text):
    with pytest.raises(EngineError) as caught:
        make(controller, options=options)
    assert str(caught.value).startswith(text)
    world.assert_nothing_is_without_owner(controller)
    assert world.kernel.parents == {}


def test_an_option_that_it_does_not_know_is_kept(controller):
    network = make(controller, options={"com.docker.network.driver.mtu": "abc"})
    assert network.options.options["com.docker.network.driver.mtu"] == "abc"


def test_a_second_network_on_a_parent_is_refused(controller):
    first = make(controller)
    with pytest.raises(EngineError) as caught:
        make(controller, "other", "10.2.0.0/24")
    expected = f"network dm-{first.id[:12]} is already using parent interface par0"
    assert str(caught.value) == expected
    first.delete()
    make(controller, "other", "10.2.0.0/24")


# -- endpoints -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["", "bridge", "private", "passthru", "vepa"])
def test_a_container_gets_a_macvlan_on_the_parent(world, controller, mode):
    make(controller, options={"macvlan_mode": mode})
    sandbox = start(controller, "web", "mac")
    (plan,) = world.kernel.sandboxes[sandbox.key].interfaces.values()
    assert (plan.name, plan.bridge, plan.host_name) == ("eth0", "par0", "")
    assert plan.macvlan_mode == (mode or "bridge")
    assert plan.mac == "02:42:0a:01:00:02"
    assert world.kernel.sandboxes[sandbox.key].gateway.ipv4 == "10.1.0.1"
    assert sandbox.dns.is_served


def test_nothing_of_it_is_in_the_firewall(world, controller):
    make(controller)
    start(controller, "web", "mac")
    assert {one.bridge for one in world.kernel.firewall} == {"docker0"}


def test_an_internal_network_has_no_gateway(world, controller):
    make(controller, internal=True)
    sandbox = start(controller, "web", "mac")
    assert sandbox.endpoints()[0].info.gateway4 is None
    assert world.kernel.sandboxes[sandbox.key].gateway.ipv4 is None


def test_the_gateway_is_of_the_addresss_own_subnet(controller):
    network = make(controller, subnets="10.1.0.0/24 10.2.0.0/24 fd00:1::/64", enable_ipv6=True)
    sandbox = start(controller, "web")
    connect(sandbox, network, ipv4="10.2.0.9")
    (endpoint,) = sandbox.endpoints()
    assert str(endpoint.info.gateway4) == "10.2.0.1"
    assert str(endpoint.info.gateway6) == "fd00:1::1"


def test_without_ipv6_its_pool_is_shown_and_not_used(controller):
    make(controller, subnets="10.1.0.0/24 fd00:1::/64")
    (endpoint,) = start(controller, "web", "mac").endpoints()
    assert endpoint.info.ipv6 is None
    assert endpoint.info.gateway6 is None


def test_a_sandbox_with_a_macvlan_is_looked_into_at_its_end(world, controller):
    make(controller)
    sandbox = start(controller, "web", "bridge", "mac")
    world.kernel.told_at_destroy.clear()
    sandbox.delete()
    assert world.kernel.told_at_destroy == [None]


# -- parents -------------------------------------------------------------------------------


def test_the_parent_that_was_there_stays(world, controller):
    make(controller).delete()
    assert "par0" in world.kernel.foreign_links


def test_without_a_parent_the_network_gets_a_dummy(world, controller):
    network = make(controller, options={"parent": ""})
    name = f"dm-{network.id[:12]}"
    assert world.kernel.parents == {name: ParentPlan(name=name)}
    start(controller, "web", "mac").delete()
    network.delete()
    assert world.kernel.parents == {}


def test_a_vlan_is_made_and_goes_with_the_network(world, controller):
    network = make(controller, options={"parent": "par0.10"})
    plan = ParentPlan(name="par0.10", lower="par0", vlan_id=10)
    assert world.kernel.parents == {"par0.10": plan}
    network.delete()
    assert world.kernel.parents == {}


def test_a_vlan_that_was_there_stays(world, controller):
    plug(world, "par0.10")
    make(controller, options={"parent": "par0.10"}).delete()
    assert "par0.10" in world.kernel.foreign_links


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ("", "operation not supported"),
        ("par0.10", "failed to create par0.10 vlan link: operation not supported"),
    ],
)
def test_a_kernel_without_such_links_is_named(world, controller, parent, text):
    world.kernel.fail["create_parent"] = OSError(errno.EOPNOTSUPP, "no such links")
    with pytest.raises(EngineError) as caught:
        make(controller, options={"parent": parent})
    assert str(caught.value) == text
    world.assert_nothing_is_without_owner(controller)


def test_a_start_without_the_parent_fails_and_works_once_it_is_back(world, controller):
    make(controller)
    del world.kernel.foreign_links["par0"]
    with pytest.raises(EngineError) as caught:
        start(controller, "web", "mac")
    assert str(caught.value) == GONE
    world.assert_nothing_is_without_owner(controller)
    plug(world)
    start(controller, "web", "mac")


def test_a_live_connect_without_the_parent_leaves_no_gap_in_the_numbers(world, controller):
    network = make(controller)
    sandbox = start(controller, "web", "bridge")
    del world.kernel.foreign_links["par0"]
    with pytest.raises(EngineError, match="was not found"):
        connect(sandbox, network)
    plug(world)
    connect(sandbox, network)
    assert set(world.kernel.sandboxes[sandbox.key].interfaces) == {"eth0", "eth1"}


def test_a_dummy_that_somebody_has_deleted_is_made_again(world, controller):
    make(controller, options={"parent": ""})
    world.kernel.parents.clear()
    start(controller, "web", "mac")
    assert len(world.kernel.parents) == 1


def test_no_macvlan_goes_into_the_engines_own_namespace(controller):
    network = make(controller)
    sandbox = start(controller, "web", "host")
    with pytest.raises(EngineError, match="it is the engine's namespace"):
        connect(sandbox, network)


# -- the next daemon -----------------------------------------------------------------------


@pytest.mark.parametrize("parent", ["par0", "", "par0.10"])
def test_a_network_comes_back_with_its_parent(world, parent):
    before = make(world.boot(), options={"parent": parent})
    world.kernel.parents.clear()  # as after the machine's own restart
    controller = world.boot()
    after = controller.network_by_name("mac")
    assert after is not None
    assert after.state == before.state
    start(controller, "web", "mac").delete()
    after.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_network_whose_parent_is_gone_comes_back_and_says_so(world, caplog):
    make(world.boot())
    del world.kernel.foreign_links["par0"]
    controller = world.boot()
    assert GONE in caplog.text
    network = controller.network_by_name("mac")
    assert network is not None
    plug(world)
    start(controller, "web", "mac").delete()
    network.delete()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "zzz"}, "no macvlan network"),
        ({"parent": ""}, "no macvlan network"),
        ({"vlan_id": "x"}, "invalid literal"),
    ],
)
def test_a_damaged_state_is_named(world, caplog, change, words):
    network = make(world.boot())
    row = network.to_row()
    row["state"] |= change
    world.store.commit([Put("network", network.id, row)])
    assert world.boot().network_by_name("mac") is None
    assert words in caplog.text


def test_a_state_without_a_field_is_named(world, caplog):
    network = make(world.boot())
    row = network.to_row()
    del row["state"]["lower"]
    world.store.commit([Put("network", network.id, row)])
    assert world.boot().network_by_name("mac") is None
    assert "'lower' is missing" in caplog.text


# -- faults --------------------------------------------------------------------------------


def live(controller: Controller) -> None:
    network = controller.network_by_name("mac") or make(controller, options={"parent": ""})
    sandbox = start(controller, "web", "bridge")
    connect(sandbox, network)
    sandbox.delete()
    start(controller, "web", "mac").delete()
    network.delete()


def count_operations() -> tuple[int, int]:
    recorder, world = Recorder(), World()
    controller = world.boot(recorder)
    boot = len(recorder.names)
    live(controller)
    world.close()
    return boot, len(recorder.names)


BOOT, END = count_operations()


@pytest.mark.parametrize("moment", Moment, ids=lambda moment: moment.value)
@pytest.mark.parametrize("number", range(BOOT + 1, END + 1))
def test_a_failing_operation_leaves_nothing_behind(world, number, moment):
    controller = world.boot(FailingAt(number, moment))
    with contextlib.suppress(OSError, EngineError):
        live(controller)
    controller.sandbox_destroy(container_id("web"))
    network = controller.network_by_name("mac")
    if network is not None:
        network.delete()
    world.assert_nothing_is_without_owner(controller)
    assert world.kernel.parents == {}
    live(controller)
    world.assert_nothing_is_without_owner(controller)
