"""The matrix as one HTML page: no other file, no network, all text escaped.

The template and its style and script are in page/; most of it is the site's, too. Without script
the page is complete: every cell is a link to what there is to say about its row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from conformance.report.document import Document
from conformance.report.grid import GridCell, GridRow, environment, grid_of, part
from conformance.report.matrix import Cell, Matrix, Row, matrix_of
from conformance.report.missing import missing_capabilities_of
from conformance.report.score import TIER_MEANINGS
from conformance.verdicts import Verdict

FILE_NAME = "conformance.html"
_STYLES = ("base.css", "matrix.css", "panel.css")
_SCRIPTS = ("theme.js", "matrix.js", "panel.js")
# What engines and rows print has no bound; the page has: it must stay below 1 MB.
_TEXT_BYTES_MAX = 350_000
_LOGS_BYTES_MAX = 200_000
_TEXT_CHARS = 1_500
_LOG_CHARS = 4_000
_TITLE_CHARS = 160
_MARKUP_BYTES = 700  # of one finding, without what it tells


class Budget:
    """How many bytes of free text still fit onto the page."""

    def __init__(self, bytes_max: int) -> None:
        """Begin with so many bytes."""
        self._left = bytes_max

    def spend(self, *texts: str, markup_bytes: int = 0) -> bool:
        """Take the room for some texts, as they will be escaped; say whether there is room."""
        cost = markup_bytes + sum(len(str(escape(text)).encode()) for text in texts)
        if cost > self._left:
            return False
        self._left -= cost
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the page tells of one cell, cut to size; nothing at all if there is no room."""

    cell: Cell
    is_cut: bool = False
    title: str = ""
    reason: str = ""
    expected: str = ""
    actual: str = ""
    expectation: Mapping[str, str] = field(default_factory=dict)
    link: str = ""
    log: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """Everything of it that is written onto the page, but for the log."""
        told = [self.title, self.reason, self.expected, self.actual, self.cell.rerun]
        return [*told, *self.expectation.values(), self.link, *self.files, *self.files.values()]


def render_html(document: Document, *, logs: Path | None = None, base: str = "") -> str:
    """Render a report.

    Args:
        document: the report.
        logs: the folder that the cells' log paths are relative to; None = there are none.
        base: how the page's own folder reaches that folder: "" or a relative URL with its slash.
    """
    matrix = matrix_of(document)
    text, log_text = Budget(_TEXT_BYTES_MAX), Budget(_LOGS_BYTES_MAX)
    findings = {
        (row.id, cell.engine): _finding(cell, text, log_text, logs, base)
        for row, cell in _worst_first(matrix)
    }
    return _template().render(
        document=document,
        matrix=matrix,
        findings=findings,
        grid=grid_of(
            (column.name for column in matrix.columns),
            (_grid_row(row, findings) for row in matrix.rows),
        ),
        missing=missing_capabilities_of(document),
        tiers=TIER_MEANINGS,
        red=[v.value for v in Verdict if v.is_red],
        style=Markup("\n").join(map(part, _STYLES)),
        script=Markup("\n").join(map(part, _SCRIPTS)),
    )


def _grid_row(row: Row, findings: Mapping[tuple[str, str], Finding]) -> GridRow:
    return GridRow(
        id=row.id,
        area=row.area,
        tier=row.tier,
        sentences=(("", row.statement),),
        cells=tuple(
            GridCell(
                engine=cell.engine,
                verdict=cell.verdict,
                href=f"#{row.id}",
                title=findings[row.id, cell.engine].title if cell.is_notable else "",
            )
            for cell in row.cells
        ),
    )


def _worst_first(matrix: Matrix) -> Iterator[tuple[Row, Cell]]:
    """Give the notable cells, worst first: if the room for text runs out, the mild ones go."""
    order = list(Verdict)
    cells = [(row, cell) for row in matrix.rows for cell in row.notable]
    return iter(sorted(cells, key=lambda pair: order.index(pair[1].verdict or Verdict.PASS)))


def _finding(cell: Cell, text: Budget, log_text: Budget, logs: Path | None, base: str) -> Finding:
    folder = _log_folder(cell, logs)
    files = sorted(path.name for path in folder.iterdir()) if folder else []
    link = cell.expectation.get("link", "")
    finding = Finding(
        cell=cell,
        title=_clip(cell.why, _TITLE_CHARS),
        reason=_clip(cell.reason),
        expected=_clip(cell.expected),
        actual=_clip(cell.actual),
        expectation={key: _clip(str(value)) for key, value in cell.expectation.items()},
        link=link if link.startswith(("https://", "http://")) else "",
        files={name: f"{base}{quote(cell.log)}/{quote(name)}" for name in files},
    )
    if not text.spend(*finding.texts, markup_bytes=_MARKUP_BYTES):
        return Finding(cell=cell, is_cut=True)
    log = _tail(folder / "row.log") if folder and "row.log" in files else ""
    return replace(finding, log=log) if log_text.spend(log) else finding


def _log_folder(cell: Cell, logs: Path | None) -> Path | None:
    """Give the cell's log folder, if it is there and really inside the report's folder."""
    if logs is None or not cell.log:
        return None
    folder = logs / cell.log
    try:
        is_there = folder.is_dir() and folder.resolve().is_relative_to(logs.resolve())
    except OSError:  # a name that no file can have
        return None
    return folder if is_there else None


def _clip(text: str, chars: int = _TEXT_CHARS) -> str:
    return text if len(text) <= chars else f"{text[:chars]} ... (cut)"


def _tail(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    return text if len(text) <= _LOG_CHARS else f"(cut) ... {text[-_LOG_CHARS:]}"


@cache
def _template() -> jinja2.Template:
    return environment().get_template("page.html.j2")
