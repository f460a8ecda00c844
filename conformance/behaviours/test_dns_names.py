"""The embedded DNS of user networks: which names a container answers to, and to whom."""

import re

from conformance.assertions import expect_equal, expect_in, expect_not_in
from conformance.observe.dns import expect_unknown
from conformance.observe.poll import eventually
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "dns.name.container-name",
    "On a user network a container MUST resolve a peer by its name, and itself by its own.",
    source="libnetwork sandbox.ResolveName v17.06",
)
def test_peer_resolves_by_name(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    for container in (peer, asker):
        wanted = [address_in(container, net)]
        expect_equal("the addresses", wanted, dns.addresses(asker, container.name))


@behaviour(
    "dns.name.short-id",
    "On a user network a container MUST resolve a peer by the first 12 digits of its id.",
    source="moby daemon updateNetworkConfig v17.06: the short id is an alias",
)
def test_peer_resolves_by_short_id(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    addresses = dns.addresses(asker, peer.id[:12])
    expect_equal("the addresses", [address_in(peer, net)], addresses)


@behaviour(
    "dns.name.hostname",
    "On a user network a container MUST resolve a peer by the hostname that it was given.",
    source="moby daemon updateNetworkConfig v20.10: addHostname",
    docker=">=20.10",
    bugs=("podman#17370",),
)
def test_peer_resolves_by_hostname(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name, hostname="peer-of-the-row")
    addresses = dns.addresses(asker, "peer-of-the-row")
    expect_equal("the addresses", [address_in(peer, net)], addresses)


@behaviour(
    "dns.name.alias",
    "On a user network a container MUST resolve a peer by every alias of its endpoint there.",
    source="libnetwork CreateOptionMyAlias v17.06",
    bugs=("podman#9492",),
)
def test_peer_resolves_by_alias(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run()
    net.connect(peer, aliases=["db", "db.primary"])
    for alias in ("db", "db.primary"):
        expect_equal(alias, [address_in(peer, net)], dns.addresses(asker, alias))


@behaviour(
    "dns.name.with-network",
    "A name, a short id and an alias MUST also resolve with `.` and the network's name behind.",
    source="libnetwork sandbox.ResolveName v17.06",
)
def test_peer_resolves_by_name_and_network(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run()
    net.connect(peer, aliases=["db"])
    for name in (peer.name, peer.id[:12], "db"):
        addresses = dns.addresses(asker, f"{name}.{net.name}")
        expect_equal(f"{name}.<network>", [address_in(peer, net)], addresses)


@behaviour(
    "dns.name.dotted-network",
    "A name MUST also resolve with a network's name that itself has a dot.",
    source="libnetwork sandbox.ResolveName v17.06: every dot may begin the network's name",
)
def test_network_name_may_have_a_dot(run, network, dns, new_name):
    net = network(f"{new_name('network')}.example")
    asker, peer = run(network=net.name), run(network=net.name)
    addresses = dns.addresses(asker, f"{peer.name}.{net.name}")
    expect_equal("the addresses", [address_in(peer, net)], addresses)


@behaviour(
    "dns.name.dotted-name",
    "A container whose own name has dots MUST resolve by that name.",
    source="libnetwork sandbox.ResolveName v17.06: the whole name is tried first",
)
def test_container_name_may_have_dots(run, network, dns, new_name):
    net = network()
    asker = run(network=net.name)
    peer = run(network=net.name, name=f"{new_name('peer')}.example.test")
    expect_equal("the addresses", [address_in(peer, net)], dns.addresses(asker, peer.name))


@behaviour(
    "dns.name.upper-case",
    "Names MUST be found whatever the case of their letters.",
    source="libnetwork svcRecords since 18.09: names are kept in lower case",
    docker=">=18.09",
    bugs=("moby#21169",),
)
def test_case_of_a_name_does_not_matter(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run()
    net.connect(peer, aliases=["DataBase"])
    for name in (peer.name.upper(), "database", "DATABASE"):
        expect_equal(name, [address_in(peer, net)], dns.addresses(asker, name))


@behaviour(
    "dns.alias.shared",
    "An alias of several containers MUST resolve to the addresses of all of them.",
    source="libnetwork network.addSvcRecords v17.06",
)
def test_shared_alias_resolves_to_all(run, network, dns):
    net = network()
    asker, peers = run(network=net.name), [run() for _ in range(3)]
    for peer in peers:
        net.connect(peer, aliases=["db"])
    wanted = sorted(address_in(peer, net) for peer in peers)
    expect_equal("the addresses", wanted, dns.addresses(asker, "db"))


@behaviour(
    "dns.alias.rotation",
    "The addresses of a shared alias MUST take turns in coming first.",
    source="libnetwork resolver.shuffleAddr v17.06",
)
def test_shared_alias_rotates(run, network, dns):
    net = network()
    asker, peers = run(network=net.name), [run() for _ in range(2)]
    for peer in peers:
        net.connect(peer, aliases=["db"])
    firsts = set()

    def all_were_first():
        firsts.add(dns.ask(asker, "db").records[:1])
        return len(firsts) == 2

    # 30 answers with the same one first: once in 500 million runs
    seen = any(all_were_first() for _ in range(30))
    expect_equal("both addresses came first once", True, seen)


@behaviour(
    "dns.alias.holder-stops",
    "A shared alias MUST go on resolving to the holders that remain when one stops.",
    source="libnetwork network.deleteSvcRecords v17.06",
)
def test_shared_alias_without_the_one_that_stopped(run, network, dns):
    net = network()
    asker, stays, stops = run(network=net.name), run(), run()
    for peer in (stays, stops):
        net.connect(peer, aliases=["db"])
    stops.stop()
    wanted = [address_in(stays, net)]
    eventually(
        "only the holder that runs is left",
        lambda: dns.addresses(asker, "db") == wanted,
        timeout_s=2,
    )


@behaviour(
    "dns.alias.connected-while-stopped",
    "An alias given in a connect of a container that does not run MUST resolve once it runs.",
    source="moby daemon ConnectToNetwork v17.06",
)
def test_alias_of_a_stopped_container(create, run, network, dns):
    net = network()
    asker, peer = run(network=net.name), create()
    net.connect(peer, aliases=["db"])
    peer.start()
    expect_equal("the addresses", [address_in(peer, net)], dns.addresses(asker, "db"))


@behaviour(
    "dns.alias.one-network-only",
    "An alias MUST NOT resolve on another network of its container, where the name still does.",
    source="libnetwork sandbox.ResolveName v17.06",
)
def test_alias_is_of_one_network(run, network, dns, asker):
    net, other = network(), network()
    asks, peer = asker(other), run(network=other.name)
    net.connect(peer, aliases=["db"])
    expect_equal("the name", [address_in(peer, other)], dns.addresses(asks, peer.name))
    expect_unknown(dns, asks, "db")


@behaviour(
    "dns.scope.other-network",
    "A container MUST NOT resolve the name of one with which it shares no network.",
    source="libnetwork sandbox.ResolveName v17.06",
)
def test_name_of_another_network_does_not_resolve(run, network, dns, asker):
    net, other = network(), network()
    asks, peer, stranger = asker(net), run(network=net.name), run(network=other.name)
    expect_equal("the peer", [address_in(peer, net)], dns.addresses(asks, peer.name))
    for name in (stranger.name, f"{stranger.name}.{other.name}", stranger.id[:12]):
        expect_unknown(dns, asks, name)


@behaviour(
    "dns.scope.default-network",
    "A container on the default network MUST NOT resolve by its name on a user network.",
    source="moby daemon v17.06: endpoints on `bridge` have no names",
)
def test_container_on_bridge_has_no_name(run, network, dns, asker):
    net = network()
    asks, stranger, peer = asker(net), run(), run(network=net.name)
    expect_equal("a peer", [address_in(peer, net)], dns.addresses(asks, peer.name))
    expect_unknown(dns, asks, stranger.name)


@behaviour(
    "dns.scope.both-networks",
    "A container on two user networks MUST resolve the peers on both.",
    source="libnetwork sandbox.ResolveName v17.06",
)
def test_names_of_both_networks_resolve(run, network, dns):
    net, other = network(), network()
    asker, one, two = run(network=net.name), run(network=net.name), run(network=other.name)
    other.connect(asker)
    expect_equal("one", [address_in(one, net)], dns.addresses(asker, one.name))
    expect_equal("the other", [address_in(two, other)], dns.addresses(asker, two.name))


@behaviour(
    "dns.order.first-network",
    "A name on two shared networks MUST resolve to the address on the one whose name sorts first.",
    source="libnetwork sandbox.ResolveName v17.06: heap order",
)
def test_name_on_two_networks_is_that_of_the_first(run, network, dns, new_name):
    name = new_name("network")
    second, first = network(f"{name}-b"), network(f"{name}-a")
    asker, peer = run(network=second.name), run(network=second.name)
    for container in (asker, peer):
        first.connect(container)
    expect_equal("the addresses", [address_in(peer, first)], dns.addresses(asker, peer.name))


@behaviour(
    "dns.order.chosen-network",
    "`<name>.<network>` MUST resolve to the address on that network, whichever sorts first.",
    source="libnetwork sandbox.ResolveName v17.06",
)
def test_network_behind_the_name_decides(run, network, dns, new_name):
    name = new_name("network")
    second, first = network(f"{name}-b"), network(f"{name}-a")
    asker, peer = run(network=second.name), run(network=second.name)
    for container in (asker, peer):
        first.connect(container)
    for net in (first, second):
        addresses = dns.addresses(asker, f"{peer.name}.{net.name}")
        expect_equal("the addresses", [address_in(peer, net)], addresses)


@behaviour(
    "dns.inspect.aliases",
    "`Aliases` in inspect MUST list the endpoint's aliases and the container's short id.",
    source="moby daemon updateNetworkConfig v17.06",
    docker="<26.0",
)
def test_inspect_lists_the_aliases(run, network, inspect):
    net, other = network(), network()
    container = run(network=other.name)
    net.connect(container, aliases=["db"])
    listed = inspect(container)["NetworkSettings"]["Networks"]
    for alias in ("db", container.id[:12]):
        expect_in("the aliases", alias, listed[net.name]["Aliases"] or [])
    expect_not_in("the aliases on the other", "db", listed[other.name]["Aliases"] or [])


@behaviour(
    "dns.anonymous.no-name",
    "A container whose name was generated MUST NOT resolve by it before it is renamed, and MUST "
    "resolve by its new name and by its short id.",
    source="moby daemon IsAnonymousEndpoint v17.06",
    tier="quirk",
    docker="<25.0",
)
def test_generated_name_does_not_resolve(run, network, dns, asker, inspect, new_name):
    net = network()
    asks, peer = asker(net), run(network=net.name, name=None)
    address, generated = address_in(peer, net), peer.name
    expect_unknown(dns, asks, generated)
    expect_equal("the short id", [address], dns.addresses(asks, peer.id[:12]))
    renamed = new_name("renamed")
    peer.rename(renamed)
    expect_equal("the new name", [address], dns.addresses(asks, renamed))


# As Docker makes them: an adjective and a surname.
GENERATED_NAME = re.compile(r"[a-z]+_[a-z]+[0-9]?")


def with_generated_names(setup):
    for one in setup.containers:
        if GENERATED_NAME.fullmatch(one.name) and one.user_endpoints:
            why = "its name looks like a generated one"
            change = "its peers find it by that name, if no user chose it"
            yield one.effect("names", why, change, is_certain=False)


@behaviour(
    "dns.anonymous.name",
    "A container whose name was generated MUST resolve by it, and its address MUST resolve to it.",
    source="moby v25.0: DNSNames",
    docker=">=25.0",
    replaces=("dns.anonymous.no-name", "dns.reverse.anonymous"),
    concerns=with_generated_names,
)
def test_generated_name_resolves(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name, name=None)
    address = address_in(peer, net)
    expect_equal("the addresses", [address], dns.addresses(asker, peer.name))
    reverse = dns.ask_reverse(asker, address)
    expect_equal("the name", (f"{peer.name}.{net.name}.",), reverse.records)
