"""Published ports on an engine of one's own: its options, its machine's settings, its restarts."""

from pathlib import Path

from conformance.assertions import expect_equal, expect_true
from conformance.engines.processes import run_tool
from conformance.observe.outside import attach_outside
from conformance.observe.poll import eventually
from conformance.observe.ports import host_port, ports_of
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

LOOPBACK = "127.0.0.1"


def set_in_netns(daemon, name, value):
    """Change a kernel setting in the namespace of an engine of one's own."""
    path = "/proc/sys/net/" + name
    netns = daemon.host.daemon_netns().path
    run_tool("nsenter", f"--net={netns}", "sh", "-c", f"echo '{value}' >{path}")


@behaviour(
    "ports.choice.machines-range",
    "A port of the engine's choice MUST be within net.ipv4.ip_local_port_range as the machine has "
    "set it, also where that is no default.",
    source="moby#43054, mended in 20.10.22",
    needs=("host-view",),
    bugs=("moby#43054",),
)
def test_chosen_port_is_of_the_machines_range(own_daemon):
    daemon = own_daemon()
    set_in_netns(daemon, "ipv4/ip_local_port_range", "21000 21099")
    daemon.engine.restart()  # engines read it once
    container = daemon.run(ports={"80/tcp": None, "53/udp": None})
    for port in ("80/tcp", "53/udp"):
        number = host_port(container, port)
        expect_true(f"{number} is of 21000-21099", number in range(21000, 21100))


@behaviour(
    "ports.reach.without-ipv6",
    "On a machine that has IPv6 switched off (net.ipv6.conf.all.disable_ipv6) a published port "
    "MUST be reached at 127.0.0.1, TCP and UDP.",
    source="docker/for-linux#1233: 20.10.6 refused the start where the kernel has no IPv6",
    needs=("host-view",),
)
def test_port_on_a_machine_without_ipv6(own_daemon):
    daemon = own_daemon()
    for scope in ("all", "default", "lo"):
        set_in_netns(daemon, f"ipv6/conf/{scope}/disable_ipv6", "1")
    with ports_of(daemon.host) as ports:
        (port,) = ports.free()
        container = daemon.run(ports={"80/tcp": port, "80/udp": port})
        for kind in ("tcp", "udp"):
            ports.answer(container, 80, kind, kind=kind)
            expect_equal("who answers", kind, ports.ask(None, LOOPBACK, port, kind=kind))


@behaviour(
    "ports.reach.icc-off-without-userland-proxy",
    "Without the userland proxy, too, a peer MUST reach a published port at the gateway of a "
    "network with enable_icc=false.",
    source="moby#53713",
    needs=("host-view", "userland-proxy-option"),
    bugs=("moby#53713",),
)
def test_port_without_icc_and_without_the_proxy(own_daemon):
    daemon = own_daemon({"userland-proxy": False})
    net = daemon.network(options={"com.docker.network.bridge.enable_icc": "false"})
    with ports_of(daemon.host) as ports:
        (port,) = ports.free()
        peer = daemon.run(network=net.name)
        ports.answer(daemon.run(network=net.name, ports={"80/tcp": port}), 80, "here")
        answer = ports.ask(peer, address_in(peer, net, "Gateway"), port, timeout_s=2)
        expect_equal("who answers", "here", answer)


@behaviour(
    "ports.crash.outside",
    "A host outside MUST reach the ports, TCP and UDP, of a container with the restart policy "
    "`always` after each of two graceful restarts of the engine.",
    source="containers/podman#18746: half of the time it did not",
    needs=("host-view",),
    bugs=("podman#18746",),
)
def test_port_is_reached_from_outside_after_restarts(own_daemon, run, subnets):
    daemon, beyond = own_daemon(), run(network_mode="none")
    with ports_of(daemon.host) as ports:
        there = attach_outside(daemon.host, beyond, subnets.ipv4(), "ni-wire0")
        tcp, udp = ports.free(2)
        asked = {"80/tcp": tcp, "53/udp": udp}
        container = daemon.run(ports=asked, restart_policy={"Name": "always"})
        answering = 0
        for _ in range(2):
            daemon.engine.restart()
            eventually("it runs", lambda: is_alive(daemon, container), timeout_s=30)
            again = daemon.client.containers.get(container.id)
            if again.attrs["State"]["Pid"] != answering:  # some engines leave it running
                ports.answer(again, 80, "tcp")
                ports.answer(again, 53, "udp", kind="udp")
                answering = again.attrs["State"]["Pid"]
            seen = [
                ports.ask(there.container, there.engine_address, tcp),
                ports.ask(there.container, there.engine_address, udp, kind="udp"),
            ]
            expect_equal("who answers", ["tcp", "udp"], seen)


def is_alive(daemon, container):
    """Tell whether a container runs: it has a process, one of now."""
    state = daemon.inspect(container)["State"]
    return state["Running"] and Path(f"/proc/{state['Pid']}").exists()


@behaviour(
    "ports.choice.before-a-fixed-one",
    "When an engine starts with two containers that their policy starts, a port of its choice for "
    "the first one SHOULD NOT be the fixed port of the second one.",
    source="moby#10749: a container with fixed ports does not come back after a boot",
    needs=("host-view",),
    bugs=("moby#10749",),
)
def test_chosen_port_leaves_the_fixed_one_at_boot(own_daemon):
    daemon, always = own_daemon(), {"Name": "always"}
    chosen = daemon.run(ports={"80/tcp": None}, restart_policy=always)
    links = {chosen.name: "first"}  # so that it is the first one to be started
    fixed = daemon.run(ports={"80/tcp": 21000}, links=links, restart_policy=always)
    set_in_netns(daemon, "ipv4/ip_local_port_range", "21000 21099")
    daemon.engine.restart()

    def is_through():
        state = daemon.inspect(fixed)["State"]
        return state["Running"] or state["Error"]

    eventually("it was started, or refused", is_through, timeout_s=30)
    expect_equal("the second one runs", True, is_alive(daemon, fixed))
    expect_equal("its port", 21000, host_port(daemon.client.containers.get(fixed.id), "80/tcp"))
