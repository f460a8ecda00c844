"""Sequences in which the reference once differed from Docker 20.10, as the random walks found them.

Each is the shortest that shows it. What it is about is its name; that nothing differs any more,
after any of its steps, is checked by the walk.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.walk import Walk


@pytest.fixture
def state(walked_pair) -> Iterator[Walk]:
    """A walk on both engines; what a random walk prints can be pasted here."""
    walk = Walk(walked_pair)
    yield walk
    walk.end()


def test_a_list_shows_a_container_as_it_was_before_its_failed_start_was_undone(state):
    state.create(container="sql", mode="default", extra="plain", address="", alias="")
    state.connect(network="beta", container="sql", address="", alias="", link="")
    state.start(container="sql")


def test_a_list_does_not_show_a_network_whose_live_connect_failed(state):
    state.network_create(network="alpha", kind="plain", check_duplicate=True)
    state.create(container="web", mode="bridge", extra="plain", address="", alias="")
    state.start(container="web")
    state.connect(network="alpha", container="web", address=".1", alias="", link="")


def test_a_container_in_host_mode_gets_no_interface_of_another_network(state):
    state.network_create(network="beta", kind="plain", check_duplicate=True)
    state.create(container="app", mode="host", extra="other network", address="", alias="")
    state.start(container="app")
    state.restart(container="app")


def test_a_hostname_may_have_odd_characters(state):
    state.create(container="app", mode="default", extra="odd hostname", address="", alias="")
    state.start(container="app")


def test_a_create_that_is_refused_late_tells_of_a_container_that_goes(state):
    state.create(container="app", mode="none", extra="bad link", address="", alias="")
    state.create(container="app", mode="none", extra="link", address="", alias="")


def test_a_network_without_a_name_is_ambiguous(state):
    state.create(container="job", mode="", extra="plain", address=".10", alias="")
    state.start(container="job")


def test_nobody_is_disconnected_by_force(state):
    state.nonsense(request="disconnect of nobody by force")


def test_a_bridge_has_the_mtu_of_its_ports(state):
    state.network_create(network="alpha", kind="mtu", check_duplicate=True)
    state.create(container="web", mode="alpha", extra="plain", address="", alias="")
    state.start(container="web")
    state.stop(container="web")


def test_a_taken_name_comes_before_a_scope_that_cannot_be(state):
    state.network_create(network="alpha", kind="plain", check_duplicate=True)
    state.network_create(network="alpha", kind="swarm", check_duplicate=True)
    state.network_create(network="alpha", kind="swarm", check_duplicate=False)
    state.network_create(network="bridge", kind="swarm", check_duplicate=True)


def test_a_link_to_a_container_whose_target_is_not_there(state):
    state.create(container="sql", mode="container:ghost", extra="plain", address="", alias="")
    state.create(container="job", mode="default", extra="link", address="", alias="")


def test_a_mac_address_is_shown_where_it_has_no_interface(state):
    state.create(container="job", mode="none", extra="mac", address="", alias="")
    state.start(container="job")
    state.stop(container="job")


def test_what_chance_decides_is_not_compared(state):
    """A start that fails at one of three networks, and the next one, which works."""
    state.network_create(network="alpha", kind="plain", check_duplicate=True)
    state.network_create(network="zeta", kind="plain", check_duplicate=True)
    state.create(container="web", mode="alpha", extra="plain", address="", alias="")
    state.connect(network="zeta", container="web", address="", alias="svc", link="")
    state.connect(network="gamma", container="web", address=".10", alias="", link="")
    for _ in range(4):
        state.start(container="web")
    state.network_create(network="gamma", kind="plain", check_duplicate=True)
    state.start(container="web")
    state.restart(container="web")
