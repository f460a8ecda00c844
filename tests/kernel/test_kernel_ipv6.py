"""Goal: an IPv6 switch is that of the thread's own namespace, whichever proc it goes through.

Method: real namespaces, of which the switches are read through the ordinary /proc.
"""

import errno
import threading
import time
from ipaddress import ip_interface
from pathlib import Path

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import GatewayPlan, InterfacePlan, SandboxPlan
from refimpl.kernel.ipv6 import Ipv6Switches

MANY = 40
"""More namespaces than one instance of proc serves."""
SETTLED_S = 30


@pytest.fixture
def switches():
    made = Ipv6Switches()
    yield made
    made.close()


def read(interface: str) -> str:
    return Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").read_text()


def in_new_namespace(work):
    """Run `work` in a namespace that ends with it, and return what it returned."""
    found = []

    def visit() -> None:
        libc.unshare(libc.CLONE_NEWNET)
        try:
            found.append(work())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def refuse_new_instances(monkeypatch) -> None:
    def refuse(kind):
        raise OSError(errno.ENOSYS, f"make a file system of kind {kind}")

    monkeypatch.setattr(libc, "make_filesystem", refuse)


@pytest.mark.parametrize("kernel_has_instances", [True, False])
def test_each_namespace_has_its_own_switches(switches, monkeypatch, kernel_has_instances) -> None:
    if not kernel_has_instances:
        refuse_new_instances(monkeypatch)
    home = read("all")

    def work():
        before = read("all")
        switches.set_here("all", enabled=False)
        switches.set_here("lo", enabled=True)
        return before, read("all"), read("lo"), read("default")

    for _ in range(MANY):
        assert in_new_namespace(work) == ("0\n", "1\n", "0\n", "1\n")
    assert read("all") == home


def test_home_is_where_it_was_made(switches) -> None:
    before = read("lo")
    try:
        in_new_namespace(lambda: switches.set_at_home("lo", enabled=False))
        assert read("lo") == "1\n"
    finally:
        switches.set_at_home("lo", enabled=before == "0\n")
    assert read("lo") == before


def test_what_is_not_there_cannot_be_switched_on(switches) -> None:
    switches.set_here("never", enabled=False)
    switches.set_at_home("never", enabled=False)
    for switch in (switches.set_here, switches.set_at_home):
        with pytest.raises(FileNotFoundError):
            switch("never", enabled=True)


def test_nothing_is_mounted_and_nothing_stays_open(open_descriptors) -> None:
    before = open_descriptors(), Path("/proc/self/mountinfo").read_text()
    switches = Ipv6Switches()
    for _ in range(MANY):
        in_new_namespace(lambda: switches.set_here("all", enabled=False))
    assert Path("/proc/self/mountinfo").read_text() == before[1]
    assert open_descriptors() <= before[0] + 2
    switches.close()
    assert open_descriptors() == before[0]


def test_interface_with_ipv6_accepts_no_router(kernel, netns_directory, interface, inside) -> None:
    def accepts(name: str) -> str:
        return str(inside(key, "cat", f"/proc/sys/net/ipv6/conf/{name}/accept_ra").stdout).strip()

    def with_ipv6(number: int, name: str) -> InterfacePlan:
        plan = interface(number, name=name)
        return plan._replace(addresses=(*plan.addresses, ip_interface(f"fd00:{number}::2/64")))

    key = str(netns_directory / "six")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(with_ipv6(2, "eth0"),), ipv6=True))
    kernel.add_interface(key, with_ipv6(3, "eth1"), GatewayPlan())
    assert (accepts("eth0"), accepts("eth1")) == ("0", "0")

    late = str(netns_directory / "late")
    kernel.create_sandbox(SandboxPlan(key=late, interfaces=(interface(4),)))
    key = late
    kernel.add_interface(late, with_ipv6(5, "eth1"), GatewayPlan())
    assert accepts("eth1") == "0"


def test_hosts_end_of_a_pair_has_no_ipv6(kernel, netns_directory, interface, ip) -> None:
    key = str(netns_directory / "one")
    first, second = interface(2), interface(3, name="eth1")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(first,)))
    kernel.add_interface(key, second, GatewayPlan())
    kernel.expect_sandbox()  # settles them, behind the start that it announces
    until = time.monotonic() + SETTLED_S
    for name in (first.host_name, second.host_name):
        while read(name).strip() != "1":
            assert time.monotonic() < until, f"{name} has IPv6"
            time.sleep(0.01)
        (link,) = ip("addr", "show", "dev", name)
        assert [one for one in link["addr_info"] if one["family"] == "inet6"] == []
