"""Published ports: what happens when a port is taken, by a container or by another process."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import docker.errors
import pytest

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_fields,
    expect_in,
    expect_refused,
)
from conformance.observe.ports import bindings, host_port
from conformance.registry import behaviour

LOOPBACK = "127.0.0.1"
# A restart policy repeats after 100 ms, then 200 ms, and so on.
REPETITION_S = 2.0


def expect_nothing_kept(inspect, inspect_network, container, net):
    """Expect a start that was refused to have left the network on the container, and no more."""
    document = inspect(container)
    expect_equal("the members of the network", {}, inspect_network(net)["Containers"])
    endpoint = document["NetworkSettings"]["Networks"][net.name]
    for field in ("EndpointID", "IPAddress", "Gateway", "MacAddress"):
        expect_empty(field, endpoint[field])
    expect_fields("the state", {"Running": False, "Pid": 0}, document["State"])


@behaviour(
    "ports.conflict.container",
    "A start MUST be refused when another container publishes the port, TCP or UDP, and MUST "
    "leave its network recorded and no address.",
    source="libnetwork endpoint.sbJoin v17.06; portallocator ErrPortAlreadyAllocated",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_of_another_container(run, create, network, ports, inspect, inspect_network, kind):
    net, (port,) = network(), ports.free()
    asked = {f"80/{kind}": port}
    run(ports=asked)
    container = create(network=net.name, ports=asked)
    expect_refused(container.start)
    expect_nothing_kept(inspect, inspect_network, container, net)


@behaviour(
    "ports.conflict.container-text",
    "The refusal of a port that another container publishes MUST be 500 and name the endpoint, "
    "the host's address and the port: `... Bind for 0.0.0.0:<port> failed: port is already "
    "allocated`.",
    source="libnetwork endpoint.sbJoin v17.06; portallocator ErrPortAlreadyAllocated",
    tier="quirk",
    docker="<28.0",
)
def test_text_about_a_port_of_another_container(run, create, ports):
    (port,) = ports.free()
    run(ports={"80/tcp": port})
    container = create(ports={"80/tcp": port})
    text = (
        rf"^driver failed programming external connectivity on endpoint {container.name} "
        rf"\([0-9a-f]{{64}}\): Bind for 0\.0\.0\.0:{port} failed: port is already allocated$"
    )
    expect_api_error(container.start, 500, re.compile(text))


@behaviour(
    "ports.conflict.container-text-set-up",
    "The refusal of a port that another container publishes MUST be 500, name the host's address "
    "and the port, and say before it that the container's networking failed to be set up.",
    source="moby 28.0 daemon/start.go: failed to set up container networking",
    tier="quirk",
    docker=">=28.0",
    replaces=("ports.conflict.container-text",),
)
def test_later_text_about_a_port_of_another_container(run, create, ports):
    (port,) = ports.free()
    run(ports={"80/tcp": port})
    container = create(ports={"80/tcp": port})
    text = (
        "^failed to set up container networking: driver failed programming external connectivity "
        rf"on endpoint {container.name} \([0-9a-f]{{64}}\): Bind for 0\.0\.0\.0:{port} failed: "
        "port is already allocated$"
    )
    expect_api_error(container.start, 500, re.compile(text))


@behaviour(
    "ports.conflict.state",
    "A container whose start was refused for a port MUST have the status `created`, the exit code "
    "128 and the refusal in State.Error.",
    source="moby daemon containerStart v17.06",
    tier="quirk",
)
def test_state_after_a_taken_port(run, create, ports, inspect):
    (port,) = ports.free()
    run(ports={"80/tcp": port})
    container = create(ports={"80/tcp": port})
    expect_refused(container.start)
    state = inspect(container)["State"]
    expect_fields("the state", {"Status": "created", "ExitCode": 128}, state)
    expect_in("State.Error", f"0.0.0.0:{port} failed: port is already allocated", state["Error"])


@behaviour(
    "ports.conflict.process",
    "A start MUST be refused when a process of the engine's machine listens on the TCP port, and "
    "MUST leave its network recorded and no address.",
    source="libnetwork portmapper v17.06: the userland proxy cannot bind",
)
def test_port_of_a_process(create, network, sockets, ports, inspect, inspect_network):
    net, (port,) = network(), ports.free()
    sockets.serve(None, port=port)
    container = create(network=net.name, ports={"80/tcp": port})
    expect_refused(container.start)
    expect_nothing_kept(inspect, inspect_network, container, net)


@behaviour(
    "ports.conflict.process-udp",
    "A start MUST be refused when a process of the engine's machine has the UDP port, and MUST "
    "leave its network recorded and no address.",
    source="libnetwork portmapper v17.06: the userland proxy cannot bind; moby#50669",
    bugs=("moby#50669",),
)
def test_udp_port_of_a_process(create, network, sockets, ports, inspect, inspect_network):
    net, (port,) = network(), ports.free()
    sockets.serve(None, port=port, kind="udp")
    container = create(network=net.name, ports={"53/udp": port})
    expect_refused(container.start)
    expect_nothing_kept(inspect, inspect_network, container, net)


def with_fixed_udp_ports(setup):
    for one in setup.containers:
        for key, wanted in one.ports.items():
            if key.endswith("/udp") and any(port for _, port in wanted):
                why = f"it publishes {key} on a fixed port"
                yield one.effect("later", why, "a process that shares that port is not told of")


@behaviour(
    "ports.conflict.process-udp-shared",
    "A start MUST be refused when a process of the engine's machine has the UDP port, though that "
    "process lets others have it, too (SO_REUSEADDR).",
    source="moby#50669: 28.0 published it all the same; mended in 29.0",
    bugs=("moby#50669",),
    concerns=with_fixed_udp_ports,
)
def test_shared_udp_port_of_a_process(create, sockets, ports):
    (port,) = ports.free()
    server = sockets.make(None, "udp")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", port))
    expect_refused(create(ports={"53/udp": port}).start)


@behaviour(
    "ports.conflict.process-text",
    "The refusal of a port that a process has MUST be 500 and end with `Error starting userland "
    "proxy: listen tcp4 0.0.0.0:<port>: bind: address already in use`.",
    source="libnetwork portmapper v17.06: the userland proxy cannot bind",
    tier="quirk",
    docker="<28.0",
)
def test_text_about_a_port_of_a_process(create, sockets, ports):
    (port,) = ports.free()
    sockets.serve(None, port=port)
    container = create(ports={"80/tcp": port})
    text = (
        rf"^driver failed programming external connectivity on endpoint {container.name} "
        rf"\([0-9a-f]{{64}}\): Error starting userland proxy: listen tcp4 0\.0\.0\.0:{port}: "
        "bind: address already in use$"
    )
    expect_api_error(container.start, 500, re.compile(text))


@behaviour(
    "ports.conflict.process-text-bind",
    "The refusal of a port that a process has MUST be 500 and end with `failed to bind host "
    "port ...: address already in use`.",
    source="moby 28.0 libnetwork drivers/bridge bindPort",
    tier="quirk",
    docker=">=28.0",
    replaces=("ports.conflict.process-text",),
)
def test_later_text_about_a_port_of_a_process(create, sockets, ports):
    (port,) = ports.free()
    sockets.serve(None, port=port)
    container = create(ports={"80/tcp": port})
    text = rf"failed to bind host port .*0\.0\.0\.0:{port}.*: address already in use$"
    expect_api_error(container.start, 500, re.compile(text))


@behaviour(
    "ports.conflict.claimed",
    "While a port is published no process of the engine's machine MUST be able to bind it, TCP or "
    "UDP.",
    source="libnetwork portmapper v17.06: the userland proxy has it",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_published_port_cannot_be_bound(run, sockets, ports, kind):
    (port,) = ports.free()
    container = run(ports={f"80/{kind}": port})
    claims = []
    for _ in range(2):
        server = sockets.make(None, kind)
        try:
            server.bind(("", port))
        except OSError as exc:
            claims.append(exc.strerror)
        else:
            claims.append("bound")
            server.close()
        container.stop(timeout=0)
    expect_equal("while it runs, afterwards", ["Address already in use", "bound"], claims)


@behaviour(
    "ports.conflict.others-stay",
    "A start that is refused for a port MUST leave the container that has the port reachable.",
    source="libnetwork drivers/bridge v17.06: what was done of a failed endpoint is undone",
)
def test_port_goes_on_working_after_a_refusal(run, create, ports):
    (port,) = ports.free()
    ports.answer(run(ports={"80/tcp": port}), 80, "owner")
    late = create(ports={"80/tcp": port})
    for _ in range(3):
        expect_refused(late.start)
    expect_equal("who answers", "owner", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.conflict.all-or-nothing",
    "A start that is refused for one of its ports MUST leave the others free.",
    source="libnetwork drivers/bridge allocatePorts v17.06: releasePorts on failure",
)
def test_refused_start_gives_its_other_ports_back(run, create, ports):
    taken, *free = ports.free(3)
    run(ports={"81/tcp": taken})
    asked = {"80/tcp": free[0], "81/tcp": taken, "82/tcp": free[1]}
    expect_refused(create(ports=asked).start)
    heir = run(ports={"80/tcp": free[0], "82/tcp": free[1]})
    for inside, port in zip((80, 82), free, strict=True):
        ports.answer(heir, inside, "heir")
        expect_equal("who answers", "heir", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.conflict.freed-by-stop",
    "A container that was refused a port MUST start, and be reached there, once the container "
    "that had it has stopped.",
    source="libnetwork drivers/bridge releasePorts v17.06",
)
def test_port_is_free_after_a_stop(run, create, ports):
    (port,) = ports.free()
    owner, heir = run(ports={"80/tcp": port}), create(ports={"80/tcp": port})
    expect_refused(heir.start)
    owner.stop(timeout=0)
    heir.start()
    ports.answer(heir, 80, "heir")
    expect_equal("who answers", "heir", ports.ask(None, LOOPBACK, port))
    expect_refused(owner.start)


@behaviour(
    "ports.conflict.none-lost",
    "Starts that fail, kills and removals, again and again, MUST NOT lose a published port.",
    source="moby#36591, moby#20486: port is already allocated, by nobody",
    bugs=("moby#36591",),
)
def test_no_port_is_lost(run, create, ports):
    one, two = ports.free(2)
    for end in ("kill", "stop", "removal"):
        owner = run(ports={"80/tcp": one, "81/tcp": two})
        late = create(ports={"80/tcp": one, "81/tcp": two})
        expect_refused(late.start)
        if end == "kill":
            owner.kill()
        elif end == "stop":
            owner.stop(timeout=0)
        owner.remove(force=True)
        late.start()
        expect_equal(f"the port after a {end}", one, host_port(late, "80/tcp"))
        late.remove(force=True)


@behaviour(
    "ports.conflict.at-once",
    "Of containers that are started at once with one fixed port exactly one MUST get it, and be "
    "reached there.",
    source="libnetwork portallocator v17.06: one lock",
)
def test_one_of_many_gets_the_port(create, ports):
    (port,) = ports.free()
    containers = [create(ports={"80/tcp": port}) for _ in range(5)]

    def start(container):
        try:
            container.start()
        except docker.errors.APIError:
            return []
        return [container]

    with ThreadPoolExecutor(len(containers)) as pool:
        started = [one for found in pool.map(start, containers) for one in found]
    expect_equal("how many were started", 1, len(started))
    ports.answer(started[0], 80, "winner")
    expect_equal("who answers", "winner", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.conflict.no-restart",
    "A start that is refused for a port MUST NOT be repeated by the restart policy: the container "
    "keeps the status `created`, with no restart counted.",
    source="moby#49501, mended in 28.0.1",
    bugs=("moby#49501",),
)
def test_restart_policy_does_not_repeat_a_refused_start(run, create, ports, inspect):
    (port,) = ports.free()
    owner = run(ports={"80/tcp": port})
    container = create(ports={"80/tcp": port}, restart_policy={"Name": "always"})
    expect_refused(container.start)
    owner.remove(force=True)
    time.sleep(REPETITION_S)  # a repetition would succeed now
    heir = run(ports={"80/tcp": port})
    ports.answer(heir, 80, "heir")
    expect_equal("who answers", "heir", ports.ask(None, LOOPBACK, port))
    document = inspect(container)
    expect_fields("the state", {"Status": "created", "Running": False}, document["State"])
    expect_equal("RestartCount", 0, document["RestartCount"])


@behaviour(
    "ports.conflict.connect-leaves-the-rest",
    "A connect of a running container that is refused for a port MUST leave what it publishes and "
    "the networks that it is on as they were.",
    source="libnetwork endpoint.sbJoin v17.06",
)
def test_refused_connect_leaves_the_rest(run, network, ports, sockets):
    inner, net, (port,) = network(internal=True), network(), ports.free()
    container, peer = run(network=inner.name, ports={"80/tcp": port}), run(network=inner.name)
    ports.answer(run(ports={"80/tcp": port}), 80, "owner")
    expect_refused(lambda: net.connect(container))
    sockets.serve(container, port=80)
    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"][inner.name]["IPAddress"]
    expect_equal("the bindings", [], bindings(container, "80/tcp"))
    expect_equal("from its peer", "connected", sockets.outcome(peer, address, 80))
    expect_equal("who answers on the port", "owner", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.conflict.wildcard-and-address",
    "A port that is published on every address MUST NOT be published on one of them by another "
    "container, nor the other way round.",
    source="libnetwork portallocator v17.06; the userland proxy cannot bind",
)
@pytest.mark.parametrize("is_wildcard_first", [True, False])
def test_wildcard_and_address_conflict(run, create, ports, is_wildcard_first):
    (port,) = ports.free()
    asked = [{"80/tcp": port}, {"80/tcp": (LOOPBACK, port)}]
    first, second = asked if is_wildcard_first else reversed(asked)
    run(ports=first)
    expect_refused(create(ports=second).start)


@behaviour(
    "ports.conflict.process-on-other-address",
    "A port that a process has on one address of the machine MUST be publishable on another.",
    source="libnetwork portmapper v17.06: the proxy binds the host address",
)
def test_process_on_another_address(run, sockets, ports):
    (port,) = ports.free()
    server = sockets.serve(None, "127.0.0.2", port)
    container = run(ports={"80/tcp": (LOOPBACK, port)})
    ports.answer(container, 80, "here")
    expect_equal("who answers", "here", ports.ask(None, LOOPBACK, port))
    expect_equal("the process", "connected", sockets.outcome(None, "127.0.0.2", port))
    expect_equal("its socket", socket.SOCK_STREAM, server.type)
