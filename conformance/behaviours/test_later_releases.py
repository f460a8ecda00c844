"""What a later release of Docker changed on purpose: each row begins where another one ends.

That one, of the seed's era, has the same subject and the disjoint range; `source` names it.
"""

from collections import Counter

from conformance.assertions import (
    expect_api_error,
    expect_empty,
    expect_equal,
    expect_in,
    expect_not_equal,
    expect_not_in,
    expect_refused,
    expect_true,
)
from conformance.impact.setup import nobody
from conformance.observe.watch import FolderWatch
from conformance.registry import behaviour


def networks_of(document):
    return sorted(document["NetworkSettings"]["Networks"])


def events_of(events, container):
    announced = events.collect("network", actor=container.id)
    return [(event.action, event.attributes["name"]) for event in announced]


def record_taken_address(container, network, run):
    """Connect a container that does not run to a network where its address has an owner."""
    net = network()
    owner = run(network_mode=net.name)
    taken = owner.attrs["NetworkSettings"]["Networks"][net.name]["IPAddress"]
    net.connect(container, ipv4_address=taken)


@behaviour(
    "allocate.after-task",
    "The networks MUST be connected after the runtime has made the container's task: a command "
    "that is not there gives no `connect`.",
    source="moby 4c553defce (moby#47406) v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("allocate.before-process",),
)
def test_networks_are_connected_after_the_task(create, network, events):
    net = network()
    found, container = create(network_mode=net.name), create(["/no"], network_mode=net.name)
    found.start()
    expect_in(
        "what happens to one that starts",
        "connect",
        [action for action, _ in events_of(events, found)],
    )
    expect_refused(container.start)
    actions = [action for action, _ in events_of(events, container)]
    expect_not_in("what happens to one that does not", "connect", actions)


@behaviour(
    "allocate.failure.hostname-file-written",
    "When a network cannot be joined the hostname file MUST have been written already.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    needs=("container-folder",),
    replaces=("allocate.failure.no-hostname-file",),
)
def test_hostname_file_is_written_before_the_failure(create, network, run, host):
    container = create(hostname="early")
    record_taken_address(container, network, run)
    expect_refused(container.start)
    names = [path.name for path in host.container_dir(container.id).iterdir()]
    expect_in("the container's files", "hostname", names)


@behaviour(
    "allocate.failure.sandbox-id-cleared",
    "When a start fails after the sandbox was made, inspect MUST NOT show the dead sandbox.",
    source="moby daemon releaseNetwork v27.0",
    tier="quirk",
    docker=">=27.0",
    replaces=("allocate.failure.sandbox-id-kept",),
)
def test_failed_start_clears_the_sandbox(create, network, run, inspect):
    container = create()
    record_taken_address(container, network, run)
    expect_refused(container.start)
    settings = inspect(container)["NetworkSettings"]
    expect_empty("SandboxID", settings["SandboxID"])
    expect_empty("SandboxKey", settings["SandboxKey"])


@behaviour(
    "allocate.host-config.rewritten-after-hostname",
    "A start MUST rewrite hostconfig.json once all networks are connected, after it has written "
    "the hostname file.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    needs=("container-folder",),
    replaces=("allocate.host-config.rewritten-before-hostname",),
)
def test_host_config_is_rewritten_after_the_hostname_file(create, network, host):
    container = create()
    network().connect(container)
    with FolderWatch(host.container_dir(container.id)) as watch:
        container.start()
        written = [x for x in watch.settled() if x in ("hostconfig.json", "hostname")]
    expect_equal("what was written first", ["hostname"], written[:1])
    expect_equal("the rewrites after it", 2, written[1:].count("hostconfig.json"))


@behaviour(
    "allocate.metric.unknown-network-released",
    "A start that fails at an unknown network MUST count one `release`: its sandbox was made "
    "before the network was looked for.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("allocate.metric.unknown-network-no-release",),
)
def test_unknown_network_counts_a_release(create, metrics, new_name):
    container = create(network_mode=new_name("nowhere"))
    with metrics.delta() as delta:
        expect_refused(container.start)
    counted = {action: count for action, count in delta.counts.items() if count}
    expect_equal("what was counted", {"release": 1}, counted)


@behaviour(
    "allocate.order.default-network-anywhere",
    "When a container has several networks the default network MUST NOT be connected first at "
    "every start: there is no order.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("allocate.order.default-network-first",),
)
def test_default_network_has_no_place_of_its_own(create, network, events):
    container = create(["true"])
    for _ in range(4):
        network().connect(container)
    first = set()
    for _ in range(20):
        events.restart()
        container.start()
        container.wait()
        events.wait_for("network", "disconnect", actor=container.id)
        first.add(events_of(events, container)[0][1])
        if first != {"bridge"}:
            return
    expect_not_equal("the first network of 20 starts", {"bridge"}, first)


@behaviour(
    "init.container.counted-as-allocate",
    "The start of a joiner MUST count one `allocate`, though nothing is allocated for it.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("init.container.not-counted",),
)
def test_joiner_counts_as_allocate(run, create, metrics):
    target = run()
    joiner = create(network_mode=f"container:{target.id}")
    with metrics.delta() as delta:
        joiner.start()
    counted = {action: count for action, count in delta.counts.items() if count}
    expect_equal("network actions", {"allocate": 1}, counted)


def joiners_with_networks(setup):
    for one in setup.containers:
        if one.mode.startswith("container:") and one.endpoints:
            why = f"it joins another container and was connected to {one.endpoints[0].network}"
            yield one.effect("starts", why, "it does not start")


@behaviour(
    "init.container.recorded-network-fails",
    "A stopped joiner that was connected to a network MUST fail to start: 400 `container "
    "sharing network namespace with another container or host cannot be connected`.",
    source="moby#47406 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("init.container.connect-while-stopped",),
    concerns=joiners_with_networks,
)
def test_recorded_network_fails_the_joiners_start(run, create, network):
    target = run()
    joiner = create(network_mode=f"container:{target.id}")
    network().connect(joiner)
    text = "container sharing network namespace with another container or host cannot be connected"
    expect_api_error(joiner.start, 400, text)


@behaviour(
    "init.container.missing-target-is-internal",
    "Starting a joiner whose target does not exist MUST fail with 500 `No such container: "
    "<target>`, for the request is right and the container's state is not.",
    source="moby#49367 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("init.container.target-missing-text",),
)
def test_missing_target_is_an_internal_error(create, new_name):
    missing = new_name("missing")
    joiner = create(network_mode=f"container:{missing}")
    expect_api_error(joiner.start, 500, f"No such container: {missing}")


@behaviour(
    "init.container.removed-target-is-internal",
    "When the target of a joiner is removed, the joiner's restart and its start MUST fail with 500 "
    "`No such container: <target>`.",
    source="moby#49367 v28.0",
    tier="quirk",
    docker=">=28.0",
    replaces=("init.container.target-removed-text",),
)
def test_removed_target_is_an_internal_error(run):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    target.remove(force=True)
    missing = f"No such container: {target.id}"
    expect_api_error(lambda: joiner.restart(timeout=0), 500, missing)
    expect_api_error(joiner.start, 500, missing)


def joiners_with_mac(setup):
    for one in setup.containers:
        if one.mac and one.mode.startswith("container:"):
            why = "it chooses a hardware address and joins another container's network"
            yield one.effect("anew", why, "that was refused, and is ignored without a word")


@behaviour(
    "init.container.mac-address-taken",
    "A MAC address for the whole container together with container mode MUST be accepted at "
    "create, and the joiner has its target's interface.",
    source="moby runconfig, API 1.44",
    tier="quirk",
    api=">=1.44",
    replaces=("init.container.no-mac-address",),
    concerns=joiners_with_mac,
)
def test_joiner_may_bring_a_mac_address(run, create, exec_in):
    target = run()
    joiner = create(network_mode=f"container:{target.id}", mac_address="02:42:c0:00:02:07")
    joiner.start()
    own, leader = (exec_in(x, "cat", "/sys/class/net/eth0/address") for x in (joiner, target))
    expect_equal("the address of eth0", leader.stdout, own.stdout)


def hosts_with_mac(setup):
    for one in setup.containers:
        if one.mac and one.mode == "host":
            why = "it chooses a hardware address and has the host's network"
            yield one.effect("anew", why, "that was refused, and is ignored without a word")


@behaviour(
    "init.host.mac-address-taken",
    "A MAC address for the whole container together with host mode MUST be accepted at create.",
    source="moby runconfig, API 1.44",
    tier="quirk",
    api=">=1.44",
    replaces=("init.host.no-mac-address",),
    concerns=hosts_with_mac,
)
def test_host_mode_may_bring_a_mac_address(run):
    container = run(network_mode="host", mac_address="02:42:c0:00:02:07")
    expect_equal("the networks", ["host"], networks_of(container.attrs))
    expect_true("it runs", container.attrs["State"]["Running"])


@behaviour(
    "init.default.mode-is-bridge",
    "The stored NetworkMode of a container created with none, an empty one or `default` MUST be "
    "`bridge`.",
    source="moby daemon v26.0",
    docker=">=26.0",
    replaces=("init.default.mode-is-stored",),
)
def test_default_mode_is_stored_as_bridge(create, create_raw, inspect):
    documents = [inspect(create(network_mode=mode)) for mode in (None, "default")]
    documents.append(inspect(create_raw({"HostConfig": {"NetworkMode": ""}}).json()["Id"]))
    modes = [document["HostConfig"]["NetworkMode"] for document in documents]
    expect_equal("the stored modes", ["bridge"] * 3, modes)


def disabled_files(setup):
    for one in setup.containers:
        if one.is_disabled:
            why = "it was made with NetworkDisabled"
            yield one.effect("hostname file", why, "it sees the image's /etc/hostname")


@behaviour(
    "init.disabled.no-hostname-file",
    "A container with NetworkDisabled MUST NOT get a hostname file: it sees the image's.",
    source="moby#47406 v28.0: initializeNetworking returns early",
    tier="quirk",
    docker=">=28.0",
    replaces=("init.disabled.hostname-file",),
    concerns=disabled_files,
)
def test_disabled_container_gets_no_hostname_file(run, exec_in):
    container = run(network_disabled=True, hostname="mute")
    expect_empty("HostnamePath", container.attrs["HostnamePath"])
    expect_empty("/etc/hostname", exec_in(container, "cat", "/etc/hostname").stdout)
    expect_equal("the hostname", "mute\n", exec_in(container, "hostname").stdout)


def disabled_ones(setup):
    for one in setup.containers:
        if one.is_disabled:
            why = "it was made with NetworkDisabled"
            yield one.effect(
                "later", why, "it can no longer be connected to a network while it runs"
            )


@behaviour(
    "init.disabled.no-live-connect",
    "Connecting a running container with NetworkDisabled MUST be refused: it has no sandbox.",
    source="moby#47406 v28.0",
    docker=">=28.0",
    replaces=("init.disabled.live-connect-without-interface",),
    concerns=disabled_ones,
)
def test_disabled_container_cannot_be_connected_live(run, network, inspect_network):
    container, net = run(network_disabled=True), network()
    expect_refused(lambda: net.connect(container))
    expect_equal("the members", {}, inspect_network(net)["Containers"])


def of_one_name(setup):
    counts = Counter(network.name for network in setup.networks)
    for network in setup.networks:
        if counts[network.name] > 1:
            why = "another network has its name"
            yield network.effect("anew", why, "a second one is refused; remove one before")


@behaviour(
    "init.user.duplicate-name-refused",
    "A second network of the same name MUST be refused, whatever CheckDuplicate says.",
    source="moby v25.0",
    docker=">=25.0",
    replaces=("init.user.ambiguous-name",),
    concerns=of_one_name,
)
def test_second_network_of_a_name_is_refused(network):
    first = network()
    expect_refused(lambda: network(first.name, check_duplicate=False))


def without_their_modes_network(setup):
    there = {network.name for network in setup.networks}
    for one in setup.containers:
        has_left = one.mode not in [end.network for end in one.endpoints]
        is_taken_over = one.has_own_network and not setup.is_anew
        if is_taken_over and there and has_left and one.mode not in there:
            why = f"the network {one.mode} that it was made on is gone"
            yield one.effect("starts", why, "it does not start")


@behaviour(
    "init.user.mode-network-needed",
    "A container MUST NOT start when the network of its network mode was disconnected and removed, "
    "whatever other networks it has.",
    source="moby daemon normalizeNetMode v25.0",
    tier="quirk",
    docker=">=25.0",
    replaces=("init.user.mode-network-gone",),
    concerns=without_their_modes_network,
)
def test_network_of_the_mode_is_needed(create, network, inspect_network):
    first, second = network(), network()
    container = create(network_mode=first.name)
    second.connect(container)
    first.disconnect(container)
    first.remove()
    expect_refused(container.start)
    expect_equal("the members", {}, inspect_network(second)["Containers"])


@behaviour(
    "init.user.partial-id-completed",
    "A network mode given as a partial id MUST be the full id once the container was started.",
    source="moby daemon normalizeNetMode v25.0",
    tier="quirk",
    docker=">=25.0",
    replaces=("init.user.partial-id-kept",),
)
def test_partial_id_becomes_the_full_one(run, network):
    net = network()
    container = run(network_mode=net.id[:12])
    mode = container.attrs["HostConfig"]["NetworkMode"]
    expect_equal("the network mode after the start", net.id, mode)


@behaviour(
    "init.user.several-endpoints-taken",
    "A create request with two networks in EndpointsConfig MUST be accepted, and the start MUST "
    "connect both.",
    source="moby v25.0, API 1.44",
    docker=">=25.0",
    api=">=1.44",
    replaces=("init.user.two-endpoints-refused",),
    concerns=nobody,
)
def test_several_endpoints_are_taken_at_create(client, create_raw, start, network, inspect_network):
    one, two = network(), network()
    body = {
        "HostConfig": {"NetworkMode": one.name},
        "NetworkingConfig": {"EndpointsConfig": {one.name: {}, two.name: {}}},
    }
    answer = create_raw(body)
    expect_equal("the status of the create", 201, answer.status)
    container = start(client.containers.get(answer.json()["Id"]))
    for net in (one, two):
        expect_in("the members", container.id, inspect_network(net)["Containers"])
