"""User networks: the network mode names a network that a user made."""

import docker.errors

from conformance.assertions import expect_equal, expect_fields, expect_in, expect_refused
from conformance.observe.poll import eventually
from conformance.observe.trap import trapping, wait_until_trapping
from conformance.registry import behaviour


def networks_of(document):
    """Give the names of the networks in a container's inspect document."""
    return sorted(document["NetworkSettings"]["Networks"])


ENDS_WITH_7 = trapping("TERM", "exit 7")


def remove_once_left(net):
    """Remove the network of a container that was stopped.

    The member is gone from the list before the endpoint is deleted.
    """

    def is_removed():
        try:
            net.remove()
        except docker.errors.APIError as error:
            if "has active endpoints" not in str(error):
                raise
            return False
        return True

    eventually("the network has no active endpoints", is_removed)


@behaviour(
    "init.user.network-by-name",
    "A container whose network mode is the name of a user network MUST be connected to that "
    "network, and to no other.",
    source="seed allocateNetwork: updateContainerNetworkSettings; moby v17.03",
    tier="core",
    bugs=("podman#24910",),
)
def test_user_network_is_joined_by_name(run, network, inspect_network):
    net = network()
    container = run(network_mode=net.name)
    expect_equal("the networks of the container", [net.name], networks_of(container.attrs))
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    expect_equal("the endpoint's NetworkID", net.id, endpoint["NetworkID"])
    member = inspect_network(net)["Containers"].get(container.id, {})
    expect_fields("the network's member", {"EndpointID": endpoint["EndpointID"]}, member)


@behaviour(
    "init.user.network-by-id",
    "A network given by its full or partial id MUST be found, and MUST be listed under its name.",
    source="moby daemon updateContainerNetworkSettings v17.03: the id becomes the name",
)
def test_user_network_is_found_by_id(run, network):
    net = network()
    for mode in (net.id, net.id[:12]):
        container = run(network_mode=mode)
        expect_equal(f"the networks for mode {mode}", [net.name], networks_of(container.attrs))
        endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
        expect_equal("the endpoint's NetworkID", net.id, endpoint["NetworkID"])


@behaviour(
    "init.user.partial-id-kept",
    "A network mode given as a partial id MUST be stored and reported as it was given.",
    source="moby daemon v17.03: no normalisation of the mode; normalizeNetMode since v25.0",
    tier="quirk",
    docker="<25.0",
)
def test_partial_id_stays_in_the_network_mode(run, network):
    net = network()
    container = run(network_mode=net.id[:12])
    mode = container.attrs["HostConfig"]["NetworkMode"]
    expect_equal("the network mode after the start", net.id[:12], mode)


@behaviour(
    "init.user.unknown-network",
    "A container on an unknown network MUST be created, MUST fail to start, and MUST stay "
    "`created` with exit code 128 and the network still listed.",
    source="seed allocateNetwork: the error of connectToNetwork is returned; moby start.go v17.03",
    tier="core",
)
def test_unknown_network_fails_the_start(create, inspect, new_name):
    name = new_name("nowhere")
    container = create(network_mode=name)
    expect_refused(container.start)
    document = inspect(container)
    state = {"Status": "created", "ExitCode": 128, "Running": False}
    expect_fields("the container's state", state, document["State"])
    expect_equal("the networks of the container", [name], networks_of(document))


@behaviour(
    "init.user.network-made-after-create",
    "A container MUST start on a network that was made after the container.",
    source="moby daemon findAndAttachNetwork v17.03: the network is looked up at the start",
)
def test_network_may_come_after_the_container(create, network, inspect, new_name):
    name = new_name("late")
    container = create(network_mode=name)
    net = network(name)
    container.start()
    endpoint = inspect(container)["NetworkSettings"]["Networks"][name]
    expect_equal("the endpoint's NetworkID", net.id, endpoint["NetworkID"])


@behaviour(
    "init.user.network-removed",
    "A container that has run MUST fail to start once its network is removed, MUST keep its "
    "status and exit code, and MUST report the message as its error.",
    source="moby daemon findAndAttachNetwork, containerStart v17.03",
    bugs=("moby#17160",),
)
def test_removed_network_fails_the_start(run, network, inspect):
    net = network()
    container = run(ENDS_WITH_7, network_mode=net.name)
    wait_until_trapping(container)
    container.stop()
    remove_once_left(net)
    message = expect_refused(container.start)
    state = inspect(container)["State"]
    expect_fields("the container's state", {"Status": "exited", "ExitCode": 7}, state)
    expect_equal("State.Error", message, state["Error"])


@behaviour(
    "init.user.network-recreated-after-run",
    "A container that has run MUST NOT start on another network that was given the name of its "
    "removed one.",
    source="moby daemon getNetworkID v18.06: the stored NetworkID decides",
    tier="quirk",
    docker=">=18.06",
    bugs=("compose#10846",),
)
def test_recreated_network_is_not_the_old_one(run, network, inspect_network):
    old = network()
    container = run(network_mode=old.name)
    container.stop()
    remove_once_left(old)
    new = network(old.name)
    expect_refused(container.start)
    expect_equal("the members of the new network", {}, inspect_network(new)["Containers"])


@behaviour(
    "init.user.network-recreated-before-run",
    "A container that never ran MUST start on a network that was given the name of the one that "
    "it was created for.",
    source="moby daemon findAndAttachNetwork v17.03: no NetworkID is stored before the first start",
)
def test_recreated_network_serves_a_container_that_never_ran(create, start, network, inspect):
    old = network()
    container = create(network_mode=old.name)
    old.remove()
    new = network(old.name)
    start(container)
    endpoint = inspect(container)["NetworkSettings"]["Networks"][new.name]
    expect_equal("the endpoint's NetworkID", new.id, endpoint["NetworkID"])


@behaviour(
    "init.user.endpoints-config-wins",
    "A container whose EndpointsConfig names another network than its network mode MUST be "
    "connected to the network of EndpointsConfig only.",
    source="moby daemon updateContainerNetworkSettings v17.03: given endpoints are not added to",
    tier="quirk",
)
def test_endpoints_config_wins_over_the_mode(client, create_raw, network, inspect, inspect_network):
    mode, config = network(), network()
    body = {
        "HostConfig": {"NetworkMode": mode.name},
        "NetworkingConfig": {"EndpointsConfig": {config.name: {}}},
    }
    container = client.containers.get(create_raw(body).json()["Id"])
    container.start()
    expect_equal("the networks of the container", [config.name], networks_of(inspect(container)))
    expect_in("the members", container.id, inspect_network(config)["Containers"])
    expect_equal("the members of the mode's network", {}, inspect_network(mode)["Containers"])


@behaviour(
    "init.user.endpoints-config-key-becomes-name",
    "A key of EndpointsConfig MUST be turned into the network's name: `default` into `bridge`, an "
    "id into the name.",
    source="moby daemon updateContainerNetworkSettings v17.03",
    tier="quirk",
)
def test_endpoints_config_keys_become_names(create_raw, client, network, inspect):
    net = network()
    for mode, key, name in (("default", "default", "bridge"), (net.id, net.id, net.name)):
        body = {
            "HostConfig": {"NetworkMode": mode},
            "NetworkingConfig": {"EndpointsConfig": {key: {}}},
        }
        container = client.containers.get(create_raw(body).json()["Id"])
        expect_equal(f"the networks for key {key}", [name], networks_of(inspect(container)))
        container.start()
        expect_equal("the networks after the start", [name], networks_of(inspect(container)))


@behaviour(
    "init.user.two-endpoints-refused",
    "A create request with two networks in EndpointsConfig MUST be refused.",
    source="moby daemon verifyNetworkingConfig v17.03; several networks since v25.0",
    docker="<25.0",
)
def test_two_endpoints_are_refused_at_create(create_raw, new_name):
    one, two = new_name("one"), new_name("two")
    body = {
        "HostConfig": {"NetworkMode": one},
        "NetworkingConfig": {"EndpointsConfig": {one: {}, two: {}}},
    }
    expect_refused(lambda: create_raw(body))


@behaviour(
    "init.user.null-endpoint-refused",
    "A create request whose EndpointsConfig has null for a network MUST be refused.",
    source="moby daemon verifyNetworkingConfig v20.10",
    tier="quirk",
)
def test_null_endpoint_is_refused_at_create(create_raw, network):
    net = network()
    body = {
        "HostConfig": {"NetworkMode": net.name},
        "NetworkingConfig": {"EndpointsConfig": {net.name: None}},
    }
    expect_refused(lambda: create_raw(body))


@behaviour(
    "init.user.ambiguous-name",
    "A start on a network name that two networks have MUST fail.",
    source="moby daemon FindNetwork v17.09; names are unique since v25.0",
    tier="quirk",
    docker="<25.0",
)
def test_ambiguous_network_name_fails_the_start(create, network, inspect_network):
    first = network()
    second = network(first.name)
    container = create(network_mode=first.name)
    expect_refused(container.start)
    for net in (first, second):
        expect_equal("the members", {}, inspect_network(net)["Containers"])


@behaviour(
    "init.user.mode-network-gone",
    "A container MUST start on the networks that it still has, even when the network of its "
    "network mode was disconnected and removed.",
    source="moby daemon allocateNetwork v17.03: only the listed networks count",
    tier="quirk",
    docker="<25.0",
)
def test_container_starts_without_the_network_of_its_mode(
    create, start, network, inspect, inspect_network
):
    first, second = network(), network()
    container = create(network_mode=first.name)
    second.connect(container)
    first.disconnect(container)
    first.remove()
    start(container)
    expect_equal("the networks of the container", [second.name], networks_of(inspect(container)))
    expect_in("the members", container.id, inspect_network(second)["Containers"])


@behaviour(
    "init.user.networking-config-without-endpoints",
    "A NetworkingConfig without EndpointsConfig, as the Python SDK sends for `network=`, MUST be "
    "ignored: the network mode decides.",
    source="docker-py 7.1 models/containers.py; moby daemon verifyNetworkingConfig v17.03",
)
def test_networking_config_without_endpoints_is_ignored(create, start, network, inspect):
    net = network()
    container = create(network=net.name)
    mode = inspect(container)["HostConfig"]["NetworkMode"]
    expect_equal("the network mode that was sent", net.name, mode)
    start(container)
    expect_equal("the networks of the container", [net.name], networks_of(inspect(container)))
