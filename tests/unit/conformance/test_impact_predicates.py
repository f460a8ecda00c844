"""Every predicate of a row: a set-up that it is about, and the next one to it that it is not."""

from typing import Any

import pytest

from conformance.impact.setup import Container, Effect, Endpoint, Network, Pool, Setup, nobody
from conformance.registry import load_catalogue

ROWS = {row.id: row for row in load_catalogue()}
MODE = "com.docker.network.bridge.gateway_mode_ipv4"


def box(*ends: Endpoint, name: str = "web", **more: Any) -> Container:
    more.setdefault("mode", ends[0].network if ends else "bridge")
    return Container(name=name, id=f"id-{name}", endpoints=ends, **more)


def on(network: str, **more: Any) -> Endpoint:
    return Endpoint(network=network, **more)


def at(network: str, number: int, **more: Any) -> Endpoint:
    """Give an endpoint with an address, and the hardware address that old Dockers make of it."""
    mac = f"02:42:0a:00:00:{number:02x}"
    return on(network, address=f"10.0.0.{number}", mac=mac, **more)


def net(name: str, **more: Any) -> Network:
    more.setdefault("pools", (Pool(subnet="10.0.0.0/24"),))
    return Network(name=name, id=f"id-{name}", **more)


def setup(*things: Container | Network, old: str = "20.10.24", new: str = "28.5.2", **more: Any):
    return Setup(
        containers=tuple(one for one in things if isinstance(one, Container)),
        networks=tuple(one for one in things if isinstance(one, Network)),
        source=old,
        target=new,
        **more,
    )


def linked(*ports: str) -> Setup:
    target = box(on("bridge"), name="db", exposed=ports)
    return setup(box(on("bridge"), links=("/db:/web/db",)), target)


SIX = net("six", has_ipv6=True)
SIX_TOO = net("six-too", has_ipv6=True)
INNER = net("inner", is_internal=True)
OFF = {"net.ipv6.conf.eth0.disable_ipv6": "1"}
MTU = {"com.docker.network.driver.mtu": "9000"}
ALL_OFF = {"net.ipv6.conf.all.disable_ipv6": "1"}
CHOSEN = "02:42:ac:00:00:99"
SIX_END = {"address6": "fd00::2"}

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


def effects(id: str, there: Setup) -> list[Effect]:
    predicate = ROWS[id].concerns
    assert predicate is not None
    return list(predicate(there))


def abouts(id: str, there: Setup) -> list[str]:
    return [effect.about for effect in effects(id, there)]


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


def said(id: str, there: Setup) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for effect in effects(id, there):
        found.setdefault(effect.name, []).append(effect.about)
    return found


def test_mac_that_is_shown_as_chosen_and_was_lost_is_a_generated_one():
    there = setup(net("n"), box(at("n", 2), mac=CHOSEN), old="26.1.5")
    assert abouts("sandbox.mac.new-each-start", there) == ["mac on n"]


def test_networks_with_ipv6_are_preferred_for_the_default_route():
    there = setup(net("a"), SIX, INNER, box(on("a"), on("inner"), on("six")))
    (one,) = there.containers
    assert there.by_preference(one) == ["six", "a", "inner"]
    assert there.default_route(one) == "six"


def test_network_that_is_gone_is_there_again_for_who_is_made_anew():
    there = setup(net("n"), box(on("n"), mode="gone"), is_anew=True)
    assert abouts("init.user.mode-network-needed", there) == []


def test_default_route_moves_where_ipv6_is_off():
    there = setup(net("a"), SIX, box(on("a"), on("six"), sysctls=ALL_OFF))
    assert "default route" in abouts("upgrade.routes.default", there)
    still = setup(net("a"), SIX, box(on("a"), on("six")))
    assert abouts("upgrade.routes.default", still) == []


def test_who_left_the_first_network_for_bridge():
    there = setup(net("n"), box(on("bridge"), mode="n"))
    assert abouts("upgrade.routes.default", there) == ["links", "resolv.conf", "hosts file"]
    assert abouts("upgrade.routes.default", setup(net("n"), box(on("bridge")))) == []


def test_inside_alone_loses_ipv6_and_who_reached_it_too():
    inner = net("inner", is_internal=True, has_ipv6=True)
    there = setup(SIX, inner, box(on("inner")), box(on("six"), name="b"), box(on("a"), name="c"))
    assert said("network.gateway.internal-none", there) == {
        "web": ["default route", "IPv6 default route", "reach over IPv6"],
        "b": ["reach over IPv6"],
    }


# ---------------------------------------------------------------------- addresses


def changing(*ones: Container, pool: Pool | None = None) -> dict[str, bool]:
    there = setup(net("n", pools=(pool or Pool(subnet="10.0.0.0/24"),)), *ones)
    found = effects("upgrade.addresses.dynamic", there)
    return {e.name: e.is_certain for e in found if e.about == "address on n"}


def test_address_of_one_that_is_alone_stays_where_it_is_the_lowest():
    assert changing(box(at("n", 2))) == {}


def test_address_above_the_lowest_free_ones_is_lost():
    assert changing(box(at("n", 2)), box(at("n", 5), name="b")) == {"web": False, "b": True}


def test_range_and_gateway_are_known():
    high = Pool(subnet="10.0.0.0/24", range="10.0.0.64/26", gateway="10.0.0.64")
    assert changing(box(at("n", 65)), pool=high) == {}
    assert changing(box(at("n", 66)), pool=high) == {"web": True}


def test_gateway_that_was_not_chosen_is_the_lowest_of_the_range():
    high = Pool(subnet="10.0.0.0/24", range="10.0.0.64/26")
    assert changing(box(at("n", 65)), pool=high) == {}


def test_auxiliary_addresses_are_not_given():
    assert changing(box(at("n", 3)), pool=Pool(subnet="10.0.0.0/24", taken=("10.0.0.2",))) == {}


def test_who_has_a_restart_policy_comes_first():
    first = box(at("n", 3), restart="always")
    assert changing(first, box(at("n", 2), name="b")) == {"web": True, "b": True}
    stays = box(at("n", 2), restart="always")
    assert changing(stays, box(at("n", 3), name="b")) == {}
    either = box(at("n", 2), restart="on-failure")
    assert changing(either, box(at("n", 3), name="b")) == {"web": False, "b": False}


def test_stopped_ones_take_no_address():
    assert changing(box(at("n", 2)), box(at("n", 3), name="b", status="exited")) == {}


@pytest.mark.parametrize("subnet", ["", "nonsense", "10.0.0.0/33", "fd00::/64"])
def test_unreadable_subnet_is_told_nothing_of(subnet):
    assert changing(box(at("n", 2)), box(at("n", 3), name="b"), pool=Pool(subnet=subnet)) == {}
