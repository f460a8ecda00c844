"""Asks each difference between two columns whom it concerns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from conformance.impact.setup import Effect, Setup, nobody
from conformance.registry import Behaviour
from conformance.report.compare import Cells
from conformance.report.comparison import Difference, Kind
from conformance.variants import groups_of
from conformance.verdicts import Verdict
from conformance.versions import matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """A difference, or a row about upgrades, and whom it concerns.

    Attributes:
        behaviour: the id of the difference, or of the row.
        before: what the first engine does.
        after: what the second one does.
        advice: what to do about it.
        effects: whom it concerns, and how.
    """

    behaviour: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    advice: str
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What differences do to a set-up.

    Attributes:
        found: those that concern something, the gravest first.
        harmless: those that were asked and concern nothing that is there.
        unasked: those that nobody can ask for lack of a predicate; "cannot tell".
        gains: those without a predicate that are a gain, for which nobody has to do anything.
        past: how many are left out because the engine's own release has them already.
        older: those that need not differ: one engine was asked for what an older Docker does.
    """

    found: tuple[Foretold, ...]
    harmless: tuple[str, ...]
    unasked: tuple[Difference, ...]
    past: int
    older: tuple[str, ...] = ()
    gains: tuple[str, ...] = ()

    @property
    def concerned(self) -> list[tuple[str, str]]:
        """The containers and networks, as (kind, name), the one with the gravest first."""
        keys = ((c.kind, c.name) for one in self.found for c in one.effects)
        return list(dict.fromkeys(keys))


def foretell(
    differences: Iterable[Difference],
    rows: Iterable[Behaviour],
    target: Cells,
    setup: Setup,
) -> Impact:
    """Ask what differs whom it concerns.

    Args:
        differences: what the second column does otherwise, the gravest first.
        rows: the catalogue.
        target: the second column's cells, for the rows about what an upgrade keeps.
        setup: what is there.
    """
    every = {row.id: row for row in rows}
    variants = {group.id: group.variants for group in groups_of(every.values())}
    found, harmless, unasked, older, gains = [], [], [], [], []
    asked: set[str] = set()
    past = 0
    for one in differences:
        if one.since and setup.is_docker and matches(one.since, setup.source):
            past += 1
            continue
        if one.kind is Kind.OLDER:
            older.append(one.behaviour)
            continue
        looked_at = [every[id] for id in one.rows if id in every]
        # towards another engine a predicate only says whom it concerns, so any variant's will do
        can_ask = looked_at if setup.is_docker else variants.get(one.behaviour, looked_at)
        predicates = [row for row in can_ask if _can_tell(row, setup)]
        asked.update(row.id for row in predicates)
        effects = _ask(predicates, setup)
        if not predicates and one.is_gain:
            gains.append(one.behaviour)
        elif not predicates:
            unasked.append(one)
        elif effects:
            found.append(_foretold(one, effects))
        else:
            harmless.append(one.behaviour)
    for row in _of_every_upgrade(every, asked, target, setup):
        effects = _ask([row], setup)
        if effects:
            after = (row.statement,)
            found.append(
                Foretold(
                    behaviour=row.id, before=(), after=after, advice="", effects=tuple(effects)
                )
            )
    return Impact(
        found=tuple(found),
        harmless=tuple(harmless),
        unasked=tuple(unasked),
        past=past,
        older=tuple(older),
        gains=tuple(gains),
    )


def _can_tell(row: Behaviour, setup: Setup) -> bool:
    """Tell whether a row can say whom it concerns; more is done only by newer Dockers."""
    return row.concerns is not None and (setup.is_docker or row.concerns is not nobody)


def _ask(rows: Sequence[Behaviour], setup: Setup) -> list[Effect]:
    """Ask the predicates; who does not go to a newer Docker is not told what changes there."""
    found = [effect for row in rows if row.concerns for effect in row.concerns(setup)]
    if setup.is_docker:
        return list(dict.fromkeys(found))
    plain = (replace(one, about="", change="", is_certain=False) for one in found)
    return list(dict.fromkeys(plain))


def _of_every_upgrade(
    every: Mapping[str, Behaviour], asked: set[str], target: Cells, setup: Setup
) -> list[Behaviour]:
    """Give the rows about what an upgrade keeps that the second column was measured in."""
    if not setup.is_docker or setup.is_anew:
        return []
    unmeasured = (Verdict.NOT_PROMISED, Verdict.UNSUPPORTED, Verdict.ERROR)
    return [
        row
        for row in every.values()
        if row.concerns
        and row.id not in asked
        and "upgrade-from" in row.needs
        and row.id in target
        and Verdict(target[row.id]["verdict"]) not in unmeasured
    ]


def _foretold(one: Difference, effects: Sequence[Effect]) -> Foretold:
    return Foretold(
        behaviour=one.behaviour,
        before=one.before,
        after=one.after,
        advice=one.advice,
        effects=tuple(effects),
    )
