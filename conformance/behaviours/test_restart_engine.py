"""What comes back with the engine, and how: joiners, networks, removals, events."""

import json
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPException
from urllib.parse import quote

from docker.errors import DockerException
from docker.types import IPAMConfig, IPAMPool

from conformance.assertions import expect_equal, expect_not_equal
from conformance.observe.events import wire_time
from conformance.observe.files import addresses_of
from conformance.observe.outside import attach_outside
from conformance.observe.poll import eventually
from conformance.observe.remains import status_of, wait_for_status
from conformance.observe.sockets import Sockets
from conformance.registry import behaviour

ALWAYS = {"Name": "always"}
SETTLE_S = 30


def wait_for_start(daemon, container):
    """Wait until an engine that comes back has started a container, or has failed to."""

    def seen():
        state = daemon.inspect(container)["State"]
        return state["Status"] if state["Running"] or state["Error"] else ""

    what = f"the status of {container.name} is running"
    expect_equal(what, "running", eventually(what, seen))


@behaviour(
    "restart.engine.joiners",
    "A container with a link and those that share its network MUST all run after a restart of the "
    "engine, in its namespace, and the alias MUST be the address of the linked one.",
    source="moby#50327 v29.0: a joiner waits for its target, as a linker for what it is linked to",
    needs=("host-view",),
    bugs=("moby#50326", "moby#17118"),
)
def test_joiners_come_back_with_their_target(own_daemon):
    daemon = own_daemon()
    linked = daemon.run(restart_policy=ALWAYS)
    # Docker begins with all at once. Without the link the target would often be fast enough.
    target = daemon.run(links={linked.name: "first"}, restart_policy=ALWAYS)
    mode = f"container:{target.id}"
    joiners = [daemon.run(network_mode=mode, restart_policy=ALWAYS) for _ in range(3)]
    daemon.engine.restart()
    wait_for_status(daemon, target, "running", timeout_s=SETTLE_S)
    inodes = []
    for one in (target, *joiners):
        wait_for_start(daemon, one)
        process = daemon.inspect(one)["State"]["Pid"]
        inodes.append(daemon.host.netns_of(process).inode())
    expect_equal("the namespaces", [inodes[0]] * 4, inodes)
    address = daemon.inspect(linked)["NetworkSettings"]["IPAddress"]
    hosts = daemon.exec_in(target, "cat", "/etc/hosts").stdout
    expect_equal("the alias", [address], addresses_of(hosts, "first"))


@behaviour(
    "restart.engine.never-started",
    "An engine that starts MUST leave containers alone that were created and never started, "
    "whatever their policy.",
    source="moby daemon restore: HasBeenStartedBefore v17.06",
)
def test_container_that_never_ran_is_not_started(own_daemon):
    daemon = own_daemon()
    policies = ("always", "unless-stopped", "on-failure")
    created = [daemon.create(restart_policy={"Name": name}) for name in policies]
    witness = daemon.run(restart_policy=ALWAYS)
    daemon.engine.restart()
    wait_for_status(daemon, witness, "running", timeout_s=SETTLE_S)
    statuses = {name: status_of(daemon, one) for name, one in zip(policies, created, strict=True)}
    expect_equal("the statuses", dict.fromkeys(policies, "created"), statuses)


@behaviour(
    "restart.engine.network-inspect",
    "Inspect MUST show the same of a network after a restart of the engine as before, save for its "
    "pools, and an internal one MUST lead nobody out then, where another one does.",
    source="libnetwork network MarshalJSON; libnetwork#1076 v1.12",
    needs=("host-view",),
    bugs=("moby#21849",),
)
def test_networks_are_as_before(own_daemon, run):
    daemon, beyond = own_daemon(), run(network_mode="none")
    icc = {"com.docker.network.bridge.enable_icc": "false"}
    pools = [IPAMPool(subnet=one) for one in (daemon.subnets.ipv4(), daemon.subnets.ipv6())]
    both = IPAMConfig(pool_configs=pools)
    nets = [
        daemon.network(internal=True),
        daemon.network(attachable=True, options=icc),
        daemon.network(enable_ipv6=True, ipam=both),
    ]

    before = [daemon.inspect_network(net.id) for net in nets]
    daemon.engine.restart()
    for document in before:
        now = daemon.inspect_network(document["Id"])
        for field in set(document) - {"IPAM"}:
            expect_equal(f"{field} of {document['Name']}", document[field], now[field])
    there = attach_outside(daemon.host, beyond, daemon.subnets.ipv4(), "ni-wire0")
    with closing(Sockets(daemon.host)) as sockets:
        sockets.serve(beyond, port=80)
        inside, other = (daemon.run(network=net.name) for net in nets[:2])
        seen = [sockets.outcome(one, there.address, 80) for one in (other, inside)]
    expect_equal("another one leads out", "connected", seen[0])
    expect_not_equal("the internal one leads out", "connected", seen[1])


@behaviour(
    "crash.ends.announced",
    "An engine MUST announce `die`, with the exit code that it shows, for each container that "
    "outlived a killed one and that it ended.",
    source="moby daemon restore: shutdownContainer; monitor.go handleContainerExit v20.10",
)
def test_ends_of_survivors_are_announced(own_daemon):
    daemon = own_daemon()
    containers = [daemon.run() for _ in range(2)]
    events = daemon.events()
    daemon.engine.kill()
    daemon.engine.resume()
    for one in containers:
        wait_for_status(daemon, one, "exited")
    seen = [event for event in events.collect("container") if event.action == "die"]
    codes = {one.id: str(daemon.inspect(one)["State"]["ExitCode"]) for one in containers}
    expect_equal("who died", codes, {one.actor: one.attributes["exitCode"] for one in seen})


@behaviour(
    "crash.ends.failed",
    "A container whose process was gone with a killed engine MUST be shown as failed: its exit "
    "code is not 0, and the policy `on-failure` starts it again.",
    source="moby#45800 v24.0.3: 255 where nobody saw the end",
    bugs=("moby#45788",),
)
def test_container_that_went_with_the_engine_has_failed(own_daemon):
    daemon = own_daemon()
    container, again = daemon.run(), daemon.run(restart_policy={"Name": "on-failure"})
    daemon.engine.kill_everything()
    daemon.engine.resume()
    wait_for_status(daemon, container, "exited")
    expect_not_equal("the exit code", 0, daemon.inspect(container)["State"]["ExitCode"])
    wait_for_status(daemon, again, "running", timeout_s=SETTLE_S)


@behaviour(
    "crash.during-removals",
    "An engine that was killed while it removed containers MUST have each of them whole or not at "
    "all: what is listed can be removed by force, and then all names are free.",
    source="moby daemon cleanupContainer, restore v17.06; moby#51692 v29.1.3",
    bugs=("moby#22312",),
)
def test_crash_during_removals(own_daemon, new_name):
    daemon = own_daemon()
    names = [new_name("removed") for _ in range(3)]
    containers = [daemon.run(name=name) for name in names]

    def remove(container):
        with suppress(OSError, HTTPException, DockerException):
            daemon.api("DELETE", f"/containers/{container.id}?force=1")

    with ThreadPoolExecutor(3) as pool:
        removals = [pool.submit(remove, container) for container in containers]
        next(as_completed(removals))
        daemon.engine.kill()
    daemon.engine.resume()
    for entry in daemon.client.api.containers(all=True):
        answer = daemon.api("DELETE", f"/containers/{entry['Id']}?force=1")
        expect_equal(f"{entry['Names']} is removed", True, answer.status < HTTPStatus.BAD_REQUEST)
    heirs = [daemon.create(name=name) for name in names]
    ids = {entry["Id"] for entry in daemon.client.api.containers(all=True)}
    expect_equal("who is there", {heir.id for heir in heirs}, ids)


@behaviour(
    "events.past.filtered",
    "Events of the past MUST pass the filters of the request: by type, by what happened and by "
    "the container's name or id.",
    source="Docker Engine API, SystemEvents: filters; moby daemon SubscribeToEvents v17.06",
    bugs=("moby#18453",),
)
def test_past_events_are_filtered(run, client, api):
    since = wire_time(client.info()["SystemTime"])
    one, _ = run(), run()

    def found(wanted):
        until = wire_time(client.info()["SystemTime"], 1)
        filters = {"type": ["container"], "event": ["start", "create"], "container": [wanted]}
        query = f"since={since}&until={until}&filters={quote(json.dumps(filters))}"
        lines = api("GET", f"/events?{query}").body.splitlines()
        events = [json.loads(line) for line in lines if line.strip()]
        return [(event["Actor"]["ID"], event["Action"]) for event in events]

    def shows(wanted):
        return found(wanted) == [(one.id, "create"), (one.id, "start")]

    for wanted in (one.name, one.id):
        eventually(f"the events of {wanted}", partial(shows, wanted))
