"""The options of one bridge network: its bridge's name, its interfaces' names, its gateway."""

import ipaddress
from functools import partial

import docker

from conformance.assertions import (
    expect_equal,
    expect_fields,
    expect_not_in,
    expect_refused,
)
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

NAME_OPTION = "com.docker.network.bridge.name"
PREFIX_OPTION = "com.docker.network.container_iface_prefix"
MTU_OPTION = "com.docker.network.driver.mtu"
ICC_OPTION = "com.docker.network.bridge.enable_icc"
MASQUERADE_OPTION = "com.docker.network.bridge.enable_ip_masquerade"
BRIDGE_ROLE = "opt0"


def default_gateway_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"]).default_gateway()


def bridge_of(host, container):
    """Give the link whose port the other end of the container's eth0 is."""
    inner = host.netns_of(container.attrs["State"]["Pid"]).links().get("eth0", {})
    links = host.daemon_netns().links().values()
    return next((x.get("master") for x in links if x["ifindex"] == inner.get("link_index")), "none")


@behaviour(
    "options.network.bridge-name",
    "The bridge of a network MUST be called what the option `com.docker.network.bridge.name` says, "
    "have the containers as its ports, and go with the network.",
    source="libnetwork drivers/bridge labels BridgeName v17.06",
)
def test_bridge_has_the_chosen_name(run, network, host, workbench):
    bridge = workbench.link_name(BRIDGE_ROLE)
    net = network(options={NAME_OPTION: bridge})
    container = run(network_mode=net.name)
    expect_equal("the bridge of the container", bridge, bridge_of(host, container))
    container.remove(force=True)
    net.remove()
    expect_not_in("the links after", bridge, sorted(host.daemon_netns().links()))


@behaviour(
    "options.network.bridge-name-taken",
    "A second network with the name of another network's bridge MUST be refused, and the first one "
    "MUST stay as it is.",
    source="libnetwork drivers/bridge conflictsWithNetworks v17.06",
)
def test_bridge_name_of_another_network_is_refused(run, network, host, workbench):
    bridge = workbench.link_name("opt1")
    net = network(options={NAME_OPTION: bridge})
    expect_refused(lambda: network(options={NAME_OPTION: bridge}))
    container = run(network_mode=net.name)
    gateway = address_in(container, net, "Gateway")
    expect_equal("the gateway", gateway, default_gateway_of(host, container))
    expect_equal("its bridge", [f"{gateway}/24"], host.daemon_netns().addresses(bridge))


@behaviour(
    "options.network.interface-prefix",
    "The interfaces of containers on a network MUST be called what the option "
    "`com.docker.network.container_iface_prefix` says and a number, at a live connect, too.",
    source="libnetwork drivers/bridge Join, netlabel.ContainerIfacePrefix v17.06",
)
def test_interface_has_the_chosen_prefix(run, network, host):
    net, plain = network(options={PREFIX_OPTION: "zz"}), network()
    container = run(network_mode=net.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links", ["lo", "zz0"], sorted(netns.links()))
    expect_equal("the address", [f"{address_in(container, net)}/24"], netns.addresses("zz0"))
    late = run(network_mode=plain.name)
    net.connect(late)
    links = host.netns_of(late.attrs["State"]["Pid"]).links()
    names = sorted(name.rstrip("0123456789") for name in links)
    expect_equal("the links after a live connect, without numbers", ["eth", "lo", "zz"], names)


@behaviour(
    "options.network.shown",
    "A network's inspect MUST show the options that it was made with, as they were given.",
    source="moby api/server/router/network buildNetworkResource v17.06",
)
def test_options_are_shown(network, run, inspect_network):
    options = {
        MTU_OPTION: "1380",
        ICC_OPTION: "false",
        MASQUERADE_OPTION: "false",
        "org.example.colour": "red",
    }
    net = network(options=options)
    expect_fields("the options", options, inspect_network(net)["Options"])
    run(network=net.name)


@behaviour(
    "options.network.bad-value-refused",
    "A network with an option that cannot be read MUST be refused, and leave neither a network nor "
    "a bridge behind.",
    source="libnetwork drivers/bridge networkConfiguration.fromLabels v17.06",
)
def test_option_that_cannot_be_read_is_refused(network, new_name, subnets, client, host):
    name, subnet = new_name("network"), subnets.ipv4()
    about = subnet.rpartition(".")[0] + "."
    before = host.made_by(about)
    bad = (MTU_OPTION, "much"), (MTU_OPTION, "-1"), (ICC_OPTION, "no"), (MASQUERADE_OPTION, "no")
    for option, value in bad:
        expect_refused(partial(network, name, subnet=subnet, options={option: value}))
    expect_equal("the networks of the name", [], client.networks.list(names=[name]))
    expect_equal("the links of the host", before, host.made_by(about))


@behaviour(
    "options.network.default-gateway",
    "With the auxiliary address `DefaultGatewayIPv4` the default route of a network's containers "
    "MUST lead there, and inspect MUST show it as their gateway; the bridge keeps its own address.",
    source="libnetwork drivers/bridge processIPAM, DefaultGatewayV4AuxKey v17.06",
)
def test_auxiliary_gateway_is_the_route(run, network, subnets, host):
    subnet = ipaddress.ip_network(subnets.ipv4())
    router = str(subnet[254])
    pool = docker.types.IPAMPool(str(subnet), aux_addresses={"DefaultGatewayIPv4": router})
    net = network(ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    container = run(network_mode=net.name)
    expect_equal("the Gateway", router, address_in(container, net, "Gateway"))
    expect_equal("the default route", router, default_gateway_of(host, container))
    addresses = host.daemon_netns().addresses(f"br-{net.id[:12]}")
    expect_equal("the addresses of the bridge", [f"{subnet[1]}/24"], addresses)


@behaviour(
    "options.network.kept-over-restart",
    "The options of a network MUST hold after a restart of the engine: the bridge's name and the "
    "MTU.",
    source="libnetwork drivers/bridge bridge_store.go v17.06",
)
def test_options_hold_after_a_restart(own_daemon):
    daemon = own_daemon()
    bridge = daemon.link_name(BRIDGE_ROLE)
    net = daemon.network(options={NAME_OPTION: bridge, MTU_OPTION: "1380"})
    container = daemon.run(network_mode=net.name)
    daemon.engine.restart()
    again = daemon.client.containers.get(container.id)
    if again.status != "running":
        again.start()
        again.reload()
    expect_equal("the bridge", bridge, bridge_of(daemon.host, again))
    links = daemon.host.netns_of(again.attrs["State"]["Pid"]).links()
    expect_equal("the MTU", 1380, links["eth0"]["mtu"])
