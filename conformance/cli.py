"""The command line: list, run, diff, clean, expectations."""

import json
import os
import sys
from pathlib import Path

import click
from rich.console import Console

from conformance.catalogue import catalogue_json, write_catalogue
from conformance.engines.cleanup import sweep
from conformance.engines.settings import SettingsError, load_settings
from conformance.expectations import EXPECTATIONS_DIR, lint_expectations
from conformance.registry import BEHAVIOURS_DIR, is_selected, load_catalogue
from conformance.report.diff import diff_documents, engines_apart
from conformance.report.document import FILE_NAME, DocumentError, read_document
from conformance.report.junit import write_junit
from conformance.report.terminal import print_report
from conformance.runner import (
    DEFAULT_ENGINES,
    RunRequest,
    default_workers,
    run_rows,
    why_unavailable,
)
from conformance.verdicts import ExitCode, Verdict


class Usage(click.ClickException):
    """A request that makes no sense, or cannot be met on this machine: exit code 3."""

    exit_code = int(ExitCode.USAGE)


class Program(click.Group):
    """The program; click's own complaints about usage get exit code 3, too."""

    def main(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]  # as click calls it
        """Run the command line."""
        click.UsageError.exit_code = int(ExitCode.USAGE)
        return super().main(*args, **kwargs)  # type: ignore[call-overload]  # passed on as it came


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check what a container engine does when a container gets its network.

    Runs the same rows, one behaviour each, against the reference implementation, against real
    daemons that it starts and stops, and against your own engine, and prints one matrix.
    """


@main.command("list")
@click.argument("select", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
@click.option("--write", is_flag=True, help="Write catalogue.json and docs/behaviours.md anew.")
def list_behaviours(select: tuple[str, ...], as_json: bool, write: bool) -> None:
    """List the behaviours; needs no engine and starts nothing."""
    every = load_catalogue()
    if write:
        for path in write_catalogue(every):
            click.echo(f"wrote {path}")
        return
    rows = [row for row in every if is_selected(row.id, select)]
    if as_json:
        click.echo(catalogue_json(rows), nl=False)
        return
    for row in rows:
        click.echo(f"{row.id}\n    {row.statement}")
    click.echo(f"{len(rows)} behaviours", err=True)


@main.command()
@click.argument("select", nargs=-1)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    help="A name of engines.toml, or the address of your own engine: unix:///path, "
    "tcp://host:port. May be given more than once. Default: reference and docker.",
)
@click.option(
    "--red-in",
    type=click.Path(path_type=Path),
    help="Only what is red in this report of an earlier run, on the engines it is red on.",
)
@click.option("--skip-missing", is_flag=True, help="Go on without engines that cannot be had here.")
@click.option("--keep", default="", help="Leave the engines up under this name, and reuse them.")
@click.option("--report", default="reports", show_default=True, help="Folder of the report.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw the matrix in plain letters.")
@click.option("-n", "workers", type=int, help="Engines at a time. Default: one per core.")
@click.option(
    "--behaviours", type=click.Path(path_type=Path), default=BEHAVIOURS_DIR, help="Folder of rows."
)
@click.option(
    "--expectations",
    type=click.Path(path_type=Path),
    default=EXPECTATIONS_DIR,
    help="Folder of known deviations.",
)
def run(
    select: tuple[str, ...],
    engines: tuple[str, ...],
    red_in: Path | None,
    skip_missing: bool,
    keep: str,
    report: str,
    is_ascii: bool,
    workers: int | None,
    behaviours: Path,
    expectations: Path,
) -> None:
    """Run behaviours on engines and print the matrix.

    SELECT is an id, a dotted prefix or a glob: `init.none`, 'init.*.bridge-network'. Without one
    all behaviours run.

    \b
    Exit codes: 0 as expected
                1 a new failure or an unexpected pass
                2 an error of the harness, or nothing ran
                3 usage: nothing selected, an engine that cannot be had
    """
    rows = [row.id for row in load_catalogue(behaviours) if is_selected(row.id, select)]
    if red_in is not None:
        red_rows, red_engines = _red_in(red_in)
        rows = [row for row in rows if row in red_rows]
        engines = engines or red_engines
    if not rows:
        raise Usage(f"no behaviour is selected by: {' '.join(select) or '(nothing)'}")
    chosen = _preflight(engines or DEFAULT_ENGINES, skip_missing=skip_missing)
    folder = Path(report)
    (folder / FILE_NAME).unlink(missing_ok=True)
    request = RunRequest(
        rows=rows,
        engines=chosen,
        report=folder,
        keep=keep,
        workers=default_workers(chosen) if workers is None else workers,
        behaviours=behaviours,
        expectations=expectations,
    )
    for line in run_rows(request):
        click.echo(f"cleaned up: {line}", err=True)
    sys.exit(int(_show_report(folder, is_ascii=is_ascii)))


def _red_in(path: Path) -> tuple[set[str], tuple[str, ...]]:
    """Give the rows that are red in a report, and the engines they are red on.

    Raises:
        Usage: nothing is red in it, or it is no report.
    """
    try:
        document = read_document(path)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    red = [cell for cell in document["results"] if Verdict(cell["verdict"]).is_red]
    if not red:
        raise Usage(f"nothing is red in {path}")
    names = {cell["engine"] for cell in red}
    specs = tuple(engine["spec"] for engine in document["engines"] if engine["name"] in names)
    return {cell["behaviour"] for cell in red}, specs


def _preflight(specs: tuple[str, ...], *, skip_missing: bool) -> list[str]:
    """Give the engines that can be had; say in plain words why one cannot.

    Raises:
        Usage: one cannot be had, or with `skip_missing` none.
    """
    chosen = []
    for spec in dict.fromkeys(specs):
        try:
            reason = why_unavailable(spec)
        except SettingsError as exc:
            raise Usage(str(exc)) from exc
        if not reason:
            chosen.append(spec)
        elif skip_missing:
            click.echo(f"left out: {reason}", err=True)
        else:
            raise Usage(reason)
    if not chosen:
        raise Usage("no engine is left to run on")
    return chosen


def _show_report(folder: Path, *, is_ascii: bool) -> ExitCode:
    """Render the run's JSON: JUnit beside it, the matrix on the terminal."""
    try:
        document = read_document(folder / FILE_NAME)
    except DocumentError as exc:
        click.echo(f"the run left no report: {exc}", err=True)
        return ExitCode.ERROR
    write_junit(document, folder / "conformance.xml")
    console = Console(highlight=False, no_color=True if "NO_COLOR" in os.environ else None)
    return print_report(document, console, is_ascii=is_ascii, report_folder=str(folder))


@main.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Print the cells that differ between two reports; exit 1 if a cell became red."""
    try:
        before, after = read_document(old), read_document(new)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    changes = diff_documents(before, after)
    if as_json:
        click.echo(json.dumps([change.to_json() for change in changes], indent=2, sort_keys=True))
    else:
        for path, names in zip((old, new), engines_apart(before, after), strict=True):
            if names:
                click.echo(f"only in {path}: {', '.join(names)}")
        for change in changes:
            click.echo(str(change))
        click.echo(f"{len(changes)} cells differ")
    sys.exit(int(ExitCode.RED if any(change.is_worse for change in changes) else 0))


@main.command()
@click.argument("names", nargs=-1)
def clean(names: tuple[str, ...]) -> None:
    """Take away what crashed runs left on this machine and on your own engine.

    NAMES are names given to --keep (or ids of runs): those are stopped and taken away, too.
    Without one, only what belongs to a run that is over is touched.
    """
    said = sweep()
    for name in names:
        said += sweep(name, is_forced=True)
    for line in said:
        click.echo(line)
    click.echo(f"{len(said)} left-overs", err=True)


@main.command("expectations")
def check_expectations() -> None:
    """Check the files of known deviations; exit 1 if one of them is wrong."""
    families = {settings.family for settings in load_settings().values()}
    ids = [row.id for row in load_catalogue()]
    complaints = lint_expectations(families, ids)
    for complaint in complaints:
        click.echo(complaint)
    click.echo(f"{len(complaints)} complaints", err=True)
    sys.exit(int(ExitCode.RED if complaints else ExitCode.AS_EXPECTED))
