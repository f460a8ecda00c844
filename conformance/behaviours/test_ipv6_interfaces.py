"""What IPv6 is where there is none, and who may not give any: loopback, switches, routers."""

import pytest

from conformance.assertions import expect_empty, expect_equal
from conformance.observe.adverts import advertise
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

ROGUE = "2001:db8:bad::/64"
PINGS = ["NET_RAW"]


def netns_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"])


def all_ipv6(netns):
    found = netns.ip("-6", "addr", "show")
    return [address["local"] for link in found for address in link["addr_info"]]


@behaviour(
    "ipv6.off.no-address",
    "On a network without IPv6 the container's interface MUST have no IPv6 address, not even a "
    "link-local one, and MUST have no IPv6 route.",
    source="libnetwork osl setIPv6 v17.06: disable_ipv6",
)
@pytest.mark.parametrize("kind", ["bridge", "user"])
def test_interface_without_ipv6_has_none(run, network, host, kind):
    netns = netns_of(host, run(network_mode="bridge" if kind == "bridge" else network().name))
    expect_empty("the IPv6 addresses", netns.addresses("eth0", "inet6"))
    expect_empty("the IPv6 routes", netns.routes("-6"))


@behaviour(
    "ipv6.off.loopback-none",
    "Without a network with IPv6 the loopback of a container MUST NOT have `::1`.",
    source="libnetwork osl setIPv6 v17.06: off for all",
    docker="<26.0",
)
@pytest.mark.parametrize("mode", ["bridge", "none"])
def test_loopback_without_ipv6_has_none(run, host, mode):
    netns = netns_of(host, run(network_mode=mode))
    expect_empty("the loopback's IPv6 addresses", netns.addresses("lo", "inet6"))


def without_ipv6_network(setup):
    for one in setup.containers:
        has_ipv6 = any(setup.network(end.network).has_ipv6 for end in one.endpoints)
        has_loopback = one.has_own_network or one.mode == "none"
        if has_loopback and not has_ipv6 and not one.switches_ipv6_off:
            why = "it is on no network with IPv6"
            yield one.effect("IPv6 on loopback", why, "localhost is ::1 in it, too")


@behaviour(
    "ipv6.off.loopback-has-it",
    "Without a network with IPv6 the loopback of a container MUST have `::1` all the same.",
    source="moby#47062 v26.0",
    docker=">=26.0",
    replaces=("ipv6.off.loopback-none",),
    concerns=without_ipv6_network,
)
@pytest.mark.parametrize("mode", ["bridge", "none"])
def test_loopback_has_ipv6_without_a_network(run, host, mode):
    netns = netns_of(host, run(network_mode=mode))
    expect_equal("the loopback", ["::1/128"], netns.addresses("lo", "inet6"))


@behaviour(
    "ipv6.off.by-sysctl",
    "A container that switches IPv6 off for itself MUST start on a network with IPv6, with IPv4 "
    "and without an IPv6 address.",
    source="moby docs, docker run --sysctl net.ipv6.conf.all.disable_ipv6=1",
)
def test_container_may_switch_ipv6_off(run, ipv6_network, host, exec_in):
    net = ipv6_network()
    off = {"net.ipv6.conf.all.disable_ipv6": "1"}
    container = run(network=net.name, sysctls=off, cap_add=PINGS)
    netns = netns_of(host, container)
    expect_empty("the IPv6 addresses", all_ipv6(netns))
    ping = exec_in(container, "ping", "-c1", "-W10", address_in(container, net, "Gateway"))
    expect_equal("the exit code of ping", 0, ping.exit_code)


@behaviour(
    "ipv6.off.one-network",
    "Of a container's interfaces exactly those to networks with IPv6 MUST have IPv6 addresses.",
    source="libnetwork osl setIPv6 v17.06",
)
def test_each_interface_has_what_its_network_has(run, network, ipv6_network, host):
    plain, dual, last = network(), ipv6_network(), network()
    container = run(network=plain.name)
    dual.connect(container)
    last.connect(container)
    netns = netns_of(host, container)
    counts = {link: len(netns.addresses(link, "inet6")) for link in ("eth0", "eth1", "eth2")}
    expect_equal("how many IPv6 addresses", {"eth0": 0, "eth1": 2, "eth2": 0}, counts)


def accept_ra_of_bridge(host, exec_in, run, net):
    gateway = address_in(run(network=net.name), net, "Gateway")
    path = f"/proc/sys/net/ipv6/conf/{host.daemon_netns().link_with(gateway)}/accept_ra"
    return exec_in(run(network_mode="host"), "cat", path).text


@behaviour(
    "ipv6.ra.bridge-off",
    "The bridge of a network without IPv6 MUST accept no router advertisement: its accept_ra is 0.",
    source="CVE-2020-13401; libnetwork setupDefaultSysctl v19.03.11",
    docker=">=19.03.11",
)
def test_bridge_accepts_no_router(run, network, host, exec_in):
    expect_equal("accept_ra", "0", accept_ra_of_bridge(host, exec_in, run, network()))


@behaviour(
    "ipv6.ra.bridge-off.dual-stack",
    "The bridge of a network with IPv6 MUST accept no router advertisement: its accept_ra is 0.",
    source="CVE-2020-13401; libnetwork setupDefaultSysctl v19.03.11",
    docker=">=19.03.11",
)
def test_dual_stack_bridge_accepts_no_router(run, ipv6_network, host, exec_in):
    expect_equal("accept_ra", "0", accept_ra_of_bridge(host, exec_in, run, ipv6_network()))


@behaviour(
    "ipv6.ra.machine-untouched",
    "A router advertisement that a container sends MUST give the engine's machine neither an "
    "address nor a default route.",
    source="CVE-2020-13401; libnetwork setupDefaultSysctl v19.03.11",
    docker=">=19.03.11",
)
def test_container_is_no_router_of_the_machine(own_daemon):
    daemon = own_daemon()
    container = daemon.run(cap_add=PINGS)
    machine, inside = daemon.host.daemon_netns(), netns_of(daemon.host, container)
    gateway = inside.default_gateway()
    for _ in range(3):
        advertise(inside.path, "eth0", inside.mac("eth0"), ROGUE)
        daemon.exec_in(container, "ping", "-c1", "-W2", gateway)
    rogue = [one for one in all_ipv6(machine) if one.startswith("2001:db8:bad:")]
    expect_empty("addresses of the container's choice", rogue)
    expect_equal("the default route", "", machine.default_gateway("-6"))


@behaviour(
    "ipv6.ra.peer-untouched",
    "A router advertisement that a container sends SHOULD NOT give its peers an address, nor "
    "change their default route.",
    source="RFC 6104: rogue router advertisements; podman's netavark: autoconf is off",
)
def test_container_is_no_router_of_its_peers(run, ipv6_network, host, exec_in):
    net = ipv6_network()
    rogue, peer = (run(network=net.name, cap_add=PINGS) for _ in range(2))
    sender, netns = netns_of(host, rogue), netns_of(host, peer)
    before = [route for route in netns.routes("-6") if route["dst"] == "default"]
    for _ in range(3):
        advertise(sender.path, "eth0", sender.mac("eth0"), ROGUE)
        exec_in(rogue, "ping", "-6", "-c1", "-W10", address_in(peer, net, "GlobalIPv6Address"))
    found = [one for one in all_ipv6(netns) if one.startswith("2001:db8:bad:")]
    expect_empty("the peer's addresses of the sender's choice", found)
    after = [route for route in netns.routes("-6") if route["dst"] == "default"]
    expect_equal("the peer's default routes", before, after)
