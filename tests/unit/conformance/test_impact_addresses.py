"""What a start and an upgrade change of addresses and routes, as `impact` foretells it."""

import pytest

from conformance.impact.setup import Container, Pool, Setup
from tests.unit.conformance.made_setups import (
    ALL_OFF,
    CHOSEN,
    INNER,
    SIX,
    abouts,
    at,
    box,
    effects,
    net,
    on,
    setup,
)


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
