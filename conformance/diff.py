"""`python -m conformance diff OLD NEW`: the cells that differ between two runs of one engine."""

import json
import sys
from collections.abc import Iterable
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
from conformance.report.evidence import read_evidence
from conformance.usage import Usage, write_output
from conformance.verdicts import ExitCode


def read_reports(paths: Iterable[Path]) -> list[Document]:
    """Read reports; a folder stands for the report in it.

    Raises:
        Usage: none is named, or one is no report.
    """
    try:
        found = [read_document(path) for path in paths]
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    if not found:
        raise Usage("no report is named")
    return found


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a pull request's comment.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file instead of stdout.")
def diff(old: Path, new: Path, as_json: bool, as_markdown: bool, output: Path | None) -> None:
    """Print the cells that differ between two reports.

    Ends with 1 if a cell became red.

    OLD and NEW are files that a run wrote, or their folders; `recorded` is the matrix of README.
    Rows that only one of the reports has are listed by themselves.
    """
    if as_json and as_markdown:
        raise Usage("give one of --json and --markdown")
    before, after = _read_or_recorded(old), _read_or_recorded(new)
    if not cells_in_both(before, after):
        raise Usage(
            "nothing to compare: no row of one engine is in both; `compare` compares two engines"
        )
    changes = diff_documents(before, after)
    if as_json:
        said = json.dumps([change.to_json() for change in changes], indent=2, sort_keys=True)
    elif as_markdown:
        said = diff_markdown(before, after)
    else:
        said = "\n".join(_lines(before, after, (old, new)))
    if output is None:
        click.echo(said)
    else:
        write_output(output, said + "\n")
    sys.exit(int(ExitCode.RED if any(change.is_worse for change in changes) else 0))


def _lines(before: Document, after: Document, paths: tuple[Path, Path]) -> list[str]:
    said = [f"changed itself: {text}" for text in versions_changed(before, after)]
    for path, names in zip(paths, engines_apart(before, after), strict=True):
        said += [f"only in {path}: {', '.join(names)}"] if names else []
    changes = [change for change in diff_documents(before, after) if not change.is_apart]
    said += map(str, changes)
    counts = []
    for path, cells in zip(paths, rows_apart(before, after), strict=True):
        said += [f"only in {path}: {c.engine}  {c.behaviour}: {c.either}" for c in cells]
        counts += [f"; {len(cells)} are only in {path}"] if cells else []
    both = cells_in_both(before, after)
    return [*said, f"{len(changes)} of {both} cells differ{''.join(counts)}"]


def _read_or_recorded(path: Path) -> Document:
    """Read a report; `recorded` means the newest evidence of every engine."""
    if str(path) != "recorded" or path.exists():
        return read_reports([path])[0]
    try:
        return read_evidence()
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
