"""Goal: who may talk to whom, proved by packets; and no other table is ever touched.

Method: two bridges with a sandbox each, and a third namespace that stands for the outside world.
"""

import errno
import json
import subprocess
from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest

from refimpl.kernel.base import (
    BridgePlan,
    FirewallNetwork,
    GatewayPlan,
    InterfacePlan,
    SandboxPlan,
)
from refimpl.kernel.firewall import Firewall

A, A2, B, OUTSIDE = "172.30.0.2", "172.30.0.3", "172.31.0.2", "192.0.2.2"
NETWORK_A = FirewallNetwork(bridge="ni-fa", subnets=(ip_network("172.30.0.0/16"),))
NETWORK_B = FirewallNetwork(bridge="ni-fb", subnets=(ip_network("172.31.0.0/16"),))


def tables():
    output = subprocess.run(
        ["nft", "-j", "list", "tables"], capture_output=True, text=True, check=True
    ).stdout
    return {one["table"]["name"] for one in json.loads(output)["nftables"] if "table" in one}


@pytest.fixture
def world(kernel, netns_directory):
    """Sandboxes a and a2 on one bridge, b on another, and the outside that knows no way back."""
    for name, address in (("ni-fa", "172.30.0.1/16"), ("ni-fb", "172.31.0.1/16")):
        kernel.create_bridge(BridgePlan(name=name, addresses=(ip_interface(address),)))
    kernel.create_bridge(BridgePlan(name="ni-out", addresses=(ip_interface("192.0.2.1/24"),)))
    keys = {}
    for number, (name, bridge, address, router) in enumerate(
        (
            ("a", "ni-fa", f"{A}/16", "172.30.0.1"),
            ("a2", "ni-fa", f"{A2}/16", "172.30.0.1"),
            ("b", "ni-fb", f"{B}/16", "172.31.0.1"),
            ("outside", "ni-out", f"{OUTSIDE}/24", None),
        )
    ):
        keys[name] = str(netns_directory / name)
        interface = InterfacePlan(
            host_name=f"vethf{number}",
            name="eth0",
            bridge=bridge,
            mac=f"02:42:00:00:00:{number:02x}",
            addresses=(ip_interface(address),),
        )
        kernel.create_sandbox(
            SandboxPlan(
                key=keys[name],
                interfaces=(interface,),
                gateway=GatewayPlan(ipv4=router, interface="eth0"),
            )
        )
    return keys


@pytest.fixture
def reaches(world, inside):
    """Does a packet come there and back?"""
    return lambda source, target: (
        inside(world[source], "busybox", "ping", "-c1", "-W1", target).returncode == 0
    )


def test_without_rules_everyone_is_reached_but_the_outside(reaches) -> None:
    assert reaches("a", B)
    assert not reaches("a", OUTSIDE)


def test_bridges_are_apart_and_each_reaches_the_outside(kernel, reaches) -> None:
    kernel.apply_firewall([NETWORK_A, NETWORK_B])
    assert not reaches("a", B)
    assert not reaches("b", A)
    assert reaches("a", A2)
    assert reaches("a", OUTSIDE)
    assert reaches("b", OUTSIDE)


def test_internal_network_reaches_itself_and_the_gateway_only(kernel, reaches) -> None:
    kernel.apply_firewall([replace(NETWORK_A, internal=True), NETWORK_B])
    assert reaches("a", A2)
    assert reaches("a", "172.30.0.1")
    assert not reaches("a", OUTSIDE)
    assert not reaches("a", B)
    assert not reaches("b", A)


def test_without_masquerade_the_outside_cannot_answer(kernel, reaches) -> None:
    kernel.apply_firewall([replace(NETWORK_A, masquerade=False), NETWORK_B])
    assert not reaches("a", OUTSIDE)
    assert reaches("b", OUTSIDE)


def test_icc_off_parts_the_containers_of_one_bridge(kernel, reaches) -> None:
    kernel.apply_firewall([replace(NETWORK_A, icc=False)])
    assert not reaches("a", A2)
    assert reaches("a", "172.30.0.1")
    assert reaches("a", OUTSIDE)


def test_applying_again_replaces_what_was_said_before(kernel, reaches) -> None:
    kernel.apply_firewall([replace(NETWORK_A, internal=True)])
    assert not reaches("a", OUTSIDE)
    kernel.apply_firewall([NETWORK_A])
    assert reaches("a", OUTSIDE)


def test_bridge_need_not_be_there_yet(kernel) -> None:
    kernel.apply_firewall([NETWORK_A, NETWORK_B])
    assert tables() == {"netinit"}


def test_other_tables_stay_as_they_are(kernel) -> None:
    script = "table ip other {\nchain forward {\ntype filter hook forward priority 0;\n}\n}\n"
    subprocess.run(["nft", "-f", "-"], input=script, text=True, check=True)
    try:
        kernel.apply_firewall([NETWORK_A])
        kernel.apply_firewall([])
        assert tables() == {"other", "netinit"}
        Firewall().remove()
        Firewall().remove()
        assert tables() == {"other"}
    finally:
        subprocess.run(["nft", "delete", "table", "ip", "other"], check=True)


@pytest.mark.parametrize("name", ['a"; }', "br*", "", "a\nb", "a\\"])
def test_name_that_nft_would_misread_is_refused_and_the_rules_stay(kernel, name) -> None:
    kernel.apply_firewall([NETWORK_A])
    before = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
    with pytest.raises(OSError, match="no usable bridge name") as caught:
        kernel.apply_firewall([replace(NETWORK_A, bridge=name)])
    assert caught.value.errno == errno.EINVAL
    after = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout
    assert after == before


def test_ipv6_networks_are_masqueraded_too(kernel) -> None:
    six = FirewallNetwork(bridge="ni-fc", subnets=(ip_network("fd31::/64"),))
    kernel.apply_firewall([NETWORK_A, six])
    rules = subprocess.run(
        ["nft", "list", "table", "inet", "netinit"], capture_output=True, text=True, check=True
    ).stdout
    assert 'ip6 saddr fd31::/64 oifname != "ni-fc" masquerade' in rules
    assert 'ip saddr 172.30.0.0/16 oifname != "ni-fa" masquerade' in rules


def test_missing_nft_is_an_error_of_the_system(kernel, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match="nft"):
        kernel.apply_firewall([])
