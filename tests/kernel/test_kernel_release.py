"""Goal: nothing of a destroyed sandbox hinders anybody, from the moment its removal returns on.

Method: iproute2 and ping look; processes stay in the namespace where that is the nasty case, as a
container does that shares the network of one that is stopped.
"""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from refimpl.kernel import netns
from refimpl.kernel.base import GatewayPlan, SandboxPlan
from refimpl.kernel.links import RETIRED_GROUP
from refimpl.kernel.linux import LinuxKernel
from refimpl.kernel.reaper import Reaper

PORTS_MAX = 1023
"""The kernel's limit for a bridge."""
GATEWAY = GatewayPlan(ipv4="172.30.0.1", interface="eth0")


@contextmanager
def dweller(key: str) -> Iterator[int]:
    """Yield the id of a process that lives in the namespace pinned at a key."""
    process = subprocess.Popen(
        ["nsenter", f"--net={key}", "sh", "-c", "echo; exec sleep 60"], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("known", ["none", "all", "one is renamed"])
def test_its_ports_are_down_at_once(kernel, netns_directory, interface, ip, known) -> None:
    key = str(netns_directory / "key")
    plans = tuple(interface(number, name=f"eth{number - 2}") for number in (2, 3))
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=plans))
    names = [plan.host_name for plan in plans]
    if known == "one is renamed":
        ip("link", "set", names[0], "name", "ni-renamed")
        plans = (plans[0]._replace(host_name="ni-renamed"), plans[1])
    with dweller(key):
        kernel.destroy_sandbox(key, None if known == "none" else names)
        for plan in plans:
            (link,) = ip("link", "show", plan.host_name)
            assert "UP" not in link["flags"]


def test_a_full_bridge_has_room_for_who_comes_after_one_that_went(
    kernel, netns_directory, interface, bridge
) -> None:
    """A port on its way out takes a place until it is deleted."""
    others = range(PORTS_MAX // 2)  # pairs, of which both ends are ports
    lines = (
        f"link add ni-{one} master {bridge} type veth peer name ni-{one}p\n"
        f"link set ni-{one}p master {bridge}\n"
        for one in others
    )
    subprocess.run(["ip", "-batch", "-"], input="".join(lines), text=True, check=True)
    try:
        plans = [SandboxPlan(key=str(netns_directory / "own"), interfaces=(interface(2),))]
        plans += [SandboxPlan(key=str(netns_directory / "two"), interfaces=(interface(3),))]
        kernel.create_sandbox(plans[0])
        with pytest.raises(OSError, match="create interface eth0") as refused:
            kernel.create_sandbox(plans[1])
        assert refused.value.errno == errno.EXFULL
        # somebody lives there, or the end of the namespace would delete the pair
        with dweller(plans[0].key):
            kernel.destroy_sandbox(plans[0].key, [plans[0].interfaces[0].host_name])
            kernel.create_sandbox(plans[1])
    finally:
        lines = (f"link set ni-{one}{end} group 7\n" for one in others for end in ("", "p"))
        subprocess.run(["ip", "-batch", "-"], input="".join(lines), text=True, check=True)
        subprocess.run(["ip", "link", "del", "group", "7"], check=True)


def test_a_sweep_asks_the_kernel_only_where_a_link_is_left(
    kernel, netns_directory, interface, monkeypatch
) -> None:
    woken: list[Reaper] = []

    def wake(reaper: Reaper) -> None:
        woken.append(reaper)

    monkeypatch.setattr(Reaper, "wake", wake)
    for interfaces, wakes in (((), 0), ((interface(2),), 1)):
        key = str(netns_directory / f"key{wakes}")
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=interfaces))
        kernel.destroy_sandbox(key)
        kernel.sweep()
        kernel.sweep()
        assert len(woken) == wakes


def test_a_file_that_cannot_be_removed_keeps_no_link(
    kernel, netns_directory, interface, monkeypatch, links_become
) -> None:
    key = str(netns_directory / "key")
    plan = interface(2)
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(plan,)))

    def fail(key: str) -> None:
        raise OSError(errno.EBUSY, f"unmount {key}: busy")

    with monkeypatch.context() as patched:
        patched.setattr(netns, "unpin", fail)
        with pytest.raises(OSError, match="busy"):
            kernel.destroy_sandbox(key, [plan.host_name])
    links_become({"lo", "ni-br0"})
    kernel.destroy_sandbox(key, [plan.host_name])
    assert kernel.sandbox_keys(str(netns_directory)) == ()


def test_no_traffic_reaches_a_process_that_stayed_inside(
    kernel, netns_directory, interface
) -> None:
    key = str(netns_directory / "key")
    plan = SandboxPlan(key=key, interfaces=(interface(2),), gateway=GATEWAY)
    kernel.create_sandbox(plan)

    def ping(net: str, address: str) -> int:
        command = ["nsenter", f"--net={net}", "busybox", "ping", "-c1", "-W1", address]
        return subprocess.run(command, check=False, capture_output=True, timeout=20).returncode

    with dweller(key) as pid:
        inside, outside = f"/proc/{pid}/ns/net", "/proc/self/ns/net"
        assert ping(inside, "172.30.0.1") == 0
        assert ping(outside, "172.30.0.2") == 0
        kernel.destroy_sandbox(key)
        assert ping(inside, "172.30.0.1") != 0
        assert ping(outside, "172.30.0.2") != 0


def test_the_next_sandbox_may_have_its_addresses_macs_and_names_at_once(
    kernel, netns_directory, interface, inside, ip
) -> None:
    key = str(netns_directory / "key")
    for number in (2, 3, 4):
        interfaces = (interface(2, host_name=f"veth{number:07x}"),)
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=interfaces, gateway=GATEWAY))
        assert inside(key, "busybox", "ping", "-c1", "-W2", "172.30.0.1").returncode == 0
        (eth0,) = [link for link in ip("link", key=key) if link["ifname"] == "eth0"]
        assert eth0["address"] == interfaces[0].mac
        with dweller(key):
            kernel.destroy_sandbox(key)


@pytest.mark.parametrize("is_known", [False, True])
def test_its_links_go_although_somebody_stays_in_the_namespace(
    kernel, netns_directory, interface, ip, links_become, is_known
) -> None:
    key = str(netns_directory / "key")
    kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(2),)))
    with dweller(key) as pid:
        kernel.destroy_sandbox(key, [interface(2).host_name] if is_known else None)
        links_become({"lo", "ni-br0"})
        assert [link["ifname"] for link in ip("link", key=f"/proc/{pid}/ns/net")] == ["lo"]


def test_many_go_together_and_whoever_closes_waits_for_them(
    netns_directory, bridge, interface, ip
) -> None:
    kernel = LinuxKernel()
    keys = [str(netns_directory / f"key{number}") for number in range(2, 10)]
    for number, key in enumerate(keys, 2):
        kernel.create_sandbox(SandboxPlan(key=key, interfaces=(interface(number),)))
    for key in keys:
        kernel.destroy_sandbox(key)
    kernel.close()
    assert {link["ifname"] for link in ip("link")} == {"lo", bridge}


def test_links_that_a_dead_daemon_retired_go_at_the_next_boot_and_no_others(kernel, ip) -> None:
    for name in ("ni-old", "ni-other"):
        command = ["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-p"]
        subprocess.run(command, check=True)
    subprocess.run(["ip", "link", "set", "ni-old", "group", str(RETIRED_GROUP)], check=True)
    other = LinuxKernel()
    other.prepare_host()
    other.close()
    assert {link["ifname"] for link in ip("link")} == {"lo", "ni-other", "ni-other-p"}
