"""The command line: `python -m benchmarks run`, and the commands of the gate and of the history."""

from __future__ import annotations

import enum
import random
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click
import pytest
from rich.console import Console

from benchmarks.addresses import addresses
from benchmarks.bars import make_bars
from benchmarks.boot import boot
from benchmarks.burst import burst
from benchmarks.gate.cli import counts, gate, trials
from benchmarks.growth import growth, read_growth
from benchmarks.history.cli import history
from benchmarks.links import LinksError
from benchmarks.measure import Measurements, Progress, Settings
from benchmarks.modes import modes
from benchmarks.options import json_option, refuse_quick_check, require_root
from benchmarks.peers import find_peers
from benchmarks.plugin import BenchmarkPlugin
from benchmarks.published import ports
from benchmarks.resolve import dns_command
from benchmarks.starts import StartError
from benchmarks.table import render as render_table
from benchmarks.worker import WorkerError
from conformance.engines.base import EngineError
from conformance.engines.settings import SettingsError
from conformance.image import ImageError
from conformance.program import version_text
from conformance.runner import why_unavailable

HERE = Path(__file__).parent
BENCHMARKS = HERE / "allocate.py"
PYTEST_CONFIG = HERE / "pytest.toml"
TABLE_WIDTH = 114
PROGRESS_INTERVAL_S = 10.0
DEFAULT_ROUNDS = 100
QUICK_ROUNDS = 5
WARMUP_ROUNDS = 2
EXPECTED_FAILURES = (
    EngineError,
    ImageError,
    LinksError,
    SettingsError,
    StartError,
    WorkerError,
)
"""Failures whose message is enough; anything else is a defect of ours and shows where."""


class ExitCode(enum.IntEnum):
    """What the program ends with."""

    OK = 0
    BAR_MISSED = 1
    ERROR = 2
    USAGE = 3


# click ends with 2 for a wrong command line, which is our "could not be measured".
click.UsageError.exit_code = ExitCode.USAGE


class Commands(click.Group):
    """The commands, with one end for all of them when they are interrupted or fail."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that is asked for.

        Left to click and Python, Ctrl-C and a failure that nobody foresaw end with 1, which is our
        "slower" and "a bar missed".
        """
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (click.Abort, KeyboardInterrupt):
            _explain(None)
        except Exception as error:  # noqa: BLE001 - explained, with its traceback
            _explain(error)
        sys.exit(ExitCode.ERROR)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version_text(), prog_name="netinit benchmarks")
def main() -> None:
    """Latency of allocate: how long a container engine takes to give a container its network.

    Every engine is measured in the same run, interleaved round by round, beside the kernel floor:
    the same work done with raw netlink and nothing else.
    """
    # A polite kill cleans up as Ctrl-C does, in every command.
    signal.signal(signal.SIGTERM, _interrupt)


main.add_command(addresses)
main.add_command(dns_command, name="dns")
main.add_command(counts)
main.add_command(gate)
main.add_command(growth)
main.add_command(history)
main.add_command(burst)
main.add_command(boot)
main.add_command(modes)
main.add_command(ports)
main.add_command(trials)


@main.command()
@click.option(
    "--engine",
    "engines",
    multiple=True,
    default=("reference", "docker"),
    show_default=True,
    metavar="ENGINE",
    help="What to measure: a name of conformance/engines.toml or an address such as "
    "unix:///var/run/docker.sock; may be given more than once.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=2),
    default=None,
    help=f"Starts of each container per engine  [default: {DEFAULT_ROUNDS}; {QUICK_ROUNDS} with "
    "--quick]",
)
@click.option("--quick", is_flag=True, help="A few rounds only: does it run at all?")
@json_option("Also write pytest-benchmark's JSON, with every sample, to this file.")
@click.option(
    "--report",
    "report_folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the run as one HTML page and as Markdown into this folder.",
)
@click.option(
    "--storage",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".benchmarks"),
    show_default=True,
    help="Where pytest-benchmark keeps this run beside the earlier ones.",
)
@click.option("--seed", type=int, default=None, help="For the order inside the rounds.")
@click.option("--check", is_flag=True, help="End with 1 if the reference misses a bar.")
def run(
    *,
    engines: tuple[str, ...],
    rounds: int | None,
    quick: bool,
    json_path: Path | None,
    report_folder: Path | None,
    storage: Path,
    seed: int | None,
    check: bool,
) -> None:
    """Measure, print one table, keep every sample.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 2 could not be
    measured or checked, 3 the command line makes no sense. docs/benchmarks.md says how to read the
    table.
    """
    if len(set(engines)) != len(engines):
        raise click.UsageError("an --engine is given twice")
    refuse_quick_check(quick=quick, check=check)
    require_root("this makes network namespaces")
    _require_engines(engines)
    settings = Settings(
        engines=engines,
        peers=tuple(find_peers()),
        rounds=rounds or (QUICK_ROUNDS if quick else DEFAULT_ROUNDS),
        warmup_rounds=WARMUP_ROUNDS,
        seed=random.SystemRandom().getrandbits(32) if seed is None else seed,
    )
    # beside the page lies what it is made of, for `render`
    kept = json_path if report_folder is None else report_folder / "benchmarks.json"
    for path in (json_path, kept):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    measured = _run_pytest(settings, json_path=kept, storage=storage)
    if measured is None:
        sys.exit(ExitCode.ERROR)
    if report_folder is not None and kept is not None:
        if json_path is not None and json_path.resolve() != kept.resolve():
            shutil.copyfile(kept, json_path)
        _write_report(kept, report_folder)
    sys.exit(_check_bars(measured) if check else ExitCode.OK)


def _require_engines(engines: Sequence[str]) -> None:
    """End the program with 3 where an engine cannot be had; the line says why."""
    for spec in engines:
        try:
            reason = why_unavailable(spec)
        except SettingsError as error:
            reason = str(error)
        if reason:
            click.echo(f"Error: {reason}", err=True)
            sys.exit(ExitCode.USAGE)


@main.command()
@click.argument("run_json", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="The folder for the page and the Markdown.",
)
@click.option(
    "--growth",
    "growth_json",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="The JSON of `growth --json`, to be shown on the same page.",
)
def render(*, run_json: Path, folder: Path, growth_json: Path | None) -> None:
    """Make the page of a run that was kept with --json.

    The page and its Markdown, as `run --report` writes them.
    """
    _write_report(run_json, folder, growth_json)


def _write_report(run_json: Path, folder: Path, growth_json: Path | None = None) -> None:
    # here, because only this needs matplotlib: it takes a second to import, and may not be there
    try:
        from benchmarks.report import PageError, Run, write_page  # noqa: PLC0415
    except ModuleNotFoundError as error:
        click.echo(f"error: no page: {error}: pip install --group plot", err=True)
        sys.exit(ExitCode.ERROR)

    try:
        grown = None if growth_json is None else read_growth(growth_json)
        written = write_page(Run.read(run_json), folder, growth=grown)
    except (OSError, PageError, ValueError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.ERROR)
    for path in written:
        click.echo(f"wrote {path}")


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check_bars(measured: Measurements) -> ExitCode:
    bars = make_bars(measured)
    if not bars:
        click.echo("error: nothing was checked: no bar is for what was measured", err=True)
        return ExitCode.ERROR
    return ExitCode.OK if all(bar.is_met for bar in bars) else ExitCode.BAR_MISSED


def _run_pytest(
    settings: Settings, *, json_path: Path | None, storage: Path
) -> Measurements | None:
    """Measure, print the table and keep the samples; None, and a sentence, when that failed."""
    progress = _make_progress()
    plugin = BenchmarkPlugin(settings, progress)
    arguments = [
        str(BENCHMARKS),
        f"--config-file={PYTEST_CONFIG}",
        f"--rootdir={HERE}",
        *("-qq", "--capture=no", "-p", "no:cacheprovider"),
        "--no-summary",
        "--benchmark-quiet",
        "--benchmark-save=allocate",
        "--benchmark-save-data",
        f"--benchmark-storage=file://{storage.resolve()}",
    ]
    if json_path is not None:
        arguments.append(f"--benchmark-json={json_path.resolve()}")
    with warnings.catch_warnings():
        # We say ourselves, and why, when there is nothing to keep.
        warnings.filterwarnings("ignore", "Not saving anything")
        outcome = pytest.main(arguments, plugins=[plugin])
    progress("")
    if plugin.measured is None:
        _explain(plugin.failure)
        return None
    render_table(plugin.measured, _console())
    if outcome is not pytest.ExitCode.OK:
        click.echo("error: the samples could not be kept; see above", err=True)
        return None
    return plugin.measured


def _explain(failure: Exception | None) -> None:
    """Say why nothing was measured: in a sentence where it is one, else with the traceback."""
    if failure is None:
        click.echo("error: interrupted", err=True)
        return
    if not isinstance(failure, EXPECTED_FAILURES):
        traceback.print_exception(failure)
    click.echo(f"error: nothing was measured: {failure}", err=True)


def _console() -> Console:
    """Return the console of the table, as wide as the table: a narrower terminal wraps it."""
    return Console(width=TABLE_WIDTH)


def _make_progress() -> Progress:
    """Return how to say where the run is: in place on a terminal, else a line now and then."""
    stream = sys.__stderr__
    in_place = stream is not None and stream.isatty()
    last_s = float("-inf")

    def say(text: str) -> None:
        nonlocal last_s
        if stream is None or not (text or in_place):
            return
        if in_place:
            print(f"\r\033[K{text}", end="", file=stream, flush=True)
            return
        is_round = text.startswith("round ")
        if not is_round or time.monotonic() - last_s >= PROGRESS_INTERVAL_S:
            print(text, file=stream, flush=True)
            if is_round:
                last_s = time.monotonic()

    return say
