"""Host mode: the container runs in the daemon's own network namespace, and is still allocated."""

from pathlib import PurePath

import pytest

from conformance.assertions import (
    expect_empty,
    expect_equal,
    expect_fields,
    expect_hex_id,
    expect_in,
    expect_not_equal,
    expect_not_in,
    expect_refused,
    expect_true,
)
from conformance.observe.files import addresses_of, parse_resolv_conf
from conformance.registry import behaviour


def name_of_machine(client):
    """Give the name of the engine's machine, which may be another one than this."""
    return str(client.info().get("Name"))


@behaviour(
    "init.host.daemons-netns",
    "A host-mode container MUST run in the daemon's network namespace.",
    source="seed initializeNetworking, IsHost branch; moby OptionUseDefaultSandbox v17.06",
    tier="core",
)
def test_host_mode_shares_the_daemons_namespace(run, host):
    container = run(network_mode="host")
    netns = host.netns_of(container.attrs["State"]["Pid"])
    expect_equal("the container's network namespace", host.daemon_netns().inode(), netns.inode())


@behaviour(
    "init.host.hostname-of-host",
    "Without a hostname of its own a host-mode container MUST be called like the host, already "
    "when it is created and also when it runs.",
    source="seed initializeNetworking: os.Hostname; moby daemon newContainer v17.06",
    tier="core",
)
def test_host_mode_takes_the_hosts_name(create, inspect, exec_in, client):
    container, name = create(network_mode="host"), name_of_machine(client)
    expect_equal("Config.Hostname", name, inspect(container)["Config"]["Hostname"])
    container.start()
    expect_equal("Config.Hostname", name, inspect(container)["Config"]["Hostname"])
    expect_equal("hostname", name, exec_in(container, "hostname").text)


@behaviour(
    "init.host.hostname-of-user",
    "A hostname that the user gave to a host-mode container MUST be kept.",
    source='seed initializeNetworking: `if container.Config.Hostname == ""`',
    tier="core",
)
def test_host_mode_keeps_the_users_hostname(run, exec_in):
    container = run(network_mode="host", hostname="chosen")
    expect_equal("Config.Hostname", "chosen", container.attrs["Config"]["Hostname"])
    expect_equal("hostname", "chosen", exec_in(container, "hostname").text)


@behaviour(
    "init.host.allocated",
    "A host-mode container MUST still be allocated: exactly the network `host`, with an endpoint "
    "id and a network id and neither address nor gateway.",
    source="seed initializeNetworking: allocateNetwork follows",
    tier="core",
)
def test_host_mode_has_an_endpoint_without_address(run):
    networks = run(network_mode="host").attrs["NetworkSettings"]["Networks"]
    expect_equal("the networks of the container", ["host"], sorted(networks))
    expect_hex_id("EndpointID", networks["host"]["EndpointID"])
    expect_hex_id("NetworkID", networks["host"]["NetworkID"])
    for field in ("IPAddress", "Gateway", "MacAddress"):
        expect_empty(field, networks["host"][field])


@behaviour(
    "init.host.hostname-file",
    "The hostname file of a host-mode container MUST hold the host's name and a newline.",
    source="seed initializeNetworking: BuildHostnameFile",
    tier="core",
)
def test_host_mode_writes_the_hostname_file(run, host, client):
    path = run(network_mode="host").attrs["HostnamePath"]
    expect_true("HostnamePath", path)
    content = host.file(path).read_text()
    expect_equal("the file at HostnamePath", f"{name_of_machine(client)}\n", content)


@behaviour(
    "init.host.sandbox",
    "Host-mode containers MUST share the SandboxKey `netns/default` and have a SandboxID each.",
    source='libnetwork osl.GenerateKey("default") v17.06',
)
def test_host_mode_has_a_sandbox_of_its_own_at_the_default_key(run):
    first, second = (run(network_mode="host").attrs["NetworkSettings"] for _ in range(2))
    for settings in (first, second):
        expect_hex_id("SandboxID", settings["SandboxID"])
        key = PurePath(settings["SandboxKey"])
        expect_equal("SandboxKey's last two parts", ("netns", "default"), key.parts[-2:])
    expect_not_equal("the first one's SandboxID", first["SandboxID"], second["SandboxID"])


@behaviour(
    "init.host.hosts-file",
    "In host mode /etc/hosts MUST be a copy of the host's, but with extra hosts it is the "
    "built-in template and the extra lines.",
    source="moby daemon buildSandboxOptions: OptionOriginHostsPath v17.06",
)
def test_host_mode_copies_the_hosts_file(run, host, client):
    plain = run(network_mode="host")
    copied = host.file(plain.attrs["HostsPath"]).read_text()
    expect_equal("/etc/hosts", host.file("/etc/hosts").read_text(), copied)
    extended = run(network_mode="host", extra_hosts={"db.example": "192.0.2.7"})
    built = host.file(extended.attrs["HostsPath"]).read_text()
    expect_equal("the extra host's addresses", ["192.0.2.7"], addresses_of(built, "db.example"))
    expect_in("localhost's addresses", "127.0.0.1", addresses_of(built, "localhost"))
    own = addresses_of(built, name_of_machine(client))
    expect_equal("the host's own lines are lost", [], own)


@behaviour(
    "init.host.resolv-conf",
    "Without a DNS option /etc/resolv.conf of a host-mode container MUST have the host's "
    "servers, search domains and options.",
    source="moby daemon buildSandboxOptions: OptionOriginResolvConfPath v17.06",
)
def test_host_mode_copies_resolv_conf(run, host):
    container = run(network_mode="host")
    own = parse_resolv_conf(host.file(container.attrs["ResolvConfPath"]).read_text())
    expect_equal(
        "/etc/resolv.conf", parse_resolv_conf(host.file("/etc/resolv.conf").read_text()), own
    )


@behaviour(
    "init.host.dns-of-user",
    "DNS servers given by the user MUST replace the host's in host mode, where the embedded DNS is "
    "never used.",
    source="moby daemon buildSandboxOptions v17.06",
)
def test_host_mode_uses_the_users_dns(run, exec_in):
    container = run(network_mode="host", dns=["192.0.2.53"])
    found = parse_resolv_conf(exec_in(container, "cat", "/etc/resolv.conf").stdout)
    expect_equal("the nameservers", ["192.0.2.53"], list(found.nameservers))


@behaviour(
    "init.host.ports-ignored",
    "Ports published by a host-mode container MUST be ignored: `Ports` is empty and nothing is "
    "bound.",
    source="libnetwork host driver has no port map v17.06",
)
def test_host_mode_publishes_nothing(create_raw, client, exec_in, start):
    # the SDK refuses this by itself, so it is said raw
    bindings = {"80/tcp": [{"HostPort": "48080"}]}
    body = {"HostConfig": {"NetworkMode": "host", "PortBindings": bindings}}
    answer = create_raw(body | {"ExposedPorts": {"80/tcp": {}}})
    expect_equal("the status of the create", 201, answer.status)
    container = client.containers.get(answer.json()["Id"])
    start(container)
    expect_equal("Ports", {}, container.attrs["NetworkSettings"]["Ports"])
    listening = exec_in(container, "netstat", "-lnt").stdout
    expect_in("the head of netstat's list", "Proto", listening)
    expect_not_in("a listener", ":48080 ", listening)


@behaviour(
    "init.host.no-links",
    "Links together with host mode MUST be refused at create.",
    source="runconfig ErrConflictHostNetworkAndLinks",
)
def test_host_mode_refuses_links(create):
    target = create()
    expect_refused(lambda: create(network_mode="host", links={target.name: "target"}))


@behaviour(
    "init.host.no-mac-address",
    "A MAC address for the whole container together with host mode MUST be refused at create.",
    source="runconfig validateNetMode v17.06",
    api="<1.44",
)
def test_host_mode_refuses_a_mac_address(create):
    expect_refused(lambda: create(network_mode="host", mac_address="02:42:c0:00:02:07"))


@behaviour(
    "init.host.no-second-network",
    "A host-mode container MUST NOT be connected to another network, whether it runs or not.",
    source="runconfig ErrConflictSharedNetwork; moby daemon updateNetworkSettings v17.03",
    bugs=("podman#9496",),
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_host_mode_goes_with_no_other_network(run, create, network, running):
    container = (run if running else create)(network_mode="host")
    user_network = network()
    before = sorted(container.attrs["NetworkSettings"]["Networks"])
    expect_refused(lambda: user_network.connect(container))
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the recorded networks", before, sorted(networks))


@behaviour(
    "init.host.no-connect-to-host",
    "Connecting a container of another mode to `host` MUST be refused, whether it runs or not.",
    source="runconfig ErrConflictHostNetwork v17.06",
)
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_other_modes_cannot_be_connected_to_host(run, create, api, running):
    container = (run if running else create)()
    before = sorted(container.attrs["NetworkSettings"]["Networks"])
    body = {"Container": container.id}
    expect_refused(lambda: api("POST", "/networks/host/connect", body))
    container.reload()
    networks = container.attrs["NetworkSettings"]["Networks"]
    expect_equal("the recorded networks", before, sorted(networks))


@behaviour(
    "init.host.no-live-disconnect",
    "Disconnecting a running host-mode container from `host` MUST be refused.",
    source="runconfig ErrConflictHostNetwork; moby daemon DisconnectFromNetwork v17.06",
)
def test_running_container_cannot_leave_host(run, api, inspect):
    container = run(network_mode="host")
    before = container.attrs["NetworkSettings"]["Networks"]
    body = {"Container": container.id}
    expect_refused(lambda: api("POST", "/networks/host/disconnect", body))
    expect_equal("the networks", before, inspect(container)["NetworkSettings"]["Networks"])


@behaviour(
    "init.host.disconnect-while-stopped",
    "A stopped host-mode container MAY be disconnected from `host`; it MUST then start without "
    "any network.",
    source="moby daemon DisconnectFromNetwork, not running; a sandbox since v17.05 (moby#31996)",
    tier="quirk",
)
def test_stopped_container_can_leave_host(create, start, client, inspect):
    container = create(network_mode="host")
    client.networks.get("host").disconnect(container)
    start(container)
    expect_equal("the recorded networks", {}, inspect(container)["NetworkSettings"]["Networks"])


@behaviour(
    "init.host.connect-again",
    "Connecting a running host-mode container to `host` again MUST be refused: it has an endpoint "
    "there.",
    source="libnetwork network.CreateEndpoint v17.06",
)
def test_host_cannot_be_connected_twice(run, api):
    body = {"Container": run(network_mode="host").id}
    expect_refused(lambda: api("POST", "/networks/host/connect", body))


@behaviour(
    "init.host.several-at-once",
    "Several host-mode containers MAY run at once; inspecting `host` MUST list each.",
    source="libnetwork host driver v17.06",
)
def test_network_host_lists_its_containers(run, inspect_network):
    containers = [run(network_mode="host") for _ in range(2)]
    members = inspect_network("host")["Containers"]
    for container in containers:
        expect_in("the members of `host`", container.id, members)
        expected = {"Name": container.name, "IPv4Address": "", "IPv6Address": ""}
        expect_fields("the member", expected, members[container.id])


@behaviour(
    "init.host.events-and-metric",
    "Host mode MUST announce `connect` and `disconnect` for the network `host` and count one "
    "`allocate`, one `connect` and one `release`.",
    source="moby daemon connectToNetwork, releaseNetwork v17.06",
)
def test_host_mode_is_announced_and_counted(create, events, metrics):
    container = create(network_mode="host")
    with metrics.delta() as delta:
        container.start()
        container.stop(timeout=0)
        seen = events.wait_for("network", "disconnect", actor=container.id)
    announced = [(e.action, e.attributes["name"]) for e in seen if e.type == "network"]
    expect_equal("the network events", [("connect", "host"), ("disconnect", "host")], announced)
    counted = {action: count for action, count in delta.counts.items() if count}
    expect_equal("network actions", {"allocate": 1, "connect": 1, "release": 1}, counted)


@behaviour(
    "init.host.own-uts",
    "Host mode MUST NOT share the host's UTS namespace; `UTSMode` host together with a hostname "
    "MUST be refused.",
    source="moby daemon/oci_linux.go setNamespaces; runconfig ErrConflictUTSHostname v17.06",
)
def test_host_mode_has_its_own_uts_namespace(run, create, host):
    container = run(network_mode="host")
    own = host.namespace_inode(container.attrs["State"]["Pid"], "uts")
    daemons = host.namespace_inode(host.inside.pid, "uts")
    expect_not_equal("the daemon's UTS namespace", daemons, own)
    expect_refused(lambda: create(network_mode="host", uts_mode="host", hostname="mine"))
