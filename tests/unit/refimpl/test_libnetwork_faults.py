"""Every single operation fails, and the daemon dies at every single one: nothing is ever lost.

The scenario is the life of two networks and two containers. It is first run undisturbed to count
its operations; then, for each of them, it is disturbed there, the machine is looked at, and the
scenario is run again undisturbed on what is left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from refimpl.errors import EngineError
from refimpl.libnetwork.controller import Controller
from tests.faults import FailingAt, Moment, Recorder
from tests.unit.refimpl.libnetwork_world import (
    World,
    connect,
    container_id,
    network_options,
    start,
)


class DyingAt(Recorder):
    """From the n-th operation on nothing is done any more: the process is dead.

    Unlike a real kill the Python code runs on, but whatever it tries to undo, it cannot.
    """

    def __init__(self, number: int, moment: Moment) -> None:
        super().__init__()
        self._number = number
        self._moment = moment

    def _strike(self, name: str, number: int, moment: Moment) -> None:
        if number > self._number or (number == self._number and moment is self._moment):
            raise Dead(f"{moment.value} {number} {name}")


class Dead(BaseException):
    pass


def networks(controller: Controller) -> None:
    for name, subnet in (("aa", "10.1.0.0/24"), ("zz", "10.2.0.0/24")):
        if controller.network_by_name(name) is None:
            controller.new_network(name, network_options(subnet))


def start_two(controller: Controller) -> None:
    start(controller, "web", "bridge", "zz")
    start(controller, "hosted", "host")


def connect_live(controller: Controller) -> None:
    sandbox = controller.get_sandbox(container_id("web"))
    network = controller.network_by_name("aa")
    assert sandbox is not None
    assert network is not None
    connect(sandbox, network)


def disconnect_live(controller: Controller) -> None:
    network = controller.network_by_name("zz")
    assert network is not None
    endpoint = network.endpoint_by_name("web")
    assert endpoint is not None
    endpoint.delete(force=True)


def stop(controller: Controller) -> None:
    controller.sandbox_destroy(container_id("web"))
    controller.sandbox_destroy(container_id("hosted"))


def remove_networks(controller: Controller) -> None:
    for name in ("aa", "zz"):
        network = controller.network_by_name(name)
        if network is not None:
            network.delete()


STEPS: tuple[Callable[[Controller], None], ...] = (
    networks,
    start_two,
    connect_live,
    disconnect_live,
    stop,
    remove_networks,
)


def live(controller: Controller) -> None:
    for step in STEPS:
        step(controller)


def count_operations() -> tuple[int, int]:
    """Return how many operations a boot has, and a boot with the life after it."""
    recorder = Recorder()
    world = World()
    controller = world.boot(recorder)
    boot = len(recorder.names)
    live(controller)
    world.close()
    return boot, len(recorder.names)


BOOT_OPERATIONS, OPERATIONS = count_operations()
MOMENTS = list(Moment)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_the_scenario_leaves_nothing_behind(world):
    controller = world.boot()
    live(controller)
    world.assert_nothing_is_without_owner(controller)


def test_the_scenario_is_long_enough_to_mean_something():
    assert OPERATIONS > BOOT_OPERATIONS + 25


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.value)
@pytest.mark.parametrize("number", range(BOOT_OPERATIONS + 1, OPERATIONS + 1))
def test_a_failing_operation_leaves_nothing_behind(world, number, moment):
    controller = world.boot(FailingAt(number, moment))
    for step in STEPS:
        # the client gets an error and asks for the next thing, possible or not
        with contextlib.suppress(OSError, EngineError, AssertionError):
            step(controller)
    with contextlib.suppress(OSError, EngineError):
        stop(controller)
    remove_networks(controller)
    world.assert_nothing_is_without_owner(controller)
    live(controller)
    world.assert_nothing_is_without_owner(controller)
    controller.close()


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.value)
@pytest.mark.parametrize("number", range(1, OPERATIONS + 1))
def test_a_daemon_that_dies_at_an_operation_comes_back_clean(world, number, moment):
    with pytest.raises(Dead):
        live(world.boot(DyingAt(number, moment)))
    controller = world.boot()
    world.assert_nothing_is_without_owner(controller)
    live(controller)
    world.assert_nothing_is_without_owner(controller)
    controller.close()
    assert world.kernel.host_keys == set()


@pytest.mark.parametrize("number", range(1, 25))
def test_a_daemon_that_dies_while_cleaning_up_comes_back_clean(world, number):
    with pytest.raises(Dead):
        live(world.boot(DyingAt(OPERATIONS - 6, Moment.AFTER)))
    with contextlib.suppress(Dead):
        world.boot(DyingAt(number, Moment.AFTER))
    controller = world.boot()
    world.assert_nothing_is_without_owner(controller)
    controller.close()
