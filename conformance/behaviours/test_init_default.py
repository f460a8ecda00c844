"""Default mode: no network mode given, so the container is put on the network `bridge`."""

from pathlib import PurePath

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_hex_id,
    expect_in,
    expect_not_equal,
    expect_not_in,
    expect_true,
)
from conformance.observe.files import parse_resolv_conf
from conformance.registry import behaviour


def only_endpoint(container):
    """Give the endpoint of a container that is on one network, whatever that is called."""
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the number of networks", 1, len(networks))
    return next(iter(networks.values()))


@behaviour(
    "init.default.bridge-network",
    "A container created without a network mode MUST be put on the network `bridge`, alone.",
    source="seed allocateNetwork: updateContainerNetworkSettings; runconfig DefaultNetwork",
    tier="core",
)
def test_default_mode_uses_the_network_bridge(run):
    container = run()
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the networks of the container", ["bridge"], sorted(networks))


@behaviour(
    "init.default.interface-matches-inspect",
    "The running container MUST have an eth0 with the address, the prefix length and the MAC "
    "address that inspect reports, and a default route via the reported gateway.",
    source="seed allocateNetwork: connectToNetwork; moby daemon UpdateJoinInfo v17.03",
    tier="core",
)
def test_interface_is_what_inspect_reports(run, host):
    container = run()
    reported = only_endpoint(container)
    netns = host.netns_of(container.attrs["State"]["Pid"])
    address = f"{reported['IPAddress']}/{reported['IPPrefixLen']}"
    expect_equal("eth0's addresses", [address], netns.addresses("eth0"))
    expect_equal("eth0's MAC address", reported["MacAddress"], netns.mac("eth0"))
    expect_equal("the default route's gateway", reported["Gateway"], netns.default_gateway())


@behaviour(
    "init.default.mode-is-stored",
    "The stored NetworkMode of a container created with none, an empty one or `default` MUST be "
    "`default`.",
    source="runconfig.SetDefaultNetModeIfBlank v17.06",
    docker="<26.0",
)
@pytest.mark.parametrize("asked", [{}, {"NetworkMode": ""}, {"NetworkMode": "default"}])
def test_absent_mode_is_stored_as_default(create_raw, client, start, asked):
    container = client.containers.get(create_raw({"HostConfig": asked}).json()["Id"])
    start(container)
    expect_equal("NetworkMode", "default", container.attrs["HostConfig"]["NetworkMode"])


TOP_LEVEL = ("IPAddress", "IPPrefixLen", "Gateway", "MacAddress", "EndpointID")


@behaviour(
    "init.default.top-level-mirrors-bridge",
    "The address fields at the top of NetworkSettings MUST repeat those of the endpoint on "
    "`bridge`, and be empty for a container that is not on `bridge`.",
    source="moby daemon/inspect.go getDefaultNetworkSettings v17.06",
)
def test_top_level_fields_mirror_the_bridge_endpoint(run, network):
    container = run()
    endpoint, settings = only_endpoint(container), container.attrs["NetworkSettings"]
    for field in TOP_LEVEL:
        expect_true(f"{field} of the endpoint", endpoint[field])
        expect_equal(f"top-level {field}", endpoint[field], settings[field])
    elsewhere = run(network_mode=network().name).attrs["NetworkSettings"]
    for field in TOP_LEVEL:
        expect_empty(f"top-level {field} off bridge", elsewhere[field])


@behaviour(
    "init.default.hostname-is-short-id",
    "Without a hostname of its own a container MUST be called by the first 12 characters of its "
    "id: in inspect, in the kernel, in $HOSTNAME and in /etc/hostname.",
    source="moby daemon newContainer: generateHostname; seed: BuildHostnameFile",
    tier="core",
)
def test_default_hostname_is_the_short_id(run, exec_in, host):
    container = run()
    short = container.id[:12]
    expect_equal("Config.Hostname", short, container.attrs["Config"]["Hostname"])
    expect_equal("hostname", short, exec_in(container, "hostname").text)
    environment = host.environment(container.attrs["State"]["Pid"])
    expect_equal("$HOSTNAME", short, environment.get("HOSTNAME"))
    expect_equal("/etc/hostname", f"{short}\n", exec_in(container, "cat", "/etc/hostname").stdout)


@behaviour(
    "init.default.created-has-no-sandbox",
    "A container that never ran MUST show its network with empty operational fields, no sandbox "
    "and no paths of the three files.",
    source="moby daemon/create.go calls updateContainerNetworkSettings v17.06",
)
def test_created_container_has_a_network_but_no_sandbox(create, start, inspect):
    container = create()
    document = inspect(container)
    settings = document["NetworkSettings"]
    expect_equal("the recorded networks", ["bridge"], sorted(settings["Networks"]))
    for field in ("EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "MacAddress"):
        expect_empty(f"the endpoint's {field}", settings["Networks"]["bridge"][field])
    expect_empty("SandboxID", settings["SandboxID"])
    for field in ("HostnamePath", "HostsPath", "ResolvConfPath"):
        expect_empty(field, document[field])
    started = start(container).attrs["NetworkSettings"]
    expect_not_equal("SandboxID after the start", "", started["SandboxID"])


@behaviour(
    "init.default.sandbox-key",
    "SandboxKey MUST be a mount of the container's network namespace, named after the first 12 "
    "characters of SandboxID.",
    source="libnetwork osl.GenerateKey, GetSandboxForExternalKey v17.06",
)
def test_sandbox_key_is_the_containers_namespace(run, host):
    container = run()
    settings = container.attrs["NetworkSettings"]
    expect_hex_id("SandboxID", settings["SandboxID"])
    key = settings["SandboxKey"]
    expect_equal("SandboxKey's base name", settings["SandboxID"][:12], PurePath(key).name)
    own = host.netns_of(container.attrs["State"]["Pid"]).inode()
    expect_equal("the namespace at SandboxKey", own, host.sandbox_netns(key).inode())
    expect_not_equal("the daemon's namespace", own, host.daemon_netns().inode())


@behaviour(
    "init.default.no-embedded-dns",
    "On `bridge` alone the embedded DNS MUST NOT be used: resolv.conf does not name 127.0.0.11, "
    "nothing listens there, and the names of other containers do not resolve.",
    source="moby: CreateOptionDisableResolution for the default network v17.06",
)
def test_default_bridge_has_no_embedded_dns(run, exec_in):
    peer = run()
    container = run(dns=["127.0.0.1"])
    servers = parse_resolv_conf(exec_in(container, "cat", "/etc/resolv.conf").stdout).nameservers
    expect_equal("the nameservers", ["127.0.0.1"], list(servers))
    listening = exec_in(container, "netstat", "-lntu").stdout
    expect_not_in("a listener of the embedded DNS", "127.0.0.11", listening)
    answer = exec_in(container, "ping", "-c1", "-W1", peer.name)
    expect_in("why the peer's name is no host", "bad address", answer.stderr)


REPORT = "hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf; ip -4 addr show eth0; ip route"


@behaviour(
    "init.default.ready-before-first-instruction",
    "When the process begins, its interface, address, default route, hostname, hosts and "
    "resolv.conf MUST be in place.",
    source="seed: initializeNetworking precedes the start of the process",
    tier="core",
)
def test_network_is_ready_before_the_process(run):
    container = run(["sh", "-c", REPORT], hostname="early", dns=["192.0.2.53"])
    expect_equal("the exit code", 0, container.wait(timeout=10)["StatusCode"])
    lines = container.logs().decode().splitlines()
    expect_equal("hostname and /etc/hostname", ["early", "early"], lines[:2])
    expect_true("the own line in /etc/hosts", any(line.endswith("\tearly") for line in lines))
    expect_in("the server in resolv.conf", "nameserver 192.0.2.53", lines)
    expect_true("an address on eth0", any(line.lstrip().startswith("inet ") for line in lines))
    expect_true("a default route", any(line.startswith("default via ") for line in lines))


@behaviour(
    "init.default.bridge-none",
    "With the daemon option `bridge: none` a default-mode container MUST start with `lo` only, "
    "keep `bridge` in `Networks` without an address, and have its NetworkDisabled set.",
    source="moby daemon connectToNetwork: DisableBridge v17.06",
    needs=("bridge-option",),
)
def test_daemon_without_bridge_starts_containers_with_loopback(own_daemon):
    daemon = own_daemon({"bridge": "none"})
    container = daemon.run()
    expect_equal("NetworkDisabled", True, container.attrs["Config"].get("NetworkDisabled"))
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the recorded networks", ["bridge"], sorted(networks))
    expect_empty("the address on bridge", networks["bridge"]["IPAddress"])
    netns = daemon.host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links in the container", ["lo"], sorted(netns.links()))


@behaviour(
    "init.default.connect-to-disabled-bridge",
    "With the daemon option `bridge: none`, connecting a running container to `bridge` MUST "
    "return 200 and change nothing now, but its next start has no interface.",
    source="moby daemon connectToNetwork: DisableBridge sets NetworkDisabled v17.06",
    tier="quirk",
    needs=("bridge-option",),
)
def test_connect_to_a_disabled_bridge_disables_the_next_start(own_daemon):
    daemon = own_daemon({"bridge": "none"})
    user_network = daemon.network()
    container = daemon.run(network_mode=user_network.name)
    answer = daemon.api("POST", "/networks/bridge/connect", {"Container": container.id})
    expect_equal("the status of the connect", 200, answer.status)
    netns = daemon.host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links now", ["eth0", "lo"], sorted(netns.links()))
    container.restart(timeout=0)
    container.reload()
    netns = daemon.host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the links after a restart", ["lo"], sorted(netns.links()))
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_in("the recorded networks", user_network.name, networks)
