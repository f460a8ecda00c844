"""Goal: bridges, links, routes and forwarding on the host's side are what was asked for."""

import errno
import subprocess
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from refimpl.kernel.base import BridgePlan, SandboxPlan

FOUR = ip_interface("172.31.0.1/16")
SIX = ip_interface("fd31::1/64")


def addresses(ip, name):
    (link,) = ip("addr", "show", "dev", name)
    return {
        f"{one['local']}/{one['prefixlen']}"
        for one in link["addr_info"]
        if not one["local"].startswith("fe80")
    }


def mac(ip, name):
    return ip("link", "show", name)[0]["address"]


def add_pair(name, *addresses):
    for command in (
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "ni-peer"],
        *(["ip", "addr", "add", address, "dev", name] for address in addresses),
        ["ip", "link", "set", name, "up"],
        ["ip", "link", "set", "ni-peer", "up"],
    ):
        subprocess.run(command, check=True)


def test_prepare_host_forwards_and_brings_lo_up(kernel, ip) -> None:
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
    assert "UP" in ip("link", "show", "lo")[0]["flags"]
    kernel.prepare_host()


def test_bridge_is_up_with_its_addresses(kernel, ip) -> None:
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,)))
    (link,) = ip("-d", "link", "show", "ni-b")
    assert link["linkinfo"]["info_kind"] == "bridge"
    assert "UP" in link["flags"]
    assert addresses(ip, "ni-b") == {"172.31.0.1/16"}


def test_bridge_that_is_made_again_leads_from_127_0_0_1_to_containers(kernel) -> None:
    plan = BridgePlan(name="ni-b", addresses=(FOUR,))
    kernel.create_bridge(plan)
    switch = Path("/proc/sys/net/ipv4/conf/ni-b/route_localnet")
    assert switch.read_text() == "0\n"
    kernel.publish_ports("ni-b", [], with_relay=False, is_live=True)
    subprocess.run(["ip", "link", "delete", "ni-b"], check=True)
    # the start that published ports finds the bridge gone, and has it made again
    kernel.create_bridge(plan)
    assert switch.read_text() == "1\n"


def test_bridge_that_was_there_is_never_ours_and_keeps_its_mac(kernel, ip) -> None:
    subprocess.run(["ip", "link", "add", "ni-b", "type", "bridge"], check=True)
    before = mac(ip, "ni-b")
    for name in ("ni-b", "ni-c"):
        for _ in range(2):
            kernel.create_bridge(BridgePlan(name=name, addresses=()))
    own = {link.name for link in kernel.links() if link.is_own_bridge}
    assert own == {"ni-c"}
    assert mac(ip, "ni-b") == before


def test_first_bridge_with_ipv6_switches_its_forwarding_on(kernel, ip) -> None:
    path = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    path.write_text("0")
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,)))
    assert path.read_text() == "0\n"
    kernel.create_bridge(BridgePlan(name="ni-c", addresses=(SIX,)))
    assert path.read_text() == "1\n"
    assert addresses(ip, "ni-c") == {"fd31::1/64"}


def test_new_bridge_accepts_no_router_and_another_is_left_as_it_is(kernel, ip) -> None:
    def accepts(name: str) -> str:
        return Path(f"/proc/sys/net/ipv6/conf/{name}/accept_ra").read_text().strip()

    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,)))
    assert accepts("ni-b") == "0"
    ip("link", "add", "ni-c", "type", "bridge")
    kernel.create_bridge(BridgePlan(name="ni-c", addresses=(SIX,)))
    assert accepts("ni-c") == "1"


def test_bridge_keeps_its_mac_when_ports_come(kernel, ip, tmp_path, interface) -> None:
    before = mac(ip, "ni-br0")
    assert before.startswith("02:42:")
    key = str(tmp_path / "key")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    try:
        assert mac(ip, "ni-br0") == before
    finally:
        kernel.destroy_sandbox(key)


def test_bridge_that_a_crash_left_is_brought_to_the_plan(kernel, ip) -> None:
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR, SIX)))
    index = ip("link", "show", "ni-b")[0]["ifindex"]
    subprocess.run(["ip", "link", "set", "ni-b", "down"], check=True)
    new = ip_interface("172.29.0.1/24")
    plan = BridgePlan(name="ni-b", addresses=(SIX, new), given=(FOUR, SIX))
    kernel.create_bridge(plan)
    (link,) = ip("link", "show", "ni-b")
    assert link["ifindex"] == index
    assert "UP" in link["flags"]
    assert addresses(ip, "ni-b") == {"fd31::1/64", "172.29.0.1/24"}
    kernel.create_bridge(plan)
    assert addresses(ip, "ni-b") == {"fd31::1/64", "172.29.0.1/24"}


def host_bridge(*addresses_: str) -> None:
    """Make a bridge that is the host's own."""
    run = ["ip", "link", "add", "ni-b", "type", "bridge"]
    subprocess.run(run, check=True)
    for address in addresses_:
        subprocess.run(["ip", "address", "add", address, "dev", "ni-b"], check=True)


def test_bridge_that_is_there_keeps_every_address_of_its_own(kernel, ip) -> None:
    own = {"192.0.2.10/24", "198.51.100.7/24", "2001:db8:5::9/64"}
    host_bridge(*own)
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR, SIX), given=(FOUR, SIX)))
    assert addresses(ip, "ni-b") == {*own, str(FOUR), str(SIX)}
    kernel.take_addresses("ni-b", (FOUR, SIX))
    assert addresses(ip, "ni-b") == own
    kernel.take_addresses("ni-b", (FOUR, SIX))
    kernel.take_addresses("ni-gone", (FOUR, SIX))
    assert addresses(ip, "ni-b") == own


def test_an_address_of_the_same_subnet_stays_when_ours_goes(kernel, ip) -> None:
    """The kernel takes every further address of a subnet with the first one."""
    host_bridge()
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,), given=(FOUR,)))
    later = f"{FOUR.ip + 7}/{FOUR.network.prefixlen}"
    subprocess.run(["ip", "address", "add", later, "dev", "ni-b"], check=True)
    new = ip_interface("172.29.0.1/24")
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(new,), given=(FOUR, new)))
    assert addresses(ip, "ni-b") == {later, str(new)}
    again = f"{new.ip + 7}/{new.network.prefixlen}"
    subprocess.run(["ip", "address", "add", again, "dev", "ni-b"], check=True)
    kernel.take_addresses("ni-b", (new,))
    assert addresses(ip, "ni-b") == {later, again}


def test_two_addresses_of_ours_in_one_subnet_go_together(kernel, ip) -> None:
    second = ip_interface(f"{FOUR.ip + 1}/{FOUR.network.prefixlen}")
    host_bridge("192.0.2.10/24")
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,), given=(FOUR,)))
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(second,), given=(FOUR, second)))
    assert addresses(ip, "ni-b") == {"192.0.2.10/24", str(second)}
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR, second), given=(FOUR, second)))
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(), given=(FOUR, second)))
    assert addresses(ip, "ni-b") == {"192.0.2.10/24"}


def test_an_ipv6_address_of_ours_gets_another_prefix(kernel, ip) -> None:
    """A link has an IPv6 address once, whatever the prefix: the old one has to go first."""
    longer = ip_interface(f"{SIX.ip}/80")
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR, SIX)))
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR, longer), given=(FOUR, SIX)))
    assert addresses(ip, "ni-b") == {"172.31.0.1/16", "fd31::1/80"}


def test_a_failed_change_of_the_prefix_is_undone(kernel, ip) -> None:
    longer = ip_interface(f"{SIX.ip}/80")
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR, SIX)))
    with pytest.raises(FileExistsError):
        kernel.create_bridge(BridgePlan(name="ni-b", addresses=(longer, longer), given=(SIX,)))
    assert addresses(ip, "ni-b") == {"172.31.0.1/16", "fd31::1/64"}


def test_link_that_is_no_bridge_is_not_taken(kernel, ip) -> None:
    add_pair("ni-pair", "10.77.0.1/24")
    with pytest.raises(FileExistsError, match="no bridge"):
        kernel.create_bridge(BridgePlan(name="ni-pair", addresses=(FOUR,)))
    assert addresses(ip, "ni-pair") == {"10.77.0.1/24"}


@pytest.mark.parametrize(
    ("name", "addresses_", "number"),
    [
        ("n" * 16, (FOUR,), errno.ERANGE),
        ("a/b", (FOUR,), errno.EINVAL),
        ("ni-b", (FOUR, FOUR), errno.EEXIST),
    ],
)
def test_failed_bridge_leaves_nothing(kernel, ip, name, addresses_, number) -> None:
    with pytest.raises(OSError, match=r"\w") as caught:
        kernel.create_bridge(BridgePlan(name=name, addresses=addresses_))
    assert caught.value.errno == number
    assert [link["ifname"] for link in ip("link")] == ["lo"]


def test_failed_adjustment_leaves_the_bridges_addresses(kernel, ip) -> None:
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,)))
    two = ip_interface("172.29.0.1/24")
    with pytest.raises(FileExistsError):
        kernel.create_bridge(BridgePlan(name="ni-b", addresses=(two, two)))
    assert addresses(ip, "ni-b") == {"172.31.0.1/16"}


def test_deleting_a_link_twice_or_an_impossible_one_is_no_error(kernel, ip) -> None:
    kernel.create_bridge(BridgePlan(name="ni-b", addresses=(FOUR,)))
    kernel.delete_link("ni-b")
    kernel.delete_link("ni-b")
    kernel.delete_link("n" * 40)
    assert [link["ifname"] for link in ip("link")] == ["lo"]


def test_links_are_listed_with_kind_master_and_addresses(kernel, ip, tmp_path, interface) -> None:
    key = str(tmp_path / "key")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    try:
        links = {link.name: link for link in kernel.links()}
        assert set(links) == {"lo", "ni-br0", "veth0000002"}
        assert (links["ni-br0"].kind, links["ni-br0"].master) == ("bridge", None)
        assert (links["veth0000002"].kind, links["veth0000002"].master) == ("veth", "ni-br0")
        assert ip_interface("172.30.0.1/16") in links["ni-br0"].addresses
        assert ip_interface("fd30::1/64") in links["ni-br0"].addresses
        assert links["lo"].index == 1
    finally:
        kernel.destroy_sandbox(key)


def test_host_subnets_are_the_routes_without_the_default(kernel) -> None:
    add_pair("ni-pair", "10.77.0.1/24", "fd77::1/64")
    for route in ("default", "10.88.0.0/16"):
        subprocess.run(["ip", "route", "add", route, "via", "10.77.0.9"], check=True)
    subnets = kernel.host_subnets()
    assert ip_network("10.77.0.0/24") in subnets
    assert ip_network("10.88.0.0/16") in subnets
    assert ip_network("fd77::/64") in subnets
    assert not any(subnet.prefixlen == 0 for subnet in subnets)
    assert not any(
        subnet.overlaps(ip_network("127.0.0.0/8")) for subnet in subnets if subnet.version == 4
    )


def test_read_only_proc_sys_is_said_plainly_and_hinders_no_sandbox(
    kernel, netns_directory, inside
) -> None:
    path = Path("/proc/sys/net/ipv4/ip_forward")
    path.write_text("0")
    subprocess.run(["mount", "--bind", "/proc/sys", "/proc/sys"], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", "/proc/sys"], check=True)
        with pytest.raises(OSError, match="switch on forwarding: /proc/sys/net/ipv4/ip_forward"):
            kernel.prepare_host()
        key = str(netns_directory / "key")
        kernel.create_sandbox(SandboxPlan(key=key))
        switch = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
        assert inside(key, "cat", switch).stdout == "1\n"
    finally:
        subprocess.run(["umount", "/proc/sys"], check=True)
    kernel.prepare_host()
    assert path.read_text() == "1\n"
