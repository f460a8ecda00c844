"""Two columns side by side: what the second engine does otherwise, in a person's order."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from conformance.changes import Change
from conformance.registry import Behaviour, Tier
from conformance.variants import Group, groups_of
from conformance.verdicts import Verdict

Cells = Mapping[str, Mapping[str, Any]]
"""The results of one engine, by the id of the row."""

_UNTOLD = Change(see="", advice="")


class Kind(StrEnum):
    """How the second engine differs from the first."""

    LOST = "no longer"
    """The first does it, the second deviates."""
    CHANGED = "changed"
    """Each does what its release promises, and these are not the same."""
    OTHERWISE = "otherwise"
    """Both deviate from what is stated, each in its own way."""
    GONE = "not promised any more"
    """The first does it, the second promises nothing of it."""
    NEW = "new"
    """The second does it, the first promises nothing of it."""
    GAINED = "now"
    """The first deviates, the second does it."""


class Concern(StrEnum):
    """What a difference is about; the gravest first."""

    STARTS = "Whether containers and networks come up"
    REACH = "Who reaches whom"
    IDENTITY = "Addresses, names and files"
    SHOWN = "What the engine shows and announces"
    WORDS = "Statuses and texts"


# By the beginning of the row's id, the longest one that fits.
_CONCERNS = {
    Concern.STARTS: (
        "allocate", "create", "crash", "drivers", "init", "life", "network", "options", "restart",
        "upgrade",
    ),
    Concern.REACH: (
        "dns", "ipv6.live", "ipv6.gateway", "links", "network.gateway", "ports", "reach",
        "sandbox.gateway", "sandbox.route", "upgrade.links", "upgrade.names", "upgrade.ports",
        "upgrade.reach", "upgrade.routes", "upgrade.rules",
    ),
    Concern.IDENTITY: (
        "connect", "disconnect", "files", "ipam", "ipv6", "sandbox", "upgrade.addresses",
        "upgrade.files", "upgrade.mac",
    ),
    Concern.SHOWN: (
        "allocate.metric", "allocate.host-config", "dns.inspect", "events", "network.inspect",
        "network.list", "ports.inspect", "ports.list", "sandbox.id",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One behaviour in which two engines differ.

    Attributes:
        behaviour: the id of its newest variant.
        kind: how they differ.
        concern: what it is about.
        tier: the gravest tier of its variants.
        before: what the first engine does, a sentence for each variant.
        after: what the second one does.
        since: the Docker releases that promise the second; "" where no release changed it.
        source: where the change was made.
        rows: the rows that were looked at.
        see: a docker command that shows the difference; "" = nobody wrote one.
        advice: what to do about it; likewise.
        bugs: what users reported of it.
    """

    behaviour: str
    kind: Kind
    concern: Concern
    tier: Tier
    before: tuple[str, ...]
    after: tuple[str, ...]
    since: str
    source: str
    rows: tuple[str, ...]
    see: str
    advice: str
    bugs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What two engines do differently, and what could not be compared."""

    differences: tuple[Difference, ...]
    unknown: tuple[str, ...]
    same: int


@dataclass(frozen=True, slots=True)
class _Side:
    """What one engine does of a group: the variants that pass, or those from which it deviates."""

    passed: tuple[Behaviour, ...]
    deviating: tuple[Behaviour, ...]
    is_unknown: bool
    reasons: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        if self.deviating:
            return self.reasons
        return tuple(row.statement for row in self.passed)


def compare_columns(
    rows: Iterable[Behaviour],
    first: Cells,
    second: Cells,
    changes: Mapping[str, Change] = MappingProxyType({}),
) -> Comparison:
    """Compare what two engines did, behaviour by behaviour.

    Args:
        rows: the catalogue.
        first: what the one engine did.
        second: what the other one did.
        changes: what a person does about a difference, by the behaviour's id.
    """
    found, unknown, same = [], [], 0
    for group in groups_of(rows):
        one, other = _side(group, first), _side(group, second)
        if one.is_unknown or other.is_unknown:
            unknown.append(group.id)
            continue
        kind = _kind(one, other)
        if kind is None:
            same += 1
        else:
            change = changes.get(group.id, _UNTOLD)
            found.append(_difference(group, kind, one, other, change))
    concerns, kinds, tiers = list(Concern), list(Kind), list(Tier)
    found.sort(
        key=lambda it: (
            concerns.index(it.concern),
            tiers.index(it.tier),
            kinds.index(it.kind),
            it.behaviour,
        )
    )
    return Comparison(differences=tuple(found), unknown=tuple(unknown), same=same)


def _side(group: Group, cells: Cells) -> _Side:
    passed, deviating, reasons = [], [], []
    is_unknown = False
    for row in group.variants:
        cell = cells.get(row.id)
        verdict = Verdict(cell["verdict"]) if cell else Verdict.UNSUPPORTED
        if verdict in (Verdict.UNSUPPORTED, Verdict.ERROR):
            is_unknown = True
        elif verdict.has_passed:
            passed.append(row)
        elif verdict is not Verdict.NOT_PROMISED:
            deviating.append(row)
            reasons.append(_why(cell or {}))
    is_unknown = is_unknown and not (passed or deviating)
    return _Side(tuple(passed), tuple(deviating), is_unknown, tuple(reasons))


def _why(cell: Mapping[str, Any]) -> str:
    known = cell.get("expectation") or {}
    said = str(known.get("reason") or "")
    seen = f"{cell.get('reason', '')}: expected {cell.get('expected')}, got {cell.get('actual')}"
    return said or seen


def _kind(one: _Side, other: _Side) -> Kind | None:
    if one.deviating and other.deviating:
        return None if one.reasons == other.reasons else Kind.OTHERWISE
    if one.deviating:
        return Kind.GAINED if other.passed else None
    if other.deviating:
        return Kind.LOST if one.passed else None
    if one.passed == other.passed:
        return None
    if not one.passed:
        return Kind.NEW
    return Kind.CHANGED if other.passed else Kind.GONE


def _difference(group: Group, kind: Kind, one: _Side, other: _Side, change: Change) -> Difference:
    seen = tuple(dict.fromkeys((*one.passed, *one.deviating, *other.passed, *other.deviating)))
    newest = (other.passed or other.deviating or seen)[-1]
    tiers = list(Tier)
    tier = min((row.tier for row in seen), key=tiers.index)
    return Difference(
        behaviour=group.id,
        kind=kind,
        concern=_concern(newest),
        tier=tier,
        before=one.sentences,
        after=other.sentences,
        since=newest.docker if kind in (Kind.CHANGED, Kind.NEW) else "",
        source=newest.source,
        rows=tuple(row.id for row in seen),
        see=change.see,
        advice=change.advice,
        bugs=tuple(dict.fromkeys(bug for row in seen for bug in row.bugs)),
    )


def _concern(row: Behaviour) -> Concern:
    if row.id.endswith("-text") or (row.tier is Tier.QUIRK and "text" in row.id.split(".")[-1]):
        return Concern.WORDS
    fitting = [
        (len(beginning), concern)
        for concern, beginnings in _CONCERNS.items()
        for beginning in beginnings
        if row.id.startswith(f"{beginning}.")
    ]
    return max(fitting, key=lambda pair: pair[0], default=(0, Concern.SHOWN))[1]
