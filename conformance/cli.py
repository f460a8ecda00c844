"""The command line: list, run, diff, clean, expectations."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import click
from rich.console import Console

from conformance.engines.base import EngineUnavailable
from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine
from conformance.engines.settings import SettingsError, load_settings
from conformance.registry import is_selected, load_catalogue
from conformance.report.document import FILE_NAME, DocumentError, read_document
from conformance.report.terminal import print_report
from conformance.verdicts import ExitCode

WORKSPACE_ROOT = Path("/tmp")  # noqa: S108 - unix socket paths must stay short


class Usage(click.ClickException):
    """A request that makes no sense: exit code 3."""

    exit_code = int(ExitCode.USAGE)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check what a container engine does when a container gets its network.

    Runs the same rows, one behaviour each, against the reference implementation, against real
    daemons that it starts and stops, and against your own engine, and prints one matrix.
    """


@main.command("list")
@click.argument("select", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the catalogue as JSON.")
def list_behaviours(select: tuple[str, ...], as_json: bool) -> None:
    """List the behaviours; needs no engine and starts nothing."""
    rows = [row for row in load_catalogue() if is_selected(row.id, select)]
    if as_json:
        click.echo(json.dumps([row.to_json() for row in rows], indent=2, sort_keys=True))
        return
    for row in rows:
        click.echo(f"{row.id}\n    {row.statement}")


@main.command()
@click.argument("select", nargs=-1)
@click.option("--engine", "engines", multiple=True, help="A name of engines.toml or an address.")
@click.option("--skip-missing", is_flag=True, help="Run on the engines that can be had.")
@click.option("--keep", default="", help="Leave the engines running under this name; reuse them.")
@click.option("--report", default="reports", show_default=True, help="Folder of the report.")
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw the matrix in plain letters.")
@click.option("-n", "workers", type=int, default=-1, help="Engines at a time; default: by cores.")
def run(  # noqa: PLR0913 - one parameter per option
    select: tuple[str, ...],
    engines: tuple[str, ...],
    skip_missing: bool,
    keep: str,
    report: str,
    is_ascii: bool,
    workers: int,
) -> None:
    """Run behaviours on engines and print the matrix.

    SELECT is an id, a dotted prefix or a glob: `init.none`, `init.*.bridge-network`.

    \b
    Exit codes: 0 as expected, 1 a new failure or an unexpected pass,
                2 an error of the harness or nothing ran, 3 usage.
    """
    rows = [row.id for row in load_catalogue() if is_selected(row.id, select)]
    if not rows:
        raise Usage(f"no behaviour is selected by: {' '.join(select) or '(nothing)'}")
    run_id = keep or secrets.token_hex(3)
    workspace = WORKSPACE_ROOT / f"netinit-{run_id}"
    chosen = _preflight(engines or tuple(load_settings()), run_id, workspace, skip_missing)
    folder = Path(report)
    (folder / FILE_NAME).unlink(missing_ok=True)
    count = workers if workers >= 0 else min(len(chosen), os.cpu_count() or 1)
    command = [sys.executable, "-m", "pytest", "-c", str(Path(__file__).parent / "pytest.ini")]
    command += ["-p", "conformance.plugin", str(Path(__file__).parent / "behaviours")]
    command += [f"--netinit-engine={spec}" for spec in chosen]
    command += [f"--netinit-row={row}" for row in rows]
    command += [f"--netinit-run-id={run_id}", f"--netinit-workspace={workspace}"]
    command += [f"--netinit-report={folder.absolute()}"] + (["--netinit-keep"] if keep else [])
    if count > 1:
        command += ["-n", str(count), "--dist", "loadgroup"]
    subprocess.run(command, check=False)
    console = Console(highlight=False, no_color=True if os.environ.get("NO_COLOR") else None)
    try:
        document = read_document(folder / FILE_NAME)
    except DocumentError as exc:
        click.echo(f"the run left no report: {exc}", err=True)
        sys.exit(int(ExitCode.ERROR))
    sys.exit(int(print_report(document, console, is_ascii=is_ascii, report_folder=report)))


def _preflight(
    specs: tuple[str, ...], run_id: str, workspace: Path, skip_missing: bool
) -> list[str]:
    """Give the engines that can be had; say in plain words why one cannot."""
    chosen = []
    for spec in specs:
        try:
            engine = make_engine(spec, run_id=run_id, workspace=workspace)
            if isinstance(engine, ManagedEngine):
                reason = engine.why_unavailable()
                if reason:
                    raise EngineUnavailable(reason)
            else:
                engine.start()
                engine.stop()
        except SettingsError as exc:
            raise Usage(str(exc)) from exc
        except EngineUnavailable as exc:
            if not skip_missing:
                raise Usage(str(exc)) from exc
            click.echo(f"left out: {exc}", err=True)
            continue
        chosen.append(spec)
    if not chosen:
        raise Usage("no engine is left to run on")
    return chosen
