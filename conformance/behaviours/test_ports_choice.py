"""Published ports: which port and which address of the engine a binding gets."""

from concurrent.futures import ThreadPoolExecutor

from conformance.assertions import (
    expect_equal,
    expect_in,
    expect_not_equal,
    expect_refused,
    expect_true,
)
from conformance.impact.setup import nobody
from conformance.observe.ports import bindings, host_port
from conformance.registry import behaviour

LOOPBACK = "127.0.0.1"


def run_publishing_all(create_raw, client, *ports, **host_config):
    """Run a container that exposes ports and publishes them all."""
    body = {
        "ExposedPorts": {port: {} for port in ports},
        "HostConfig": {"PublishAllPorts": True, **host_config},
    }
    answer = create_raw(body)
    expect_equal("the status of the create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    container.start()
    return container


@behaviour(
    "ports.choice.ephemeral-range",
    "A binding without a host port MUST get a port within net.ipv4.ip_local_port_range of the "
    "engine's namespace.",
    source="libnetwork portallocator v17.06; moby#43054",
)
def test_chosen_port_is_of_the_kernels_range(run, ports):
    container = run(ports={"80/tcp": None, "53/udp": None})
    allowed = ports.ephemeral()
    for port in ("80/tcp", "53/udp"):
        number = host_port(container, port)
        expect_true(f"{number} is within {allowed}", number in allowed)


@behaviour(
    "ports.choice.both-families-alike",
    "A port of the engine's choice MUST be the same for IPv4 and IPv6.",
    source="moby#47871, 27.0: the same port for IPv4 and IPv6",
    docker=">=27.0",
    concerns=nobody,
)
def test_chosen_port_is_the_same_for_both_families(run):
    container = run(ports={"80/tcp": None})
    ipv4, ipv6 = (
        [port for _, port in bindings(container, "80/tcp", family)] for family in ("ipv4", "ipv6")
    )
    expect_equal("how many IPv4 ports there are", 1, len(ipv4))
    expect_equal("the IPv6 ports", ipv4, ipv6)


@behaviour(
    "ports.choice.new-at-each-start",
    "A port of the engine's choice MUST be chosen anew at each start.",
    source="libnetwork portallocator v17.06: it goes on behind the port given last",
)
def test_chosen_port_is_new_at_each_start(run):
    container = run(ports={"80/tcp": None})
    before = host_port(container, "80/tcp")
    container.restart(timeout=0)
    expect_not_equal("the port", before, host_port(container, "80/tcp"))


@behaviour(
    "ports.choice.range-first-free",
    "A range of host ports MUST give one container after the other its first port that is free.",
    source="libnetwork portallocator RequestPortInRange v17.06",
)
def test_range_gives_the_first_free_port(run, ports):
    row = ports.free(3)
    asked = {"80/tcp": f"{row[0]}-{row[-1]}"}
    containers = [run(ports=asked) for _ in range(2)]
    found = [host_port(container, "80/tcp") for container in containers]
    expect_equal("the ports", row[:2], found)


@behaviour(
    "ports.choice.range-exhausted",
    "A start whose range of host ports has no free one MUST be refused, and succeed on the one "
    "that is given back.",
    source="libnetwork portallocator ErrAllPortsAllocated v17.06",
)
def test_exhausted_range_is_refused(run, create, ports):
    row = ports.free(2)
    asked = {"80/tcp": f"{row[0]}-{row[1]}"}
    owners = [run(ports=asked) for _ in row]
    late = create(ports=asked)
    expect_refused(late.start)
    owners[1].remove(force=True)
    late.start()
    expect_equal("the port", row[1], host_port(late, "80/tcp"))


@behaviour(
    "ports.choice.range-past-a-process",
    "A range of host ports MUST pass over a port that a process of the machine has.",
    source="moby#47871, 27.0: a port in use is passed over",
    docker=">=27.0",
    bugs=("moby#44136",),
    concerns=nobody,
)
def test_range_passes_over_a_port_of_a_process(run, sockets, ports):
    row = ports.free(2)
    sockets.serve(None, port=row[0])
    container = run(ports={"80/tcp": f"{row[0]}-{row[1]}"})
    expect_equal("the port", row[1], host_port(container, "80/tcp"))


@behaviour(
    "ports.choice.publish-all",
    "With PublishAllPorts every exposed port, TCP and UDP, MUST be published on a port of the "
    "engine's choice and be reached there.",
    source="moby daemon v17.06: HostConfig.PublishAllPorts",
)
def test_publish_all_publishes_every_exposed_port(create_raw, client, ports):
    container = run_publishing_all(create_raw, client, "80/tcp", "53/udp")
    for number, kind in ((80, "tcp"), (53, "udp")):
        ports.answer(container, number, kind, kind=kind)
        chosen = host_port(container, f"{number}/{kind}")
        expect_true("the port is of the kernel's range", chosen in ports.ephemeral())
        expect_equal("who answers", kind, ports.ask(None, LOOPBACK, chosen, kind=kind))


@behaviour(
    "ports.choice.publish-all-and-bindings",
    "With PublishAllPorts a port that has a binding MUST be published as the binding says, and "
    "MAY be published once more.",
    source="moby daemon v17.06: HostConfig.PublishAllPorts",
)
def test_publish_all_keeps_the_bindings(create_raw, client, ports):
    (port,) = ports.free()
    asked = {"80/tcp": [{"HostIp": LOOPBACK, "HostPort": str(port)}]}
    container = run_publishing_all(create_raw, client, "80/tcp", "81/tcp", PortBindings=asked)
    expect_in("the binding", (LOOPBACK, str(port)), bindings(container, "80/tcp"))
    expect_true("another exposed port is published", bindings(container, "81/tcp"))


@behaviour(
    "ports.choice.publish-all-null-bindings",
    "PublishAllPorts with PortBindings that are null MUST publish every exposed port.",
    source="moby#51620: 29.0 crashed; mended in 29.1.2",
    bugs=("moby#51620",),
)
def test_publish_all_without_bindings(create_raw, client, ports):
    container = run_publishing_all(create_raw, client, "80/tcp", PortBindings=None)
    ports.answer(container, 80, "here")
    answer = ports.ask(None, LOOPBACK, host_port(container, "80/tcp"))
    expect_equal("who answers", "here", answer)


@behaviour(
    "ports.choice.distinct",
    "Containers that are started at once with ports of the engine's choice MUST get distinct ones.",
    source="libnetwork portallocator v17.06; podman 4.4.0 release notes: publish-all",
    bugs=("podman@4.4.0",),
)
def test_ports_chosen_at_once_are_distinct(create, start):
    containers = [create(ports={"80/tcp": None}) for _ in range(6)]
    with ThreadPoolExecutor(len(containers)) as pool:
        list(pool.map(start, containers))
    chosen = [host_port(container, "80/tcp") for container in containers]
    expect_equal("how many ports there are", len(containers), len(set(chosen)))


@behaviour(
    "ports.choice.two-addresses",
    "Two containers MUST be able to publish one port on two addresses of the engine, and each be "
    "reached at its own.",
    source="libnetwork portallocator v17.06: a port is taken per address",
)
def test_one_port_on_two_addresses(run, ports):
    (port,) = ports.free()
    for address in ("127.0.0.1", "127.0.0.2"):
        container = run(ports={"80/tcp": (address, port)})
        ports.answer(container, 80, address)
    for address in ("127.0.0.1", "127.0.0.2"):
        expect_equal("who answers", address, ports.ask(None, address, port))


@behaviour(
    "ports.choice.two-protocols",
    "TCP and UDP MUST be able to have the same port, in two containers.",
    source="libnetwork portallocator v17.06: a port is taken per protocol",
)
def test_one_port_of_two_protocols(run, ports):
    (port,) = ports.free()
    for kind in ("tcp", "udp"):
        ports.answer(run(ports={f"80/{kind}": port}), 80, kind, kind=kind)
    for kind in ("tcp", "udp"):
        expect_equal("who answers", kind, ports.ask(None, LOOPBACK, port, kind=kind))


@behaviour(
    "ports.choice.network-option",
    "On a network with host_binding_ipv4 a binding without a host address MUST be made on that "
    "address, and one with a host address on its own.",
    source="libnetwork drivers/bridge DefaultBindingIP v17.06",
)
def test_network_says_the_host_address(run, network, ports):
    net = network(options={"com.docker.network.bridge.host_binding_ipv4": "127.0.0.2"})
    one, two = ports.free(2)
    container = run(network=net.name, ports={"80/tcp": [one, (LOOPBACK, two)]})
    expected = sorted([("127.0.0.2", str(one)), (LOOPBACK, str(two))])
    expect_equal("the IPv4 bindings", expected, bindings(container, "80/tcp", "ipv4"))
    ports.answer(container, 80, "here")
    seen = [ports.ask(None, address, one) for address in ("127.0.0.2", LOOPBACK)]
    expect_equal("who answers there and elsewhere", ["here", "refused"], seen)


@behaviour(
    "ports.choice.daemon-option",
    "With the daemon's option `ip` a binding without a host address on the default network MUST "
    "be made on that address.",
    source="moby daemon option ip v17.06",
    needs=("host-view", "ip-option"),
)
def test_daemon_says_the_host_address(own_daemon):
    daemon = own_daemon({"ip": "127.0.0.2"})
    container = daemon.run(ports={"80/tcp": None})
    hosts = [address for address, _ in bindings(container, "80/tcp", "ipv4")]
    expect_equal("the host's addresses", ["127.0.0.2"], hosts)
