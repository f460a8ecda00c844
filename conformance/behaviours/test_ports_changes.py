"""Published ports while things change: stops, restarts, networks that come and go, crashes."""

import pytest

from conformance.assertions import expect_equal, expect_in, expect_not_equal
from conformance.observe.poll import eventually
from conformance.observe.ports import ask_over, bindings, host_port, ports_of
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

LOOPBACK = "127.0.0.1"


@behaviour(
    "ports.changes.stop",
    "After a stop nobody MUST answer on a published port: TCP and UDP are refused.",
    source="libnetwork drivers/bridge releasePorts v17.06",
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_is_closed_after_a_stop(run, outside, ports, kind):
    beyond, (port,) = outside(), ports.free()
    container = run(ports={f"80/{kind}": port})
    ports.answer(container, 80, "here", kind=kind)
    seen = [ports.ask(beyond.container, beyond.engine_address, port, kind=kind)]
    container.stop(timeout=0)
    seen.append(ports.ask(beyond.container, beyond.engine_address, port, kind=kind, timeout_s=1))
    seen.append(ports.ask(None, LOOPBACK, port, kind=kind, timeout_s=1))
    expect_equal("before, from outside, by loopback", ["here", "refused", "refused"], seen)


def has_address(container):
    container.reload()
    return any(one["IPAddress"] for one in container.attrs["NetworkSettings"]["Networks"].values())


@behaviour(
    "ports.changes.own-end",
    "When a container's process ends by itself its ports MUST be given back.",
    source="moby daemon monitor.go v17.06: releaseNetwork",
)
def test_port_is_free_after_the_process_ended(run, ports):
    (port,) = ports.free()
    container = run(["true"], ports={"80/tcp": port})
    container.wait()
    # an engine may tell the end before it has released the network
    eventually("it has no address", lambda: not has_address(container))
    expect_equal("nobody answers", "refused", ports.ask(None, LOOPBACK, port))
    ports.answer(run(ports={"80/tcp": port}), 80, "heir")
    expect_equal("who answers", "heir", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.changes.restart",
    "After a restart a container MUST be reached at its fixed port again, whatever address it has "
    "then.",
    source="libnetwork drivers/bridge v17.06",
    bugs=("podman#23832",),
)
def test_port_leads_to_the_restarted_container(run, network, outside, ports):
    net, beyond, (port,) = network(), outside(), ports.free()
    container = run(network=net.name, ports={"80/tcp": port})
    before = address_in(container, net)
    container.stop(timeout=0)
    heir = run(network=net.name)  # takes the address that is free now
    if before != address_in(heir, net):
        net.connect(run(), ipv4_address=before)
    container.start()
    expect_not_equal("the address", before, address_in(container, net))
    ports.answer(container, 80, "here")
    expect_equal("who answers", "here", ports.ask(beyond.container, beyond.engine_address, port))


@behaviour(
    "ports.changes.rename",
    "A rename MUST leave the published ports as they are.",
    source="moby daemon rename.go v17.06",
)
def test_rename_leaves_the_ports(run, new_name, ports):
    (port,) = ports.free()
    container = run(ports={"80/tcp": port})
    ports.answer(container, 80, "here")
    before = bindings(container, "80/tcp")
    container.rename(new_name("renamed"))
    expect_equal("the bindings", before, bindings(container, "80/tcp"))
    expect_equal("who answers", "here", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.changes.pause",
    "A container that was paused MUST answer on its port when it goes on.",
    source="moby daemon pause v17.06: the network is left alone",
)
def test_port_works_after_a_pause(run, ports):
    (port,) = ports.free()
    container = run(ports={"80/tcp": port})
    ports.answer(container, 80, "here")
    container.pause()
    container.unpause()
    expect_equal("who answers", "here", ports.ask(None, LOOPBACK, port))


@behaviour(
    "ports.changes.udp-client",
    "A UDP client that keeps its source port MUST reach the restarted container, at whatever "
    "address it has then.",
    source="libnetwork iptables conntrack: flows of the old address are deleted; moby#8795",
    bugs=("moby#8795",),
)
@pytest.mark.parametrize("is_outside", [True, False])
def test_udp_client_survives_a_restart(run, network, outside, sockets, ports, is_outside):
    net, beyond, (port,) = network(), outside(), ports.free()
    container = run(network=net.name, ports={"53/udp": port})
    ports.answer(container, 53, "before", kind="udp")
    client = sockets.make(beyond.container if is_outside else None, "udp")
    expect_equal("before", "before", ask_over(client, beyond.engine_address, port))
    old = address_in(container, net)
    container.stop(timeout=0)
    net.connect(run(), ipv4_address=old)
    ask_over(client, beyond.engine_address, port, timeout_s=0.2)  # the client goes on asking
    container.start()
    ports.answer(container, 53, "after", kind="udp")
    eventually(
        "the container answers",
        lambda: ask_over(client, beyond.engine_address, port, timeout_s=1) == "after",
    )


@behaviour(
    "ports.changes.udp-client-while-down",
    "A UDP client that asked before the container was started MUST be answered once it runs, from "
    "the same source port.",
    source="libnetwork iptables conntrack v17.06; moby#8795",
    bugs=("moby#8795",),
)
def test_udp_client_asks_before_the_start(create, outside, sockets, ports):
    beyond, (port,) = outside(), ports.free()
    container = create(ports={"53/udp": port})
    client = sockets.make(beyond.container, "udp")
    ask_over(client, beyond.engine_address, port, timeout_s=0.2)
    container.start()
    ports.answer(container, 53, "here", kind="udp")
    eventually(
        "the container answers",
        lambda: ask_over(client, beyond.engine_address, port, timeout_s=1) == "here",
    )


@behaviour(
    "ports.networks.connect",
    "A connect of a running container to a further network MUST leave its published port "
    "reachable.",
    source="libnetwork sandbox v17.06: RevokeExternalConnectivity, ProgramExternalConnectivity",
)
@pytest.mark.parametrize("is_first_bridge", [True, False])
def test_port_survives_a_connect(run, network, outside, ports, is_first_bridge):
    beyond, (port,) = outside(), ports.free()
    options = {} if is_first_bridge else {"network": network().name}
    container = run(ports={"80/tcp": port}, **options)
    ports.answer(container, 80, "here")
    for _ in range(3):
        network().connect(container)
        answer = ports.ask(beyond.container, beyond.engine_address, port)
        expect_equal("who answers", "here", answer)
    expect_in("the bindings", str(port), [taken for _, taken in bindings(container, "80/tcp")])


@behaviour(
    "ports.networks.disconnect",
    "A container on several networks MUST stay reachable at its published port as long as it is "
    "on one of them, whichever it is disconnected from.",
    source="libnetwork endpoint.sbLeave v17.06: the port moves with the default route",
)
def test_port_survives_disconnects(run, network, outside, ports):
    beyond, (port,) = outside(), ports.free()
    nets = [network() for _ in range(3)]
    container = run(network=nets[0].name, ports={"80/tcp": port})
    for net in nets[1:]:
        net.connect(container)
    ports.answer(container, 80, "here")
    for net in nets[:2]:
        net.disconnect(container)
        answer = ports.ask(beyond.container, beyond.engine_address, port)
        expect_equal("who answers", "here", answer)


@behaviour(
    "ports.networks.last-disconnect",
    "A container that is disconnected from its last network MUST give its port back, and MUST "
    "publish it again when it is connected to a network.",
    source="libnetwork endpoint.sbLeave, sbJoin v17.06",
)
def test_port_goes_with_the_last_network(run, network, outside, ports):
    beyond, (port,) = outside(), ports.free()
    first, second = network(), network()
    container = run(network=first.name, ports={"80/tcp": port})
    ports.answer(container, 80, "here")
    seen = [ports.ask(beyond.container, beyond.engine_address, port)]
    first.disconnect(container)
    seen.append(ports.ask(beyond.container, beyond.engine_address, port, timeout_s=1))
    second.connect(container)
    seen.append(ports.ask(beyond.container, beyond.engine_address, port))
    expect_equal("before, without, after", ["here", "refused", "here"], seen)


@behaviour(
    "ports.networks.none-left-inspect",
    "A running container that was disconnected from its last network MUST have no binding in "
    "`Ports`, and MUST have it again when it is connected to a network.",
    source="moby daemon network.go getEndpointPortMapInfo v17.06",
    bugs=("moby#20918",),
)
def test_bindings_go_with_the_last_network(run, network, ports):
    first, second, (port,) = network(), network(), ports.free()
    container = run(network=first.name, ports={"80/tcp": (LOOPBACK, port)})
    first.disconnect(container)
    expect_equal("the bindings without", [], bindings(container, "80/tcp"))
    second.connect(container)
    expect_equal("the bindings with", [(LOOPBACK, str(port))], bindings(container, "80/tcp"))


@behaviour(
    "ports.networks.default-route",
    "With several networks the port MUST lead to the container's address on the network of its "
    "default route, and move with it.",
    source="libnetwork sandbox getGatewayEndpoint v17.06",
)
def test_port_is_carried_by_the_network_of_the_default_route(run, network, host, outside, ports):
    beyond, (port,) = outside(), ports.free()
    nets = [network() for _ in range(3)]
    container = run(network=nets[0].name, ports={"80/tcp": port})
    for net in nets[1:]:
        net.connect(container)
    gateways = {}
    for net in nets:
        ports.answer(container, 80, net.name, address=address_in(container, net))
        gateways[address_in(container, net, "Gateway")] = net
    while gateways:
        gateway = host.netns_of(container.attrs["State"]["Pid"]).default_gateway()
        carrier = gateways.pop(gateway)
        answer = ports.ask(beyond.container, beyond.engine_address, port)
        expect_equal("the network that the port leads to", carrier.name, answer)
        carrier.disconnect(container)


@behaviour(
    "ports.internal.not-published",
    "A container on an internal network MUST NOT publish anything: nobody answers on the port, "
    "and it stays free.",
    source="libnetwork v17.06: an internal network has no external connectivity",
)
def test_internal_network_publishes_nothing(run, network, outside, ports):
    beyond, (port,) = outside(), ports.free()
    container = run(network=network(internal=True).name, ports={"80/tcp": port})
    ports.answer(container, 80, "inner")
    expect_equal("the bindings", [], bindings(container, "80/tcp"))
    ways = ((beyond.container, beyond.engine_address), (None, LOOPBACK))
    for who, address in ways:
        expect_equal("who answers", "refused", ports.ask(who, address, port, timeout_s=1))
    ports.answer(run(ports={"80/tcp": port}), 80, "other")
    for who, address in ways:
        expect_equal("who answers then", "other", ports.ask(who, address, port))


@behaviour(
    "ports.internal.connected",
    "A container on an internal network MUST publish its port as soon as it is connected to a "
    "network that is not.",
    source="libnetwork v17.06: BuildCreateEndpointOptions on connect",
)
def test_connected_container_publishes(run, network, outside, ports):
    beyond, net, (port,) = outside(), network(), ports.free()
    container = run(network=network(internal=True).name, ports={"80/tcp": port})
    net.connect(container)
    ports.answer(container, 80, "here")
    expect_equal("the port of inspect", port, host_port(container, "80/tcp"))
    answer = ports.ask(beyond.container, beyond.engine_address, port)
    expect_equal("who answers", "here", answer)


def with_ports_and_an_internal_network(setup):
    for one in setup.containers:
        inside = {end.network: setup.network(end.network).is_internal for end in one.endpoints}
        if one.ports and len(set(inside.values())) > 1:
            why = "it publishes ports, and one of its networks is internal"
            change = "its ports are not published any more when it leaves all the others"
            yield one.effect("later", why, change)


@behaviour(
    "ports.internal.disconnected",
    "A container that is left with an internal network alone MUST NOT publish its port any more.",
    source="libnetwork endpoint.sbLeave v17.06; moby 28.0",
    concerns=with_ports_and_an_internal_network,
)
def test_disconnected_container_publishes_nothing(run, network, outside, ports):
    beyond, net, (port,) = outside(), network(), ports.free()
    container = run(network=net.name, ports={"80/tcp": port})
    network(internal=True).connect(container)
    ports.answer(container, 80, "here")
    answer = ports.ask(beyond.container, beyond.engine_address, port)
    expect_equal("who answers before", "here", answer)
    net.disconnect(container)
    for who, address in ((beyond.container, beyond.engine_address), (None, LOOPBACK)):
        expect_not_equal("who answers", "here", ports.ask(who, address, port, timeout_s=1))
    expect_equal("the bindings", [], bindings(container, "80/tcp"))


@behaviour(
    "ports.crash.everything-killed",
    "After the engine was killed with all its containers and started again, nobody MUST answer on "
    "their ports; another container MUST get them, or they themselves when they are started.",
    source="libnetwork sandboxCleanup v17.06",
)
def test_ports_after_the_engine_was_killed_with_everything(own_daemon):
    daemon = own_daemon()
    with ports_of(daemon.host) as ports:
        one, two = ports.free(2)
        containers = [daemon.run(ports={"80/tcp": one, "53/udp": two})]
        daemon.engine.kill_everything()
        daemon.engine.resume()
        seen = [
            ports.ask(None, LOOPBACK, one, timeout_s=1),
            ports.ask(None, LOOPBACK, two, kind="udp", timeout_s=1),
        ]
        expect_equal("who answers on the two", ["refused", "refused"], seen)
        heir = daemon.run(ports={"80/tcp": one})
        ports.answer(heir, 80, "heir")
        expect_equal("who answers", "heir", ports.ask(None, LOOPBACK, one))
        heir.remove(force=True)
        again = daemon.client.containers.get(containers[0].id)
        again.start()
        ports.answer(again, 80, "again")
        expect_equal("who answers at last", "again", ports.ask(None, LOOPBACK, one))


@behaviour(
    "ports.crash.daemon-killed",
    "After the daemon alone was killed and started again, a container that is started anew MUST "
    "be reached at its ports, TCP and UDP.",
    source="libnetwork sandboxCleanup v17.06",
)
def test_ports_after_the_daemon_alone_was_killed(own_daemon):
    daemon = own_daemon()
    with ports_of(daemon.host) as ports:
        one, two = ports.free(2)
        container = daemon.run(ports={"80/tcp": one, "53/udp": two})
        daemon.engine.kill()
        daemon.engine.resume()
        again = daemon.client.containers.get(container.id)
        again.restart(timeout=0)
        expect_equal("who answers", ["here", "here"], answers_of_both(ports, again, one, two))


@behaviour(
    "ports.crash.graceful",
    "After a graceful restart of the engine a container that is started anew MUST be reached at "
    "its ports, TCP and UDP.",
    source="moby daemon shutdown, restore v17.06",
)
def test_ports_after_a_graceful_restart(own_daemon):
    daemon = own_daemon()
    with ports_of(daemon.host) as ports:
        one, two = ports.free(2)
        container = daemon.run(ports={"80/tcp": one, "53/udp": two})
        daemon.engine.restart()
        again = daemon.client.containers.get(container.id)
        again.restart(timeout=0)
        expect_equal("who answers", ["here", "here"], answers_of_both(ports, again, one, two))


@behaviour(
    "ports.crash.restart-policy",
    "A container that the engine starts by itself (restart policy `always`) after it was killed "
    "with everything MUST be reached at its fixed port.",
    source="moby daemon restore v17.06",
)
def test_ports_of_a_container_that_comes_up_with_the_engine(own_daemon):
    daemon = own_daemon()
    with ports_of(daemon.host) as ports:
        (port,) = ports.free()
        always = {"Name": "always"}
        container = daemon.run(ports={"80/tcp": port}, restart_policy=always)
        daemon.engine.kill_everything()
        daemon.engine.resume()
        again = daemon.client.containers.get(container.id)

        def is_new():
            state = daemon.inspect(again)["State"]
            return state["Running"] and state["Pid"] not in (0, container.attrs["State"]["Pid"])

        eventually("it runs anew", is_new, timeout_s=30)
        ports.answer(again, 80, "here")
        expect_equal("who answers", "here", ports.ask(None, LOOPBACK, port))


def answers_of_both(ports, container, tcp, udp):
    """Answer on 80/tcp and 53/udp of a container, and give what is heard on its host ports."""
    ports.answer(container, 80, "here")
    ports.answer(container, 53, "here", kind="udp")
    return [ports.ask(None, LOOPBACK, tcp), ports.ask(None, LOOPBACK, udp, kind="udp")]
