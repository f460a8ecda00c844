"""How networks are listed and pruned."""

from conformance.assertions import expect_equal, expect_true
from conformance.registry import behaviour

PREDEFINED = {"bridge", "host", "none"}


def names(networks):
    return {network.name for network in networks}


@behaviour(
    "network.list.dangling",
    "The filter `dangling` MUST tell networks that no container uses from the others; a predefined "
    "network is never dangling.",
    source="moby daemon filterNetworkByUse v17.06",
    bugs=("moby#28786",),
)
def test_unused_networks_are_found(run, network, client):
    used, unused = network(), network()
    run(network=used.name)
    found = names(client.networks.list(filters={"dangling": "true"}))
    expect_equal("which of the two is unused", {unused.name}, found & {used.name, unused.name})
    expect_equal("predefined networks among the unused", set(), found & PREDEFINED)
    found = names(client.networks.list(filters={"dangling": "false"}))
    expect_equal("which of the two is used", {used.name}, found & {used.name, unused.name})


@behaviour(
    "network.list.by-part-of-name",
    "The filter `name` MUST find a network by a part of its name.",
    source="moby daemon filterNetworks v17.06: the filter name",
    bugs=("moby#38169",),
)
def test_network_is_found_by_a_part_of_its_name(network, client):
    one, other = network(), network()
    part = one.name[3:-3]
    found = names(client.networks.list(filters={"name": part}))
    expect_true("the network is among those found", one.name in found)
    found = names(client.networks.list(filters={"name": one.name}))
    expect_equal("which of the two", {one.name}, found & {one.name, other.name})


@behaviour(
    "network.list.containers-of",
    "The filter `network` of a list of containers MUST find those on a network by its name, its id "
    "and a part of its id.",
    source="moby daemon includeContainerInList v17.06; moby#28722",
    bugs=("moby#28722",),
)
def test_containers_are_found_by_their_network(run, network, client):
    net, other = network(), network()
    container = run(network=net.name)
    run(network=other.name)
    for key in (net.name, net.id, net.id[:12]):
        found = [one.id for one in client.containers.list(filters={"network": key})]
        expect_equal(f"the containers on {key}", [container.id], found)


@behaviour(
    "network.prune.unused",
    "A prune MUST remove a network that no container runs on, and keep one that a container runs "
    "on.",
    source="moby daemon localNetworksPrune v17.06",
)
def test_prune_takes_what_is_unused(run, network, client):
    mark = {"ni-prune": network().name}
    used, unused = network(labels=mark), network(labels=mark)
    container = run(network=used.name)
    label = f"ni-prune={mark['ni-prune']}"
    pruned = client.networks.prune(filters={"label": label})["NetworksDeleted"]
    expect_equal("what was pruned", [unused.name], pruned)
    left = names(client.networks.list(filters={"label": label}))
    expect_equal("what is left", {used.name}, left)
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"][used.name]["IPAddress"]
    expect_true("the container keeps its address", address)
