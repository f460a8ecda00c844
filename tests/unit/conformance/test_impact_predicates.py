"""Every predicate of a row: a set-up that it is about, and the next one to it that it is not."""

import pytest

from conformance.impact.setup import Network, Pool, Setup, nobody
from tests.unit.conformance.made_setups import (
    ALL_OFF,
    CHOSEN,
    INNER,
    MTU,
    OFF,
    ROWS,
    SIX,
    SIX_END,
    SIX_TOO,
    abouts,
    at,
    box,
    effects,
    linked,
    net,
    on,
    setup,
)

MODE = "com.docker.network.bridge.gateway_mode_ipv4"


# the row, what it is about, a set-up that it concerns, and one that it does not
CASES: list[tuple[str, str, Setup, Setup]] = [
    (
        "ipv6.off.one-endpoint",
        "starts",
        setup(SIX, box(on("six"), sysctls=OFF)),
        setup(SIX, box(on("six"), sysctls=ALL_OFF), box(mode="container:web", sysctls=OFF)),
    ),
    (
        "connect.predefined.checked-at-create",
        "anew",
        setup(box(on("bridge", aliases=("a",)))),
        setup(net("n"), box(on("n", aliases=("a",), ipv4="10.0.0.9")), box(on("bridge"))),
    ),
    (
        "files.resolv-conf.bad-server-refused",
        "starts",
        setup(box(on("bridge"), servers=("8.8.8.8", "ns.example"))),
        setup(box(on("bridge"), servers=("8.8.8.8", "2001:db8::1"))),
    ),
    (
        "init.container.mac-address-taken",
        "anew",
        setup(box(mode="container:x", mac=CHOSEN)),
        setup(box(mode="container:x"), box(on("bridge"), mac=CHOSEN)),
    ),
    (
        "init.host.mac-address-taken",
        "anew",
        setup(box(mode="host", mac=CHOSEN)),
        setup(box(mode="host"), box(on("bridge"), mac=CHOSEN)),
    ),
    (
        "init.disabled.no-live-connect",
        "later",
        setup(box(is_disabled=True)),
        setup(box(on("bridge"))),
    ),
    (
        "init.disabled.no-hostname-file",
        "hostname file",
        setup(box(is_disabled=True)),
        setup(box(on("bridge"))),
    ),
    (
        "init.user.duplicate-name-refused",
        "anew",
        setup(net("n"), Network(name="n", id="other")),
        setup(net("n"), net("m")),
    ),
    ("ipv6.network.alone", "anew", setup(net("n", has_ipv4=False)), setup(net("n"))),
    (
        "drivers.bridge.gateway-mode-unknown",
        "anew",
        setup(net("n", options={MODE: "isolated"})),
        setup(
            net("n", options={MODE: "isolated"}, is_internal=True),
            net("m", options={MODE: "x"}, driver="macvlan"),
        ),
    ),
    (
        "drivers.bridge.gateway-mode-routed",
        "anew",
        setup(net("n", options={MODE: "routed"})),
        setup(net("n", options={MODE: "nat"})),
    ),
    (
        "drivers.bridge.gateway-mode-isolated",
        "anew",
        setup(net("n", options={MODE: "isolated"})),
        setup(net("n", options={MODE: "routed"})),
    ),
    (
        "restart.live-restore.auto-remove",
        "later",
        setup(box(is_removed_at_end=True), is_live_restored=True),
        setup(box(is_removed_at_end=True)),
    ),
    (
        "connect.restarting-refused",
        "later",
        setup(box(status="restarting")),
        setup(box(status="running")),
    ),
    (
        "init.container.recorded-network-fails",
        "starts",
        setup(net("n"), box(on("n"), mode="container:x")),
        setup(net("n"), box(on("n")), box(mode="container:x", name="y")),
    ),
    (
        "init.user.mode-network-needed",
        "starts",
        setup(net("n"), box(on("n"), mode="gone")),
        setup(net("n"), net("left"), box(on("n"), mode="left"), box(mode="host", name="h")),
    ),
    (
        "ipam.static.outside-at-create",
        "anew",
        setup(net("n"), box(on("n", ipv4="10.9.0.1"))),
        setup(net("n"), box(on("n", ipv4="10.0.0.9"))),
    ),
    (
        "ipam.subnet.host-bits-refused",
        "anew",
        setup(net("n", pools=(Pool(subnet="10.0.0.1/24"),))),
        setup(net("n")),
    ),
    (
        "sandbox.mac.unparsable-at-create",
        "anew",
        setup(box(on("bridge"), mac="bad")),
        setup(box(on("bridge"), mac=CHOSEN)),
    ),
    (
        "ipv6.default-network.same-mac",
        "later",
        setup(
            net("bridge", has_ipv6=True),
            box(on("bridge"), mac=CHOSEN),
            box(on("bridge"), mac=CHOSEN, name="b"),
        ),
        setup(
            net("bridge"), box(on("bridge"), mac=CHOSEN), box(on("bridge"), mac=CHOSEN, name="b")
        ),
    ),
    (
        "dns.anonymous.name",
        "names",
        setup(net("n"), box(on("n"), name="brave_hopper1")),
        setup(net("n"), box(on("n"), name="web"), box(on("bridge"), name="brave_bohr")),
    ),
    (
        "dns.forward.no-such-name-is-final",
        "later",
        setup(net("n"), box(on("n"), servers=("8.8.8.8", "8.8.4.4"))),
        setup(net("n"), box(on("n"), servers=("8.8.8.8",))),
    ),
    (
        "dns.forward.ipv6-server",
        "resolv.conf",
        setup(net("n"), box(on("n"), servers=("2001:db8::1",))),
        setup(box(on("bridge"), servers=("2001:db8::1",))),
    ),
    (
        "dns.reverse.long-name",
        "later",
        setup(net("n"), box(on("n"), name="x" * 64)),
        setup(net("n"), box(on("n"), name="x" * 63)),
    ),
    (
        "links.legacy.environment-port-range",
        "environment",
        linked("70/tcp", "71/tcp"),
        linked("70/tcp", "72/tcp", "71/udp"),
    ),
    (
        "links.legacy.environment-ports",
        "environment",
        linked("53/udp", "80/tcp"),
        linked("53/tcp", "80/udp"),
    ),
    (
        "links.legacy.removed",
        "later",
        setup(box(on("bridge"), links=("/a:/web/a", "/b:/web/b"))),
        setup(box(on("bridge"), links=("/a:/web/a",))),
    ),
    (
        "network.gateway.internal-none",
        "default route",
        setup(INNER, box(on("inner"))),
        setup(INNER, net("n"), box(on("inner"), on("n")), box(mode="host", name="h")),
    ),
    (
        "ports.conflict.process-udp-shared",
        "later",
        setup(box(on("bridge"), ports={"53/udp": (("", "5353"),)})),
        setup(box(on("bridge"), ports={"53/udp": (("", ""),), "80/tcp": (("", "80"),)})),
    ),
    (
        "ports.internal.disconnected",
        "later",
        setup(INNER, net("n"), box(on("inner"), on("n"), ports={"80/tcp": (("", "80"),)})),
        setup(INNER, box(on("inner"), ports={"80/tcp": (("", "80"),)})),
    ),
    (
        "network.bridge.mtu",
        "mtu of the bridge",
        setup(net("n", options=MTU)),
        setup(
            net("n", options=MTU), net("m"), net("v", options=MTU, driver="ipvlan"), box(on("n"))
        ),
    ),
    (
        "ports.reach.container-address",
        "direct from outside",
        setup(box(on("bridge"), ports={"80/tcp": (("", "80"),)})),
        setup(
            net("m", driver="macvlan"),
            INNER,
            box(on("m"), ports={"80/tcp": (("", "80"),)}),
            box(on("inner"), ports={"80/tcp": (("", "80"),)}),
            box(on("bridge"), name="x"),
        ),
    ),
    (
        "reach.apart.ipv6",
        "reach over IPv6",
        setup(SIX, SIX_TOO, box(on("six", **SIX_END)), box(on("six-too", **SIX_END), name="b")),
        setup(
            SIX,
            SIX_TOO,
            box(on("six", **SIX_END)),
            box(on("six", **SIX_END), name="b"),
            box(on("six-too", **SIX_END), name="off", sysctls=ALL_OFF),
        ),
    ),
    (
        "reach.outside.no-masquerade",
        "way out",
        setup(
            net("n", options={"com.docker.network.bridge.enable_ip_masquerade": "false"}),
            box(on("n")),
        ),
        setup(
            net("n", options={"com.docker.network.bridge.enable_ip_masquerade": "true"}),
            box(on("n")),
        ),
    ),
    (
        "sandbox.gateway.priority-decides",
        "default route",
        setup(net("a"), net("b"), box(on("a"), on("b", priority=1))),
        setup(net("a"), net("b"), box(on("a", priority=1), on("b"))),
    ),
    (
        "sandbox.interface.numbered-as-connected",
        "links",
        setup(net("a"), net("b"), box(on("a"), on("b"))),
        setup(net("a"), net("b"), box(on("a")), box(on("a"), on("b"), name="s", status="exited")),
    ),
    (
        "drivers.bridge.endpoint-ifname",
        "links",
        setup(net("n"), box(on("n", options={"com.docker.network.endpoint.ifname": "front"}))),
        setup(net("n"), box(on("n", options={"x": "front"}))),
    ),
    (
        "files.hosts.ipv6-off-drops-lines",
        "hosts file",
        setup(box(on("bridge"), sysctls=ALL_OFF)),
        setup(box(on("bridge"), sysctls=OFF)),
    ),
    (
        "ipv6.bridge.link-local",
        "later",
        setup(SIX),
        setup(net("n"), net("m", has_ipv6=True, driver="macvlan")),
    ),
    (
        "ipv6.default-network.lowest-free",
        "IPv6 address on bridge",
        setup(net("bridge", has_ipv6=True), box(on("bridge"))),
        setup(net("bridge"), box(on("bridge"))),
    ),
    (
        "ipv6.off.loopback-has-it",
        "IPv6 on loopback",
        setup(box(on("bridge"))),
        setup(
            SIX,
            box(on("six")),
            box(on("bridge"), sysctls=ALL_OFF, name="off"),
            box(mode="host", name="host"),
        ),
    ),
    (
        "sandbox.mac.lost-with-endpoint",
        "later",
        setup(net("n"), box(on("n"), mac=CHOSEN)),
        setup(net("n"), box(on("n")), box(on("bridge"), mac=CHOSEN, name="b")),
    ),
    (
        "sandbox.mac.new-each-start",
        "mac on n",
        setup(net("n"), box(at("n", 2))),
        setup(
            net("n"),
            box(on("n", address="10.0.0.2", mac=CHOSEN), mac=CHOSEN),
            box(at("n", 3), status="exited", name="s"),
        ),
    ),
    (
        "sandbox.mac.of-endpoint-used",
        "anew",
        setup(net("n"), box(on("n", mac=CHOSEN)), is_anew=True),
        setup(net("n"), box(on("n", mac=CHOSEN))),
    ),
    (
        "upgrade.mac.chosen",
        "mac on n",
        setup(net("n"), box(on("n"), mac=CHOSEN)),
        setup(net("n"), box(on("n"), mac=CHOSEN), old="26.1.5"),
    ),
    (
        "upgrade.addresses.dynamic",
        "address on n",
        setup(net("n"), box(at("n", 2)), box(at("n", 3), name="b")),
        setup(net("n"), box(at("n", 2)), box(at("n", 9, ipv4="10.0.0.9"), name="b")),
    ),
    (
        "upgrade.names.hostname",
        "names",
        setup(net("n"), box(on("n"), hostname="shop")),
        setup(
            net("n"),
            box(on("n"), hostname="id-we"),
            box(on("n", aliases=("shop",)), hostname="shop", name="a"),
        ),
    ),
    (
        "upgrade.routes.default",
        "links",
        setup(net("a"), net("b"), box(on("a"), on("b"), mode="b"), new="26.1.5"),
        setup(net("a"), net("b"), box(on("a"), on("b"), mode="a"), new="26.1.5"),
    ),
    (
        "upgrade.ports.engines-choice",
        "ports",
        setup(box(on("bridge"), ports={"80/tcp": (("", ""),)})),
        setup(box(on("bridge"), ports={"80/tcp": (("", "8080"),)})),
    ),
    (
        "dns.inspect.aliases-of-user",
        "shown",
        setup(net("n"), box(on("n"))),
        setup(box(on("bridge"))),
    ),
    (
        "sandbox.id.cleared-when-stopped",
        "shown",
        setup(box(on("bridge"), status="exited")),
        setup(box(on("bridge"))),
    ),
]


@pytest.mark.parametrize(("id", "about", "concerned", "other"), CASES, ids=[c[0] for c in CASES])
def test_predicate_tells_them_apart(id, about, concerned, other):
    assert about in abouts(id, concerned)
    assert abouts(id, other) == []


def test_every_predicate_has_a_case():
    telling = {id for id, row in ROWS.items() if row.concerns and row.concerns is not nobody}
    assert telling == {case[0] for case in CASES}


def test_sentences_can_be_put_together():
    for id, _, concerned, _ in CASES:
        for effect in effects(id, concerned):
            for said in (effect.why, effect.change):
                assert said, id
                assert not said.endswith("."), (id, said)
