"""Where a network gets its subnet that names none, and what the engine's restart keeps."""

import ipaddress

import docker

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_in,
    expect_refused,
    expect_true,
    violated,
)
from conformance.engines.processes import run_tool
from conformance.observe.poll import eventually
from conformance.registry import behaviour

NEEDS = ("address-pool-option",)
PARTS = 4
DEFAULTS = [
    *(ipaddress.ip_network(f"172.{second}.0.0/16") for second in range(17, 32)),
    *ipaddress.ip_network("192.168.0.0/16").subnets(new_prefix=20),
]


def unnamed():
    """Give the IPAM settings of a network that names no subnet."""
    return docker.types.IPAMConfig()


def subnet_of(net):
    """Give a network's subnet."""
    return ipaddress.ip_network(net.attrs["IPAM"]["Config"][0]["Subnet"])


def address_of(container, net):
    """Give a container's IPv4 address on a network, as it is now."""
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]


def with_pools(own_daemon, subnets):
    """Start a daemon whose networks get one of four /26; give it and the four."""
    base = subnets.ipv4()
    daemon = own_daemon({"default-address-pools": [{"base": base, "size": 26}]})
    return daemon, list(ipaddress.ip_network(base).subnets(new_prefix=26))


def exhausted(daemon):
    """Make networks until the daemon refuses one; give those that it made."""
    made = []
    for _ in range(PARTS + 1):
        try:
            made.append(daemon.network(ipam=unnamed()))
        except docker.errors.APIError:
            return made
    return violated("the networks", expected=f"at most {PARTS}", actual=len(made))


def route(daemon, subnet):
    """Give the daemon's machine a route to a subnet."""
    command = ("ip", "route", "add", str(subnet), "dev", "lo")
    run_tool("nsenter", f"--net={daemon.host.daemon_netns().path}", *command)


@behaviour(
    "ipam.pools.free",
    "A network that names no subnet MUST get a private one that overlaps no other network and no "
    "route of the machine.",
    source="libnetwork network.requestPoolHelper v17.06",
)
def test_default_subnet_is_free(network, run, host):
    routed = [
        ipaddress.ip_network(entry["dst"])
        for entry in host.daemon_netns().routes()
        if entry["dst"] != "default"
    ]
    net = network(ipam=unnamed())
    subnet = subnet_of(net)
    expect_true("the subnet is private", subnet.is_private)
    expect_empty("the routes to it", [str(one) for one in routed if one.overlaps(subnet)])
    run(network=net.name)


@behaviour(
    "ipam.pools.defaults",
    "A network that names no subnet MUST get one of 172.17.0.0/16 to 172.31.0.0/16 or of the "
    "sixteen /20 of 192.168.0.0/16.",
    source="libnetwork ipamutils/utils.go v17.06",
    tier="quirk",
)
def test_default_subnet_is_of_the_list(network):
    subnet = subnet_of(network(ipam=unnamed()))
    expect_in("the default subnets", str(subnet), [str(one) for one in DEFAULTS])


@behaviour(
    "ipam.pools.configured",
    "Networks that name no subnet MUST get theirs, of the size that is asked for, from the "
    "daemon's `default-address-pools`, and so does `bridge`.",
    source="moby daemon default-address-pools v18.06, libnetwork ipamutils",
    docker=">=18.06",
    needs=NEEDS,
)
def test_configured_pools_are_used(own_daemon, subnets):
    daemon, parts = with_pools(own_daemon, subnets)
    nets = [daemon.client.networks.get("bridge"), daemon.network(ipam=unnamed())]
    found = [subnet_of(net) for net in nets]
    expect_in("the subnet of `bridge`", found[0], parts)
    expect_in("the subnet of the network", found[1], parts)
    expect_equal("the number of subnets", 2, len(set(found)))


@behaviour(
    "ipam.pools.routed",
    "A network that names no subnet MUST NOT get one that overlaps a route of the machine, whether "
    "the route is smaller or larger.",
    source="libnetwork netutils.FindAvailableNetwork v17.06",
    docker=">=18.06",
    needs=NEEDS,
)
def test_routed_pool_is_not_given(own_daemon, subnets):
    daemon, parts = with_pools(own_daemon, subnets)
    route(daemon, f"{parts[1][9]}/32")
    route(daemon, ipaddress.ip_network(f"{parts[2].network_address}/25"))
    expect_empty("the networks", [net.name for net in exhausted(daemon)])


@behaviour(
    "ipam.pools.routed-by-name",
    "A network that names a subnet which overlaps a route of the machine MUST be made.",
    source="libnetwork network.requestPoolHelper v17.06: a preferred pool is not checked",
    docker=">=18.06",
)
def test_routed_subnet_may_be_named(own_daemon, subnets):
    daemon, subnet = own_daemon(), subnets.ipv4()
    route(daemon, ipaddress.ip_network(subnet).supernet(2))
    net = daemon.network(subnet=subnet)
    container = daemon.run(network_mode=net.name)
    found = container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    expect_equal("the address", str(ipaddress.ip_network(subnet)[2]), found)


@behaviour(
    "ipam.pools.taken-in-part",
    "A network that names no subnet MUST NOT get a pool of which another network has a part.",
    source="libnetwork ipam/allocator.go getPredefinedPool v17.06: contains",
    docker=">=18.06",
    needs=NEEDS,
)
def test_pool_in_use_in_part_is_not_given(own_daemon, subnets):
    daemon, parts = with_pools(own_daemon, subnets)
    daemon.network(subnet=str(next(parts[2].subnets(new_prefix=28))))
    found = {subnet_of(net) for net in exhausted(daemon)}
    expect_equal("the subnets", {str(parts[1]), str(parts[3])}, {str(one) for one in found})


@behaviour(
    "ipam.pools.exhausted",
    "With every default pool in use a network that names no subnet MUST be refused, and MUST be "
    "made when another one has been removed.",
    source="libnetwork ipam/allocator.go getPredefinedPool v17.06",
    docker=">=18.06",
    needs=NEEDS,
)
def test_exhausted_pools_refuse_a_network(own_daemon, subnets):
    daemon, _ = with_pools(own_daemon, subnets)
    made = exhausted(daemon)
    expect_equal("the number of networks", PARTS - 1, len(made))
    freed = subnet_of(made[1])
    made[1].remove()
    expect_equal("the subnet", str(freed), str(subnet_of(daemon.network(ipam=unnamed()))))
    expect_refused(lambda: daemon.network(ipam=unnamed()))


@behaviour(
    "ipam.pools.exhausted-text",
    "With every default pool in use a network MUST be refused with 404 and `could not find an "
    "available, non-overlapping IPv4 address pool among the defaults to assign to the network`.",
    source="libnetwork ipam/allocator.go getPredefinedPool v17.06; the status since v17.09",
    docker=">=18.06,<27.0",
    tier="quirk",
    needs=NEEDS,
)
def test_text_of_exhausted_pools(own_daemon, subnets):
    daemon, _ = with_pools(own_daemon, subnets)
    exhausted(daemon)
    text = "could not find an available, non-overlapping IPv4 address pool among the defaults"
    expect_api_error(lambda: daemon.network(ipam=unnamed()), 404, text)


@behaviour(
    "ipam.pools.subnetted-text",
    "With every default pool in use a network MUST be refused with 400 and `all predefined address "
    "pools have been fully subnetted`.",
    source="moby v27.0 libnetwork/ipams/defaultipam",
    docker=">=27.0",
    tier="quirk",
    needs=NEEDS,
    replaces=("ipam.pools.exhausted-text",),
)
def test_text_of_exhausted_pools_since_27(own_daemon, subnets):
    daemon, _ = with_pools(own_daemon, subnets)
    exhausted(daemon)
    text = "all predefined address pools have been fully subnetted"
    expect_api_error(lambda: daemon.network(ipam=unnamed()), 400, text)


@behaviour(
    "ipam.pools.in-turn",
    "The default pools MUST be given in turn: one that has just been freed comes last.",
    source="docker/libnetwork#2130 v18.06",
    docker=">=18.06,<27.0",
    tier="quirk",
    needs=NEEDS,
)
def test_freed_pool_comes_last(own_daemon, subnets):
    daemon, parts = with_pools(own_daemon, subnets)
    found = []
    for _ in range(PARTS - 1):
        net = daemon.network(ipam=unnamed())
        found.append(str(subnet_of(net)))
        net.remove()
    expect_equal("the subnets", [str(part) for part in parts[1:]], found)


@behaviour(
    "ipam.pools.lowest-first",
    "The lowest default pool that is free MUST be given: one that has just been freed comes next.",
    source="moby v27.0 libnetwork/ipams/defaultipam",
    docker=">=27.0",
    tier="quirk",
    needs=NEEDS,
    replaces=("ipam.pools.in-turn",),
)
def test_freed_pool_comes_next(own_daemon, subnets):
    daemon, parts = with_pools(own_daemon, subnets)
    for _ in range(2):
        net = daemon.network(ipam=unnamed())
        expect_equal("the subnet", str(parts[1]), str(subnet_of(net)))
        net.remove()


@behaviour(
    "ipam.pools.shown",
    "The daemon's `default-address-pools` MUST be shown by `docker info`.",
    source="moby daemon fillDefaultAddressPools v19.03",
    docker=">=19.03",
    tier="quirk",
    needs=NEEDS,
)
def test_configured_pools_are_shown(own_daemon, subnets):
    base = subnets.ipv4()
    daemon = own_daemon({"default-address-pools": [{"base": base, "size": 26}]})
    shown = daemon.client.info().get("DefaultAddressPools")
    expect_equal("the pools", [{"Base": base, "Size": 26}], shown)


@behaviour(
    "ipam.restart.subnets-kept",
    "A network MUST keep its subnet, range, gateway and auxiliary addresses over a restart of the "
    "engine, also where the subnet was chosen for it.",
    source="libnetwork network.UnmarshalJSON, controller.reservePools v17.06",
)
def test_restart_of_the_engine_keeps_the_subnets(own_daemon, subnets):
    daemon, subnet = own_daemon(), ipaddress.ip_network(subnets.ipv4())
    pool = docker.types.IPAMPool(
        subnet=str(subnet),
        iprange=f"{subnet[64]}/30",
        gateway=str(subnet[9]),
        aux_addresses={"router": str(subnet[65])},
    )
    nets = [
        daemon.network(ipam=docker.types.IPAMConfig(pool_configs=[pool])),
        daemon.network(ipam=unnamed()),
    ]
    daemon.engine.restart()
    after = [daemon.inspect_network(net)["IPAM"]["Config"] for net in nets]
    expect_equal("the settings", [net.attrs["IPAM"]["Config"] for net in nets], after)
    expect_refused(lambda: daemon.network(subnet=str(subnet)))
    containers = [daemon.run(network_mode=nets[0].name) for _ in range(2)]
    found = {address_of(container, nets[0]) for container in containers}
    expect_equal("the addresses", 2, len(found & {str(subnet[at]) for at in (64, 66, 67)}))
    endpoint = containers[0].attrs["NetworkSettings"]["Networks"][nets[0].name]
    expect_equal("the gateway", str(subnet[9]), endpoint["Gateway"])


@behaviour(
    "ipam.restart.addresses-free",
    "After a restart of the engine the addresses of containers that do not run MUST be free, and "
    "those of running ones MUST be taken.",
    source="libnetwork controller.reservePools, cleanupLocalEndpoints v17.06",
)
def test_restart_of_the_engine_frees_addresses(own_daemon, subnets):
    daemon, subnet = own_daemon(), ipaddress.ip_network(subnets.ipv4())
    net = daemon.network(subnet=str(subnet))
    back = daemon.run(network_mode=net.name, restart_policy={"Name": "always"})
    gone = daemon.run(network_mode=net.name)
    gone.stop()
    daemon.engine.restart()
    back = daemon.client.containers.get(back.id)
    eventually("the container runs again", lambda: address_of(back, net), timeout_s=30)
    container = daemon.run()
    taken = address_of(back, net)
    expect_refused(lambda: net.connect(container, ipv4_address=taken))
    free = str(subnet[2] if taken == str(subnet[3]) else subnet[3])
    net.connect(container, ipv4_address=free)
    expect_equal("the address", free, address_of(container, net))


@behaviour(
    "ipam.restart.gateway-shown",
    "A gateway that nobody named MUST be shown in IPAM.Config from the engine's next start on.",
    source="libnetwork network.MarshalJSON v17.06, moby daemon buildIpamResources",
    tier="quirk",
)
def test_chosen_gateway_is_shown_after_a_restart(own_daemon, subnets):
    daemon, subnet = own_daemon(), ipaddress.ip_network(subnets.ipv4())
    net = daemon.network(subnet=str(subnet))
    daemon.engine.restart()
    shown = daemon.inspect_network(net)["IPAM"]["Config"][0]
    expect_equal("the gateway", str(subnet[1]), shown.get("Gateway"))
