"""The embedded DNS of user networks: what it takes from the resolv.conf of the engine's machine."""

import contextlib

from conformance.assertions import expect_equal, expect_in
from conformance.impact.setup import nobody
from conformance.observe.dns import DnsClient, DnsServer, answering
from conformance.observe.sockets import Sockets, address_in
from conformance.registry import behaviour

LOOPBACK = "127.0.0.1"
DOMAIN = "row.example"


@contextlib.contextmanager
def dns_on(daemon, handler, where=None, address=LOOPBACK):
    """Run a DNS server on the engine's machine or in a container; give it and a client."""
    with contextlib.closing(Sockets(daemon.host)) as sockets:
        server = DnsServer(sockets, where, address, handler)
        with server:
            yield server, DnsClient(sockets)


@behaviour(
    "dns.forward.machine-loopback",
    "A server at a loopback address in the machine's resolv.conf MUST be asked on the machine, for "
    "a container with search domains or options of its own too; for one with servers of its own it "
    "MUST NOT be asked.",
    source="libnetwork sandbox setupDNS v17.06; moby PR 45000, v23.0.2",
    needs=("host-view",),
    bugs=("for-linux#1404", "podman#17499"),
    concerns=nobody,
)
def test_machines_loopback_server_is_asked(own_daemon):
    daemon = own_daemon()
    daemon.host.write_resolv_conf(f"nameserver {LOOPBACK}\n")
    net = daemon.network()
    with dns_on(daemon, answering("60 IN A 192.0.2.1")) as (server, client):
        for given in ({}, {"dns_opt": ["timeout:1"]}, {"dns_search": [DOMAIN]}):
            container = daemon.run(network=net.name, **given)
            found = client.ask(container, "host.example").records
            expect_equal(f"the answer with {given}", ("192.0.2.1",), found)
        own = daemon.run(network=net.name, dns=[address_in(container, net)])
        client.ask(own, "other.example", timeout_s=1)
    expect_equal("what was asked", ["host.example"] * 3, server.names("A"))


@behaviour(
    "dns.forward.machine-ndots",
    "A peer's bare name MUST resolve to the peer where the machine's resolv.conf has a search "
    "domain with the same name in it, and the option `ndots`.",
    source="docs: containers on a user network resolve each other by name",
    needs=("host-view",),
    bugs=("moby#41819",),
)
def test_machines_ndots_does_not_hide_a_peer(own_daemon):
    daemon = own_daemon()
    text = f"search {DOMAIN}\nnameserver 192.0.2.53\noptions ndots:1\n"
    daemon.host.write_resolv_conf(text)
    net = daemon.network()
    peer = daemon.run(network=net.name)
    address = address_in(peer, net)
    with dns_on(daemon, answering("60 IN A 192.0.2.1"), peer, address):
        asker = daemon.run(network=net.name, dns=[address], cap_add=["NET_RAW"])
        ping = daemon.exec_in(asker, "ping", "-c1", "-W2", peer.name)
    expect_in("what was pinged", f"({address})", ping.stdout)
