from typing import Any

import pytest

from conformance.registry import Level, Registry, RegistryError, Tier, behaviour_of, is_selected


def declare(registry: Registry, id: str = "dns.alias-resolves", **options: Any) -> None:
    options = {"statement": "A name MUST resolve.", "source": "seed", **options}
    statement = options.pop("statement")

    def test_row() -> None:
        return

    registry.behaviour(id, statement, **options)(test_row)


@pytest.mark.parametrize(
    "id", ["dns.alias-resolves", "init.default.bridge-network", "bridge.ipv6-ula", "a.b.c.d"]
)
def test_well_formed_id_is_taken(id):
    registry = Registry()
    declare(registry, id)
    assert [row.id for row in registry.rows()] == [id]


@pytest.mark.parametrize(
    "id",
    [
        "DNS.ALIAS",
        "one",
        "dns.alias_resolves",
        "dns.",
        ".dns",
        "dns..x",
        "dns.-x",
        "dns.x-",
        "dns.2nd",
        "dns.case-2",
        "a.b.c.d.e",
        "dns.x y",
        "",
        "dns.x\n",
    ],
)
def test_malformed_or_numbered_id_is_refused(id):
    with pytest.raises(RegistryError, match=r"behaviour id"):
        declare(Registry(), id)


@pytest.mark.parametrize("statement", ["A name resolves.", "A name must resolve.", "MUSTARD", ""])
def test_statement_without_level_is_refused(statement):
    with pytest.raises(RegistryError, match="no MUST, SHOULD or MAY"):
        declare(Registry(), statement=statement)


def test_empty_source_is_refused():
    with pytest.raises(RegistryError, match="source is empty"):
        declare(Registry(), source=" ")


@pytest.mark.parametrize("key", ["docker", "api"])
def test_condition_that_does_not_parse_is_refused(key):
    with pytest.raises(RegistryError, match=f"{key}: not a version condition"):
        declare(Registry(), **{key: "28 or so"})


def test_id_is_never_taken_twice():
    registry = Registry()
    declare(registry)
    with pytest.raises(RegistryError, match="declared twice"):
        declare(registry)


@pytest.mark.parametrize(
    ("statement", "level"),
    [("It MAY; it MUST.", Level.MUST), ("It SHOULD or MAY.", Level.SHOULD), ("It MAY.", Level.MAY)],
)
def test_level_is_the_strongest_word(statement, level):
    registry = Registry()
    declare(registry, statement=statement)
    assert registry.rows()[0].level is level


def test_tier_is_contract_unless_it_is_said():
    registry = Registry()
    declare(registry)
    declare(registry, "dns.quirk", tier="quirk")
    assert [(row.id, row.tier) for row in registry.rows()] == [
        ("dns.alias-resolves", Tier.CONTRACT),
        ("dns.quirk", Tier.QUIRK),
    ]
    assert registry.rows()[1].to_json()["tier"] == "quirk"


def test_unknown_tier_is_refused():
    with pytest.raises(RegistryError, match="tier 'odd': want one of core, contract, quirk"):
        declare(Registry(), tier="odd")


def test_fixtures_imply_capabilities():
    registry = Registry()

    @registry.behaviour("a.b", "It MUST.", source="x", needs=("ipv4",))
    def test_row(run, host, own_daemon, metrics):
        return

    row = behaviour_of(test_row)
    assert row is not None
    assert row.needs == ("host-view", "ipv4", "metrics", "own-daemon")


def test_rows_are_sorted_by_area_and_id():
    registry = Registry()
    for id in ("init.user.a", "dns.z", "init.default.b", "init.default.a"):
        declare(registry, id)
    assert [r.id for r in registry.rows()] == [
        "dns.z",
        "init.default.a",
        "init.default.b",
        "init.user.a",
    ]


@pytest.mark.parametrize(
    ("patterns", "is_meant"),
    [
        ([], True),
        (["init.none.only-loopback"], True),
        (["init.none"], True),
        (["init"], True),
        (["init."], True),
        (["init.*.only-*"], True),
        (["init.non"], False),
        (["dns", "init.none"], True),
        (["dns.*"], False),
        (["init.none.only"], False),
    ],
)
def test_selection_by_id_prefix_and_glob(patterns, is_meant):
    assert is_selected("init.none.only-loopback", patterns) is is_meant
