"""Runs the chosen rows on the chosen engines in a pytest of its own, and cleans up after it.

A process of its own: a crash in it cannot take the report with it, and rows are imported there
with pytest's own rewriting of assertions.
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import pytest

from conformance.engines.cleanup import sweep
from conformance.engines.external import is_address
from conformance.engines.factory import blame, make_engine
from conformance.engines.managed import workspace_of
from conformance.engines.processes import descendants, kill_all, start_time
from conformance.engines.settings import SettingsError
from conformance.expectations import EXPECTATIONS_DIR
from conformance.registry import BEHAVIOURS_DIR
from conformance.report.document import FILE_NAME

PACKAGE = Path(__file__).parent
INTERRUPT_TIMEOUT_S = 60
# From so many rows on another instance of an engine saves more time than its start takes.
SPLIT_ROWS_MIN = 60
# So many parts of each engine's rows a worker has on average.
PARTS_PER_WORKER = 8
# So many workers an engine at an address has unless -n says another number.
GIVEN_WORKERS_MAX = 4
# What a run without --engine means: the reference and the machine's own Docker.
DEFAULT_ENGINES = ("reference", "docker")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What one run is asked to do.

    Attributes:
        rows: ids of the behaviours.
        engines: names of engines.toml, addresses, or KIND:ARGUMENT.
        report: the report's folder.
        keep: name under which the engines stay up; "" = they end with the run.
        workers: processes that run rows; 0 and 1 = one, with one engine after the other.
        behaviours: folder of the rows.
        expectations: folder of the known deviations.
        places: where the engines are to run, as pytest-xdist's --tx has it; empty = here.
        files: the files of the rows, which alone are collected here; empty = the whole folder.
        quiet: whether only red rows get a line.
        pytest_args: more words for pytest.
    """

    rows: Sequence[str]
    engines: Sequence[str]
    report: Path
    keep: str = ""
    workers: int = 0
    behaviours: Path = BEHAVIOURS_DIR
    expectations: Path = EXPECTATIONS_DIR
    places: Sequence[str] = ()
    files: Sequence[Path] = ()
    quiet: bool = False
    pytest_args: Sequence[str] = ()

    @property
    def parts(self) -> int:
        """How many parts each engine's rows are cut into: several per worker, so that none is idle.

        With one per worker a slow engine's parts are the last ones, in fewer workers than there
        are. A further part costs nothing: a worker keeps the engines that it has started.
        """
        if self.workers <= 1 or self.keep or self.places or not are_shared(self.rows):
            return 1
        return self.workers * PARTS_PER_WORKER


def are_shared(rows: Sequence[str]) -> bool:
    """Tell whether the rows are so many that more than one worker for an engine saves time.

    Each worker starts an instance of its own, or is a run of its own on an engine at an address.
    """
    return len(rows) >= SPLIT_ROWS_MIN


def default_workers(engines: Sequence[str], rows: Sequence[str]) -> int:
    """Give how many processes run rows: two for each engine that has many rows, else one.

    At most as many engines as there are cores run at a time. A row waits for a third of its time,
    so that one worker per core leaves the cores idle. An engine at an address has two per core even
    if it is the only one: nothing is started for them.
    """
    cores = os.cpu_count() or 1
    side_by_side = min(len(engines), cores)
    if not are_shared(rows):
        return side_by_side
    is_one_given = any(is_address(spec) for spec in engines)
    return max(2 * side_by_side, min(2 * cores, GIVEN_WORKERS_MAX) if is_one_given else 0)


def is_debugging(pytest_args: Sequence[str]) -> bool:
    """Say whether somebody wants to stop in a row, which needs the terminal and so one process."""
    return bool({"--pdb", "--trace"} & set(pytest_args))


def why_unavailable(spec: str, *, keep: str = "") -> str:
    """Say in plain words why an engine cannot be had here; "" = it can. Nothing is started.

    Args:
        spec: what `--engine` says.
        keep: the name under which it is to stay up; "" = it ends with the run.

    Raises:
        SettingsError: no engine is called so, or a kind of somebody else failed.
    """
    engine = make_engine(spec, run_id="preflight", workspace=workspace_of("preflight"), keep=keep)
    try:
        return engine.why_unavailable()
    except Exception as exc:
        raise SettingsError(f"{spec}: {blame(spec, exc)}") from exc


def pytest_command(request: RunRequest, run_id: str) -> list[str]:
    """Give the command line of the pytest that runs the rows."""
    command = [sys.executable, "-m", "pytest", "-c", str(PACKAGE / "pytest.ini")]
    here = [] if request.places else request.files
    command += ["-p", "conformance.plugin", *map(str, here or [request.behaviours])]
    # Quiet: the plugin's own lines say it all.
    command += ["--tb=no", "-q", "-rN", "-p", "no:cacheprovider"]
    command += [f"--engine={spec}" for spec in request.engines]
    command += [f"--netinit-row={row}" for row in request.rows]
    command += [f"--netinit-run-id={run_id}", f"--netinit-workspace={workspace_of(run_id)}"]
    command += [f"--netinit-report={request.report.absolute()}", f"--netinit-keep={request.keep}"]
    command += ["--netinit-quiet"] if request.quiet else []
    if request.places:
        return [*command, *_elsewhere(request), *request.pytest_args]
    command += [f"--netinit-expectations={request.expectations.absolute()}"]
    if request.workers > 1:
        command += [f"--netinit-parts={request.parts}"]
        command += ["-n", str(request.workers), "--dist", "loadscope"]
    return [*command, *request.pytest_args]


def _elsewhere(request: RunRequest) -> list[str]:
    """Let the engines run in other places, with this suite: its folders are copied to them.

    There they lie side by side in one folder, which is the workers' own and on their path.
    """
    reference = PACKAGE.parent / "refimpl"
    folders = [PACKAGE, *([reference] if reference.is_dir() else [])]
    for folder in (request.behaviours.absolute(), request.expectations.absolute()):
        if not folder.is_relative_to(PACKAGE):
            folders.append(folder)
    is_ours = request.expectations.absolute().is_relative_to(PACKAGE)
    expectations = f"{PACKAGE.name}/" * is_ours + request.expectations.name
    words = [f"--tx={place}" for place in request.places]
    words += [f"--rsyncdir={folder}" for folder in folders]
    words += ["--dist", "loadscope", f"--netinit-expectations={expectations}"]
    return [*words, "--netinit-elsewhere", "-W", "ignore:The --rsyncdir command line"]


def run_rows(request: RunRequest) -> list[str]:
    """Run the rows; give what had to be cleared away afterwards, one sentence each.

    On Ctrl-C, SIGTERM or the loss of its terminal the rows are told to stop, and what they leave
    is cleared away all the same.

    Raises:
        PytestRefused: pytest does not know one of the words that are handed on to it.
        KeyboardInterrupt: it came before there was anything to report.
    """
    run_id = secrets.token_hex(3)
    sweep(are_externals_meant=False)
    environment = {**os.environ, "PYTHONPATH": import_path()}
    # A runner that is killed takes the rows with it: they get SIGINT and clean up after themselves.
    tie = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
    # Ctrl-C waits until pytest can take it as what it is: held here, the child holds it from its
    # start on, and conformance.plugin lets it come.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    child = subprocess.Popen([*tie, *pytest_command(request, run_id)], env=environment)
    # What nohup ignores stays ignored.
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _terminate) for number in numbers}
    is_interrupted = True
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        child.wait()
        is_interrupted = False
    except Terminated:
        child.send_signal(signal.SIGINT)
        _end(child)
    except KeyboardInterrupt:
        # From a terminal Ctrl-C reaches the child, too; a second one would cut its cleaning short.
        _end(child)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    said = sweep(run_id, is_forced=True)
    if is_interrupted and not (request.report / FILE_NAME).exists():
        raise KeyboardInterrupt
    if request.pytest_args and child.returncode == pytest.ExitCode.USAGE_ERROR:
        raise PytestRefused(
            f"pytest does not take {' '.join(request.pytest_args)}; its own words are above"
        )
    return said


def show(request: RunRequest) -> int:
    """Let pytest show what it is asked for, as its --help; give its exit code. No row runs."""
    here = replace(request, workers=1, places=(), pytest_args=())
    # the first of these words ends pytest's reading of its command line
    command = [*pytest_command(here, "show"), "--netinit-report=", *request.pytest_args]
    environment = {**os.environ, "PYTHONPATH": import_path()}
    return subprocess.run(command, env=environment, check=False).returncode


def import_path() -> str:
    """Let the child find this very suite, and what its caller could import."""
    parts = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return os.pathsep.join(part for part in parts if part)


class PytestRefused(Exception):
    """Pytest does not know a word that was handed on to it."""


class Terminated(Exception):
    """Somebody sent SIGTERM or SIGHUP."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _end(child: subprocess.Popen[bytes]) -> None:
    """Let an interrupted child finish; insist after a while; leave no worker of it behind."""
    workers = _workers_of(child.pid)
    for patience_s in (INTERRUPT_TIMEOUT_S / 4, INTERRUPT_TIMEOUT_S):
        try:
            child.wait(timeout=patience_s)
            break
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            child.send_signal(signal.SIGINT)
    else:
        child.kill()
        child.wait()
    kill_all(pid for pid, started in workers.items() if start_time(pid) == started)


def _workers_of(pid: int) -> dict[int, str]:
    """Find pytest-xdist's workers below a process, with their start times."""
    found = {}
    for candidate in descendants([pid]) - {pid}:
        try:
            words = Path(f"/proc/{candidate}/cmdline").read_bytes()
        except OSError:
            continue
        if b"exec(eval(sys.stdin.readline()))" in words:
            found[candidate] = start_time(candidate)
    return found
