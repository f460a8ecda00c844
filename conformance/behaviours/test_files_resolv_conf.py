"""What /etc/resolv.conf of a container says, who changes it, and when."""

import hashlib

from conformance.assertions import (
    expect_equal,
    expect_in,
    expect_not_in,
)
from conformance.observe.files import parse_resolv_conf
from conformance.registry import behaviour

EMBEDDED = "127.0.0.11"


def resolv_conf_of(exec_in, container):
    return exec_in(container, "cat", "/etc/resolv.conf").stdout


def directives(text):
    """Give the lines that mean something, in their order."""
    return [line for line in text.splitlines() if line.strip() and line[0] not in "#;"]


@behaviour(
    "files.resolv-conf.user-network",
    "On a user network resolv.conf MUST name 127.0.0.11 as its only IPv4 server, keep the host's "
    "search domains, and set `ndots:0`.",
    source="libnetwork sandbox rebuildDNS v17.06",
)
def test_user_network_points_at_the_embedded_dns(run, network, exec_in, host):
    container = run(network_mode=network().name)
    found = parse_resolv_conf(resolv_conf_of(exec_in, container))
    of_host = parse_resolv_conf(host.file("/etc/resolv.conf").read_text())
    servers = [server for server in found.nameservers if ":" not in server]
    expect_equal("the servers", [EMBEDDED], servers)
    expect_equal("the search domains", of_host.search, found.search)
    expect_equal("the options", (*of_host.options, "ndots:0"), found.options)


@behaviour(
    "files.resolv-conf.default-network",
    "On the default network alone resolv.conf MUST have the host's servers that are not loopback "
    "addresses, its search domains and its options.",
    source="libnetwork sandbox setupDNS, resolvconf.FilterResolvDNS v17.06",
)
def test_default_network_has_the_hosts_servers(run, exec_in, host):
    found = parse_resolv_conf(resolv_conf_of(exec_in, run()))
    of_host = parse_resolv_conf(host.file("/etc/resolv.conf").read_text())
    reachable = [x for x in of_host.nameservers if not x.startswith("127.") and ":" not in x]
    expect_equal("the servers", reachable or ["8.8.8.8", "8.8.4.4"], list(found.nameservers))
    expect_equal("the search domains", of_host.search, found.search)
    expect_equal("the options", of_host.options, found.options)


@behaviour(
    "files.resolv-conf.dns-options",
    "On the default network servers, search domains and options of the container MUST replace the "
    "host's and stand in resolv.conf as they were given.",
    source="libnetwork sandbox setupDNS, resolvconf.Build v17.06",
)
def test_users_dns_is_written_literally(run, exec_in):
    container = run(
        dns=["192.0.2.53", "127.0.0.1"],
        dns_search=["one.example", "two.example"],
        dns_opt=["timeout:3", "rotate"],
    )
    wanted = [
        "nameserver 127.0.0.1",
        "nameserver 192.0.2.53",
        "options timeout:3 rotate",
        "search one.example two.example",
    ]
    lines = directives(resolv_conf_of(exec_in, container))
    expect_equal("the lines", wanted, sorted(lines))
    expect_equal("the first server", "192.0.2.53", next(x for x in lines if "names" in x)[11:])


@behaviour(
    "files.resolv-conf.dns-options-user-network",
    "On a user network the container's servers MUST be behind 127.0.0.11, and its search domains "
    "and options stay.",
    source="libnetwork sandbox setupDNS, rebuildDNS v17.06",
)
def test_users_servers_go_behind_the_embedded_dns(run, network, exec_in):
    container = run(
        network_mode=network().name,
        dns=["192.0.2.53"],
        dns_search=["one.example"],
        dns_opt=["timeout:3"],
    )
    found = parse_resolv_conf(resolv_conf_of(exec_in, container))
    expect_equal("the servers", (EMBEDDED,), found.nameservers)
    expect_equal("the search domains", ("one.example",), found.search)
    expect_equal("the options", ("timeout:3", "ndots:0"), found.options)


@behaviour(
    "files.resolv-conf.user-ndots",
    "An `ndots` option of the container MUST be kept on a user network, wherever it stands among "
    "its options, and no second one added.",
    source="libnetwork sandbox rebuildDNS v20.10",
    bugs=("moby#26039",),
)
def test_users_ndots_is_kept(run, network, exec_in):
    container = run(network_mode=network().name, dns_opt=["timeout:3", "ndots:3", "rotate"])
    found = parse_resolv_conf(resolv_conf_of(exec_in, container))
    expect_equal("the servers", (EMBEDDED,), found.nameservers[:1])
    expect_equal("the options", ("timeout:3", "ndots:3", "rotate"), found.options)


@behaviour(
    "files.resolv-conf.daemon-options",
    "The daemon's servers, search domains and options MUST replace the host's, and each of them "
    "gives way to the container's own.",
    source="moby daemon setupDNS options: container, then daemon, then host v17.06",
    needs=("dns-option",),
)
def test_daemons_dns_stands_between_host_and_container(own_daemon):
    daemon = own_daemon(
        {"dns": ["192.0.2.53"], "dns-search": ["d.example"], "dns-opts": ["timeout:3"]}
    )
    plain = parse_resolv_conf(resolv_conf_of(daemon.exec_in, daemon.run()))
    expect_equal("the daemon's server", ("192.0.2.53",), plain.nameservers)
    expect_equal("the daemon's search domain", ("d.example",), plain.search)
    expect_equal("the daemon's option", ("timeout:3",), plain.options)
    container = daemon.run(dns=["192.0.2.54"], dns_search=["c.example"])
    found = parse_resolv_conf(resolv_conf_of(daemon.exec_in, container))
    expect_equal("the container's server", ("192.0.2.54",), found.nameservers)
    expect_equal("the container's search domain", ("c.example",), found.search)
    expect_equal("the daemon's option stays", ("timeout:3",), found.options)


@behaviour(
    "files.resolv-conf.search-dot",
    "The search domain `.` MUST mean that there is no search line.",
    source="libnetwork resolvconf.Build v17.06",
)
def test_dot_switches_searching_off(run, exec_in):
    container = run(dns=["192.0.2.53"], dns_search=["."])
    lines = directives(resolv_conf_of(exec_in, container))
    expect_equal("the lines", ["nameserver 192.0.2.53"], lines)


@behaviour(
    "files.resolv-conf.unparsable-server",
    "A DNS server that is no address MUST be written as it is, and the container starts.",
    source="libnetwork resolvconf.Build v17.06",
    tier="quirk",
    docker="<26.0",
)
def test_unparsable_server_is_written(run, exec_in):
    container = run(dns=["bad"])
    lines = directives(resolv_conf_of(exec_in, container))
    servers = [line for line in lines if line.startswith("nameserver")]
    expect_equal("the servers", ["nameserver bad"], servers)


@behaviour(
    "files.resolv-conf.live-connect",
    "When a container of the default network alone joins a user network live, its resolv.conf MUST "
    "name 127.0.0.11 at once; it stays so when the container leaves that network.",
    source="libnetwork sandbox startResolver v17.06",
    bugs=("podman#9603",),
)
def test_live_connect_switches_to_the_embedded_dns(run, network, exec_in):
    container, net = run(), network()
    before = resolv_conf_of(exec_in, container)
    expect_not_in("the servers before", EMBEDDED, parse_resolv_conf(before).nameservers)
    net.connect(container)
    connected = resolv_conf_of(exec_in, container)
    expect_equal("the first server", (EMBEDDED,), parse_resolv_conf(connected).nameservers[:1])
    net.disconnect(container)
    expect_equal("the file afterwards", connected, resolv_conf_of(exec_in, container))


@behaviour(
    "files.resolv-conf.rebuilt-at-restart",
    "A restart MUST build resolv.conf anew, for the networks that the container then has.",
    source="libnetwork sandbox setupDNS v17.06",
)
def test_restart_builds_resolv_conf_anew(run, network, exec_in):
    container, net = run(), network()
    before = resolv_conf_of(exec_in, container)
    net.connect(container)
    net.disconnect(container)
    exec_in(container, "sh", "-c", "echo 'options rotate' >> /etc/resolv.conf")
    expect_in("the file", "options rotate", resolv_conf_of(exec_in, container))
    container.restart()
    expect_equal("the file", before, resolv_conf_of(exec_in, container))


@behaviour(
    "files.resolv-conf.edits-survive-networks",
    "What a container wrote into its resolv.conf MUST survive that it joins another user network.",
    source="libnetwork sandbox updateDNS: a changed file is left alone v17.06",
)
def test_edits_survive_a_further_network(run, network, exec_in):
    container = run(network_mode=network().name)
    exec_in(container, "sh", "-c", "echo 'options rotate' >> /etc/resolv.conf")
    edited = resolv_conf_of(exec_in, container)
    expect_in("the file", "options rotate", edited)
    network().connect(container)
    expect_equal("the file", edited, resolv_conf_of(exec_in, container))


@behaviour(
    "files.resolv-conf.edit-overwritten",
    "When a container of the default network joins its first user network live, the servers in its "
    "resolv.conf MUST be replaced by 127.0.0.11 even if it has edited the file.",
    source="libnetwork sandbox rebuildDNS v17.06",
    tier="quirk",
    docker="<26.0",
)
def test_first_user_network_overwrites_an_edit(run, network, exec_in):
    container = run()
    exec_in(container, "sh", "-c", "echo 'nameserver 192.0.2.53' > /etc/resolv.conf")
    network().connect(container)
    found = parse_resolv_conf(resolv_conf_of(exec_in, container))
    expect_equal("the servers", (EMBEDDED,), found.nameservers)
    expect_equal("the options", ("ndots:0",), found.options)


@behaviour(
    "files.resolv-conf.hash",
    "Beside the resolv.conf of a container on the default network alone there MUST be "
    "`resolv.conf.hash` with `sha256:` and the digest of its content.",
    source="libnetwork sandbox setupDNS, ioutils.HashData v17.06",
    tier="quirk",
    needs=("container-folder",),
)
def test_hash_of_resolv_conf_is_kept(run, host):
    path = run().attrs["ResolvConfPath"]
    digest = hashlib.sha256(host.file(path).read_bytes()).hexdigest()
    kept = host.file(f"{path}.hash").read_text()
    expect_equal("resolv.conf.hash", f"sha256:{digest}", kept)
