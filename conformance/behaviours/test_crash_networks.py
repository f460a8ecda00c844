"""What a killed engine knows of its networks when it is back, also where a part of it was lost."""

import shutil
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from http.client import HTTPException

from conformance.assertions import (
    expect_api_error,
    expect_equal,
    expect_in,
    expect_not_in,
    expect_refused,
)
from conformance.observe.poll import eventually
from conformance.observe.remains import members_of, started_again, veths_of
from conformance.registry import behaviour

KEPT = ("Id", "Created", "Driver", "Internal", "Labels", "Options")


def subnets_of(document):
    return [config["Subnet"] for config in document["IPAM"]["Config"]]


def lose_networks(daemon):
    """Kill the engine, remove what it keeps of its networks, and start it again."""
    files = daemon.engine.inside().network_files()
    daemon.engine.kill_everything()
    for file in files:
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()
    daemon.engine.resume()


@behaviour(
    "crash.networks.kept",
    "After a crash user networks MUST be there with their id, subnet, options and labels, and take "
    "new containers.",
    source="libnetwork controller store v17.06",
)
def test_networks_are_kept_over_a_crash(own_daemon):
    daemon = own_daemon()
    net = daemon.network(options={"com.docker.network.driver.mtu": "1400"})
    daemon.run(network_mode=net.name)
    old = daemon.inspect_network(net.name)
    daemon.engine.kill()
    daemon.engine.resume()
    new = daemon.inspect_network(net.name)
    for field in KEPT:
        expect_equal(f"the {field}", old[field], new[field])
    expect_equal("the subnets", subnets_of(old), subnets_of(new))
    container = daemon.run(network_mode=net.name)
    expect_in("the members", container.name, members_of(daemon, net.name))


@behaviour(
    "crash.networks.removable",
    "A user network whose containers were hit by a crash MUST be removable; they MUST be refused "
    "then until they are disconnected from it by force, and start on their other networks.",
    source="libnetwork cleanupLocalEndpoints v17.06; users: moby#20398",
)
def test_network_is_removed_after_a_crash(own_daemon):
    daemon = own_daemon()
    net, other = daemon.network(), daemon.network()
    container = daemon.create(network_mode=other.name)
    net.connect(container)
    container.start()
    daemon.engine.kill_everything()
    daemon.engine.resume()
    daemon.client.networks.get(net.id).remove()
    expect_refused(lambda: started_again(daemon, container))
    expect_equal("the other network's members", [], members_of(daemon, other.name))
    daemon.client.api.disconnect_container_from_network(container.id, net.name, force=True)
    started_again(daemon, container)
    expect_equal("its members now", [container.name], members_of(daemon, other.name))


@behaviour(
    "crash.during-network-creates",
    "An engine that was killed while it made networks MUST have each of them whole or not at all: "
    "those that are listed carry a container and can be removed, and then all subnets are free.",
    source="libnetwork controller.NewNetwork, networkCleanup v17.06: inDelete, store counters",
)
def test_networks_are_whole_after_a_crash_in_their_creation(own_daemon):
    daemon = own_daemon()
    names = [daemon.new_name("network") for _ in range(4)]
    subnets = [daemon.subnets.ipv4() for _ in names]

    def make(name, subnet):
        body = {"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}}
        with suppress(OSError, HTTPException):
            daemon.api("POST", "/networks/create", body)

    with ThreadPoolExecutor(len(names)) as pool:
        creates = [pool.submit(make, *pair) for pair in zip(names, subnets, strict=True)]
        next(as_completed(creates))
        daemon.engine.kill()
    daemon.engine.resume()
    for net in daemon.client.networks.list(names=names):
        daemon.run(network_mode=net.name).remove(force=True)
        net.remove()
    for name, subnet in zip(names, subnets, strict=True):
        net = daemon.network(name, subnet=subnet)
        expect_in("the networks", net.id, [one.id for one in daemon.client.networks.list()])
        net.remove()


@behaviour(
    "crash.container-lost",
    "An endpoint whose container was lost in a crash MUST be removed when the engine starts: no "
    "member and no link of it is left, and a new container can have its name and its address.",
    source="libnetwork cleanupLocalEndpoints v17.06; users: moby#31389, libnetwork#1108",
    needs=("container-folder", "host-view"),
)
def test_endpoint_of_a_lost_container_is_removed(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    lost = daemon.run(network_mode=net.name)
    address = lost.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    inside = daemon.engine.inside()
    daemon.engine.kill_everything()
    shutil.rmtree(inside.data_root / "containers" / lost.id)
    daemon.engine.resume()
    expect_equal("the members of the network", [], members_of(daemon, net.name))
    eventually("no veth is left", lambda: not veths_of(daemon))
    heir = daemon.create(name=lost.name)
    daemon.client.networks.get(net.id).connect(heir, ipv4_address=address)
    heir.start()
    expect_equal("its members now", [heir.name], members_of(daemon, net.name))


@behaviour(
    "crash.networks-lost",
    "An engine that has lost all that it knew of its networks MUST start without the user "
    "networks: a container on one of them is refused, and one on `bridge` starts.",
    source="libnetwork controller store v17.06; moby daemon initNetworkController",
    needs=("network-files",),
)
def test_engine_starts_without_its_networks(own_daemon):
    daemon = own_daemon()
    net = daemon.network()
    homeless, other = daemon.run(network_mode=net.name), daemon.run(network_mode="bridge")
    lose_networks(daemon)
    names = [listed.name for listed in daemon.client.networks.list()]
    expect_not_in("the networks", net.name, names)
    for name in ("bridge", "host", "none"):
        expect_in("the networks", name, names)
    expect_refused(lambda: started_again(daemon, homeless))
    started_again(daemon, other)
    expect_equal("the members of bridge", [other.name], members_of(daemon, "bridge"))


@behaviour(
    "crash.networks-lost.status",
    "The start of a container whose network was lost MUST be answered with 404 and `network ... "
    "not found`.",
    source="moby daemon allocateNetwork, FindNetwork v17.06",
    tier="quirk",
    needs=("network-files",),
)
def test_start_on_a_lost_network_is_not_found(own_daemon):
    daemon = own_daemon()
    container = daemon.run(network_mode=daemon.network().name)
    lose_networks(daemon)
    text = expect_api_error(lambda: started_again(daemon, container), 404, "network ")
    expect_in("the message", "not found", text)


@behaviour(
    "crash.leftover.disconnected",
    "An endpoint that outlives its container MUST be freed by a forced disconnect under its name, "
    "so that its network can be removed; where none outlives it, the network can be removed at "
    "once.",
    source="moby daemon ForceEndpointDelete v17.06",
    docker="<28.0",
    bugs=("cli#1891",),
)
def test_leftover_endpoint_is_disconnected_by_its_name(run, network, inspect_network):
    net = network()
    container = run(network_disabled=True)
    net.connect(container)
    container.remove(force=True)
    for member in inspect_network(net)["Containers"].values():
        net.disconnect(member["Name"], force=True)
    expect_equal("its members", {}, inspect_network(net)["Containers"])
    net.remove()
