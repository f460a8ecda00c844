"""Addresses, hardware addresses and default routes of containers that an older release made."""

import ipaddress
from collections import Counter

from conformance.assertions import expect_equal, expect_not_equal, expect_true
from conformance.impact.addresses import chosen_by_engine
from conformance.registry import behaviour
from conformance.upgrade import look
from conformance.upgraded import BLUE, CHOSEN_MAC, RED

TWO_NETWORKS = ("pair", "late", "mixed", "fixed")
FIXED = {
    ("fixed", RED): "10.213.1.77",
    ("fixed", BLUE): "10.213.2.77",
    ("unborn", RED): "10.213.1.88",
    ("leaver", "n-spare"): "10.213.7.77",
}
SIX = "fd6e:6574:696e:4::77"


def endpoints_of(upgraded):
    """Give (role, network, settings, what was seen) of each endpoint in a namespace of its own."""
    for role, seen in upgraded.running():
        if role in ("joiner", "hosted"):
            continue
        for name, endpoint in seen.inspect["NetworkSettings"]["Networks"].items():
            if endpoint["IPAddress"]:
                yield role, name, endpoint, seen


def link_of(seen, address):
    """Give the link with an address; "" where none has it."""
    found = [n for n, all in seen.links.items() if address in [a.partition("/")[0] for a in all]]
    return next(iter(found), "")


def network_of_default_route(seen):
    """Give the network whose link the IPv4 default route uses."""
    networks = seen.inspect["NetworkSettings"]["Networks"]
    links = {link_of(seen, one["IPAddress"]): name for name, one in networks.items()}
    return links.get(seen.default_routes[0], "")


@behaviour(
    "upgrade.addresses.fixed",
    "A container MUST have the addresses that were chosen for it on an older release, IPv4 and "
    "IPv6, on every network, also one that never ran there.",
    source="moby EndpointSettings.IPAMConfig v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_fixed_addresses_are_kept(upgraded):
    for (role, network), address in FIXED.items():
        seen = upgraded.now.seen(role)
        expect_equal(f"{role} on {network}", address, seen.endpoint(network)["IPAddress"])
        expect_true(f"{role} has {address}", link_of(seen, address))
    six = upgraded.now.seen("six")
    expect_equal("the IPv6 address", SIX, six.endpoint("n-six")["GlobalIPv6Address"])
    expect_true(f"it has {SIX}", link_of(six, SIX))


def with_addresses_of_the_engines_choice(setup):
    for network in setup.networks:
        for is_ipv6 in (False, True):
            family = "IPv6 address" if is_ipv6 else "address"
            for one, must in chosen_by_engine(setup, network.name, is_ipv6=is_ipv6):
                why = f"its {family} on {network.name} was not chosen"
                change = (
                    "it gets another one" if must else "it can change with the order of the starts"
                )
                yield one.effect(f"{family} on {network.name}", why, change, is_certain=must)
                has_own = one.mac and network.name == one.mode
                if not (is_ipv6 or setup.crosses("28.0") or has_own):
                    what = "the hardware address follows it"
                    yield one.effect(f"mac on {network.name}", why, what, is_certain=must)


@behaviour(
    "upgrade.addresses.dynamic",
    "After an upgrade each container MUST have an address of its network's subnet, or of its "
    "range, that no other container has, and inspect MUST show the one it has.",
    source="libnetwork ipam v20.10-v28; users: moby#29921",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    bugs=("moby#29921",),
    concerns=with_addresses_of_the_engines_choice,
)
def test_dynamic_addresses_are_valid(upgraded):
    taken: Counter[object] = Counter()
    for role, name, endpoint, seen in endpoints_of(upgraded):
        document = upgraded.now.network("bridge" if name == "podman" else name)
        pool = document["IPAM"]["Config"][0]
        subnet = ipaddress.ip_network(pool.get("IPRange") or pool["Subnet"], strict=False)
        address = ipaddress.ip_address(endpoint["IPAddress"])
        expect_true(f"{address} of {role} is of {subnet}", address in subnet)
        expect_true(f"{role} has {address}", link_of(seen, str(address)))
        taken[str(address)] += 1
    expect_equal("those had twice", [], [a for a, count in taken.items() if count > 1])


def with_chosen_mac(setup):
    for one in setup.containers:
        if one.mac and one.has_own_network and setup.crosses("25.0.2"):
            why = "it was made with a hardware address of its own"
            yield one.effect(f"mac on {one.mode}", why, "it loses it; inspect still shows it")


@behaviour(
    "upgrade.mac.chosen",
    "A container MUST have the hardware address that was chosen for it on an older release.",
    source="moby Config.MacAddress v20.10; EndpointSettings.DesiredMacAddress v25.0.2",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    bugs=("moby#47233",),
    concerns=with_chosen_mac,
)
def test_chosen_mac_is_kept(upgraded):
    seen = upgraded.now.seen("chosen-mac")
    expect_equal(
        "its address before", [CHOSEN_MAC], list(upgraded.old.seen("chosen-mac").macs.values())
    )
    expect_equal("its address now", [CHOSEN_MAC], list(seen.macs.values()))


@behaviour(
    "upgrade.mac.unique",
    "After an upgrade no two containers MUST have the same hardware address, and inspect MUST "
    "show the one that each has.",
    source="moby v25.0.2 cleanOperationalData (moby#47168); users: moby#48595",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    bugs=("moby#48595",),
)
def test_macs_are_unique(upgraded):
    taken: Counter[str] = Counter()
    for role, name, endpoint, seen in endpoints_of(upgraded):
        mac = seen.macs[link_of(seen, endpoint["IPAddress"])]
        expect_equal(f"the one shown of {role} on {name}", mac, endpoint["MacAddress"])
        taken[mac] += 1
    expect_equal("those had twice", [], [mac for mac, count in taken.items() if count > 1])


@behaviour(
    "upgrade.mac.of-the-address",
    "A container with a fixed address and without a chosen hardware address MUST have the "
    "hardware address that it had on the older release.",
    source="libnetwork netutils.GenerateMACFromIP v20.10-v27",
    docker=">=23.0,<28.0",
    needs=("own-daemon", "host-view"),
)
def test_generated_mac_follows_the_address(upgraded):
    old, new = (stage.seen("fixed") for stage in (upgraded.old, upgraded.now))
    expect_equal("the addresses", sorted(old.macs.values()), sorted(new.macs.values()))


@behaviour(
    "upgrade.mac.generated-anew",
    "A container with a fixed address and without a chosen hardware address MUST have another "
    "hardware address than on a release before 28.0: it no longer follows from the address.",
    source="libnetwork netutils.GenerateRandomMAC v28.0; row upgrade.mac.of-the-address",
    tier="quirk",
    docker=">=28.0",
    needs=("own-daemon", "host-view"),
)
def test_generated_mac_is_another(upgraded):
    old, new = (stage.seen("fixed") for stage in (upgraded.old, upgraded.now))
    expect_not_equal("the addresses", sorted(old.macs.values()), sorted(new.macs.values()))


def with_other_order(setup):
    """Give those whose networks come in another order after their next start."""
    for one in setup.containers:
        if not (one.has_own_network and one.runs):
            continue
        order = setup.by_preference(one)
        is_moved = len(order) > 2 or (len(order) == 2 and order[0] != one.mode)
        if is_moved and not setup.crosses("28.0"):
            why = f"it was made on {one.mode}, and {order[0]} comes before that"
            change = f"eth0 is {order[0]} after each start; the routes stay with their networks"
            yield one.effect("links", why, change, is_certain=False)
        old, new = (setup.default_route(one, minds_ipv6_off=minds) for minds in (False, True))
        if old != new and setup.crosses("28.0"):
            why = f"IPv6 is switched off in it, and {old} has IPv6"
            yield one.effect("default route", why, f"its default route moves from {old} to {new}")
            change = f"it finds itself at its address on {new} first"
            yield one.effect("names", why, change, is_certain=False)


def with_ipv6_by_a_live_connect(setup):
    for one in setup.containers:
        later = [end.network for end in one.endpoints if end.network != one.mode]
        six = [name for name in later if setup.network(name).has_ipv6]
        if one.runs and one.switches_ipv6_off and six:
            why = f"IPv6 is switched off in it, and a connect to {six[0]} may have switched it on"
            for about in ("IPv6 default route", "IPv6 on loopback", "reach over IPv6"):
                change = f"{about}: gone after its next start"
                yield one.effect(about, why, change, is_certain=False)


def that_left_their_first_network(setup):
    for one in setup.containers:
        names = [end.network for end in one.endpoints]
        is_of_user = one.mode != "bridge" and one.has_own_network
        if not (is_of_user and one.runs and names) or one.mode in names:
            continue
        why = f"it left {one.mode}, on which it was made"
        change = "its links are numbered from eth0 on after its next start"
        yield one.effect("links", why, change, is_certain=False)
        if names == ["bridge"]:
            change = "it asks the machine's DNS servers after its next start, for bridge has none"
            yield one.effect("resolv.conf", why, change, is_certain=False)
            change = "its hosts file has its address on bridge after its next start"
            yield one.effect("hosts file", why, change, is_certain=False)


def after_the_next_start(setup):
    yield from with_other_order(setup)
    yield from with_ipv6_by_a_live_connect(setup)
    yield from that_left_their_first_network(setup)


@behaviour(
    "upgrade.routes.default",
    "After an upgrade the default route of a container on two networks without IPv6 MUST lead over "
    "the one whose name is first in the alphabet, as on every release before, at each start.",
    source="libnetwork endpoint.Less, sandbox.getGatewayEndpoint v20.10-v28: by the network's name",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
    concerns=after_the_next_start,
)
def test_default_route_leads_over_the_same_network(upgraded):
    def check(role, seen):
        first = min(seen.inspect["NetworkSettings"]["Networks"])
        expect_equal(f"the default route of {role}", first, network_of_default_route(seen))

    for role in TWO_NETWORKS:
        check(role, upgraded.now.seen(role))
    for role in ("late", "mixed") * 2:
        upgraded.container(role).restart(timeout=5)
        check(role, look(upgraded.bench, role))


@behaviour(
    "upgrade.routes.chosen-gateway",
    "After an upgrade a container on a network with a chosen gateway MUST have its default route "
    "there, and a container on an IPv6 network its IPv6 default route.",
    source="libnetwork sandbox.setGatewayIPv4, setGatewayIPv6 v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_gateways_are_kept(upgraded):
    netns = upgraded.bench.host.netns_of(upgraded.now.seen("ranged").pid)
    expect_equal("the gateway", "10.213.5.254", netns.default_gateway())
    expect_true("an IPv6 default route", upgraded.now.seen("six").default_routes[1])
