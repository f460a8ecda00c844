"""Published ports: many at once, beside others, taken and given back, asked too soon."""

from concurrent.futures import ThreadPoolExecutor

import docker.errors
import pytest

from conformance.assertions import expect_equal, expect_not_equal
from conformance.impact.setup import nobody
from conformance.observe.poll import eventually
from conformance.observe.ports import ask_over, bindings, host_port
from conformance.registry import behaviour

LOOPBACK, LOOPBACK_IPV6 = "127.0.0.1", "::1"
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - what a client asks for


def is_started(container):
    """Start a container, unless the engine refuses."""
    try:
        container.start()
    except docker.errors.APIError:
        return False
    return True


@behaviour(
    "ports.changes.two-addresses",
    "While one of two containers that publish one port on two addresses is stopped, the port MUST "
    "be closed at its address and the other MUST be reached, and both MUST once it is started.",
    source="containers/netavark#1129, mended in 1.14.0",
    bugs=("netavark#1129",),
)
def test_two_addresses_are_apart(run, outside, ports):
    here, there, (port,) = outside(), outside(), ports.free()
    hosts = (here, there)
    containers = [run(ports={"80/tcp": (host.engine_address, port)}) for host in hosts]
    for container, word in zip(containers, ("first", "second"), strict=True):
        ports.answer(container, 80, word)
    for moved, word in zip(containers, ("first", "second"), strict=True):
        moved.stop(timeout=0)
        others = [ports.ask(one.container, one.engine_address, port, timeout_s=1) for one in hosts]
        moved.start()
        ports.answer(moved, 80, word)
        seen = [ports.ask(one.container, one.engine_address, port) for one in hosts]
        left = ["first", "second"]
        left[left.index(word)] = "refused"
        expect_equal(f"while the {word} is stopped", left, others)
        expect_equal(f"when the {word} is started", ["first", "second"], seen)


@behaviour(
    "ports.reach.any-address",
    "A port that is published on 0.0.0.0 in so many words MUST be reached from outside at the "
    "engine's address and from the machine at 127.0.0.1.",
    source="containers/netavark#636, mended in 1.6.0",
    bugs=("netavark#636",),
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_on_every_address(run, outside, ports, kind):
    beyond, (port,) = outside(), ports.free()
    container = run(ports={f"80/{kind}": (EVERY_ADDRESS, port)})
    ports.answer(container, 80, "here", kind=kind)
    for where, address in ((beyond.container, beyond.engine_address), (None, LOOPBACK)):
        expect_equal("who answers", "here", ports.ask(where, address, port, kind=kind))


@behaviour(
    "ports.reach.two-ports",
    "A container's port that is published on two ports of the machine MUST be reached on both, and "
    "so MUST another of its ports.",
    source="Docker Engine API, HostConfig.PortBindings; containers/podman#7062",
    bugs=("podman#7062",),
)
def test_two_ports_lead_to_one(run, outside, ports):
    beyond, (one, two, other) = outside(), ports.free(3)
    container = run(ports={"80/tcp": [one, two], "81/tcp": other})
    ports.answer(container, 80, "here")
    ports.answer(container, 81, "other")
    seen = [ports.ask(beyond.container, beyond.engine_address, port) for port in (one, two, other)]
    expect_equal("who answers", ["here", "here", "other"], seen)


@behaviour(
    "ports.reach.late-listener",
    "A port that was asked before anybody listened in the container MUST be answered once somebody "
    "does, at 127.0.0.1 and from outside.",
    source="containers/podman#5648",
    bugs=("podman#5648",),
)
def test_late_listener_is_reached(run, outside, ports):
    beyond, (port,) = outside(), ports.free()
    container = run(ports={"80/tcp": port})
    askers = ((None, LOOPBACK), (beyond.container, beyond.engine_address))
    for where, address in askers:
        expect_not_equal("too soon", "here", ports.ask(where, address, port))
    ports.answer(container, 80, "here")
    seen = [ports.ask(where, address, port) for where, address in askers]
    expect_equal("who answers", ["here", "here"], seen)


@behaviour(
    "ports.reach.late-listener-ipv6",
    "A port that was asked at [::1] before anybody listened in the container, TCP or UDP, MUST be "
    "answered there once somebody does; a UDP client keeps its source port.",
    source="moby#52483: the userland proxy lost the next datagram; containers/podman#5648",
    docker=">=20.10.6",
    bugs=("moby#52483", "podman#5648"),
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_late_listener_is_reached_by_ipv6(run, sockets, ports, kind):
    (port,) = ports.free()
    container = run(ports={f"80/{kind}": port})
    client = sockets.make(None, kind, ipv6=True)
    ask_over(client, LOOPBACK_IPV6, port, timeout_s=0.3)
    ports.answer(container, 80, "here", kind=kind)
    if kind == "tcp":
        client = sockets.make(None, kind, ipv6=True)
    expect_equal("who answers", "here", ask_over(client, LOOPBACK_IPV6, port))


@behaviour(
    "ports.changes.udp-client-source",
    "A UDP client outside that asked before the container was started, and goes on from the same "
    "source port, MUST be seen in the container by its own address.",
    source="moby#44688: the flow led to the userland proxy; mended in 23.0 (#44752)",
    bugs=("moby#44688",),
    concerns=nobody,
)
def test_udp_client_keeps_its_address(create, outside, sockets, ports):
    beyond, (port,) = outside(), ports.free()
    container = create(ports={"53/udp": port})
    client = sockets.make(beyond.container, "udp")
    ask_over(client, beyond.engine_address, port, timeout_s=0.2)
    container.start()
    answering = ports.answer(container, 53, "here", kind="udp")
    eventually(
        "the container answers",
        lambda: ask_over(client, beyond.engine_address, port, timeout_s=1) == "here",
    )
    expect_equal("whom the container sees", {beyond.address}, set(answering.sources))


@behaviour(
    "ports.choice.past-the-taken",
    "A port of the engine's choice MUST be none that another container publishes or a process of "
    "the machine has, also where those have the ports that come next.",
    source="moby#7158, moby#4628, moby#9441",
    bugs=("moby#7158", "moby#4628"),
)
def test_choice_passes_over_taken_ports(run, sockets, ports):
    last = host_port(run(ports={"80/tcp": None}), "80/tcp")
    allowed = ports.ephemeral()
    begin = last if last + 9 < allowed.stop else allowed.start
    taken = []
    for port in range(begin + 1, begin + 6):
        server = sockets.make(None, "tcp")
        try:
            server.bind((LOOPBACK, port))
        except OSError:
            continue  # somebody else's
        taken.append(port)
        server.listen()
    fixed = next(port for port in range(begin + 6, begin + 60) if is_free(sockets, port))
    run(ports={"80/tcp": fixed})
    chosen = [host_port(run(ports={"80/tcp": None}), "80/tcp") for _ in range(2)]
    expect_equal("those that are taken already", set(), set(chosen) & {last, fixed, *taken})


def is_free(sockets, port):
    """Tell whether nobody has a port of the machine."""
    probe = sockets.make(None, "tcp")
    try:
        probe.bind(("", port))
    except OSError:
        return False
    finally:
        probe.close()
    return True


@behaviour(
    "ports.choice.beside-a-fixed-one",
    "A container that publishes one port on a fixed port of the machine and others on ports of the "
    "engine's choice MUST start, also where the fixed one comes next.",
    source="moby#12148; up to 27.x it is left to chance which port is taken first",
    docker=">=28.0",
    bugs=("moby#12148",),
    concerns=nobody,
)
def test_chosen_port_beside_a_fixed_one(run, sockets, ports):
    last = host_port(run(ports={"80/tcp": None}), "80/tcp")
    fixed = next(port for port in range(last + 1, last + 60) if is_free(sockets, port))
    container = run(ports={"80/tcp": None, "81/tcp": fixed, "82/tcp": None})
    found = [host_port(container, f"{port}/tcp") for port in (80, 81, 82)]
    expect_equal("the fixed port", fixed, found[1])
    expect_equal("how many ports there are", 3, len(set(found)))


@behaviour(
    "ports.conflict.none-lost-at-once",
    "Starts that are refused, kills and removals of many containers at once MUST NOT lose a "
    "published port: when all are gone, one container gets every one of them.",
    source="moby#36591, moby#20486, moby/libnetwork#575: port is already allocated, by nobody",
    bugs=("moby#36591",),
)
def test_no_port_is_lost_at_once(create, run, ports):
    wanted = ports.free(3)

    def live_and_end(number):
        # each asks for two of the three ports: most starts are refused, after the first one or both
        asked = {"80/tcp": wanted[number % 3], "81/tcp": wanted[(number + 1) % 3]}
        container = create(ports=asked)
        for _ in range(2):
            if is_started(container):
                container.kill()
                container.wait()
        container.remove(force=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live_and_end, range(6)))
    heir = run(ports={f"{80 + at}/tcp": port for at, port in enumerate(wanted)})
    found = [host_port(heir, f"{80 + at}/tcp") for at in range(3)]
    expect_equal("the ports", wanted, found)


@behaviour(
    "ports.networks.chosen-port",
    "When a running container is disconnected from its network and connected again, or to another "
    "one, a port of the engine's choice MUST be reached where inspect says, and be closed where it "
    "was before if it has moved.",
    source="moby#20918; docker/cli#2909",
    bugs=("moby#20918", "cli#2909"),
)
def test_chosen_port_after_a_reconnect(run, network, ports):
    first, second = network(), network()
    container = run(network=first.name, ports={"80/tcp": None})
    ports.answer(container, 80, "here")
    before = host_port(container, "80/tcp")
    for left, joined in ((first, first), (first, second)):
        left.disconnect(container)
        expect_equal("the bindings without a network", [], bindings(container, "80/tcp"))
        joined.connect(container)
        now = host_port(container, "80/tcp")
        expect_equal("who answers", "here", ports.ask(None, LOOPBACK, now))
        if now != before:
            expect_equal("at the former port", "refused", ports.ask(None, LOOPBACK, before))
        before = now


@behaviour(
    "ports.networks.chosen-port-stays",
    "A connect of a running container to a further network SHOULD leave a port of the engine's "
    "choice as it was.",
    source="moby#44137: it is chosen anew where the default route moves",
    bugs=("moby#44137",),
)
def test_chosen_port_stays_at_a_connect(run, network, new_name, ports):
    # which network has the default route may be a matter of their names
    before_it, its_own, behind_it = (network(new_name(name)) for name in "amz")
    container = run(network=its_own.name, ports={"80/tcp": None})
    before = host_port(container, "80/tcp")
    for net in (behind_it, before_it):
        net.connect(container)
        expect_equal("the port", before, host_port(container, "80/tcp"))
