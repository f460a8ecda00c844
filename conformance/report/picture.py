"""The matrix as one picture: a line per chapter, a bar per engine, its rows by verdict.

An SVG without scripts or external parts, so that a README can show it; it follows the reader's
light or dark scheme. The same evidence gives the same bytes.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import groupby

from markupsafe import escape

from conformance.report.matrix import Cell, Column, Matrix, Row
from conformance.verdicts import Verdict

# What a bar consists of, from left to right: the class of its colour, its name, its verdicts.
_PARTS = (
    ("pass", "pass", {Verdict.PASS}),
    ("should", "SHOULD not met", {Verdict.NON_STRICT}),
    ("known", "known deviation", {Verdict.KNOWN}),
    ("red", "new failure or error", {Verdict.FAIL, Verdict.FIXED, Verdict.ERROR}),
    ("missing", "capability missing", {Verdict.UNSUPPORTED}),
    ("apart", "not promised", {Verdict.NOT_PROMISED, None}),
)
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #24292f }
.strong { font-weight: 600 }
.faint { fill: #57606a }
.pass { fill: #2da44e }
.should { fill: #bf8700 }
.known { fill: #e4731c }
.red { fill: #cf222e }
.missing { fill: #8c959f }
.apart { fill: #d8dee4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .faint { fill: #9198a1 }
  .pass { fill: #3fb950 }
  .missing { fill: #6e7681 }
  .apart { fill: #30363d }
}
"""
_LABEL, _BAR, _GAP, _LINE, _HEAD = 118, 116, 10, 18, 62


def picture_svg(matrix: Matrix) -> str:
    """Draw a matrix.

    Args:
        matrix: what to draw.

    Returns:
        A whole SVG document.
    """
    chapters = [(name, list(rows)) for name, rows in groupby(matrix.rows, key=_chapter)]
    width = _LABEL + len(matrix.columns) * (_BAR + _GAP)
    height = _HEAD + (len(chapters) + 2) * _LINE
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-labelledby="t">',
        f'<title id="t">{escape(_title(matrix))}</title>',
        f"<style>{_STYLE}</style>",
    ]
    for index, column in enumerate(matrix.columns):
        lines += _column(column, index, chapters)
    for number, (name, rows) in enumerate(chapters):
        y = _HEAD + number * _LINE + 10
        lines.append(f'<text x="0" y="{y}">{escape(name)}</text>')
        lines.append(
            f'<text x="{_LABEL - 8}" y="{y}" class="faint" text-anchor="end">{len(rows)}</text>'
        )
    lines += _legend(matrix, y=height - 8)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _chapter(row: Row) -> str:
    return row.id.partition(".")[0]


def _title(matrix: Matrix) -> str:
    names = ", ".join(column.name for column in matrix.columns)
    return f"{len(matrix.rows)} behaviours on {names}: how many of each chapter pass"


def _column(column: Column, index: int, chapters: list[tuple[str, list[Row]]]) -> list[str]:
    """Draw what is said of one engine, and its bars."""
    x = _LABEL + index * (_BAR + _GAP)
    passed = sum(score.passed for score in column.scores.values())
    promised = sum(score.promised for score in column.scores.values())
    lines = [
        f'<text x="{x}" y="14" class="strong">{escape(column.name)}</text>',
        f'<text x="{x}" y="30" class="faint">{escape(column.version)}</text>',
        f'<text x="{x}" y="46" class="faint">{passed} of {promised} pass</text>',
    ]
    for number, (name, rows) in enumerate(chapters):
        lines += _bar(x, _HEAD + number * _LINE, name, [row.cells[index] for row in rows])
    return lines


def _bar(x: int, y: int, name: str, cells: list[Cell]) -> list[str]:
    counts = Counter(cell.verdict for cell in cells)
    found = [
        (look, meaning, sum(counts[verdict] for verdict in verdicts))
        for look, meaning, verdicts in _PARTS
    ]
    told = ", ".join(f"{count} {meaning}" for _, meaning, count in found if count)
    lines = [f"<g><title>{escape(f'{name}: {told}')}</title>"]
    done = 0
    for look, _, count in found:
        if count:
            left, right = (round(_BAR * n / len(cells), 1) for n in (done, done + count))
            lines.append(
                f'<rect x="{x + left:g}" y="{y}" width="{right - left:.4g}" height="12" '
                f'class="{look}"/>'
            )
            done += count
    return [*lines, "</g>"]


def _legend(matrix: Matrix, y: int) -> Iterable[str]:
    """Say what the colours mean that are there."""
    x = float(_LABEL)
    seen = {cell.verdict for row in matrix.rows for cell in row.cells}
    for look, meaning, verdicts in _PARTS:
        if not seen & verdicts:
            continue
        yield f'<rect x="{x:g}" y="{y - 10}" width="12" height="12" class="{look}"/>'
        yield f'<text x="{x + 17:g}" y="{y}">{meaning}</text>'
        x += 40 + 6.5 * len(meaning)
