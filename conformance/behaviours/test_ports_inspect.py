"""Published ports: what inspect and the list say of them."""

from conformance.assertions import (
    expect_equal,
    expect_in,
    the_only,
)
from conformance.observe.poll import eventually
from conformance.observe.ports import bindings, host_port
from conformance.registry import behaviour

ALL_IPV4 = "0.0.0.0"  # noqa: S104 - what an engine reports


def run_exposing(create_raw, client, *ports, **host_config):
    """Run a container that exposes ports; the SDK cannot say that without publishing them."""
    body = {"ExposedPorts": {port: {} for port in ports}, "HostConfig": host_config}
    answer = create_raw(body)
    expect_equal("the status of the create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    container.start()
    container.reload()
    return container


def listed_ports(client, container):
    """Give the list's entry of a container's ports."""
    listed = client.api.containers(all=True, filters={"id": container.id})
    return the_only("the container in the list", listed)["Ports"]


@behaviour(
    "ports.inspect.exposed-only",
    "A port that is exposed and not published MUST be in `Ports` with null while the container "
    "runs.",
    source="moby daemon/network.go getEndpointPortMapInfo v17.06",
)
def test_exposed_port_has_no_binding(create_raw, client):
    container = run_exposing(create_raw, client, "80/tcp", "53/udp")
    expect_equal(
        "Ports", {"80/tcp": None, "53/udp": None}, container.attrs["NetworkSettings"]["Ports"]
    )


@behaviour(
    "ports.inspect.literal",
    "A host address and a host port that are asked for MUST be reported as they were written, in "
    "`Ports` and in `HostConfig.PortBindings`.",
    source="libnetwork portmapper v17.06: the host's address and port are those of the binding",
)
def test_binding_is_reported_literally(run, ports):
    tcp, udp = ports.free(2)
    container = run(ports={"80/tcp": ("127.0.0.1", tcp), "53/udp": ("127.0.0.1", udp)})
    expected = {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(tcp)}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": str(udp)}],
    }
    expect_equal("Ports", expected, container.attrs["NetworkSettings"]["Ports"])
    expect_equal("PortBindings", expected, container.attrs["HostConfig"]["PortBindings"])


@behaviour(
    "ports.inspect.wildcard-ipv4",
    "A binding without a host address MUST be reported with 0.0.0.0.",
    source="libnetwork portmapper v17.06: defaultBindingIP",
)
def test_binding_without_address_is_on_every_ipv4_address(run, ports):
    (port,) = ports.free()
    container = run(ports={"80/tcp": port})
    expect_equal("the bindings", [(ALL_IPV4, str(port))], bindings(container, "80/tcp", "ipv4"))


@behaviour(
    "ports.inspect.wildcard-ipv6",
    "A binding without a host address MUST be reported with :: beside 0.0.0.0, and the same port.",
    source="moby 20.10.2 release notes: port mapping on IPv6 by the userland proxy",
    docker=">=20.10.2",
)
def test_binding_without_address_is_on_every_ipv6_address(run, ports):
    (port,) = ports.free()
    container = run(ports={"80/tcp": port})
    expect_equal("the bindings", [("::", str(port))], bindings(container, "80/tcp", "ipv6"))


@behaviour(
    "ports.inspect.ephemeral-not-in-host-config",
    "A port of the engine's choice MUST be reported in `Ports` and MUST leave "
    "`HostConfig.PortBindings` as it was asked for.",
    source="moby daemon v17.06: HostConfig is what the client sent",
)
def test_chosen_port_is_not_kept_in_the_host_config(run):
    container = run(ports={"80/tcp": None})
    expect_equal(
        "PortBindings",
        [("", "")],
        [
            (entry["HostIp"], entry["HostPort"])
            for entry in container.attrs["HostConfig"]["PortBindings"]["80/tcp"]
        ],
    )
    expect_in("the port", host_port(container, "80/tcp"), range(1, 65536))


@behaviour(
    "ports.inspect.stopped",
    "When the container has stopped `Ports` MUST be empty, and `HostConfig.PortBindings` MUST "
    "still have what was asked for.",
    source="moby daemon releaseNetwork v17.06; HostConfig is kept",
)
def test_stopped_container_has_no_ports(run, ports):
    (port,) = ports.free()
    container = run(ports={"80/tcp": ("127.0.0.1", port)})
    container.stop(timeout=0)
    container.reload()
    expect_equal("Ports", {}, container.attrs["NetworkSettings"]["Ports"])
    expected = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}
    expect_equal("PortBindings", expected, container.attrs["HostConfig"]["PortBindings"])


@behaviour(
    "ports.inspect.never-started",
    "A container that was never started MUST have no `Ports`.",
    source="moby daemon v17.06: the port map is that of the endpoint",
)
def test_created_container_has_no_ports(create, start, inspect, ports):
    (port,) = ports.free()
    container = create(ports={"80/tcp": port})
    expect_equal("Ports", {}, inspect(container)["NetworkSettings"]["Ports"])
    start(container)
    expect_equal("the port after the start", port, host_port(container, "80/tcp"))


@behaviour(
    "ports.inspect.several-bindings",
    "A port with several bindings MUST be published on each of them.",
    source="libnetwork drivers/bridge allocatePorts v17.06",
)
def test_port_is_published_more_than_once(run, ports):
    one, two = ports.free(2)
    container = run(ports={"80/tcp": [("127.0.0.1", one), ("127.0.0.1", two)]})
    expected = [("127.0.0.1", str(one)), ("127.0.0.1", str(two))]
    expect_equal("the bindings", expected, bindings(container, "80/tcp"))
    ports.answer(container, 80, "here")
    answers = [ports.ask(None, "127.0.0.1", port) for port in (one, two)]
    expect_equal("who answers on the two", ["here", "here"], answers)


@behaviour(
    "ports.inspect.binding-not-exposed",
    "A binding for a port that the container does not expose MUST publish nothing.",
    source="libnetwork v17.06: the list of ports comes from ExposedPorts",
    tier="quirk",
)
def test_binding_of_a_port_that_is_not_exposed(create_raw, client, ports):
    (port,) = ports.free()
    asked = {"80/tcp": [{"HostPort": str(port)}]}
    container = run_exposing(create_raw, client, PortBindings=asked)
    expect_equal("the container runs", True, container.attrs["State"]["Running"])
    expect_equal("the bindings", [], bindings(container, "80/tcp"))
    expect_equal("who answers", "refused", ports.ask(None, "127.0.0.1", port))
    exposing = run_exposing(create_raw, client, "80/tcp", PortBindings=asked)
    ports.answer(exposing, 80, "here")
    answer = ports.ask(None, "127.0.0.1", port)
    expect_equal("who answers where the port is exposed", "here", answer)


@behaviour(
    "ports.list.published",
    "The list MUST give each published port with IP, PublicPort, PrivatePort and Type.",
    source="Docker Engine API, ContainerList: Ports",
)
def test_list_has_published_ports(run, client, ports):
    tcp, udp = ports.free(2)
    container = run(ports={"80/tcp": ("127.0.0.1", tcp), "53/udp": ("127.0.0.1", udp)})
    for private, public, kind in ((80, tcp, "tcp"), (53, udp, "udp")):
        entry = {"IP": "127.0.0.1", "PrivatePort": private, "PublicPort": public, "Type": kind}
        expect_in("the list's Ports", entry, listed_ports(client, container))


@behaviour(
    "ports.list.exposed",
    "The list MUST give a port that is exposed only with PrivatePort and Type, and no PublicPort.",
    source="Docker Engine API, ContainerList: Ports",
)
def test_list_has_exposed_ports(create_raw, client):
    container = run_exposing(create_raw, client, "80/tcp")
    expected = [{"PrivatePort": 80, "Type": "tcp"}]
    expect_equal("the list's Ports", expected, listed_ports(client, container))


@behaviour(
    "ports.list.stopped",
    "The list MUST give no ports of a container that has stopped.",
    source="moby daemon/list.go v17.06",
)
def test_list_has_no_ports_of_a_stopped_container(run, client, ports):
    (port,) = ports.free()
    container = run(ports={"80/tcp": port})
    expect_equal("how many it has running", True, len(listed_ports(client, container)) > 0)
    container.stop(timeout=0)
    # the list is brought up to date just after the stop is answered
    eventually("the list has no ports", lambda: not listed_ports(client, container))


@behaviour(
    "ports.list.filter-publish",
    "The list MUST find a running container by a port that it publishes (`publish`) and one that "
    "it exposes (`expose`), and not by another.",
    source="moby daemon/list.go v17.06: the filters publish and expose",
)
def test_list_is_filtered_by_port(run, client, ports):
    one, two = ports.free(2)
    first, second = run(ports={"80/tcp": one}), run(ports={"81/tcp": two})
    ours = {first.id, second.id}
    for name, value, expected in (("publish", one, first), ("expose", 81, second)):
        found = client.api.containers(filters={name: str(value)})
        expect_equal(f"{name}={value}", [expected.id], [x["Id"] for x in found if x["Id"] in ours])
