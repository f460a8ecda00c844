"""`python -m conformance diff OLD NEW`: the cells that differ between two runs of one engine."""

import json
import sys
from pathlib import Path

import click

from conformance.report.diff import (
    cells_in_both,
    diff_documents,
    diff_markdown,
    engines_apart,
    rows_apart,
    versions_changed,
)
from conformance.report.document import Document, DocumentError, read_document
from conformance.usage import Usage
from conformance.verdicts import ExitCode


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a pull request's comment.")
def diff(old: Path, new: Path, as_json: bool, as_markdown: bool) -> None:
    """Print the cells that differ between two reports; exit 1 if a cell became red.

    Rows that only one of the reports has are listed by themselves.
    """
    if as_json and as_markdown:
        raise Usage("give one of --json and --markdown")
    before, after = _read(old), _read(new)
    if not cells_in_both(before, after):
        raise Usage(
            "nothing to compare: no row of one engine is in both; `compare` compares two engines"
        )
    changes = diff_documents(before, after)
    if as_json:
        click.echo(json.dumps([change.to_json() for change in changes], indent=2, sort_keys=True))
    elif as_markdown:
        click.echo(diff_markdown(before, after))
    else:
        _print(before, after, (old, new))
    sys.exit(int(ExitCode.RED if any(change.is_worse for change in changes) else 0))


def _print(before: Document, after: Document, paths: tuple[Path, Path]) -> None:
    for said in versions_changed(before, after):
        click.echo(f"changed itself: {said}")
    for path, names in zip(paths, engines_apart(before, after), strict=True):
        if names:
            click.echo(f"only in {path}: {', '.join(names)}")
    changes = [change for change in diff_documents(before, after) if not change.is_apart]
    for change in changes:
        click.echo(str(change))
    counts = []
    for path, cells in zip(paths, rows_apart(before, after), strict=True):
        for change in cells:
            click.echo(f"only in {path}: {change.engine}  {change.behaviour}: {change.either}")
        if cells:
            counts.append(f"; {len(cells)} are only in {path}")
    both = cells_in_both(before, after)
    click.echo(f"{len(changes)} of {both} cells differ{''.join(counts)}")


def _read(path: Path) -> Document:
    """Read a report; a folder stands for the report in it.

    Raises:
        Usage: it is no report.
    """
    try:
        return read_document(path)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
