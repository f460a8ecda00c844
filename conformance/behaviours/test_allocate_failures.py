"""Allocating: what is left when a network cannot be joined, or the process cannot be started."""

import ipaddress

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_hex_id,
    expect_in,
    expect_not_in,
    expect_refused,
)
from conformance.observe.watch import FolderWatch
from conformance.registry import behaviour


def network_events(events, container):
    """Give (action, network) of what was announced of a container's networks, in order."""
    announced = events.collect("network", actor=container.id)
    return [(event.action, event.attributes["name"]) for event in announced]


def connect_to_taken_address(container, network, run):
    """Connect a container to a new network, where the address it asks for has an owner already."""
    net = network()
    owner = run(network_mode=net.name)
    taken = owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    net.connect(container, ipv4_address=taken)
    return net


@behaviour(
    "allocate.failure.aborts-the-start",
    "The first network that cannot be joined MUST abort the start with that network's error, which "
    "is kept in State.Error.",
    source="seed allocateNetwork: return err out of the loop over the networks",
    tier="core",
)
def test_failing_network_aborts_the_start(create, network, run, inspect, events):
    container = create()
    net = connect_to_taken_address(container, network, run)
    message = expect_refused(container.start)
    state = inspect(container)["State"]
    expect_fields("the state", {"Status": "created", "Running": False, "Pid": 0}, state)
    expect_in("the message", state["Error"] or "State.Error, which is empty", message)
    connected = [name for action, name in network_events(events, container) if action == "connect"]
    expect_not_in("the networks that were connected", net.name, connected)


@behaviour(
    "allocate.failure.later-networks-untouched",
    "Networks that come after the one that cannot be joined MUST NOT be connected.",
    source="seed allocateNetwork: default network first, then return err",
    tier="core",
    docker="<28.0",
)
def test_networks_after_the_failing_one_are_not_connected(
    create, network, run, events, inspect_network
):
    stranger = run(network_mode=network().name)
    container = create(links={stranger.name: "peer"})  # `bridge` comes first, and knows links
    later = [network() for _ in range(3)]
    for net in later:
        net.connect(container)
    expect_refused(container.start)
    connected = [name for action, name in network_events(events, container) if action == "connect"]
    expect_equal("the networks that were connected", [], connected)
    members = [inspect_network(net)["Containers"] for net in later]
    expect_equal("the members of the later networks", [{}, {}, {}], members)


@behaviour(
    "allocate.failure.nothing-kept",
    "A start that failed at one network MUST leave no endpoint on the others and no address in "
    "inspect, and failing again and again MUST NOT use up addresses.",
    source="moby daemon containerStart: Cleanup, releaseNetwork v17.03",
    tier="core",
)
def test_failed_starts_leave_no_endpoint_and_no_address(
    create, network, subnets, run, inspect_network
):
    subnet = next(ipaddress.IPv4Network(subnets.ipv4()).subnets(new_prefix=30))
    tiny = network(subnet=str(subnet))  # holds one container: any leak leaves none for the last
    container = create(network_mode=tiny.name)
    connect_to_taken_address(container, network, run)
    for _ in range(10):
        expect_refused(container.start)
        expect_equal("the members", {}, inspect_network(tiny)["Containers"])
    container.reload()
    for endpoint in container.attrs["NetworkSettings"]["Networks"].values():
        for field in ("EndpointID", "IPAddress", "Gateway", "MacAddress"):
            expect_empty(f"{field} after the failure", endpoint[field])
    good = run(network_mode=tiny.name)
    address = good.attrs["NetworkSettings"]["Networks"][tiny.name]["IPAddress"]
    expect_equal("the only address of the network", str(subnet[2]), address)


@behaviour(
    "allocate.failure.no-hostname-file",
    "When a network cannot be joined the hostname file MUST NOT be written.",
    source="seed initializeNetworking: allocateNetwork fails before BuildHostnameFile",
    tier="core",
    docker="<28.0",
    needs=("container-folder",),
)
def test_hostname_file_is_not_written_after_a_failure(create, network, run, host):
    container = create(hostname="late")
    net = connect_to_taken_address(container, network, run)
    expect_refused(container.start)
    folder = host.container_dir(container.id)
    expect_not_in("the container's files", "hostname", [path.name for path in folder.iterdir()])
    net.disconnect(container)
    container.start()
    expect_equal("the file after a good start", "late\n", (folder / "hostname").read_text())


@behaviour(
    "allocate.host-config.rewritten-before-hostname",
    "A start MUST rewrite hostconfig.json once all networks are connected, before it writes the "
    "hostname file.",
    source="seed allocateNetwork: WriteHostConfig, then initializeNetworking: BuildHostnameFile",
    tier="core",
    docker="<28.0",
    needs=("container-folder",),
)
def test_host_config_is_rewritten_before_the_hostname_file(create, network, host):
    container = create()
    network().connect(container)
    with FolderWatch(host.container_dir(container.id)) as watch:
        container.start()
        written = [x for x in watch.settled() if x in ("hostconfig.json", "hostname")]
    expect_equal("what was written first", ["hostconfig.json", "hostname"], written[:2])
    expect_in("what was written later, with the state", "hostconfig.json", written[2:])


@behaviour(
    "allocate.host-config.rewritten-after-failure",
    "A start that fails at a network MUST rewrite hostconfig.json once, together with the state of "
    "the container.",
    source="moby daemon containerStart v17.03: the deferred ToDisk",
    tier="quirk",
    needs=("container-folder",),
)
def test_host_config_is_rewritten_after_a_failure(create, network, run, host):
    container = create()
    connect_to_taken_address(container, network, run)
    with FolderWatch(host.container_dir(container.id)) as watch:
        expect_refused(container.start)
        written = watch.settled()
    expect_equal("the rewrites of hostconfig.json", 1, written.count("hostconfig.json"))
    expect_in("what was written", "config.v2.json", written)


@behaviour(
    "allocate.before-process",
    "The networks MUST be connected before the process is started: a command that is not there "
    "gives `connect`, then `disconnect`.",
    source="moby daemon containerStart v17.03: initializeNetworking, then containerd.Create",
    tier="quirk",
    docker="<28.0",
)
def test_networks_are_connected_before_the_process(create, network, events):
    net = network()
    container = create(["/nosuchcommand"], network_mode=net.name)
    expect_refused(container.start)
    expected = [("connect", net.name), ("disconnect", net.name)]
    expect_equal("the events", expected, network_events(events, container))


@behaviour(
    "allocate.failure.sandbox-id-kept",
    "When a start fails after the sandbox was made, inspect MUST go on showing the sandbox's id, "
    "though the sandbox itself is gone.",
    source="moby daemon releaseNetwork v17.03: does not clear SandboxID; cleared since v27.0",
    tier="quirk",
    docker="<27.0",
)
def test_failed_start_keeps_the_dead_sandbox_id(create, network, run, inspect, host):
    container = create()
    connect_to_taken_address(container, network, run)
    expect_refused(container.start)
    settings = inspect(container)["NetworkSettings"]
    expect_hex_id("the SandboxID", settings["SandboxID"])
    expect_not_in("the namespaces", settings["SandboxKey"], host.netns_mounts())
