"""Rows under a plain `pytest conformance/behaviours/...`: what `run` does around its own pytest.

Before the rows: see that the engines can be had, and take away what crashed runs left. After them:
take away what this run left. There is no report: pytest's own output is the result.
"""

import os
import secrets
import sys

import pytest

from conformance.engines.cleanup import sweep
from conformance.engines.factory import full_spec
from conformance.engines.managed import workspace_of
from conformance.engines.settings import SettingsError
from conformance.image import ImageError, image_name
from conformance.rowrun import RowRun
from conformance.runner import import_path, why_unavailable
from conformance.verdicts import Verdict

# Without --engine. It is the only engine that every checkout has.
DEFAULT_ENGINE = "reference"
LOG_TAIL_LINES = 40


def set_defaults(config: pytest.Config) -> None:
    """Fill in what `run` gives on its command line; nothing is looked for yet.

    Raises:
        pytest.UsageError: no engine is called so.
    """
    option = config.option
    option.netinit_is_plain = True
    option.netinit_run_id = secrets.token_hex(3)
    option.netinit_workspace = str(workspace_of(option.netinit_run_id))
    os.environ["PYTHONPATH"] = import_path()  # for `python -m refimpl` and for workers
    specs = option.netinit_engine or [DEFAULT_ENGINE]
    try:
        option.netinit_engine = list(dict.fromkeys(map(full_spec, specs)))
    except SettingsError as exc:
        raise pytest.UsageError(str(exc)) from exc


def prepare(config: pytest.Config) -> None:
    """See that every engine can be had, and clear away what runs before this one left.

    Raises:
        pytest.UsageError: one cannot be had, or the test image cannot be made.
    """
    try:
        image_name()
        reasons = [why_unavailable(spec) for spec in config.option.netinit_engine]
    except (ImageError, SettingsError) as exc:
        raise pytest.UsageError(str(exc)) from exc
    for reason in filter(None, reasons):
        raise pytest.UsageError(reason)
    sweep(are_externals_meant=False)


def finish(config: pytest.Config) -> None:
    """Clear away what this run left."""
    for line in sweep(config.option.netinit_run_id, is_forced=True):
        sys.stderr.write(f"cleaned up: {line}\n")


def explain(run: RowRun, report: pytest.TestReport) -> None:
    """Put beside a failure what pytest does not know of it: the statement and the engine's log."""
    if not report.failed:
        return
    row = run.behaviour
    column = run.started.column if run.started else run.spec
    what = f"{row.id} on {column}\n{row.statement}\nSource: {row.source}"
    report.sections.append(("behaviour", what))
    if run.verdict is Verdict.FIXED:
        return
    log = run.result()["logs"].get("engine.log", "")
    if log:
        tail = "\n".join(log.splitlines()[-LOG_TAIL_LINES:])
        report.sections.append((f"the end of {column}'s log", tail))
