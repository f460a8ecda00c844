"""An engine with live-restore: its containers run on while it is down, and it takes them over."""

import ipaddress
from pathlib import Path

from conformance.assertions import expect_equal, expect_in, expect_refused
from conformance.observe.own_process import kill_process
from conformance.observe.poll import eventually
from conformance.observe.remains import (
    endpoint_on,
    found_again,
    members_of,
    started_again,
    status_of,
    veths_of,
    wait_for_status,
)
from conformance.registry import behaviour

SANDBOX = ("SandboxID", "SandboxKey", "Ports")
ENDPOINT = ("NetworkID", "EndpointID", "IPAddress", "MacAddress", "Gateway")


def with_live_restore(own_daemon):
    """Start an engine that says that it has the option."""
    daemon = own_daemon({"live-restore": True})
    expect_equal("LiveRestoreEnabled", True, daemon.client.info()["LiveRestoreEnabled"])
    return daemon


def kept_of(daemon, container):
    """Give what a container must keep over the engine's death."""
    document = daemon.inspect(container)
    settings = document["NetworkSettings"]
    return {
        "the process": document["State"]["Pid"],
        "the start": document["State"]["StartedAt"],
        "the sandbox": {field: settings[field] for field in SANDBOX},
        "the endpoints": {
            name: {field: endpoint[field] for field in ENDPOINT}
            for name, endpoint in settings["Networks"].items()
        },
    }


def check_kept(own_daemon, go_away):
    """Let the engine go away and come back; check what its containers have before and after."""
    daemon = with_live_restore(own_daemon)
    net, other = daemon.network(), daemon.network()
    containers = [daemon.run(network_mode=mode) for mode in ("bridge", net.name)]
    other.connect(containers[1])
    before = [kept_of(daemon, container) for container in containers]
    go_away(daemon.engine)
    for container, old in zip(containers, before, strict=True):
        new = kept_of(daemon, container)
        for what, value in old.items():
            expect_equal(what, value, new[what])
        expect_equal("the status", "running", status_of(daemon, container))
    expect_equal("the members", [containers[1].name], members_of(daemon, net.name))


@behaviour(
    "restart.live-restore.killed",
    "With live-restore a running container MUST keep its process, sandbox, endpoints, addresses "
    "and MAC addresses over the death of the daemon.",
    source="moby daemon restore, reconnect v17.06; libnetwork sandbox.restoreOslSandbox",
    needs=("live-restore",),
)
def test_containers_are_kept_over_a_kill(own_daemon):
    def kill(engine):
        engine.kill()
        engine.resume()

    check_kept(own_daemon, kill)


@behaviour(
    "restart.live-restore.restarted",
    "With live-restore a running container MUST keep its process, sandbox, endpoints, addresses "
    "and MAC addresses over a restart of the engine.",
    source="moby daemon Shutdown with live-restore v17.06; Docker documentation, live restore",
    needs=("live-restore",),
)
def test_containers_are_kept_over_a_restart(own_daemon):
    check_kept(own_daemon, lambda engine: engine.restart())


@behaviour(
    "restart.live-restore.reach",
    "A container that was taken over MUST reach its peers by name and be reached by them, also by "
    "those that are new.",
    source="libnetwork sandbox.restoreOslSandbox, populateNetworkResources; users: moby#45646",
    needs=("live-restore",),
    bugs=("moby#45646",),
)
def test_names_and_peers_are_reached_after_a_take_over(own_daemon):
    daemon = with_live_restore(own_daemon)
    net = daemon.network()
    one, two = (daemon.run(network_mode=net.name) for _ in range(2))
    daemon.engine.kill()
    daemon.engine.resume()
    new = daemon.run(network_mode=net.name)
    for asker, peer in ((one, two), (one, new), (new, two)):
        ping = daemon.exec_in(asker, "ping", "-c1", "-W2", peer.name)
        expect_equal("the exit code of ping", 0, ping.exit_code)
        address = endpoint_on(daemon, peer, net.name)["IPAddress"]
        expect_in("whom it pinged", f"({address})", ping.stdout)


@behaviour(
    "restart.live-restore.addresses",
    "The address of a container that was taken over MUST NOT be given to another one, and MUST be "
    "free once it is removed.",
    source="libnetwork ipam store, sandboxCleanup v17.06",
    needs=("live-restore",),
)
def test_address_of_a_container_that_was_taken_over_stays_its_own(own_daemon):
    daemon = with_live_restore(own_daemon)
    subnet = next(ipaddress.ip_network(daemon.subnets.ipv4()).subnets(new_prefix=30))
    net = daemon.network(subnet=str(subnet))
    container = daemon.run(network_mode=net.name)
    daemon.engine.kill()
    daemon.engine.resume()
    expect_refused(lambda: daemon.run(network_mode=net.name))
    found_again(daemon, container).remove(force=True)
    heir = daemon.run(network_mode=net.name)
    expect_equal("the members", [heir.name], members_of(daemon, net.name))


@behaviour(
    "restart.live-restore.ended-meanwhile",
    "With live-restore a container that ended while the engine was down MUST be `exited`, off its "
    "network, and startable.",
    source="moby daemon restore; libnetwork sandboxCleanup v17.06: activeSandboxes",
    needs=("live-restore", "host-view"),
)
def test_container_that_ended_meanwhile_starts_again(own_daemon):
    daemon = with_live_restore(own_daemon)
    net = daemon.network()
    container, other = (daemon.run(network_mode=net.name) for _ in range(2))
    pid = container.attrs["State"]["Pid"]
    daemon.engine.kill()
    kill_process(pid)
    eventually("its process is gone", lambda: not Path(f"/proc/{pid}/ns/net").exists())
    daemon.engine.resume()
    wait_for_status(daemon, container, "exited")
    expect_equal("the members", [other.name], members_of(daemon, net.name))
    eventually("its veth is gone", lambda: len(veths_of(daemon)) == 1)
    started_again(daemon, container)
    names = sorted([container.name, other.name])
    expect_equal("the members now", names, members_of(daemon, net.name))


@behaviour(
    "restart.live-restore.stop",
    "A container that was taken over MUST be off its network when it is stopped, with its link "
    "gone, and its network removable once it is removed.",
    source="moby daemon releaseNetwork v17.06; libnetwork sandbox.delete",
    needs=("live-restore", "host-view"),
)
def test_container_that_was_taken_over_is_released(own_daemon):
    daemon = with_live_restore(own_daemon)
    net = daemon.network()
    container = daemon.run(network_mode=net.name)
    daemon.engine.kill()
    daemon.engine.resume()
    again = found_again(daemon, container)
    again.stop(timeout=0)
    expect_equal("the members", [], members_of(daemon, net.name))
    eventually("its veth is gone", lambda: not veths_of(daemon))
    again.remove()
    daemon.client.networks.get(net.id).remove()


@behaviour(
    "restart.live-restore.networks",
    "An engine with live-restore MUST have `bridge`, `host` and `none` after it came back, "
    "`bridge` with the id that its containers know, and take new containers on each.",
    source="moby daemon initNetworkController v17.06: active sandboxes; users: moby#38160",
    needs=("live-restore",),
    bugs=("moby#38160",),
)
def test_predefined_networks_are_there_after_a_take_over(own_daemon):
    daemon = with_live_restore(own_daemon)
    container = daemon.run(network_mode="bridge")
    daemon.engine.kill()
    daemon.engine.resume()
    known = endpoint_on(daemon, container, "bridge")["NetworkID"]
    expect_equal("the id of bridge", known, daemon.inspect_network("bridge")["Id"])
    for mode in ("bridge", "host", "none"):
        new = daemon.run(network_mode=mode)
        expect_equal(f"the status of the one on {mode}", "running", new.status)
