"""Starting and creating: the status and the text of what is refused for the network mode.

What is refused, and that nothing changes by it, are rows of their own in test_init_*.py: an engine
with other words passes those.
"""

import re
from functools import partial
from typing import Any

import pytest

from conformance.assertions import expect_api_error, expect_equal, expect_in, expect_match
from conformance.observe.restarts import wait_between_restarts
from conformance.registry import behaviour

SHARED = "container sharing network namespace with another container or host"
PRIVATE = "networks in private (none) mode"
MAC_ADDRESS = "02:42:c0:00:02:07"


@behaviour(
    "init.container.target-missing-text",
    "Starting a joiner whose target does not exist MUST fail with 404 `No such container: "
    "<target>`.",
    source="moby getNetworkedContainer v17.03",
    tier="quirk",
    docker="<28.0",
)
def test_text_of_a_missing_target(create, new_name):
    missing = new_name("missing")
    joiner = create(network_mode=f"container:{missing}")
    expect_api_error(joiner.start, 404, f"No such container: {missing}")


@behaviour(
    "init.container.target-not-running-text",
    "Starting a joiner whose target does not run, never started or exited, MUST fail with 409 `of "
    "a non running container`.",
    source="moby getNetworkedContainer v17.03",
    tier="quirk",
)
def test_text_of_a_target_that_does_not_run(create):
    target = create(["true"])
    joiner = create(network_mode=f"container:{target.id}")
    expect_api_error(joiner.start, 409, "of a non running container")
    target.start()
    target.wait(timeout=10)
    expect_api_error(joiner.start, 409, "of a non running container")


@behaviour(
    "init.container.target-itself-text",
    "The start of a container that names itself MUST fail with 500 `cannot join own network`.",
    source="moby getNetworkedContainer v17.03",
    tier="quirk",
)
def test_text_of_a_container_that_names_itself(create, new_name):
    name = new_name("self")
    container = create(name=name, network_mode=f"container:{name}")
    expect_api_error(container.start, 500, "cannot join own network")


@behaviour(
    "init.container.target-restarting-text",
    "Starting a joiner whose target is between two restarts MUST fail with 409 `is restarting, "
    "wait until the container is running`.",
    source="moby daemon/errors.go errContainerIsRestarting v17.03",
    tier="quirk",
)
def test_text_of_a_restarting_target(run, create, inspect):
    target = run(["false"], restart_policy={"Name": "always"})
    joiner = create(network_mode=f"container:{target.id}")
    wait_between_restarts(inspect, target)
    expect_api_error(joiner.start, 409, "is restarting, wait until the container is running")


@behaviour(
    "init.container.target-stops-text",
    "Restarting a joiner whose target has stopped MUST fail with 500 `Cannot restart container "
    "<id>: ` and `of a non running container`.",
    source="moby getNetworkedContainer; daemon/restart.go v17.06",
    tier="quirk",
)
def test_text_of_a_restart_without_the_target(run):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    target.stop(timeout=0)
    text = "of a non running container"
    message = expect_api_error(partial(joiner.restart, timeout=0), 500, text)
    expect_in("the message", f"Cannot restart container {joiner.id}: ", message)


@behaviour(
    "init.container.target-removed-text",
    "When the target of a joiner is removed, the joiner's restart MUST fail with 500 and its start "
    "with 404, both with `No such container: <target>`.",
    source="moby getNetworkedContainer; daemon/restart.go v17.09",
    tier="quirk",
    docker="<28.0",
)
def test_text_of_a_removed_target(run):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    target.remove(force=True)
    missing = f"No such container: {target.id}"
    message = expect_api_error(partial(joiner.restart, timeout=0), 500, missing)
    expect_in("the message", f"Cannot restart container {joiner.id}: ", message)
    expect_api_error(joiner.start, 404, missing)


@behaviour(
    "init.container.no-mac-address-text",
    "A MAC address for the whole container together with container or host mode MUST be refused "
    "with 400 `conflicting options: mac-address and the network mode`.",
    source="runconfig ErrConflictContainerNetworkAndMac v17.06",
    tier="quirk",
    api="<1.44",
)
@pytest.mark.parametrize("mode", ["container:target", "host"])
def test_text_of_a_mac_address(create, mode):
    text = "conflicting options: mac-address and the network mode"
    expect_api_error(partial(create, network_mode=mode, mac_address=MAC_ADDRESS), 400, text)


@behaviour(
    "init.container.no-reference-text",
    "`container` and `container:` without a target MUST be refused at create with 400 `invalid "
    "container format container:<name|id>`.",
    source="runconfig validateNetContainerMode v17.06",
    tier="quirk",
)
@pytest.mark.parametrize("mode", ["container", "container:"])
def test_text_of_a_mode_without_target(create_raw, mode):
    answer = create_raw({"HostConfig": {"NetworkMode": mode}})
    expect_equal("the status of the create", 400, answer.status)
    expect_in("the message", "invalid container format container:<name|id>", answer.message)


@behaviour(
    "init.container.no-live-connect-text",
    "Connecting a running joiner MUST be refused with 400 `container sharing network namespace "
    "with another container or host`.",
    source="moby connectToNetwork; runconfig ErrConflictSharedNetwork v17.06",
    tier="quirk",
)
def test_text_of_connecting_a_joiner(run, network):
    joiner = run(network_mode=f"container:{run().id}")
    expect_api_error(partial(network().connect, joiner), 400, SHARED)


@behaviour(
    "init.container.no-disconnect-text",
    "Disconnecting a joiner, running or stopped, MUST be refused with 500 `container <id> is not "
    "connected to`.",
    source="moby disconnectFromNetwork, DisconnectFromNetwork v17.06",
    tier="quirk",
)
def test_text_of_disconnecting_a_joiner(run, network):
    net = network()
    joiner = run(network_mode=f"container:{run(network_mode=net.name).id}")
    text = f"container {joiner.id} is not connected to "
    expect_api_error(partial(net.disconnect, joiner), 500, text)
    joiner.stop(timeout=0)
    expect_api_error(partial(net.disconnect, joiner), 500, text)


@behaviour(
    "init.host.no-links-text",
    "Links together with host mode MUST be refused with 400 `host type networking can't be used "
    "with links`.",
    source="runconfig ErrConflictHostNetworkAndLinks",
    tier="quirk",
)
def test_text_of_links_in_host_mode(create):
    links = {create().name: "target"}
    text = "host type networking can't be used with links"
    expect_api_error(partial(create, network_mode="host", links=links), 400, text)


@behaviour(
    "init.host.no-second-network-text",
    "Connecting a host-mode container to another network MUST be refused with 400 `container "
    "sharing network namespace with another container or host`.",
    source="runconfig ErrConflictSharedNetwork; moby daemon updateNetworkSettings v17.03",
    tier="quirk",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_text_of_a_second_network_in_host_mode(run, create, network, running):
    container = (run if running else create)(network_mode="host")
    expect_api_error(partial(network().connect, container), 400, SHARED)


@behaviour(
    "init.host.no-connect-to-host-text",
    "Connecting a container of another mode to `host` MUST be refused with 400, naming the host "
    "network.",
    source="runconfig ErrConflictHostNetwork v17.06",
    tier="quirk",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_text_of_connecting_to_host(run, create, client, running):
    container = (run if running else create)()
    text = re.compile("connect(ed)? .*to host network")
    expect_api_error(partial(client.networks.get("host").connect, container), 400, text)


@behaviour(
    "init.host.no-live-disconnect-text",
    "Disconnecting a running host-mode container MUST be refused with 400, naming the host "
    "network.",
    source="runconfig ErrConflictHostNetwork; moby daemon DisconnectFromNetwork v17.06",
    tier="quirk",
)
def test_text_of_leaving_host(run, client):
    container = run(network_mode="host")
    text = re.compile("disconnect(ed)? .*from host network")
    expect_api_error(partial(client.networks.get("host").disconnect, container), 400, text)


@behaviour(
    "init.host.connect-again-text",
    "Connecting a running host-mode container to `host` again MUST be refused with 403 `endpoint "
    "with name <container> already exists in network host`.",
    source="libnetwork network.CreateEndpoint v17.06; the status since v17.09",
    tier="quirk",
)
def test_text_of_connecting_to_host_twice(run, client):
    container = run(network_mode="host")
    text = f"endpoint with name {container.name} already exists in network host"
    expect_api_error(partial(client.networks.get("host").connect, container), 403, text)


@behaviour(
    "init.host.uts-hostname-text",
    "`UTSMode` host together with a hostname MUST be refused with 400 `conflicting options: "
    "hostname and the UTS mode`.",
    source="runconfig ErrConflictUTSHostname v17.06",
    tier="quirk",
)
def test_text_of_a_hostname_with_the_hosts_uts(create):
    call = partial(create, network_mode="host", uts_mode="host", hostname="mine")
    expect_api_error(call, 400, "conflicting options: hostname and the UTS mode")


@behaviour(
    "init.none.no-second-network-text",
    "Connecting a container on `none` elsewhere, or another one to `none`, MUST be refused with "
    "400 `networks in private (none) mode`.",
    source="runconfig ErrConflictNoNetwork; moby daemon updateNetworkSettings v17.03",
    tier="quirk",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_text_of_a_second_network_beside_none(run, create, network, client, running):
    make, net = (run if running else create), network()
    expect_api_error(partial(net.connect, make(network_mode="none")), 400, PRIVATE)
    connected = make(network_mode=net.name)
    expect_api_error(partial(client.networks.get("none").connect, connected), 400, PRIVATE)


@behaviour(
    "init.user.unknown-network-text",
    "The start of a container on an unknown network MUST fail with 404 `network <name> not found`.",
    source="moby daemon findAndAttachNetwork v17.03",
    tier="quirk",
)
def test_text_of_an_unknown_network(create, new_name):
    name = new_name("nowhere")
    expect_api_error(create(network_mode=name).start, 404, f"network {name} not found")


@behaviour(
    "init.user.network-removed-text",
    "The start of a container whose network was removed MUST fail with 404 `network <name or id> "
    "not found`.",
    source="moby daemon findAndAttachNetwork v17.03; by id since v18.06",
    tier="quirk",
)
def test_text_of_a_removed_network(create, network):
    net = network()
    container = create(network_mode=net.name)
    net.remove()
    text = re.compile(f"network ({net.name}|{net.id}) not found")
    expect_api_error(container.start, 404, text)


@behaviour(
    "init.user.mode-network-needed-text",
    "The start of a container whose mode's network is gone MUST fail with 404 `could not find a "
    "network matching network mode <name>`.",
    source="moby daemon normalizeNetMode v25.0",
    tier="quirk",
    docker=">=25.0",
)
def test_text_of_the_missing_network_of_the_mode(create, network):
    first, second = network(), network()
    container = create(network_mode=first.name)
    second.connect(container)
    first.disconnect(container)
    first.remove()
    text = f"could not find a network matching network mode {first.name}"
    expect_api_error(container.start, 404, text)


@behaviour(
    "init.user.two-endpoints-refused-text",
    "Two networks in EndpointsConfig MUST be refused with 400 `Container cannot be connected to "
    "network endpoints: ` and their names.",
    source="moby daemon verifyNetworkingConfig v17.03",
    tier="quirk",
    docker="<25.0",
)
def test_text_of_two_endpoints(create_raw, new_name):
    one, two = new_name("one"), new_name("two")
    endpoints: dict[str, Any] = {"EndpointsConfig": {one: {}, two: {}}}
    answer = create_raw({"HostConfig": {"NetworkMode": one}, "NetworkingConfig": endpoints})
    expect_equal("the status", 400, answer.status)
    text = "(?i:container) cannot be connected to network endpoints: "
    expect_match("the message", f"{text}({one}, {two}|{two}, {one})", answer.message)


@behaviour(
    "init.user.null-endpoint-refused-text",
    "Null for a network of EndpointsConfig MUST be refused with 400 and the network's name.",
    source="moby daemon verifyNetworkingConfig v20.10",
    tier="quirk",
)
def test_text_of_a_null_endpoint(create_raw, network):
    net = network()
    endpoints = {"EndpointsConfig": {net.name: None}}
    answer = create_raw({"HostConfig": {"NetworkMode": net.name}, "NetworkingConfig": endpoints})
    expect_equal("the status", 400, answer.status)
    expect_in("the message", net.name, answer.message)


@behaviour(
    "init.user.ambiguous-name-text",
    "A start on a network name that two networks have MUST fail with 400 `network <name> is "
    "ambiguous (2 matches found on name)`.",
    source="moby daemon FindNetwork v17.09",
    tier="quirk",
    docker="<25.0",
)
def test_text_of_an_ambiguous_name(create, network):
    name = network(network().name).name
    text = f"network {name} is ambiguous (2 matches found on name)"
    expect_api_error(create(network_mode=name).start, 400, text)


@behaviour(
    "init.disabled.no-live-connect-text",
    "Connecting a running container with NetworkDisabled MUST be refused with 404 `network sandbox "
    "for container <id> not found`.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
)
def test_text_of_connecting_a_disabled_container(run, network):
    container = run(network_disabled=True)
    text = f"network sandbox for container {container.id} not found"
    expect_api_error(partial(network().connect, container), 404, text)
