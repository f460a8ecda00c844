"""The embedded DNS of user networks: servers that it cannot reach, and those at IPv6 addresses."""

from conformance.assertions import expect_equal
from conformance.impact.setup import nobody
from conformance.observe.dns import answering
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "dns.forward.nobody-there",
    "Where nothing listens at any of the container's servers, a question MUST be answered with "
    "SERVFAIL, and not be met with silence.",
    source="moby#32675: libnetwork resolver.go forwardExtDNS v23.0",
    docker=">=23.0",
    bugs=("moby#32675",),
    concerns=nobody,
)
def test_question_without_a_server_fails(run, network, dns):
    net = network()
    empty = run(network=net.name)
    asker = run(network=net.name, dns=[address_in(empty, net)])
    for is_tcp in (False, True):
        answer = dns.ask(asker, "host.example", tcp=is_tcp, timeout_s=5)
        expect_equal("what becomes of the question", "SERVFAIL", answer.rcode)


def with_ipv6_servers(setup):
    for one in setup.containers:
        if one.user_endpoints and any(":" in server for server in one.servers):
            why = "it has a DNS server at an IPv6 address"
            yield one.effect(
                "resolv.conf", why, "the engine asks it, and resolv.conf names it no more"
            )


@behaviour(
    "dns.forward.ipv6-server",
    "On a user network a server that was given to the container at an IPv6 address MUST be behind "
    "the embedded DNS, as one at an IPv4 address is.",
    source="moby PR 47512, v26.0",
    docker=">=26.0",
    bugs=("moby#46329",),
    concerns=with_ipv6_servers,
)
def test_server_at_an_ipv6_address_is_asked(run, ipv6_network, dns, dns_server):
    net = ipv6_network()
    upstream = run(network=net.name)
    address = address_in(upstream, net, "GlobalIPv6Address")
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering("60 IN A 192.0.2.1")) as server:
        answer = dns.ask(asker, "host.example")
    expect_equal("the records", ("192.0.2.1",), answer.records)
    expect_equal("what was asked", ["host.example"], server.names("A"))
