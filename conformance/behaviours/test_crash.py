"""What is left of containers and networks when the engine is killed, and starts again."""

import ipaddress

from conformance.assertions import expect_equal, expect_fields, expect_not_equal
from conformance.observe.poll import eventually
from conformance.registry import behaviour


def small_network(daemon):
    """Make a network that has an address for one container and no more."""
    subnet = next(ipaddress.ip_network(daemon.subnets.ipv4()).subnets(new_prefix=30))
    return daemon.network(subnet=str(subnet))


def veths_of(daemon):
    """Give the veth links in the daemon's namespace: each one belongs to a sandbox."""
    links = daemon.host.daemon_netns().links().items()
    return [name for name, link in links if link.get("linkinfo", {}).get("info_kind") == "veth"]


@behaviour(
    "crash.stale-sandboxes.removed",
    "An engine that was killed with all its containers MUST remove what is left of their sandboxes "
    "when it starts again: no endpoint, no link, and the addresses are free.",
    source="seed allocateNetwork: stale sandbox left over due to ungraceful daemon shutdown; "
    "libnetwork sandboxCleanup v17.03",
    tier="core",
    needs=("host-view",),
)
def test_stale_sandboxes_are_removed_at_the_next_start(own_daemon):
    daemon = own_daemon()
    net = small_network(daemon)
    dead = daemon.run(network_mode=net.name)
    daemon.run()
    expect_equal("the veths before the crash", 2, len(veths_of(daemon)))
    daemon.engine.kill_everything()
    daemon.engine.resume()
    eventually("no veth is left", lambda: not veths_of(daemon))  # namespaces die in the background
    for name in ("bridge", net.name):
        expect_equal(f"the members of {name}", {}, daemon.inspect_network(name)["Containers"])
    heir = daemon.run(network_mode=net.name)
    old, new = (c.attrs["NetworkSettings"]["Networks"][net.name] for c in (dead, heir))
    expect_equal("the only address of the network", old["IPAddress"], new["IPAddress"])


@behaviour(
    "crash.containers.start-again",
    "After a crash every container MUST be startable, whatever its network mode, in a new sandbox "
    "and without using up addresses.",
    source="seed allocateNetwork: SandboxDestroy; libnetwork cleanupLocalEndpoints v17.03",
    tier="core",
    needs=("host-view",),
)
def test_every_container_starts_again_after_a_crash(own_daemon):
    daemon = own_daemon()
    net = small_network(daemon)
    modes = ("bridge", net.name, "host", "none")
    before = {mode: daemon.run(network_mode=mode) for mode in modes}
    daemon.engine.kill_everything()
    daemon.engine.resume()
    for mode, old in before.items():
        container = daemon.client.containers.get(old.id)
        expect_equal(f"the status of {mode}", "exited", container.status)
        container.start()
        container.reload()
        expect_fields(mode, {"Running": True, "Error": ""}, container.attrs["State"])
        was, now = (x.attrs["NetworkSettings"] for x in (old, container))
        expect_not_equal(f"the SandboxID of {mode}", was["SandboxID"], now["SandboxID"])
        expect_equal(f"the networks of {mode}", list(was["Networks"]), list(now["Networks"]))
    expect_equal("the veths", 2, len(veths_of(daemon)))
