"""What comes back after a restart and after a crash, and what must not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Interface, ip_interface

import pytest

from refimpl.errors import EngineError
from refimpl.kernel.base import BridgePlan, Link
from refimpl.libnetwork.store import Put
from refimpl.model.network import IPAMPool, NetworkOptions
from tests.unit.refimpl.fake_kernel import FakeSandbox
from tests.unit.refimpl.libnetwork_world import (
    NETNS,
    World,
    container_id,
    network_options,
    start,
)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def ids(controller) -> dict[str, str]:
    return {network.name: network.id for network in controller.networks()}


def test_after_a_restart_every_network_but_bridge_has_its_id(world):
    first = world.boot()
    first.new_network("n", network_options("10.1.0.0/24"))
    second = world.boot()
    before, after = ids(first), ids(second)
    assert before.pop("bridge") != after.pop("bridge")
    assert before == after


def test_a_restored_network_is_what_it_was(world):
    pools = (
        IPAMPool(
            subnet="10.1.0.0/24",
            ip_range="10.1.0.128/25",
            gateway="10.1.0.9",
            aux_addresses={"a": "10.1.0.128"},
        ),
        IPAMPool(subnet="2001:db8::/64"),
    )
    options = NetworkOptions(
        ipam=pools,
        internal=True,
        enable_ipv6=True,
        attachable=True,
        ipam_options={"x": "y"},
        labels={"l": "1"},
        options={"com.docker.network.bridge.name": "foo0"},
    )
    before = world.boot().new_network("n", options)
    controller = world.boot()
    after = controller.network_by_name("n")
    assert after is not None
    assert after.options == before.options
    assert after.created == before.created
    # what nobody named is shown from the restart on, as in Docker
    assert after.ipam_config() == (pools[0], replace(pools[1], gateway="2001:db8::1"))
    assert after.state == before.state
    sandbox = start(controller, "web", "n")
    assert str(sandbox.endpoints()[0].info.ipv4) == "10.1.0.129/24"


def test_a_restored_default_pool_is_not_given_again(world):
    world.boot().new_network("n", network_options())
    controller = world.boot()
    assert str(controller.network_by_name("n").pools[0].pool.subnet) == "172.18.0.0/16"
    other = controller.new_network("m", network_options())
    assert str(other.pools[0].pool.subnet) == "172.19.0.0/16"


def test_a_missing_bridge_is_made_again(world):
    network = world.boot().new_network("n", network_options("10.1.0.0/24"))
    world.kernel.bridges.clear()
    world.boot()
    assert set(world.kernel.bridges) == {"docker0", f"br-{network.id[:12]}"}


@pytest.mark.parametrize("operation", ["create_bridge", "apply_firewall"])
def test_a_first_boot_that_fails_leaves_no_bridge(world, operation):
    world.kernel.fail[operation] = OSError("nft is not there")
    with pytest.raises(OSError, match="nft is not there"):
        world.boot()
    assert world.kernel.bridges == {}
    world.boot()
    assert set(world.kernel.bridges) == {"docker0"}


def test_the_firewall_is_written_whole_at_boot(world):
    network = world.boot().new_network("n", network_options("10.1.0.0/24"))
    world.kernel.firewall = None
    world.boot()
    assert {rule.bridge for rule in world.kernel.firewall} == {
        "docker0",
        f"br-{network.id[:12]}",
    }


def test_after_a_crash_stale_sandboxes_are_named_and_gone(world, caplog):
    first = world.boot()
    first.new_network("n", network_options("10.1.0.0/29"))
    sandbox = start(first, "web", "bridge", "n")
    with caplog.at_level(logging.INFO):
        second = world.boot()
    assert f"Removing stale sandbox {sandbox.id} ({container_id('web')})" in caplog.text
    world.assert_nothing_is_without_owner(second)
    again = start(second, "web", "n")
    assert str(again.endpoints()[0].info.ipv4) == "10.1.0.2/29"


def test_namespaces_that_no_row_names_are_removed(world):
    world.kernel.sandboxes[f"{NETNS}/0123456789ab"] = FakeSandbox()
    world.boot()
    assert world.kernel.sandboxes == {}


def test_ports_that_no_row_names_are_left_alone_on_our_bridges_too(world):
    network = world.boot().new_network("n", network_options("10.1.0.0/24"))
    strays = {"veth0123abc": "docker0", "veth0123def": network.state["bridge"]}
    world.kernel.stray_veths = dict(strays)
    world.boot()
    assert world.kernel.stray_veths == strays


def test_links_of_others_are_left_alone(world):
    world.boot()
    mine = Link(index=9, name="mine", kind="veth", master="docker0", addresses=())
    theirs = Link(index=10, name="veth0123abc", kind="veth", master="virbr0", addresses=())
    world.kernel.foreign_links = {link.name: link for link in (mine, theirs)}
    world.boot()
    assert set(world.kernel.foreign_links) == {"mine", "veth0123abc"}


def test_a_deletion_that_was_under_way_is_finished(world):
    network = world.boot().new_network("n", network_options("10.1.0.0/24"))
    world.store.commit([Put("network", network.id, network.to_row(in_delete=True))])
    controller = world.boot()
    assert controller.network_by_name("n") is None
    world.assert_nothing_is_without_owner(controller)


def test_a_link_that_cannot_be_removed_is_tried_again_at_the_next_boot(world, monkeypatch):
    start(world.boot(), "web", "bridge")
    veth = next(iter(world.store.load().endpoints.values()))["host_name"]
    world.kernel.sandboxes.clear()
    world.kernel.stray_veths = {veth: "docker0"}

    def refuse(name: str) -> None:
        raise OSError("no")

    with monkeypatch.context() as patched:
        patched.setattr(world.kernel, "delete_link", refuse)
        world.boot()
    assert len(world.store.load().endpoints) == 1
    world.assert_nothing_is_without_owner(world.boot())


def test_the_namespace_of_the_host_is_never_emptied(world):
    """The fake refuses it; a real kernel would take the host's own links away."""
    start(world.boot(), "web", "host")
    world.boot().close()
    assert world.kernel.host_keys == set()


# -- the default bridge --------------------------------------------------------------------


def test_beside_a_docker0_of_somebody_else_another_name_is_taken(world):
    world.kernel.bridges["docker0"] = BridgePlan(name="docker0", addresses=())
    controller = world.boot()
    assert controller.network_by_name("bridge").state["bridge"] == "netinit0"
    assert world.boot().network_by_name("bridge").state["bridge"] == "netinit0"


def take_over_docker0(world: World, how: str) -> None:
    """Let a real Docker use docker0: the one that we left, or one that it made anew."""
    if how == "made anew":
        world.kernel.delete_link("docker0")
        world.kernel.bridges["docker0"] = BridgePlan(
            name="docker0", addresses=(ip_interface("172.17.0.1/16"),)
        )
    else:
        world.kernel.stray_veths = {"veth0123abc": "docker0"}


@pytest.mark.parametrize("how", ["made anew", "found and used"])
def test_a_docker0_that_a_real_docker_took_is_left_to_it(world, how):
    world.boot()
    take_over_docker0(world, how)
    before = dict(world.kernel.bridges), dict(world.kernel.stray_veths)
    bridge = world.boot().network_by_name("bridge")
    assert bridge.state["bridge"] == "netinit0"
    assert str(bridge.pools[0].pool.subnet) == "172.18.0.0/16"
    assert before == ({"docker0": world.kernel.bridges["docker0"]}, world.kernel.stray_veths)
    assert world.boot().network_by_name("bridge").state["bridge"] == "netinit0"


@pytest.mark.parametrize("how", ["made anew", "found and used"])
def test_bridge_none_leaves_a_docker0_that_a_real_docker_took(world, how):
    world.boot()
    take_over_docker0(world, how)
    world.boot(bridge="none")
    assert "docker0" in world.kernel.bridges


def test_bridge_none_leaves_a_bridge_of_the_users_own(world):
    world.kernel.bridges["br9"] = BridgePlan(name="br9", addresses=())
    world.boot(bridge="br9")
    world.boot(bridge="none")
    assert "br9" in world.kernel.bridges


def test_the_default_bridge_keeps_its_subnet_over_a_restart(world):
    world.boot().new_network("n", network_options())
    again = world.boot().network_by_name("bridge")
    assert str(again.pools[0].pool.subnet) == "172.17.0.0/16"


def test_bridge_none_leaves_it_out_and_removes_the_old_one(world):
    world.boot()
    controller = world.boot(bridge="none")
    assert controller.config.is_disabled
    assert controller.network_by_name("bridge") is None
    assert "docker0" not in world.kernel.bridges


def test_a_bridge_of_the_users_own_must_be_there(world):
    with pytest.raises(EngineError) as raised:
        world.boot(bridge="br9")
    assert str(raised.value) == ("bridge device with non default name br9 must be created manually")


def test_bip_and_fixed_cidr_shape_the_default_bridge(world):
    controller = world.boot(bip="10.4.0.1/16", fixed_cidr="10.4.5.0/24")
    sandbox = start(controller, "web", "bridge")
    info = sandbox.endpoints()[0].info
    assert (str(info.ipv4), str(info.gateway4)) == ("10.4.5.0/16", "10.4.0.1")


def test_default_gateway_is_where_the_default_route_leads(world):
    for run in ("one", "two"):
        controller = world.boot(bip="10.4.0.1/16", default_gateway="10.4.0.9")
        sandbox = start(controller, run, "bridge")
        network = controller.network_by_name("bridge")
        assert network.gateway_address() == "10.4.0.1"
        assert str(sandbox.endpoints()[0].info.gateway4) == "10.4.0.9"
        assert world.kernel.bridges["docker0"].addresses == (IPv4Interface("10.4.0.1/16"),)


def test_a_users_network_keeps_its_auxiliary_gateway_over_a_restart(world):
    pool = IPAMPool(subnet="10.1.0.0/24", aux_addresses={"DefaultGatewayIPv4": "10.1.0.9"})
    world.boot().new_network("n", NetworkOptions(driver="bridge", ipam=(pool,)))
    sandbox = start(world.boot(), "web", "n")
    assert str(sandbox.endpoints()[0].info.gateway4) == "10.1.0.9"


def test_a_network_that_cannot_be_restored_is_named_and_the_others_come_back(world, caplog):
    first = world.boot()
    network = first.new_network("n", network_options("10.1.0.0/24"))
    first.new_network("other", network_options("10.2.0.0/24"))
    twin = network.to_row() | {"name": "twin", "created": "2999-01-01T00:00:00+00:00"}
    world.store.commit([Put("network", "f" * 64, twin)])
    controller = world.boot()
    assert "failed to restore network twin" in caplog.text
    assert controller.network_by_name("twin") is None
    assert controller.network_by_name("n") is not None
    assert controller.network_by_name("other") is not None


def test_a_bridge_that_cannot_be_made_again_leaves_its_network_to_be_deleted(world, caplog):
    world.boot().new_network("n", network_options("10.1.0.0/24"))
    world.kernel.fail["create_bridge"] = OSError("no")
    controller = world.boot()
    assert "failed to restore a network" in caplog.text
    network = controller.network_by_name("n")
    assert network is not None
    network.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_deletion_that_fails_at_boot_is_tried_again_at_the_next(world, monkeypatch):
    network = world.boot().new_network("n", network_options("10.1.0.0/24"))
    world.store.commit([Put("network", network.id, network.to_row(in_delete=True))])
    world.kernel.fail["delete_link"] = OSError("no")
    world.boot()
    assert network.id in world.store.load().networks
    world.assert_nothing_is_without_owner(world.boot())


def test_closing_removes_what_still_runs(world):
    controller = world.boot()
    start(controller, "web", "bridge")
    start(controller, "hosted", "host")
    controller.close()
    assert world.kernel.sandboxes == {}
    assert world.kernel.host_keys == set()


@pytest.mark.parametrize("options", [{"config_only": True}, {}], ids=["configuration", "unused"])
def test_addresses_that_nobody_has_read_yet_do_not_cost_a_network_at_the_next_start(world, options):
    """What a configuration says, and an IPv6 subnet without EnableIPv6, is not looked at."""
    unread = IPAMPool(subnet="fd00::/64", gateway="x", ip_range="y", aux_addresses={"a": "z"})
    before = world.boot().new_network("n", NetworkOptions(ipam=(unread,), **options))
    after = world.boot().network_by_id(before.id)
    assert after is not None
    assert unread in after.ipam_config()
