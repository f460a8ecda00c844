"""Network disabled: the flag `NetworkDisabled` says that there is nothing to allocate."""

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_in,
    expect_not_in,
)
from conformance.registry import behaviour


@behaviour(
    "init.disabled.no-network",
    "A container with NetworkDisabled MUST get no network: no entry in `Networks`, no sandbox, "
    "and a namespace of its own with only `lo`.",
    source="seed allocateNetwork: NetworkDisabled returns",
    tier="core",
)
def test_disabled_container_gets_no_network(run, host):
    container = run(network_disabled=True)
    settings = container.attrs["NetworkSettings"]
    expect_equal("Networks", {}, settings["Networks"])
    expect_empty("SandboxID", settings["SandboxID"])
    expect_empty("SandboxKey", settings["SandboxKey"])
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links in the container", ["lo"], sorted(netns.links()))
    expect_equal(
        "the container is in the daemon's namespace",
        False,
        netns.inode() == host.daemon_netns().inode(),
    )


@behaviour(
    "init.disabled.hostname-file",
    "A container with NetworkDisabled MUST still get its hostname file.",
    source="seed initializeNetworking: BuildHostnameFile follows allocateNetwork",
    tier="core",
    docker="<28.0",
)
def test_disabled_container_gets_its_hostname_file(run, host, exec_in):
    container = run(network_disabled=True, hostname="mute")
    expect_equal("/etc/hostname", "mute\n", exec_in(container, "cat", "/etc/hostname").stdout)
    path = host.file(container.attrs["HostnamePath"])
    expect_equal("the file at HostnamePath", "mute\n", path.read_text())


@behaviour(
    "init.disabled.no-hosts-no-resolv-conf",
    "A container with NetworkDisabled MUST NOT get a hosts file or a resolv.conf of its own.",
    source="moby: both files are the sandbox's (libnetwork setupResolutionFiles v17.06)",
)
def test_disabled_container_gets_no_hosts_and_no_resolv_conf(run, host, exec_in):
    container = run(network_disabled=True)
    files = exec_in(container, "sh", "-c", "cd /etc && echo *").stdout.split()
    expect_in("the files in /etc", "passwd", files)
    contents = exec_in(container, "sh", "-c", "cat /etc/hosts /etc/resolv.conf 2>&1").stdout
    for word in ("localhost", "nameserver"):
        expect_not_in("hosts and resolv.conf", word, contents)
    expect_empty("HostsPath", container.attrs["HostsPath"])
    expect_empty("ResolvConfPath", container.attrs["ResolvConfPath"])
    folder = host.container_dir(container.id)
    made = sorted(name for name in ("hosts", "resolv.conf") if (folder / name).exists())
    expect_equal("the files in the container's directory", [], made)


@behaviour(
    "init.disabled.no-events-no-metric",
    "Start and stop of a container with NetworkDisabled MUST announce no network event and count "
    "no network action.",
    source="seed allocateNetwork: the metric is after the return",
)
def test_disabled_container_is_not_announced_and_not_counted(create, events, metrics):
    container = create(network_disabled=True)
    with metrics.delta() as delta:
        container.start()
        container.stop(timeout=0)
        seen = events.wait_for("container", "die", actor=container.id)
    expect_equal("network events", [], [e for e in seen if e.type == "network"])
    counted = {action: count for action, count in delta.counts.items() if count}
    expect_equal("network actions", {}, counted)


@behaviour(
    "init.disabled.flag-decides",
    "NetworkDisabled MUST decide alone: a network that was recorded while the container was "
    "stopped is not connected at its start.",
    source="moby daemon allocateNetwork v17.04 (the seed asks only where nothing is recorded)",
    tier="core",
)
def test_disabled_container_ignores_recorded_networks(create, network, host, inspect_network):
    container = create(network_disabled=True)
    user_network = network()
    user_network.connect(container)
    container.start()
    container.reload()
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links in the container", ["lo"], sorted(netns.links()))
    expect_empty("the members of the network", inspect_network(user_network)["Containers"])


@behaviour(
    "init.disabled.live-connect-without-interface",
    "Connecting a running container with NetworkDisabled MUST be accepted and make an endpoint, "
    "but no interface in the container.",
    source="moby daemon connectToNetwork v20.10: no check of the flag",
    tier="quirk",
    docker="<28.0",
)
def test_disabled_container_gets_no_interface_from_a_live_connect(
    run, network, host, inspect_network, api
):
    container = run(network_disabled=True)
    user_network = network()
    user_network.connect(container)
    member = inspect_network(user_network)["Containers"][container.id]
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links in the container", ["lo"], sorted(netns.links()))
    # 20.10 keeps the endpoint when such a container is gone; free it by name, as an operator would
    container.remove(force=True)
    api(
        "POST",
        f"/networks/{user_network.id}/disconnect",
        {"Container": member["Name"], "Force": True},
    )
