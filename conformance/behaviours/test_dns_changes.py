"""The embedded DNS of user networks: names come and go with their containers, at once."""

from conformance.assertions import expect_equal, expect_not_equal
from conformance.observe.dns import expect_unknown
from conformance.observe.poll import eventually
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "dns.changes.stop",
    "A container's names MUST NOT resolve once it was stopped.",
    source="libnetwork controller.watchSvcRecord v17.06",
)
def test_names_go_with_a_stop(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run(network=net.name)
    expect_equal("before", [address_in(peer, net)], dns.addresses(asks, peer.name))
    peer.stop()
    expect_unknown(dns, asks, peer.name)
    expect_unknown(dns, asks, peer.id[:12])


@behaviour(
    "dns.changes.process-ends",
    "A container's names MUST NOT resolve for long after its process ended by itself.",
    source="libnetwork controller.watchSvcRecord v17.06; moby daemon StateChanged",
)
def test_names_go_with_the_process(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run(network=net.name)
    expect_equal("before", [address_in(peer, net)], dns.addresses(asks, peer.name))
    peer.kill("TERM")  # on which its command ends, and the engine is not asked to stop it
    eventually(
        "the name is gone",
        lambda: dns.ask(asks, peer.name).rcode == "NXDOMAIN",
        timeout_s=5,
    )


@behaviour(
    "dns.changes.start-again",
    "A container's names MUST resolve again once it was started, to the address that it has then.",
    source="libnetwork controller.watchSvcRecord v17.06",
    bugs=("libnetwork#1295",),
)
def test_names_come_back_with_the_new_address(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    first = address_in(peer, net)
    peer.stop()
    run(network=net.name)  # takes the address that is free now
    peer.start()
    second = address_in(peer, net)
    expect_not_equal("the address after the start", first, second)
    expect_equal("the addresses", [second], dns.addresses(asker, peer.name))


@behaviour(
    "dns.changes.restart",
    "A container's names MUST resolve after a restart.",
    source="libnetwork controller.watchSvcRecord v17.06",
)
def test_names_survive_a_restart(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run()
    net.connect(peer, aliases=["db"])
    peer.restart()
    for name in (peer.name, peer.id[:12], "db"):
        expect_equal(name, [address_in(peer, net)], dns.addresses(asker, name))


@behaviour(
    "dns.changes.pause",
    "The names of a paused container MUST go on resolving.",
    source="moby daemon/pause.go v17.06: the network is not touched",
)
def test_paused_container_keeps_its_names(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    peer.pause()
    answer = dns.addresses(asker, peer.name)
    peer.unpause()
    expect_equal("the addresses", [address_in(peer, net)], answer)


@behaviour(
    "dns.changes.connect",
    "A container's names MUST resolve on a network as soon as it was connected to it.",
    source="libnetwork endpoint.sbJoin v17.06",
)
def test_names_come_with_a_connect(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run()
    expect_unknown(dns, asks, peer.name)
    net.connect(peer)
    expect_equal("the addresses", [address_in(peer, net)], dns.addresses(asks, peer.name))


@behaviour(
    "dns.changes.disconnect",
    "A container's names MUST NOT resolve on a network once it was disconnected from it.",
    source="libnetwork endpoint.sbLeave v17.06",
)
def test_names_go_with_a_disconnect(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run()
    net.connect(peer, aliases=["db"])
    expect_equal("before", [address_in(peer, net)], dns.addresses(asks, "db"))
    net.disconnect(peer)
    for name in ("db", peer.name, f"{peer.name}.{net.name}"):
        expect_unknown(dns, asks, name)


@behaviour(
    "dns.changes.forced-disconnect",
    "A container's names MUST NOT resolve on a network once it was disconnected by force.",
    source="libnetwork endpoint.sbLeave v17.06",
)
def test_names_go_with_a_forced_disconnect(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run(network=net.name)
    expect_equal("before", [address_in(peer, net)], dns.addresses(asks, peer.name))
    net.disconnect(peer, force=True)
    expect_unknown(dns, asks, peer.name)


@behaviour(
    "dns.changes.asker-connects",
    "A container MUST resolve the peers on a network as soon as it was connected to it, and MUST "
    "NOT once it was disconnected.",
    source="libnetwork sandbox.ResolveName v17.06",
    bugs=("podman#9603",),
)
def test_asker_learns_and_forgets_names(run, network, dns, asker):
    net, other = network(), network()
    asks, peer = asker(net), run(network=other.name)
    other.connect(asks)
    expect_equal("the addresses", [address_in(peer, other)], dns.addresses(asks, peer.name))
    other.disconnect(asks)
    expect_unknown(dns, asks, peer.name)


@behaviour(
    "dns.changes.first-user-network",
    "A running container on the default network MUST get the embedded DNS as soon as it was "
    "connected to a user network.",
    source="libnetwork sandbox_dns_unix.go rebuildDNS, resolver start in sbJoin v17.06",
    bugs=("podman#9603",),
)
def test_dns_comes_with_the_first_user_network(run, network, dns):
    net = network()
    asker, peer = run(), run(network=net.name)
    net.connect(asker)
    expect_equal("the addresses", [address_in(peer, net)], dns.addresses(asker, peer.name))


@behaviour(
    "dns.changes.rename",
    "A rename of a running container MUST replace its name at once, `<name>.<network>` too, and "
    "MUST leave its aliases.",
    source="moby daemon/rename.go v17.06: libnetwork sandbox.Rename",
)
def test_rename_replaces_the_name(run, network, dns, asker, new_name):
    net = network()
    asks, peer = asker(net), run()
    net.connect(peer, aliases=["db"])
    address, old, new = address_in(peer, net), peer.name, new_name("renamed")
    peer.rename(new)
    for name in (new, f"{new}.{net.name}", "db", peer.id[:12]):
        expect_equal(name, [address], dns.addresses(asks, name))
    expect_unknown(dns, asks, old)


@behaviour(
    "dns.changes.rename-reverse",
    "A rename MUST replace the name that an address answers with.",
    source="moby daemon/rename.go v17.06: libnetwork sandbox.Rename",
)
def test_rename_replaces_the_reverse_name(run, network, dns, new_name):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    address, new = address_in(peer, net), new_name("renamed")
    peer.rename(new)
    expect_equal("the name", (f"{new}.{net.name}.",), dns.ask_reverse(asker, address).records)


@behaviour(
    "dns.changes.name-taken-over",
    "A name that was given up by a rename MUST resolve to the container that took it.",
    source="moby daemon/rename.go v17.06",
)
def test_name_goes_to_the_next_one(run, network, dns, new_name):
    net = network()
    asker, old = run(network=net.name), run(network=net.name)
    name = old.name
    old.rename(new_name("renamed"))
    new = run(network=net.name, name=name)
    expect_equal("the addresses", [address_in(new, net)], dns.addresses(asker, name))


@behaviour(
    "dns.changes.remove",
    "The names of a container that was removed by force MUST NOT resolve.",
    source="moby daemon/delete.go v17.06",
)
def test_names_go_with_a_removal(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run(network=net.name)
    expect_equal("before", [address_in(peer, net)], dns.addresses(asks, peer.name))
    peer.remove(force=True)
    expect_unknown(dns, asks, peer.name)
