"""A report as Markdown, for a pull request's comment and for pages of the project."""

import re
from collections import Counter
from collections.abc import Iterable

from conformance.registry import Tier
from conformance.report.document import Document
from conformance.report.matrix import Cell, Matrix, Row, matrix_of
from conformance.report.symbols import SYMBOLS
from conformance.verdicts import Verdict

# GitHub refuses a comment of more than 65,536 characters.
_DEVIATIONS_MAX = 150
_TEXT_CHARS = 300
_SPECIAL = re.compile(r"[\\*_\[\]<>|#~]")


def render_markdown(document: Document) -> str:
    """Render a whole report: the engines, every row, and what there is to say about deviations."""
    matrix = matrix_of(document)
    run = document["run"]
    facts = [run.get("revision") or run.get("version"), run["started"][:10]]
    return "\n".join(
        [
            "## netinit conformance matrix",
            "",
            f"Suite {' of '.join(text(str(fact)) for fact in facts if fact)}.",
            "",
            *engines_table(matrix),
            "",
            tiers_legend(),
            legend(matrix),
            "",
            *rows_table(matrix.rows, matrix),
            "",
            *deviations(matrix),
        ]
    )


def engines_table(matrix: Matrix) -> list[str]:
    """Give one line per engine: what passes of what it promises, by tier, then all the rest."""
    seen = [v for v in SYMBOLS if matrix.counts[v] and v is not Verdict.PASS]
    lines = table(["engine", "version", *Tier, *(mark(verdict) for verdict in seen)])
    for column in matrix.columns:
        scores = [str(column.scores[tier]) for tier in Tier]
        counts = [str(column.counts.get(verdict, "") or "") for verdict in seen]
        lines.append(line([column.name, text(column.version), *scores, *counts]))
    return lines


def tiers_legend() -> str:
    """Say what the columns of the engines' table count."""
    names = ", ".join(Tier).capitalize()
    return f"{names}: rows that pass of those the engine promises; then the rest."


def areas_table(matrix: Matrix) -> list[str]:
    """Give one line per area: how many of its rows have which verdict on each engine."""
    lines = table(["area", *(column.name for column in matrix.columns)])
    for area in matrix.areas:
        cells = []
        for index in range(len(matrix.columns)):
            counts = Counter(row.cells[index].verdict for row in area.rows)
            cells.append(" ".join(f"{counts[v]} {mark(v)}" for v in SYMBOLS if counts[v]))
        lines.append(line([f"`{area.name}`", *cells]))
    return lines


def rows_table(rows: Iterable[Row], matrix: Matrix) -> list[str]:
    """Give one line per behaviour."""
    lines = table(["behaviour", *(column.name for column in matrix.columns)])
    for row in rows:
        lines.append(line([f"`{row.id}`", *(cell.look.symbol for cell in row.cells)]))
    return lines


def legend(matrix: Matrix) -> str:
    """Say what the symbols mean that the matrix has."""
    seen = [look for verdict, look in SYMBOLS.items() if matrix.counts[verdict]]
    return "Legend: " + " · ".join(f"{look.symbol} {look.meaning}" for look in seen)


def deviations(matrix: Matrix) -> list[str]:
    """Tell every deviation, row by row: what is stated, and what each engine does instead."""
    rows = [row for row in matrix.rows if row.has_deviation]
    if not rows:
        return ["No engine deviates.", ""]
    lines = ["### Where an engine deviates", ""]
    told = 0
    for row in rows:
        cells = [cell for cell in row.cells if cell.is_deviation]
        if told + len(cells) > _DEVIATIONS_MAX:
            lines += [f"More of them, {len(rows)} behaviours in all, are in the HTML page.", ""]
            break
        told += len(cells)
        lines += [f"`{row.id}`: {text(row.statement)}", ""]
        lines += [f"- {cell.look.symbol} **{cell.engine}**: {said(cell)}" for cell in cells]
        lines.append("")
    return lines


def said(cell: Cell) -> str:
    """Say in one line what there is to say about a cell."""
    parts = [text(cell.why) or cell.look.meaning]
    link = cell.expectation.get("link", "")
    if link:
        parts.append(text(link))
    if (cell.expected or cell.actual) and not cell.expectation:
        parts.append(f"expected {literal(cell.expected)}, got {literal(cell.actual)}")
    return "; ".join(parts)


def mark(verdict: Verdict) -> str:
    """Give a verdict's symbol; none of them means anything to Markdown where we put it."""
    return SYMBOLS[verdict].symbol


def table(head: list[str]) -> list[str]:
    """Begin a table: the first column to the left, the others centred."""
    return [line(head), line(["---", *(":-:" for _ in head[1:])])]


def line(cells: Iterable[str]) -> str:
    """Give one line of a table."""
    return f"| {' | '.join(cells)} |"


def text(value: str, chars: int = _TEXT_CHARS) -> str:
    """Give free text on one line, cut to size, in which only back-ticks keep a meaning."""
    short = _on_one_line(value, chars)
    if short.count("`") % 2:  # an odd one would swallow what follows it
        return _SPECIAL.sub(r"\\\g<0>", short).replace("`", r"\`")
    parts = short.split("`")  # every second one is code
    return "`".join(
        part.replace("|", r"\|") if index % 2 else _SPECIAL.sub(r"\\\g<0>", part)
        for index, part in enumerate(parts)
    )


def literal(value: str) -> str:
    """Give a value as code on one line, whatever it holds."""
    short = _on_one_line(value).replace("|", r"\|") or "nothing"
    longest = max((len(run) for run in re.findall("`+", short)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if short.startswith("`") or short.endswith("`") else ""
    return f"{fence}{pad}{short}{pad}{fence}"


def _on_one_line(value: str, chars: int = _TEXT_CHARS) -> str:
    short = " ".join(value.split())
    return short if len(short) <= chars else f"{short[:chars]} ..."
