"""A report as a matrix: areas of rows, a cell per engine. What HTML and Markdown are drawn from."""

import itertools
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.registry import Tier
from conformance.report.document import Document
from conformance.report.score import Score, engine_scores, tier_of
from conformance.report.symbols import SYMBOLS, Symbol
from conformance.verdicts import Verdict

ABSENT = Symbol("·", "", "dim", "not in this run")
# Fewer rows than this are no area of their own: they go under the id's first word.
_AREA_ROWS_MIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One behaviour on one engine; `verdict` is None where the run does not have it."""

    engine: str
    verdict: Verdict | None = None
    reason: str = ""
    expected: str = ""
    actual: str = ""
    log: str = ""
    rerun: str = ""
    expectation: Mapping[str, str] = field(default_factory=dict)

    @property
    def look(self) -> Symbol:
        """How the cell is drawn."""
        return ABSENT if self.verdict is None else SYMBOLS[self.verdict]

    @property
    def why(self) -> str:
        """The reason in short: why it is expected, or else what was seen."""
        return self.expectation.get("reason", "") or self.reason

    @property
    def is_notable(self) -> bool:
        """Say whether the cell has something to tell beyond its symbol."""
        return self.verdict not in (None, Verdict.PASS)

    @property
    def is_deviation(self) -> bool:
        """Say whether the engine was asked and did something else than what is stated."""
        return self.is_notable and self.verdict is not None and self.verdict.was_executed


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One behaviour on every engine."""

    id: str
    area: str
    statement: str = ""
    level: str = ""
    tier: Tier = Tier.CONTRACT
    source: str = ""
    docker: str = ""
    api: str = ""
    needs: tuple[str, ...] = ()
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The id without its area."""
        return self.id.removeprefix(self.area + ".")

    @property
    def notable(self) -> list[Cell]:
        """The cells that have something to tell."""
        return [cell for cell in self.cells if cell.is_notable]

    @property
    def has_deviation(self) -> bool:
        """Say whether an engine deviates."""
        return any(cell.is_deviation for cell in self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One engine: its facts as the report has them, its scores, and its verdicts counted."""

    name: str
    facts: Mapping[str, Any]
    scores: Mapping[Tier, Score]
    counts: Mapping[Verdict, int]

    @property
    def version(self) -> str:
        """The version that the engine states."""
        return str(self.facts.get("version", ""))

    @property
    def is_held_to_another(self) -> bool:
        """Say whether its rows are the promises of a release that it is not itself."""
        return bool(self.version) and self.facts.get("promises", self.version) != self.version

    @property
    def packages(self) -> str:
        """The packages that it is made of, with their exact versions."""
        return ", ".join(f"{k} {v}" for k, v in self.facts.get("packages", {}).items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Rows that belong together."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A whole report."""

    columns: tuple[Column, ...]
    areas: tuple[Area, ...]

    @property
    def rows(self) -> list[Row]:
        """Every row, in order."""
        return [row for area in self.areas for row in area.rows]

    @property
    def counts(self) -> Counter[Verdict]:
        """Every verdict, counted over all engines."""
        return sum((Counter(column.counts) for column in self.columns), Counter())


def matrix_of(document: Document) -> Matrix:
    """Make the matrix of a report."""
    found = {(result["behaviour"], result["engine"]): result for result in document["results"]}
    engines = document["engines"]
    scores = engine_scores(document)
    columns = tuple(
        Column(
            name=engine["name"],
            facts=engine,
            scores=scores[engine["name"]],
            counts=Counter(
                Verdict(result["verdict"])
                for (_, name), result in found.items()
                if name == engine["name"]
            ),
        )
        for engine in engines
    )
    area_of = areas_of([behaviour["id"] for behaviour in document["behaviours"]])
    rows = [
        _row(behaviour, area_of[behaviour["id"]], found, engines)
        for behaviour in document["behaviours"]
    ]
    rows.sort(key=lambda row: (row.area, row.id))
    areas = tuple(
        Area(name=name, rows=tuple(members))
        for name, members in itertools.groupby(rows, key=lambda row: row.area)
    )
    return Matrix(columns=columns, areas=areas)


def areas_of(ids: list[str]) -> dict[str, str]:
    """Give the area of each row; a small one goes under the id's first word."""
    sizes = Counter(behaviour.rpartition(".")[0] for behaviour in ids)
    areas = {}
    for behaviour in ids:
        area = behaviour.rpartition(".")[0]
        areas[behaviour] = area if sizes[area] >= _AREA_ROWS_MIN else behaviour.partition(".")[0]
    return areas


def _row(
    behaviour: dict[str, Any],
    area: str,
    found: dict[tuple[str, str], dict[str, Any]],
    engines: list[dict[str, Any]],
) -> Row:
    facts = {key: behaviour.get(key, "") for key in ("statement", "level", "source", "docker")}
    cells = tuple(
        _cell(engine, behaviour["id"], found.get((behaviour["id"], engine["name"])))
        for engine in engines
    )
    return Row(
        id=behaviour["id"],
        area=area,
        tier=tier_of(behaviour),
        **facts,
        api=behaviour.get("api", ""),
        needs=tuple(behaviour.get("needs", ())),
        cells=cells,
    )


def rerun_command(spec: str, behaviour: str) -> str:
    """Give the command that runs one row on one engine again, as a shell takes it."""
    return f"python -m conformance run --engine {shlex.quote(spec)} {behaviour}"


def _cell(engine: dict[str, Any], behaviour: str, result: dict[str, Any] | None) -> Cell:
    if result is None:
        return Cell(engine=engine["name"])
    return Cell(
        engine=engine["name"],
        verdict=Verdict(result["verdict"]),
        **{key: result.get(key) or "" for key in ("reason", "expected", "actual", "log")},
        rerun=rerun_command(engine["spec"], behaviour),
        expectation=result.get("expectation") or {},
    )
