"""The embedded DNS of user networks: clients that ask over TCP in unusual ways."""

import time

import dns.message as wire

from conformance.assertions import expect_equal
from conformance.observe.dns import answering
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "dns.answer.idle-connection",
    "A TCP connection to the embedded DNS on which nothing, or half a question, is sent MUST NOT "
    "keep any other question, over UDP or TCP, from being answered.",
    source="RFC 7766 section 6.2.3; libnetwork resolver.go v17.06: one goroutine per connection",
    bugs=("aardvark-dns#500",),
)
def test_idle_connection_blocks_nobody(run, network, dns, sockets):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    for said in (b"", b"\0", b"\0\x20half a question"):
        idle = sockets.make(asker, "tcp")
        idle.settimeout(2)
        idle.connect((dns.server_of(asker), 53))
        idle.sendall(said)
    for is_tcp in (True, False):
        answer = dns.ask(asker, peer.name, tcp=is_tcp)
        expect_equal("the addresses", (address_in(peer, net),), answer.records)


@behaviour(
    "dns.answer.half-closed",
    "A client that closes its sending half of a TCP connection after the question MUST still get "
    "the answer, also where a server has to be asked that takes its time.",
    source="RFC 7766 section 6.2.4",
)
def test_client_that_says_no_more_is_answered(run, network, dns, dns_server):
    net = network()
    upstream = run(network=net.name)
    address = address_in(upstream, net)
    asker = run(network=net.name, dns=[address])

    def slow(question, kind):
        time.sleep(0.3)
        return answering("60 IN A 192.0.2.1")(question, kind)

    with dns_server(upstream, address, slow):
        for name, wanted in ((upstream.name, address), ("host.example", "192.0.2.1")):
            question = wire.make_query(name, "A")
            answer = dns.exchange(asker, question, tcp=True, is_last=True)
            expect_equal(f"the addresses of {name}", (wanted,), answer.records)
