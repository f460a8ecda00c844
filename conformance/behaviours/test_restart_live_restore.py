"""Live-restore: containers with AutoRemove, paused ones, and published ports."""

from conformance.assertions import expect_equal
from conformance.observe.poll import eventually
from conformance.observe.ports import ports_of
from conformance.observe.remains import found_again, status_of
from conformance.registry import behaviour

LIVE_RESTORE = {"live-restore": True}


def is_there(daemon, container):
    """Tell whether the engine knows a container still."""
    return daemon.api("GET", f"/containers/{container.id}/json").status == 200


def removed_at_their_end(setup):
    for one in setup.containers:
        if one.is_removed_at_end and setup.is_live_restored:
            yield one.effect("later", "it has --rm", "it runs on when the engine is restarted")


@behaviour(
    "restart.live-restore.auto-remove",
    "With live-restore a container with AutoRemove MUST run on over a restart of the engine, and "
    "be removed when it ends.",
    source="moby#46857 v25.0, v24.0.8; Docker documentation, live restore",
    needs=("live-restore",),
    bugs=("moby#46308",),
    concerns=removed_at_their_end,
)
def test_container_with_auto_remove_runs_on(own_daemon):
    daemon = own_daemon(LIVE_RESTORE)
    net = daemon.network()
    container = daemon.run(auto_remove=True, network_mode=net.name)
    daemon.engine.restart()
    expect_equal("it is there", True, is_there(daemon, container))
    document = daemon.inspect(container)
    expect_equal("its status", "running", document["State"]["Status"])
    expect_equal("its process", container.attrs["State"]["Pid"], document["State"]["Pid"])
    found_again(daemon, container).kill()
    eventually("it is removed", lambda: not is_there(daemon, container))


@behaviour(
    "restart.live-restore.paused",
    "With live-restore a paused container MUST be paused after a restart of the engine, with its "
    "network, and run on when it is thawed.",
    source="moby daemon restore: libcontainerd StatusPaused v1.13",
    needs=("live-restore",),
    bugs=("moby#25870",),
)
def test_paused_container_stays_paused(own_daemon):
    daemon = own_daemon(LIVE_RESTORE)
    net = daemon.network()
    container = daemon.run(network_mode=net.name)
    container.pause()
    daemon.engine.restart()
    expect_equal("its status", "paused", status_of(daemon, container))
    expect_equal("the members", [container.id], list(daemon.inspect_network(net.id)["Containers"]))
    again = found_again(daemon, container)
    again.unpause()
    expect_equal("its status when thawed", "running", status_of(daemon, container))
    expect_equal("it does what it is told", "", daemon.exec_in(again, "true").stderr)


@behaviour(
    "restart.live-restore.ports",
    "With live-restore a published port MUST lead to its container after a restart of the engine, "
    "be refused to another one, and be free once the container is removed.",
    source="libnetwork bridge_store.go restorePortAllocations v17.06; users: libnetwork#1790",
    needs=("live-restore", "host-view"),
    bugs=("libnetwork#1790",),
)
def test_published_port_is_kept_over_a_restart(own_daemon):
    daemon = own_daemon(LIVE_RESTORE)
    with ports_of(daemon.host) as ports:
        (port,) = ports.free()
        container = daemon.run(ports={"80/tcp": port})
        daemon.engine.restart()
    with ports_of(daemon.host) as ports:
        ports.answer(found_again(daemon, container), 80, "the first")
        expect_equal("who answers", "the first", ports.ask(None, "127.0.0.1", port))
        other = daemon.create(ports={"80/tcp": port})
        status = daemon.api("POST", f"/containers/{other.id}/start").status
        expect_equal("a second start is refused", True, status >= 400)
        found_again(daemon, container).remove(force=True)
        other.start()
        ports.answer(other, 80, "the second")
        expect_equal("who answers now", "the second", ports.ask(None, "127.0.0.1", port))
