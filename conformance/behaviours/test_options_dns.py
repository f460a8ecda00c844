"""The engine's options for name resolution; what a container says itself wins over them."""

import contextlib
import ipaddress

from conformance.assertions import expect_equal, expect_in
from conformance.observe.dns import DnsClient, DnsServer, answering
from conformance.observe.files import parse_resolv_conf
from conformance.observe.sockets import Sockets
from conformance.registry import behaviour

EMBEDDED = "127.0.0.11"
DNS = ("dns-option",)
OPTIONS = {"dns": ["192.0.2.53"], "dns-search": ["d.example"], "dns-opts": ["timeout:3"]}


def resolv_conf_of(daemon, container):
    return parse_resolv_conf(daemon.exec_in(container, "cat", "/etc/resolv.conf").stdout)


@contextlib.contextmanager
def servers_on(daemon, *addresses):
    """Run DNS servers in the engine's own namespace, which answer with their own addresses."""
    with contextlib.closing(Sockets(daemon.host)) as sockets, contextlib.ExitStack() as running:
        for address in addresses:
            handler = answering(f"60 IN A {address}")
            running.enter_context(DnsServer(sockets, None, address, handler))
        yield DnsClient(sockets)


@behaviour(
    "options.dns.user-network",
    "On a user network the engine's option `dns` MUST name the servers that are asked for what the "
    "embedded DNS does not know.",
    source="moby daemon buildSandboxOptions: container, then daemon, then host v17.06",
    needs=(*DNS, "bip-option", "host-view"),
)
def test_daemons_server_is_behind_the_embedded_dns(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    address = str(network[1])
    daemon = own_daemon({"bip": f"{address}/24", "dns": [address]})
    container = daemon.run(network_mode=daemon.network().name)
    expect_equal("the servers", (EMBEDDED,), resolv_conf_of(daemon, container).nameservers)
    daemon.run()  # an engine may set the default bridge up with its first container
    with servers_on(daemon, address) as client:
        found = client.ask(container, "name.example").records
    expect_equal("the answer of the daemon's server", (address,), found)


@behaviour(
    "options.dns.container-wins",
    "On a user network a container's own `dns` MUST be asked in place of the engine's option "
    "`dns`.",
    source="moby daemon buildSandboxOptions: container, then daemon, then host v17.06",
    needs=(*DNS, "bip-option", "host-view"),
)
def test_containers_server_wins(own_daemon, subnets):
    network = ipaddress.ip_network(subnets.ipv4())
    daemons = str(network[1])
    daemon = own_daemon({"bip": f"{daemons}/24", "dns": [daemons]})
    net = daemon.network()
    containers = net.attrs["IPAM"]["Config"][0]["Subnet"].replace(".0/24", ".1")
    container = daemon.run(network_mode=net.name, dns=[containers])
    with servers_on(daemon, daemons, containers) as client:
        found = client.ask(container, "name.example").records
    expect_equal("the answer of the container's server", (containers,), found)


@behaviour(
    "options.dns.user-network-files",
    "On a user network resolv.conf MUST have the search domains and options of the engine, where "
    "the container has none of its own.",
    source="libnetwork sandbox setupDNS, rebuildDNS v17.06",
    needs=DNS,
)
def test_daemons_search_is_in_the_file(own_daemon):
    daemon = own_daemon(OPTIONS)
    net = daemon.network()
    plain = resolv_conf_of(daemon, daemon.run(network_mode=net.name))
    expect_equal("the servers", (EMBEDDED,), plain.nameservers)
    expect_equal("the search domains", ("d.example",), plain.search)
    expect_in("the options", "timeout:3", plain.options)
    own = daemon.run(network_mode=net.name, dns_search=["c.example"], dns_opt=["attempts:1"])
    found = resolv_conf_of(daemon, own)
    expect_equal("the container's search domains", ("c.example",), found.search)
    expect_in("the container's options", "attempts:1", found.options)
    expect_equal("the engine's option", False, "timeout:3" in found.options)


@behaviour(
    "options.dns.host-mode",
    "In host mode resolv.conf MUST have the engine's servers, search domains and options in place "
    "of the host's.",
    source="moby daemon buildSandboxOptions v17.06",
    needs=DNS,
)
def test_daemons_dns_is_that_of_host_mode(own_daemon):
    daemon = own_daemon(OPTIONS)
    found = resolv_conf_of(daemon, daemon.run(network_mode="host"))
    expect_equal("the servers", ("192.0.2.53",), found.nameservers)
    expect_equal("the search domains", ("d.example",), found.search)
    expect_equal("the options", ("timeout:3",), found.options)


@behaviour(
    "options.dns.not-in-inspect",
    "The engine's options for name resolution MUST NOT be written into a container's HostConfig.",
    source="moby daemon buildSandboxOptions v17.06: read at each start",
    needs=DNS,
)
def test_daemons_dns_is_not_the_containers(own_daemon):
    daemon = own_daemon(OPTIONS)
    container = daemon.run()
    host_config = container.attrs["HostConfig"]
    found = [host_config[key] or [] for key in ("Dns", "DnsSearch", "DnsOptions")]
    expect_equal("Dns, DnsSearch and DnsOptions", [[], [], []], found)


@behaviour(
    "options.dns.changed",
    "A container MUST be started with the servers that the engine has now, not with those of the "
    "engine that it was created on.",
    source="moby daemon buildSandboxOptions v17.06: read at each start",
    needs=DNS,
)
def test_changed_dns_holds_at_the_next_start(own_daemon):
    daemon = own_daemon({"dns": ["192.0.2.53"]})
    container = daemon.run()
    first = resolv_conf_of(daemon, container)
    expect_equal("the servers", ("192.0.2.53",), first.nameservers)
    daemon.engine.config["dns"] = ["192.0.2.54"]
    daemon.engine.restart()
    again = daemon.client.containers.get(container.id)
    again.start()
    expect_equal("the servers then", ("192.0.2.54",), resolv_conf_of(daemon, again).nameservers)
