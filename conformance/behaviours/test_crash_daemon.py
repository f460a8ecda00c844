"""The daemon alone is killed: its containers run on until the next daemon ends them."""

import ipaddress
from pathlib import Path

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_not_equal,
    expect_refused,
)
from conformance.observe.poll import eventually
from conformance.observe.remains import (
    endpoint_on,
    found_again,
    members_of,
    started_again,
    veths_of,
    wait_for_status,
)
from conformance.observe.trap import trapping, wait_until_trapping
from conformance.registry import behaviour

# The second of waiting shows whether the engine has the patience for it.
ENDS_WITH_7 = trapping("USR1", "sleep 1; echo the signal came >/word; exit 7")


def kill_and_resume(daemon):
    """Kill the daemon's own process, and start it again on what it left."""
    daemon.engine.kill()
    daemon.engine.resume()


def small_network(daemon, prefix):
    """Make a network with a gateway and 2^(32 - prefix) - 3 addresses for containers."""
    subnet = next(ipaddress.ip_network(daemon.subnets.ipv4()).subnets(new_prefix=prefix))
    return daemon.network(subnet=str(subnet))


@behaviour(
    "crash.daemon.survivors-ended",
    "Containers that outlived a killed engine MUST be ended by it when it starts again: their "
    "processes are gone and their status is `exited`.",
    source="moby daemon restore v17.06: a live container is killed without live-restore",
    needs=("host-view",),
)
def test_survivors_are_ended_by_the_next_daemon(own_daemon):
    daemon = own_daemon()
    containers = [daemon.run(network_mode=mode) for mode in ("bridge", "host")]
    namespaces = [Path(f"/proc/{one.attrs['State']['Pid']}/ns/net") for one in containers]
    daemon.engine.kill()
    expect_equal("they outlive the engine", [True, True], [path.exists() for path in namespaces])
    daemon.engine.resume()
    eventually("their processes are gone", lambda: not any(path.exists() for path in namespaces))
    for one in containers:
        wait_for_status(daemon, one, "exited")


@behaviour(
    "crash.daemon.survivors-signalled",
    "A container that outlived a killed engine MUST be sent its stop signal by the next one, and "
    "be given the time to end by itself.",
    source="moby daemon restore: shutdownContainer v20.10",
)
def test_survivors_are_stopped_with_their_signal(own_daemon):
    daemon = own_daemon()
    container = daemon.run(ENDS_WITH_7, stop_signal="SIGUSR1")
    wait_until_trapping(container)
    kill_and_resume(daemon)
    wait_for_status(daemon, container, "exited")
    again = started_again(daemon, container)
    word = daemon.exec_in(again, "cat", "/word").stdout
    expect_equal("the signal's last word", "the signal came\n", word)


@behaviour(
    "crash.daemon.survivors-exit-code",
    "A container that outlived a killed engine and ended by the stop signal of the next one SHOULD "
    "show its own exit code.",
    source="moby daemon restore: shutdownContainer v20.10",
)
def test_survivors_have_their_own_exit_code(own_daemon):
    daemon = own_daemon()
    container = daemon.run(ENDS_WITH_7, stop_signal="SIGUSR1")
    wait_until_trapping(container)
    kill_and_resume(daemon)
    wait_for_status(daemon, container, "exited")
    expect_equal("the exit code", 7, daemon.inspect(container)["State"]["ExitCode"])


@behaviour(
    "crash.daemon.stale-sandboxes",
    "An engine whose daemon alone was killed MUST remove the sandboxes of its containers when it "
    "starts again: no endpoint and no link is left.",
    source="seed allocateNetwork: stale sandbox left over due to ungraceful daemon shutdown; "
    "libnetwork sandboxCleanup v17.03",
    tier="core",
    needs=("host-view",),
)
def test_sandboxes_of_survivors_are_removed(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    for mode in ("bridge", net.name):
        daemon.run(network_mode=mode)
    expect_equal("the veths before the crash", 2, len(veths_of(daemon)))
    kill_and_resume(daemon)
    eventually("no veth is left", lambda: not veths_of(daemon))
    for name in ("bridge", net.name):
        expect_equal(f"the members of {name}", [], members_of(daemon, name))


@behaviour(
    "crash.daemon.start-again",
    "After the daemon alone was killed every container MUST be startable, whatever its network "
    "mode, in a new sandbox.",
    source="seed allocateNetwork: SandboxDestroy; libnetwork cleanupLocalEndpoints v17.03; "
    "users: moby#20398, moby#31389, moby#32812",
    tier="core",
)
def test_survivors_start_again(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    modes = ("bridge", net.name, "host", "none")
    before = {mode: daemon.run(network_mode=mode) for mode in modes}
    kill_and_resume(daemon)
    for mode, old in before.items():
        wait_for_status(daemon, old, "exited")
        again = started_again(daemon, old)
        expect_fields(mode, {"Running": True, "Error": ""}, again.attrs["State"])
        was, now = (one.attrs["NetworkSettings"] for one in (old, again))
        expect_not_equal(f"the SandboxID of {mode}", was["SandboxID"], now["SandboxID"])
        expect_equal(f"the networks of {mode}", list(was["Networks"]), list(now["Networks"]))


@behaviour(
    "crash.daemon.addresses-free",
    "After the daemon was killed the addresses of its containers MUST be free: a small subnet can "
    "be filled with new ones, each with its own address, and then has none left.",
    source="seed allocateNetwork: SandboxDestroy; libnetwork cleanupLocalEndpoints v17.03; "
    "users: moby#18527, moby#18535",
    tier="core",
    bugs=("moby#18527",),
)
def test_addresses_are_free_after_a_crash(own_daemon):
    daemon = own_daemon()
    net = small_network(daemon, 29)
    for _ in range(2):
        daemon.run(network_mode=net.name)
    kill_and_resume(daemon)
    heirs = [daemon.run(network_mode=net.name) for _ in range(5)]
    addresses = {endpoint_on(daemon, heir, net.name)["IPAddress"] for heir in heirs}
    expect_equal("the number of different addresses", 5, len(addresses - {""}))
    expect_refused(lambda: daemon.run(network_mode=net.name))


@behaviour(
    "crash.daemon.twice",
    "An engine that is killed again right after its start MUST recover as well: the containers "
    "start, and their only addresses are free.",
    source="libnetwork sandboxCleanup v17.03: it goes on where a killed daemon left off; "
    "users: docker/for-linux#688, moby#42461",
)
def test_second_crash_changes_nothing(own_daemon):
    daemon = own_daemon()
    net = small_network(daemon, 30)
    container = daemon.run(network_mode=net.name)
    kill_and_resume(daemon)
    kill_and_resume(daemon)
    again = started_again(daemon, container)
    expect_equal("its network's members", [again.name], members_of(daemon, net.name))
    kill_and_resume(daemon)
    again = found_again(daemon, container)
    expect_equal("the status after the third crash", "exited", again.status)
    again.remove()
    heir = daemon.run(network_mode=net.name)
    expect_equal("its network's members", [heir.name], members_of(daemon, net.name))


@behaviour(
    "crash.leftover.shown",
    "Until its next start a container that was hit by a crash MUST still show its SandboxID, "
    "EndpointID and address, even when another one has that address.",
    source="moby daemon restore v17.06: no releaseNetwork",
    tier="quirk",
    docker="<27.0",
)
def test_leftovers_are_shown_until_the_next_start(own_daemon):
    daemon = own_daemon()
    net = small_network(daemon, 30)
    dead = daemon.run(network_mode=net.name)
    old = dead.attrs["NetworkSettings"]
    kill_and_resume(daemon)
    heir = daemon.run(network_mode=net.name)
    now = daemon.inspect(dead)["NetworkSettings"]
    expect_equal("the SandboxID", old["SandboxID"], now["SandboxID"])
    was, left = (settings["Networks"][net.name] for settings in (old, now))
    for field in ("EndpointID", "IPAddress"):
        expect_equal(f"the {field}", was[field], left[field])
    address = endpoint_on(daemon, heir, net.name)["IPAddress"]
    expect_equal("the other one's address", was["IPAddress"], address)


@behaviour(
    "crash.leftover.cleared",
    "A container that was hit by a crash MUST show no SandboxID, no EndpointID and no address when "
    "the engine is back.",
    source="moby#47984 v27.0",
    docker=">=27.0",
    bugs=("moby#47984",),
    replaces=("crash.leftover.shown",),
)
def test_leftovers_are_cleared_at_boot(own_daemon):
    daemon = own_daemon()
    dead = daemon.run()
    old = dead.attrs["NetworkSettings"]
    expect_not_equal("the SandboxID before the crash", "", old["SandboxID"])
    kill_and_resume(daemon)
    now = daemon.inspect(dead)["NetworkSettings"]
    expect_empty("the SandboxID", now["SandboxID"])
    for name, settings in now["Networks"].items():
        expect_empty(f"the EndpointID on {name}", settings["EndpointID"])
        expect_empty(f"the address on {name}", settings["IPAddress"])
