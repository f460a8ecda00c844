"""An engine that is asked to stop (SIGTERM) and is started again."""

from conformance.assertions import expect_equal, expect_fields, expect_not_equal
from conformance.observe.poll import eventually
from conformance.observe.remains import (
    endpoint_on,
    members_of,
    started_again,
    veths_of,
    wait_for_status,
)
from conformance.observe.trap import trapping, wait_until_trapping
from conformance.registry import behaviour

SETTLE_S = 30
PREDEFINED = ("bridge", "host", "none")


def ids_of(daemon, names):
    return {name: daemon.inspect_network(name)["Id"] for name in names}


@behaviour(
    "restart.engine.containers-stopped",
    "An engine that is asked to stop MUST stop its containers with their stop signal, and show "
    "them as `exited` with their own exit code when it is back.",
    source="moby daemon Shutdown, shutdownContainer v17.06",
)
def test_containers_are_stopped_with_the_engine(own_daemon):
    daemon = own_daemon()
    container = daemon.run(trapping("USR1", "exit 7"), stop_signal="SIGUSR1")
    wait_until_trapping(container)
    daemon.engine.restart()
    wanted = {"Status": "exited", "Running": False, "ExitCode": 7}
    expect_fields("the state", wanted, daemon.inspect(container)["State"])


@behaviour(
    "restart.engine.networks-kept",
    "A restart of the engine MUST keep user networks with their id and subnet, release every "
    "endpoint, and let the containers start again.",
    source="moby daemon Shutdown, releaseNetwork; libnetwork controller store v17.06",
    needs=("host-view",),
)
def test_networks_are_kept_and_endpoints_released(own_daemon):
    daemon = own_daemon()
    subnet = daemon.subnets.ipv4()
    net = daemon.network(subnet=subnet)
    container = daemon.run(network_mode=net.name)
    daemon.engine.restart()
    document = daemon.inspect_network(net.name)
    expect_equal("the id", net.id, document["Id"])
    expect_equal("the subnet", subnet, document["IPAM"]["Config"][0]["Subnet"])
    expect_equal("the members", [], members_of(daemon, net.name))
    expect_equal("the address", "", endpoint_on(daemon, container, net.name)["IPAddress"])
    expect_equal("the veths", [], veths_of(daemon))
    started_again(daemon, container)
    expect_equal("the members", [container.name], members_of(daemon, net.name))


@behaviour(
    "restart.engine.static-address",
    "A container that asked for an address and always restarts MUST be back at it after a restart "
    "of the engine.",
    source="moby EndpointIPAMConfig v17.06; users: moby#26284",
)
def test_static_address_is_back_after_a_restart(own_daemon):
    daemon = own_daemon()
    subnet = daemon.subnets.ipv4()
    net, address = daemon.network(subnet=subnet), f"{subnet.rpartition('.')[0]}.77"
    container = daemon.create(restart_policy={"Name": "always"})
    net.connect(container, ipv4_address=address)
    daemon.start(container)
    daemon.engine.restart()
    wait_for_status(daemon, container, "running", timeout_s=SETTLE_S)
    expect_equal("the address", address, endpoint_on(daemon, container, net.name)["IPAddress"])


@behaviour(
    "restart.engine.policies",
    "A restart of the engine MUST bring back what ran with the policies `always` and "
    "`unless-stopped` and what a user had stopped with `always`, and no other container.",
    source="Docker documentation, start containers automatically; moby ShouldRestart v17.06",
)
def test_policies_say_what_comes_back(own_daemon):
    daemon = own_daemon()
    policies = ("always", "unless-stopped", "no")
    ran = {name: daemon.run(restart_policy={"Name": name}) for name in policies}
    stopped = {name: daemon.run(restart_policy={"Name": name}) for name in policies}
    for container in stopped.values():
        container.stop(timeout=0)
    daemon.engine.restart()
    back = {ran["always"].id, ran["unless-stopped"].id, stopped["always"].id}

    def running():
        return {container.id for container in daemon.client.containers.list()}

    eventually("those come back", lambda: back <= running(), timeout_s=SETTLE_S)
    expect_equal("the others that run", set(), running() - back)


@behaviour(
    "restart.engine.auto-remove",
    "A container with AutoRemove that ran when the engine was restarted MUST be gone, and its name "
    "MUST be free.",
    source="moby daemon Shutdown, restore: removeContainers v17.06; users: moby#51693",
    bugs=("desktop-feedback#253",),
)
def test_container_with_auto_remove_is_gone_after_a_restart(own_daemon):
    daemon = own_daemon()
    old = daemon.run(auto_remove=True)
    daemon.engine.restart()
    eventually("it is gone", lambda: daemon.client.containers.list(all=True) == [])
    heir = daemon.run(name=old.name)
    expect_equal("its status", "running", heir.status)


@behaviour(
    "restart.engine.bridge-id",
    "The id of `bridge` MUST be a new one after each start of the engine, and those of `host` and "
    "`none` the same.",
    source="moby daemon initNetworkController v17.06: deletes and makes it",
    tier="quirk",
)
def test_bridge_has_a_new_id_after_each_start(own_daemon):
    daemon = own_daemon()
    before = ids_of(daemon, PREDEFINED)
    daemon.engine.restart()
    after = ids_of(daemon, PREDEFINED)
    expect_not_equal("the id of bridge", before["bridge"], after["bridge"])
    for name in ("host", "none"):
        expect_equal(f"the id of {name}", before[name], after[name])


@behaviour(
    "restart.engine.default-network-found",
    "A container on the default network MUST start after a restart of the engine, and be connected "
    "to what that network is now.",
    source="moby daemon updateContainerNetworkSettings v17.06: by name",
)
def test_container_finds_the_default_network_after_a_restart(own_daemon):
    daemon = own_daemon()
    container = daemon.run()
    daemon.engine.restart()
    started_again(daemon, container)
    [(name, settings)] = daemon.inspect(container)["NetworkSettings"]["Networks"].items()
    expect_equal("the network's id", ids_of(daemon, [name])[name], settings["NetworkID"])
    expect_equal("the members", [container.name], members_of(daemon, name))
