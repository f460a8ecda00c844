"""Allocating, as the engine counts it: engine_daemon_network_actions_seconds."""

from conformance.assertions import (
    expect_equal,
    expect_in,
    expect_not_in,
    expect_refused,
    expect_true,
)
from conformance.observe.metrics import METRIC
from conformance.registry import behaviour

BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, float("inf")]


def counted(metrics, act):
    """Do something and give what was counted meanwhile, without what was not."""
    with metrics.delta() as delta:
        act()
    return {action: count for action, count in delta.counts.items() if count}


@behaviour(
    "allocate.metric.once-per-start",
    "Each successful start MUST add exactly 1 to the count of `allocate`, however many networks "
    "the container has.",
    source="seed allocateNetwork: networkActions.WithValues(allocate).UpdateSince(start)",
    tier="core",
)
def test_each_start_counts_one_allocate(create, network, client, metrics):
    for nets in (0, 1, 3):
        container = create()
        for _ in range(nets - 1):
            network().connect(container)
        if nets == 0:
            client.networks.get("bridge").disconnect(container)
        counts = counted(metrics, container.start)
        expect_equal(f"allocate with {nets} networks", 1, counts.get("allocate", 0))


@behaviour(
    "allocate.metric.failure-not-counted",
    "A start that fails at a network MUST NOT add to the count of `allocate`.",
    source="seed allocateNetwork: the metric comes after the last return err",
    tier="core",
)
def test_failed_allocation_is_not_counted(create, run, network, metrics):
    net = network()
    taken = run(network_mode=net.name).attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    container = create()
    net.connect(container, ipv4_address=taken)
    counts = counted(metrics, lambda: expect_refused(container.start))
    expect_not_in("what was counted", "allocate", counts)


@behaviour(
    "allocate.metric.other-actions",
    "Each endpoint that is connected at a start or live MUST add 1 to `connect`, a stop 1 to "
    "`release`, the removal of a legacy link 1 to `update`; nothing else MUST be counted.",
    source="moby daemon connectToNetwork, releaseNetwork, updateNetwork v17.03",
)
def test_what_counts_as_which_action(create, run, network, client, metrics):
    first, second, peer = network(), network(), run()
    container = create(links={peer.name: "peer"})
    unlink = f"{container.name}/peer"

    def stop():
        container.stop()
        container.reload()  # answered when the container's lock is free: after the release

    for what, act, expected in (
        ("create", lambda: create(network_mode=first.name), {}),
        ("connect while stopped", lambda: first.connect(container), {}),
        ("start", container.start, {"allocate": 1, "connect": 2}),
        ("start while it runs", container.start, {}),
        ("connect", lambda: second.connect(container), {"connect": 1}),
        ("disconnect", lambda: second.disconnect(container), {}),
        ("unlink", lambda: client.api.remove_container(unlink, link=True), {"update": 1}),
        ("stop", stop, {"release": 1}),
    ):
        expect_equal(f"counted by {what}", expected, counted(metrics, act))


@behaviour(
    "allocate.metric.unknown-network-no-release",
    "A start that fails at an unknown network MUST NOT count as `release`: there is nothing to "
    "release yet.",
    source="moby daemon releaseNetwork v17.03: returns without a SandboxID",
    tier="quirk",
    docker="<28.0",
)
def test_unknown_network_counts_nothing(create, metrics, new_name):
    container = create(network_mode=new_name("nowhere"))
    counts = counted(metrics, lambda: expect_refused(container.start))
    expect_equal("what was counted", {}, counts)


@behaviour(
    "allocate.metric.histogram",
    "The network actions MUST be a Prometheus histogram with the buckets 0.005 to 10 s; an action "
    "MUST be absent before it first happens, and the counts MUST begin anew with the daemon.",
    source="moby daemon/metrics.go v17.03: NewLabeledTimer network_actions",
    needs=("metrics",),
)
def test_the_metric_is_a_histogram_of_this_daemon(own_daemon):
    daemon = own_daemon()
    expect_not_in("the actions before any start", "allocate", daemon.metrics.read())
    daemon.run(["true"])
    page = daemon.metrics.page()
    meaning = "The number of seconds it takes to process each network action"
    expect_in("the page", f"# HELP {METRIC} {meaning}\n", page)
    expect_in("the page", f"# TYPE {METRIC} histogram\n", page)
    found = daemon.metrics.read()["allocate"]
    expect_equal("the buckets", BUCKETS_S, [float(bound) for bound in found.buckets])
    expect_equal("the count", 1, found.count)
    expect_equal("the last bucket", 1, found.buckets["+Inf"])
    daemon.engine.restart()
    expect_not_in("the actions after a restart", "allocate", daemon.metrics.read())


@behaviour(
    "allocate.metric.covers-its-connects",
    "The time of `allocate` MUST be at least the sum of the times of its `connect`s.",
    source="seed allocateNetwork: its timer encloses those of connectToNetwork",
)
def test_allocate_takes_at_least_as_long_as_its_connects(create, network, metrics):
    container = create()
    for _ in range(2):
        network().connect(container)
    with metrics.delta() as delta:
        container.start()
    expect_equal("the connects", 3, delta.counts["connect"])
    allocate, connects = delta.sums_s["allocate"], delta.sums_s["connect"]
    expect_true("the connects take time", connects > 0)
    expect_true(f"allocate ({allocate} s) is not shorter than {connects} s", allocate >= connects)
