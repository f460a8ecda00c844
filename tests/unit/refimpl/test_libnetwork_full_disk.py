"""A disk without room: each answer is true, and a further try does what is left."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address

import pytest

from refimpl.errors import EngineError
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.drivers.base import DriverState
from refimpl.libnetwork.ledger import Ledger
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.libnetwork.store import Delete, Put, Snapshot, SQLiteStore
from refimpl.model.network import EndpointOptions, LinkTarget
from tests.unit.refimpl.libnetwork_world import (
    World,
    connect,
    container_id,
    network_options,
    sandbox_options,
    start,
)

FULL = OSError(errno.ENOSPC, "No space left on device")


class FullStore(SQLiteStore):
    """A store that takes nothing more while it is full."""

    is_full = False

    def commit(self, changes: Sequence[Put | Delete]) -> None:
        if self.is_full:
            raise FULL
        super().commit(changes)


@pytest.fixture
def store() -> FullStore:
    return FullStore(":memory:")


@pytest.fixture
def world(store) -> Iterator[World]:
    world = World(store=store)
    yield world
    world.close()


@pytest.fixture
def controller(world) -> Controller:
    controller = world.boot()
    controller.new_network("aa", network_options("10.1.0.0/24"))
    controller.new_network("bb", network_options("10.2.0.0/24"))
    return controller


def named(controller: Controller, name: str) -> Network:
    network = controller.network_by_name(name)
    assert network is not None
    return network


def is_served(sandbox: Sandbox) -> bool:
    return sandbox.dns.is_served


def hosts(world: World) -> str:
    return world.files.text("/c/web/hosts")


def resolv_conf(world: World) -> str:
    return world.files.text("/c/web/resolv.conf")


def test_a_disconnect_is_done_and_its_row_goes_with_the_next_change(world, store, controller):
    sandbox = start(controller, "web", "aa", "bb")
    endpoint = named(controller, "bb").endpoint_by_name("web")
    assert endpoint is not None
    store.is_full = True
    endpoint.leave(sandbox)
    endpoint.delete()
    assert [one.network.name for one in sandbox.endpoints()] == ["aa"]
    assert list(world.kernel.sandboxes[sandbox.key].interfaces) == ["eth0"]
    assert named(controller, "bb").endpoints() == ()
    assert endpoint.id in store.load().endpoints
    store.is_full = False
    connect(sandbox, named(controller, "bb"))
    assert set(store.load().endpoints) == {one.id for one in sandbox.endpoints()}
    sandbox.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_stop_frees_everything_and_its_rows_go_with_the_next_change(world, store, controller):
    sandbox = start(controller, "web", "aa", "bb")
    store.is_full = True
    sandbox.delete()
    assert world.kernel.sandboxes == {}
    assert controller.get_sandbox(container_id("web")) is None
    assert named(controller, "aa").endpoints() == ()
    assert store.load().sandboxes != {}
    store.is_full = False
    start(controller, "other", "aa").delete()
    world.assert_nothing_is_without_owner(controller)


def test_rows_that_are_overdue_at_the_end_go_with_the_end(store, controller, monkeypatch):
    sandbox = start(controller, "web", "aa")
    store.is_full = True
    sandbox.delete()
    store.is_full = False
    rows: list[Snapshot] = []
    monkeypatch.setattr(store, "close", lambda: rows.append(store.load()))
    controller.close()
    assert (rows[0].sandboxes, rows[0].endpoints) == ({}, {})


def test_a_connect_leaves_nothing_of_itself(world, store, controller):
    sandbox = start(controller, "web", "aa")
    before = (hosts(world), resolv_conf(world), store.load())
    store.is_full = True
    with pytest.raises(OSError, match="No space left"):
        connect(sandbox, named(controller, "bb"))
    assert list(world.kernel.sandboxes[sandbox.key].interfaces) == ["eth0"]
    assert named(controller, "bb").endpoints() == ()
    store.is_full = False
    assert (hosts(world), resolv_conf(world), store.load()) == before
    connect(sandbox, named(controller, "bb"))


@pytest.mark.parametrize("file", ["/hosts", "/resolv.conf"])
def test_a_connect_whose_file_has_no_room_leaves_the_files_as_they_were(
    world, controller, monkeypatch, file
):
    sandbox = start(controller, "web", "bridge")
    before = {name: world.files.content[f"/c/web{name}"] for name in ("/hosts", "/resolv.conf")}
    real = world.files.overwrite

    def torn(path: str, content: bytes) -> None:
        if path.endswith(file) and len(content) > len(world.files.content[path]):
            world.files.content[path] = content[: len(world.files.content[path])]
            raise FULL
        real(path, content)

    monkeypatch.setattr(world.files, "overwrite", torn)
    if file == "/resolv.conf":
        # the one that points at the embedded DNS is longer
        world.files.content["/c/web/resolv.conf"] = before[file] = b"search s\n"
    with pytest.raises(OSError, match="No space left"):
        connect(sandbox, named(controller, "aa"))
    assert {name: world.files.content[f"/c/web{name}"] for name in before} == before
    assert world.kernel.sandboxes[sandbox.key].interfaces.keys() == {"eth0"}
    assert not is_served(sandbox)
    monkeypatch.undo()
    connect(sandbox, named(controller, "aa"))
    assert is_served(sandbox)
    assert hosts(world).count(container_id("web")[:12]) == 2


def test_a_start_leaves_nothing_of_itself(world, store, controller):
    store.is_full = True
    with pytest.raises(OSError, match="No space left"):
        start(controller, "web", "aa")
    store.is_full = False
    world.assert_nothing_is_without_owner(controller)
    start(controller, "web", "aa")


def test_a_start_whose_files_have_no_room_is_undone_without_a_further_error(world, controller):
    sandbox = controller.new_sandbox(sandbox_options("web"))
    connect(sandbox, named(controller, "aa"))
    world.files.fail["/hosts"] = FULL
    with pytest.raises(OSError, match="No space left"):
        sandbox.populate()
    world.files.fail["/hosts"] = FULL
    sandbox.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_network_is_made_whole_or_not_at_all(world, store, controller):
    store.is_full = True
    with pytest.raises(OSError, match="No space left"):
        controller.new_network("cc", network_options("10.3.0.0/24"))
    store.is_full = False
    world.assert_nothing_is_without_owner(controller)
    controller.new_network("cc", network_options("10.3.0.0/24"))


def test_a_network_that_cannot_be_removed_is_whole(world, store, controller):
    network = named(controller, "aa")
    store.is_full = True
    with pytest.raises(OSError, match="No space left"):
        network.delete()
    start_on = network.create_endpoint("x", EndpointOptions())
    start_on.delete()
    store.is_full = False
    world.assert_nothing_is_without_owner(controller)
    network.delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_network_is_removed_though_its_row_stays(world, store, controller, monkeypatch):
    network = named(controller, "aa")
    real = network.driver.delete_network

    def fill(network_id: str, state: DriverState) -> None:
        real(network_id, state)
        store.is_full = True

    monkeypatch.setattr(network.driver, "delete_network", fill)
    network.delete()
    assert controller.network_by_name("aa") is None
    assert store.load().networks[network.id]["in_delete"]
    store.is_full = False
    start(controller, "web", "bb").delete()
    world.assert_nothing_is_without_owner(controller)


def test_a_hole_that_cannot_be_closed_keeps_the_endpoint_in_for_another_try(world):
    controller = world.boot(icc=False)
    target = LinkTarget(address="172.17.0.9", ports=("80/tcp",))
    sandbox = controller.new_sandbox(sandbox_options("web", links=(target,)))
    connect(sandbox, named(controller, "bridge"))
    sandbox.populate()
    (endpoint,) = sandbox.endpoints()
    world.kernel.fail["apply_firewall"] = OSError("nft is not there")
    with pytest.raises(OSError, match="nft is not there"):
        endpoint.leave(sandbox)
    assert endpoint.sandbox is sandbox
    assert holes(world) == [IPv4Address("172.17.0.9")]
    endpoint.leave(sandbox)
    assert holes(world) == []
    endpoint.delete()


def test_a_hole_that_cannot_be_closed_at_a_stop_goes_with_the_next_change(world):
    controller = world.boot(icc=False)
    target = LinkTarget(address="172.17.0.9", ports=("80/tcp",))
    sandbox = controller.new_sandbox(sandbox_options("web", links=(target,)))
    connect(sandbox, named(controller, "bridge"))
    sandbox.populate()
    world.kernel.fail["apply_firewall"] = OSError("nft is not there")
    with pytest.raises(EngineError, match="nft is not there"):
        sandbox.delete()
    assert controller.get_sandbox(container_id("web")) is None
    controller.new_network("n", network_options("10.1.0.0/24"))
    assert holes(world) == []


def holes(world: World) -> list[IPv4Address]:
    assert world.kernel.firewall is not None
    return [hole.target for network in world.kernel.firewall for hole in network.holes]


def test_a_row_that_is_written_again_outlives_its_overdue_deletion(store):
    ledger = Ledger(store)
    ledger.commit([Put("network", "n", {"v": 1})])
    store.is_full = True
    ledger.forget([Delete("network", "n"), Delete("sandbox", "s")])
    store.is_full = False
    ledger.commit([Put("network", "n", {"v": 2})])
    assert store.load().networks == {"n": {"v": 2}}
    ledger.commit([])
    assert store.load().networks == {"n": {"v": 2}}


def test_what_is_overdue_stays_so_while_the_disk_is_full(store):
    ledger = Ledger(store)
    ledger.commit([Put("network", "n", {})])
    store.is_full = True
    ledger.forget([Delete("network", "n")])
    with pytest.raises(OSError, match="No space left"):
        ledger.commit([Put("network", "m", {})])
    store.is_full = False
    ledger.commit([Put("network", "m", {})])
    assert set(store.load().networks) == {"m"}
