"""`python -m conformance compare A B`: what another engine, or another release, does otherwise."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from conformance.changes import changes_between
from conformance.registry import load_catalogue
from conformance.report.compare import compare_columns
from conformance.report.compared_html import render_comparison
from conformance.report.compared_text import markdown, plain
from conformance.report.comparison import Comparison
from conformance.report.document import Document, DocumentError, read_document
from conformance.report.evidence import RESULTS_DIR
from conformance.report.missing import missing_capabilities_of
from conformance.usage import Usage, write_output


@click.command()
@click.argument("first")
@click.argument("second")
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A run's report, or its folder, in which the two are looked for first. May be repeated.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--html", "page", metavar="FILE", help="Write a page to this file; - = print it.")
def compare(
    first: str,
    second: str,
    reports: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    page: str | None,
) -> None:
    """Tell what the engine SECOND does otherwise than FIRST.

    FIRST and SECOND are columns, such as docker-20.10 and docker-28.5: of the reports that are
    named, or else of the evidence in conformance/results/.

    \b
    Exit codes: 0 they do the same, as far as both runs have the behaviours
                1 they differ
                3 a column is not there, or nothing can be compared
    """
    if as_markdown + as_json + (page is not None) > 1:
        raise Usage("give one of --json, --markdown and --html")
    columns = find_columns(reports)
    found = compare_engines(columns, first, second)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
    elif as_markdown:
        click.echo(markdown(found))
    elif page is not None:
        _write_page(render_comparison(found), page)
    else:
        click.echo(plain(found))
        for said in _lacking(columns, found):
            click.echo(said, err=True)
    if said := _coverage(found):
        click.echo(said, err=True)
    sys.exit(1 if found.differences else 0)


def compare_engines(columns: Mapping[str, Document], first: str, second: str) -> Comparison:
    """Compare two columns, with what is written for who goes from the one to the other.

    Args:
        columns: the report of each column, by its name.
        first: the name of the one.
        second: that of the other.

    Raises:
        Usage: a column is not there, or the two have nothing to compare.
    """
    missing = [name for name in dict.fromkeys((first, second)) if name not in columns]
    if missing:
        raise Usage(f"no column {' nor '.join(missing)}; there are: {', '.join(columns)}")
    if first == second:
        raise Usage(
            f"{first} is one column: nothing to compare; `diff OLD NEW` compares two runs of it"
        )
    engines = (facts_of(columns, first), facts_of(columns, second))
    found = compare_columns(
        load_catalogue(),
        cells_of(columns, first),
        cells_of(columns, second),
        changes_between(*engines),
        engines=engines,
    )
    if not (found.same or found.differences):
        raise Usage(f"{first} and {second} have no row in common, so there is nothing to compare")
    return found


def facts_of(columns: Mapping[str, Document], name: str) -> Document:
    """Give what the report says of a column's engine."""
    found: Document = next(one for one in columns[name]["engines"] if one["name"] == name)
    return found


def cells_of(columns: Mapping[str, Document], name: str) -> dict[str, Document]:
    """Give a column's cells by the ids of their rows."""
    cells = columns[name]["results"]
    return {cell["behaviour"]: cell for cell in cells if cell["engine"] == name}


def find_columns(reports: Iterable[Path]) -> dict[str, Document]:
    """Find every column: those of the reports come before those of the evidence."""
    found: dict[str, Document] = {}
    try:
        for path in (*reports, *sorted(RESULTS_DIR.glob("*.json"), reverse=True)):
            document = read_document(path)
            for engine in document["engines"]:
                found.setdefault(engine["name"], document)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    return found


def _coverage(found: Comparison) -> str:
    """Say of how many behaviours the answer is, where not both runs have them all; "" = they do."""
    if not found.not_run:
        return ""
    differing = f"{len(found.differences):,} differ, " if found.differences else ""
    others = f"{len(found.not_run):,} {'is' if len(found.not_run) == 1 else 'are'}"
    return f"{differing}the same in {found.same:,}, {others} not in one of the runs"


def _lacking(columns: Mapping[str, Document], found: Comparison) -> list[str]:
    """Say what each of the two and its machine lacked, as far as something is not known for it."""
    lines = []
    for name in (found.first, found.second) if found.unknown else ():
        lacked = [one for one in missing_capabilities_of(columns[name]) if name in one.rows]
        for who, is_machine in ((name, False), (f"the machine of {name}", True)):
            some = [one for one in lacked if one.is_of_machine == is_machine]
            told = ", ".join(f"{one.name} ({one.rows[name]})" for one in some)
            if told:
                lines.append(f"{who} lacked, with the number of rows: {told}")
    return lines


def _write_page(text: str, page: str) -> None:
    if page == "-":
        click.echo(text)
        return
    write_output(Path(page), text)
    click.echo(f"wrote {page}", err=True)
