"""Networks that an older release made, and the default ones."""

import ipaddress

from conformance.assertions import expect_equal, expect_in, expect_true
from conformance.registry import behaviour
from conformance.upgraded import RED, SETUP_NETWORKS

KEPT = ("Id", "Created", "Scope", "Driver", "EnableIPv6", "Internal", "Attachable", "Labels")
CHOSEN = ("Subnet", "IPRange", "Gateway", "AuxiliaryAddresses")
DEFAULT = ("bridge", "host", "none")


def pools_of(document):
    return document["IPAM"]["Config"] or []


@behaviour(
    "upgrade.networks.kept",
    "An engine that takes over the state of an older release MUST have all its networks, with "
    "their ids, drivers, options and labels, and all that was chosen of their subnets.",
    source="libnetwork network.UnmarshalJSON v20.10-v28; users: moby#47331",
    docker=">=23.0",
    needs=("own-daemon",),
    bugs=("moby#47331",),
)
def test_networks_are_kept(upgraded):
    made = [name for name in SETUP_NETWORKS if name not in upgraded.old.refused]
    for name in made:
        old, new = upgraded.old.network(name), upgraded.found.network(name)
        for field in KEPT:
            expect_equal(f"the {field} of {name}", old[field], new[field])
        for option, value in (old["Options"] or {}).items():
            expect_equal(f"{option} of {name}", value, new["Options"].get(option))
        for was, now in zip(pools_of(old), pools_of(new), strict=True):
            chosen = {field: was[field] for field in CHOSEN if field in was}
            kept = {field: now.get(field) for field in chosen}
            expect_equal(f"what was chosen of {name}", chosen, kept)


@behaviour(
    "upgrade.networks.ipvlan",
    "An engine MUST start on the state of an older release that has a network of the driver "
    "ipvlan or macvlan, and have that network.",
    source="libnetwork drivers/ipvlan configuration.UnmarshalJSON v23.0.1; users: moby#44925",
    docker=">=23.0.1",
    needs=("own-daemon", "ipvlan-driver"),
    bugs=("moby#44925",),
)
def test_ipvlan_networks_are_taken_over(upgraded):
    for name in ("n-ipvlan", "n-macvlan"):
        old, new = upgraded.old.network(name), upgraded.now.network(name)
        for field in ("Id", "Driver", "Options"):
            expect_equal(f"the {field} of {name}", old[field], new[field])


@behaviour(
    "upgrade.networks.host-bits",
    "A network whose subnet was given with bits of a host in it, which an older release accepted, "
    "MUST go on taking its containers and new ones.",
    source="moby daemon validateNetwork v25.0.4; users: moby#47331",
    docker=">=25.0.4",
    needs=("own-daemon",),
    bugs=("moby#47331",),
)
def test_network_with_host_bits_goes_on(upgraded):
    upgraded.old.network("n-host-bits")
    expect_true("its container runs", upgraded.now.seen("host-bits").is_running)
    newcomer = upgraded.bench.run(network_mode="n-host-bits")
    address = newcomer.attrs["NetworkSettings"]["Networks"]["n-host-bits"]["IPAddress"]
    subnet = ipaddress.ip_network("10.213.10.0/24")
    expect_true(f"{address} is of {subnet}", ipaddress.ip_address(address) in subnet)


@behaviour(
    "upgrade.networks.ipv4-enabled",
    "A network of a release that could not do without IPv4 MUST be shown with `EnableIPv4`.",
    source="libnetwork network.UnmarshalJSON v28.0 (moby#48489)",
    docker=">=28.0",
    needs=("own-daemon",),
    bugs=("moby#48489",),
)
def test_old_networks_have_ipv4(upgraded):
    for name in (*SETUP_NETWORKS, "bridge"):
        expect_equal(f"IPv4 of {name}", True, upgraded.found.network(name).get("EnableIPv4"))


@behaviour(
    "upgrade.networks.default",
    "After an upgrade the networks `bridge`, `host` and `none` MUST be there, each once, `bridge` "
    "with its subnet of before, and take new containers.",
    source="moby daemon.initBridgeDriver v20.10-v28; users: moby#27280",
    docker=">=23.0",
    needs=("own-daemon",),
    bugs=("moby#27280",),
)
def test_default_networks_are_there(upgraded):
    listed = [network.name for network in upgraded.bench.client.networks.list()]
    default = "podman" if "podman" in listed else "bridge"
    for name in (default, "host", "none"):
        if name in upgraded.old.networks:
            expect_equal(f"how often {name} is there", 1, listed.count(name))
    old, new = (stage.network(default) for stage in (upgraded.old, upgraded.now))
    expect_equal("the subnets", *[[p["Subnet"] for p in pools_of(d)] for d in (old, new)])
    for mode in DEFAULT:
        upgraded.bench.run(network_mode=mode)


@behaviour(
    "upgrade.networks.new-subnet",
    "A network that is made without a subnet after an upgrade MUST get one that overlaps no "
    "network of before.",
    source="libnetwork ipam v20.10-v28: pools are requested again when networks are restored",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_new_network_overlaps_no_old_one(upgraded):
    made = upgraded.bench.network_raw({"Driver": "bridge"})
    expect_equal("the answer", 201, made.status)
    new = pools_of(upgraded.bench.inspect_network(made.json()["Id"]))[0]["Subnet"]
    for name, document in upgraded.now.networks.items():
        for pool in pools_of(document):
            old, mine = (ipaddress.ip_network(x, strict=False) for x in (pool["Subnet"], new))
            is_free = old.version != mine.version or not old.overlaps(mine)
            expect_true(f"{mine} is apart from {name}", is_free)


@behaviour(
    "upgrade.networks.taken-subnet",
    "After an upgrade the subnet of a network of before MUST still be taken: a new network with "
    "it MUST be refused.",
    source="libnetwork ipam v20.10-v28: pools are requested again when networks are restored",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_old_subnet_is_taken(upgraded):
    pool = pools_of(upgraded.old.network(RED))[0]
    answer = upgraded.bench.network_raw({"Driver": "bridge", "IPAM": {"Config": [pool]}})
    expect_true(f"HTTP {answer.status} is a refusal", answer.status >= 400)


@behaviour(
    "upgrade.networks.bridge-name",
    "After an upgrade a network with a chosen bridge name MUST have its bridge under that name, "
    "and one with an MTU MUST have it in its containers.",
    source="libnetwork drivers/bridge networkConfiguration.UnmarshalJSON v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_options_still_hold(upgraded):
    upgraded.old.network("n-named")
    host = upgraded.bench.host
    expect_in("the links", "ni-named", host.daemon_netns().links())
    pair = upgraded.now.seen("pair")
    links = host.netns_of(pair.pid).links()
    address = pair.endpoint("a-blue")["IPAddress"]
    link = next(n for n, found in pair.links.items() if f"{address}/24" in found)
    expect_equal("the MTU", 1400, links[link]["mtu"])
