"""The command line of the gate: `python -m benchmarks gate BASE [HEAD]`.

numpy and scipy are imported when a command runs: `python -m benchmarks run` needs neither.
"""

from __future__ import annotations

import enum
import importlib
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks import counts as exact
from benchmarks.gate.revisions import RevisionError, check_out
from benchmarks.machine import describe_machine
from benchmarks.options import json_option, require_root
from benchmarks.worker import WorkerError
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

PREFIX = f"{FOLDER_PREFIX}gate-"
CONTROL_LOG = Path(".benchmarks/gate-control.jsonl")
OPTIONAL = frozenset({"matplotlib", "numpy", "otava", "scipy"})


class ExitCode(enum.IntEnum):
    """What a command ends with."""

    OK = 0
    SLOWER = 1
    ERROR = 2


def load(module: str, *, group: str = "gate") -> Any:
    """Import a module that needs more than `benchmarks` itself does: a dependency group.

    Ends the program when that is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in OPTIONAL:
            raise
        where = f"pip install --group {group}, or ./ci/tox run -e {group}"
        click.echo(f"error: this needs {missing}: {where}", err=True)
        sys.exit(ExitCode.ERROR)


@click.command()
@click.argument("base")
@click.argument("head", required=False)
@click.option("--seed", type=int, default=None, help="For the order of the rounds.")
@json_option("Also write every figure to this file.")
@click.option(
    "--control-log",
    type=click.Path(dir_okay=False, path_type=Path),
    default=CONTROL_LOG,
    show_default=True,
    help="Where every job's comparison of BASE with itself is noted; its reds are false alarms.",
)
def gate(
    *, base: str, head: str | None, seed: int | None, json_path: Path | None, control_log: Path
) -> None:
    """Say whether a change is slower: HEAD against BASE.

    HEAD is the working tree when it is not given.
    Both revisions of the reference are measured interleaved, in process and through the API.

    \b
    Exit codes:
      0  pass, or inconclusive (said so), or the reference is the same in both
      1  fail: a case was red, and red again with new processes
      2  could not be measured, or the control log could not be used
      3  the command line makes no sense
    docs/gate.md says what red means and how sure it is.
    """
    require_root("the gate makes network namespaces")
    job, report = load("benchmarks.gate.job"), load("benchmarks.gate.report")
    chosen = random.SystemRandom().getrandbits(32) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=WORKSPACE_ROOT) as folder:
        workspace = Path(folder)
        try:
            found = job.run_job(
                check_out(base, workspace / "base"),
                check_out(head, workspace / "head"),
                workspace=workspace,
                seed=chosen,
                say=lambda text: click.echo(text, err=True),
            )
        except (RevisionError, WorkerError) as error:
            click.echo(f"error: nothing was measured: {error}", err=True)
            sys.exit(ExitCode.ERROR)
    machine = describe_machine()
    click.echo(report.describe(found))
    if json_path is not None:
        wire = {**report.to_wire(found), "seed": chosen, "machine": machine}
        json_path.write_text(json.dumps(wire, indent=1) + "\n", encoding="utf-8")
    # last, because the log is older than this job: it may hold anything
    try:
        rate = report.log_controls(found, control_log, machine=machine)
    except report.ControlLogError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.ERROR)
    click.echo(f"false alarms of the controls so far: {rate}")
    sys.exit(ExitCode.SLOWER if found.verdict.value == "fail" else ExitCode.OK)


@click.command()
@click.argument("revision", default="HEAD")
@click.option("--trials", "count", type=click.IntRange(min=1), default=300, show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    default=Path(".benchmarks/gate-trials.jsonl"),
    show_default=True,
    help="One line per trial; what is in it counts, so that a run can be stopped and gone on with.",
)
@click.option(
    "--samples",
    "samples_out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also keep every sample in this file.",
)
@click.option("--summary", "summary_only", is_flag=True, help="Measure nothing, sum the file up.")
def trials(
    *,
    revision: str,
    count: int,
    out: Path,
    samples_out: Path | None,
    summary_only: bool,
) -> None:
    """Try the rule of the gate itself.

    Does it see planted slowdowns, and none in unchanged code?

    \b
    Exit codes:
      0  done; the rates are printed
      2  could not be measured, or the file has other trials, or none
      3  the command line makes no sense
    """
    module = load("benchmarks.gate.trials")
    if not summary_only:
        require_root("the gate makes network namespaces")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f"{FOLDER_PREFIX}gate-", dir=WORKSPACE_ROOT
        ) as folder:
            workspace = Path(folder)
            try:
                module.run_trials(
                    check_out(revision, workspace / "revision"),
                    trials=count,
                    out=out,
                    samples_out=samples_out,
                    workspace=workspace,
                    say=lambda text: click.echo(text, err=True),
                )
            except (RevisionError, WorkerError, module.TrialsError) as error:
                click.echo(f"error: the trials ended: {error}", err=True)
                sys.exit(ExitCode.ERROR)
    try:
        click.echo(module.sum_up(out))
    except module.TrialsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(ExitCode.ERROR)


@click.command()
@click.option("--write", is_flag=True, help="Make what is counted the golden file.")
def counts(*, write: bool) -> None:
    """Count what one allocate does, exactly.

    Its syscalls, netlink messages and bytecodes.

    \b
    Exit codes:
      0  the same as in benchmarks/counts.json, or written
      1  something differs
      2  could not be counted
      3  the command line makes no sense
    """
    require_root("the gate makes network namespaces")
    try:
        if write:
            once, twice = exact.count_allocates(), exact.count_allocates()
            exact.write_golden(exact.smallest(once, twice))
            click.echo(exact.GOLDEN.read_text(encoding="utf-8"), nl=False)
            return
        golden = exact.read_golden()
        changed = exact.compare_allocates(golden)
    except (exact.CountError, OSError) as error:
        click.echo(f"error: nothing was counted: {error}", err=True)
        sys.exit(ExitCode.ERROR)
    if not exact.is_of_this_python(golden):
        others = ", ".join(golden["bytecodes"])
        click.echo(
            f"benchmarks/counts.json is of Python {others} and this is {exact.PYTHON_MINOR}: only "
            "what is sent over netlink is compared"
        )
    click.echo("\n".join(changed) or "the same as in benchmarks/counts.json")
    sys.exit(ExitCode.SLOWER if changed else ExitCode.OK)
