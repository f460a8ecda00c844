"""What the site tells: each behaviour on each column, and each pair of columns."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.bugs import Bug
from conformance.changes import Change, changes_between
from conformance.registry import Behaviour, Tier
from conformance.report.compare import compare_columns
from conformance.report.comparison import Comparison
from conformance.report.document import Document, DocumentError
from conformance.report.matrix import Cell, Column, Matrix, Row, areas_of, matrix_of
from conformance.report.missing import Missing, missing_capabilities_of
from conformance.site.links import name_of
from conformance.variants import Group, groups_of
from conformance.verdicts import Verdict, worst
from conformance.versions import VersionError, major_minor, parse_version, spoken

Changes = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Change]]

_BRANDS = {"docker": "Docker", "podman": "Podman", "refimpl": "Reference"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One variant on one column."""

    row: Behaviour
    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One behaviour on one column.

    Attributes:
        engine: the column.
        told: the variants that the column was asked for; if it promises none, all of them.
        verdict: the worst of theirs; None = the column has no result.
    """

    engine: str
    told: tuple[Told, ...]
    verdict: Verdict | None

    @property
    def worst(self) -> Told:
        """The variant that the verdict is of."""
        return next(one for one in self.told if one.cell.verdict is self.verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One behaviour with its variants on every column."""

    group: Group
    area: str
    seen: tuple[Seen, ...]

    @property
    def id(self) -> str:
        """The id of its page: that of the newest variant."""
        return self.group.id

    @property
    def newest(self) -> Behaviour:
        """The newest variant."""
        return self.group.variants[-1]

    @property
    def has_changed(self) -> bool:
        """Say whether there is more than one variant."""
        return len(self.group.variants) > 1

    @property
    def tier(self) -> Tier:
        """The gravest tier of its variants."""
        return min((row.tier for row in self.group.variants), key=list(Tier).index)

    @property
    def bugs(self) -> tuple[str, ...]:
        """What users reported of it."""
        return tuple(dict.fromkeys(bug for row in self.group.variants for bug in row.bugs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Everything that the pages are made of."""

    document: Document
    matrix: Matrix
    entries: tuple[Entry, ...]
    pairs: Mapping[tuple[str, str], Comparison]
    missing: tuple[Missing, ...]
    bugs: Mapping[str, Bug]

    def releases(self, family: str) -> list[Column]:
        """Give the columns of a family, the oldest release first; not those of no known version."""
        return sorted(
            (one for one in self.matrix.columns if _is_release_of(one, family)),
            key=lambda one: parse_version(one.version),
        )

    def newest(self, family: str) -> Column | None:
        """Give the column of a family's newest release; None = there is none."""
        return next(reversed(self.releases(family)), None)

    def title(self, engine: str) -> str:
        """Give a column's name in words: `Docker 28.5`."""
        return next(title_of(one) for one in self.matrix.columns if one.name == engine)


def gather(
    document: Document,
    rows: Iterable[Behaviour],
    bugs: Mapping[str, Bug],
    changes: Changes = changes_between,
) -> Content:
    """Put together what the site tells.

    Args:
        document: what every column did, as one report.
        rows: the catalogue; results of other rows are left out.
        bugs: what users reported.
        changes: gives what a person does about a difference, from one engine to another.

    Raises:
        DocumentError: two columns would have the same page.
    """
    catalogue = list(rows)
    matrix = matrix_of(document)
    _check_names(matrix)
    found = {row.id: row for row in matrix.rows}
    groups = groups_of(catalogue)
    areas = areas_of([group.id for group in groups])
    entries = [
        Entry(
            group=group,
            area=areas[group.id],
            seen=tuple(_seen(group, n, one.name, found) for n, one in enumerate(matrix.columns)),
        )
        for group in groups
    ]
    return Content(
        document=document,
        matrix=matrix,
        entries=tuple(sorted(entries, key=lambda entry: (entry.area, entry.id))),
        pairs=_pairs(document, matrix, catalogue, changes),
        missing=tuple(missing_capabilities_of(document)),
        bugs=bugs,
    )


def title_of(column: Column) -> str:
    """Give a column's name in words."""
    brand = _BRANDS.get(str(column.facts.get("family", "")))
    try:
        release = major_minor(column.version)
    except VersionError:
        return column.name
    # a column of the user's own has a name that says more
    is_plain = column.name in (f"{brand}-{release}".lower(), str(brand).lower())
    return f"{brand} {release}" if brand and is_plain else column.name


def _is_release_of(column: Column, family: str) -> bool:
    try:
        parse_version(column.version)
    except VersionError:
        return False
    return column.facts.get("family") == family


def times_of(row: Behaviour) -> str:
    """Say in words which releases promise a row, such as `since 28.0`; "" = all."""
    if row.docker:
        return spoken(row.docker)
    return spoken(row.api, "API") if row.api else ""


def _seen(group: Group, column: int, engine: str, found: Mapping[str, Row]) -> Seen:
    told = [
        Told(row=row, cell=found[row.id].cells[column] if row.id in found else Cell(engine=engine))
        for row in group.variants
    ]
    asked = [one for one in told if one.cell.verdict not in (None, Verdict.NOT_PROMISED)]
    shown = asked or told
    verdicts = [one.cell.verdict for one in shown if one.cell.verdict is not None]
    return Seen(engine=engine, told=tuple(shown), verdict=worst(verdicts) if verdicts else None)


def _pairs(
    document: Document, matrix: Matrix, rows: list[Behaviour], changes: Changes
) -> dict[tuple[str, str], Comparison]:
    results: dict[str, dict[str, dict[str, object]]] = {}
    for result in document["results"]:
        results.setdefault(result["engine"], {})[result["behaviour"]] = result
    return {
        (one.name, other.name): compare_columns(
            rows,
            results.get(one.name, {}),
            results.get(other.name, {}),
            changes(one.facts, other.facts),
            engines=(one.facts, other.facts),
        )
        for one, other in itertools.permutations(matrix.columns, 2)
    }


def _check_names(matrix: Matrix) -> None:
    names = [name_of(column.name) for column in matrix.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DocumentError(f"more than one column would have the page {', '.join(twice)}")
