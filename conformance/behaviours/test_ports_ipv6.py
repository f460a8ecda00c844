"""Published ports: the engine's IPv6 addresses."""

import pytest

from conformance.assertions import expect_equal
from conformance.impact.setup import nobody
from conformance.observe.poll import eventually
from conformance.observe.ports import bindings
from conformance.registry import behaviour

LOOPBACK, LOOPBACK_IPV6 = "127.0.0.1", "::1"


@behaviour(
    "ports.ipv6.any-address",
    "A port that is published on [::] alone MUST be reached at [::1] and at no IPv4 address, "
    "though the container has only IPv4.",
    source="moby 20.10.6 release notes: the userland proxy listens on IPv6, too; moby#42059",
    docker=">=20.10.6",
    bugs=("moby#42059",),
)
def test_port_on_every_ipv6_address(run, ports):
    (port,) = ports.free()
    ports.answer(run(ports={"80/tcp": ("::", port)}), 80, "here")
    answers = [ports.ask(None, address, port) for address in (LOOPBACK_IPV6, LOOPBACK)]
    expect_equal("who answers at ::1 and at 127.0.0.1", ["here", "refused"], answers)


@behaviour(
    "ports.ipv6.one-address",
    "A port that is published on one of the machine's IPv6 addresses MUST lead to a container that "
    "has only IPv4, TCP and UDP, and MUST NOT be reached at another address.",
    source="moby#48067, mended in 27.0.3; moby#39933",
    docker=">=20.10.6",
    bugs=("moby#48067", "moby#39933"),
)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_port_on_one_ipv6_address(run, wire, subnets, ports, kind):
    lain, (port,) = wire(), ports.free()
    address = subnets.ipv6().replace("/64", "1")
    lain.give_parent(f"{address}/64")
    ports.answer(run(ports={f"80/{kind}": (address, port)}), 80, "here", kind=kind)
    answers = [
        ports.ask(None, one, port, kind=kind, timeout_s=3)
        for one in (address, LOOPBACK_IPV6, LOOPBACK)
    ]
    expect_equal("who answers there and by loopback", ["here", "refused", "refused"], answers)


@behaviour(
    "ports.ipv6.udp-answers",
    "A host outside that asks a published UDP port at one of the machine's IPv6 addresses MUST be "
    "answered from that address, though the container has only IPv4.",
    source="moby/libnetwork#1729, mended in moby 28.0",
    docker=">=20.10.6",
    bugs=("libnetwork#1729",),
    concerns=nobody,
)
def test_udp_is_answered_from_the_address_that_was_asked(run, wire, subnets, ports):
    lain, (port,) = wire(), ports.free()
    prefix = subnets.ipv6().removesuffix("/64")
    addresses = [f"{prefix}1", f"{prefix}2"]
    for address in addresses:
        lain.give_parent(f"{address}/64")
    lain.enable_ipv6()
    lain.give(f"{prefix}3/64")
    ports.answer(run(ports={"80/udp": port}), 80, "here", kind="udp")
    answers = [ports.ask(lain.container, one, port, kind="udp", timeout_s=3) for one in addresses]
    expect_equal("who answers at each", ["here", "here"], answers)


@behaviour(
    "ports.ipv6.given-back",
    "After a stop nobody MUST answer on a published port at [::1], and the container MUST be "
    "reached there when it is started again, also where the port is published on [::1] alone.",
    source="moby#41822, mended in 20.10.2; moby/libnetwork#2616",
    docker=">=20.10.6",
    bugs=("moby#41822", "libnetwork#2616"),
)
@pytest.mark.parametrize("address", ["", LOOPBACK_IPV6])
def test_port_at_ipv6_is_given_back(run, ports, address):
    (port,) = ports.free()
    container = run(ports={"80/tcp": (address, port) if address else port})
    ports.answer(container, 80, "before")
    seen = [ports.ask(None, LOOPBACK_IPV6, port)]
    container.stop(timeout=0)
    seen.append(ports.ask(None, LOOPBACK_IPV6, port))
    container.start()
    ports.answer(container, 80, "after")
    seen.append(ports.ask(None, LOOPBACK_IPV6, port))
    expect_equal("before, stopped, after", ["before", "refused", "after"], seen)


@behaviour(
    "ports.ipv6.chosen-alike",
    "A port of the engine's choice MUST be the same for IPv4 and IPv6, also after a port was "
    "chosen for IPv6 alone.",
    source="moby#42442; 27.0 chooses one port for both (moby#47871)",
    docker=">=20.10.6",
    bugs=("moby#42442",),
    concerns=nobody,
)
def test_chosen_port_is_alike_after_one_of_ipv6(run):
    for _ in range(2):  # the first one may have been alike by chance only
        container = run(ports={"80/tcp": None})
        ipv4, ipv6 = (
            [port for _, port in bindings(container, "80/tcp", family)]
            for family in ("ipv4", "ipv6")
        )
        expect_equal("how many IPv4 ports there are", 1, len(ipv4))
        expect_equal("the IPv6 ports", ipv4, ipv6)
        run(ports={"80/tcp": ("::", None)}).remove(force=True)


@behaviour(
    "ports.ipv6.several-ports",
    "Each of several ports that containers with both families publish MUST be reached at 127.0.0.1 "
    "and at [::1], and those of one container also after another has stopped.",
    source="containers/netavark#641: some were not, and the stop failed",
    docker=">=20.10.6",
    bugs=("netavark#641",),
)
def test_several_ports_of_both_families(run, ipv6_network, ports):
    net, taken = ipv6_network(), ports.free(4)
    ended = run(network=net.name, ports={"80/tcp": taken[0], "81/tcp": taken[1]})
    stays = run(network=net.name, ports={"80/tcp": taken[2], "81/tcp": taken[3]})
    for container in (ended, stays):
        for inside in (80, 81):
            ports.answer(container, inside, f"{inside}", address="::")
    expected = ["80", "81", "80", "81"]

    def answers(address):
        return [ports.ask(None, address, port, timeout_s=1) for port in taken]

    expect_equal("at 127.0.0.1", expected, answers(LOOPBACK))
    # a new bridge may not use its IPv6 address before it knows that nobody else has it
    eventually("all answer at [::1]", lambda: answers(LOOPBACK_IPV6) == expected)
    ended.stop(timeout=0)
    expected[:2] = ["refused", "refused"]
    for address in (LOOPBACK, LOOPBACK_IPV6):
        expect_equal(f"at {address}, afterwards", expected, answers(address))
