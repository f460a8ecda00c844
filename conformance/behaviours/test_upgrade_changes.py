"""What is done after an upgrade with the containers and networks of an older release."""

import contextlib

from conformance.assertions import expect_equal, expect_in, expect_not_in
from conformance.observe.dns import DnsClient
from conformance.observe.poll import eventually
from conformance.observe.remains import endpoint_on, members_of
from conformance.observe.sockets import Sockets
from conformance.registry import behaviour
from conformance.upgraded import BLUE, RED


def addresses(upgraded, asker, name):
    """Give the addresses that a name has for a container of the set-up."""
    with contextlib.closing(Sockets(upgraded.bench.host)) as sockets:
        return DnsClient(sockets).addresses(upgraded.container(asker), name)


@behaviour(
    "upgrade.changes.moved",
    "After an upgrade a running container of before MUST be disconnectable from its network and "
    "connectable to another one of before: it is found there, and no more where it was.",
    source="moby daemon.ConnectToNetwork, DisconnectFromNetwork v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_container_moves_to_another_network(upgraded):
    bench, mover = upgraded.bench, upgraded.container("mover")
    bench.client.networks.get(RED).disconnect(mover)
    expect_not_in("the members", "mover", members_of(bench, RED))
    bench.client.networks.get(BLUE).connect(mover, aliases=["moved"])
    expect_in("the members", "mover", members_of(bench, BLUE))
    address = endpoint_on(bench, mover, BLUE)["IPAddress"]
    expect_equal("its alias for pair", [address], addresses(upgraded, "pair", "moved"))


@behaviour(
    "upgrade.changes.renamed",
    "After an upgrade a container of before MUST be renamable, and be found by its peers under "
    "the new name.",
    source="moby daemon.ContainerRename v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_container_is_renamed(upgraded):
    renamed = upgraded.container("renamed")
    renamed.rename("renamed-since")
    address = endpoint_on(upgraded.bench, renamed, RED)["IPAddress"]
    expect_equal("its new name", [address], addresses(upgraded, "first", "renamed-since"))


@behaviour(
    "upgrade.changes.joined",
    "After an upgrade a network of before MUST take a new container: with an address that nobody "
    "has, found by the others under its name.",
    source="moby daemon.allocateNetwork v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_new_container_joins(upgraded):
    bench = upgraded.bench
    newcomer = bench.run(network_mode=RED)
    address = endpoint_on(bench, newcomer, RED)["IPAddress"]
    members = bench.inspect_network(RED)["Containers"].values()
    shown = [one["IPv4Address"].partition("/")[0] for one in members]
    expect_equal("how many have its address", 1, shown.count(address))
    expect_equal("its name for first", [address], addresses(upgraded, "first", newcomer.name))


@behaviour(
    "upgrade.changes.removed",
    "After an upgrade a container and a network of before MUST be removable: their names, the "
    "fixed address, the subnet and the bridge are free then.",
    source="moby daemon.ContainerRm, DeleteNetwork v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_old_objects_are_removed(upgraded):
    bench, host = upgraded.bench, upgraded.bench.host
    upgraded.container("leaver").remove(force=True)
    bridge = host.daemon_netns().link_with("10.213.7.1")
    bench.client.networks.get("n-spare").remove()
    eventually("its bridge is gone", lambda: bridge not in host.daemon_netns().links())
    net = bench.network("n-spare", subnet="10.213.7.0/24")
    heir = bench.create(name="leaver", network_mode="n-spare")
    net.disconnect(heir)
    net.connect(heir, ipv4_address="10.213.7.77")
    heir.start()
    expect_equal("its address", "10.213.7.77", endpoint_on(bench, heir, "n-spare")["IPAddress"])


@behaviour(
    "upgrade.changes.restarted",
    "After an upgrade a container of before MUST be restartable again and again, with its fixed "
    "addresses.",
    source="moby daemon.containerRestart v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_container_restarts_again(upgraded):
    unborn = upgraded.container("unborn")
    for _ in range(2):
        unborn.restart(timeout=5)
        found = endpoint_on(upgraded.bench, unborn, RED)["IPAddress"]
        expect_equal("its address", "10.213.1.88", found)
