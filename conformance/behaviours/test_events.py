"""What an engine announces while it starts and stops containers."""

from conformance.assertions import expect_equal, expect_fields, expect_in, expect_refused
from conformance.registry import behaviour


def pairs_of(events):
    return [event.pair for event in events]


def network_actions(events, container):
    """Give (action, network) of what was announced of a container's networks, in order."""
    announced = events.collect("network", actor=container.id)
    return [(event.action, event.attributes["name"]) for event in announced]


@behaviour(
    "events.start.connect-before-start",
    "A start MUST announce a `connect` for each network, all before the container's `start`.",
    source="seed initializeNetworking: connectToNetwork comes before the process is started",
    tier="core",
)
def test_connects_come_before_the_start(create, network, client, events):
    nets = [client.networks.get("bridge"), network(), network()]
    container = create()
    for net in nets[1:]:
        net.connect(container)
    events.restart()
    container.start()
    seen = events.wait_for("container", "start", actor=container.id)
    pairs = [event.pair for event in seen]
    expect_equal("the events", [("network", "connect")] * 3 + [("container", "start")], pairs)
    announced = sorted(event.actor for event in seen[:3])
    expect_equal("the networks that were announced", sorted(net.id for net in nets), announced)


@behaviour(
    "events.network.connect-attributes",
    "The events `connect` and `disconnect` MUST have the network's id as actor and the attributes "
    "`container` (the full id), `name` and `type`.",
    source="moby daemon LogNetworkEventWithAttributes v17.06",
    bugs=("moby#23304",),
)
def test_network_events_say_who_and_where(run, network, events):
    net, container = network(), run()
    events.restart()
    net.connect(container)
    net.disconnect(container)
    seen = events.collect("network", actor=container.id)
    attributes = {"container": container.id, "name": net.name, "type": "bridge"}
    wanted = [("connect", net.id, attributes), ("disconnect", net.id, attributes)]
    found = [(event.action, event.actor, event.attributes) for event in seen]
    expect_equal("the events", wanted, found[:2])


@behaviour(
    "events.network.create-destroy",
    "A network's `create` and `destroy` MUST have its id as actor and the attributes `name` and "
    "`type`.",
    source="moby daemon LogNetworkEvent v17.06",
)
def test_networks_are_announced(network, events):
    net = network()
    net.remove()
    attributes = {"name": net.name, "type": "bridge"}
    wanted = [("create", net.id, attributes), ("destroy", net.id, attributes)]
    seen = events.collect("network", actor=net.id)
    expect_equal("the events", wanted, [(e.action, e.actor, e.attributes) for e in seen])


@behaviour(
    "events.stop.die-before-disconnect",
    "A stop MUST announce `kill`, then `die`, one `disconnect` per network, and `stop` last.",
    source="moby daemon/monitor.go, releaseNetwork v17.06; v23.0 has `die` after the release",
    docker="<23.0",
)
def test_stop_announces_die_then_the_networks(run, network, events):
    container = run()
    network().connect(container)
    events.restart()
    container.stop()
    seen = events.wait_for("container", "stop", actor=container.id)
    gone = [("network", "disconnect")] * 2
    wanted = [("container", "kill"), ("container", "die"), *gone, ("container", "stop")]
    expect_equal("the events", wanted, pairs_of(seen))
    expect_equal("the networks", 2, len({event.actor for event in seen[2:4]}))


@behaviour(
    "events.stop.kill-per-signal",
    "A stop that needs SIGKILL MUST announce `kill` for each signal, with its number, and then one "
    "`die` with the exit code 137.",
    source="moby daemon killWithSignal, containerStop v17.06",
)
def test_each_signal_is_announced(run, events):
    container = run(["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
    events.restart()
    container.stop(timeout=0)
    events.wait_for("container", "stop", actor=container.id)
    seen = events.wait_for("container", "die", actor=container.id)
    signals = [event.attributes["signal"] for event in seen if event.action == "kill"]
    expect_equal("the signals", ["15", "9"], signals)
    codes = [event.attributes["exitCode"] for event in seen if event.action == "die"]
    expect_equal("the exit codes", ["137"], codes)


@behaviour(
    "events.container.attributes",
    "A container's events MUST have its id as actor and its image, its name and its labels as "
    "attributes.",
    source="moby daemon LogContainerEventWithAttributes v17.06",
)
def test_container_events_say_who(run, events):
    container = run(labels={"colour": "red"})
    seen = events.wait_for("container", "start", actor=container.id)
    image = container.attrs["Config"]["Image"]
    wanted = {"image": image, "name": container.name, "colour": "red"}
    own = [event for event in seen if event.type == "container"]
    expect_equal("the events", ["create", "start"], [event.action for event in own])
    for event in own:
        expect_equal("the actor", container.id, event.actor)
        expect_fields(f"the attributes of {event.action}", wanted, event.attributes)


@behaviour(
    "events.container.rename",
    "A rename MUST be announced once, with the new name as `name` and the old one, with its slash, "
    "as `oldName`.",
    source="moby daemon/rename.go v17.06",
)
def test_rename_says_both_names(run, events, new_name):
    container, name = run(), new_name("renamed")
    old = container.name
    events.restart()
    container.rename(name)
    [event] = events.wait_for("container", "rename", actor=container.id)
    expect_fields("the names", {"name": name, "oldName": f"/{old}"}, event.attributes)


@behaviour(
    "events.container.pause",
    "Pausing and resuming a container MUST announce `pause` and `unpause`, and nothing of its "
    "networks.",
    source="moby daemon/pause.go, daemon/unpause.go v17.06",
)
def test_pause_leaves_the_networks_alone(run, events):
    container = run()
    events.restart()
    container.pause()
    container.unpause()
    seen = events.wait_for("container", "unpause", actor=container.id)
    expect_equal("the events", [("container", "pause"), ("container", "unpause")], pairs_of(seen))


@behaviour(
    "events.exit.die-before-disconnect",
    "A container that exits by itself MUST announce `die`, then `disconnect`; with AutoRemove "
    "`destroy` comes last.",
    source="moby daemon/monitor.go v17.06; v23.0 has `die` after the release",
    docker="<23.0",
)
def test_exit_announces_die_then_the_network(create, events):
    container = create(["true"], auto_remove=True)
    events.restart()
    container.start()
    seen = events.wait_for("container", "destroy", actor=container.id)
    begin = [("network", "connect"), ("container", "start")]
    end = [("container", "die"), ("network", "disconnect"), ("container", "destroy")]
    expect_equal("the events", begin + end, pairs_of(seen))


@behaviour(
    "events.restart.order",
    "A restart MUST announce `disconnect` and `stop`, then the new `connect`, `start`, and "
    "`restart` last.",
    source="moby daemon/restart.go containerRestart v17.06",
)
def test_restart_announces_both_halves(run, events):
    container = run()
    events.restart()
    container.restart()
    seen = pairs_of(events.wait_for("container", "restart", actor=container.id))
    wanted = ["disconnect", "stop", "connect", "start", "restart"]
    found = [action for _, action in seen if action in wanted]
    expect_equal("the events", wanted, found)
    expect_equal("the deaths", 1, seen.count(("container", "die")))


@behaviour(
    "events.disconnect.live-twice",
    "A live disconnect MUST be announced; these releases do it twice.",
    source="moby daemon DisconnectFromNetwork v17.04; moby#48797",
    tier="quirk",
    docker="<28.0",
)
def test_live_disconnect_is_announced_twice(run, network, events):
    net, container = network(), run()
    net.connect(container)
    events.restart()
    net.disconnect(container)
    expect_equal("the events", [("disconnect", net.name)] * 2, network_actions(events, container))


@behaviour(
    "events.stopped.disconnect-alone",
    "Connecting a container that does not run MUST NOT be announced; disconnecting it MUST be, "
    "once.",
    source="moby daemon ConnectToNetwork, DisconnectFromNetwork v17.06",
    tier="quirk",
    docker="<28.0",
)
def test_stopped_containers_disconnect_is_announced(create, network, events):
    net, container = network(), create()
    net.connect(container)
    expect_equal("the events of the connect", [], network_actions(events, container))
    net.disconnect(container)
    expect_equal("the events", [("disconnect", net.name)], network_actions(events, container))


@behaviour(
    "events.failure.first-network-silent",
    "A start that fails at its first network MUST announce neither `connect` nor `start`.",
    source="moby daemon connectToNetwork v17.06: it returns before the event",
)
def test_failure_at_the_first_network_is_silent(create_raw, client, network, run, events):
    net = network()
    owner = run(network_mode=net.name)
    taken = owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    endpoints = {net.name: {"IPAMConfig": {"IPv4Address": taken}}}
    body = {"HostConfig": {"NetworkMode": net.name}}
    answer = create_raw({**body, "NetworkingConfig": {"EndpointsConfig": endpoints}})
    expect_equal("the status of create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    events.restart()
    expect_refused(container.start)
    actions = {event.action for event in events.collect(actor=container.id)}
    expect_equal("what was announced", set(), actions & {"connect", "start"})
    # the same start is announced once the address is free
    owner.remove(force=True)
    container.start()
    actions = {event.action for event in events.collect(actor=container.id)}
    expect_equal("what was announced then", {"connect", "start"}, actions & {"connect", "start"})


@behaviour(
    "events.failure.later-network",
    "A start that fails at a later network MUST announce `connect` for those before it, and then "
    "`disconnect` for every recorded network, also the one that failed; never `start`.",
    source="moby daemon releaseNetwork v17.06: it loops over all of Networks",
    tier="quirk",
)
def test_failure_at_a_later_network_disconnects_all(create, network, run, events):
    container, net = create(), network()
    owner = run(network_mode=net.name)
    taken = owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    net.connect(container, ipv4_address=taken)
    events.restart()
    expect_refused(container.start)
    announced = network_actions(events, container)
    wanted = sorted([("disconnect", "bridge"), ("disconnect", net.name)])
    expect_equal("the last events", wanted, sorted(announced[-2:]))
    # `bridge` comes first up to 27.x, and anywhere since
    expect_in("the events before", announced[:-2], ([("connect", "bridge")], []))
    starts = [e.action for e in events.collect("container", actor=container.id)]
    expect_equal("the starts", 0, starts.count("start"))


@behaviour(
    "events.crash.no-disconnect",
    "An engine that was killed with its containers MUST NOT announce a `disconnect` for them when "
    "it is back; their next start announces its `connect`.",
    source="moby daemon restore v17.06: no releaseNetwork",
    tier="quirk",
)
def test_crash_announces_no_disconnect(own_daemon):
    daemon = own_daemon()
    container = daemon.run()
    daemon.engine.kill_everything()
    daemon.engine.resume()
    events = daemon.events()
    found = events.collect("network", actor=container.id)
    expect_equal("the network events", [], found)
    daemon.client.containers.get(container.id).start()
    seen = events.wait_for("container", "start", actor=container.id)
    wanted = [("network", "connect"), ("container", "start")]
    expect_equal("the events of the start", wanted, pairs_of(seen))
