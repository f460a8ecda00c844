"""A sandbox's id, its namespace, and how a network's inspect shows who is on it."""

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_hex_id,
    expect_not_equal,
)
from conformance.impact.setup import nobody
from conformance.observe.poll import eventually
from conformance.registry import behaviour


def sandbox_of(document):
    """Give the id of a container's sandbox and the path of its namespace."""
    settings = document["NetworkSettings"]
    return settings["SandboxID"], settings["SandboxKey"]


def namespace_at(host, key):
    """Give the inode that a path leads to, 0 where there is no file."""
    path = host.file(key)
    return path.stat().st_ino if path.exists() else 0


@behaviour(
    "sandbox.id.new-each-start",
    "Each start MUST give a container a SandboxID of its own, 64 hex digits that no earlier start "
    "and no other container had.",
    source="libnetwork controller.NewSandbox v17.06",
)
def test_each_start_has_its_own_sandbox_id(run, inspect):
    container, other = run(), run()
    found = [sandbox_of(container.attrs)[0], sandbox_of(other.attrs)[0]]
    for _ in range(2):
        container.stop()
        container.start()
        found.append(sandbox_of(inspect(container))[0])
    for number, sandbox_id in enumerate(found, 1):
        expect_hex_id(f"SandboxID {number}", sandbox_id)
    expect_equal("the number of different ids", 4, len(set(found)))


@behaviour(
    "sandbox.id.kept-when-stopped",
    "A container that was stopped MUST go on showing the SandboxID and the SandboxKey that it had "
    "last.",
    source="moby daemon releaseNetwork v17.03: does not clear them; cleared since v27.0",
    docker="<27.0",
    tier="quirk",
)
def test_stopped_container_shows_its_last_sandbox(run, inspect):
    container = run()
    before = sandbox_of(container.attrs)
    expect_hex_id("the SandboxID", before[0])
    container.stop()
    expect_equal("the sandbox while stopped", before, sandbox_of(inspect(container)))


def that_ended(setup):
    for one in setup.containers:
        if one.status == "exited":
            yield one.effect("shown", "it has ended", "inspect shows no SandboxID and SandboxKey")


@behaviour(
    "sandbox.id.cleared-when-stopped",
    "A container that was stopped MUST NOT show a SandboxID or a SandboxKey.",
    source="moby daemon releaseNetwork v27.0",
    docker=">=27.0",
    replaces=("sandbox.id.kept-when-stopped",),
    concerns=that_ended,
)
def test_stopped_container_shows_no_sandbox(run, inspect):
    container = run()
    expect_hex_id("the SandboxID", sandbox_of(container.attrs)[0])
    container.stop()
    expect_equal("the sandbox while stopped", ("", ""), sandbox_of(inspect(container)))


@behaviour(
    "sandbox.namespace.released",
    "When a container stops, its SandboxKey MUST NOT lead to its namespace any more; an empty file "
    "MAY stay there.",
    source="libnetwork osl networkNamespace.Destroy v17.06",
    bugs=("podman#163",),
)
@pytest.mark.parametrize("mode", ["bridge", "none"])
def test_stop_gives_the_namespace_back(run, host, mode):
    container = run(network_mode=mode)
    _, key = sandbox_of(container.attrs)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    with netns.held() as inode:
        expect_equal("the namespace at the SandboxKey", inode, namespace_at(host, key))
        container.stop(timeout=1)
        eventually("the SandboxKey is released", lambda: namespace_at(host, key) != inode)
    left = host.file(key)
    expect_equal("the size of what is left", 0, left.stat().st_size if left.exists() else 0)


@behaviour(
    "sandbox.namespace.file-removed",
    "When a container stops, the file at its SandboxKey MUST be removed together with the "
    "namespace.",
    source="libnetwork osl v28.0; an empty file stayed for up to a minute before",
    docker=">=28.0",
    concerns=nobody,
)
def test_stop_removes_the_namespace_file(run, host):
    container = run()
    _, key = sandbox_of(container.attrs)
    expect_not_equal("the file while it runs", 0, namespace_at(host, key))
    container.stop()
    eventually("the file is gone", lambda: not host.file(key).exists())


@behaviour(
    "sandbox.namespace.new-each-start",
    "Each start MUST give a container a network namespace of its own, which is not the engine's "
    "and not another container's.",
    source="libnetwork osl NewSandbox v17.06",
)
def test_each_container_has_its_own_namespace(run, network, host):
    net = network()
    modes = ("none", "bridge", net.name, net.name)
    spaces = [host.netns_of(run(network_mode=x).attrs["State"]["Pid"]) for x in modes]
    inodes = {netns.inode() for netns in (*spaces, host.daemon_netns())}
    expect_equal("the number of namespaces", 5, len(inodes))


@behaviour(
    "sandbox.sysctl.own-namespace",
    "A `net.` sysctl of a container MUST be set in its namespace, and not in the engine's or in "
    "another container's.",
    source="moby runconfig/opts, runc: sysctls of the spec v17.06",
)
def test_sysctl_is_set_in_the_sandbox(run, host, exec_in):
    name, path = "net.ipv4.ip_default_ttl", "/proc/sys/net/ipv4/ip_default_ttl"
    with_it, without, in_host = run(sysctls={name: "77"}), run(), run(network_mode="host")
    found = [exec_in(c, "cat", path).text for c in (with_it, without, in_host)]
    expect_equal("the values", ["77", "64", "64"], found)


@behaviour(
    "sandbox.members.as-in-the-container",
    "A network's inspect MUST show each running container under its full id with the name, "
    "EndpointID, MAC address and addresses that the container's own inspect shows.",
    source="moby api/server/router/network buildEndpointResource v17.06",
)
def test_members_are_as_in_their_own_inspect(run, ipv6_network, inspect_network):
    net = ipv6_network()
    containers = [run(network_mode=net.name) for _ in range(2)]
    members = inspect_network(net)["Containers"]
    expect_equal("the members", sorted(c.id for c in containers), sorted(members))
    for container in containers:
        own = container.attrs["NetworkSettings"]["Networks"][net.name]
        expected = {
            "Name": container.name,
            "EndpointID": own["EndpointID"],
            "MacAddress": own["MacAddress"],
            "IPv4Address": f"{own['IPAddress']}/{own['IPPrefixLen']}",
            "IPv6Address": f"{own['GlobalIPv6Address']}/{own['GlobalIPv6PrefixLen']}",
        }
        expect_fields(f"the member {container.name}", expected, members[container.id])


@behaviour(
    "sandbox.members.running-only",
    "A network's inspect MUST list the containers that run, not those that were never started, "
    "were stopped or were killed.",
    source="moby api/server/router/network buildDetailedNetworkResources v17.06",
)
def test_only_running_containers_are_members(run, create, network, inspect_network):
    net = network()
    running, stopped, killed = (run(network_mode=net.name) for _ in range(3))
    create(network_mode=net.name)
    stopped.stop()
    killed.kill()
    killed.wait(timeout=30)
    members = eventually_members(inspect_network, net, {running.id})
    expect_equal("the members", [running.id], sorted(members))
    running.stop()
    expect_empty("the members at last", inspect_network(net)["Containers"])


def eventually_members(inspect_network, net, wanted):
    """Wait until a network has these members: a kill is answered before it is done."""
    eventually("the members", lambda: set(inspect_network(net)["Containers"]) == wanted)
    return inspect_network(net)["Containers"]


@behaviour(
    "sandbox.members.not-in-the-list",
    "The list of networks MUST NOT show the containers of a network: only its inspect does.",
    source="moby api/server/router/network buildNetworkResource v17.06; API 1.28",
)
def test_list_of_networks_has_no_members(run, network, api, inspect_network):
    net = network()
    container = run(network_mode=net.name)
    expect_equal("the members", [container.id], sorted(inspect_network(net)["Containers"]))
    listed = next(one for one in api("GET", "/networks").json() if one["Id"] == net.id)
    expect_empty("the containers in the list", listed.get("Containers"))
