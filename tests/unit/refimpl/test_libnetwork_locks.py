"""While a program of the firewall's runs, nobody who does not need the firewall waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from refimpl.kernel.base import FirewallNetwork
from refimpl.libnetwork.controller import Controller
from tests.unit.refimpl.libnetwork_world import World, connect, network_options, start

PATIENCE_S = 20
"""How long a step may take that waits for nothing, on a loaded machine."""


class SlowFirewall:
    """A firewall whose next change takes until it is told to go on."""

    def __init__(self, world: World) -> None:
        self._apply = world.kernel.apply_firewall
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def hold(self) -> None:
        self.has_begun.clear()
        self.may_end.clear()

    def apply(self, networks: Sequence[FirewallNetwork]) -> None:
        self.has_begun.set()
        assert self.may_end.wait(PATIENCE_S * 3)
        self._apply(networks)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.fixture
def controller(world) -> Controller:
    controller = world.boot()
    controller.new_network("aa", network_options("10.1.0.0/24"))
    return controller


@pytest.fixture
def firewall(world, controller, monkeypatch) -> Iterator[SlowFirewall]:
    firewall = SlowFirewall(world)
    monkeypatch.setattr(world.kernel, "apply_firewall", firewall.apply)
    yield firewall
    firewall.may_end.set()


def in_a_thread(step: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    return thread


def live(controller: Controller) -> None:
    """Do what a container's life needs of libnetwork."""
    sandbox = start(controller, "web", "bridge")
    network = controller.network_by_name("aa")
    assert network is not None
    connect(sandbox, network)
    network.endpoints()
    controller.networks()
    sandbox.delete()


def make(controller: Controller) -> None:
    controller.new_network("bb", network_options("10.2.0.0/24"))


@pytest.mark.parametrize("change", ["make", "delete"])
def test_a_container_comes_and_goes_while_the_firewall_is_written(controller, firewall, change):
    if change == "delete":
        make(controller)
        network = controller.network_by_name("bb")
        assert network is not None
        firewall.hold()
        changing = in_a_thread(network.delete)
    else:
        firewall.hold()
        changing = in_a_thread(lambda: make(controller))
    assert firewall.has_begun.wait(PATIENCE_S)
    living = in_a_thread(lambda: live(controller))
    living.join(PATIENCE_S)
    assert not living.is_alive(), "it waits for the firewall"
    assert changing.is_alive()
    firewall.may_end.set()
    changing.join(PATIENCE_S)
    assert not changing.is_alive()


def test_the_last_one_to_write_writes_everything(world, controller, firewall):
    """Two change the networks at once; whoever writes last must have seen both."""
    firewall.hold()

    def make_numbered(number: int) -> None:
        controller.new_network(f"n{number}", network_options(f"10.{number}.0.0/24"))

    threads = [in_a_thread(partial(make_numbered, number)) for number in range(10, 14)]
    assert firewall.has_begun.wait(PATIENCE_S)
    firewall.may_end.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert world.kernel.firewall is not None
    assert {rule.bridge for rule in world.kernel.firewall} == {
        network.state["bridge"] for network in controller.networks() if network.type == "bridge"
    }
