"""The embedded DNS of user networks: what its answers look like on the wire."""

import dns.message as wire

from conformance.assertions import expect_equal, expect_in, expect_not_in
from conformance.observe.sockets import address_in
from conformance.registry import behaviour


@behaviour(
    "dns.answer.over-tcp",
    "A name MUST resolve over TCP as it does over UDP.",
    source="libnetwork resolver.go v17.06",
)
def test_names_resolve_over_tcp(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    for is_tcp in (False, True):
        answer = dns.ask(asker, peer.name, tcp=is_tcp)
        expect_equal("the addresses", (address_in(peer, net),), answer.records)


@behaviour(
    "dns.answer.ttl",
    "The records of names and addresses of containers MUST have a TTL of 600 seconds.",
    source="libnetwork resolver.go respTTL v17.06",
    tier="quirk",
)
def test_records_live_for_ten_minutes(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    expect_equal("the TTL of the address", (600,), dns.ask(asker, peer.name).ttls)
    reverse = dns.ask_reverse(asker, address_in(peer, net))
    expect_equal("the TTL of the name", (600,), reverse.ttls)


@behaviour(
    "dns.answer.header",
    "An answer about a container MUST say that recursion is available, MUST repeat the question "
    "and its flag RD, and MUST NOT be truncated.",
    source="libnetwork resolver.go createRespMsg v17.06",
)
def test_header_of_an_answer(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    question = wire.make_query(peer.name, "A")
    answer = dns.exchange(asker, question)
    expect_in("the flags", "RA", answer.flags)
    expect_in("the flags", "RD", answer.flags)
    expect_not_in("the flags", "TC", answer.flags)
    expect_equal("the question", question.question, answer.message.question)
    question.flags = 0
    expect_not_in("the flags without RD", "RD", dns.exchange(asker, question).flags)


@behaviour(
    "dns.answer.case-kept",
    "The record in an answer MUST have the name as it was asked for, letter by letter.",
    source="libnetwork resolver.go handleIPQuery v18.09",
    docker=">=18.09",
)
def test_answer_has_the_name_as_asked(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    asked = peer.name.title()
    answer = dns.ask(asker, asked)
    names = [rrset.name.to_text(omit_final_dot=True) for rrset in answer.message.answer]
    expect_equal("the names in the answer", [asked], names)


@behaviour(
    "dns.answer.ipv4-only",
    "A question for the IPv6 address of a container that has none MUST be answered with NOERROR "
    "and no record.",
    source="libnetwork resolver.go handleIPQuery, ipv6Miss v17.06",
    bugs=("aardvark-dns#679",),
)
def test_no_ipv6_address_is_no_error(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    answer = dns.ask(asker, peer.name, "AAAA")
    expect_equal("the code and the records", ("NOERROR", ()), (answer.rcode, answer.records))


@behaviour(
    "dns.answer.ipv6",
    "On a network with IPv6 a name MUST resolve to the IPv4 address and, asked for, to the IPv6 "
    "address of the container.",
    source="libnetwork network.addSvcRecords v17.06",
    bugs=("aardvark-dns#203",),
)
def test_ipv6_address_of_a_name(run, ipv6_network, dns):
    net = ipv6_network()
    asker, peer = run(network=net.name), run(network=net.name)
    for kind, field in (("A", "IPAddress"), ("AAAA", "GlobalIPv6Address")):
        addresses = dns.addresses(asker, peer.name, kind)
        expect_equal(f"the {kind} records", [address_in(peer, net, field)], addresses)


@behaviour(
    "dns.reverse.ipv4",
    "The address of a peer MUST resolve to `<name>.<network>`.",
    source="libnetwork sandbox.ResolveIP v17.06",
)
def test_address_has_a_name(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    answer = dns.ask_reverse(asker, address_in(peer, net))
    expect_equal("the name", (f"{peer.name}.{net.name}.",), answer.records)


@behaviour(
    "dns.reverse.ipv6",
    "The IPv6 address of a peer MUST resolve to `<name>.<network>`.",
    source="libnetwork resolver.go handlePTRQuery v17.06",
)
def test_ipv6_address_has_a_name(run, ipv6_network, dns):
    net = ipv6_network()
    asker, peer = run(network=net.name), run(network=net.name)
    answer = dns.ask_reverse(asker, address_in(peer, net, "GlobalIPv6Address"))
    expect_equal("the name", (f"{peer.name}.{net.name}.",), answer.records)


@behaviour(
    "dns.reverse.each-network",
    "Each address of a peer MUST resolve to its name on the network of that address.",
    source="libnetwork sandbox.ResolveIP v17.06",
)
def test_reverse_name_has_the_network_of_the_address(run, network, dns):
    nets = network(), network()
    asker, peer = run(network=nets[0].name), run(network=nets[0].name)
    for container in (asker, peer):
        nets[1].connect(container)
    for net in nets:
        answer = dns.ask_reverse(asker, address_in(peer, net))
        expect_equal("the name", (f"{peer.name}.{net.name}.",), answer.records)


@behaviour(
    "dns.reverse.anonymous",
    "The address of a container whose name was generated MUST resolve to its short id.",
    source="moby daemon IsAnonymousEndpoint v17.06; libnetwork network.addSvcRecords",
    tier="quirk",
    docker="<25.0",
)
def test_reverse_name_of_an_unnamed_container(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name, name=None)
    answer = dns.ask_reverse(asker, address_in(peer, net))
    expect_equal("the name", (f"{peer.id[:12]}.{net.name}.",), answer.records)


@behaviour(
    "dns.reverse.gone",
    "The address of a container that was disconnected MUST NOT resolve any more.",
    source="libnetwork network.deleteSvcRecords v17.06",
)
def test_reverse_name_goes(run, network, dns, asker):
    net = network()
    asks, peer = asker(net), run(network=net.name)
    address = address_in(peer, net)
    expect_equal("the code before", "NOERROR", dns.ask_reverse(asks, address).rcode)
    net.disconnect(peer)
    expect_equal("the code after", "NXDOMAIN", dns.ask_reverse(asks, address).rcode)


@behaviour(
    "dns.answer.mail-exchange",
    "A question for the mail exchange of a peer MUST be answered with NOERROR and no record.",
    source="libnetwork resolver.go handleMXQuery v20.10",
    docker=">=20.10",
)
def test_mail_exchange_of_a_peer(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    answer = dns.ask(asker, peer.name, "MX")
    expect_equal("the code and the records", ("NOERROR", ()), (answer.rcode, answer.records))


@behaviour(
    "dns.answer.edns",
    "A question with EDNS MUST be answered as one without.",
    source="RFC 6891 section 7; libnetwork resolver.go v17.06",
)
def test_question_with_edns_is_answered(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    for payload in (512, 1232, 4096):
        answer = dns.ask(asker, peer.name, payload=payload)
        expect_equal("the addresses", (address_in(peer, net),), answer.records)


@behaviour(
    "dns.answer.several-per-connection",
    "Several questions on one TCP connection MUST all be answered.",
    source="RFC 7766 section 6.2.1",
)
def test_several_questions_on_one_connection(run, network, dns):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    questions = [wire.make_query(name, "A") for name in (peer.name, asker.name, peer.name)]
    answers = dns.exchange_all(asker, questions)
    wanted = [(address_in(container, net),) for container in (peer, asker, peer)]
    expect_equal("the addresses", wanted, [answer.records for answer in answers])


@behaviour(
    "dns.answer.after-garbage",
    "A datagram that is no DNS message MUST NOT keep the next question from being answered.",
    source="RFC 1035 section 7.3",
)
def test_garbage_does_no_harm(run, network, dns, sockets):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    sender = sockets.make(asker, "udp")
    for garbage in (b"", b"\0", b"not a message at all", bytes(12), b"\xff" * 600):
        sender.sendto(garbage, (dns.server_of(asker), 53))
    expect_equal("the addresses", [address_in(peer, net)], dns.addresses(asker, peer.name))


@behaviour(
    "dns.resolver.port-53-is-free",
    "A process of the container MUST be able to bind port 53 on every address, UDP and TCP, and "
    "the embedded DNS MUST go on answering.",
    source="libnetwork resolver_unix.go v17.06: other ports, and nat inside the namespace",
)
def test_port_53_is_the_containers(run, network, dns, sockets):
    net = network()
    asker, peer = run(network=net.name), run(network=net.name)
    for kind in ("udp", "tcp"):
        try:
            sockets.serve(asker, port=53, kind=kind)
        except OSError as error:
            expect_equal(f"binding port 53 of every address, {kind}", "done", error.strerror)
    for is_tcp in (False, True):
        answer = dns.ask(asker, peer.name, tcp=is_tcp)
        expect_equal("the addresses", (address_in(peer, net),), answer.records)


@behaviour(
    "dns.resolver.other-ports",
    "The embedded DNS MUST listen on 127.0.0.11, on one UDP and one TCP port that are not 53, and "
    "rules in the container's namespace MUST lead port 53 there.",
    source="libnetwork resolver_unix.go v17.06",
    tier="quirk",
)
def test_resolver_listens_elsewhere(run, network, host, sockets):
    net = network()
    container = run(network=net.name)
    rules = "\n".join(host.netns_of(container.attrs["State"]["Pid"]).rules())
    for kind in ("tcp", "udp"):
        ports = sockets.bound_ports(container, kind, "127.0.0.11")
        expect_equal(f"how many {kind} listeners there are", 1, len(ports))
        expect_not_in(f"the {kind} port", 53, ports)
        expect_in("the rules", f"127.0.0.11:{ports[0]}", rules)
