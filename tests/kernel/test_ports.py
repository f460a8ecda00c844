"""Goal: who reaches a published port, and as whom; proved by packets.

Method: the engine as a program, an outside in a namespace of its own, a server in each container
that answers with its name and with the address that it was asked from.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kernel.docker_cli import tool
from tests.kernel.own_engine import NETNS
from tests.kernel.ports_stage import ASKER, ASKER6, HOST, HOST6, Stage, ask, stage

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(180)]
GATEWAY = "172.17.0.1"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("ports")) as one:
        yield one


@pytest.fixture
def run(here: Stage):
    names = []

    def run_one(name: str, *options: str) -> None:
        names.append(name)
        here.run(name, *options)

    yield run_one
    for name in names:
        here.docker("rm", "-f", name)


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_every_way_to_a_published_port(here, run, kind):
    run("peer")
    run("web", "-p", f"8080:80/{kind}")
    assert ask(here.outside, HOST, 8080, kind) == f"web {ASKER}"
    assert ask(here.host, HOST, 8080, kind) == f"web {HOST}"
    assert ask(here.host, GATEWAY, 8080, kind) == f"web {GATEWAY}"
    assert ask(here.host, "127.0.0.1", 8080, kind) == f"web {GATEWAY}"
    assert ask(here.host, "127.0.0.9", 8080, kind) == f"web {GATEWAY}"
    # what no rule can lead there goes by way of the relay
    assert ask(here.host, "::1", 8080, kind) == f"web {GATEWAY}"
    assert ask(here.outside, HOST6, 8080, kind) == f"web {GATEWAY}"
    # from the same bridge the answer has to come back the same way
    for address in (HOST, GATEWAY):
        assert ask(here.inside("peer"), address, 8080, kind) == f"web {GATEWAY}"
        assert ask(here.inside("web"), address, 8080, kind) == f"web {GATEWAY}"


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_every_way_with_ipv6(here, run, kind):
    here.docker("network", "create", "--ipv6", "--subnet", "fd00:77::/64", "six")
    try:
        run("peer6", "--network", "six")
        run("web6", "--network", "six", "-p", f"8080:80/{kind}")
        assert ask(here.outside, HOST6, 8080, kind) == f"web6 {ASKER6}"
        assert ask(here.outside, HOST, 8080, kind) == f"web6 {ASKER}"
        assert ask(here.host, HOST6, 8080, kind) == f"web6 {HOST6}"
        assert ask(here.host, "::1", 8080, kind) == "web6 fd00:77::1"
        assert ask(here.inside("peer6"), HOST6, 8080, kind) == "web6 fd00:77::1"
        assert ask(here.inside("web6"), "fd00:77::1", 8080, kind) == "web6 fd00:77::1"
    finally:
        here.docker("rm", "-f", "peer6", "web6")
        here.docker("network", "rm", "six")


def test_address_of_the_host_is_the_only_one_that_leads_there(here, run):
    run("web", "-p", "127.0.0.1:8080:80")
    assert here.ports("web") == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    assert ask(here.host, "127.0.0.1", 8080) == f"web {GATEWAY}"
    assert ask(here.host, "127.0.0.2", 8080) == "ConnectionRefusedError"
    assert ask(here.outside, HOST, 8080) == "ConnectionRefusedError"
    assert ask(here.host, "::1", 8080) == "ConnectionRefusedError"


def test_address_of_ipv6(here, run):
    run("web", "-p", "[::1]:8080:80")
    assert here.ports("web") == {"80/tcp": [{"HostIp": "::1", "HostPort": "8080"}]}
    assert ask(here.host, "::1", 8080) == f"web {GATEWAY}"
    assert ask(here.outside, HOST6, 8080) == "ConnectionRefusedError"
    assert ask(here.host, "127.0.0.1", 8080) == "ConnectionRefusedError"


def test_published_port_is_reached_where_containers_are_kept_apart(here, run):
    apart = ("-o", "com.docker.network.bridge.enable_icc=false")
    here.docker("network", "create", "--subnet", "10.233.0.0/24", *apart, "apart")
    try:
        run("peer", "--network", "apart")
        run("web", "--network", "apart", "-p", "8080:80")
        address = here.address("web", "apart")
        assert ask(here.inside("peer"), address, 80, wait_s=1) == "TimeoutError"
        assert ask(here.inside("peer"), HOST, 8080) == "web 10.233.0.1"
        assert ask(here.inside("web"), HOST, 8080) == "web 10.233.0.1"
        assert ask(here.outside, HOST, 8080) == f"web {ASKER}"
    finally:
        here.docker("rm", "-f", "peer", "web")
        here.docker("network", "rm", "apart")


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_other_network_reaches_it_at_the_hosts_addresses_only(here, run, kind):
    here.docker("network", "create", "--subnet", "10.233.0.0/24", "other")
    try:
        run("peer", "--network", "other")
        run("web", "-p", f"8080:80/{kind}")
        for address in (HOST, GATEWAY, "10.233.0.1"):
            assert ask(here.inside("peer"), address, 8080, kind) == f"web {GATEWAY}"
        assert ask(here.inside("peer"), here.address("web"), 80, kind, wait_s=1) == "TimeoutError"
    finally:
        here.docker("rm", "-f", "peer")
        here.docker("network", "rm", "other")


def test_container_does_not_reach_the_hosts_loopback(here, run):
    """The bridge lets 127.0.0.0/8 through for published ports, and for nothing else."""
    run("web", "-p", "8080:80")
    here.serve_host()
    inside = here.inside("web")
    assert ask(here.host, "127.0.0.1", 7777).startswith("host ")
    for command in (
        ("sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"),
        ("ip", "rule", "add", "pref", "1", "to", "127.0.0.1", "lookup", "main"),
        ("ip", "rule", "add", "pref", "2", "lookup", "local"),
        ("ip", "rule", "delete", "pref", "0"),
        ("ip", "route", "add", "127.0.0.1/32", "via", GATEWAY, "src", here.address("web")),
    ):
        tool("nsenter", f"--net={inside}", *command)
    assert ask(inside, "127.0.0.1", 7777, wait_s=1) == "TimeoutError"
    assert ask(here.host, "127.0.0.1", 8080) == f"web {GATEWAY}"
    # it is the guard that keeps it away
    tool("nsenter", f"--net={here.host}", "nft", "flush", "chain", "inet", "netinit", "guard")
    assert ask(inside, "127.0.0.1", 7777) == f"host {here.address('web')}"
    here.docker("network", "create", "writes-the-rules-again")
    here.docker("network", "rm", "writes-the-rules-again")
    assert ask(inside, "127.0.0.1", 7777, wait_s=1) == "TimeoutError"
    assert ask(here.host, "127.0.0.1", 8080) == f"web {GATEWAY}"


@pytest.mark.parametrize("binding", ["8080:80", "127.0.0.1:8080:80"])
def test_outside_does_not_reach_the_loopback_over_the_wire(here, run, binding):
    run("web", "-p", binding)
    outside = here.outside.rpartition("/")[2]
    for command in (
        ("sysctl", "-w", "net.ipv4.conf.all.route_localnet=1"),
        ("ip", "rule", "add", "pref", "1", "to", "127.0.0.1", "lookup", "77"),
        ("ip", "rule", "add", "pref", "2", "lookup", "local"),
        ("ip", "rule", "delete", "pref", "0"),
        ("ip", "route", "add", "127.0.0.1/32", "via", HOST, "src", ASKER, "table", "77"),
    ):
        tool("ip", "netns", "exec", outside, *command)
    try:
        assert ask(here.outside, "127.0.0.1", 8080, wait_s=1) == "TimeoutError"
    finally:
        tool("ip", "-n", outside, "rule", "add", "pref", "0", "lookup", "local")
        for pref in ("1", "2"):
            tool("ip", "-n", outside, "rule", "delete", "pref", pref)
        tool("ip", "-n", outside, "route", "flush", "table", "77")


def test_neighbour_with_a_route_reaches_published_ports_only(here, run):
    run("web", "-p", "8080:80")
    address = here.address("web")
    here.serve("web", 81)
    tool("ip", "-n", here.outside.rpartition("/")[2], "route", "add", address, "via", HOST)
    try:
        assert ask(here.outside, address, 80) == f"web {ASKER}"
        assert ask(here.outside, address, 81, wait_s=1) == "TimeoutError"
    finally:
        tool("ip", "-n", here.outside.rpartition("/")[2], "route", "delete", address)


def test_bridge_sends_back_only_to_who_publishes(here, run):
    run("plain")
    run("web", "-p", "8080:80")
    modes = {}
    for name in ("plain", "web"):
        inside = here.engine.docker("inspect", "-f", "{{.State.Pid}}", name)
        modes[name] = here.hairpin(inside)
    assert modes == {"plain": False, "web": True}


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_every_way_where_bridged_packets_pass_the_firewall(here, run, kind):
    """As beside a dockerd; then a container reaches itself only where its port sends back."""
    switch = "net.bridge.bridge-nf-call-iptables"
    enter = ("nsenter", f"--net=/run/netns/{NETNS}")
    tool(*enter, "sysctl", "-w", f"{switch}=1")
    try:
        run("peer")
        run("web", "-p", f"8080:80/{kind}")
        for address in (HOST, GATEWAY):
            assert ask(here.inside("peer"), address, 8080, kind) == f"web {GATEWAY}"
            assert ask(here.inside("web"), address, 8080, kind) == f"web {GATEWAY}"
        assert ask(here.outside, HOST, 8080, kind) == f"web {ASKER}"
    finally:
        tool(*enter, "sysctl", "-w", f"{switch}=0")
