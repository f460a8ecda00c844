"""Networks: which may be made and removed, and where a container's default route goes."""

import ipaddress
import itertools
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_in,
    expect_not_in,
    expect_refused,
)
from conformance.registry import behaviour

PREDEFINED = ("bridge", "host", "none")


def networks_of(document):
    """Give the container's endpoints by the names of their networks."""
    return document["NetworkSettings"]["Networks"]


def gateway_of(net):
    """Give a network's IPv4 gateway: the first address of its subnet, as nobody chose another."""
    subnet = net.attrs["IPAM"]["Config"][0]["Subnet"]
    return subnet.rpartition(".")[0] + ".1"


def named(network, new_name, *words, **options):
    """Make networks whose names sort as these words do."""
    prefix = new_name("gateway")
    return [network(f"{prefix}-{word}", **options) for word in words]


@behaviour(
    "network.remove.active-endpoints",
    "A network that a running container is on MUST NOT be removed.",
    source="libnetwork network.delete ActiveEndpointsError v17.06",
)
def test_network_in_use_is_not_removed(run, network, api, inspect_network):
    net = network()
    container = run(network_mode=net.name)
    expect_refused(lambda: api("DELETE", f"/networks/{net.name}"))
    expect_in("the members", container.id, inspect_network(net)["Containers"])


@behaviour(
    "network.remove.stopped-containers",
    "A network that is only recorded for containers that do not run MUST be removable.",
    source="libnetwork network.delete v17.06: only endpoints count",
)
def test_network_of_a_stopped_container_is_removed(run, network, client):
    net = network()
    run(network_mode=net.name).stop()
    net.remove()
    expect_not_in("the networks", net.id, [one.id for one in client.networks.list()])


@behaviour(
    "network.remove.predefined",
    "A predefined network MUST NOT be removed.",
    source="moby daemon deleteNetwork v17.03",
    bugs=("moby#17255",),
)
@pytest.mark.parametrize("name", PREDEFINED)
def test_predefined_network_is_not_removed(client, api, name):
    def is_listed():
        return name in [net.name for net in client.networks.list()]

    was_listed = is_listed()
    expect_refused(lambda: api("DELETE", f"/networks/{name}"))
    expect_equal("it is listed", was_listed, is_listed())


@behaviour(
    "network.remove.unknown",
    "Removing an unknown network MUST be refused.",
    source="moby daemon FindNetwork v17.03",
)
def test_unknown_network_is_not_removed(api, new_name):
    missing = new_name("nowhere")
    expect_refused(lambda: api("DELETE", f"/networks/{missing}"))


@behaviour(
    "network.create.predefined-name",
    "A network with a predefined name MUST NOT be made.",
    source="moby daemon createNetwork v17.03",
)
@pytest.mark.parametrize("name", [*PREDEFINED, "default"])
def test_predefined_name_is_refused(api, name):
    body = {"Name": name, "Driver": "bridge"}
    expect_refused(lambda: api("POST", "/networks/create", body))


@behaviour(
    "network.create.duplicate-checked",
    "A second network of a name MUST be refused when CheckDuplicate is asked for.",
    source="libnetwork NetworkNameError v17.06",
)
def test_second_network_of_a_name_is_refused(network, api):
    body = {"Name": network().name, "Driver": "bridge", "CheckDuplicate": True}
    expect_refused(lambda: api("POST", "/networks/create", body))


@behaviour(
    "network.create.duplicate-warned",
    "A second network of a name is made without CheckDuplicate, and the answer MUST warn of the "
    "first one.",
    source="moby daemon createNetwork v17.03",
    docker="<25.0",
)
def test_second_network_of_a_name_is_warned_of(network, api, client):
    first = network()
    answer = api("POST", "/networks/create", {"Name": first.name, "Driver": "bridge"})
    expect_equal("the status", 201, answer.status)
    client.networks.get(answer.json()["Id"]).remove()
    expected = f"Network with name {first.name} (id : {first.id}) already exists"
    expect_equal("the warning", expected, answer.json()["Warning"])


@behaviour(
    "network.create.unknown-driver",
    "A network of an unknown driver MUST be refused.",
    source="libnetwork controller.loadDriver v17.06",
)
def test_unknown_driver_is_refused(api, new_name):
    name = new_name("network")
    body = {"Name": name, "Driver": "no-such-driver"}
    expect_refused(lambda: api("POST", "/networks/create", body))


@behaviour(
    "network.create.one-instance",
    "A second network of the driver `host` or `null` MUST be refused.",
    source="libnetwork drivers/host/host.go, null.go v17.06",
)
@pytest.mark.parametrize("driver", ["host", "null"])
def test_second_host_network_is_refused(api, new_name, driver):
    body = {"Name": new_name("network"), "Driver": driver}
    expect_refused(lambda: api("POST", "/networks/create", body))


@behaviour(
    "network.create.parallel",
    "Networks that are made at once MUST all be made, with subnets that do not overlap.",
    source="libnetwork ipam/allocator.go v17.06: under the lock of the address space",
)
def test_networks_made_at_once_are_apart(network, client):
    ipam = docker.types.IPAMConfig()
    with ThreadPoolExecutor(6) as pool:
        nets = list(pool.map(lambda _: network(ipam=ipam), range(6)))
    documents = [client.api.inspect_network(net.id) for net in nets]
    found = [ipaddress.ip_network(one["IPAM"]["Config"][0]["Subnet"]) for one in documents]
    overlaps = [f"{a} {b}" for a, b in itertools.combinations(found, 2) if a.overlaps(b)]
    expect_equal("the subnets that overlap", [], overlaps)


@behaviour(
    "network.gateway.first-name",
    "A container on several networks MUST have its default route over the network whose name "
    "sorts first, after each start.",
    source="libnetwork sandbox.go epHeap.Less v17.06",
)
def test_default_route_is_of_the_first_name(create, network, new_name, inspect, host):
    middle, last, first = named(network, new_name, "m", "z", "a")
    container = create(network_mode=middle.name)
    for net in (last, first):
        net.connect(container)
    for start in (1, 2):
        container.start()
        netns = host.netns_of(inspect(container)["State"]["Pid"])
        expect_equal(f"the gateway of start {start}", gateway_of(first), netns.default_gateway())
        container.stop()


@behaviour(
    "network.gateway.moves-on-connect",
    "The default route of a running container MUST move to a network that it is connected to and "
    "whose name sorts before the others', and stay where it sorts after them.",
    source="libnetwork endpoint.sbJoin: getGatewayEndpoint before and after v17.06",
)
def test_default_route_moves_on_connect(run, network, new_name, host):
    middle, last, first = named(network, new_name, "m", "z", "a")
    container = run(network_mode=middle.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    last.connect(container)
    expect_equal("the gateway with `z`", gateway_of(middle), netns.default_gateway())
    first.connect(container)
    expect_equal("the gateway with `a`", gateway_of(first), netns.default_gateway())


@behaviour(
    "network.gateway.moves-on-disconnect",
    "The default route of a running container MUST move to the next network when it leaves the one "
    "that the route goes over, and stay when it leaves another one.",
    source="libnetwork endpoint.sbLeave: getGatewayEndpoint after v17.06",
)
def test_default_route_moves_on_disconnect(run, network, new_name, host):
    first, middle, last, end = named(network, new_name, "a", "m", "z", "zz")
    container = run(network_mode=first.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    for net in (end, last, middle):
        net.connect(container)
    last.disconnect(container)
    expect_equal("the gateway without `z`", gateway_of(first), netns.default_gateway())
    first.disconnect(container)
    expect_equal("the gateway without `a`", gateway_of(middle), netns.default_gateway())
    middle.disconnect(container)
    expect_equal("the gateway without `m`", gateway_of(end), netns.default_gateway())


@behaviour(
    "network.gateway.internal-last",
    "The default route MUST NOT go over an internal network while the container is on another one, "
    "also where its name comes first.",
    source="libnetwork sandbox.go epHeap.Less v17.06",
    bugs=("netavark#415",),
)
def test_default_route_avoids_internal_networks(run, network, new_name, host):
    (internal,) = named(network, new_name, "a", internal=True)
    (open_one,) = named(network, new_name, "z")
    container = run(network_mode=internal.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    open_one.connect(container)
    expect_equal("the gateway", gateway_of(open_one), netns.default_gateway())
    container.restart(timeout=1)
    container.reload()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the gateway after a restart", gateway_of(open_one), netns.default_gateway())


@behaviour(
    "network.gateway.internal-only",
    "A container on an internal network alone MUST have the network's bridge as its gateway, in "
    "inspect as well as in its routes.",
    source="libnetwork bridge driver Join v17.06: always sets the gateway",
    tier="quirk",
    docker="<25.0",
)
def test_internal_network_gives_a_gateway(run, network, host):
    net = network(internal=True)
    container = run(network_mode=net.name)
    endpoint = container.attrs["NetworkSettings"]["Networks"][net.name]
    expect_equal("the Gateway", gateway_of(net), endpoint["Gateway"])
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the default route", gateway_of(net), netns.default_gateway())


@behaviour(
    "network.gateway.dual-stack-first",
    "A network with gateways of both families MUST come before one with an IPv4 gateway alone, "
    "also where its name comes last.",
    source="libnetwork sandbox.go epHeap.Less v17.06 (docker/libnetwork#1693)",
    docker=">=17.04",
)
def test_default_route_prefers_both_families(run, network, new_name, subnets, host):
    pools = [docker.types.IPAMPool(subnet=s) for s in (subnets.ipv4(), subnets.ipv6())]
    (plain,) = named(network, new_name, "a")
    ipam = docker.types.IPAMConfig(pool_configs=pools)
    (dual,) = named(network, new_name, "z", enable_ipv6=True, ipam=ipam)
    container = run(network_mode=plain.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    dual.connect(container)
    expect_equal("the gateway", gateway_of(dual), netns.default_gateway())
    dual.disconnect(container)
    expect_equal("the gateway without it", gateway_of(plain), netns.default_gateway())


@behaviour(
    "network.gateway.each-reported",
    "The Gateway of each endpoint MUST be that of its own network, also where the default route "
    "goes over another one.",
    source="moby daemon UpdateJoinInfo v17.03",
)
def test_each_endpoint_reports_its_own_gateway(run, network, inspect):
    nets = [network() for _ in range(3)]
    container = run(network_mode=nets[0].name)
    for net in nets[1:]:
        net.connect(container)
    networks = networks_of(inspect(container))
    for net in nets:
        expect_fields("the endpoint", {"Gateway": gateway_of(net)}, networks[net.name])


@behaviour(
    "network.gateway.on-link-routes-stay",
    "A container MUST keep a route to the subnet of each of its networks while the default route "
    "moves between them.",
    source="libnetwork osl Interface configureInterface v17.06",
)
def test_routes_to_the_subnets_stay(run, network, new_name, host):
    first, last = named(network, new_name, "a", "z")
    container = run(network_mode=last.name)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    first.connect(container)
    subnets = {net.attrs["IPAM"]["Config"][0]["Subnet"] for net in (first, last)}
    routes = {route["dst"] for route in netns.routes()}
    expect_equal("the routes", {"default", *subnets}, routes)
    first.disconnect(container)
    left = {route["dst"] for route in netns.routes()} - {"default"}
    expect_equal("the routes without `a`", {last.attrs["IPAM"]["Config"][0]["Subnet"]}, left)


@behaviour(
    "network.gateway.first-network",
    "A running container without a network MUST get its default route from the one that it is "
    "connected to.",
    source="libnetwork endpoint.sbJoin v17.06",
)
def test_first_network_brings_the_default_route(run, network, client, host):
    container, net = run(), network()
    client.networks.get("bridge").disconnect(container)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_empty("the routes without a network", netns.routes())
    net.connect(container)
    expect_equal("the gateway", gateway_of(net), netns.default_gateway())
