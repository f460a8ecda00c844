"""Goal: a sandbox has exactly what its plan says, and a failed or removed one leaves nothing.

Method: iproute2 looks at what the kernel made; nothing of the code under test does.
"""

import errno
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_interface
from pathlib import Path

import pytest

from refimpl.kernel import libc
from refimpl.kernel.base import GatewayPlan, SandboxPlan
from refimpl.kernel.linux import LinuxKernel
from tests.mount_table import mounts_below

GATEWAY = GatewayPlan(ipv4="172.30.0.1", interface="eth0")


def names(links):
    return {link["ifname"] for link in links}


def addresses(links, name):
    (link,) = [link for link in links if link["ifname"] == name]
    return {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]}


def lasting(links):
    """What a link is, without its operational state, which the kernel works out a little later."""
    return [(one["ifname"], one["ifindex"], one["mtu"], one["addr_info"]) for one in links]


def default_routes(ip, key, family="-4"):
    routes = ip(family, "route", "show", "default", key=key)
    return [(route.get("gateway"), route["dev"]) for route in routes]


# -- creating --------------------------------------------------------------------------------------


def test_empty_sandbox_has_only_lo_with_its_ipv4_address(kernel, netns_directory, ip) -> None:
    key = str(netns_directory / "empty")
    assert kernel.create_sandbox(SandboxPlan(key=key)) == ()
    (lo,) = ip("addr", key=key)
    assert "UP" in lo["flags"]
    assert addresses([lo], "lo") == {"127.0.0.1/8"}
    assert ip("route", key=key) == []


def test_sandbox_is_a_namespace_of_its_own(kernel, netns_directory) -> None:
    key = netns_directory / "own"
    before = Path("/proc/thread-self/ns/net").stat().st_ino
    kernel.create_sandbox(SandboxPlan(key=str(key)))
    assert key.stat().st_ino != before
    assert Path("/proc/thread-self/ns/net").stat().st_ino == before


def test_interface_has_its_name_mac_mtu_address_and_no_ipv6(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "one")
    plan = interface(2, mtu_bytes=1400)
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,), gateway=GATEWAY))
    links = ip("addr", key=key)
    assert names(links) == {"lo", "eth0"}
    (eth0,) = [link for link in links if link["ifname"] == "eth0"]
    assert eth0["address"] == plan.mac
    assert eth0["mtu"] == 1400
    assert {"UP", "LOWER_UP"} <= set(eth0["flags"])
    (address,) = eth0["addr_info"]
    assert (address["local"], address["prefixlen"]) == ("172.30.0.2", 16)
    assert address["broadcast"] == "172.30.255.255"
    assert default_routes(ip, key) == [("172.30.0.1", "eth0")]


def test_host_end_is_a_port_of_the_bridge_and_up(kernel, netns_directory, interface, ip) -> None:
    plan = interface(2)
    kernel.create_sandbox(SandboxPlan(key=str(netns_directory / "one"), interfaces=(plan,)))
    (port,) = ip("link", "show", "master", plan.bridge)
    assert port["ifname"] == plan.host_name
    assert {"UP", "LOWER_UP"} <= set(port["flags"])


def test_several_interfaces_and_the_gateway_over_the_chosen_one(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "three")
    plans = tuple(interface(number, name=f"eth{number - 2}") for number in (2, 3, 4))
    gateway = GatewayPlan(ipv4="172.30.0.1", interface="eth2")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=plans, gateway=gateway))
    links = ip("addr", key=key)
    assert [addresses(links, f"eth{number}") for number in range(3)] == [
        {"172.30.0.2/16"},
        {"172.30.0.3/16"},
        {"172.30.0.4/16"},
    ]
    assert default_routes(ip, key) == [("172.30.0.1", "eth2")]


def test_ipv6_address_is_usable_at_once_with_its_route(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "six")
    plan = interface(2, addresses=(ip_interface("172.30.0.2/16"), ip_interface("fd30::2/64")))
    gateway = GatewayPlan(ipv4="172.30.0.1", ipv6="fd30::1", interface="eth0")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,), gateway=gateway, ipv6=True))
    links = ip("addr", key=key)
    assert addresses(links, "lo") == {"127.0.0.1/8", "::1/128"}
    assert "fd30::2/64" in addresses(links, "eth0")
    (eth0,) = [link for link in links if link["ifname"] == "eth0"]
    assert not any(one.get("tentative") for one in eth0["addr_info"] if one["local"] == "fd30::2")
    assert default_routes(ip, key, "-6") == [("fd30::1", "eth0")]


def test_interface_without_ipv6_gets_none_beside_one_that_has_it(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "mixed")
    six = interface(2, addresses=(ip_interface("172.30.0.2/16"), ip_interface("fd30::2/64")))
    four = interface(3, name="eth1")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(six, four), ipv6=True))
    assert addresses(ip("addr", key=key), "eth1") == {"172.30.0.3/16"}


def test_sandbox_reaches_the_gateway_at_once(kernel, netns_directory, interface, inside) -> None:
    key = str(netns_directory / "one")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY))
    assert inside(key, "busybox", "ping", "-c1", "-W2", "172.30.0.1").returncode == 0


# -- failing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "number"),
    [
        ({"bridge": "ni-missing"}, errno.ENODEV),
        ({"mac": "nonsense"}, errno.EINVAL),
        ({"mac": "ff:ff:ff:ff:ff:ff"}, errno.EADDRNOTAVAIL),
        ({"host_name": "x" * 16}, errno.ERANGE),
        ({"name": "a/b"}, errno.EINVAL),
        ({"mtu_bytes": 10}, errno.EINVAL),
        ({"addresses": (ip_interface("172.30.0.3/16"),) * 2}, errno.EEXIST),
    ],
)
def test_failed_sandbox_leaves_nothing(
    kernel, netns_directory, interface, ip, overrides, number
) -> None:
    before = names(ip("link"))
    good, bad = interface(2), interface(3, **({"name": "eth1"} | overrides))
    plan = SandboxPlan(
        key=str(netns_directory / "bad"),
        interfaces=(good, bad),
        resolver_address="127.0.0.11",
    )
    with pytest.raises(OSError, match=r"\w") as caught:
        kernel.create_sandbox(plan)
    assert caught.value.errno == number
    assert names(ip("link")) == before
    assert kernel.sandbox_keys(str(netns_directory)) == ()
    assert mounts_below(str(netns_directory)) == ()


def test_unreachable_gateway_fails_with_its_address_and_leaves_nothing(
    kernel, netns_directory, interface, ip
) -> None:
    before = names(ip("link"))
    plan = SandboxPlan(
        key=str(netns_directory / "bad"),
        interfaces=(interface(2),),
        gateway=GatewayPlan(ipv4="10.9.9.9", interface="eth0"),
    )
    with pytest.raises(OSError, match=r"default route via 10\.9\.9\.9") as caught:
        kernel.create_sandbox(plan)
    assert caught.value.errno == errno.ENETUNREACH
    assert names(ip("link")) == before
    assert kernel.sandbox_keys(str(netns_directory)) == ()


def test_key_in_use_is_refused_and_kept(kernel, netns_directory, interface, ip) -> None:
    key = str(netns_directory / "twice")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    inode = Path(key).stat().st_ino
    with pytest.raises(FileExistsError):
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(3),)))
    assert Path(key).stat().st_ino == inode
    assert "veth0000003" not in names(ip("link"))


def test_host_name_in_use_is_refused_and_the_other_sandbox_kept(
    kernel, netns_directory, interface, ip
) -> None:
    first, second = str(netns_directory / "first"), str(netns_directory / "second")
    kernel.create_sandbox(SandboxPlan(key=first, interfaces=(interface(2),)))
    with pytest.raises(FileExistsError):
        kernel.create_sandbox(SandboxPlan(key=second, interfaces=(interface(2),)))
    assert names(ip("link", key=first)) == {"lo", "eth0"}


# -- removing --------------------------------------------------------------------------------------


def test_destroyed_sandbox_is_gone_at_once_and_its_ports_are_down(
    kernel, netns_directory, interface, ip, links_become
) -> None:
    key = str(netns_directory / "gone")
    plans = tuple(interface(number, name=f"eth{number - 2}") for number in (2, 3))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=plans))
    kernel.destroy_sandbox(key)
    assert ["UP" in link["flags"] for link in ip("link", "show", "master", "ni-br0")] == [False] * 2
    assert not Path(key).exists()
    assert mounts_below(str(netns_directory)) == ()
    links_become({"lo", "ni-br0"})


def test_destroying_twice_or_nothing_is_no_error(kernel, netns_directory) -> None:
    key = str(netns_directory / "gone")
    kernel.create_sandbox(SandboxPlan(key=key))
    kernel.destroy_sandbox(key)
    kernel.destroy_sandbox(key)
    kernel.destroy_sandbox(str(netns_directory / "never/was"))


def test_sandbox_of_a_dead_daemon_is_found_and_destroyed_by_another(
    kernel, netns_directory, interface, links_become
) -> None:
    key = str(netns_directory / "orphan")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    other = LinuxKernel()
    try:
        assert other.sandbox_keys(str(netns_directory)) == (key,)
        other.destroy_sandbox(key)
    finally:
        other.close()
    links_become({"lo", "ni-br0"})


def test_file_that_a_crash_left_unpinned_is_removed(kernel, netns_directory) -> None:
    left = netns_directory / "left"
    left.touch()
    assert kernel.sandbox_keys(str(netns_directory)) == (str(left),)
    kernel.destroy_sandbox(str(left))
    assert kernel.sandbox_keys(str(netns_directory)) == ()


@pytest.mark.parametrize("propagation", ["shared", "private"])
def test_sandbox_goes_although_another_mount_namespace_has_a_copy(
    kernel, netns_directory, propagation
) -> None:
    directory = netns_directory / "held"
    directory.mkdir()
    libc.mount("tmpfs", str(directory), "tmpfs", 0)
    subprocess.run(["mount", f"--make-{propagation}", str(directory)], check=True)
    key = str(directory / "key")
    kernel.create_sandbox(SandboxPlan(key=key))
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo; exec sleep 60"],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"\n"
        assert key in Path(f"/proc/{holder.pid}/mountinfo").read_text()
        kernel.destroy_sandbox(key)
        assert mounts_below(str(directory)) == (str(directory),)
        assert key not in Path(f"/proc/{holder.pid}/mountinfo").read_text()
    finally:
        holder.kill()
        holder.communicate()
        kernel.unmount(str(directory))


def test_a_missing_directory_has_no_keys(kernel, netns_directory) -> None:
    assert kernel.sandbox_keys(str(netns_directory / "missing")) == ()


def test_names_with_blanks_and_escapes_work(kernel, netns_directory, interface) -> None:
    directory = netns_directory / "a b\tc\\d\u00e9"
    key = str(directory / "key of it")
    plan = interface(2, name="wie heisst-du!")
    with pytest.raises(OSError, match="wie heisst"):
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,)))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2, name="e\u00e9.1@x"),)))
    assert mounts_below(str(directory)) == (key,)
    kernel.destroy_sandbox(key)
    assert mounts_below(str(directory)) == ()


@pytest.mark.slow
def test_two_hundred_sandboxes_leave_nothing(
    kernel, netns_directory, interface, links_become, open_descriptors
) -> None:
    def round_trip(number: int) -> None:
        key = str(netns_directory / f"s{number}")
        sockets = kernel.create_sandbox(
            SandboxPlan(
                key=key,
                interfaces=(interface(number),),
                gateway=GATEWAY,
                resolver_address="127.0.0.11",
            )
        )
        kernel.destroy_sandbox(key)
        for one in sockets:
            one.close()

    round_trip(2)
    descriptors, threads = open_descriptors(), threading.active_count()
    for number in range(3, 203):
        round_trip(number)
    # what an earlier test left behind may go meanwhile; 200 sandboxes that leak would add hundreds
    assert open_descriptors() <= descriptors
    assert threading.active_count() <= threads
    links_become({"lo", "ni-br0"})
    assert mounts_below(str(netns_directory)) == ()
    assert list(netns_directory.iterdir()) == []


@pytest.mark.slow
def test_threads_make_sandboxes_side_by_side(
    kernel, netns_directory, interface, ip, links_become
) -> None:
    def work(worker: int) -> None:
        for index in range(2 + worker * 8, 10 + worker * 8):
            key = str(netns_directory / f"s{index}")
            plan = SandboxPlan(key=key, interfaces=(interface(index),), gateway=GATEWAY)
            kernel.create_sandbox(plan)
            assert addresses(ip("addr", key=key), "eth0") == {f"172.30.0.{index}/16"}
            kernel.destroy_sandbox(key)

    with ThreadPoolExecutor(max_workers=4) as executor:
        assert list(executor.map(work, range(4))) == [None] * 4
    links_become({"lo", "ni-br0"})


# -- live changes ----------------------------------------------------------------------------------


def test_added_interface_may_take_the_default_route_over(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "live")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY))
    kernel.add_interface(
        key, interface(3, name="eth1"), GatewayPlan(ipv4="172.30.0.1", interface="eth1")
    )
    links = ip("addr", key=key)
    assert addresses(links, "eth1") == {"172.30.0.3/16"}
    assert default_routes(ip, key) == [("172.30.0.1", "eth1")]


def test_added_interface_may_leave_the_default_route_alone(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "live")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY))
    kernel.add_interface(key, interface(3, name="eth1"), GATEWAY)
    assert default_routes(ip, key) == [("172.30.0.1", "eth0")]


def test_gateway_of_none_removes_the_default_route(kernel, netns_directory, interface, ip) -> None:
    key = str(netns_directory / "live")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY))
    kernel.add_interface(key, interface(3, name="eth1"), GatewayPlan())
    assert default_routes(ip, key) == []


@pytest.mark.parametrize(
    ("overrides", "gateway"),
    [
        ({}, GatewayPlan(ipv4="10.9.9.9", interface="eth1")),
        ({"name": "eth0"}, GATEWAY),
        ({"addresses": (ip_interface("172.30.0.3/16"),) * 2}, GATEWAY),
        ({}, GatewayPlan(ipv4="172.30.0.1", ipv6="fd30::1", interface="eth1")),
        ({}, GatewayPlan(ipv4="172.30.0.1", interface="eth7")),
    ],
)
def test_failed_addition_leaves_the_sandbox_as_it_was(
    kernel, netns_directory, interface, ip, overrides, gateway
) -> None:
    key = str(netns_directory / "live")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY))
    inside_before, host_before = lasting(ip("addr", key=key)), names(ip("link"))
    with pytest.raises(OSError, match=r"\w"):
        kernel.add_interface(key, interface(3, **({"name": "eth1"} | overrides)), gateway)
    assert lasting(ip("addr", key=key)) == inside_before
    assert names(ip("link")) == host_before
    assert default_routes(ip, key) == [("172.30.0.1", "eth0")]


def test_ipv6_comes_and_goes_with_the_interface_that_has_it(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "live")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY))
    both = (ip_interface("172.30.0.3/16"), ip_interface("fd30::3/64"))
    six = interface(3, name="eth1", addresses=both)
    kernel.add_interface(key, six, GatewayPlan(ipv4="172.30.0.1", ipv6="fd30::1", interface="eth1"))
    links = ip("addr", key=key)
    assert "::1/128" in addresses(links, "lo")
    assert "fd30::3/64" in addresses(links, "eth1")
    assert default_routes(ip, key, "-6") == [("fd30::1", "eth1")]
    kernel.remove_interface(key, "eth1", six.host_name, GATEWAY)
    assert addresses(ip("addr", key=key), "lo") == {"127.0.0.1/8"}
    assert default_routes(ip, key) == [("172.30.0.1", "eth0")]


def test_removed_interface_is_gone_and_the_route_moves(
    kernel, netns_directory, interface, ip
) -> None:
    key = str(netns_directory / "live")
    plans = (interface(2), interface(3, name="eth1"))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=plans, gateway=GATEWAY))
    moved = GatewayPlan(ipv4="172.30.0.1", interface="eth1")
    kernel.remove_interface(key, "eth0", "veth0000002", moved)
    assert names(ip("link", key=key)) == {"lo", "eth1"}
    assert "veth0000002" not in names(ip("link"))
    assert default_routes(ip, key) == [("172.30.0.1", "eth1")]
    kernel.remove_interface(key, "eth0", "veth0000002", moved)
    assert default_routes(ip, key) == [("172.30.0.1", "eth1")]


def test_live_change_of_a_missing_sandbox_is_refused(
    kernel, netns_directory, interface, ip
) -> None:
    before = names(ip("link"))
    with pytest.raises(FileNotFoundError):
        kernel.add_interface(str(netns_directory / "none"), interface(2), GATEWAY)
    assert names(ip("link")) == before


# -- the host's own --------------------------------------------------------------------------------


def test_host_key_pins_the_daemons_own_namespace(kernel, netns_directory) -> None:
    key = netns_directory / "default"
    kernel.host_key(str(key))
    kernel.host_key(str(key))
    own = Path("/proc/thread-self/ns/net").stat()
    assert os.path.samestat(key.stat(), own)
    assert mounts_below(str(netns_directory)) == (str(key),)


def test_host_key_replaces_what_another_run_left(kernel, netns_directory) -> None:
    key = netns_directory / "default"
    kernel.create_sandbox(SandboxPlan(key=str(key)))
    kernel.host_key(str(key))
    assert os.path.samestat(key.stat(), Path("/proc/thread-self/ns/net").stat())


def test_destroying_the_host_key_keeps_the_hosts_links(
    kernel, netns_directory, interface, ip
) -> None:
    kernel.create_sandbox(SandboxPlan(key=str(netns_directory / "s"), interfaces=(interface(2),)))
    key = str(netns_directory / "default")
    kernel.host_key(key)
    kernel.destroy_sandbox(key)
    assert not Path(key).exists()
    assert "veth0000002" in names(ip("link"))


def test_ipv6_is_off_for_what_a_container_adds_itself(
    kernel, netns_directory, interface, inside
) -> None:
    """As in Docker: `default` is off, and each interface that has IPv6 is on for itself."""

    def switch(name: str) -> str:
        path = f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"
        return str(inside(key, "cat", path).stdout).strip()

    key = str(netns_directory / "six")
    six = ip_interface("fd00:30::2/64")
    first = interface(2)
    first = first._replace(addresses=(*first.addresses, six))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(first,), ipv6=True))
    assert (switch("default"), switch("eth0"), switch("lo")) == ("1", "0", "0")

    other = interface(3, name="eth1")
    other = other._replace(addresses=(*other.addresses, ip_interface("fd00:31::2/64")))
    kernel.add_interface(key, other, GatewayPlan())
    assert (switch("default"), switch("eth1")) == ("1", "0")

    with pytest.raises(FileExistsError):
        kernel.add_interface(key, other, GatewayPlan())
    assert (switch("default"), switch("eth0")) == ("1", "0")
