"""Goal: a namespace made ahead is as one made on the spot, and nobody gets anything of it before.

Method: the calls that make a namespace are counted or fail; iproute2, nft and ss look at what a
sandbox got.
"""

import errno
import subprocess
import sys
import threading
from ipaddress import ip_interface

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import GatewayPlan, SandboxPlan
from refimpl.kernel.linux import LinuxKernel

RESOLVER = "127.0.0.11"
COUNT_NAMESPACES = """
import os
opened = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
print(sum(os.path.exists(one) and os.readlink(one).startswith("net:") for one in opened))
"""


def expect(kernel) -> None:
    """Have the spares made and the ports settled, and wait for that: errands have an order."""
    kernel.expect_sandbox()
    kernel._maker.begin(lambda: None).result()


def test_relay_that_hangs_holds_up_no_namespace(kernel) -> None:
    with kernel._relay._talking:
        kernel._relay._waiting[None] = None
        kernel.expect_sandbox()
        done = threading.Thread(target=expect, args=(kernel,), daemon=True)
        done.start()
        done.join(20)
        assert not done.is_alive()
        kernel._relay._waiting.clear()


@pytest.fixture
def made(monkeypatch):
    """A list that grows with every namespace that is made."""
    calls = []
    unshare = libc.unshare

    def counted(flags):
        calls.append(flags)
        unshare(flags)

    monkeypatch.setattr(libc, "unshare", counted)
    return calls


@pytest.mark.parametrize("resolver", [None, RESOLVER])
@pytest.mark.parametrize("ipv6", [False, True])
def test_a_sandbox_takes_the_spare_of_its_kind(
    kernel, netns_directory, made, ipv6, resolver
) -> None:
    def create(name):
        plan = SandboxPlan(key=str(netns_directory / name), ipv6=ipv6, resolver_address=resolver)
        for one in kernel.create_sandbox(plan):
            one.close()

    create("first")  # which tells what kind is wanted
    expect(kernel)
    before = len(made)
    create("second")
    assert len(made) == before
    expect(kernel)
    assert len(made) == before + 1


def test_a_spare_of_another_kind_is_not_taken(
    kernel, netns_directory, inside, ip, interface
) -> None:
    dns = SandboxPlan(key=str(netns_directory / "dns"), ipv6=True, resolver_address=RESOLVER)
    for one in kernel.create_sandbox(dns):
        one.close()
    expect(kernel)
    key = str(netns_directory / "plain")
    assert kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),))) == ()
    assert inside(key, "nft", "list", "ruleset").stdout == ""
    assert inside(key, "ss", "-Htuln").stdout == ""
    assert "inet6" not in {
        one["family"] for link in ip("addr", key=key) for one in link["addr_info"]
    }


def test_a_spare_that_could_not_be_made_is_made_good_on_the_spot(
    kernel, netns_directory, monkeypatch
) -> None:
    def refuse(flags):
        raise OSError(errno.ENOSPC, "make a namespace: too many")

    key = str(netns_directory / "key")
    with monkeypatch.context() as patched:
        patched.setattr(libc, "unshare", refuse)
        expect(kernel)
        with pytest.raises(OSError, match="too many"):
            kernel.create_sandbox(SandboxPlan(key=key))
    kernel.create_sandbox(SandboxPlan(key=key))


def test_no_more_spares_than_kinds_are_kept_and_none_after_the_end(
    netns_directory, open_descriptors
) -> None:
    before = open_descriptors()
    kernel = LinuxKernel()
    counts = []
    for number, ipv6 in enumerate((False, True) * 3):
        for resolver in (RESOLVER, None):
            key = netns_directory / f"{number}{resolver}"
            plan = SandboxPlan(key=str(key), ipv6=ipv6, resolver_address=resolver)
            for one in kernel.create_sandbox(plan):
                one.close()
            expect(kernel)
            counts.append(open_descriptors())
    kernel.close()
    # a plain spare has two descriptors; four kinds come again and again
    assert max(counts[4:]) <= max(counts[:4])
    assert open_descriptors() == before


def test_no_child_inherits_a_spare(kernel) -> None:
    expect(kernel)
    child = subprocess.run(
        [sys.executable, "-c", COUNT_NAMESPACES],
        close_fds=False,
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
    )
    assert child.stdout == "0\n"


def test_a_port_loses_its_ipv6_address_and_carries_ipv6_all_the_same(
    kernel, netns_directory, interface, inside, ip
) -> None:
    key = str(netns_directory / "six")
    plan = interface(2, addresses=(ip_interface("172.30.0.2/16"), ip_interface("fd30::2/64")))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,)))
    live = interface(3, name="eth1", addresses=(ip_interface("fd30::3/64"),))
    kernel.add_interface(key, live, GatewayPlan())
    expect(kernel)
    for port in (plan, live):
        (link,) = ip("addr", "show", port.host_name)
        assert link["addr_info"] == []
        assert link["master"] == "ni-br0"
    ping = inside(key, "busybox", "ping6", "-c1", "-W5", "-I", "eth0", "fd30::1")
    assert ping.returncode == 0, ping


def test_a_port_that_is_gone_already_hinders_nobody(kernel, netns_directory, interface) -> None:
    key = str(netns_directory / "gone")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    kernel.destroy_sandbox(key)
    kernel.delete_link(interface(2).host_name)
    expect(kernel)
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
