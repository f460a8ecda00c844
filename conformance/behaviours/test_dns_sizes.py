"""The embedded DNS of user networks: names and answers that are long, and records that repeat."""

import dns.message as wire

from conformance.assertions import expect_equal, expect_not_equal
from conformance.observe.dns import NO_ANSWER
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


def with_long_names(setup):
    for one in setup.containers:
        if len(one.name) > 63 and one.user_endpoints:
            yield one.effect("later", "its name has over 63 characters", "its address has a name")


@behaviour(
    "dns.reverse.long-name",
    "A question for the name of an address MUST be answered, with whatever code, also where the "
    "container's name has more than the 63 characters of a DNS label.",
    source="moby#46928, v25.0; RFC 1035 section 2.3.4",
    bugs=("moby#46928",),
    concerns=with_long_names,
)
def test_address_of_a_long_name_is_answered(run, network, dns, asker, new_name):
    net = network()
    asks = asker(net)
    peer = run(network=net.name, name=f"{new_name('peer')}-{'x' * 63}")
    answer = dns.ask_reverse(asks, address_in(peer, net))
    expect_not_equal("what becomes of the question", NO_ANSWER, answer.rcode)
    expect_equal("the short id", [address_in(peer, net)], dns.addresses(asks, peer.id[:12]))


@behaviour(
    "dns.answer.truncated",
    "A UDP answer that has not room for all addresses of a name MUST be marked truncated; over TCP "
    "all of them MUST come.",
    source="RFC 1035 section 4.2.1; libnetwork resolver.go truncateResp v17.06",
)
def test_answer_without_room_is_truncated(run, network, dns):
    net = network()
    asker, peers = run(network=net.name), [run() for _ in range(3)]
    # so long that two records fill the 512 bytes, where names are not compressed
    alias = ".".join(letter * 60 for letter in "abc")
    for peer in peers:
        net.connect(peer, aliases=[alias])
    answer = dns.ask(asker, alias)
    is_cut = len(answer.records) < len(peers)
    expect_equal("whether it is marked truncated", is_cut, "TC" in answer.flags)
    wanted = sorted(address_in(peer, net) for peer in peers)
    whole = dns.ask(asker, alias, tcp=True)
    expect_equal("the addresses over TCP", wanted, sorted(whole.records))


@behaviour(
    "dns.answer.each-once",
    "An address MUST be in an answer once, however often its container was given the name: as "
    "name, as hostname, as alias.",
    source="libnetwork network.addSvcRecords v17.06: records are a set",
    bugs=("aardvark-dns#120",),
)
def test_address_is_answered_once(run, ipv6_network, dns, new_name):
    net, name = ipv6_network(), new_name("peer")
    asker, peer = run(network=net.name), run(name=name, hostname=name)
    net.connect(peer, aliases=[name, "db", "db"])
    for asked in (name, "db"):
        for kind, field in (("A", "IPAddress"), ("AAAA", "GlobalIPv6Address")):
            found = dns.exchange(asker, wire.make_query(asked, kind), repeats=True).records
            expect_equal(f"the {kind} records", (address_in(peer, net, field),), found)
