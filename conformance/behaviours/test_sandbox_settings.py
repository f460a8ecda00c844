"""What a container's interfaces and routes are while its networks and their links change."""

import re

from conformance.assertions import expect_equal, expect_in, expect_not_equal, expect_not_in
from conformance.observe.poll import eventually
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

PORT = 8080
L3 = {"ipvlan_mode": "l3"}
SYSCTLS = "com.docker.network.endpoint.sysctls"


def netns_of(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"])


def connect(api, net, container, **settings):
    body = {"Container": container.id, "EndpointConfig": settings}
    answer = api("POST", f"/networks/{net.id}/connect", body)
    expect_equal("the status of the connect", 200, answer.status)


def defaults(netns):
    """Give the devices of a namespace's default routes."""
    return [route["dev"] for route in netns.routes() if route["dst"] == "default"]


@behaviour(
    "sandbox.interface.broadcast",
    "A container's interface on a bridge network MUST have the last address of the subnet as its "
    "broadcast address, after a live connect, too.",
    source="vishvananda/netlink AddrAdd, as libnetwork has it from v17.06 on",
)
def test_interface_has_its_broadcast_address(run, network, host):
    net, later = network(), network()
    container = run(network=net.name)
    later.connect(container)
    netns = netns_of(host, container)
    for one in (net, later):
        address = address_in(container, one)
        (found,) = (
            info.get("broadcast", "")
            for link in netns.ip("addr", "show")
            for info in link["addr_info"]
            if info["local"] == address
        )
        expect_equal("the broadcast address", f"{address.rpartition('.')[0]}.255", found)


@behaviour(
    "sandbox.mac.not-kept",
    "A MAC address that the engine chose for a container MUST NOT be its wish at the next start: "
    "where another container has got its address meanwhile, the two have different MAC addresses.",
    source="moby#47168 (v25.0.1); daemon cleanOperationalData v17.03",
    bugs=("moby#47146",),
)
def test_chosen_mac_is_not_kept(run, network, host):
    net = network()
    first = run(network=net.name)
    first.stop(timeout=0)
    second = run(network=net.name)
    first.start()
    found = [
        netns_of(host, one).mac(netns_of(host, one).link_with(address_in(one, net)))
        for one in (first, second)
    ]
    expect_not_equal("the MAC address of the second", found[0], found[1])


@behaviour(
    "disconnect.live.next-gateway-unusable",
    "A running container MUST leave the network of its default route also where the next network "
    "cannot have that route, because the container has brought its interface down; it is no member "
    "any more, and is connected again.",
    source="moby#51592 (v29.1): errors of the next gateway are logged",
    bugs=("moby#51578",),
)
def test_network_is_left_when_the_next_gateway_fails(
    run, network, new_name, exec_in, api, inspect_network, host
):
    name = new_name("net")
    first, last = network(f"{name}-a"), network(f"{name}-z")
    container = run(network=first.name, cap_add=["NET_ADMIN"])
    last.connect(container)
    link = netns_of(host, container).link_with(address_in(container, last))
    down = exec_in(container, "ip", "link", "set", link, "down")
    expect_equal("the exit code of ip", 0, down.exit_code)
    answer = api("POST", f"/networks/{first.id}/disconnect", {"Container": container.id})
    expect_equal("the status of the disconnect", 200, answer.status)
    expect_not_in("the members", container.id, inspect_network(first)["Containers"])
    connect(api, first, container)
    expect_in("the members", container.id, inspect_network(first)["Containers"])
    gateway = address_in(container, first, "Gateway")
    expect_equal("the default route", gateway, netns_of(host, container).default_gateway())


@behaviour(
    "drivers.macvlan.internal-beside-bridge",
    "The default route of a container on an internal macvlan network and on a bridge network MUST "
    "go over the bridge network, also where its name comes last, after a start as well as after a "
    "connect.",
    source="moby#39633 (v20.10): macvlan with netlabel.Internal",
    needs=("macvlan",),
    bugs=("libnetwork#2406",),
)
def test_internal_macvlan_takes_no_default_route(run, network, wire, new_name, host):
    options = {"driver": "macvlan", "options": {"parent": wire().parent}, "internal": True}
    inside, outside = network("a" + new_name("net"), **options), network("z" + new_name("net"))
    container = run(network=outside.name)
    gateway = address_in(container, outside, "Gateway")
    inside.connect(container)
    expect_equal("after a connect", gateway, netns_of(host, container).default_gateway())
    container.restart(timeout=0)
    expect_equal("after a restart", gateway, netns_of(host, container).default_gateway())
    outside.disconnect(container)
    expect_equal("without the bridge", [], defaults(netns_of(host, container)))
    outside.connect(container)
    expect_equal("with it again", gateway, netns_of(host, container).default_gateway())


@behaviour(
    "drivers.ipvlan.l3-and-bridge",
    "A container MUST be on an ipvlan network of the mode l3 and on a bridge network at once, with "
    "one default route, which goes over the other network when one is left.",
    source="moby#49130 (v28.0)",
    docker=">=28.0",
    needs=("ipvlan",),
    bugs=("moby#48576",),
)
def test_layer_three_and_bridge(run, network, wire, host, api):
    plain = network()
    third = network(driver="ipvlan", options={"parent": wire().parent, **L3})
    container = run(network=third.name)
    connect(api, plain, container)
    expect_equal("the number of default routes", 1, len(defaults(netns_of(host, container))))
    container.restart(timeout=0)
    expect_equal("after a restart", 1, len(defaults(netns_of(host, container))))
    for left, stays in ((plain, third), (third, plain)):
        left.disconnect(container)
        netns = netns_of(host, container)
        link = netns.link_with(address_in(container, stays))
        expect_equal("the default route's interface", [link], defaults(netns))
        connect(api, left, container)


@behaviour(
    "drivers.parent.down",
    "A container on a macvlan network MUST start while the parent is down, and MUST be reached by "
    "a host on the wire once it is up.",
    source="moby#49630 (v28.0.2)",
    needs=("macvlan",),
    bugs=("moby#49593",),
)
def test_container_starts_on_a_parent_that_is_down(run, network, wire, sockets):
    cable = wire()
    net = network(driver="macvlan", options={"parent": cable.parent})
    subnet = net.attrs["IPAM"]["Config"][0]["Subnet"]
    cable.give(f"{subnet.rpartition('.')[0]}.1/24")
    cable.set_parent("down")
    container = run(network=net.name)
    container.restart(timeout=0)
    cable.set_parent("up")
    sockets.serve(container, port=PORT)
    eventually(
        "the host on the wire reaches the container",
        lambda: sockets.outcome(cable.container, address_in(container, net), PORT) == "connected",
        timeout_s=10,
    )


@behaviour(
    "sandbox.gateway.priority-per-family",
    "The default route of each family MUST go over the endpoint with the highest GwPriority that "
    "has that family, after a connect, a start and a disconnect.",
    source="moby#52328 (v29.4.1)",
    docker=">=28.0",
    api=">=1.48",
    bugs=("moby#51999",),
)
def test_priority_decides_by_family(run, network, ipv6_network, host, api):
    dual, plain = ipv6_network(), network()
    container = run(network=dual.name)
    connect(api, plain, container, GwPriority=100)
    wanted = (address_in(container, plain, "Gateway"), address_in(container, dual, "IPv6Gateway"))
    for when in ("after a connect", "after a restart"):
        if when == "after a restart":
            container.restart(timeout=0)
        netns = netns_of(host, container)
        found = (netns.default_gateway(), netns.default_gateway("-6"))
        expect_equal(when, wanted, found)
    plain.disconnect(container)
    netns = netns_of(host, container)
    wanted = (address_in(container, dual, "Gateway"), address_in(container, dual, "IPv6Gateway"))
    found = (netns.default_gateway(), netns.default_gateway("-6"))
    expect_equal("after a disconnect", wanted, found)


@behaviour(
    "ipv6.off.one-interface",
    "A container that switches IPv6 off on one of its interfaces MUST start, MUST have no IPv6 "
    "address there, and MUST have the IPv6 address of its other network when it is connected to "
    "that, and after a restart.",
    source="moby docs, docker run --sysctl",
    docker="<27.0",
    bugs=("moby#48971",),
)
def test_ipv6_is_off_on_one_interface(run, ipv6_network, new_name, host, api):
    first, last = ipv6_network("a" + new_name("net")), ipv6_network("z" + new_name("net"))
    off = {"net.ipv6.conf.eth0.disable_ipv6": "1"}
    container = run(network=first.name, sysctls=off)
    connect(api, last, container)
    expect_ipv6_on(host, container, last)
    container.restart(timeout=0)
    expect_ipv6_on(host, container, last)


OF_A_LINK = re.compile(r"net\.\w+\.\w+\.(eth[0-9]+)\.\w+")


def with_settings_of_a_link(setup):
    for one in setup.containers:
        links = [found[1] for found in map(OF_A_LINK.fullmatch, one.sysctls) if found]
        if links and (one.has_own_network or one.mode == "none"):
            why = f"it has a sysctl of {links[0]}, which is not there yet when sysctls are set"
            change = "it does not start; an endpoint's option takes the place of that sysctl"
            yield one.effect("starts", why, change)


@behaviour(
    "ipv6.off.one-endpoint",
    "A container that switches IPv6 off on one of its interfaces MUST start, MUST have no IPv6 "
    "address there, and MUST have the IPv6 address and the IPv6 default route of its other network "
    "when it is connected to that, and after a restart.",
    source="moby#47686 (v27.0), moby#48971 (v29.0)",
    docker=">=27.0",
    bugs=("moby#48971",),
    replaces=("ipv6.off.one-interface",),
    concerns=with_settings_of_a_link,
)
def test_ipv6_is_off_on_one_endpoint(create_raw, client, ipv6_network, new_name, host, api):
    first, last = ipv6_network("a" + new_name("net")), ipv6_network("z" + new_name("net"))
    off = {"DriverOpts": {SYSCTLS: "net.ipv6.conf.IFNAME.disable_ipv6=1"}}
    body = {
        "HostConfig": {"NetworkMode": first.name},
        "NetworkingConfig": {"EndpointsConfig": {first.name: off}},
    }
    container = client.containers.get(create_raw(body).json()["Id"])
    container.start()
    connect(api, last, container)
    for when in ("after a connect", "after a restart"):
        if when == "after a restart":
            container.restart(timeout=0)
        expect_ipv6_on(host, container, last)
        gateway = address_in(container, last, "IPv6Gateway")
        expect_equal(when, gateway, netns_of(host, container).default_gateway("-6"))


def expect_ipv6_on(host, container, net):
    """Expect IPv6 addresses on a container's second interface, and none on its first."""
    netns = netns_of(host, container)
    expect_equal("the IPv6 addresses of eth0", [], netns.addresses("eth0", "inet6"))
    wanted = f"{address_in(container, net, 'GlobalIPv6Address')}/64"
    expect_in("those of eth1", wanted, netns.addresses("eth1", "inet6"))


@behaviour(
    "ipv6.host.stays",
    "A container in host mode MUST leave IPv6 on in the engine's namespace: its links keep their "
    "IPv6 addresses.",
    source="moby#32447 (v17.05)",
    bugs=("moby#32639",),
)
def test_host_mode_leaves_ipv6_on(run, ipv6_network, host):
    net, netns = ipv6_network(), host.daemon_netns()
    gateway = address_in(run(network=net.name), net, "IPv6Gateway")
    link = netns.link_with(gateway)
    before = [netns.addresses(one, "inet6") for one in (link, "lo")]
    container = run(network_mode="host")
    expect_equal("the addresses", before, [netns.addresses(one, "inet6") for one in (link, "lo")])
    container.restart(timeout=0)
    after = [netns.addresses(one, "inet6") for one in (link, "lo")]
    expect_equal("after a restart", before, after)


@behaviour(
    "ipv6.off.restarted",
    "A container that is started on a network with IPv6 and on two without MUST have IPv6 "
    "addresses on the interface to the first alone, not even a link-local one on the others.",
    source="libnetwork osl setIPv6 v17.06: by interface",
)
def test_each_interface_has_its_own_after_a_restart(run, network, ipv6_network, host):
    plain, dual, last = network(), ipv6_network(), network()
    container = run(network=plain.name)
    dual.connect(container)
    last.connect(container)
    container.restart(timeout=0)
    netns = netns_of(host, container)
    found = {
        net.name: len(netns.addresses(netns.link_with(address_in(container, net)), "inet6"))
        for net in (plain, dual, last)
    }
    expect_equal("how many IPv6 addresses", {plain.name: 0, dual.name: 2, last.name: 0}, found)
