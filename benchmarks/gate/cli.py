"""The command line of the gate: `python -m benchmarks gate BASE [HEAD]`.

numpy and scipy are imported when a command runs: `python -m benchmarks run` needs neither.
"""

from __future__ import annotations

import enum
import importlib
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from benchmarks.gate.revisions import RevisionError, check_out
from benchmarks.machine import describe_machine
from benchmarks.worker import WorkerError
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

CONTROL_LOG = Path(".benchmarks/gate-control.jsonl")
NEEDS = "error: this needs numpy and scipy: pip install --group gate, or ./ci/tox run -e gate"


class ExitCode(enum.IntEnum):
    """What a command ends with."""

    OK = 0
    SLOWER = 1
    ERROR = 2


def load(module: str) -> Any:
    """Import a module that needs more than `benchmarks` itself does.

    Ends the program when that is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in {"numpy", "scipy"}:
            raise
        click.echo(NEEDS, err=True)
        sys.exit(ExitCode.ERROR)


def require_root() -> None:
    """End the program when it may not make network namespaces."""
    if os.geteuid() != 0:
        click.echo("error: the gate makes network namespaces; run it as root", err=True)
        sys.exit(ExitCode.ERROR)


@click.command()
@click.argument("base")
@click.argument("head", required=False)
@click.option("--seed", type=int, default=None, help="For the order of the rounds.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Also write every figure to this file.",
)
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
    """Is HEAD slower than BASE? HEAD is the working tree when it is not given.

    Both revisions of the reference are measured interleaved, in process and through the API.

    \b
    Exit codes:
      0  pass, or inconclusive (said so), or the reference is the same in both
      1  fail: a case was red, and red again with new processes
      2  could not be measured
      3  the command line makes no sense
    docs/gate.md says what red means and how sure it is.
    """
    require_root()
    job, report = load("benchmarks.gate.job"), load("benchmarks.gate.report")
    chosen = random.SystemRandom().getrandbits(32) if seed is None else seed
    prefix = f"{FOLDER_PREFIX}gate-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=WORKSPACE_ROOT) as folder:
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
    rate = report.log_controls(found, control_log, machine=machine)
    click.echo(f"false alarms of the controls so far: {rate}")
    if json_path is not None:
        json_path.parent.mkdir(parents=True, exist_ok=True)
        wire = {**report.to_wire(found), "seed": chosen, "machine": machine}
        json_path.write_text(json.dumps(wire, indent=1) + "\n", encoding="utf-8")
    sys.exit(ExitCode.SLOWER if found.verdict.value == "fail" else ExitCode.OK)
