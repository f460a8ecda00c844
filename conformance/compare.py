"""`python -m conformance compare A B`: what another engine, or another release, does otherwise."""

import json
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import click

from conformance.changes import load_changes
from conformance.registry import load_catalogue
from conformance.report.compare import Comparison, Difference, compare_columns
from conformance.report.document import FILE_NAME, Document, DocumentError, read_document
from conformance.report.evidence import RESULTS_DIR
from conformance.report.markdown import text
from conformance.usage import Usage
from conformance.versions import parse_version


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
def compare(
    first: str, second: str, reports: tuple[Path, ...], as_markdown: bool, as_json: bool
) -> None:
    """Tell what the engine SECOND does otherwise than FIRST.

    FIRST and SECOND are columns, such as docker-20.10 and docker-28.5: of the reports that are
    named, or else of the evidence in conformance/results/.

    \b
    Exit codes: 0 they do the same
                1 they differ
                3 a column is not there
    """
    columns = _columns(reports)
    missing = [name for name in (first, second) if name not in columns]
    if missing:
        raise Usage(f"no column {' nor '.join(missing)}; there are: {', '.join(columns)}")
    one, other = (
        {r["behaviour"]: r for r in columns[name]["results"] if r["engine"] == name}
        for name in (first, second)
    )
    # what is written of a change is for who goes from an older Docker to a newer one
    changes = load_changes() if _is_upgrade(columns, first, second) else {}
    found = compare_columns(load_catalogue(), one, other, changes)
    if first != second and not (found.same or found.differences):
        raise Usage(f"{first} and {second} have no row in common, so there is nothing to compare")
    if as_json:
        said = {
            "first": first,
            "second": second,
            "same": found.same,
            "unknown": list(found.unknown),
            "differences": [one.to_json() for one in found.differences],
        }
        click.echo(json.dumps(said, indent=2))
    elif as_markdown:
        click.echo(_markdown(first, second, found))
    else:
        click.echo(_plain(first, second, found))
    sys.exit(1 if found.differences else 0)


def _is_upgrade(columns: Mapping[str, Document], first: str, second: str) -> bool:
    """Tell whether the second column is a newer release of Docker than the first."""
    old, new = (
        next(engine for engine in columns[name]["engines"] if engine["name"] == name)
        for name in (first, second)
    )
    if {old.get("family"), new.get("family")} != {"docker"}:
        return False
    # Not its own version: who builds a Docker need not name one. What it promises is a release.
    before, after = (parse_version(one.get("promises") or one["version"]) for one in (old, new))
    return before < after


def _columns(reports: Iterable[Path]) -> dict[str, Document]:
    """Find every column: those of the reports come before those of the evidence."""
    paths = [path / FILE_NAME if path.is_dir() else path for path in reports]
    found: dict[str, Document] = {}
    try:
        for path in (*paths, *sorted(RESULTS_DIR.glob("*.json"), reverse=True)):
            document = read_document(path)
            for engine in document["engines"]:
                found.setdefault(engine["name"], document)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    return found


def _summary(first: str, second: str, found: Comparison) -> str:
    return (
        f"{second} differs from {first} in {len(found.differences)} behaviours and does the same "
        f"in {found.same}; of {len(found.unknown)} nothing can be said, since a run lacked what "
        "they need."
    )


def _by_concern(found: Comparison) -> Iterable[tuple[str, list[Difference]]]:
    for concern, members in groupby(found.differences, key=lambda it: it.concern):
        yield concern.value, list(members)


def _to_do(one: Difference) -> list[str]:
    told = (("see it", f"`{one.see}`" if one.see else ""), ("what to do", one.advice))
    return [f"{what}: {said}" for what, said in told if said]


def _plain(first: str, second: str, found: Comparison) -> str:
    lines = []
    for title, members in _by_concern(found):
        lines += [f"{title} ({len(members)})", ""]
        for one in members:
            since = f", Docker {one.since}" if one.since else ""
            lines.append(f"  {one.behaviour}  [{one.kind}{since}]")
            lines += [f"    {first}: {said}" for said in one.before or ("promises nothing of it",)]
            lines += [f"    {second}: {said}" for said in one.after or ("promises nothing of it",)]
            lines += [f"    {said}" for said in _to_do(one)]
            lines += [f"    source: {one.source}", ""]
    return "\n".join([*lines, _summary(first, second, found)])


def _markdown(first: str, second: str, found: Comparison) -> str:
    lines = [f"# From {first} to {second}", "", _summary(first, second, found)]
    for title, members in _by_concern(found):
        lines += ["", f"## {title}"]
        for one in members:
            since = f", Docker `{one.since}`" if one.since else ""
            lines += ["", f"### `{one.behaviour}`: {one.kind}{since}", ""]
            lines += [f"- {first}: {text(said, 500)}" for said in one.before or ("no promise",)]
            lines += [f"- {second}: {text(said, 500)}" for said in one.after or ("no promise",)]
            lines += [f"- {said}" for said in _to_do(one)]
            lines += [f"- source: {text(one.source)}"]
    return "\n".join(lines)
