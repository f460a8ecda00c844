"""Allocating: which networks a container gets at a start, and in which order."""

import ipaddress

from conformance.assertions import (
    expect_equal,
    expect_hex_id,
    expect_in,
    expect_not_equal,
)
from conformance.registry import behaviour


def connected(events, container):
    """Give the names of the networks that were announced as connected, in order."""
    announced = events.collect("network", actor=container.id)
    return [event.attributes["name"] for event in announced if event.action == "connect"]


def start_and_finish(container):
    """Start a container whose command ends by itself."""
    container.start()
    container.wait()


@behaviour(
    "allocate.stale-sandbox.destroyed-first",
    "Before it allocates anything, a start MUST destroy a sandbox that is left over for the same "
    "container: its endpoint leaves the network and its address is free again.",
    source="seed allocateNetwork: SandboxDestroy comes first; libnetwork sandbox.go v17.03",
    tier="core",
    docker="<28.0",
)
def test_stale_sandbox_is_destroyed_at_the_start(run, create, network, subnets, inspect_network):
    """A disabled container that is connected live leaves its sandbox behind when it stops."""
    subnet = ipaddress.ip_network(subnets.ipv4())
    net, address = network(subnet=str(subnet)), str(subnet[9])
    container = run(network_disabled=True)
    net.connect(container, ipv4_address=address)
    expect_in("the members while it runs", container.id, inspect_network(net)["Containers"])
    container.stop()
    container.start()
    expect_equal("the members after the start", {}, inspect_network(net)["Containers"])
    heir = create()
    net.connect(heir, ipv4_address=address)
    heir.start()
    expect_in("the members", heir.id, inspect_network(net)["Containers"])


@behaviour(
    "allocate.no-networks.default-not-restored",
    "A container whose networks were all disconnected while it was stopped MUST start without "
    "any network: the default one is not given back.",
    source="seed allocateNetwork: updateContainerNetworkSettings fills in only what was never set",
    tier="core",
)
def test_disconnected_default_network_does_not_come_back(create, start, client, inspect, host):
    container = create()
    client.networks.get("bridge").disconnect(container)
    start(container)
    document = inspect(container)
    expect_equal("the networks of the container", {}, document["NetworkSettings"]["Networks"])
    netns = host.netns_of(document["State"]["Pid"])
    expect_equal("the links in the container", ["lo"], sorted(netns.links()))


@behaviour(
    "allocate.no-networks.sandbox-made",
    "A container without any network MUST start, in a sandbox of its own.",
    source="moby daemon allocateNetwork v17.05 (moby#31996); before that the start failed",
    tier="core",
    docker=">=17.05",
)
def test_container_without_networks_gets_a_sandbox(create, start, client, inspect, host):
    container = create()
    client.networks.get("bridge").disconnect(container)
    start(container)
    document = inspect(container)
    expect_equal("State.Running", True, document["State"]["Running"])
    expect_hex_id("the SandboxID", document["NetworkSettings"]["SandboxID"])
    sandbox = host.sandbox_netns(document["NetworkSettings"]["SandboxKey"])
    own = host.netns_of(document["State"]["Pid"])
    expect_equal("the sandbox's namespace", own.inode(), sandbox.inode())
    expect_not_equal("the sandbox's namespace", host.daemon_netns().inode(), sandbox.inode())


@behaviour(
    "allocate.order.default-network-first",
    "When a container has several networks the default network MUST be connected first.",
    source="seed allocateNetwork: always connect default network first; given up in v28.0",
    tier="core",
    docker="<28.0",
)
def test_default_network_is_connected_first(create, network, events, client):
    container = create(["true"])
    for _ in range(3):
        network().connect(container)
    # Made the last one of the list, so that an order by age cannot pass for the promised one.
    bridge = client.networks.get("bridge")
    bridge.disconnect(container)
    bridge.connect(container)
    for start in range(1, 6):
        events.restart()
        start_and_finish(container)
        order = connected(events, container)
        expect_equal(f"the first network of start {start}", ["bridge"], order[:1])


@behaviour(
    "allocate.order.other-networks-all",
    "Every network of a container MUST be connected once at each start; those that are not the "
    "default one MAY come in any order.",
    source="seed allocateNetwork: range over the map of networks",
    tier="core",
)
def test_all_networks_are_connected_at_each_start(create, network, events, inspect):
    container = create(["true"])
    nets = [network() for _ in range(3)]
    for net in nets:
        net.connect(container)
    wanted = sorted(["bridge", *(net.name for net in nets)])
    for start in (1, 2):
        events.restart()
        start_and_finish(container)
        expect_equal(f"connected at start {start}", wanted, sorted(connected(events, container)))
    listed = inspect(container)["NetworkSettings"]["Networks"]
    expect_equal("the networks of the container", wanted, sorted(listed))
