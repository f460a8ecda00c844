"""Two columns side by side: what the second engine does otherwise, in a person's order."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from conformance.changes import Breaks, Change
from conformance.registry import Behaviour, Tier
from conformance.report.comparison import Comparison, Difference, Harm, Kind
from conformance.report.concerns import Concern, concern_of
from conformance.variants import Group, groups_of
from conformance.verdicts import Verdict
from conformance.versions import VersionError, parse_version, spoken

__all__ = ["Cells", "Comparison", "Facts", "compare_columns"]

Cells = Mapping[str, Mapping[str, Any]]
"""The results of one engine, by the id of the row."""

Facts = Mapping[str, Any]
"""What a report says of one engine: `name`, `family`, `version`, `promises` and more."""

# an IPv6 or a MAC address, or a port of the engine's choice
_CHOSEN = re.compile(
    r"\b(?:[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){3,}|3[2-9][0-9]{3}|[4-6][0-9]{4})\b"
)
_SEEN_CHARS = 200
_UNTOLD = Change(see="", advice="")
_NO_FACTS: tuple[Facts, Facts] = ({}, {})
_FAMILIES = {"docker": "Docker", "podman": "Podman", "refimpl": "the reference"}


@dataclass(frozen=True, slots=True)
class _Side:
    """What one engine does of a group: the variants that pass, or those from which it deviates."""

    passed: tuple[Behaviour, ...] = ()
    deviating: tuple[Behaviour, ...] = ()
    reasons: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    is_known: bool = False
    is_unknown: bool = False
    is_missing: bool = False
    is_held_to_another: bool = False

    @property
    def has_done(self) -> bool:
        return bool(self.passed or self.deviating)

    @property
    def is_unasked(self) -> bool:
        return self.is_held_to_another and not self.has_done

    @property
    def sentences(self) -> tuple[str, ...]:
        return self.reasons or tuple(row.statement for row in self.passed)


def compare_columns(
    rows: Iterable[Behaviour],
    first: Cells,
    second: Cells,
    changes: Mapping[str, Change] = MappingProxyType({}),
    *,
    engines: tuple[Facts, Facts] = _NO_FACTS,
) -> Comparison:
    """Compare what two engines did, behaviour by behaviour.

    Args:
        rows: the catalogue.
        first: what the one engine did.
        second: what the other one did.
        changes: what a person does about a difference, by the behaviour's id.
        engines: the facts of the two, as their reports have them.
    """
    found, same = [], 0
    unknown, unasked, not_run, unpromised, upgrades = [], [], [], [], []
    held = [_is_held_to_another(facts) for facts in engines]
    for group in groups_of(rows):
        one, other = _side(group, first, held[0]), _side(group, second, held[1])
        if one.is_unknown or other.is_unknown:
            unknown.append(group.id)
        elif one.is_missing or other.is_missing:
            not_run.append(group.id)
        elif not (one.has_done or other.has_done):
            unpromised.append(group.id)
        elif _is_of_an_upgrade(group, one, other):
            upgrades.append(group.id)
        elif one.is_unasked or other.is_unasked:
            unasked.append(group.id)
        else:
            kind = _kind(group, one, other)
            if kind is None:
                same += 1
            else:
                change = changes.get(group.id, _UNTOLD)
                found.append(_difference(group, kind, (one, other), engines, change))
    return Comparison(
        first=str(engines[0].get("name", "")),
        second=str(engines[1].get("name", "")),
        differences=tuple(sorted(found, key=_place)),
        same=same,
        unknown=tuple(unknown),
        unasked=tuple(unasked),
        not_run=tuple(not_run),
        unpromised=tuple(unpromised),
        upgrades=tuple(upgrades),
    )


def _place(one: Difference) -> tuple[int, int, int, int, int, str]:
    return (
        list(Concern).index(one.concern),
        list(Harm).index(one.harm),
        list(Breaks).index(one.breaks) if one.breaks else 0,
        list(Tier).index(one.tier),
        list(Kind).index(one.kind),
        one.behaviour,
    )


def _is_held_to_another(facts: Facts) -> bool:
    """Tell whether an engine is asked for what another release does, as Podman is."""
    try:
        return parse_version(facts["promises"]) != parse_version(facts["version"])
    except (KeyError, VersionError):
        return False


def _side(group: Group, cells: Cells, is_held_to_another: bool) -> _Side:
    passed, deviating = [], []
    is_unknown = is_missing = False
    for row in group.variants:
        cell = cells.get(row.id)
        if cell is None:
            is_missing = True
            continue
        verdict = Verdict(cell["verdict"])
        if verdict in (Verdict.UNSUPPORTED, Verdict.ERROR):
            is_unknown = True
        elif verdict.has_passed:
            passed.append(row)
        elif verdict is not Verdict.NOT_PROMISED:
            deviating.append((row, cell))
    if passed:  # variants exclude each other: who does one of them does not deviate
        deviating = []
    has_done = bool(passed or deviating)
    known = [cell.get("expectation") or {} for _, cell in deviating]
    return _Side(
        passed=tuple(passed),
        deviating=tuple(row for row, _ in deviating),
        reasons=tuple(dict.fromkeys(_why(cell) for _, cell in deviating)),
        versions=tuple(str(one["versions"]) for one in known if one.get("versions")),
        links=tuple(dict.fromkeys(str(one["link"]) for one in known if one.get("link"))),
        is_known=any(known),
        is_unknown=is_unknown and not has_done,
        is_missing=is_missing and not has_done,
        is_held_to_another=is_held_to_another,
    )


def _why(cell: Mapping[str, Any]) -> str:
    known = cell.get("expectation") or {}
    if known.get("reason"):
        return " ".join(str(known["reason"]).split())
    parts = [("Looked at", "reason"), ("Expected", "expected"), ("Got", "actual")]
    told = [f"{label}: {_cut(str(cell[key]))}." for label, key in parts if cell.get(key)]
    return " ".join(["Nobody has explained it yet.", *told])


def _cut(text: str) -> str:
    whole = " ".join(text.split()).rstrip(".")
    return whole if len(whole) <= _SEEN_CHARS else f"{whole[:_SEEN_CHARS]} ..."


def _steady(reasons: Iterable[str]) -> list[str]:
    """Give reasons without the addresses and ports that are others in every run."""
    return [_CHOSEN.sub("<chosen>", reason) for reason in reasons]


def _kind(group: Group, one: _Side, other: _Side) -> Kind | None:
    if one.deviating and other.deviating:
        return None if _steady(one.reasons) == _steady(other.reasons) else Kind.OTHERWISE
    if one.passed and other.deviating:
        return Kind.OLDER if _is_asked_for_older(group, other, one) else Kind.LOST
    if one.deviating and other.passed:
        return Kind.OLDER if _is_asked_for_older(group, one, other) else Kind.GAINED
    if one.deviating or other.deviating:  # and nothing is promised by the other
        return Kind.OTHERWISE
    return _kind_of_passes(set(one.passed), set(other.passed))


def _kind_of_passes(first: set[Behaviour], second: set[Behaviour]) -> Kind | None:
    if first & second:
        return None
    if not first:
        return Kind.NEW
    return Kind.CHANGED if second else Kind.GONE


def _is_of_an_upgrade(group: Group, one: _Side, other: _Side) -> bool:
    """Tell whether the second keeps what the first has none of: the work of an older release."""
    rows = group.variants
    is_one_sided = not one.has_done and bool(other.passed)
    return is_one_sided and all("upgrade-from" in row.needs for row in rows)


def _is_asked_for_older(group: Group, held: _Side, free: _Side) -> bool:
    """Tell whether one was asked for older variants only than those that the other does."""
    ages = {row.id: age for age, row in enumerate(group.variants)}
    newest = max(ages[row.id] for row in held.deviating)
    return held.is_held_to_another and newest < min(ages[row.id] for row in free.passed)


def _difference(
    group: Group,
    kind: Kind,
    sides: tuple[_Side, _Side],
    engines: tuple[Facts, Facts],
    change: Change,
) -> Difference:
    one, other = sides
    seen = tuple(dict.fromkeys((*one.passed, *one.deviating, *other.passed, *other.deviating)))
    newest = (other.passed or other.deviating or seen)[-1]
    tiers = list(Tier)
    return Difference(
        behaviour=group.id,
        statement=newest.statement,
        kind=kind,
        concern=concern_of(group.variants[-1]),
        harm=_harm(kind, change),
        breaks=change.breaks,
        tier=min((row.tier for row in seen), key=tiers.index),
        before=one.sentences,
        after=other.sentences,
        cause=" ".join(other.reasons or one.reasons),
        when=_when(kind, sides, engines),
        since=newest.docker if kind in (Kind.CHANGED, Kind.NEW) else "",
        source=newest.source,
        links=tuple(dict.fromkeys((*one.links, *other.links))),
        rows=tuple(row.id for row in seen),
        see=change.see,
        advice=change.advice,
        bugs=tuple(dict.fromkeys(bug for row in seen for bug in row.bugs)),
    )


def _harm(kind: Kind, change: Change) -> Harm:
    if change.breaks:
        return Harm.BREAKS
    is_gain = kind in (Kind.NEW, Kind.GAINED) and not change.advice
    return Harm.HARMLESS if is_gain or change.is_harmless or kind is Kind.OLDER else Harm.NOTICED


def _when(kind: Kind, sides: tuple[_Side, _Side], engines: tuple[Facts, Facts]) -> str:
    """Say in words since when it is so; "" where no release is known to have changed it."""
    one, other = sides
    names = [_FAMILIES.get(facts.get("family", "docker"), "this engine") for facts in engines]
    if kind in (Kind.CHANGED, Kind.NEW):
        return _when_promised(other.passed[-1], names[1])
    if kind is Kind.GONE:
        row = one.passed[-1]
        return re.sub("^before", "until", spoken(row.docker, "Docker")) if row.docker else ""
    if kind is Kind.GAINED and one.versions:
        said = _spoken(one.versions[-1], names[0])
        is_ended = said.startswith("before") and names[0] == names[1]
        return re.sub("^before", "since", said) if is_ended else f"deviating {said}"
    if other.versions:
        return _spoken(other.versions[-1], names[1])
    return f"in every {names[1]} tested" if other.is_known else ""


def _spoken(versions: str, name: str) -> str:
    """Say a report's condition in words; one that cannot be read is given as it is."""
    try:
        return spoken(versions, name)
    except VersionError:
        return f"{name} {versions}"


def _when_promised(row: Behaviour, family: str) -> str:
    """Say which Docker releases do what a row says, for an engine of some family."""
    if not row.docker:
        return spoken(row.api, "API") if row.api else ""
    said = spoken(row.docker, "Docker")
    if family == "Docker" and not said.startswith("before"):
        return said
    return f"as Docker {'did' if said.startswith('before') else 'does'} {spoken(row.docker)}"
