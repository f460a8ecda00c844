"""Restart policies while the engine runs: what is started again, how often, on which networks."""

import time

from conformance.assertions import expect_equal, expect_fields
from conformance.observe.own_process import kill_process
from conformance.observe.poll import eventually
from conformance.observe.restarts import wait_between_restarts, wait_for_restart
from conformance.registry import behaviour

FAILS = ["sh", "-c", "exit 3"]
HEARS_HUP = ["sh", "-c", "trap 'touch /heard' HUP; touch /up; while :; do sleep 1; done"]
ALWAYS = {"Name": "always"}
# How long to look for a start that must not come: longer than a policy's first wait.
QUIET_S = 1.0


def kill_process_of(container):
    container.reload()
    kill_process(container.attrs["State"]["Pid"])


def signal_and_kill(container, exec_in):
    """Send a signal that the container lives on with, and end its process once it was heard."""

    def has(path):
        return exec_in(container, "test", "-e", path).exit_code == 0

    eventually("it is ready for the signal", lambda: has("/up"))
    container.kill("HUP")
    eventually("it has heard the signal", lambda: has("/heard"))
    kill_process_of(container)


@behaviour(
    "restart.policy.on-failure-count",
    "A container with the policy `on-failure` and N retries MUST be started again N times when it "
    "fails each time, no more, and be `exited` and off its network then.",
    source="Docker documentation, start containers automatically; moby restartmanager v17.06",
    bugs=("moby#9923",),
)
def test_failing_container_is_started_again_so_often(
    run, network, inspect, inspect_network, events
):
    net, retries = network(), 2
    policy = {"Name": "on-failure", "MaximumRetryCount": retries}
    container = run(FAILS, network_mode=net.name, restart_policy=policy)

    def is_given_up():
        document = inspect(container)
        return document["State"]["Status"] == "exited" and document["RestartCount"] >= retries

    eventually("it is given up", is_given_up, timeout_s=30)
    time.sleep(QUIET_S)
    wanted = {"Status": "exited", "ExitCode": 3, "Running": False, "Restarting": False}
    expect_fields("the state", wanted, inspect(container)["State"])
    expect_equal("the restarts", retries, inspect(container)["RestartCount"])
    seen = events.collect("container", actor=container.id)
    expect_equal("the starts", retries + 1, [event.action for event in seen].count("start"))
    expect_equal("the members", {}, inspect_network(net)["Containers"] or {})


@behaviour(
    "restart.policy.network-works",
    "A container that its policy starts again MUST be reached at its published port, and by its "
    "name on every network that it was on.",
    source="moby daemon monitor.go StateExit, containerStart v17.03",
    needs=("host-view",),
    bugs=("podman#8047",),
)
def test_policy_brings_the_network_back(run, create, network, inspect, exec_in, ports):
    nets, (port,) = [network(), network()], ports.free()
    asked = {"network_mode": nets[0].name, "ports": {"80/tcp": port}}
    container = create(restart_policy=ALWAYS, **asked)
    nets[1].connect(container)
    container.start()
    peers = [run(network_mode=net.name, cap_add=["NET_RAW"]) for net in nets]
    kill_process_of(container)
    wait_for_restart(inspect, container, 1)
    container.reload()
    ports.answer(container, 80, "back")
    expect_equal("the answer at its port", "back", ports.ask(None, "127.0.0.1", port))
    for peer, net in zip(peers, nets, strict=True):
        ping = exec_in(peer, "ping", "-c1", "-W5", container.name)
        expect_equal(f"the exit code of ping on {net.name}", 0, ping.exit_code)


@behaviour(
    "restart.policy.unless-stopped-again",
    "A container with the policy `unless-stopped` that was stopped and started MUST be started "
    "again when its process ends.",
    source="Docker documentation, start containers automatically; moby containerStart v17.06",
)
def test_start_makes_a_stop_forgotten(run, inspect):
    container = run(restart_policy={"Name": "unless-stopped"})
    container.stop(timeout=0)
    container.start()
    kill_process_of(container)
    wait_for_restart(inspect, container, 1)


@behaviour(
    "restart.policy.unless-stopped-signalled",
    "A container with the policy `unless-stopped` that was sent a signal which is not its stop "
    "signal, and lived on, MUST be started again when its process ends later.",
    source="Docker documentation, start containers automatically: unless it is stopped",
    bugs=("moby#41302",),
)
def test_signal_that_stops_nothing_is_no_stop(run, inspect, exec_in):
    container = run(HEARS_HUP, stop_signal="SIGTERM", restart_policy={"Name": "unless-stopped"})
    signal_and_kill(container, exec_in)
    wait_for_restart(inspect, container, 1)


@behaviour(
    "restart.policy.always-signalled",
    "A container with the policy `always` that was sent a signal which is not its stop signal, "
    "and lived on, MUST be started again when its process ends later.",
    source="moby killWithSignal v17.06: only the stop signal ends the policy",
    bugs=("moby#11065",),
)
def test_signal_leaves_always_in_force(run, inspect, exec_in):
    container = run(HEARS_HUP, stop_signal="SIGTERM", restart_policy=ALWAYS)
    signal_and_kill(container, exec_in)
    wait_for_restart(inspect, container, 1)


@behaviour(
    "restart.policy.killed",
    "A container with the policy `always` and a stop signal of its own that is killed MUST be "
    "`exited` once the kill is answered, and MUST NOT be started again.",
    source="moby killWithSignal v17.12: SIGKILL is a stop, whatever the stop signal is",
    bugs=("moby#33334",),
)
def test_kill_ends_the_policy(run, inspect):
    container = run(restart_policy=ALWAYS, stop_signal="SIGUSR1")
    container.kill()
    time.sleep(QUIET_S)
    document = inspect(container)
    expect_fields("the state", {"Status": "exited", "Running": False}, document["State"])
    expect_equal("the restarts", 0, document["RestartCount"])


@behaviour(
    "restart.policy.stop-between",
    "A container that is stopped between two restarts MUST be `exited` in inspect and in the list, "
    "and MUST NOT be started again.",
    source="moby daemon containerStop; restartmanager Cancel v17.06",
    bugs=("moby#38720",),
)
def test_stop_between_two_restarts_is_the_end(run, network, client, inspect, inspect_network):
    net = network()
    container = run(FAILS, network_mode=net.name, restart_policy=ALWAYS)
    wait_between_restarts(inspect, container)
    container.stop(timeout=1)

    def listed():
        [entry] = client.api.containers(all=True, filters={"id": container.id})
        return entry["State"]

    eventually("it is listed as exited", lambda: listed() == "exited")
    starts = inspect(container)["State"]["StartedAt"]
    time.sleep(2 * QUIET_S)
    state = inspect(container)["State"]
    wanted = {"Status": "exited", "Restarting": False, "StartedAt": starts}
    expect_fields("the state a while later", wanted, state)
    expect_equal("its state in the list", "exited", listed())
    expect_equal("the members", {}, inspect_network(net)["Containers"] or {})


@behaviour(
    "restart.policy.remove-between",
    "A container that is removed by force between two restarts MUST be gone for good: its name is "
    "free, and nothing of it is started again.",
    source="moby daemon ContainerRm; restartmanager Cancel v17.06",
)
def test_removal_between_two_restarts_is_the_end(run, network, client, inspect, inspect_network):
    net = network()
    container = run(FAILS, network_mode=net.name, restart_policy=ALWAYS)
    wait_between_restarts(inspect, container)
    container.remove(force=True)
    heir = run(name=container.name, network_mode=net.name)
    time.sleep(2 * QUIET_S)
    ids = [one["Id"] for one in client.api.containers(all=True, filters={"name": heir.name})]
    expect_equal("who has the name", [heir.id], ids)
    expect_equal("the members", [heir.id], list(inspect_network(net)["Containers"]))
