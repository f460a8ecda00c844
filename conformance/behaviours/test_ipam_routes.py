"""Which subnets the routes of the engine's machine keep a network from."""

import ipaddress

import docker

from conformance.assertions import expect_empty, expect_equal, expect_true
from conformance.engines.processes import run_tool
from conformance.impact.setup import nobody
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

PARTS = 4


@behaviour(
    "ipam.pools.routed-by-router",
    "A network that names no subnet MUST NOT get one to which the machine has a route over a "
    "router, whether that is to a host or to a larger subnet.",
    source="libnetwork netutils.CheckRouteOverlaps v17.06; moby#46615",
    docker=">=18.06",
    needs=("address-pool-option",),
    bugs=("moby#46615",),
)
def test_pool_behind_a_router_is_not_given(own_daemon, subnets):
    base = subnets.ipv4()
    daemon = own_daemon({"default-address-pools": [{"base": base, "size": 26}]})
    netns = daemon.host.daemon_netns()
    bridge = daemon.client.networks.get("bridge").attrs
    own = ipaddress.ip_network(bridge["IPAM"]["Config"][0]["Subnet"])
    router, link = own[9], netns.link_with(str(own[1]))
    expect_true("the bridge has its gateway's address", link)
    others = [one for one in ipaddress.ip_network(base).subnets(new_prefix=26) if one != own]
    routed = (f"{others[0][5]}/32", f"{others[1].network_address}/25", str(others[2]))
    for subnet in routed:
        destination = str(ipaddress.ip_network(subnet, strict=False))
        words = ("route", "add", destination, "via", str(router), "dev", link, "onlink")
        run_tool("nsenter", f"--net={netns.path}", "ip", *words)
    made = []
    try:
        for _ in range(PARTS):
            made.append(daemon.network(ipam=docker.types.IPAMConfig()))
    except docker.errors.APIError:
        pass
    shown = [net.attrs["IPAM"]["Config"][0]["Subnet"] for net in made]
    expect_empty("the subnets of networks that are routed elsewhere", shown)


@behaviour(
    "ipv6.gateway.last-address",
    "The last address of an IPv6 subnet MUST be had as a network's gateway, and another network's "
    "container MUST get it where it asks for it: IPv6 has no broadcast address.",
    source="RFC 4291 2.6; libnetwork ipam/allocator.go v17.06: reported as moby/libnetwork#2478",
    bugs=("libnetwork#2478",),
    concerns=nobody,
)
def test_last_address_of_an_ipv6_subnet(network, run, subnets):
    made = []
    for gateway in ("last", ""):
        ipv6 = ipaddress.ip_network(subnets.ipv6())
        last = str(ipv6[-1])
        pools = [
            docker.types.IPAMPool(subnet=subnets.ipv4()),
            docker.types.IPAMPool(subnet=str(ipv6), gateway=last if gateway else None),
        ]
        ipam = docker.types.IPAMConfig(pool_configs=pools)
        made.append((network(enable_ipv6=True, ipam=ipam), last))
    (first, gateway), (second, address) = made
    container = run(network=first.name)
    expect_equal("the gateway", gateway, address_in(container, first, "IPv6Gateway"))
    second.connect(container, ipv6_address=address)
    container.reload()
    expect_equal("the address", address, address_in(container, second, "GlobalIPv6Address"))
