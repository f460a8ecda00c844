"""What a release changed on purpose: one behaviour, a row for what the releases of each time do.

A row names those that it `replaces`. Rows that are linked so are the variants of one behaviour; an
engine promises at most one of them. Every row keeps its id.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.registry import Behaviour
from conformance.versions import first_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A behaviour with its variants, or a row that never changed.

    Attributes:
        variants: the rows, the oldest release's first.
    """

    variants: tuple[Behaviour, ...]

    @property
    def id(self) -> str:
        """The id of the newest variant."""
        return self.variants[-1].id


def groups_of(rows: Iterable[Behaviour]) -> list[Group]:
    """Put rows together that replace each other, in the order of their newest variants."""
    every = {row.id: row for row in rows}
    of: dict[str, set[str]] = {id: {id} for id in every}
    for row in every.values():
        for old in row.replaces:
            joined = of[row.id] | of.get(old, set())
            for id in joined:
                of[id] = joined
    distinct = {min(ids): ids for ids in of.values()}
    found = [
        Group(variants=tuple(sorted((every[id] for id in ids), key=_age)))
        for ids in distinct.values()
    ]
    return sorted(found, key=lambda group: (group.variants[-1].area, group.id))


def _age(row: Behaviour) -> tuple[object, object, str]:
    return first_release(row.docker), first_release(row.api), row.id
