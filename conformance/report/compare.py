"""Two columns side by side: what the second engine does otherwise, in a person's order.

`compare_columns` gives a `Comparison`; the terminal, Markdown, HTML, JSON and the site are made
from it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType
from typing import Any

from conformance.changes import Breaks, Change
from conformance.registry import Behaviour, Tier
from conformance.report.concerns import Concern, concern_of
from conformance.variants import Group, groups_of
from conformance.verdicts import Verdict
from conformance.versions import VersionError, parse_version, spoken

Cells = Mapping[str, Mapping[str, Any]]
"""The results of one engine, by the id of the row."""

Facts = Mapping[str, Any]
"""What a report says of one engine: `name`, `family`, `version`, `promises` and more."""

# an IPv6 or a MAC address, or a port of the engine's choice
_CHOSEN = re.compile(
    r"\b(?:[0-9a-f]{1,4}(?::{1,2}[0-9a-f]{1,4}){3,}|3[2-9][0-9]{3}|[4-6][0-9]{4})\b"
)
_SEEN_CHARS = 200
_NOT_PROMISED = "not promised, and so not tested"
_UNTOLD = Change(see="", advice="")
_NO_FACTS: tuple[Facts, Facts] = ({}, {})
_FAMILIES = {"docker": "Docker", "podman": "Podman", "refimpl": "the reference"}


class Kind(StrEnum):
    """How the second engine differs from the first."""

    LOST = "no longer"
    """The first does it, the second deviates."""
    CHANGED = "changed"
    """Each does what its release promises, and these are not the same."""
    OTHERWISE = "otherwise"
    """Both deviate from what is stated, each in its own way."""
    GONE = "not promised any more"
    """The first does it; the second does not promise it, and was not asked."""
    NEW = "new"
    """The second does it; the first does not promise it, and was not asked."""
    GAINED = "now"
    """The first deviates, the second does it."""
    OLDER = "measured as an older Docker"
    """One does what newer releases do; the other was asked for what older ones do."""


class Harm(StrEnum):
    """What a difference can do to who goes from the first engine to the second."""

    BREAKS = "breaks"
    """Somebody judged: what works can stop to work, or can be open to others."""
    NOTICED = "noticed"
    """It can be noticed; nobody judged more."""
    HARMLESS = "harmless"
    """It is a gain, or nobody has to do anything about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One behaviour in which two engines differ.

    Attributes:
        behaviour: the id of its newest variant.
        statement: the sentence of the newest variant that was looked at.
        kind: how they differ.
        concern: what it is about.
        harm: what it can do.
        breaks: how many set-ups it can stop, or open to others; None = nobody judged so.
        tier: the gravest tier of its variants.
        before: what the first engine does, a sentence for each variant; empty = it promises
            nothing of it.
        after: what the second one does, likewise.
        cause: why one of them deviates; "" where both do what they promise.
        when: since which release it is so, in words; "" = not known.
        since: the Docker releases that promise the second; "" where no release changed it.
        source: where the change, or the statement, was made.
        links: pages that show the deviation.
        rows: the rows that were looked at.
        see: a docker command that shows the difference; "" = nobody wrote one.
        advice: what to do about it; likewise.
        bugs: what users reported of it.
    """

    behaviour: str
    statement: str
    kind: Kind
    concern: Concern
    harm: Harm
    breaks: Breaks | None
    tier: Tier
    before: tuple[str, ...]
    after: tuple[str, ...]
    cause: str
    when: str
    since: str
    source: str
    links: tuple[str, ...]
    rows: tuple[str, ...]
    see: str
    advice: str
    bugs: tuple[str, ...]

    @property
    def title(self) -> str:
        """How they differ, and since when."""
        return f"{self.kind.value}, {self.when}" if self.when else self.kind.value

    @property
    def now(self) -> str:
        """What the second engine does, or why it deviates, in one text."""
        return " ".join(self.after) or _NOT_PROMISED

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Differences for one reason.

    Attributes:
        engine: the engine that deviates; "" = none does, and there is one difference.
        reason: why; "" likewise.
        differences: in order.
    """

    engine: str
    reason: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The differences of one concern, and why they are there."""

    concern: Concern
    causes: tuple[Cause, ...]

    @property
    def size(self) -> int:
        """How many differences there are."""
        return sum(len(cause.differences) for cause in self.causes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two engines do differently, and what could not be compared.

    Attributes:
        first: the name of the first column.
        second: that of the second one.
        differences: in a person's order.
        same: how many behaviours are the same.
        unknown: behaviours for which a run lacked what they need.
        unasked: behaviours that one engine was not asked for, since it is measured as another
            release of Docker than it is.
        not_run: behaviours that one of the runs does not have.
    """

    first: str = ""
    second: str = ""
    differences: tuple[Difference, ...]
    same: int
    unknown: tuple[str, ...]
    unasked: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[Section, ...]:
        """The differences by concern, and in each by cause: where the first of them stands."""
        return tuple(
            Section(concern=concern, causes=self._causes(members))
            for concern, members in groupby(self.differences, key=lambda it: it.concern)
        )

    @property
    def breaking(self) -> tuple[Difference, ...]:
        """The differences that can stop a set-up."""
        return tuple(one for one in self.differences if one.harm is Harm.BREAKS)

    @property
    def summary(self) -> list[str]:
        """Say in sentences how much differs, and of what nothing can be said."""
        told = [
            f"{self.second} differs from {self.first} in {len(self.differences)} behaviours and "
            f"does the same in {self.same}."
        ]
        counts = [
            (self.unknown, "one of the runs lacked what they need"),
            (self.unasked, "one of the two is measured as another release of Docker"),
            (self.not_run, "one of the runs does not have them"),
        ]
        told += [f"Of {len(ids)} nothing can be said: {why}." for ids, why in counts if ids]
        return told

    def deviating(self, one: Difference) -> str:
        """Name the engine whose deviation is a difference's cause; "" = none."""
        if not one.cause:
            return ""
        return self.second if one.cause == _cause(one.after) else self.first

    def sides(self, one: Difference) -> list[tuple[str, str]]:
        """Give what each engine does, sentence by sentence, each with the engine's name."""
        told = []
        for name, sentences in ((self.first, one.before), (self.second, one.after)):
            told += [(name, said) for said in sentences or (_NOT_PROMISED,)]
        return told

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "unknown": list(self.unknown),
            "unasked": list(self.unasked),
            "not_run": list(self.not_run),
            "differences": [one.to_json() for one in self.differences],
        }

    def _causes(self, members: Iterable[Difference]) -> tuple[Cause, ...]:
        found: dict[tuple[str, str], list[Difference]] = {}
        for one in members:
            engine = self.deviating(one)
            key = (engine, one.cause) if engine else ("", one.behaviour)
            found.setdefault(key, []).append(one)
        return tuple(
            Cause(engine=engine, reason=said if engine else "", differences=tuple(ones))
            for (engine, said), ones in found.items()
        )


@dataclass(frozen=True, slots=True)
class _Side:
    """What one engine does of a group: the variants that pass, or those from which it deviates."""

    passed: tuple[Behaviour, ...] = ()
    deviating: tuple[Behaviour, ...] = ()
    reasons: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
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
    unknown, unasked, not_run = [], [], []
    held = [_is_held_to_another(facts) for facts in engines]
    for group in groups_of(rows):
        one, other = _side(group, first, held[0]), _side(group, second, held[1])
        if one.is_unknown or other.is_unknown:
            unknown.append(group.id)
        elif one.is_missing or other.is_missing:
            not_run.append(group.id)
        elif not (one.has_done or other.has_done) or _is_of_an_upgrade(group, one, other):
            continue
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
        is_unknown=is_unknown and not has_done,
        is_missing=is_missing and not has_done,
        is_held_to_another=is_held_to_another,
    )


def _why(cell: Mapping[str, Any]) -> str:
    known = cell.get("expectation") or {}
    if known.get("reason"):
        return str(known["reason"])
    parts = [("Seen", "reason"), ("Expected", "expected"), ("Got", "actual")]
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
        cause=_cause(other.reasons) or _cause(one.reasons),
        when=_when(kind, sides, engines),
        since=newest.docker if kind in (Kind.CHANGED, Kind.NEW) else "",
        source=newest.source,
        links=tuple(dict.fromkeys((*one.links, *other.links))),
        rows=tuple(row.id for row in seen),
        see=change.see,
        advice=change.advice,
        bugs=tuple(dict.fromkeys(bug for row in seen for bug in row.bugs)),
    )


def _cause(reasons: Iterable[str]) -> str:
    return " ".join(reasons)


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
    return _spoken(other.versions[-1], names[1]) if other.versions else ""


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
