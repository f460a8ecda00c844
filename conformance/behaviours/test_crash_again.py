"""What users do with the containers of a killed engine when it is back."""

import ipaddress
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from http.client import HTTPException

from conformance.assertions import (
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_equal,
    expect_refused,
)
from conformance.observe.files import addresses_of
from conformance.observe.poll import eventually
from conformance.observe.remains import (
    endpoint_on,
    found_again,
    members_of,
    started_again,
    status_of,
    veths_of,
)
from conformance.registry import behaviour

ALWAYS = {"Name": "always"}
PINGS = ["NET_RAW"]  # the right to ping, which not every engine gives by default


def crash(daemon):
    """Kill the engine with all its containers, and start it again on what it left."""
    daemon.engine.kill_everything()
    daemon.engine.resume()


def small_network(daemon):
    """Make a network that has addresses for five containers."""
    subnet = next(ipaddress.ip_network(daemon.subnets.ipv4()).subnets(new_prefix=29))
    return daemon.network(subnet=str(subnet))


def host_of(subnet, number):
    """Give an address of a /24 by its last number."""
    return f"{subnet.rpartition('.')[0]}.{number}"


@behaviour(
    "crash.always.new-sandbox",
    "A container that always restarts MUST be started by the next daemon after a crash, in a new "
    "sandbox and with a new endpoint, on all of its networks.",
    source="moby daemon restore: containerStart, allocateNetwork v17.06",
    bugs=("moby#17526",),
)
def test_container_that_always_restarts_gets_a_new_sandbox(own_daemon):
    daemon = own_daemon()
    net, other = daemon.network(), daemon.network()
    old = daemon.create(network_mode=net.name, restart_policy=ALWAYS)
    other.connect(old)
    old.start()
    old.reload()
    daemon.engine.kill()
    daemon.engine.resume()

    def is_back():
        settings = daemon.inspect(old)["NetworkSettings"]
        is_new = settings["SandboxID"] != old.attrs["NetworkSettings"]["SandboxID"]
        return is_new and status_of(daemon, old) == "running"

    eventually("it runs in another sandbox", is_back, timeout_s=30)
    for name in (net.name, other.name):
        was = old.attrs["NetworkSettings"]["Networks"][name]
        now = endpoint_on(daemon, old, name)
        expect_not_equal(f"the EndpointID on {name}", was["EndpointID"], now["EndpointID"])
        expect_equal(f"the members of {name}", [old.name], members_of(daemon, name))


def check_policies(daemon, go_away):
    """Let the engine go away and come back; check which of its containers run then."""
    policies = ("always", "unless-stopped", "no")
    ran = {name: daemon.run(restart_policy={"Name": name}) for name in policies}
    stopped = daemon.run(restart_policy={"Name": "unless-stopped"})
    stopped.stop(timeout=0)
    go_away()
    daemon.engine.resume()
    back = {ran["always"].id, ran["unless-stopped"].id}

    def running():
        return {container.id for container in daemon.client.containers.list()}

    eventually("those run again", lambda: back <= running(), timeout_s=30)
    expect_equal("the others that run", set(), running() - back)


@behaviour(
    "crash.policies.daemon-killed",
    "After the daemon alone was killed those containers MUST run again that ran with the policies "
    "`always` and `unless-stopped`, and no other one.",
    source="Docker documentation, start containers automatically; moby restore, ShouldRestart",
    bugs=("moby#36496", "moby#11008"),
)
def test_policies_hold_when_the_daemon_was_killed(own_daemon):
    daemon = own_daemon()
    check_policies(daemon, daemon.engine.kill)


@behaviour(
    "crash.policies.all-killed",
    "After the engine was killed with all its containers those MUST run again that ran with the "
    "policies `always` and `unless-stopped`, and no other one.",
    source="Docker documentation, start containers automatically; moby restore, ShouldRestart",
)
def test_policies_hold_when_all_was_killed(own_daemon):
    daemon = own_daemon()
    check_policies(daemon, daemon.engine.kill_everything)


@behaviour(
    "crash.static-address.kept",
    "A container that asked for an address MUST have it again when it is started after a crash.",
    source="moby EndpointIPAMConfig v17.06",
)
def test_static_address_is_kept_over_a_crash(own_daemon):
    daemon = own_daemon()
    subnet = daemon.subnets.ipv4()
    net = daemon.network(subnet=subnet)
    container = daemon.create()
    net.connect(container, ipv4_address=host_of(subnet, 77))
    container.start()
    crash(daemon)
    started_again(daemon, container)
    address = endpoint_on(daemon, container, net.name)["IPAddress"]
    expect_equal("the address", host_of(subnet, 77), address)


@behaviour(
    "crash.static-address.taken",
    "A container whose address was given to another one after a crash MUST be refused, and start "
    "with it once the other one is gone.",
    source="libnetwork ipam RequestAddress v17.06; users: moby#26284, moby#49781",
)
def test_static_address_may_be_taken_after_a_crash(own_daemon):
    daemon = own_daemon()
    subnet = daemon.subnets.ipv4()
    net = daemon.network(subnet=subnet)
    container = daemon.create()
    net.connect(container, ipv4_address=host_of(subnet, 2))
    container.start()
    crash(daemon)
    thief = daemon.run(network=net.name)
    taken = endpoint_on(daemon, thief, net.name)["IPAddress"]
    expect_equal("the other one's address", host_of(subnet, 2), taken)
    expect_refused(lambda: started_again(daemon, container))
    expect_equal("the network's members", [thief.name], members_of(daemon, net.name))
    thief.remove(force=True)
    started_again(daemon, container)
    address = endpoint_on(daemon, container, net.name)["IPAddress"]
    expect_equal("the address", host_of(subnet, 2), address)


@behaviour(
    "crash.names.new-addresses",
    "Containers that are started again after a crash MUST reach each other by name, at the "
    "addresses that they have now.",
    source="libnetwork sandbox.ResolveName, service records v17.06; users: moby#45646",
)
def test_names_lead_to_the_new_addresses(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    one, two = (daemon.run(network_mode=net.name, cap_add=PINGS) for _ in range(2))
    crash(daemon)
    for container in (two, one):  # the other way round: each may take the other's address
        started_again(daemon, container)
    for asker, peer in ((one, two), (two, one)):
        address = endpoint_on(daemon, peer, net.name)["IPAddress"]
        ping = daemon.exec_in(asker, "ping", "-c1", "-W2", peer.name)
        expect_equal("the exit code of ping", 0, ping.exit_code)
        expect_in("whom it pinged", f"({address})", ping.stdout)


@behaviour(
    "crash.hosts.own-line",
    "The hosts file of a container that is started again after a crash MUST have one line for its "
    "hostname, with the address that it has now.",
    source="libnetwork sandbox buildHostsFile, updateHostsFile v17.06",
)
def test_hosts_file_has_one_own_line_after_a_crash(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    first = daemon.run(network_mode=net.name)
    second = daemon.run(network_mode=net.name, hostname="second")
    crash(daemon)
    started_again(daemon, second)
    started_again(daemon, first)
    text = daemon.exec_in(second, "cat", "/etc/hosts").stdout
    address = endpoint_on(daemon, second, net.name)["IPAddress"]
    expect_equal("the own lines", [address], addresses_of(text, "second"))


@behaviour(
    "crash.joiner.starts-again",
    "After a crash a container and one that shares its network MUST be startable, in one namespace "
    "of their own.",
    source="moby daemon initializeNetworking v17.03: container mode",
    needs=("host-view",),
)
def test_joiner_starts_again_after_its_target(own_daemon):
    daemon = own_daemon()
    target = daemon.run()
    joiner = daemon.run(network_mode=f"container:{target.id}")
    crash(daemon)
    spaces = set()
    for container in (target, joiner):
        started_again(daemon, container)
        found = daemon.exec_in(container, "readlink", "/proc/self/ns/net")
        expect_equal("the exit code of readlink", 0, found.exit_code)
        spaces.add(found.stdout.strip())
    expect_equal("the number of namespaces", 1, len(spaces))
    expect_not_equal("it is", {f"net:[{daemon.host.daemon_netns().inode()}]"}, spaces)


@behaviour(
    "crash.auto-remove.gone",
    "A container with AutoRemove that outlived a killed engine MUST be ended and removed by the "
    "next one, and its name and its address MUST be free.",
    source="moby daemon restore: removeContainers v17.06; users: moby#51693",
)
def test_container_with_auto_remove_is_gone_after_a_crash(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    old = daemon.run(network_mode=net.name, auto_remove=True)
    address = old.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    daemon.engine.kill()
    daemon.engine.resume()
    path = f"/containers/{old.id}/json"
    eventually("it is gone", lambda: daemon.api("GET", path).status == 404)
    heir = daemon.create(name=old.name)
    daemon.client.networks.get(net.id).connect(heir, ipv4_address=address)
    heir.start()
    expect_equal("its address", address, endpoint_on(daemon, heir, net.name)["IPAddress"])


@behaviour(
    "crash.remove.forced",
    "A container that was hit by a crash and was not started since MUST be removable with force, "
    "and then its network too, with nothing left of either.",
    source="moby daemon ContainerRm, cleanupContainer v17.06; users: moby#20398",
    needs=("host-view",),
)
def test_container_is_removed_after_a_crash(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    container = daemon.run(network_mode=net.name)
    before = set(daemon.host.daemon_netns().links())
    crash(daemon)
    found_again(daemon, container).remove(force=True)
    daemon.client.networks.get(net.id).remove()
    expect_equal("the containers", [], daemon.client.containers.list(all=True))
    expect_equal("its network", [], daemon.client.networks.list(ids=[net.id]))
    eventually("no veth is left", lambda: not veths_of(daemon))
    after = set(daemon.host.daemon_netns().links())
    expect_equal("new links", set(), after - before)
    expect_equal("the links of the network", 1, len([x for x in before - after if "veth" not in x]))


@behaviour(
    "crash.during-starts",
    "Containers whose starts were cut off by a crash MUST be startable when the engine is back, "
    "with no address lost.",
    source="libnetwork cleanupLocalEndpoints v17.06; users: moby#20398, moby#31389, moby#32812",
    needs=("host-view",),
)
def test_containers_start_after_a_crash_in_their_start(own_daemon):
    daemon = own_daemon()
    net = small_network(daemon)
    containers = [daemon.create(network_mode=net.name) for _ in range(5)]

    def start(container):
        with suppress(OSError, HTTPException):
            daemon.api("POST", f"/containers/{container.id}/start")

    with ThreadPoolExecutor(len(containers)) as pool:
        starts = [pool.submit(start, container) for container in containers]
        next(as_completed(starts))
        daemon.engine.kill_everything()
    daemon.engine.resume()
    for container in containers:
        expect_in("its status", status_of(daemon, container), ("created", "exited"))
        again = started_again(daemon, container)
        expect_fields("its state", {"Running": True, "Error": ""}, again.attrs["State"])
    names = sorted(container.name for container in containers)
    expect_equal("the network's members", names, members_of(daemon, net.name))
    expect_equal("the veths", len(containers), len(veths_of(daemon)))
