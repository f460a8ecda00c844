"""A network that is named by its id or a part of it: at create, at connect, at disconnect."""

import itertools

import pytest

from conformance.assertions import expect_equal, expect_not_in, expect_true
from conformance.impact.setup import nobody
from conformance.registry import behaviour

CHOSEN = "02:6e:69:00:00:47"
OLD_API = "/v1.41"
"""Here a MAC address is the whole container's, and no endpoint has one of its own."""


def host_address(subnets, number):
    """Give a subnet, and an address of it that nobody would get by himself."""
    subnet = subnets.ipv4()
    return subnet, f"{subnet.rpartition('.')[0]}.{number}"


def endpoint_on(container, net):
    """Give a container's only endpoint, which is to be on a network."""
    container.reload()
    endpoints = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the networks", [net.name], sorted(endpoints))
    return endpoints[net.name]


def started(create_raw, client, body, **options):
    """Create a container with a body of the row's own, and start it."""
    answer = create_raw(body, **options)
    expect_equal("the status of create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    container.start()
    return container


def body_for(mode, endpoints=None):
    return {
        "HostConfig": {"NetworkMode": mode},
        "NetworkingConfig": {"EndpointsConfig": endpoints or {}},
    }


@behaviour(
    "create.mode-by-id.one-endpoint",
    "A container whose network mode is a network's id, and whose endpoint is given under the "
    "network's name or under its id, MUST have one endpoint, with the address that it asks for, "
    "after a restart, too.",
    source="moby#47441 (v25.0.4); daemon updateContainerNetworkSettings v17.03",
    bugs=("moby#47441",),
)
def test_mode_by_id_has_one_endpoint(create_raw, client, network, subnets):
    subnet, address = host_address(subnets, 77)
    net = network(subnet=subnet)
    for key in (net.name, net.id):
        body = body_for(net.id, {key: {"IPAMConfig": {"IPv4Address": address}}})
        container = started(create_raw, client, body)
        expect_equal("the address", address, endpoint_on(container, net)["IPAddress"])
        container.restart(timeout=0)
        expect_equal("after a restart", address, endpoint_on(container, net)["IPAddress"])
        container.remove(force=True)


@behaviour(
    "create.mode-by-id.mac",
    "A MAC address for the whole container MUST be that of its interface on the network of its "
    "network mode, whether that is given by name, by id or by a part of the id, and the address "
    "that the endpoint asks for MUST be there beside it.",
    source="moby#46404 (v24.0.7), moby#47441 (v25.0.4); 29.0 has no such API any more",
    docker="<29.0",
    bugs=("moby#46404", "moby#47441"),
    concerns=nobody,
)
def test_mac_goes_with_the_mode(create_raw, client, network, subnets):
    subnet, address = host_address(subnets, 78)
    net = network(subnet=subnet)
    for mode in (net.name, net.id, net.id[:12]):
        body = body_for(mode, {net.name: {"IPAMConfig": {"IPv4Address": address}}})
        container = started(create_raw, client, {**body, "MacAddress": CHOSEN}, version=OLD_API)
        endpoint = endpoint_on(container, net)
        found = (endpoint["IPAddress"], endpoint["MacAddress"])
        expect_equal(f"address and MAC address with {mode}", (address, CHOSEN), found)
        container.remove(force=True)


@behaviour(
    "create.mode-default.endpoint",
    "An endpoint that a create request gives under the name of its network mode `default` MUST be "
    "the one on the default network, and there is no other.",
    source="moby daemon updateContainerNetworkSettings v17.03; the docker command from 25.0 on",
    bugs=("podman#21754",),
)
def test_endpoint_under_default_is_that_on_bridge(create_raw, client, api):
    container = started(create_raw, client, body_for("default", {"default": {}}))
    endpoints = client.api.inspect_container(container.id)["NetworkSettings"]["Networks"]
    expect_equal("the number of networks", 1, len(endpoints))
    expect_not_in("the networks", "default", endpoints)
    addresses = [bool(endpoint["IPAddress"]) for endpoint in endpoints.values()]
    expect_equal("whether there is an address", [True], addresses)


@behaviour(
    "connect.stopped.by-reference",
    "A container that does not run MUST be connected to a network, and disconnected from it, by "
    "any pair of the network's name, its id and a part of that: inspect shows the name alone, and "
    "the endpoint is what was asked for when the container runs.",
    source="moby daemon ConnectToNetwork, DisconnectFromNetwork: Network.Name() v17.03",
    bugs=("moby#26220", "podman#11285", "podman@3.2.1"),
)
def test_stopped_container_by_any_reference(create, network, api, inspect, subnets):
    subnet, address = host_address(subnets, 79)
    home, net = network(), network(subnet=subnet)
    container = create(network_mode=home.name)
    settings = {"IPAMConfig": {"IPv4Address": address}, "Aliases": ["zzz"]}
    references = (net.name, net.id, net.id[:12])
    for joined, left in itertools.product(references, references[:2]):
        body = {"Container": container.id, "EndpointConfig": settings}
        answer = api("POST", f"/networks/{joined}/connect", body)
        expect_equal(f"the status of connect by {joined}", 200, answer.status)
        networks = sorted(inspect(container)["NetworkSettings"]["Networks"])
        expect_equal("the networks", sorted((home.name, net.name)), networks)
        if (joined, left) == (net.id, net.id):
            container.start()
            endpoint = inspect(container)["NetworkSettings"]["Networks"][net.name]
            expect_equal("the address", address, endpoint["IPAddress"])
            expect_true("the alias is there", "zzz" in endpoint["Aliases"])
            container.stop(timeout=0)
        answer = api("POST", f"/networks/{left}/disconnect", {"Container": container.id})
        expect_equal(f"the status of disconnect by {left}", 200, answer.status)
        networks = sorted(inspect(container)["NetworkSettings"]["Networks"])
        expect_equal("the networks after", [home.name], networks)


@behaviour(
    "create.several-networks.own-settings",
    "A container on three networks MUST have on each the address that it asked for there, on an "
    "interface with the MAC address that inspect shows for that network, after each start.",
    source="moby daemon allocateNetwork v17.03; networks were mixed up in podman",
    bugs=("podman#12957", "podman#23993"),
)
def test_each_network_has_its_own_settings(create_raw, client, network, host, subnets):
    chosen = [host_address(subnets, number) for number in (50, 40, 60)]
    nets = [network(subnet=subnet) for subnet, _ in chosen]
    wanted = {net.name: address for net, (_, address) in zip(nets, chosen, strict=True)}
    first = nets[0].name
    body = body_for(first, {first: {"IPAMConfig": {"IPv4Address": wanted[first]}}})
    container = client.containers.get(create_raw(body).json()["Id"])
    for net in nets[1:]:
        net.connect(container, ipv4_address=wanted[net.name])
    for _ in range(2):
        container.restart(timeout=0)
        container.reload()
        endpoints = container.attrs["NetworkSettings"]["Networks"]
        found = {name: endpoint["IPAddress"] for name, endpoint in endpoints.items()}
        expect_equal("the addresses", wanted, found)
        netns = host.netns_of(container.attrs["State"]["Pid"])
        for endpoint in endpoints.values():
            link = netns.link_with(endpoint["IPAddress"])
            expect_equal("the MAC address", endpoint["MacAddress"], netns.mac(link))


@behaviour(
    "create.from-inspect.endpoint",
    "What inspect shows of a running container's endpoint MUST be accepted by create and by "
    "connect, and the new container on the network runs, without the old one's operational data.",
    source="moby daemon cleanOperationalData v17.03: tools make containers anew from inspect",
)
@pytest.mark.parametrize("way", ["create", "connect"])
def test_inspected_endpoint_is_accepted(run, create_raw, client, api, network, way):
    net = network()
    old = run(network=net.name)
    shown = old.attrs["NetworkSettings"]["Networks"][net.name]
    endpoint = {key: value for key, value in shown.items() if key != "MacAddress"}
    if way == "create":
        answer = create_raw(body_for(net.name, {net.name: endpoint}))
        expect_equal("the status of create", 201, answer.status)
        new = client.containers.get(answer.json()["Id"])
        new.start()
    else:
        new = run()
        body = {"Container": new.id, "EndpointConfig": endpoint}
        answer = api("POST", f"/networks/{net.id}/connect", body)
        expect_equal("the status of connect", 200, answer.status)
    new.reload()
    found = new.attrs["NetworkSettings"]["Networks"][net.name]
    for field in ("EndpointID", "IPAddress"):
        expect_true(f"{field} is the new container's own", found[field] not in ("", shown[field]))
