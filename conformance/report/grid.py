"""The matrix as a page draws it; the page of a run and the site share it, its style and script."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from conformance.bugs import url_of
from conformance.registry import Tier
from conformance.report.matrix import ABSENT
from conformance.report.subjects import subject_of
from conformance.report.symbols import SYMBOLS, Symbol
from conformance.verdicts import Verdict

PARTS = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class GridCell:
    """One cell: a link with a symbol.

    Attributes:
        engine: the column.
        verdict: None = the column has no result.
        href: where more is told.
        title: why, in short; "" = there is nothing to tell.
        note: what stands below the symbol, such as `since 28.0`.
    """

    engine: str
    verdict: Verdict | None
    href: str
    title: str = ""
    note: str = ""

    @property
    def look(self) -> Symbol:
        """How the cell is drawn."""
        return ABSENT if self.verdict is None else SYMBOLS[self.verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """One behaviour.

    Attributes:
        sentences: what it states, each with the releases that it is true of; "" = all.
        also: other ids under which it is found.
    """

    id: str
    area: str
    tier: Tier
    sentences: tuple[tuple[str, str], ...]
    cells: tuple[GridCell, ...]
    also: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The id without its area."""
        return self.id.removeprefix(f"{self.area}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridArea:
    """Rows that belong together."""

    name: str
    rows: tuple[GridRow, ...]

    @property
    def subject(self) -> str:
        """What they are about, in words."""
        return subject_of(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The whole matrix.

    Attributes:
        legend: each verdict, how it is drawn, and the number of its cells.
    """

    engines: tuple[str, ...]
    areas: tuple[GridArea, ...]
    legend: tuple[tuple[Verdict, Symbol, int], ...]
    tiers: Mapping[Tier, int]

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return sum(self.tiers.values())


def grid_of(engines: Iterable[str], rows: Iterable[GridRow]) -> Grid:
    """Put rows together, sorted by area as they come."""
    every = list(rows)
    counts = Counter(cell.verdict for row in every for cell in row.cells)
    tiers = Counter(row.tier for row in every)
    return Grid(
        engines=tuple(engines),
        areas=tuple(
            GridArea(name=name, rows=tuple(members))
            for name, members in itertools.groupby(every, key=lambda row: row.area)
        ),
        legend=tuple((verdict, look, counts[verdict]) for verdict, look in SYMBOLS.items()),
        tiers={tier: tiers[tier] for tier in Tier},
    )


def slug(verdict: Verdict | None) -> str:
    """Give the verdict's name as a CSS class can be called."""
    return "absent" if verdict is None else verdict.name.lower().replace("_", "-")


def with_code(text: str) -> Markup:
    """Escape a sentence, and set as code what it has between back-ticks."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


@cache
def part(name: str) -> Markup:
    """Give our own style or script: the only text of a page that is not escaped."""
    return Markup((PARTS / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


def environment(*folders: Path) -> jinja2.Environment:
    """Give the templates' surroundings: everything is escaped, and the shared parts are there."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, PARTS]),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,  # an engine that never came up has few facts
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["with_code"] = with_code
    made.globals |= {"slug": slug, "bug_url": url_of}
    return made
