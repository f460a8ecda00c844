"""Containers that an older release made: all there, all startable, as they were."""

from conformance.assertions import expect_equal, expect_in, expect_true
from conformance.registry import behaviour
from conformance.upgraded import SETUP_CONTAINERS

# Of HostConfig: what makes a container's network.
NETWORKED = ("NetworkMode", "PortBindings", "Links", "PublishAllPorts", "ExtraHosts")


def running(stage):
    return sorted(role for role, seen in stage.containers.items() if seen.is_running)


@behaviour(
    "upgrade.containers.kept",
    "An engine that takes over the state of an older release MUST have all its containers, with "
    "their ids, names, labels, network modes, networks, ports, links and restart policies.",
    source="moby daemon.loadContainers, restore v20.10-v28; users: moby#17608",
    docker=">=23.0",
    needs=("own-daemon",),
    bugs=("moby#17608",),
)
def test_all_containers_are_there(upgraded):
    expect_equal("the containers", sorted(upgraded.ids), sorted(upgraded.found.containers))
    for role, old in upgraded.old.containers.items():
        was, now = old.inspect, upgraded.found.seen(role).inspect
        for field in ("Id", "Name", "Created"):
            expect_equal(f"the {field} of {role}", was[field], now[field])
        for field in ("Hostname", "Labels"):
            expect_equal(f"the {field} of {role}", was["Config"][field], now["Config"][field])
        for field in NETWORKED:
            old_value, new_value = was["HostConfig"][field], now["HostConfig"][field]
            expect_equal(f"the {field} of {role}", old_value or None, new_value or None)
        policies = [(one["HostConfig"]["RestartPolicy"]["Name"] or "no") for one in (was, now)]
        expect_equal(f"the policy of {role}", *policies)
        networks = [sorted(one["NetworkSettings"]["Networks"]) for one in (was, now)]
        expect_equal(f"the networks of {role}", *networks)


@behaviour(
    "upgrade.containers.start",
    "Every container that an older release made MUST start on the newer one, also one that never "
    "ran before.",
    source="moby daemon.containerStart v20.10-v28; users: moby#33688, moby#28363",
    docker=">=23.0",
    needs=("own-daemon",),
    bugs=("moby#33688", "moby#28363", "for-linux#1521"),
)
def test_all_containers_start(upgraded):
    expect_equal("the refusals", {}, upgraded.now.refused)
    expect_equal("those that run", sorted(upgraded.ids), running(upgraded.now))


@behaviour(
    "upgrade.containers.before-start",
    "Before the newer release has started it, a container of an older one MUST be shown with its "
    "networks and its fixed addresses, but without an address that it does not have.",
    source="moby daemon.cleanupContainer, releaseNetwork v20.10; cleanOperationalData v25",
    docker=">=23.0",
    needs=("own-daemon",),
)
def test_stopped_containers_are_shown_without_addresses(upgraded):
    stopped = {r: one for r, one in upgraded.found.containers.items() if not one.is_running}
    expect_true("some are stopped", stopped)
    for role, seen in stopped.items():
        for name, endpoint in seen.inspect["NetworkSettings"]["Networks"].items():
            for field in ("IPAddress", "GlobalIPv6Address", "EndpointID"):
                expect_equal(f"the {field} of {role} on {name}", "", endpoint[field])
            was = upgraded.old.seen(role).endpoint(name)["IPAMConfig"] or {}
            expect_equal(f"what {role} wants on {name}", was, endpoint["IPAMConfig"] or {})


@behaviour(
    "upgrade.containers.before-start-sandbox",
    "Before it is started a container of an older release MUST be shown without a sandbox.",
    source="moby daemon.restore v27.0 (moby#47984)",
    docker=">=27.0",
    needs=("own-daemon",),
)
def test_stopped_containers_are_shown_without_sandboxes(upgraded):
    stopped = {r: one for r, one in upgraded.found.containers.items() if not one.is_running}
    expect_true("some are stopped", stopped)
    for role, seen in stopped.items():
        for field in ("SandboxID", "SandboxKey"):
            found = seen.inspect["NetworkSettings"][field]
            expect_equal(f"the {field} of {role}", "", found)


@behaviour(
    "upgrade.policies.started",
    "After an upgrade a container with the policy `always` or `unless-stopped` MUST run without "
    "being started; one that a user stopped under `unless-stopped` MUST NOT, nor one that was "
    "never started.",
    source="moby daemon.restore v20.10-v28; users: moby#23746",
    docker=">=23.0",
    needs=("own-daemon",),
    bugs=("moby#23746",),
)
def test_policies_start_containers(upgraded):
    ran = running(upgraded.found)
    for role in ("always", "unless"):
        expect_in("those that run", role, ran)
    ended = {role for role, made in SETUP_CONTAINERS.items() if made.end}
    expect_equal("those that should not", [], sorted(ended & set(ran)))


@behaviour(
    "upgrade.modes.joined",
    "A container in another one's namespace MUST be in it again after an upgrade.",
    source="moby daemon.getNetworkedContainer v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_joiner_is_in_its_targets_namespace(upgraded):
    host = upgraded.bench.host
    inodes = [host.netns_of(upgraded.now.seen(r).pid).inode() for r in ("fixed", "joiner")]
    expect_equal("the joiner's namespace", *inodes)


@behaviour(
    "upgrade.modes.host-and-none",
    "After an upgrade a container in host mode MUST be in the engine's namespace, and one in the "
    "mode none MUST have no link but `lo`.",
    source="moby daemon.initializeNetworking v20.10-v28",
    docker=">=23.0",
    needs=("own-daemon", "host-view"),
)
def test_host_and_none_are_kept(upgraded):
    host = upgraded.bench.host
    inode = host.netns_of(upgraded.now.seen("hosted").pid).inode()
    expect_equal("the namespace in host mode", host.daemon_netns().inode(), inode)
    expect_equal("the links in the mode none", {}, upgraded.now.seen("alone").links)
