"""Runs the chosen rows on the chosen engines in a pytest of its own, and cleans up after it.

A process of its own: a crash in it cannot take the report with it, and rows are imported there
with pytest's own rewriting of assertions.
"""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from conformance.engines.base import EngineUnavailable
from conformance.engines.cleanup import sweep
from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine, workspace_of

PACKAGE = Path(__file__).parent
INTERRUPT_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What one run is asked to do.

    Attributes:
        rows: ids of the behaviours.
        engines: names of engines.toml or addresses.
        report: the report's folder.
        keep: name under which the engines stay up; "" = they end with the run.
        workers: engines at a time; 0 = all rows in one process, one engine after the other.
        behaviours: folder of the rows.
    """

    rows: Sequence[str]
    engines: Sequence[str]
    report: Path
    keep: str = ""
    workers: int = 0
    behaviours: Path = PACKAGE / "behaviours"


def default_workers(engines: Sequence[str]) -> int:
    """Give how many engines run side by side: as many as there are cores for."""
    return min(len(engines), os.cpu_count() or 1)


def why_unavailable(spec: str) -> str:
    """Say in plain words why an engine cannot be had here; "" = it can. Nothing is started.

    Raises:
        SettingsError: no engine is called so.
    """
    engine = make_engine(spec, run_id="preflight", workspace=workspace_of("preflight"))
    if isinstance(engine, ManagedEngine):
        return engine.why_unavailable()
    try:
        engine.start()
    except EngineUnavailable as exc:
        return str(exc)
    finally:
        engine.stop()
    return ""


def pytest_command(request: RunRequest, run_id: str) -> list[str]:
    """Give the command line of the pytest that runs the rows."""
    command = [sys.executable, "-m", "pytest", "-c", str(PACKAGE / "pytest.ini")]
    command += ["-p", "conformance.plugin", str(request.behaviours)]
    command += [f"--netinit-engine={spec}" for spec in request.engines]
    command += [f"--netinit-row={row}" for row in request.rows]
    command += [f"--netinit-run-id={run_id}", f"--netinit-workspace={workspace_of(run_id)}"]
    command += [f"--netinit-report={request.report.absolute()}", f"--netinit-keep={request.keep}"]
    if request.workers > 1:
        command += ["-n", str(request.workers), "--dist", "loadscope"]
    return command


def run_rows(request: RunRequest) -> list[str]:
    """Run the rows; give what had to be cleared away afterwards, one sentence each.

    On Ctrl-C or SIGTERM the rows are told to stop, and what they leave is cleared away all the
    same.
    """
    run_id = secrets.token_hex(3)
    sweep()
    environment = {**os.environ, "PYTHONPATH": _import_path()}
    child = subprocess.Popen(pytest_command(request, run_id), env=environment)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        child.wait()
    except KeyboardInterrupt:
        _stop_child(child)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return sweep(run_id, is_forced=True)


def _import_path() -> str:
    """Let the child find this very suite, and what its caller could import."""
    return os.pathsep.join([str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]).rstrip(
        os.pathsep
    )


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop_child(child: subprocess.Popen[bytes]) -> None:
    """Let the child finish what Ctrl-C or we asked it to stop; then insist."""
    child.send_signal(signal.SIGINT)
    try:
        child.wait(timeout=INTERRUPT_TIMEOUT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        child.kill()
        child.wait()
