"""A run as one HTML page and as Markdown: no other file, no network.

Both are made of what was kept (pytest-benchmark's JSON of a run, the JSON of a growth run), so a
page can be made again from committed samples, and says nothing that the samples do not. All text
is escaped in the HTML; Markdown has no escape that all its readers know, so it is written as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from benchmarks.cases import NETWORK_TITLES, Figure
from benchmarks.figures import percentile
from benchmarks.growth import Growth, make_rows, verdict
from benchmarks.plots import ecdf
from benchmarks.plots import growth as draw_growth
from benchmarks.plugin import SCHEMA_VERSION
from benchmarks.ratios import ratio_to_wire

HTML_NAME = "benchmarks.html"
MARKDOWN_NAME = "benchmarks.md"
TEMPLATES = Path(__file__).parent / "page"
_SAME_WORK = (Figure.FLOOR, Figure.PEER, Figure.METRIC)
"""The figures that share a plot: who allocates, and the kernel's part of it."""


class PageError(Exception):
    """What was given is not the JSON of a run."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture of the page with its heading."""

    title: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one figure, as the table on the terminal has them."""

    title: str
    covers: str
    rows: Sequence[Mapping[str, Any]]


class Run:
    """One run as it was kept."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Read the JSON of a run.

        Raises:
            PageError: it has no netinit part, or none that this version reads.
        """
        netinit = document.get("netinit")
        if not isinstance(netinit, dict) or netinit.get("schema_version") != SCHEMA_VERSION:
            raise PageError("this is not the JSON of `python -m benchmarks run` of this version")
        self.netinit: Mapping[str, Any] = netinit
        try:
            self.machine: Mapping[str, Any] = document["machine_info"]
            self.datetime: str = document["datetime"]
            self.samples: dict[str, list[float]] = {
                each["param"]: each["stats"]["data"] for each in document["benchmarks"]
            }
        except (LookupError, TypeError) as error:
            raise PageError(f"this is not the whole JSON of a run: {error!r}") from error

    @classmethod
    def read(cls, path: Path) -> Run:
        """Read a file.

        Raises:
            PageError: it cannot be read as the JSON of a run.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PageError(f"{path}: {error}") from error
        if not isinstance(document, dict):
            raise PageError(f"{path}: not the JSON of a run")
        try:
            return cls(document)
        except PageError as error:
            raise PageError(f"{path}: {error}") from error

    @property
    def blocks(self) -> list[Block]:
        """The table, figure by figure."""
        table = self.netinit["table"]
        blocks = []
        for figure in Figure:
            rows = [row for row in table if row["figure"] == figure.name.lower()]
            if rows:
                blocks.append(Block(figure.value, figure.covers, rows))
        return blocks

    @property
    def docker(self) -> str:
        """What the engine is called that the others are compared with: the first real Docker."""
        dockers = (info for info in self.netinit["engines"] if info["family"] == "docker")
        return next((info["label"] for info in dockers), "Docker")

    @property
    def plots(self) -> list[Plot]:
        """The distributions on each network: allocate, then whole starts, then whole ends."""
        found = []
        for network, title in NETWORK_TITLES.items():
            by_label = self._series(_SAME_WORK, network)
            if len(by_label) > 1:
                name = f"allocate, {title}"
                found.append(Plot(name, Markup(ecdf(by_label, title=name))))  # noqa: S704
        for figure, what in ((Figure.START, "whole start"), (Figure.END, "whole end")):
            for network, title in NETWORK_TITLES.items():
                by_label = self._series((figure,), network)
                if by_label:
                    name = f"{what}, {title}"
                    found.append(Plot(name, Markup(ecdf(by_label, title=name))))  # noqa: S704
        return found

    def _series(self, figures: Sequence[Figure], network: str) -> dict[str, list[float]]:
        """Return samples by label; the floor is on every network's plot, it knows no names.

        Peers come last, so that an engine has the same colour on every plot.
        """
        names = {figure.name.lower() for figure in figures}
        wanted = [
            row
            for row in self.netinit["table"]
            if row["figure"] in names
            and (row["network"] == network or (row["figure"] == "floor" and network != "none"))
        ]
        if not any(row["figure"] != "floor" for row in wanted):
            return {}
        wanted.sort(key=lambda row: row["figure"] == "peer")
        return {row["engine"]: self.samples[row["case"]] for row in wanted}


@dataclass(frozen=True, slots=True)
class GrowthPart:
    """What a growth run says: does a start cost more when much is there already?"""

    growth: Growth

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The table; times in milliseconds."""
        return [
            {
                "size": row.size.name,
                "network": row.network,
                "n": len(row.allocate),
                "p50_ms": percentile(row.allocate, 50) * 1000,
                "p99_ms": percentile(row.allocate, 99) * 1000,
                "ratio": None if row.ratio is None else ratio_to_wire(row.ratio),
                "release_p50_ms": row.release_p50 * 1000,
            }
            for row in make_rows(self.growth)
        ]

    @property
    def verdict(self) -> list[str]:
        """What is said below the table."""
        return verdict(self.growth)

    @property
    def plots(self) -> list[Plot]:
        """Allocate by the number of sandboxes, and by that of networks."""
        found = []
        for what, sizes in (
            ("sandboxes", self.growth.sandboxes),
            ("networks", self.growth.networks),
        ):
            series: dict[str, dict[int, list[float]]] = {}
            for row in make_rows(self.growth):
                if any(row.size is size for size in sizes):
                    by_size = series.setdefault(NETWORK_TITLES[row.network], {})
                    by_size[getattr(row.size, what)] = row.allocate
            name = f"allocate among many {what}: the median, and the middle half of the samples"
            svg = draw_growth(series, title=name, axis=f"{what} that are there already")
            found.append(Plot(name, Markup(svg)))  # noqa: S704
        return found


def write_page(run: Run, folder: Path, *, growth: Growth | None = None) -> list[Path]:
    """Write the page and the Markdown into a folder, which is made if need be.

    Raises:
        OSError: they cannot be written there.
        PageError: the run, or the growth, lacks something that the page shows.
    """
    try:
        texts = _render(run, growth)
    # what the page shows is in no schema: the templates and the plots themselves say what they miss
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise PageError(f"the run, or the growth, lacks what a page shows: {error!r}") from error
    except jinja2.TemplateError as error:
        raise PageError(f"the run, or the growth, lacks what a page shows: {error}") from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _render(run: Run, growth: Growth | None) -> dict[str, str]:
    """Return the page and the Markdown by the name of their file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["heading"] = lambda text: text[:1].upper() + text[1:]
    environment.filters["ms"] = lambda value: f"{value:.2f}"
    environment.filters["ratio"] = _ratio
    return {
        name: environment.get_template(f"{name}.j2").render(
            run=run,
            networks=NETWORK_TITLES,
            growth=None if growth is None else GrowthPart(growth),
        )
        for name in (HTML_NAME, MARKDOWN_NAME)
    }


def _ratio(ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio['value']:.3g} [{ratio['low']:.3g} {ratio['high']:.3g}]"
