"""None mode: a namespace of the container's own with nothing in it but `lo`."""

from pathlib import PurePath

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_hex_id,
    expect_in,
    expect_not_in,
    expect_refused,
    expect_true,
)
from conformance.observe.files import addresses_of, parse_resolv_conf
from conformance.registry import behaviour


@behaviour(
    "init.none.only-loopback",
    "A none-mode container MUST run in a namespace of its own that has only `lo`, up, and no "
    "route.",
    source="seed allocateNetwork with network `none`; libnetwork null driver",
    tier="core",
)
def test_none_mode_has_only_loopback(run, host):
    container = run(network_mode="none")
    netns = host.netns_of(container.attrs["State"]["Pid"])
    links = netns.links()
    expect_equal("the links in the container", ["lo"], sorted(links))
    expect_in("lo's flags", "UP", links["lo"]["flags"])
    expect_equal("the routes in the container", [], netns.routes())


@behaviour(
    "init.none.endpoint-without-address",
    "A none-mode container MUST have exactly the network `none`, with an endpoint id, no address "
    "and no gateway, and MUST be listed in that network's inspect.",
    source="moby daemon connectToNetwork v17.03; libnetwork null driver",
    tier="core",
)
def test_none_mode_has_an_endpoint_without_address(run, inspect_network):
    container = run(network_mode="none")
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the networks of the container", ["none"], sorted(networks))
    endpoint = networks["none"]
    expect_hex_id("the endpoint's id", endpoint["EndpointID"])
    for field in ("IPAddress", "Gateway", "MacAddress", "IPPrefixLen"):
        expect_empty(f"the endpoint's {field}", endpoint[field])
    expect_in("the members of `none`", container.id, inspect_network("none")["Containers"])


@behaviour(
    "init.none.sandbox-pinned",
    "A none-mode container MUST have a sandbox: a SandboxID of 64 hex digits and a SandboxKey, "
    "named after its first 12, that is the namespace the container runs in.",
    source="libnetwork controller.NewSandbox, osl.GenerateKey v17.06",
)
def test_none_mode_has_a_pinned_sandbox(run, host):
    container = run(network_mode="none")
    settings = container.attrs["NetworkSettings"]
    expect_hex_id("SandboxID", settings["SandboxID"])
    expect_equal(
        "SandboxKey's base name", settings["SandboxID"][:12], PurePath(settings["SandboxKey"]).name
    )
    expect_equal(
        "the namespace at SandboxKey",
        host.netns_of(container.attrs["State"]["Pid"]).inode(),
        host.sandbox_netns(settings["SandboxKey"]).inode(),
    )


@behaviour(
    "init.none.files",
    "A none-mode container MUST get a hosts file that maps localhost and has no line of its own, "
    "a resolv.conf without the embedded DNS, and its hostname in /etc/hostname.",
    source="libnetwork setupResolutionFiles v17.06; seed initializeNetworking: BuildHostnameFile",
)
def test_none_mode_gets_the_three_files(run, exec_in):
    container = run(network_mode="none", hostname="lonely")
    hosts = exec_in(container, "cat", "/etc/hosts").stdout
    expect_in("localhost's addresses", "127.0.0.1", addresses_of(hosts, "localhost"))
    expect_equal("the own lines in /etc/hosts", [], addresses_of(hosts, "lonely"))
    servers = parse_resolv_conf(exec_in(container, "cat", "/etc/resolv.conf").stdout).nameservers
    expect_true("resolv.conf names a server", servers)
    expect_not_in("the embedded DNS in resolv.conf", "127.0.0.11", servers)
    expect_equal("/etc/hostname", "lonely\n", exec_in(container, "cat", "/etc/hostname").stdout)


@behaviour(
    "init.none.no-second-network",
    "A container on `none` MUST NOT be connected to another network, nor a container on another "
    "network to `none`, whether it runs or not.",
    source="runconfig ErrConflictNoNetwork; moby daemon updateNetworkSettings v17.03",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_none_goes_with_no_other_network(run, create, network, api, running):
    make = run if running else create
    user_network = network()
    lonely = make(network_mode="none")
    before = sorted(lonely.attrs["NetworkSettings"]["Networks"])
    expect_refused(lambda: user_network.connect(lonely))
    connected = make(network_mode=user_network.name)
    body = {"Container": connected.id}
    expect_refused(lambda: api("POST", "/networks/none/connect", body))
    for container, only in ((lonely, before), (connected, [user_network.name])):
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"]
        expect_equal("the recorded networks", only, sorted(networks))


@behaviour(
    "init.none.left-for-a-user-network",
    "A running container MAY be disconnected from `none` and then connected to a user network, "
    "which gives it an eth0 and is its only network after a restart.",
    source="moby daemon DisconnectFromNetwork v17.03",
    tier="quirk",
)
def test_none_can_be_left_for_a_user_network(run, network, client, host):
    container = run(network_mode="none")
    user_network = network()
    client.networks.get("none").disconnect(container)
    user_network.connect(container)
    for moment in ("after the connect", "after a restart"):
        container.reload()
        networks = container.attrs["NetworkSettings"]["Networks"]
        expect_equal(f"the networks {moment}", [user_network.name], sorted(networks))
        netns = host.netns_of(container.attrs["State"]["Pid"])
        address = networks[user_network.name]["IPAddress"]
        expect_equal(f"eth0's addresses {moment}", [f"{address}/24"], netns.addresses("eth0"))
        container.restart(timeout=0)


@behaviour(
    "init.none.ports-ignored",
    "Ports published by a none-mode container MUST be ignored: the start succeeds and `Ports` "
    "is empty.",
    source="libnetwork null driver v17.06",
)
def test_none_mode_publishes_nothing(run):
    container = run(network_mode="none", ports={"80/tcp": None})
    expect_equal("Ports", {}, container.attrs["NetworkSettings"]["Ports"])


@behaviour(
    "init.none.events-and-metric",
    "None mode MUST announce one `connect` to `none` at start and one `disconnect` at stop, and "
    "count one `allocate` and one `connect`.",
    source="moby daemon connectToNetwork, releaseNetwork v17.03",
)
def test_none_mode_is_announced_and_counted(create, events, metrics):
    container = create(network_mode="none")
    with metrics.delta() as delta:
        container.start()
    expect_equal("allocate", 1, delta.counts["allocate"])
    expect_equal("connect", 1, delta.counts["connect"])
    container.stop(timeout=0)
    seen = events.wait_for("network", "disconnect", actor=container.id)
    network_events = [(e.action, e.attributes["name"]) for e in seen if e.type == "network"]
    expect_equal(
        "the network events", [("connect", "none"), ("disconnect", "none")], network_events
    )
