"""A container's life, as far as its network is concerned: stop, kill, restart, rename, remove."""

import ipaddress
from concurrent.futures import ThreadPoolExecutor

import docker.errors
import pytest

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_fields,
    expect_hex_id,
    expect_in,
    expect_not_equal,
    expect_refused,
    expect_true,
)
from conformance.observe.files import addresses_of
from conformance.observe.own_process import kill_process
from conformance.observe.poll import eventually
from conformance.registry import behaviour

ENDS = {
    "stop": lambda container: container.stop(),
    "kill": lambda container: container.kill(),
    "exit": lambda container: container.kill("TERM"),
    "remove": lambda container: container.remove(force=True),
}


def networks_of(document):
    """Give the container's endpoints by the names of their networks."""
    return document["NetworkSettings"]["Networks"]


def tiny_network(network, subnets):
    """Make a network that holds one container: an address that is lost leaves none for another."""
    return network(subnet=str(next(ipaddress.IPv4Network(subnets.ipv4()).subnets(new_prefix=30))))


def expect_room(net, run):
    """Expect that a container starts on a network that holds one, and has its address."""
    container = run(network_mode=net.name)
    expect_true("its address", networks_of(container.attrs)[net.name]["IPAddress"])


def is_gone(client, container):
    """Say whether the engine knows a container no more."""
    try:
        client.api.inspect_container(container.id)
    except docker.errors.NotFound:
        return True
    return False


@behaviour(
    "life.end.endpoint-released",
    "Stop, kill, the end of its process and a forced removal MUST each take the container's "
    "endpoint off its network and make its address free.",
    source="moby daemon monitor.go, Cleanup, releaseNetwork v17.03",
)
@pytest.mark.parametrize("end", list(ENDS))
def test_every_end_releases_the_endpoint(run, network, inspect_network, end):
    net = network()
    container = run(network_mode=net.name)
    address = networks_of(container.attrs)[net.name]["IPAddress"]
    ENDS[end](container)
    eventually("the network has no member", lambda: not inspect_network(net)["Containers"])
    heir = run()
    net.connect(heir, ipv4_address=address)
    expect_in("the members", heir.id, inspect_network(net)["Containers"])


@behaviour(
    "life.end.links-removed",
    "Stop, kill, the end of its process and a forced removal MUST each leave no link of the "
    "container on the host.",
    source="libnetwork sandbox.delete, bridge driver DeleteEndpoint v17.06",
)
@pytest.mark.parametrize("end", list(ENDS))
def test_every_end_removes_the_links(run, network, host, end):
    net = network()
    container = run(network_mode=net.name)
    gateway = container.attrs["NetworkSettings"]["Networks"][net.name]["Gateway"]
    expect_equal("the number of new ports", 1, len(host.bridge_ports(gateway)))
    ENDS[end](container)
    eventually("the new port is gone", lambda: not host.bridge_ports(gateway))


@behaviour(
    "life.end.killed-from-outside",
    "A container whose process was killed by somebody else MUST be released in the same way, with "
    "the exit code 137.",
    source="moby daemon monitor.go StateExit v17.03",
    bugs=("podman#10745",),
)
def test_process_killed_from_outside(run, network, inspect, inspect_network, host):
    net = network()
    container = run(network_mode=net.name)
    process = container.attrs["State"]["Pid"]
    expect_in("the links in it", "eth0", host.netns_of(process).links())
    kill_process(process)
    eventually("the network has no member", lambda: not inspect_network(net)["Containers"])
    expected = {"Status": "exited", "ExitCode": 137, "Running": False}
    expect_fields("the state", expected, inspect(container)["State"])
    container.start()
    expect_in("the members", container.id, inspect_network(net)["Containers"])


@behaviour(
    "life.start.of-a-running-one",
    "Starting a container that runs MUST be taken and change nothing: the sandbox and the "
    "endpoints are the same.",
    source="moby daemon ContainerStart v17.03",
)
def test_start_of_a_running_container(run, network, inspect):
    container = run(network_mode=network().name)
    before = inspect(container)["NetworkSettings"]
    container.start()
    expect_equal("the network settings", before, inspect(container)["NetworkSettings"])


@behaviour(
    "life.stop.of-a-stopped-one",
    "Stopping a container that does not run MUST be taken and change nothing.",
    source="moby daemon ContainerStop v17.03",
)
def test_stop_of_a_stopped_container(run, network, inspect):
    container = run(network_mode=network().name)
    container.stop()
    before = inspect(container)["NetworkSettings"]
    container.stop()
    expect_equal("the network settings", before, inspect(container)["NetworkSettings"])


@behaviour(
    "life.start.already-so-text",
    "Starting a container that runs and stopping one that does not MUST be answered with 304.",
    source="moby daemon ContainerStart, ContainerStop v17.03: errdefs.NotModified",
    tier="quirk",
)
def test_status_of_what_is_so_already(run, api):
    container = run()
    started = api("POST", f"/containers/{container.id}/start").status
    container.stop()
    stopped = api("POST", f"/containers/{container.id}/stop").status
    expect_equal("the statuses", (304, 304), (started, stopped))


@behaviour(
    "life.restart-policy.new-sandbox",
    "A container that its restart policy starts again MUST have a new sandbox and new endpoints.",
    source="moby daemon monitor.go StateExit, containerStart v17.03",
)
def test_restart_by_policy_makes_a_new_sandbox(run, network, inspect, host):
    net = network()
    container = run(network_mode=net.name, restart_policy={"Name": "always"})
    before = container.attrs["NetworkSettings"]
    expect_in("the links in it", "eth0", host.netns_of(container.attrs["State"]["Pid"]).links())
    kill_process(container.attrs["State"]["Pid"])

    def restarted():
        state = inspect(container)
        return state["RestartCount"] == 1 and state["State"]["Status"] == "running" and state

    after = eventually("the container has been started again", restarted)["NetworkSettings"]
    expect_hex_id("the SandboxID", after["SandboxID"])
    expect_not_equal("the SandboxID", before["SandboxID"], after["SandboxID"])
    old, new = (one["Networks"][net.name]["EndpointID"] for one in (before, after))
    expect_hex_id("the EndpointID", new)
    expect_not_equal("the EndpointID", old, new)


@behaviour(
    "life.auto-remove.nothing-left",
    "A container with AutoRemove MUST leave nothing on its network when it ends.",
    source="moby daemon monitor.go: autoRemove v17.03",
)
def test_auto_remove_leaves_nothing(run, network, client, inspect_network):
    net = network()
    container = run(network_mode=net.name, auto_remove=True)
    container.kill()
    eventually("the container is removed", lambda: is_gone(client, container))
    expect_equal("the members", {}, inspect_network(net)["Containers"])
    net.remove()


@behaviour(
    "life.auto-remove.failed-start",
    "A container with AutoRemove whose start fails for its network MUST be removed.",
    source="moby daemon containerStart v17.03: the deferred ContainerRm",
)
def test_auto_remove_after_a_failed_start(create, run, network, client):
    net, container = network(), create(auto_remove=True)
    taken = networks_of(run(network_mode=net.name).attrs)[net.name]["IPAddress"]
    net.connect(container, ipv4_address=taken)
    expect_refused(container.start)
    eventually("the container is removed", lambda: is_gone(client, container))


@behaviour(
    "life.restart.error-wrapped",
    "A restart that fails for the network MUST be answered with 500 `Cannot restart container` and "
    "`not found`.",
    source="moby daemon restart.go ContainerRestart v17.03; the status since v17.09",
    tier="quirk",
)
def test_failed_restart_says_why(run, network, inspect):
    net = network()
    container = run(network_mode=net.name)
    net.disconnect(container)
    container.stop()
    net.connect(container)
    net.remove()
    message = expect_api_error(lambda: container.restart(timeout=1), 500, "not found")
    expect_in("the message", f"Cannot restart container {container.id}: ", message)
    expect_equal("State.Running", False, inspect(container)["State"]["Running"])


@behaviour(
    "life.restart.recorded-networks",
    "A restart MUST bring a container up on exactly the networks that it was connected to when it "
    "was stopped, whatever it was created with.",
    source="seed allocateNetwork: iterates over Networks",
)
def test_restart_after_live_changes(run, network, inspect, inspect_network):
    first, second, third = (network() for _ in range(3))
    container = run(network_mode=first.name)
    second.connect(container)
    third.connect(container)
    first.disconnect(container)
    container.restart(timeout=1)
    networks = networks_of(inspect(container))
    expect_equal("the networks", sorted([second.name, third.name]), sorted(networks))
    for net, expected in ((first, []), (second, [container.id]), (third, [container.id])):
        members = inspect_network(net)["Containers"]
        expect_equal(f"the members of {net.name}", expected, list(members))


@behaviour(
    "life.restart.new-sandbox",
    "A restart MUST give a new sandbox, new endpoints and a new namespace.",
    source="moby daemon containerRestart: containerStop, then containerStart v17.03",
)
def test_restart_makes_a_new_sandbox(run, network, inspect, host):
    net = network()
    container = run(network_mode=net.name)
    before = container.attrs["NetworkSettings"]
    with host.sandbox_netns(before["SandboxKey"]).held() as old:
        container.restart(timeout=1)
    document = inspect(container)
    after = document["NetworkSettings"]
    expect_not_equal("the SandboxID", before["SandboxID"], after["SandboxID"])
    ids = [one["Networks"][net.name]["EndpointID"] for one in (before, after)]
    expect_not_equal("the EndpointID", *ids)
    netns = host.netns_of(document["State"]["Pid"])
    expect_equal("the links", ["eth0", "lo"], sorted(netns.links()))
    expect_equal("the sandbox's", netns.inode(), host.sandbox_netns(after["SandboxKey"]).inode())
    expect_not_equal("the namespace", old, netns.inode())


@behaviour(
    "life.start.failed-process",
    "A start whose command cannot be run MUST release its addresses and endpoints, however often "
    "it fails, and keep the network recorded without an address.",
    source="moby daemon containerStart v17.03: the deferred Cleanup",
)
def test_failing_command_releases_the_network(
    create, run, network, subnets, inspect, inspect_network
):
    net = tiny_network(network, subnets)
    container = create(["/nosuchcommand"], network_mode=net.name)
    for _ in range(3):
        expect_refused(container.start)
    expect_equal("the members", {}, inspect_network(net)["Containers"])
    endpoint = networks_of(inspect(container))[net.name]
    for field in ("EndpointID", "IPAddress", "MacAddress"):
        expect_empty(field, endpoint[field])
    expect_room(net, run)


@behaviour(
    "life.parallel.starts",
    "Containers that are started at once MUST all start, each with an address of its own.",
    source="libnetwork ipam/allocator.go v17.06: under a lock",
)
def test_parallel_starts_have_distinct_addresses(create, start, network, inspect):
    net = network()
    containers = [create(network_mode=net.name) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, containers))
    addresses = {networks_of(inspect(c))[net.name]["IPAddress"] for c in containers}
    expect_equal("the number of addresses", 8, len(addresses - {""}))


@behaviour(
    "life.parallel.starts-and-stops",
    "Starts and stops of one container at once MUST NOT lose addresses.",
    source="moby daemon containerStart, containerStop v17.03: the container's lock",
)
def test_parallel_starts_and_stops_lose_nothing(create, run, network, subnets, api):
    net = tiny_network(network, subnets)
    container = create(network_mode=net.name)

    def act(number):
        return api("POST", f"/containers/{container.id}/{'stop' if number % 2 else 'start'}?t=5")

    with ThreadPoolExecutor(8) as pool:
        statuses = {answer.status for answer in pool.map(act, range(24))}
    expect_equal("other statuses than 204 and 304", set(), statuses - {204, 304})
    container.stop()
    expect_room(net, run)


@behaviour(
    "life.stop.files-kept",
    "The hosts file, the hostname file and resolv.conf MUST stay on disk when the container stops.",
    source="moby daemon releaseNetwork v17.03: the files are only ever rebuilt",
    tier="quirk",
    needs=("container-folder",),
)
def test_files_outlive_a_stop(run, network, host, inspect):
    container = run(network_mode=network().name)
    container.stop()
    document = inspect(container)
    for field in ("HostsPath", "HostnamePath", "ResolvConfPath"):
        expect_equal(f"{field} is a file", True, host.file(document[field]).is_file())


@behaviour(
    "life.stop.hosts-line-kept",
    "The line of a container on `bridge` in its own hosts file MUST stay on disk when it stops.",
    source="libnetwork endpoint.sbLeave v17.06: nothing of `bridge` is in the service records",
    tier="quirk",
    needs=("container-folder",),
)
def test_own_hosts_line_on_the_default_network_stays(run, host, inspect):
    container = run(hostname="resident")
    address = networks_of(container.attrs)["bridge"]["IPAddress"]
    container.stop()
    hosts = host.file(inspect(container)["HostsPath"]).read_text()
    expect_equal("the own lines", [address], addresses_of(hosts, "resident"))


@behaviour(
    "life.stop.hosts-line-removed",
    "The line of a container on a user network in its own hosts file MUST be gone when it has "
    "stopped.",
    source="libnetwork endpoint.sbLeave, sandbox.deleteHostsEntries v20.10",
    needs=("container-folder",),
)
def test_own_hosts_line_on_a_user_network_goes(run, network, host, inspect):
    container = run(network_mode=network().name, hostname="resident")
    path = host.file(inspect(container)["HostsPath"])
    expect_equal("the own lines", 1, len(addresses_of(path.read_text(), "resident")))
    container.stop()
    expect_equal("the lines after it", [], addresses_of(path.read_text(), "resident"))


@behaviour(
    "life.pause.network-kept",
    "Pausing a container and thawing it MUST NOT touch its network.",
    source="moby daemon pause.go, unpause.go v17.03",
)
def test_pause_keeps_the_network(run, network, events, inspect, inspect_network):
    net = network()
    container = run(network_mode=net.name)
    before, members = inspect(container)["NetworkSettings"], inspect_network(net)["Containers"]
    expect_in("the members", container.id, members)
    events.restart()
    for act in (container.pause, container.unpause):
        act()
        expect_equal("the settings", before, inspect(container)["NetworkSettings"])
        expect_equal("the members", members, inspect_network(net)["Containers"])
    expect_equal("the network events", [], events.collect("network", actor=container.id))


@behaviour(
    "life.rename.endpoint",
    "Renaming a running container MUST rename its endpoint on each network at once, and leave its "
    "id and its addresses.",
    source="moby daemon ContainerRename v17.03; libnetwork sandbox.Rename v17.06",
)
def test_rename_renames_the_endpoints(run, network, new_name, inspect_network):
    nets, name = [network(), network()], new_name("renamed")
    container = run(network_mode=nets[0].name)
    nets[1].connect(container)
    before = [inspect_network(net)["Containers"][container.id] for net in nets]
    container.rename(name)
    after = [inspect_network(net)["Containers"][container.id] for net in nets]
    expect_equal("the endpoints", [{**endpoint, "Name": name} for endpoint in before], after)


@behaviour(
    "life.rename.old-name-free",
    "The old name of a renamed container MUST be free on its network for another container.",
    source="moby daemon ContainerRename v17.03; libnetwork sandbox.Rename v17.06",
    bugs=("moby#15727",),
)
def test_old_name_is_free_after_a_rename(run, network, new_name, inspect_network):
    net = network()
    container = run(network_mode=net.name)
    old = container.name
    container.rename(new_name("renamed"))
    heir = run(network_mode=net.name, name=old)
    members = inspect_network(net)["Containers"]
    expect_equal("the members", {container.id, heir.id}, set(members))
    expect_equal("the heir's endpoint", old, members[heir.id]["Name"])


@behaviour(
    "life.rename.taken-name",
    "Renaming a container to the name of another one MUST be refused and change nothing.",
    source="moby daemon ContainerRename, reserveName v17.03",
)
def test_rename_to_a_taken_name(run, network, inspect, inspect_network):
    net = network()
    first, second = run(network_mode=net.name), run(network_mode=net.name)
    expect_refused(lambda: first.rename(second.name))
    expect_equal("the name", f"/{first.name}", inspect(first)["Name"])
    name = inspect_network(net)["Containers"][first.id]["Name"]
    expect_equal("the name of the endpoint", first.name, name)


@behaviour(
    "life.remove.running-needs-force",
    "Removing a container that runs MUST be refused without force, and leave its network alone.",
    source="moby daemon delete.go cleanupContainer v17.03",
)
def test_running_container_is_not_removed(run, network, inspect, inspect_network):
    net = network()
    container = run(network_mode=net.name)
    before = inspect(container)["NetworkSettings"]
    expect_refused(container.remove)
    expect_equal("the settings", before, inspect(container)["NetworkSettings"])
    expect_in("the members", container.id, inspect_network(net)["Containers"])
