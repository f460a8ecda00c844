"""The command line: the program, and those of its commands that are not in a file of their own."""

import io
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import click
from rich.console import Console

from conformance.bisect import answering_bisect
from conformance.bugs import BugError
from conformance.bugs import showing as rows_showing
from conformance.catalogue import catalogue_json, write_catalogue
from conformance.clean import clean
from conformance.compare import compare
from conformance.diff import diff, read_reports
from conformance.engines.factory import full_spec
from conformance.engines.settings import SettingsError, load_settings
from conformance.expectations import EXPECTATIONS_DIR, lint_expectations
from conformance.image import ImageError, image_name
from conformance.impact.command import impact
from conformance.preflight import (
    RequestError,
    check_checkout,
    check_expectations,
    check_name,
    files_of,
    make_report_folder,
    select_rows,
    with_needs,
)
from conformance.program import Program, RowsCommand, counted, version_text
from conformance.pytest_words import showing
from conformance.registry import BEHAVIOURS_DIR, RegistryError, load_catalogue
from conformance.report.document import (
    FILE_NAME,
    DocumentError,
    read_document,
    write_document,
)
from conformance.report.evidence import (
    newest_evidence,
    read_evidence,
    write_evidence,
    write_pages,
)
from conformance.report.evidence_update import updated
from conformance.report.html import FILE_NAME as HTML_NAME
from conformance.report.html import render_html
from conformance.report.junit import junit_text, write_junit
from conformance.report.markdown import render_markdown
from conformance.report.merge import check_same_suite, merge_documents
from conformance.report.terminal import print_report
from conformance.runner import (
    DEFAULT_ENGINES,
    SPLIT_ROWS_MIN,
    PytestRefused,
    RunRequest,
    default_workers,
    is_debugging,
    run_rows,
    show,
    why_unavailable,
)
from conformance.site.command import site
from conformance.usage import Usage, write_output
from conformance.verdicts import ExitCode, Verdict

_HELP = {"help_option_names": ["-h", "--help"]}
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version_text(), prog_name="netinit conformance")
def main() -> None:
    """Check what a container engine does when a container gets its network.

    Runs the same rows, one behaviour each, against the reference implementation, against real
    daemons that it starts and stops, and against your own engine, and prints one matrix.
    """


@main.command("list")
@click.argument("select", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
@click.option("--write", is_flag=True, help="Write catalogue.json and docs/behaviours.md anew.")
@click.option("--bug", metavar="BUG", help="Only rows that show it: moby#46697, podman@4.4.0.")
def list_behaviours(select: tuple[str, ...], as_json: bool, write: bool, bug: str | None) -> None:
    """List the behaviours; needs no engine and starts nothing."""
    every = load_catalogue()
    if write and (select or bug is not None):
        raise Usage("--write writes all behaviours; it takes no SELECT and no --bug")
    if write:
        _require_checkout()
        for path in write_catalogue(every):
            click.echo(f"wrote {path}")
        return
    try:
        chosen = set(select_rows([row.id for row in every], select))
    except RequestError as exc:
        raise Usage(str(exc)) from exc
    rows = [row for row in every if row.id in chosen]
    if bug is not None:
        try:
            shown_by = rows_showing(bug, every)
        except BugError as exc:
            raise Usage(str(exc)) from exc
        rows = [row for row in rows if row in shown_by]
        if not rows:
            names = ", ".join(row.id for row in shown_by)
            raise Usage(f"no row that is selected shows {bug}; it is shown by {names}")
    if as_json:
        click.echo(catalogue_json(rows), nl=False)
        return
    for row in rows:
        click.echo(f"{row.id}\n    {row.statement}")
    click.echo(counted(len(rows), "behaviour"), err=True)


@main.command(cls=RowsCommand)
@click.argument("select", nargs=-1, metavar="[SELECT]... [-- PYTEST_ARGS]...")
@click.pass_obj
@click.option(
    "--engine",
    "engines",
    multiple=True,
    help="A name of engines.toml; the address of your own engine: unix:///path, tcp://host:port, "
    "or `env`: what DOCKER_HOST says; what you built: dockerd:/path, podman:/path, "
    "reference:/checkout; or image:NAME. May be given more than once. Default: reference, docker.",
)
@click.option("--needs", metavar="CAPABILITY", help="Only rows that need it, such as own-daemon.")
@click.option("--without", metavar="CAPABILITY", help="Only rows that do not need it.")
@click.option(
    "--red-in",
    type=click.Path(path_type=Path),
    help="Only what is red in this report of an earlier run, on the engines it is red on.",
)
@click.option("--skip-missing", is_flag=True, help="Go on without engines that cannot be had here.")
@click.option("--keep", default="", help="Leave the engines up under this name, and reuse them.")
@click.option("--report", default="reports", show_default=True, help="Folder of the report.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw the matrix in plain letters.")
@click.option(
    "--tx",
    "places",
    multiple=True,
    help="Run the engines elsewhere: ssh=root@host//python=/path/to/python, one --tx per machine; "
    "see docs/several-machines.md.",
)
@click.option(
    "-n",
    "workers",
    type=click.IntRange(min=1),
    help=f"Workers. Default: up to one per core, from {SPLIT_ROWS_MIN} rows on up to two.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print what is red and the scores, no matrix.")
@click.option("--behaviours", type=_FOLDER, default=BEHAVIOURS_DIR, help="Folder of rows.")
@click.option(
    "--expectations",
    type=_FOLDER,
    default=EXPECTATIONS_DIR,
    help="Folder of known deviations.",
)
@answering_bisect
def run(
    pytest_args: tuple[str, ...] | None,
    select: tuple[str, ...],
    engines: tuple[str, ...],
    needs: str | None,
    without: str | None,
    red_in: Path | None,
    skip_missing: bool,
    keep: str,
    report: str,
    is_ascii: bool,
    places: tuple[str, ...],
    workers: int | None,
    quiet: bool,
    behaviours: Path,
    expectations: Path,
) -> None:
    """Run behaviours on engines and print the matrix.

    SELECT is an id, a dotted prefix or a glob: `init.none`, 'init.*.bridge-network'. Without one
    all behaviours run. What follows `--` is given to pytest: `run files.hosts -- -x --pdb`.

    \b
    Exit codes: 0 as expected
                1 a new failure or an unexpected pass
                2 an error of the harness, or nothing ran
                3 usage: nothing selected, an engine that cannot be had
                130 interrupted; what did not run is not in the report
    """
    folder, words = Path(report), pytest_args or ()
    try:
        catalogue = load_catalogue(behaviours)
        rows = select_rows([row.id for row in catalogue], select)
        rows = with_needs(catalogue, rows, needs=needs, without=without)
        check_expectations(expectations)
        if keep:
            check_name(keep)
        make_report_folder(folder)
    except (RegistryError, RequestError) as exc:
        raise Usage(str(exc)) from exc
    if red_in is not None:
        rows, red_engines = _red_in(red_in, rows)
        engines = engines or red_engines
    chosen = list(engines or DEFAULT_ENGINES)
    if not (places or showing(words)):  # what can be had elsewhere is only seen there
        chosen = _preflight(tuple(chosen), keep, skip_missing=skip_missing)
    request = RunRequest(
        rows=rows,
        files=files_of(catalogue, rows, behaviours),
        engines=chosen,
        report=folder,
        keep=keep,
        workers=workers or (1 if is_debugging(words) else default_workers(chosen, rows)),
        behaviours=behaviours,
        expectations=expectations,
        places=places,
        quiet=quiet,
        pytest_args=words,
    )
    if showing(words):
        sys.exit(show(request))
    (folder / FILE_NAME).unlink(missing_ok=True)
    try:
        for line in run_rows(request):
            click.echo(f"cleaned up: {line}", err=True)
    except PytestRefused as exc:
        raise click.UsageError(str(exc)) from exc
    sys.exit(int(_show_report(folder, is_ascii=is_ascii, is_quiet=quiet)))


def _require_checkout() -> None:
    try:
        check_checkout()
    except RequestError as exc:
        raise Usage(str(exc)) from exc


def _red_in(path: Path, rows: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Give those of the rows that are red in a report, and the engines with something red there.

    Raises:
        Usage: nothing is red in it, or none of the rows, or it is no report.
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
    red_rows = {cell["behaviour"] for cell in red}
    chosen = [row for row in rows if row in red_rows]
    if not chosen:
        raise Usage(f"nothing that is red in {path} is among the rows that are selected here")
    return chosen, specs


def _preflight(specs: tuple[str, ...], keep: str, *, skip_missing: bool) -> list[str]:
    """Give the engines that can be had; say in plain words why one cannot.

    Raises:
        Usage: one cannot be had, or with `skip_missing` none; or the image cannot be made.
    """
    chosen = []
    try:
        found = {spec: why_unavailable(spec, keep=keep) for spec in map(full_spec, specs)}
    except SettingsError as exc:
        raise Usage(str(exc)) from exc
    for spec, reason in found.items():
        if not reason:
            chosen.append(spec)
        elif skip_missing:
            click.echo(f"left out: {reason}", err=True)
        else:
            raise Usage(reason)
    if not chosen:
        raise Usage("no engine is left to run on")
    try:
        image_name()
    except ImageError as exc:
        raise Usage(str(exc)) from exc
    return chosen


def _show_report(folder: Path, *, is_ascii: bool, is_quiet: bool = False) -> ExitCode:
    """Render the run's JSON: JUnit and the HTML page beside it, the matrix on the terminal."""
    try:
        document = read_document(folder / FILE_NAME)
    except DocumentError as exc:
        click.echo(f"the run left no report: {exc}", err=True)
        return ExitCode.ERROR
    page, refused = folder / HTML_NAME, ""
    try:
        write_junit(document, folder / "conformance.xml")
        page.write_text(render_html(document, logs=folder), encoding="utf-8")
    except OSError as exc:
        refused = f"the report is not complete: {exc}"
    click.echo(refused or f"\nthe matrix as a page: {page}", err=True)
    code = print_report(
        document, _console(), is_ascii=is_ascii, is_quiet=is_quiet, report_folder=str(folder)
    )
    return ExitCode.ERROR if refused else code


class _Terminal(Console):
    """A console that leaves it to the program what a reader that went away means."""

    def on_broken_pipe(self) -> None:
        """Let nothing more be written; rich would end with 1 as well, which is a red row."""
        with suppress(SystemExit):
            super().on_broken_pipe()
        raise BrokenPipeError


def _console(file: TextIO | None = None) -> Console:
    no_color = True if "NO_COLOR" in os.environ else None
    return _Terminal(file=file, highlight=False, no_color=no_color)


@main.command()
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "markdown", "terminal", "junit"]),
    default="terminal",
    show_default=True,
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file instead of stdout.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw the terminal's matrix in ASCII.")
def render(reports: tuple[Path, ...], form: str, output: Path | None, is_ascii: bool) -> None:
    """Render reports again, several as one matrix; runs nothing.

    REPORTS are files that a run wrote, their folders, or evidence of conformance/results/. No two
    of them may have the same engine.
    """
    documents = read_reports(reports)
    try:
        document = merge_documents(documents)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    folder = reports[0] if reports[0].is_dir() else reports[0].parent
    text = io.StringIO()
    if form == "html":
        base = os.path.relpath(folder, output.parent if output else Path())
        prefix = "" if base == "." else f"{quote(base)}/"
        logs = folder if len(reports) == 1 else None
        text.write(render_html(document, logs=logs, base=prefix))
    elif form == "markdown":
        text.write(render_markdown(document))
    elif form == "junit":
        text.write(junit_text(document))
    elif output is None:
        print_report(document, _console(), is_ascii=is_ascii, report_folder=str(folder))
        return
    else:
        print_report(document, _console(text), is_ascii=is_ascii, report_folder=str(folder))
    if output is None:
        click.echo(text.getvalue())
    else:
        write_output(output, text.getvalue())


@main.command()
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--output", default="reports", show_default=True, help="Folder to write to.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw the matrix in plain letters.")
def merge(reports: tuple[Path, ...], output: str, is_ascii: bool) -> None:
    """Make one report of several; runs nothing.

    Such as the reports of CI jobs that ran one engine each.

    REPORTS are files that a run wrote, or their folders. All must be of the same rows, and no two
    may have the same engine. Prints the matrix; the exit code is that of one run of them all.
    """
    documents = read_reports(reports)
    try:
        check_same_suite(documents)
        document = merge_documents(documents)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    folder = Path(output)
    try:
        write_document(document, folder / FILE_NAME)
        (folder / "conformance.md").write_text(render_markdown(document), encoding="utf-8")
        for report in reports:
            logs = (report if report.is_dir() else report.parent) / "logs"
            if logs.is_dir() and logs.resolve() != (folder / "logs").resolve():
                shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)
    except OSError as exc:
        why = exc.args[0][0][2] if isinstance(exc, shutil.Error) else exc  # of many files the first
        raise Usage(
            f"the report cannot be written to {folder}: {why}; -o names another folder"
        ) from exc
    sys.exit(int(_show_report(folder, is_ascii=is_ascii)))


@main.command()
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--update",
    is_flag=True,
    help="REPORTS are of some rows only, such as new ones: put their cells into the evidence.",
)
def evidence(reports: tuple[Path, ...], update: bool) -> None:
    """Record runs as evidence, and make the pages that show it.

    The pages are README's table, and the matrix, its picture and the regressions in docs/.

    REPORTS are reports of every row, or their folders; each engine in them gets its file in
    conformance/results/, to be committed as it is. Without one only the pages are made anew.
    """
    _require_checkout()
    documents = read_reports(reports) if reports else []
    try:
        rows = load_catalogue()
        made = updated(newest_evidence(), documents, rows) if update else documents
        written = write_evidence(made, (row.id for row in rows))
        written += write_pages(read_evidence(), rows)
    except DocumentError as exc:
        raise Usage(str(exc)) from exc
    for document in documents:
        if document["run"].get("revision", "").endswith("-dirty"):
            click.echo(
                "beware: this run was of a tree with changes that are not committed", err=True
            )
    for path in written:
        click.echo(f"wrote {path}")


@main.command("expectations")
def lint() -> None:
    """Check the files of known deviations.

    Ends with 1 if one of them is wrong.
    """
    families = {settings.family for settings in load_settings().values()}
    complaints = lint_expectations(families, [row.id for row in load_catalogue()])
    for complaint in complaints:
        click.echo(complaint)
    click.echo(counted(len(complaints), "complaint"), err=True)
    sys.exit(int(ExitCode.RED if complaints else ExitCode.AS_EXPECTED))


main.add_command(clean)
main.add_command(compare)
main.add_command(diff)
main.add_command(impact)
main.add_command(site)
