"""libnetwork on a disk that is really full: a small tmpfs as data-root."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from refimpl.kernel import libc, mounts
from refimpl.kernel.firewall import Firewall
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.network import EndpointOptions
from tests.kernel.test_libnetwork_sandbox import Machine, new_network

pytestmark = pytest.mark.root

DISK_BYTES = 1 << 20


class Disk:
    """A disk that can be filled to the last block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT)
        try:
            with suppress(OSError):
                while True:
                    os.write(descriptor, bytes(4096))
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def disk(tmp_path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    libc.mount("tmpfs", str(path), "tmpfs", 0, f"size={DISK_BYTES}")
    yield Disk(path)
    mounts.unmount(str(path))


@pytest.fixture
def machine(disk) -> Iterator[Machine]:
    machine = Machine(disk.path)
    yield machine
    for controller in machine.controllers:
        for network in controller.networks():
            if network.type == "bridge":
                controller.kernel.delete_link(str(network.state["bridge"]))
        for key in controller.kernel.sandbox_keys(f"{disk.path}/netns"):
            if not key.endswith("/default"):
                controller.kernel.destroy_sandbox(key)
        Firewall().remove()
        controller.resolver.close()
        controller.store.close()
        controller.kernel.close()


@pytest.fixture
def controller(machine) -> Controller:
    return machine.boot()


def until_refused(step: Callable[[], object]) -> None:
    """Repeat a step until the disk has no room for it: the log's last page may have some left."""
    for _ in range(200):
        try:
            step()
        except OSError as error:
            if "full" in str(error) or error.errno == errno.ENOSPC:
                return
            raise
    pytest.fail("the disk takes it all")


def join(sandbox, network: Network, name: str) -> None:
    endpoint = network.create_endpoint(name, EndpointOptions())
    try:
        endpoint.join(sandbox)
    except BaseException:
        endpoint.delete()
        raise


def test_a_full_disk_keeps_nobody_from_leaving_and_nothing_is_lost(machine, disk, controller, ip):
    first = new_network(controller, "first", "10.231.0.0/24")
    second = new_network(controller, "second", "10.232.0.0/24")
    one = machine.start(controller, "one", first, second)
    two = machine.start(controller, "two", first)
    names = {link["ifname"] for link in ip("link", key=one.key)}
    assert names == {"lo", "eth0", "eth1"}

    disk.fill()
    until_refused(lambda: _again(two, second))
    assert {link["ifname"] for link in ip("link", key=two.key)} == {"lo", "eth0"}
    assert [endpoint.name for endpoint in second.endpoints()] == ["one"]
    (leaving,) = second.endpoints()
    leaving.leave(one)
    leaving.delete()
    assert {link["ifname"] for link in ip("link", key=one.key)} == {"lo", "eth0"}
    assert second.endpoints() == ()
    two.delete()
    assert not Path(two.key).exists()
    assert [endpoint.name for endpoint in first.endpoints()] == ["one"]

    disk.empty()
    two = machine.start(controller, "two", first)
    join(two, second, "two")
    two.delete()
    one.delete()
    rows = controller.store.load()
    assert (rows.endpoints, rows.sandboxes) == ({}, {})
    first.delete()
    second.delete()
    assert set(controller.store.load().networks) == {one.id for one in controller.networks()}


def _again(sandbox, network: Network) -> None:
    """Join and leave once more, which writes and deletes a row."""
    join(sandbox, network, "two")
    for endpoint in network.endpoints():
        if endpoint.name == "two":
            endpoint.leave(sandbox)
            endpoint.delete()


def test_a_start_on_a_full_disk_leaves_nothing_and_the_next_one_works(machine, disk, controller):
    network = new_network(controller, "first", "10.231.0.0/24")
    (machine.root / "web").mkdir()
    disk.fill()
    until_refused(lambda: machine.start(controller, "web", network).delete())
    sandbox = controller.get_sandbox("web".ljust(64, "0"))
    assert sandbox is not None
    sandbox.delete()
    assert network.endpoints() == ()
    assert [link for link in controller.kernel.links() if link.kind == "veth"] == []
    disk.empty()
    machine.start(controller, "web", network).delete()
    rows = controller.store.load()
    assert (rows.endpoints, rows.sandboxes) == ({}, {})
