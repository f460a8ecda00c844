"""Container mode: the container joins the network namespace of another one, its target."""

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_in,
    expect_not_equal,
    expect_not_in,
)
from conformance.observe.poll import eventually
from conformance.registry import behaviour

FILES = ("HostnamePath", "HostsPath", "ResolvConfPath")


def netns_inode(host, container):
    container.reload()
    return host.netns_of(container.attrs["State"]["Pid"]).inode()


def links(host, container):
    container.reload()
    return sorted(host.netns_of(container.attrs["State"]["Pid"]).links())


@behaviour(
    "init.container.shares-netns",
    "A container in container mode MUST run in the network namespace of its target.",
    source="seed initializeNetworking, IsContainer branch; moby setNamespaces v17.06",
    tier="core",
)
def test_joiner_runs_in_the_targets_namespace(run, host):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    own = netns_inode(host, joiner)
    expect_equal("the joiner's network namespace", netns_inode(host, target), own)
    expect_not_equal("the daemon's network namespace", host.daemon_netns().inode(), own)


@behaviour(
    "init.container.file-paths",
    "A started joiner MUST show the target's HostnamePath, HostsPath and ResolvConfPath.",
    source="seed initializeNetworking: initializeNetworkingPaths(container, nc)",
    tier="core",
)
def test_joiner_shows_the_targets_paths(run):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    for field in FILES:
        expect_in(f"the directory in the target's {field}", target.id, target.attrs[field])
        expect_equal(f"the joiner's {field}", target.attrs[field], joiner.attrs[field])


@behaviour(
    "init.container.file-contents",
    "A joiner MUST see the target's hosts, hostname and resolv.conf as its own.",
    source="seed initializeNetworking: initializeNetworkingPaths(container, nc)",
)
def test_joiner_sees_the_targets_files(run, exec_in):
    target = run(hostname="leader", dns=["192.0.2.53"], extra_hosts={"db.example": "192.0.2.7"})
    joiner = run(network_mode=f"container:{target.id}")
    for path in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
        theirs = exec_in(target, "cat", path).stdout
        expect_equal(f"{path} in the joiner", theirs, exec_in(joiner, "cat", path).stdout)
    expect_in("the target's extra host", "192.0.2.7", exec_in(joiner, "cat", "/etc/hosts").stdout)


@behaviour(
    "init.container.hostname",
    "The joiner's hostname MUST be replaced by the target's: in inspect, in the kernel and in "
    "$HOSTNAME.",
    source="seed initializeNetworking: container.Config.Hostname = nc.Config.Hostname",
    tier="core",
)
def test_joiner_takes_the_targets_hostname(run, exec_in, host):
    target = run(hostname="leader")
    joiner = run(network_mode=f"container:{target.id}")
    expect_equal("Config.Hostname", "leader", joiner.attrs["Config"]["Hostname"])
    expect_equal("hostname", "leader", exec_in(joiner, "hostname").text)
    environment = host.environment(joiner.attrs["State"]["Pid"])
    expect_equal("$HOSTNAME", "leader", environment.get("HOSTNAME"))


@behaviour(
    "init.container.domainname",
    "The joiner's domain name MUST be replaced by the target's, even by an empty one.",
    source="seed initializeNetworking: container.Config.Domainname = nc.Config.Domainname",
    tier="core",
)
def test_joiner_takes_the_targets_domainname(run, exec_in):
    for domainname, in_kernel in (("leader.example", "leader.example"), ("", "(none)")):
        target = run(domainname=domainname)
        joiner = run(network_mode=f"container:{target.id}", domainname="own.example")
        expect_equal("Config.Domainname", domainname, joiner.attrs["Config"]["Domainname"])
        found = exec_in(joiner, "cat", "/proc/sys/kernel/domainname").text
        expect_equal("the kernel's domain name", in_kernel, found)


@behaviour(
    "init.container.no-allocation",
    "A joiner MUST NOT be allocated anything: no network, no sandbox, no address, no ports.",
    source="seed initializeNetworking returns before allocateNetwork",
    tier="core",
)
def test_joiner_is_allocated_nothing(run):
    target = run()
    settings = run(network_mode=f"container:{target.id}").attrs["NetworkSettings"]
    expect_equal("Networks", {}, settings["Networks"])
    expect_equal("Ports", {}, settings["Ports"])
    for field in ("SandboxID", "SandboxKey", "IPAddress"):
        expect_empty(field, settings[field])


@behaviour(
    "init.container.no-files",
    "No hostname, hosts or resolv.conf file MUST be built for a joiner.",
    source="seed initializeNetworking: BuildHostnameFile only after allocateNetwork",
    tier="core",
    needs=("container-folder",),
)
def test_joiner_has_no_files_of_its_own(run, host):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    names = ("hostname", "hosts", "resolv.conf")
    for container, expected in ((target, list(names)), (joiner, [])):
        folder = host.container_dir(container.id)
        found = [name for name in names if (folder / name).exists()]
        expect_equal("the files in the container's directory", expected, found)


@behaviour(
    "init.container.chain",
    "A container that joins a joiner MUST end in the namespace and with the hostname of the first "
    "one.",
    source="moby setNamespaces: the pid of the direct target v17.06",
)
def test_joiner_of_a_joiner_ends_with_the_first(run, host):
    first = run(hostname="leader")
    second = run(network_mode=f"container:{first.id}")
    third = run(network_mode=f"container:{second.id}")
    expect_equal("its namespace", netns_inode(host, first), netns_inode(host, third))
    expect_equal("Config.Hostname", "leader", third.attrs["Config"]["Hostname"])


@behaviour(
    "init.container.target-in-host-mode",
    "Joining a host-mode container MUST give the daemon's network namespace.",
    source="moby setNamespaces v17.06",
    bugs=("podman#18027",),
)
def test_joiner_of_a_host_container_is_in_the_host(run, host):
    target = run(network_mode="host")
    joiner = run(network_mode=f"container:{target.id}")
    expect_equal("its namespace", host.daemon_netns().inode(), netns_inode(host, joiner))


@behaviour(
    "init.container.target-in-none-mode",
    "Joining a none-mode container MUST give its namespace, with only `lo`.",
    source="moby setNamespaces v17.06",
)
def test_joiner_of_a_none_container_has_only_loopback(run, host):
    target = run(network_mode="none")
    joiner = run(network_mode=f"container:{target.id}")
    expect_equal("its namespace", netns_inode(host, target), netns_inode(host, joiner))
    expect_equal("the links in the joiner", ["lo"], links(host, joiner))


@behaviour(
    "init.container.own-uts",
    "A joiner MUST have a UTS namespace of its own: the hostname is copied, not shared.",
    source="moby setNamespaces does not share UTS v17.06",
)
def test_joiner_has_its_own_uts_namespace(run, host):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    expect_not_equal(
        "the target's UTS namespace",
        host.namespace_inode(target.attrs["State"]["Pid"], "uts"),
        host.namespace_inode(joiner.attrs["State"]["Pid"], "uts"),
    )


@behaviour(
    "init.container.target-paused",
    "A container MUST be started in the namespace of a target that is paused.",
    source="moby getNetworkedContainer v17.03: a paused container is running",
)
def test_paused_target_can_be_joined(run, host):
    target = run()
    target.pause()
    joiner = run(network_mode=f"container:{target.id}")
    expect_equal("its namespace", netns_inode(host, target), netns_inode(host, joiner))
    target.unpause()


@behaviour(
    "init.container.sees-live-connect",
    "A network that is connected to the running target MUST show up in the joiner.",
    source="libnetwork: one shared namespace",
)
def test_joiner_sees_the_targets_new_network(run, network, exec_in):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    expect_not_in("eth1 before", "eth1", exec_in(joiner, "ls", "/sys/class/net").lines)
    user_network = network()
    user_network.connect(target)
    expect_in("eth1 after", "eth1", exec_in(joiner, "ls", "/sys/class/net").lines)
    target.reload()
    address = target.attrs["NetworkSettings"]["Networks"][user_network.name]["IPAddress"]
    shown = exec_in(joiner, "ip", "-4", "addr", "show", "eth1").stdout
    expect_in("eth1's address in the joiner", f"inet {address}/24", shown)


@behaviour(
    "init.container.not-in-network-inspect",
    "A joiner MUST NOT be listed among the containers of a network; its target is.",
    source="moby: no endpoint is made for a joiner v17.06",
)
def test_network_lists_the_target_only(run, network, inspect_network):
    user_network = network()
    target = run(network_mode=user_network.name)
    run(network_mode=f"container:{target.id}")
    members = inspect_network(user_network)["Containers"]
    expect_equal("the members of the network", [target.id], sorted(members))


@behaviour(
    "init.container.resolves-as-target",
    "A joiner MUST resolve the target's peers through the embedded DNS; its own name MUST NOT "
    "resolve.",
    source="libnetwork: no endpoint, shared 127.0.0.11 v17.06",
)
def test_joiner_resolves_the_targets_peers(run, network, exec_in):
    user_network = network()
    # the joiner's own name goes to an upstream server that is not there: give up on it soon
    impatient = {"dns": ["127.0.0.1"], "dns_opt": ["timeout:1", "attempts:1"]}
    target = run(network_mode=user_network.name, **impatient)
    peer = run(network_mode=user_network.name)
    joiner = run(network_mode=f"container:{target.id}")
    # not ping, for which not every engine gives the right; no -T, with which busybox 1.35 crashes
    reached = exec_in(joiner, "wget", "-q", "-O-", f"http://{peer.name}:1/")
    expect_in("the answer of the peer's port 1", "Connection refused", reached.stderr)
    own = exec_in(joiner, "wget", "-q", "-O-", f"http://{joiner.name}:1/")
    expect_in("why the joiner's name is no host", "bad address", own.stderr)


@behaviour(
    "init.container.no-network-events",
    "The start and the stop of a joiner MUST NOT announce any network event.",
    source="seed initializeNetworking: no connectToNetwork",
)
def test_joiner_announces_no_network_event(run, create, events):
    target = run()
    joiner = create(network_mode=f"container:{target.id}")
    events.restart()
    joiner.start()
    joiner.stop(timeout=0)  # answers when the network is let go of
    seen = events.wait_for("container", "die", actor=joiner.id)
    expect_equal("network events", [], [event for event in seen if event.type == "network"])
    expect_equal("all network events", [], events.collect("network"))


@behaviour(
    "init.container.not-counted",
    "The start and the stop of a joiner MUST NOT count in the network metrics.",
    source="seed initializeNetworking returns before allocateNetwork",
    docker="<28.0",
)
def test_joiner_is_not_counted(run, create, metrics, events):
    target = run()
    joiner = create(network_mode=f"container:{target.id}")
    with metrics.delta() as delta:
        joiner.start()
        joiner.stop(timeout=0)
        events.wait_for("container", "die", actor=joiner.id)
    counted = {action: count for action, count in delta.counts.items() if count}
    expect_equal("network actions", {}, counted)


@behaviour(
    "init.container.stop-keeps-targets-network",
    "Stopping a joiner MUST NOT release the target's network.",
    source="moby releaseNetwork returns for container mode v17.06",
)
def test_stopped_joiner_leaves_the_target_alone(run, host, inspect, inspect_network, network):
    user_network = network()
    target = run(network_mode=user_network.name)
    joiner = run(network_mode=f"container:{target.id}")
    before = inspect(target)["NetworkSettings"]
    joiner.stop(timeout=0)
    expect_equal("the target's NetworkSettings", before, inspect(target)["NetworkSettings"])
    expect_in("the members", target.id, inspect_network(user_network)["Containers"])
    expect_equal("the target's links", ["eth0", "lo"], links(host, target))


@behaviour(
    "init.container.target-restarts",
    "When the target restarts, a running joiner MUST keep the old namespace, left with `lo`, and "
    "be in the new one after its own restart.",
    source="moby releaseNetwork, and a new sandbox at each start v17.06",
)
def test_joiner_follows_a_restarted_target_by_restarting(run, host):
    target = run()
    joiner = run(network_mode=f"container:{target.id}")
    old = netns_inode(host, joiner)
    target.restart(timeout=0)
    expect_equal("the joiner's namespace", old, netns_inode(host, joiner))
    expect_not_equal("the target's namespace", old, netns_inode(host, target))
    eventually("only lo is left in the joiner", lambda: links(host, joiner) == ["lo"])
    joiner.restart(timeout=0)
    expect_equal("the joiner's namespace", netns_inode(host, target), netns_inode(host, joiner))


@behaviour(
    "init.container.restart-together",
    "After a graceful restart of the daemon a target and a joiner that both always restart SHOULD "
    "both run, in one namespace.",
    source="moby daemon restore v17.06; known start-order race moby#50326",
)
def test_target_and_joiner_come_back_together(own_daemon):
    daemon = own_daemon()
    always = {"Name": "always"}
    target = daemon.run(restart_policy=always)
    joiner = daemon.run(network_mode=f"container:{target.id}", restart_policy=always)
    daemon.engine.restart()

    def both_running():
        again = [daemon.client.containers.get(one.id) for one in (target, joiner)]
        return again if all(one.status == "running" for one in again) else None

    again = eventually("both run again", both_running, timeout_s=20)
    inodes = [netns_inode(daemon.host, one) for one in again]
    expect_equal("the joiner's namespace", inodes[0], inodes[1])
