"""IPv6 on the default network: the daemon's options ipv6, fixed-cidr-v6, default-gateway-v6."""

import ipaddress
from collections import Counter

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_in,
)
from conformance.impact.setup import nobody
from conformance.registry import behaviour

WIDE, NARROW = "fd6e:6574:696f:9::/64", "fd6e:6574:696f:9::/112"
ON = {"ipv6": True, "fixed-cidr-v6": WIDE}
MAC = "02:42:0a:0b:0c:0d"
PINGS = ["NET_RAW"]
OPTION = ("ipv6-option",)


def on_bridge(container):
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"]["bridge"]


def from_mac(mac):
    tail = ipaddress.ip_address(int(mac.replace(":", ""), 16) + int(ipaddress.ip_network(WIDE)[0]))
    return str(tail)


@behaviour(
    "ipv6.default-network.address",
    "With the daemon's options ipv6 and fixed-cidr-v6 a container of the default network MUST have "
    "an IPv6 address of that range, in inspect as in its namespace, and an IPv6 default route; the "
    "network says EnableIPv6 and shows the range.",
    source="moby docs, dockerd --ipv6 --fixed-cidr-v6",
    needs=OPTION,
    bugs=("moby#47202",),
)
def test_default_network_has_ipv6(own_daemon):
    daemon = own_daemon(ON)
    container = daemon.run()
    endpoint = on_bridge(container)
    address = endpoint["GlobalIPv6Address"]
    expect_equal("the prefix length", 64, endpoint["GlobalIPv6PrefixLen"])
    in_range = ipaddress.ip_address(address) in ipaddress.ip_network(WIDE)
    expect_equal("in the range", True, in_range)
    netns = daemon.host.netns_of(container.attrs["State"]["Pid"])
    expect_in("its addresses", f"{address}/64", netns.addresses("eth0", "inet6"))
    expect_equal("the default route", endpoint["IPv6Gateway"], netns.default_gateway("-6"))
    shown = daemon.inspect_network("bridge")
    expect_equal("EnableIPv6", True, shown["EnableIPv6"])
    expect_in("the subnets", WIDE, [one["Subnet"] for one in shown["IPAM"]["Config"]])


@behaviour(
    "ipv6.default-network.peers",
    "Containers of the default network with IPv6 MUST reach each other and the gateway over it.",
    source="moby docs, IPv6 for the default bridge network",
    needs=OPTION,
)
def test_peers_on_the_default_network(own_daemon):
    daemon = own_daemon(ON)
    one, two = (daemon.run(cap_add=PINGS) for _ in range(2))
    for address in (on_bridge(two)["GlobalIPv6Address"], on_bridge(one)["IPv6Gateway"]):
        ping = daemon.exec_in(one, "ping", "-6", "-c1", "-W10", address)
        expect_equal(f"ping {address}", 0, ping.exit_code)


@behaviour(
    "ipv6.default-network.from-mac",
    "With a fixed-cidr-v6 of at most 80 bits the IPv6 address on the default network MUST end in "
    "the container's MAC address, the chosen one or the one that was asked for.",
    source="moby#17890 v1.9.1",
    docker="<28.0",
    needs=OPTION,
)
def test_address_comes_from_the_mac(own_daemon):
    daemon = own_daemon(ON)
    for options in ({}, {"mac_address": MAC}):
        endpoint = on_bridge(daemon.run(**options))
        wanted = from_mac(options.get("mac_address", endpoint["MacAddress"]))
        expect_equal("the address", wanted, endpoint["GlobalIPv6Address"])


def with_the_same_mac(setup):
    ones = [one for one in setup.members("bridge") if one.mac]
    counts = Counter(one.mac for one in ones)
    for one in ones:
        if counts[one.mac] > 1 and setup.network("bridge").has_ipv6:
            why = "another container on bridge chooses its hardware address"
            yield one.effect("later", why, "both start, and disturb each other")


@behaviour(
    "ipv6.default-network.same-mac",
    "Where the IPv6 address comes from the MAC address, a second container of the default network "
    "with the same MAC address MUST be refused with 403, `Address already in use`, and MUST start "
    "when the first one has gone.",
    source="libnetwork createEndpoint v17.06: assignAddress after the driver",
    docker="<28.0",
    tier="quirk",
    needs=OPTION,
    concerns=with_the_same_mac,
)
def test_same_mac_is_the_same_address(own_daemon):
    daemon = own_daemon(ON)
    first, second = daemon.run(mac_address=MAC), daemon.create(mac_address=MAC)
    answer = daemon.api("POST", f"/containers/{second.id}/start")
    expect_equal("the status", 403, answer.status)
    expect_in("the message", "Address already in use", answer.message)
    first.remove(force=True)
    second.start()
    expect_equal("the address", from_mac(MAC), on_bridge(second)["GlobalIPv6Address"])


def on_bridge_with_ipv6(setup):
    for one in setup.members("bridge"):
        if setup.network("bridge").has_ipv6 and not setup.is_anew:
            why = "bridge has IPv6, and its address there follows from its hardware address"
            yield one.effect("IPv6 address on bridge", why, "it is the lowest free one")


@behaviour(
    "ipv6.default-network.lowest-free",
    "The IPv6 address on the default network MUST be the lowest free one of fixed-cidr-v6, "
    "whatever the MAC address.",
    source="moby#48319 v28.0",
    docker=">=28.0",
    needs=OPTION,
    replaces=("ipv6.default-network.from-mac",),
    concerns=on_bridge_with_ipv6,
)
def test_address_is_the_lowest_free_one(own_daemon):
    daemon = own_daemon(ON)
    endpoints = [on_bridge(daemon.run(**options)) for options in ({}, {"mac_address": MAC})]
    wanted = [str(ipaddress.ip_network(WIDE)[number]) for number in (2, 3)]
    expect_equal("the addresses", wanted, [one["GlobalIPv6Address"] for one in endpoints])


@behaviour(
    "ipv6.default-network.small-range",
    "With a fixed-cidr-v6 of more than 80 bits the IPv6 addresses on the default network MUST be "
    "the lowest free ones of it.",
    source="moby#17890 v1.9.1: deferIPv6Alloc = ones <= 80",
    needs=OPTION,
)
def test_small_range_is_given_out_in_order(own_daemon):
    daemon = own_daemon({"ipv6": True, "fixed-cidr-v6": NARROW})
    endpoints = [on_bridge(daemon.run(**options)) for options in ({}, {"mac_address": MAC})]
    wanted = [str(ipaddress.ip_network(NARROW)[number]) for number in (2, 3)]
    expect_equal("the addresses", wanted, [one["GlobalIPv6Address"] for one in endpoints])
    expect_equal("the prefix length", 112, endpoints[0]["GlobalIPv6PrefixLen"])


@behaviour(
    "ipv6.default-network.gateway",
    "With the daemon's option default-gateway-v6 the IPv6 default route of the default network's "
    "containers MUST lead there, and no container MUST get that address.",
    source="moby docs, dockerd --default-gateway-v6",
    needs=OPTION,
)
def test_default_gateway_is_used(own_daemon):
    gateway = str(ipaddress.ip_network(NARROW)[2])
    daemon = own_daemon({"ipv6": True, "fixed-cidr-v6": NARROW, "default-gateway-v6": gateway})
    container = daemon.run()
    endpoint = on_bridge(container)
    netns = daemon.host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("IPv6Gateway", gateway, endpoint["IPv6Gateway"])
    expect_equal("the default route", gateway, netns.default_gateway("-6"))
    expect_not_in("its address", endpoint["GlobalIPv6Address"], [gateway])


@behaviour(
    "ipv6.default-network.not-enabled",
    "With fixed-cidr-v6 and without ipv6 the default network MUST NOT have IPv6: the containers "
    "have no IPv6 address.",
    source="moby daemon initBridgeDriver v17.06: EnableIPv6 alone decides",
    needs=OPTION,
)
def test_range_alone_is_no_ipv6(own_daemon):
    daemon = own_daemon({"fixed-cidr-v6": WIDE})
    container = daemon.run()
    expect_equal("the address", "", on_bridge(container)["GlobalIPv6Address"])
    netns = daemon.host.netns_of(container.attrs["State"]["Pid"])
    expect_empty("the interface's", netns.addresses("eth0", "inet6"))
    expect_equal("EnableIPv6", False, daemon.inspect_network("bridge")["EnableIPv6"])


@behaviour(
    "ipv6.default-network.range-needed",
    "With ipv6 and without fixed-cidr-v6 the daemon MUST NOT start, and MUST say that no subnet is "
    "configured and which option names one.",
    source="moby daemon initBridgeDriver v20.10.18",
    docker="<28.0",
    needs=OPTION,
    bugs=("for-linux#829",),
)
def test_ipv6_without_a_range_is_refused(refused_daemon):
    told = refused_daemon({"ipv6": True})
    expect_in("what it says", "no subnet is configured", told)
    expect_in("what it says", "--fixed-cidr-v6", told)


@behaviour(
    "ipv6.default-network.range-chosen",
    "With ipv6 and without fixed-cidr-v6 the default network MUST get a unique local /64 of the "
    "engine's choice.",
    source="moby#48319 v28.0",
    docker=">=28.0",
    needs=OPTION,
    replaces=("ipv6.default-network.range-needed",),
    concerns=nobody,
)
def test_ipv6_without_a_range_is_a_ula(own_daemon):
    endpoint = on_bridge(own_daemon({"ipv6": True}).run())
    expect_equal("the prefix length", 64, endpoint["GlobalIPv6PrefixLen"])
    address = ipaddress.ip_address(endpoint["GlobalIPv6Address"])
    expect_equal("unique local", True, address in ipaddress.ip_network("fd00::/8"))


@behaviour(
    "ipv6.default-network.crash",
    "After the engine was killed and started again a container of the default network MUST have "
    "its IPv6 address again once it is started.",
    source="moby daemon initBridgeDriver v17.06: the bridge keeps its addresses",
    needs=OPTION,
)
def test_crash_leaves_the_default_network_with_ipv6(own_daemon):
    daemon = own_daemon(ON)
    container = daemon.run()
    before = on_bridge(container)
    daemon.engine.kill_everything()
    daemon.engine.resume()
    container = daemon.client.containers.get(container.id)
    container.start()
    after = on_bridge(container)
    wanted = {field: before[field] for field in ("GlobalIPv6Address", "IPv6Gateway")}
    expect_fields("the endpoint", wanted, after)
