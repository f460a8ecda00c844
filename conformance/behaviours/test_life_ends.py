"""How a container ends: at once, when its client hangs up, without networks, without a bridge."""

import time
from contextlib import suppress

from docker.errors import NotFound

from conformance.assertions import expect_equal, expect_fields, expect_in
from conformance.engines.processes import run_tool
from conformance.observe.own_process import kill_process
from conformance.observe.poll import eventually
from conformance.observe.ports import ports_of
from conformance.observe.trap import trapping, wait_until_trapping
from conformance.registry import behaviour

# Takes a second to end, as a database that writes its data out, and says how it ended.
SLOW_END = trapping("TERM", "echo heard; sleep 2; exit 7")
DEAF = ["sh", "-c", "trap '' TERM; while :; do sleep 3600; done"]
PATIENCE_S = 40


def ask_and_hang_up(engine, container, path):
    """Send a POST, and go away once the container has heard its stop signal."""
    wait_until_trapping(container)
    with engine.connect() as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nHost: engine\r\n\r\n".encode())
        # no exec: not every engine allows one in a container that is being stopped
        eventually("it has heard the signal", lambda: b"heard" in container.logs())


@behaviour(
    "life.hang-up.restart",
    "A restart whose client hangs up between its stop and its start MUST be finished: the "
    "container runs, on its networks.",
    source="moby#46697, mended in 24.0.7: the stop and the start do not end with the request",
    bugs=("moby#46697",),
)
def test_restart_goes_on_without_its_client(run, network, engine, inspect, inspect_network):
    net = network()
    container = run(SLOW_END, network_mode=net.name)
    path = f"/containers/{container.id}/restart?t=30"
    ask_and_hang_up(engine, container, path)

    def runs_anew():
        state = inspect(container)["State"]
        was = container.attrs["State"]["StartedAt"]
        return state["Status"] == "running" and state["StartedAt"] != was

    eventually("it runs anew", runs_anew, timeout_s=30)
    expect_equal("the members", [container.id], list(inspect_network(net)["Containers"]))


@behaviour(
    "life.hang-up.stop",
    "A stop whose client hangs up MUST still give the container its time: it ends with its own "
    "exit code, and is off its network.",
    source="moby#45731, mended in 23.0.9 and 24.0.3: the stop does not end with the request",
    bugs=("moby#45731",),
)
def test_stop_goes_on_without_its_client(run, network, engine, inspect, inspect_network):
    net = network()
    container = run(SLOW_END, network_mode=net.name)
    path = f"/containers/{container.id}/stop?t=30"
    ask_and_hang_up(engine, container, path)

    def ended():
        return inspect(container)["State"]["Status"] == "exited"

    eventually("it has ended", ended, timeout_s=30)
    expect_equal("the exit code", 7, inspect(container)["State"]["ExitCode"])
    eventually("it is off its network", lambda: not inspect_network(net)["Containers"])


@behaviour(
    "life.stop.timeout-zero",
    "A stop with a time of 0 MUST kill a container that does not end by its stop signal at once, "
    "whatever time it has of its own, at its second run, too.",
    source="Docker Engine API, ContainerStop: t; moby containerStop v17.06",
    bugs=("moby#34879",),
)
def test_stop_without_patience(create_raw, client, inspect):
    answer = create_raw({"Cmd": DEAF, "StopTimeout": PATIENCE_S})
    container = client.containers.get(answer.json()["Id"])
    for _ in range(2):
        container.start()
        asked = time.monotonic()
        container.stop(timeout=0)
        expect_equal("it waited", False, time.monotonic() - asked > PATIENCE_S / 2)
        wanted = {"Status": "exited", "ExitCode": 137}
        expect_fields("the state", wanted, inspect(container)["State"])


@behaviour(
    "life.restart.auto-remove",
    "A restart of a container with AutoRemove MUST NOT remove it; its end afterwards MUST.",
    source="moby daemon containerRestart v17.03: no AutoRemove while it is restarted",
)
def test_restart_keeps_a_container_with_auto_remove(run, network, client, inspect, api):
    net = network()
    container = run(network_mode=net.name, auto_remove=True)
    container.restart(timeout=1)
    document = inspect(container)
    expect_equal("its status", "running", document["State"]["Status"])
    expect_equal("AutoRemove", True, document["HostConfig"]["AutoRemove"])
    container.kill()

    def is_gone():
        return api("GET", f"/containers/{container.id}/json").status == 404

    eventually("it is removed", is_gone)


@behaviour(
    "life.auto-remove.waited-for",
    "Who waits for the removal of a container with AutoRemove MUST find its name, its address and "
    "its port free when the wait ends.",
    source="Docker Engine API, ContainerWait: condition removed; moby daemon ContainerRm v17.06",
    needs=("host-view",),
    bugs=("podman#11384",),
)
def test_everything_is_free_after_the_removal(run, create, network, subnets, client, ports):
    subnet, (port,) = subnets.ipv4(), ports.free()
    net, address = network(subnet=subnet), f"{subnet.rpartition('.')[0]}.77"
    name = ""
    for _ in range(2):
        asked = {"name": name} if name else {}
        container = create(auto_remove=True, ports={"80/tcp": port}, **asked)
        net.connect(container, ipv4_address=address)
        container.start()
        container.stop(timeout=0)
        with suppress(NotFound):  # it was removed before the wait began
            client.api.wait(container.id, condition="removed", timeout=30)
        name = container.name
    heir = run(name=name, ports={"80/tcp": port})
    expect_equal("the status of the next one", "running", heir.status)


@behaviour(
    "life.no-network.starts-again",
    "A container that was disconnected from its last network MUST leave no namespace when it is "
    "stopped, and MUST start and restart without a network.",
    source="moby#31996 v17.05: a sandbox for a container without networks; users: moby#31597",
    needs=("host-view",),
    bugs=("moby#31597",),
)
def test_container_without_networks_starts_again(run, network, inspect, host):
    net = network()
    container = run(network_mode=net.name)
    net.disconnect(container)
    old = inspect(container)["NetworkSettings"]["SandboxKey"]
    container.stop(timeout=0)
    expect_equal("its namespace is left", False, old in host.netns_mounts())
    container.start()
    container.restart(timeout=0)
    document = inspect(container)
    expect_equal("its status", "running", document["State"]["Status"])
    expect_equal("its networks", {}, document["NetworkSettings"]["Networks"])
    expect_equal("its links", ["lo"], sorted(host.netns_of(document["State"]["Pid"]).links()))


@behaviour(
    "life.end.no-bridge",
    "With the daemon option `bridge: none` a container that ended MUST leave no pinned namespace.",
    source="moby#42461 v24.0.7: releaseNetwork also where the container has no network",
    needs=("bridge-option", "host-view"),
    bugs=("moby#42461",),
)
def test_container_without_a_bridge_leaves_nothing(own_daemon):
    daemon = own_daemon({"bridge": "none"})
    before = set(daemon.host.netns_mounts())
    stopped, killed, removed = (daemon.run() for _ in range(3))
    for _ in range(2):
        stopped.stop(timeout=0)
        stopped.start()
    stopped.stop(timeout=0)
    killed.kill()
    removed.remove(force=True)

    def is_clean():
        return set(daemon.host.netns_mounts()) == before

    eventually("no namespace is left", is_clean)


@behaviour(
    "life.end.namespace-gone",
    "A container whose namespace was unmounted and whose process was killed MUST be released all "
    "the same: its address and its port serve the next one.",
    source="libnetwork sandbox.delete v17.06: goes on past errors; users: netavark#1451",
    needs=("host-view",),
    bugs=("netavark#1451",),
)
def test_container_whose_namespace_is_gone_is_released(own_daemon, subnets):
    daemon = own_daemon()  # an engine may leave its rules
    subnet = subnets.ipv4()
    net, address = daemon.network(subnet=subnet), f"{subnet.rpartition('.')[0]}.77"
    with ports_of(daemon.host) as ports:
        (port,) = ports.free()
        old, new, heir = (
            daemon.create(ports=wish) for wish in ({"80/tcp": port}, {"80/tcp": port}, {})
        )
        net.connect(new)
        for one in (old, heir):
            net.connect(one, ipv4_address=address)
        old.start()
        document = daemon.inspect(old)
        key = document["NetworkSettings"]["SandboxKey"]
        mounts = f"--mount=/proc/{daemon.host.inside.pid}/ns/mnt"
        expect_in("the key", "netns", key)
        run_tool("nsenter", mounts, "umount", "-l", key)
        kill_process(document["State"]["Pid"])
        left = "it is off its network"
        eventually(left, lambda: not daemon.inspect_network(net)["Containers"])
        heir.start()
        expect_in("the members", heir.id, daemon.inspect_network(net)["Containers"])
        new.start()
        new.reload()
        ports.answer(new, 80, "the next one")
        expect_equal("who answers", "the next one", ports.ask(None, "127.0.0.1", port))


@behaviour(
    "life.rename.next-start",
    "A container without a name of its user's that was renamed MUST be resolved by its new name "
    "at its next start, too, and its first name MUST NOT be.",
    source="moby daemon ContainerRename v17.06: IsAnonymousEndpoint",
    bugs=("moby#22466",),
)
def test_new_name_is_there_at_the_next_start(run, create, network, new_name, dns):
    net = network()
    asker = run(network_mode=net.name)
    container = create(name=None, network_mode=net.name)
    container.reload()
    old, name = container.name, new_name("renamed")
    container.rename(name)
    container.start()
    container.restart(timeout=0)
    expect_equal("the addresses of the new name", 1, len(dns.addresses(asker, name)))
    expect_equal("the addresses of the first name", [], dns.addresses(asker, old))


@behaviour(
    "life.start.bridge-learning",
    "A container MUST start on a bridge whose ports do not forward yet, as with STP.",
    source="moby#49705 v28.1: the state of the bridge's port is not waited for",
    needs=("host-view",),
    bugs=("moby#49661",),
)
def test_bridge_port_that_does_not_forward_yet(run, network, host, inspect_network):
    net = network()
    first = run(network_mode=net.name).attrs["NetworkSettings"]["Networks"][net.name]
    bridge = host.daemon_netns().link_with(first["Gateway"])
    run_tool(
        "nsenter", f"--net={host.daemon_netns().path}", "ip", "link", "set", bridge,
        "type", "bridge", "forward_delay", "3000", "stp_state", "1",
    )  # fmt: skip
    container = run(network_mode=net.name)
    expect_in("the members", container.id, inspect_network(net)["Containers"])
    links = host.netns_of(container.attrs["State"]["Pid"]).links()
    expect_equal("its links", ["eth0", "lo"], sorted(links))
