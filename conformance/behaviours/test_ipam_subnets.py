"""What a network may say about its addresses: subnet, range, gateway, auxiliary addresses."""

import ipaddress

import docker
import pytest

from conformance.assertions import (
    expect_api_error,
    expect_equal,
    expect_in,
    expect_refused,
)
from conformance.impact.setup import nobody
from conformance.registry import behaviour

ALLOCATE = "libnetwork network.ipamAllocateVersion v17.06"


def ipam(*pools):
    """Give the IPAM settings of a network: one pool for each dictionary."""
    return docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(**pool) for pool in pools])


def address_of(container, net):
    """Give a container's IPv4 address on a network, as it is now."""
    container.reload()
    return container.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]


def connected(run, net, address):
    """Run a container and connect it with an address of its own choice; give it."""
    container = run()
    net.connect(container, ipv4_address=str(address))
    return container


def ranged(network, subnets, **pool):
    """Make a network whose range is four addresses in the middle; give it, subnet and range."""
    subnet = ipaddress.ip_network(subnets.ipv4())
    within = ipaddress.ip_network(f"{subnet[64]}/30")
    net = network(ipam=ipam({"subnet": str(subnet), "iprange": str(within), **pool}))
    return net, subnet, within


@behaviour(
    "ipam.range.bounds",
    "A container that chooses no address MUST get one of the network's IPRange, and none when all "
    "of those are taken.",
    source="libnetwork ipam/allocator.go v17.06: SetAnyInRange",
)
def test_range_bounds_what_is_given(create, run, network, subnets):
    net, _, within = ranged(network, subnets)
    given = {ipaddress.ip_address(address_of(run(network_mode=net.name), net)) for _ in range(3)}
    expect_equal("the addresses in the range", 3, len(given & set(within)))
    last = create(network_mode=net.name)
    expect_refused(last.start)


@behaviour(
    "ipam.range.chosen-outside",
    "A container that chooses an address of the subnet outside the network's IPRange MUST get it.",
    source="libnetwork ipam/allocator.go v17.06: only SetAny is bounded by the range",
    tier="contract",
    bugs=("moby#47120",),
)
def test_chosen_address_may_be_outside_the_range(run, network, subnets):
    net, subnet, _ = ranged(network, subnets)
    container = connected(run, net, subnet[200])
    expect_equal("the address", str(subnet[200]), address_of(container, net))


@behaviour(
    "ipam.range.first-is-gateway",
    "Without a gateway of its own the network MUST take the first address of its IPRange as the "
    "gateway.",
    source=f"{ALLOCATE}: the gateway is requested like any address",
    tier="quirk",
)
def test_first_address_of_the_range_is_the_gateway(run, network, subnets):
    net, _, within = ranged(network, subnets)
    container = run(network_mode=net.name)
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    found = (endpoint["Gateway"], endpoint["IPAddress"])
    expect_equal("the gateway and the address", (str(within[0]), str(within[1])), found)


@behaviour(
    "ipam.range.gateway-outside",
    "A gateway outside the network's IPRange MUST be used, and containers get their addresses of "
    "the range.",
    source=ALLOCATE,
)
def test_gateway_may_be_outside_the_range(run, network, subnets, host):
    subnet = ipaddress.ip_network(subnets.ipv4())
    within, gateway = ipaddress.ip_network(f"{subnet[64]}/30"), str(subnet[1])
    pool = {"subnet": str(subnet), "iprange": str(within), "gateway": gateway}
    net = network(ipam=ipam(pool))
    container = run(network_mode=net.name)
    expect_in("the address", address_of(container, net), [str(address) for address in within])
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the default route", gateway, netns.default_gateway())


@behaviour(
    "ipam.range.other-family",
    "A network MUST NOT be made whose IPRange is of another family than its subnet.",
    source="libnetwork ipam/allocator.go parsePoolRequest v17.06",
)
def test_range_of_the_other_family_is_refused(network, subnets):
    pool = {"subnet": subnets.ipv4(), "iprange": subnets.ipv6()}
    expect_refused(lambda: network(ipam=ipam(pool)))
    network(subnet=pool["subnet"])


@behaviour(
    "ipam.range.unparsable",
    "A network MUST NOT be made whose IPRange is none.",
    source="libnetwork ipam/allocator.go parsePoolRequest v17.06",
)
def test_unparsable_range_is_refused(network, subnets):
    pool = {"subnet": subnets.ipv4(), "iprange": "hello"}
    expect_refused(lambda: network(ipam=ipam(pool)))
    network(subnet=pool["subnet"])


@behaviour(
    "ipam.aux.not-handed-out",
    "An auxiliary address of a network MUST NOT be given to a container.",
    source=f"{ALLOCATE}: auxiliary addresses are requested",
)
def test_auxiliary_addresses_are_skipped(run, network, subnets):
    subnet = ipaddress.ip_network(subnets.ipv4())
    aux = {"router": str(subnet[2]), "printer": str(subnet[4])}
    net = network(ipam=ipam({"subnet": str(subnet), "aux_addresses": aux}))
    given = [address_of(run(network_mode=net.name), net) for _ in range(2)]
    expect_equal("the addresses", [str(subnet[3]), str(subnet[5])], given)


@behaviour(
    "ipam.aux.not-chosen",
    "A container MUST NOT get an auxiliary address of its network that it asks for, outside the "
    "IPRange either.",
    source=f"{ALLOCATE}: auxiliary addresses are requested, wherever they are",
)
@pytest.mark.parametrize("place", [65, 200], ids=["inside", "outside"])
def test_auxiliary_address_is_nobodys(run, network, subnets, inspect_network, place):
    subnet = ipaddress.ip_network(subnets.ipv4())
    pool = {"subnet": str(subnet), "iprange": f"{subnet[64]}/30"}
    net = network(ipam=ipam({**pool, "aux_addresses": {"router": str(subnet[place])}}))
    container = run()
    expect_refused(lambda: net.connect(container, ipv4_address=str(subnet[place])))
    expect_equal("the members", {}, inspect_network(net)["Containers"])


@behaviour(
    "ipam.aux.outside",
    "A network MUST NOT be made with an auxiliary address outside its subnet.",
    source=ALLOCATE,
)
def test_auxiliary_address_outside_the_subnet_is_refused(own_daemon):
    daemon = own_daemon()
    stranger = str(ipaddress.ip_network(daemon.subnets.ipv4())[5])
    pool = {"subnet": daemon.subnets.ipv4(), "aux_addresses": {"router": stranger}}
    expect_refused(lambda: daemon.network(ipam=ipam(pool)))


@behaviour(
    "ipam.aux.refused-frees",
    "The subnet of a network that was refused for an auxiliary address MUST be free for another "
    "network.",
    source=f"{ALLOCATE}: the pool is released where it fails",
    concerns=nobody,
)
def test_refused_network_gives_its_subnet_back(own_daemon):
    daemon = own_daemon()
    stranger = str(ipaddress.ip_network(daemon.subnets.ipv4())[5])
    pool = {"subnet": daemon.subnets.ipv4(), "aux_addresses": {"router": stranger}}
    expect_refused(lambda: daemon.network(ipam=ipam(pool)))
    net = daemon.network(subnet=pool["subnet"])
    expect_equal("the subnet", pool["subnet"], net.attrs["IPAM"]["Config"][0]["Subnet"])


@behaviour(
    "ipam.aux.shown",
    "The auxiliary addresses and the IPRange of a network MUST be shown by inspect as they were "
    "given.",
    source="moby daemon buildIpamResources v17.03",
)
def test_auxiliary_addresses_are_shown(network, subnets, run, inspect_network):
    subnet = ipaddress.ip_network(subnets.ipv4())
    aux, within = {"router": str(subnet[200])}, f"{subnet[64]}/30"
    net = network(ipam=ipam({"subnet": str(subnet), "iprange": within, "aux_addresses": aux}))
    shown = inspect_network(net)["IPAM"]["Config"][0]
    expect_equal("the range", within, shown.get("IPRange"))
    expect_equal("the addresses", aux, shown.get("AuxiliaryAddresses"))
    given = address_of(run(network_mode=net.name), net)
    pool = ipaddress.ip_network(within)
    expect_in("the range", ipaddress.ip_address(given), list(pool))


@behaviour(
    "ipam.gateway.chosen",
    "A gateway that a network chooses MUST be on its bridge, be reported, be the containers' "
    "default route and leave the lower addresses to containers.",
    source=ALLOCATE,
)
def test_chosen_gateway_is_used(run, network, subnets, host):
    subnet = ipaddress.ip_network(subnets.ipv4())
    gateway = str(subnet[100])
    net = network(ipam=ipam({"subnet": str(subnet), "gateway": gateway}))
    container = run(network_mode=net.name)
    expect_equal("the address", str(subnet[1]), address_of(container, net))
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    expect_equal("the reported gateway", gateway, endpoint["Gateway"])
    expect_equal("the gateway in IPAM", gateway, net.attrs["IPAM"]["Config"][0]["Gateway"])
    netns, ours = host.netns_of(container.attrs["State"]["Pid"]), host.daemon_netns()
    expect_equal("the default route", gateway, netns.default_gateway())
    bridges = ours.links_with(gateway)
    expect_equal("the number of bridges with the gateway", 1, len(bridges))
    expect_in("the bridge's addresses", f"{gateway}/24", ours.addresses(bridges[0]))


@behaviour(
    "ipam.gateway.reserved",
    "A network MUST NOT be made whose gateway is the first or the last address of its subnet.",
    source=f"{ALLOCATE}: failed to allocate gateway",
)
@pytest.mark.parametrize("place", [0, -1], ids=["network", "broadcast"])
def test_reserved_address_is_no_gateway(network, subnets, place):
    subnet = ipaddress.ip_network(subnets.ipv4())
    pool = {"subnet": str(subnet), "gateway": str(subnet[place])}
    expect_refused(lambda: network(ipam=ipam(pool)))


@behaviour(
    "ipam.gateway.outside",
    "A network MUST NOT be made whose gateway is outside its subnet.",
    source=f"{ALLOCATE}: failed to allocate gateway",
)
def test_gateway_outside_the_subnet_is_refused(network, subnets):
    stranger = str(ipaddress.ip_network(subnets.ipv4())[1])
    pool = {"subnet": subnets.ipv4(), "gateway": stranger}
    expect_refused(lambda: network(ipam=ipam(pool)))
    network(subnet=pool["subnet"])


@behaviour(
    "ipam.gateway.outside-text",
    "A gateway outside the subnet MUST be refused with 500 and `failed to allocate gateway (<ip>): "
    "Requested address is out of range`.",
    source=ALLOCATE,
    docker="<25.0",
    tier="quirk",
)
def test_text_for_a_gateway_outside(network, subnets):
    stranger = str(ipaddress.ip_network(subnets.ipv4())[1])
    pool = {"subnet": subnets.ipv4(), "gateway": stranger}
    text = f"failed to allocate gateway ({stranger}): Requested address is out of range"
    expect_api_error(lambda: network(ipam=ipam(pool)), 500, text)


@behaviour(
    "ipam.gateway.outside-is-invalid",
    "A gateway outside the subnet MUST be refused with 400 and `parent subnet <s> doesn't contain "
    "this address`.",
    source="moby#46183 v25.0: ValidateIPAM",
    docker=">=25.0",
    tier="quirk",
    replaces=("ipam.gateway.outside-text",),
)
def test_text_for_a_gateway_outside_since_25(network, subnets):
    stranger = str(ipaddress.ip_network(subnets.ipv4())[1])
    pool = {"subnet": subnets.ipv4(), "gateway": stranger}
    text = f"invalid gateway {stranger}: parent subnet {pool['subnet']} doesn't contain this"
    expect_api_error(lambda: network(ipam=ipam(pool)), 400, text)


@behaviour(
    "ipam.overlap.refused",
    "A network MUST NOT be made whose subnet overlaps another network's.",
    source="libnetwork ipamapi.ErrPoolOverlap v17.06",
)
@pytest.mark.parametrize("prefix", [24, 25, 23], ids=["same", "inside", "around"])
def test_overlapping_subnet_is_refused(network, subnets, prefix):
    subnet = subnets.ipv4()
    network(subnet=subnet)
    other = ipaddress.ip_network(f"{subnet.split('/')[0]}/{prefix}", strict=False)
    expect_refused(lambda: network(subnet=str(other)))


@behaviour(
    "ipam.overlap.with-a-range",
    "A network MUST NOT be made whose subnet is another network's, with another IPRange either.",
    source="libnetwork ipam/allocator.go v17.06, drivers/bridge conflictsWithNetworks",
)
def test_another_range_of_a_subnet_is_refused(network, subnets):
    net, subnet, _ = ranged(network, subnets)
    pool = {"subnet": str(subnet), "iprange": f"{subnet[128]}/30"}
    expect_refused(lambda: network(ipam=ipam(pool)))
    net.remove()
    network(ipam=ipam(pool))


@behaviour(
    "ipam.overlap.text",
    "An overlapping subnet MUST be refused with 403 and `Pool overlaps with other one on this "
    "address space`.",
    source="libnetwork ipamapi.ErrPoolOverlap v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_for_an_overlap(network, subnets):
    subnet = subnets.ipv4()
    network(subnet=subnet)
    text = "Pool overlaps with other one on this address space"
    expect_api_error(lambda: network(subnet=subnet), 403, text)


@behaviour(
    "ipam.overlap.free-again",
    "The subnet of a network that was removed MUST be free for another one at once.",
    source="libnetwork network.delete v17.06: ipamRelease",
)
def test_subnet_is_free_after_the_removal(run, network, subnets):
    subnet = subnets.ipv4()
    first = network(subnet=subnet)
    container = run(network_mode=first.name)
    container.remove(force=True)
    first.remove()
    second = network(subnet=subnet)
    heir = run(network_mode=second.name)
    expect_equal("the address", str(ipaddress.ip_network(subnet)[2]), address_of(heir, second))


@behaviour(
    "ipam.subnet.host-bits-accepted",
    "A subnet with bits of a host set MUST be accepted and stands for its network.",
    source="libnetwork ipam/structures.go v17.06: net.ParseCIDR",
    docker="<25.0",
    tier="quirk",
)
def test_host_bits_are_cut_off(run, network, subnets):
    subnet = ipaddress.ip_network(subnets.ipv4())
    net = network(subnet=f"{subnet[5]}/24")
    expect_equal("the address", str(subnet[2]), address_of(run(network_mode=net.name), net))


def with_host_bits(setup):
    for network in setup.networks:
        for pool in network.pools:
            if pool.has_host_bits:
                why = f"its subnet {pool.subnet} has bits of a host"
                yield network.effect("anew", why, "it is refused")


@behaviour(
    "ipam.subnet.host-bits-refused",
    "A subnet with bits of a host set MUST be refused: 400 `it should be <network>`.",
    source="moby#46183 v25.0: ValidateIPAM",
    docker=">=25.0",
    tier="quirk",
    replaces=("ipam.subnet.host-bits-accepted",),
    concerns=with_host_bits,
)
def test_host_bits_are_refused(network, subnets):
    subnet = ipaddress.ip_network(subnets.ipv4())
    wrong = f"{subnet[5]}/24"
    text = f"invalid subnet {wrong}: it should be {subnet}"
    expect_api_error(lambda: network(subnet=wrong), 400, text)


@behaviour(
    "ipam.subnet.unparsable",
    "A network MUST NOT be made whose subnet is none.",
    source="libnetwork ipam/structures.go v17.06: net.ParseCIDR",
)
@pytest.mark.parametrize("word", ["hello", "10.0.0.0", "10.0.0.0/33"])
def test_unparsable_subnet_is_refused(network, word):
    expect_refused(lambda: network(subnet=word))


@behaviour(
    "ipam.subnet.several",
    "A second IPv4 subnet of a bridge network MUST be refused, and neither of the two stays taken.",
    source="libnetwork drivers/bridge v17.06: only one pool is used",
)
def test_second_subnet_is_refused(network, subnets):
    first, second = subnets.ipv4(), subnets.ipv4()
    expect_refused(lambda: network(ipam=ipam({"subnet": first}, {"subnet": second})))
    for subnet in (first, second):
        network(subnet=subnet)


@behaviour(
    "ipam.subnet.several-text",
    "A second subnet of a bridge network MUST be refused with 403 and `bridge driver doesn't "
    "support multiple subnets`.",
    source="libnetwork drivers/bridge v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_for_a_second_subnet(network, subnets):
    settings = ipam({"subnet": subnets.ipv4()}, {"subnet": subnets.ipv4()})
    text = "bridge driver doesn't support multiple subnets"
    expect_api_error(lambda: network(ipam=settings), 403, text)


@behaviour(
    "ipam.subnet.thirty",
    "A /30 MUST have room for one container beside the gateway.",
    source="libnetwork ipam/allocator.go insertBitMask v17.06",
)
def test_slash_30_has_one_address(create, run, network, subnets):
    subnet = next(ipaddress.IPv4Network(subnets.ipv4()).subnets(new_prefix=30))
    net = network(subnet=str(subnet))
    expect_equal("the address", str(subnet[2]), address_of(run(network_mode=net.name), net))
    expect_refused(create(network_mode=net.name).start)


@behaviour(
    "ipam.subnet.tiny-refused",
    "A /31 and a /32 MUST be refused: 500 `failed to allocate gateway (): No available addresses "
    "on this pool`.",
    source="libnetwork ipam/allocator.go insertBitMask v17.06",
    docker="<23.0",
    tier="quirk",
)
@pytest.mark.parametrize("prefix", [31, 32])
def test_tiny_subnet_is_refused(network, subnets, prefix):
    subnet = f"{ipaddress.ip_network(subnets.ipv4())[64]}/{prefix}"
    text = "failed to allocate gateway (): No available addresses on this pool"
    expect_api_error(lambda: network(subnet=subnet), 500, text)


@behaviour(
    "ipam.subnet.thirty-one",
    "A /31 MUST have room for one container beside the gateway.",
    source="moby#42626 (measured on 26.1)",
    docker=">=26.0",
    tier="quirk",
    replaces=("ipam.subnet.tiny-refused",),
    concerns=nobody,
)
def test_slash_31_has_one_address(create, run, network, subnets):
    subnet = next(ipaddress.IPv4Network(subnets.ipv4()).subnets(new_prefix=31))
    net = network(subnet=str(subnet))
    given = address_of(run(network_mode=net.name), net)
    expect_in("the address", given, [str(address) for address in subnet])
    expect_refused(create(network_mode=net.name).start)
