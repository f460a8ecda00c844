"""Container mode: what create and start refuse, and what they take although it looks odd."""

from typing import Any

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_in,
    expect_refused,
)
from conformance.observe.restarts import wait_between_restarts
from conformance.registry import behaviour


@behaviour(
    "init.container.target-missing",
    "Starting a joiner whose target does not exist MUST fail and allocate nothing.",
    source="seed initializeNetworking: the error of getNetworkedContainer is returned",
    tier="core",
)
def test_missing_target_fails_the_start(create, new_name, inspect, metrics):
    missing = new_name("missing")
    joiner = create(network_mode=f"container:{missing}")
    with metrics.delta() as delta:
        expect_refused(joiner.start)
    expect_equal("allocations", 0, delta.counts["allocate"])
    expect_empty("SandboxID", inspect(joiner)["NetworkSettings"]["SandboxID"])


@behaviour(
    "init.container.target-not-running",
    "Starting a joiner whose target does not run, never started or exited, MUST fail.",
    source="moby getNetworkedContainer v17.03",
    tier="core",
)
def test_stopped_target_fails_the_start(create):
    target = create(["true"])
    joiner = create(network_mode=f"container:{target.id}")
    expect_refused(joiner.start)
    target.start()
    target.wait(timeout=10)
    expect_refused(joiner.start)


@behaviour(
    "init.container.target-itself",
    "A container that names itself MUST fail at its start.",
    source="moby getNetworkedContainer v17.03",
    tier="core",
)
def test_container_cannot_join_itself(create, new_name):
    name = new_name("self")
    container = create(name=name, network_mode=f"container:{name}")
    expect_refused(container.start)


@behaviour(
    "init.container.target-restarting",
    "Starting a joiner whose target is between two restarts MUST fail.",
    source="moby getNetworkedContainer v17.03; daemon/errors.go errContainerIsRestarting",
    tier="core",
)
def test_restarting_target_fails_the_start(run, create, inspect):
    target = run(["false"], restart_policy={"Name": "always"})
    joiner = create(network_mode=f"container:{target.id}")
    wait_between_restarts(inspect, target)
    expect_refused(joiner.start)


@behaviour(
    "init.container.failed-start-state",
    "After a start that failed for its target a joiner MUST still be `created`, with exit code "
    "128 and the message in State.Error.",
    source="moby daemon/start.go containerStart, deferred handler v17.03",
)
def test_failed_start_is_recorded(create, inspect):
    target = create(["true"])  # ends at once where an engine starts it together with the joiner
    joiner = create(network_mode=f"container:{target.id}")
    message = expect_refused(joiner.start)
    state = inspect(joiner)["State"]
    expect_equal("Status", "created", state["Status"])
    expect_equal("ExitCode", 128, state["ExitCode"])
    expect_in("the message", state["Error"] or "State.Error, which is empty", message)


@behaviour(
    "init.container.create-does-not-check",
    "Create MUST NOT check that the target exists or runs.",
    source="moby daemon/create.go v17.06",
)
def test_create_takes_any_target(create, create_raw, new_name, start, client):
    stopped = create()
    for target in (new_name("missing"), stopped.id):
        answer = create_raw({"HostConfig": {"NetworkMode": f"container:{target}"}})
        expect_equal("the status of the create", 201, answer.status)
    for container in (stopped, client.containers.get(answer.json()["Id"])):
        start(container)


@behaviour(
    "init.container.mode-holds-id",
    "The NetworkMode of a joiner MUST name its target by its full id where the target existed at "
    "create, and as it was given where it did not.",
    source="moby daemon adaptContainerSettings v17.09",
    tier="quirk",
)
def test_stored_mode_names_the_target_by_id(create, inspect, new_name):
    target = create()
    joiner = create(network_mode=f"container:{target.name}")
    mode = inspect(joiner)["HostConfig"]["NetworkMode"]
    expect_equal("NetworkMode", f"container:{target.id}", mode)
    missing = new_name("missing")
    joiner = create(network_mode=f"container:{missing}")
    mode = inspect(joiner)["HostConfig"]["NetworkMode"]
    expect_equal("NetworkMode", f"container:{missing}", mode)


@behaviour(
    "init.container.target-renamed",
    "A joiner that named its target by name MUST still start after the target was renamed.",
    source="moby daemon adaptContainerSettings v17.09",
)
def test_joiner_starts_after_its_target_was_renamed(run, create, new_name, inspect):
    target = run()
    joiner = create(network_mode=f"container:{target.name}")
    target.rename(new_name("renamed"))
    joiner.start()
    expect_equal("the joiner runs", True, inspect(joiner)["State"]["Running"])


CONFLICTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "hostname": ({"Hostname": "own"}, {}, "hostname and the network mode"),
    "links": ({}, {"Links": ["other:alias"]}, "container type network can't be used with links"),
    "dns": ({}, {"Dns": ["192.0.2.53"]}, "dns and the network mode"),
    "extra-hosts": (
        {},
        {"ExtraHosts": ["db:192.0.2.7"]},
        "custom host-to-IP mapping and the network mode",
    ),
    "port-bindings": (
        {},
        {"PortBindings": {"80/tcp": [{"HostPort": ""}]}},
        "port publishing and the container type network mode",
    ),
    "publish-all": (
        {},
        {"PublishAllPorts": True},
        "port publishing and the container type network mode",
    ),
    "exposed-ports": (
        {"ExposedPorts": {"80/tcp": {}}},
        {},
        "port exposing and the container type network mode",
    ),
}


def body_of(case):
    config, host_config, _ = CONFLICTS[case]
    return {**config, "HostConfig": {"NetworkMode": "container:target", **host_config}}


def refused(create_raw, case):
    expect_refused(lambda: create_raw(body_of(case)))


@behaviour(
    "init.container.conflicts-text",
    "What conflicts with container mode MUST be refused at create with 400 `conflicting options: ` "
    "and both options.",
    source="runconfig ErrConflict... v17.06",
    tier="quirk",
)
@pytest.mark.parametrize("case", CONFLICTS)
def test_text_of_conflicts(create_raw, case):
    answer = create_raw(body_of(case))
    expect_equal("the status of the create", 400, answer.status)
    expect_in("the message", f"conflicting options: {CONFLICTS[case][2]}", answer.message)


@behaviour(
    "init.container.no-hostname",
    "A hostname together with container mode MUST be refused at create.",
    source="runconfig ErrConflictNetworkHostname v17.06",
)
def test_create_refuses_a_hostname(create_raw):
    refused(create_raw, "hostname")


@behaviour(
    "init.container.no-links",
    "Links together with container mode MUST be refused at create.",
    source="runconfig ErrConflictContainerNetworkAndLinks v17.06",
)
def test_create_refuses_links(create, create_raw):
    target = create()  # a link to nobody would be refused for that
    mode, links = f"container:{target.id}", [f"{target.name}:target"]
    expect_refused(lambda: create_raw({"HostConfig": {"NetworkMode": mode, "Links": links}}))


@behaviour(
    "init.container.no-dns",
    "DNS servers together with container mode MUST be refused at create.",
    source="runconfig ErrConflictNetworkAndDNS v17.06",
)
def test_create_refuses_dns(create_raw):
    refused(create_raw, "dns")


@behaviour(
    "init.container.no-extra-hosts",
    "Extra hosts together with container mode MUST be refused at create.",
    source="runconfig ErrConflictNetworkHosts v17.06",
)
def test_create_refuses_extra_hosts(create_raw):
    refused(create_raw, "extra-hosts")


@behaviour(
    "init.container.no-mac-address",
    "A MAC address for the whole container together with container mode MUST be refused at create.",
    source="runconfig ErrConflictContainerNetworkAndMac v17.06",
    api="<1.44",
)
def test_create_refuses_a_mac_address(create):
    mac_address = "02:42:c0:00:02:07"
    expect_refused(lambda: create(network_mode="container:target", mac_address=mac_address))


@behaviour(
    "init.container.no-published-ports",
    "Publishing ports, some or all, together with container mode MUST be refused at create.",
    source="runconfig ErrConflictNetworkPublishPorts v17.06",
)
@pytest.mark.parametrize("case", ["port-bindings", "publish-all"])
def test_create_refuses_published_ports(create_raw, case):
    refused(create_raw, case)


@behaviour(
    "init.container.no-exposed-ports",
    "Exposing ports together with container mode MUST be refused at create.",
    source="runconfig ErrConflictNetworkExposePorts v17.06",
)
def test_create_refuses_exposed_ports(create_raw):
    refused(create_raw, "exposed-ports")


@behaviour(
    "init.container.no-reference",
    "`container` and `container:` without a target MUST be refused at create.",
    source="runconfig validateNetContainerMode v17.06",
)
@pytest.mark.parametrize("mode", ["container", "container:"])
def test_create_refuses_a_mode_without_target(create_raw, mode):
    expect_refused(lambda: create_raw({"HostConfig": {"NetworkMode": mode}}))


@behaviour(
    "init.container.taken-at-create",
    "Create MUST take, together with container mode, a domain name, search domains, the host's "
    "UTS namespace, an endpoint of some network, and a reference with a second colon.",
    source="runconfig checks none of them v17.06",
    tier="quirk",
)
@pytest.mark.parametrize(
    ("body", "host_config"),
    [
        ({"Domainname": "own.example"}, {}),
        ({}, {"DnsSearch": ["own.example"]}),
        ({}, {"UTSMode": "host"}),
        ({"NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}}, {}),
        ({}, {"NetworkMode": "container:a:b"}),
    ],
    ids=["domainname", "dns-search", "uts-host", "endpoint", "second-colon"],
)
def test_create_takes_what_it_does_not_check(create_raw, body, host_config):
    host_config = {"NetworkMode": "container:target", **host_config}
    answer = create_raw({**body, "HostConfig": host_config})
    expect_equal("the status of the create", 201, answer.status)


@behaviour(
    "init.container.target-stops",
    "When its target stops a joiner MUST keep running, with `lo` only; restarting the joiner then "
    "fails.",
    source="moby getNetworkedContainer; daemon/restart.go v17.06",
)
def test_joiner_outlives_its_target_but_cannot_restart(run, host):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    netns = host.netns_of(joiner.attrs["State"]["Pid"])
    target.stop(timeout=0)
    expect_equal("the links in the joiner", ["lo"], sorted(netns.links()))
    expect_refused(lambda: joiner.restart(timeout=0))


@behaviour(
    "init.container.target-removed",
    "When its target is removed a joiner MUST keep running; its restart and its start then fail.",
    source="moby getNetworkedContainer; daemon/restart.go v17.09",
)
def test_joiner_outlives_a_removed_target(run, inspect):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    target.remove(force=True)
    expect_equal("the joiner runs", True, inspect(joiner)["State"]["Running"])
    expect_refused(lambda: joiner.restart(timeout=0))
    expect_refused(joiner.start)


@behaviour(
    "init.container.no-live-connect",
    "Connecting a running joiner to a network MUST be refused, and MUST NOT make it a member.",
    source="moby connectToNetwork; runconfig ErrConflictSharedNetwork v17.06",
)
def test_running_joiner_cannot_be_connected(run, network, inspect_network):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    user_network = network()
    expect_refused(lambda: user_network.connect(joiner))
    expect_empty("the members of the network", inspect_network(user_network)["Containers"])


@behaviour(
    "init.container.connect-while-stopped",
    "Connecting a stopped joiner to a network is accepted and recorded, and the next start MUST "
    "ignore it.",
    source="moby ConnectToNetwork v20.10: no check of the mode when not running",
    tier="quirk",
    docker="<28.0",
)
def test_stopped_joiner_ignores_a_recorded_network(run, create, network, inspect):
    target = run()
    joiner = create(network_mode=f"container:{target.id}")
    user_network = network()
    user_network.connect(joiner)
    networks = inspect(joiner)["NetworkSettings"]["Networks"]
    expect_equal("the recorded networks", [user_network.name], sorted(networks))
    joiner.start()
    document = inspect(joiner)
    expect_equal("the joiner runs", True, document["State"]["Running"])
    endpoint = document["NetworkSettings"]["Networks"][user_network.name]
    expect_empty("the address on the network", endpoint["IPAddress"])


@behaviour(
    "init.container.no-disconnect",
    "Disconnecting a joiner, running or stopped, from its target's network MUST be refused.",
    source="moby disconnectFromNetwork, DisconnectFromNetwork v17.06",
)
def test_joiner_cannot_be_disconnected(run, network, inspect_network):
    user_network = network()
    target = run(network_mode=user_network.name)
    joiner = run(network_mode=f"container:{target.id}")
    expect_refused(lambda: user_network.disconnect(joiner))
    joiner.stop(timeout=0)
    expect_refused(lambda: user_network.disconnect(joiner))
    expect_in("the members of the network", target.id, inspect_network(user_network)["Containers"])
