"""The end of a sandbox, as planned and otherwise: links deleted by hand, failures at a stop."""

from __future__ import annotations

import errno

import pytest

from refimpl.errors import EngineError
from refimpl.kernel.base import GatewayPlan
from refimpl.libnetwork.sandbox import Sandbox
from tests.unit.refimpl.libnetwork_world import (
    World,
    connect,
    container_id,
    sandbox_options,
    start,
)
from tests.unit.refimpl.test_libnetwork_sandbox import (
    controller,
    inside,
    leave,
    named,
    world,
)

__all__ = ["controller", "world"]  # fixtures


# -- a link that somebody has deleted by hand ----------------------------------------------


def delete_by_hand(world: World, sandbox: Sandbox, name: str) -> None:
    del world.kernel.sandboxes[sandbox.key].interfaces[name]


def test_another_network_is_joined_after_a_link_was_deleted_by_hand(world, controller):
    sandbox = start(controller, "web", "aa")
    delete_by_hand(world, sandbox, "eth0")
    connect(sandbox, named(controller, "bb"))
    assert inside(world, sandbox) == {"eth1": "10.3.0.2/24"}
    assert world.kernel.sandboxes[sandbox.key].gateway == GatewayPlan(
        ipv4="10.3.0.1", interface="eth1"
    )
    leave(sandbox, "aa")
    leave(sandbox, "bb")
    assert inside(world, sandbox) == {}
    sandbox.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_network_is_left_after_every_link_was_deleted_by_hand(world, controller):
    sandbox = start(controller, "web", "aa", "bb")
    delete_by_hand(world, sandbox, "eth0")
    delete_by_hand(world, sandbox, "eth1")
    leave(sandbox, "bb")
    leave(sandbox, "aa")
    sandbox.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_bridge_that_was_deleted_by_hand_is_made_again_for_the_next_one(world, controller):
    sandbox = start(controller, "web", "aa")
    bridges = {name: str(named(controller, name).state["bridge"]) for name in ("aa", "bb", "cc")}
    before = {name: world.kernel.bridges[name] for name in bridges.values()}
    del world.kernel.bridges[bridges["bb"]]
    connect(sandbox, named(controller, "bb"))
    for name in bridges.values():
        world.kernel.bridges.pop(name)
    sandbox.delete()
    assert set(inside(world, start(controller, "web", "aa", "bb", "cc"))) == {
        "eth0",
        "eth1",
        "eth2",
    }
    assert {name: world.kernel.bridges[name] for name in bridges.values()} == before


def test_an_endpoint_that_the_kernel_does_not_let_go_is_in_until_the_next_try(
    world, controller, monkeypatch
):
    sandbox = start(controller, "web", "aa", "bb")
    (endpoint,) = named(controller, "bb").endpoints()

    def busy(*_arguments: object) -> None:
        raise OSError(errno.EBUSY, "busy")

    with monkeypatch.context() as patched:
        patched.setattr(world.kernel, "remove_interface", busy)
        with pytest.raises(OSError, match="busy"):
            endpoint.leave(sandbox)
    assert endpoint.sandbox is sandbox
    assert set(inside(world, sandbox)) == {"eth0", "eth1"}
    assert endpoint.id in world.store.load().endpoints
    endpoint.leave(sandbox)
    endpoint.delete()
    assert set(inside(world, sandbox)) == {"eth0"}
    assert endpoint.id not in world.store.load().endpoints


# -- teardown ------------------------------------------------------------------------------


def test_the_kernel_is_told_the_names_of_pairs_only_when_they_are_ours(world, controller):
    sandbox = start(controller, "web", "bb", "aa")
    names = {endpoint.host_name for endpoint in sandbox.endpoints()}
    sandbox.delete()
    (told,) = world.kernel.told_at_destroy
    assert set(told) == names

    # a link of a name that we chose may be there already, and is somebody else's then
    world.kernel.fail["create_sandbox"] = FileExistsError(errno.EEXIST, "exists")
    with pytest.raises(FileExistsError):
        start(controller, "web", "aa")
    assert world.kernel.told_at_destroy[1:] == [None]


def test_a_driver_that_fails_at_a_stop_holds_up_nothing(world, controller, monkeypatch):
    sandbox = start(controller, "web", "aa", "bb")
    driver = named(controller, "aa").driver

    def fail(network_id: str, endpoint_id: str) -> None:
        raise EngineError("the driver has failed")

    monkeypatch.setattr(driver, "leave", fail)
    with pytest.raises(EngineError, match="has failed; the driver has failed"):
        sandbox.delete()
    monkeypatch.undo()
    world.assert_nothing_is_without_owner(controller)


def test_after_a_stop_everything_is_free_again(world, controller):
    start(controller, "web", "bridge", "aa").delete()
    world.assert_nothing_is_without_owner(controller)
    assert inside(world, start(controller, "two", "aa")) == {"eth0": "10.2.0.2/24"}


def test_destroying_what_is_not_there_is_no_error(controller):
    controller.sandbox_destroy(container_id("web"))


def test_deleting_twice_is_no_error(controller):
    sandbox = start(controller, "web", "aa")
    sandbox.delete()
    sandbox.delete()


def test_a_namespace_that_cannot_be_removed_keeps_its_sandbox_for_the_next_try(
    world, controller, monkeypatch
):
    sandbox = start(controller, "web", "aa")

    def busy(key: str, host_names: list[str]) -> None:
        raise OSError(errno.EBUSY, "busy")

    with monkeypatch.context() as patched:
        patched.setattr(world.kernel, "destroy_sandbox", busy)
        with pytest.raises(EngineError, match="failed to destroy sandbox"):
            sandbox.delete()
    assert controller.get_sandbox(container_id("web")) is sandbox
    assert len(named(controller, "aa").endpoints()) == 1
    controller.sandbox_destroy(container_id("web"))
    world.assert_nothing_is_without_owner(controller)


def test_a_start_after_a_failed_one_has_the_same_address(world, controller):
    world.kernel.fail["create_sandbox"] = OSError(errno.ENOSPC, "full")
    with pytest.raises(OSError, match="full"):
        start(controller, "web", "aa")
    assert inside(world, start(controller, "web", "aa")) == {"eth0": "10.2.0.2/24"}


def test_an_endpoint_of_a_sandbox_that_was_never_populated_is_given_back(world, controller):
    """What a live connect of a container makes whose network is disabled (docs/findings.md)."""
    sandbox = controller.new_sandbox(sandbox_options("web"))
    connect(sandbox, named(controller, "aa"))
    controller.sandbox_destroy(container_id("web"))
    world.assert_nothing_is_without_owner(controller)
    named(controller, "aa").delete()
