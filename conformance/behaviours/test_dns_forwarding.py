"""The embedded DNS of user networks: what it asks the servers behind it, and what it makes of that.

The server behind it is one of the row's own, in a container of the same network.
"""

import dns.flags as dns_flags
import dns.message as dns_message

from conformance.assertions import expect_equal, expect_in, expect_not_equal
from conformance.observe.dns import NO_ANSWER, answering, failing, silent
from conformance.observe.sockets import address_in
from conformance.registry import behaviour

ADDRESS = "60 IN A 192.0.2.1"
DOMAIN = "row.example"
OTHER = "60 IN A 192.0.2.2"


def servers(run, net, count=1):
    """Run containers for DNS servers; give (container, address) of each."""
    made = [run(network=net.name) for _ in range(count)]
    return [(container, address_in(container, net)) for container in made]


@behaviour(
    "dns.forward.unknown-name",
    "A name that is no container's MUST be asked of the server given to the container, and its "
    "answer MUST be passed on with its TTL.",
    source="libnetwork resolver.go ServeDNS v17.06",
    bugs=("podman#17499",),
)
def test_unknown_name_is_forwarded(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering(ADDRESS)) as server:
        answer = dns.ask(asker, "host.example")
    expect_equal("the records", ("192.0.2.1",), answer.records)
    expect_equal("the TTLs", (60,), answer.ttls)
    expect_equal("what was asked", [("udp", "host.example", "A")], server.questions)


@behaviour(
    "dns.forward.over-tcp",
    "A question that came over TCP MUST be asked over TCP.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_question_over_tcp_is_forwarded_over_tcp(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering(ADDRESS)) as server:
        answer = dns.ask(asker, "host.example", tcp=True)
    expect_equal("the records", ("192.0.2.1",), answer.records)
    expect_equal("what was asked", [("tcp", "host.example", "A")], server.questions)


@behaviour(
    "dns.forward.own-names-stay",
    "Questions about the containers of the network MUST NOT be asked of any other server.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_own_names_are_not_forwarded(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering(ADDRESS)) as server:
        for name in (upstream.name, upstream.id[:12], f"{upstream.name}.{net.name}"):
            expect_equal(f"the address of {name}", [address], dns.addresses(asker, name))
            dns.ask(asker, name, "AAAA")
        expect_equal("whose the address is", "NOERROR", dns.ask_reverse(asker, address).rcode)
        expect_equal("what was asked", [], server.questions)
        dns.ask(asker, "host.example")
    expect_equal("what was asked then", {"host.example"}, set(server.names()))


@behaviour(
    "dns.forward.other-type",
    "A question of a type that is not the containers' own MUST be forwarded, even about a peer.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_other_types_are_forwarded(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering("60 IN TXT text")) as server:
        for kind in ("TXT", "SOA", "TYPE65280"):
            answer = dns.ask(asker, upstream.name, kind)
            expect_equal(f"the answer to {kind}", ('"text"',), answer.records)
    kinds = [kind for _, _, kind in server.questions]
    expect_equal("the types that were asked for", ["TXT", "SOA", "TYPE65280"], kinds)


@behaviour(
    "dns.forward.reverse",
    "The name of an address that is no container's MUST be asked of the container's server.",
    source="libnetwork resolver.go handlePTRQuery v17.06",
)
def test_foreign_address_is_forwarded(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering("60 IN PTR host.example.")) as server:
        answer = dns.ask_reverse(asker, "192.0.2.1")
    expect_equal("the name", ("host.example.",), answer.records)
    expect_equal("what was asked", ["1.2.0.192.in-addr.arpa"], server.names("PTR"))


@behaviour(
    "dns.forward.from-the-container",
    "The container's server MUST be asked from the container's own address.",
    source="libnetwork resolver.go ServeDNS v17.06: ExecFunc",
)
def test_question_comes_from_the_container(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering(ADDRESS)) as server:
        for is_tcp in (False, True):
            dns.ask(asker, "host.example", tcp=is_tcp)
    expect_equal("who asked", {address_in(asker, net)}, server.clients)


@behaviour(
    "dns.forward.single-label",
    "A name without a dot that is no container's MUST be forwarded, unless the user set ndots.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_single_label_is_forwarded(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering(ADDRESS)) as server:
        answer = dns.ask(asker, "printer")
    expect_equal("the records", ("192.0.2.1",), answer.records)
    expect_equal("what was asked", ["printer"], server.names())


@behaviour(
    "dns.forward.ndots-keeps-single-label",
    "Where the user set ndots, a name without a dot MUST NOT be forwarded; NOERROR without records "
    "MUST lead the client on to its search list.",
    source="libnetwork resolver.go ServeDNS, NdotsSet v17.06",
)
def test_ndots_keeps_single_labels_inside(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address], dns_opt=["ndots:1"])
    with dns_server(upstream, address, answering(ADDRESS)) as server:
        single = dns.ask(asker, "printer")
        dotted = dns.ask(asker, "printer.example")
    expect_equal("the single label", ("NOERROR", ()), (single.rcode, single.records))
    expect_equal("the dotted name", ("192.0.2.1",), dotted.records)
    expect_equal("what was asked", ["printer.example"], server.names())


@behaviour(
    "dns.forward.search-list",
    "A program in a container MUST find a name in the search domain given to the container, and "
    "MUST find a peer by its bare name with it.",
    source="libnetwork rebuildDNS v17.06: search stays in resolv.conf",
)
def test_search_list_is_used(run, network, exec_in, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address], dns_search=[DOMAIN], cap_add=["NET_RAW"])

    def only_in_domain(question, kind):
        name = question.question[0].name.to_text()
        rcode = "NOERROR" if name.endswith(f".{DOMAIN}.") else "NXDOMAIN"
        is_known = rcode == "NOERROR" and question.question[0].rdtype == 1
        return (answering(f"60 IN A {address}") if is_known else failing(rcode))(question, kind)

    with dns_server(upstream, address, only_in_domain) as server:
        found = exec_in(asker, "ping", "-c1", "-W2", "printer")
        peer = exec_in(asker, "ping", "-c1", "-W2", upstream.name)
    expect_in("what was asked", f"printer.{DOMAIN}", server.names("A"))
    expect_equal("ping printer, ping the peer", (0, 0), (found.exit_code, peer.exit_code))


@behaviour(
    "dns.forward.search-domain-has-it-too",
    "A peer's bare name MUST resolve to the peer even where the container's server knows the same "
    "name, with another address, in the search domain.",
    source="libnetwork rebuildDNS v17.06: ndots:0, the bare name is asked first",
    bugs=("podman#26198",),
)
def test_peer_comes_before_the_search_domain(run, network, exec_in, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address], dns_search=[DOMAIN], cap_add=["NET_RAW"])
    with dns_server(upstream, address, answering(ADDRESS)):
        ping = exec_in(asker, "ping", "-c1", "-W2", upstream.name)
    expect_in("what was pinged", f"({address})", ping.stdout)


@behaviour(
    "dns.forward.truncated",
    "A truncated answer MUST be passed on as such, so that the client asks again over TCP and gets "
    "the whole one.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_truncated_answer_is_passed_on(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])

    def truncating(question, kind):
        if kind == "tcp":
            return answering(ADDRESS)(question, kind)
        cut = dns_message.make_response(question, recursion_available=True)
        cut.flags |= dns_flags.TC
        return cut

    with dns_server(upstream, address, truncating) as server:
        over_udp = dns.ask(asker, "host.example")
        over_tcp = dns.ask(asker, "host.example", tcp=True)
    expect_in("the flags over UDP", "TC", over_udp.flags)
    expect_equal("the records over TCP", ("192.0.2.1",), over_tcp.records)
    expect_equal("how it was asked", ["udp", "tcp"], [kind for kind, _, _ in server.questions])


@behaviour(
    "dns.forward.edns",
    "A question with EDNS MUST be forwarded with EDNS, and a large answer MUST come back whole.",
    source="libnetwork resolver.go ServeDNS v17.06; RFC 6891",
)
def test_edns_is_passed_on(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    texts = [f"60 IN TXT {letter * 200}" for letter in "abcdef"]
    with dns_server(upstream, address, answering(*texts)) as server:
        answer = dns.ask(asker, "host.example", "TXT", payload=4096)
    expect_equal("the number of records", 6, len(answer.records))
    expect_equal("the question's EDNS version", 0, server.messages[0].edns)
    expect_equal("the question's size", 4096, server.messages[0].payload)
    expect_not_equal("the answer's size", None, answer.payload)


@behaviour(
    "dns.forward.no-such-name",
    "NXDOMAIN from the container's only server MUST be passed on.",
    source="libnetwork resolver.go ServeDNS v17.06",
    bugs=("moby#45553",),
)
def test_nxdomain_is_passed_on(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, failing("NXDOMAIN")):
        for kind in ("A", "AAAA", "TXT"):
            expect_equal(
                f"the code for {kind}", "NXDOMAIN", dns.ask(asker, "host.example", kind).rcode
            )


@behaviour(
    "dns.forward.server-failure",
    "SERVFAIL from the container's only server MUST be passed on.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_servfail_is_passed_on(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, failing("SERVFAIL")) as server:
        expect_equal("the code", "SERVFAIL", dns.ask(asker, "host.example").rcode)
    expect_equal("what was asked", ["host.example"], server.names("A")[:1])


@behaviour(
    "dns.forward.first-server",
    "Of several servers the first one MUST be asked, and no other as long as it answers.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_first_server_is_enough(run, network, dns, dns_server):
    net = network()
    (one, first), (two, second) = servers(run, net, 2)
    asker = run(network=net.name, dns=[first, second])
    with (
        dns_server(one, first, answering(ADDRESS)),
        dns_server(two, second, answering(OTHER)) as other,
    ):
        answers = [dns.ask(asker, "host.example").records for _ in range(4)]
    expect_equal("the answers", [("192.0.2.1",)] * 4, answers)
    expect_equal("what the second was asked", [], other.questions)


@behaviour(
    "dns.forward.next-after-failure",
    "When a server answers SERVFAIL or REFUSED, the next one MUST be asked.",
    source="libnetwork resolver.go ServeDNS v20.10",
)
def test_next_server_after_a_failure(run, network, dns, dns_server):
    net = network()
    (one, first), (two, second) = servers(run, net, 2)
    asker = run(network=net.name, dns=[first, second])
    with dns_server(two, second, answering(OTHER)):
        for rcode in ("SERVFAIL", "REFUSED"):
            with dns_server(one, first, failing(rcode)):
                answer = dns.ask(asker, "host.example")
            expect_equal(f"the records after {rcode}", ("192.0.2.2",), answer.records)


@behaviour(
    "dns.forward.next-after-no-such-name",
    "When a server that is no authority answers NXDOMAIN, the next one MUST be asked.",
    source="libnetwork resolver.go ServeDNS v20.10",
    tier="quirk",
    docker="<24.0",
)
def test_next_server_after_nxdomain(run, network, dns, dns_server):
    net = network()
    (one, first), (two, second) = servers(run, net, 2)
    asker = run(network=net.name, dns=[first, second])
    with (
        dns_server(one, first, failing("NXDOMAIN")),
        dns_server(two, second, answering(OTHER)),
    ):
        answer = dns.ask(asker, "host.example")
    expect_equal("the records", ("192.0.2.2",), answer.records)


def with_several_servers(setup):
    for one in setup.containers:
        if len(one.servers) > 1 and one.user_endpoints:
            why = f"it has {len(one.servers)} DNS servers"
            yield one.effect(
                "later", why, "a name that the first does not know is asked of no other"
            )


@behaviour(
    "dns.forward.no-such-name-is-final",
    "When a server answers NXDOMAIN, that MUST be passed on, and no other server MUST be asked.",
    source="moby PR 45565, v24.0",
    docker=">=24.0",
    bugs=("moby#45553",),
    replaces=("dns.forward.next-after-no-such-name",),
    concerns=with_several_servers,
)
def test_nxdomain_is_final(run, network, dns, dns_server):
    net = network()
    (one, first), (two, second) = servers(run, net, 2)
    asker = run(network=net.name, dns=[first, second])
    with (
        dns_server(one, first, failing("NXDOMAIN")),
        dns_server(two, second, answering(OTHER)) as other,
    ):
        answer = dns.ask(asker, "host.example")
    expect_equal("the code", "NXDOMAIN", answer.rcode)
    expect_equal("what the second was asked", [], other.questions)


@behaviour(
    "dns.forward.next-after-closed-port",
    "When nothing listens at the first server's address, the next one MUST be asked at once.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_next_server_after_a_closed_port(run, network, dns, dns_server):
    net = network()
    (_, first), (two, second) = servers(run, net, 2)
    asker = run(network=net.name, dns=[first, second])
    with dns_server(two, second, answering(OTHER)):
        for is_tcp in (False, True):
            answer = dns.ask(asker, "host.example", tcp=is_tcp, timeout_s=2)
            expect_equal("the records", ("192.0.2.2",), answer.records)


@behaviour(
    "dns.forward.next-after-silence",
    "When the first server does not answer, the next one MUST be asked before a client with the "
    "usual timeout of 5 seconds gives up.",
    source="libnetwork resolver.go extIOTimeout v17.06: 4 seconds",
)
def test_next_server_after_silence(run, network, dns, dns_server):
    net = network()
    (one, first), (two, second) = servers(run, net, 2)
    asker = run(network=net.name, dns=[first, second])
    with (
        dns_server(one, first, silent) as mute,
        dns_server(two, second, answering(OTHER)),
    ):
        answer = dns.ask(asker, "host.example", timeout_s=5)
    expect_equal("the records", ("192.0.2.2",), answer.records)
    expect_in("what the first was asked", "host.example", mute.names("A"))


@behaviour(
    "dns.forward.silence-blocks-nobody",
    "While a server does not answer, names of containers and other questions MUST be answered.",
    source="libnetwork resolver.go v17.06: one goroutine per question",
)
def test_waiting_question_blocks_no_other(run, network, dns, dns_server):
    net = network()
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])

    def mute_for_one(question, kind):
        is_lost = question.question[0].name.to_text() == "lost.example."
        return None if is_lost else answering(ADDRESS)(question, kind)

    with dns_server(upstream, address, mute_for_one):
        lost = dns.ask(asker, "lost.example", timeout_s=0.3)
        expect_equal("the question that is lost", NO_ANSWER, lost.rcode)
        peer = dns.ask(asker, upstream.name, timeout_s=1)
        other = dns.ask(asker, "host.example", timeout_s=1)
    expect_equal("the peer", (address,), peer.records)
    expect_equal("the other name", ("192.0.2.1",), other.records)


@behaviour(
    "dns.forward.internal.peer-server",
    "On an internal network a server that is a peer there MUST be asked.",
    source="libnetwork resolver.go ServeDNS v17.06",
    docker="!=25.*,!=26.0.*,!=26.1.0,!=26.1.1,!=26.1.2",  # broken in between: moby#47822
    bugs=("moby#47822",),
)
def test_peer_on_an_internal_network_is_asked(run, network, dns, dns_server):
    net = network(internal=True)
    ((upstream, address),) = servers(run, net)
    asker = run(network=net.name, dns=[address])
    with dns_server(upstream, address, answering(ADDRESS)):
        answer = dns.ask(asker, "host.example")
    expect_equal("the records", ("192.0.2.1",), answer.records)


@behaviour(
    "dns.forward.internal.outside-server",
    "From an internal network no server outside MUST be reached; the names of peers MUST resolve.",
    source="libnetwork drivers/bridge setupInternalNetworkRules v17.06",
)
def test_server_outside_is_not_asked(run, network, outside, dns, dns_server):
    net, beyond = network(internal=True), outside()
    asker = run(network=net.name, dns=[beyond.address])
    peer = run(network=net.name)
    with dns_server(beyond.container, beyond.address, answering(ADDRESS)) as server:
        answer = dns.ask(asker, "host.example", timeout_s=1)
        expect_equal("the peer", [address_in(peer, net)], dns.addresses(asker, peer.name))
    expect_equal("the records", (), answer.records)
    expect_equal("what was asked", [], server.questions)


@behaviour(
    "dns.forward.outside-server",
    "From a user network a server outside MUST be asked.",
    source="libnetwork resolver.go ServeDNS v17.06",
)
def test_server_outside_is_asked(run, network, outside, dns, dns_server):
    net, beyond = network(), outside()
    asker = run(network=net.name, dns=[beyond.address])
    with dns_server(beyond.container, beyond.address, answering(ADDRESS)) as server:
        answer = dns.ask(asker, "host.example")
    expect_equal("the records", ("192.0.2.1",), answer.records)
    expect_equal("what was asked", ["host.example"], server.names())
