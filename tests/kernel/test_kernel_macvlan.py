"""Goal: a macvlan is what its plan says, is gone when the kernel says so, and disturbs no parent.

Method: iproute2 looks at what the kernel made. The parent is one end of a veth pair.
"""

import errno
import subprocess
from ipaddress import ip_interface

import pytest

from conformance.capabilities import has_link_kind
from refimpl.kernel.base import GatewayPlan, InterfacePlan, LinkGone, ParentPlan, SandboxPlan

MODES = ("bridge", "private", "vepa", "passthru")
GATEWAY = GatewayPlan(ipv4="172.31.0.1", interface="eth0")


@pytest.fixture
def parent(kernel):
    words = "link add ni-par type veth peer name ni-far".split()
    subprocess.run(["ip", *words], check=True)
    for name in ("ni-par", "ni-far"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    return "ni-par"


@pytest.fixture
def macvlan(parent):
    def plan(number=2, **overrides):
        values = {
            "host_name": "",
            "name": "eth0",
            "bridge": parent,
            "mac": f"02:42:ac:1f:00:{number:02x}",
            "addresses": (ip_interface(f"172.31.0.{number}/24"),),
            "macvlan_mode": "bridge",
        }
        return InterfacePlan(**(values | overrides))

    return plan


def only(ip, key, name="eth0"):
    (link,) = [one for one in ip("-d", "addr", key=key) if one["ifname"] == name]
    return link


def names(ip, key=None):
    return {link["ifname"] for link in ip("link", key=key)}


def mac_of(ip, name):
    (link,) = ip("link", "show", name)
    return link["address"]


@pytest.mark.parametrize("mode", MODES)
def test_macvlan_has_its_mode_mac_address_and_route(kernel, netns_directory, macvlan, ip, mode):
    key = str(netns_directory / "one")
    plan = macvlan(macvlan_mode=mode)
    before = names(ip)
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,), gateway=GATEWAY))
    link = only(ip, key)
    assert link["linkinfo"]["info_kind"] == "macvlan"
    assert link["linkinfo"]["info_data"]["mode"] == mode
    assert link["address"] == plan.mac
    assert {"UP", "LOWER_UP"} <= set(link["flags"])
    (address,) = link["addr_info"]
    assert (address["local"], address["prefixlen"]) == ("172.31.0.2", 24)
    assert ip("route", "show", "default", key=key)[0]["gateway"] == "172.31.0.1"
    assert names(ip) == before


@pytest.mark.parametrize("mode", MODES)
def test_same_mac_is_taken_again_at_once(kernel, netns_directory, macvlan, mode):
    plan = macvlan(macvlan_mode=mode)
    for number in range(20):
        key = str(netns_directory / str(number))
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,)))
        kernel.destroy_sandbox(key)


def test_passthru_parent_gets_its_own_mac_back(kernel, netns_directory, macvlan, parent, ip):
    own = mac_of(ip, parent)
    key = str(netns_directory / "one")
    plan = macvlan(macvlan_mode="passthru")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,)))
    assert mac_of(ip, parent) == plan.mac
    kernel.destroy_sandbox(key)
    assert mac_of(ip, parent) == own


def test_second_passthru_is_refused_and_leaves_nothing(kernel, netns_directory, macvlan, ip):
    first, second = (str(netns_directory / name) for name in ("first", "second"))
    kernel.create_sandbox(SandboxPlan(key=first, interfaces=(macvlan(macvlan_mode="passthru"),)))
    with pytest.raises(OSError, match="failed to create the macvlan port") as caught:
        kernel.create_sandbox(
            SandboxPlan(key=second, interfaces=(macvlan(3, macvlan_mode="passthru"),))
        )
    assert caught.value.errno == errno.EINVAL
    assert kernel.sandbox_keys(str(netns_directory)) == (first,)


def test_pair_and_macvlan_are_made_and_undone_as_one(
    kernel, netns_directory, interface, macvlan, ip, links_become
):
    key = str(netns_directory / "both")
    before = names(ip)
    bad = macvlan(name="eth1", mac="03:42:00:00:00:01")  # a group's address is no link's
    with pytest.raises(OSError, match="macvlan port"):
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2), bad)))
    links_become(before)
    good = (interface(2), macvlan(name="eth1"))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=good))
    assert names(ip, key) == {"lo", "eth0", "eth1"}
    kernel.destroy_sandbox(key)
    links_become(before)


def test_missing_parent_is_named(kernel, netns_directory, macvlan):
    key = str(netns_directory / "one")
    with pytest.raises(LinkGone) as caught:
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=(macvlan(bridge="ni-none"),)))
    assert caught.value.name == "ni-none"
    assert kernel.sandbox_keys(str(netns_directory)) == ()


def test_macvlan_comes_to_a_live_sandbox_and_goes(kernel, netns_directory, interface, macvlan, ip):
    key = str(netns_directory / "live")
    gateway = GatewayPlan(ipv4="172.30.0.1", interface="eth0")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),), gateway=gateway))
    plan = macvlan(name="eth1")
    for _ in range(2):
        kernel.add_interface(key, plan, GatewayPlan(ipv4="172.31.0.1", interface="eth1"))
        assert only(ip, key, "eth1")["address"] == plan.mac
        assert ip("route", "show", "default", key=key)[0]["dev"] == "eth1"
        kernel.remove_interface(key, "eth1", "", gateway)
        assert names(ip, key) == {"lo", "eth0"}
        assert ip("route", "show", "default", key=key)[0]["dev"] == "eth0"


def test_failed_addition_leaves_no_macvlan(kernel, netns_directory, macvlan, ip):
    key = str(netns_directory / "live")
    kernel.create_sandbox(SandboxPlan(key=key))
    with pytest.raises(OSError, match="default route"):
        kernel.add_interface(key, macvlan(), GatewayPlan(ipv4="192.0.2.1", interface="eth0"))
    assert names(ip, key) == {"lo"}
    kernel.add_interface(key, macvlan(), GATEWAY)


def test_macvlan_that_a_container_has_renamed_goes_with_the_sandbox(
    kernel, netns_directory, macvlan, inside
):
    key = str(netns_directory / "renamed")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(macvlan(),)))
    for words in (("down",), ("name", "mine")):
        inside(key, "ip", "link", "set", "eth0", *words)
    kernel.destroy_sandbox(key)
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(macvlan(),)))


def test_macvlan_of_a_containers_own_is_left_alone(kernel, netns_directory, interface, inside, ip):
    key = str(netns_directory / "own")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    made = inside(key, "ip", "link", "add", "link", "eth0", "name", "mv0", "type", "macvlan")
    assert made.returncode == 0
    kernel.remove_interface(key, "eth9", "", GatewayPlan())
    assert {"eth0", "mv0"} <= {name.partition("@")[0] for name in names(ip, key)}
    kernel.destroy_sandbox(key)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (ParentPlan(name="ni-dm0"), ("ni-c", "type", "dummy")),
        (
            ParentPlan(name="ni-par.10", lower="ni-par", vlan_id=10),
            ("link", "ni-a", "name", "ni-a.10", "type", "vlan", "id", "10"),
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_parent_is_made_where_the_kernel_can(kernel, parent, ip, plan, words):
    if not has_link_kind(*words):
        with pytest.raises(OSError, match="a parent of macvlans") as caught:
            kernel.create_parent(plan)
        assert caught.value.errno == errno.EOPNOTSUPP
        assert plan.name not in names(ip)
        return
    for _ in range(2):
        kernel.create_parent(plan)
    (link,) = ip("-d", "link", "show", plan.name)
    assert "UP" in link["flags"]
    if plan.vlan_id:
        assert link["linkinfo"]["info_data"]["id"] == plan.vlan_id
    kernel.delete_link(plan.name)


def test_parent_on_a_link_that_is_not_there_is_refused(kernel):
    with pytest.raises(OSError, match="ni-none") as caught:
        kernel.create_parent(ParentPlan(name="ni-none.10", lower="ni-none", vlan_id=10))
    assert caught.value.errno == errno.ENODEV
