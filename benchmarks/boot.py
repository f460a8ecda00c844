"""Boot: how long until the daemon answers, with nothing on its disk and with many containers.

python -m benchmarks boot --json boot.json

The containers are started by the daemon's own program, which is then killed while they run: the
boot after that is measured by itself, and those that follow find containers that ran.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click

from benchmarks.figures import percentile
from benchmarks.machine import load_before_run
from benchmarks.options import (
    json_option,
    refuse_quick_check,
    require_root,
    show_verdict,
    write_samples,
)
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT
from conformance.image import build_archive

CONTAINERS = 1000
BOOTS = 10
MAX_READY_S = (0.3, 1.0)
"""The bars of `_ping`, without and with containers."""
MAX_ANSWERED_S = (0.4, 2.0)
"""The bars of a request about containers, without and with some."""
MAX_RECORDED_S = 20.0
"""The bar of the end of each container that ran when the daemon was killed."""
QUICK_BOOTS = 2
QUICK_CONTAINERS = 20
STARTED_AT_ONCE = 8
CLEANED_TIMEOUT_S = 600.0
IMAGE = "netinit/boot"
READY_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 30.0
LOG_LINES = 5
_INTERVAL_S = 0.002
_LOOK_EVERY_S = 0.25
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Boots:
    """The boots on one kind of data-root; seconds from the start of the program.

    Attributes:
        containers: how many there are.
        walls: until it answered `GET /_ping`.
        cpus: the processor time that it had taken by then, in steps of 10 ms.
        answered: until it answered a request about containers.
    """

    containers: int
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)

    def misses(self) -> list[str]:
        """Say which bars the median boot misses."""
        missed = []
        if percentile(self.walls, 50) >= MAX_READY_S[bool(self.containers)]:
            missed.append(f"ready with {self.containers} containers")
        if percentile(self.answered, 50) >= MAX_ANSWERED_S[bool(self.containers)]:
            missed.append(f"containers answered with {self.containers} containers")
        return missed

    def row(self) -> str:
        """Return the line of the table."""
        kind = bool(self.containers)
        return (
            f"{self.containers:5} containers: ready after p50 {percentile(self.walls, 50):6.3f} s "
            f"(best {min(self.walls):.3f} s), CPU p50 {percentile(self.cpus, 50):6.3f} s; "
            f"bar {MAX_READY_S[kind]:g} s; "
            f"containers after p50 {percentile(self.answered, 50):6.3f} s; "
            f"bar {MAX_ANSWERED_S[kind]:g} s"
        )


@dataclass(slots=True)
class Crash:
    """The boot after a SIGKILL; seconds from the start of the program.

    Attributes:
        running: how many containers ran when the daemon was killed.
        boot: the boot as any other.
        recorded: until the end of each of them was on the disk.
        cleaned: until the runtime had forgotten each of them.
    """

    running: int
    boot: Boots
    recorded: float = 0.0
    cleaned: float = 0.0

    def misses(self) -> list[str]:
        """Say which bar is missed."""
        return ["ends recorded after a SIGKILL"] if self.recorded > MAX_RECORDED_S else []

    def row(self) -> str:
        """Return the line of the table."""
        return (
            f"{self.running:5} running, SIGKILL: ready after {self.boot.walls[0]:.3f} s, "
            f"containers after {self.boot.answered[0]:.3f} s, "
            f"all ends recorded after {self.recorded:.3f} s; "
            f"bar {MAX_RECORDED_S:g} s; all cleaned up after {self.cleaned:.1f} s"
        )


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=READY_TIMEOUT_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(READY_TIMEOUT_S)
        self.sock.connect(self._path)


def compiled_at(folder: Path) -> dict[str, str]:
    """Return an environment in which Python keeps what it has compiled, as in an installation.

    Without it, where the program lies in a read-only folder or the environment forbids writing
    beside it, every boot would compile every module.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


@contextmanager
def namespaces() -> Iterator[tuple[str, ...]]:
    """Yield a command's prefix that runs it in namespaces which outlive the daemon."""
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "--propagation", "private", "--", "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if holder.stdin is not None and holder.stdout is not None:
            holder.stdin.write(b"\n")
            holder.stdin.flush()
            holder.stdout.readline()  # it is in its namespaces by now
        yield ("nsenter", f"--target={holder.pid}", "--net", "--mount", "--")
    finally:
        holder.kill()
        holder.communicate()


OWN_NAMESPACES = ("unshare", "--net", "--mount", "--propagation", "private", "--")


@contextmanager
def daemon(
    folder: Path, environment: Mapping[str, str], prefix: Sequence[str] = OWN_NAMESPACES
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Start the daemon on the data-root below a folder; yield it when it answers `_ping`, and when.

    Raises:
        TimeoutError: it ended, or did not answer in time; the text has the end of its log.
    """
    address = folder / "engine.sock"
    command = [
        *prefix,
        *(sys.executable, "-m", "refimpl", "--host", f"unix://{address}"),
        *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
    ]
    log_path = folder / "daemon.log"
    with log_path.open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        while not _answers(address):
            if time.perf_counter() - started > READY_TIMEOUT_S or process.poll() is not None:
                # the log is gone with the folder when this is read
                lines = log_path.read_text(errors="replace").strip().splitlines()
                said = "\n".join(lines[-LOG_LINES:]) or "no output"
                raise TimeoutError(f"the daemon does not answer; the end of its log:\n{said}")
            time.sleep(_INTERVAL_S)
        yield process, started
    finally:
        process.terminate()
        process.wait(EXIT_TIMEOUT_S)


def boot_once(folder: Path, found: Boots, environment: Mapping[str, str]) -> None:
    """Start the daemon in namespaces of its own, measure, and end it.

    Raises:
        TimeoutError: as from `daemon`.
    """
    with daemon(folder, environment) as (process, started):
        _note(folder, found, process, started)


def _note(folder: Path, found: Boots, process: subprocess.Popen[bytes], started: float) -> None:
    found.walls.append(time.perf_counter() - started)
    found.cpus.append(_cpu_s(process.pid))
    _call(folder, "GET", "/containers/json?all=1")
    found.answered.append(time.perf_counter() - started)


def _call(folder: Path, method: str, path: str, body: bytes | None = None) -> Any:
    connection = _SocketConnection(folder / "engine.sock")
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise TimeoutError(f"{method} {path}: {answer.status} {data.decode()}")
        return json.loads(data) if data.startswith((b"{", b"[")) else None
    finally:
        connection.close()


def run_containers(folder: Path, count: int) -> None:
    """Import an image into the daemon on a folder, and start containers."""
    _call(folder, "POST", f"/images/create?fromSrc=-&repo={IMAGE}&tag=latest", build_archive())

    def run(number: int) -> None:
        document = {"Image": IMAGE, "Cmd": ["sleep", "100000"]}
        path = f"/containers/create?name=ran-{number}"
        made = _call(folder, "POST", path, json.dumps(document).encode())
        _call(folder, "POST", f"/containers/{made['Id']}/start")

    with ThreadPoolExecutor(STARTED_AT_ONCE) as pool:
        list(pool.map(run, range(count)))


def crash(folder: Path, count: int, environment: Mapping[str, str]) -> Crash:
    """Kill a daemon whose containers run, and measure the next boot on its data-root.

    Raises:
        TimeoutError: a daemon does not answer, or does not clean up in time.
    """
    found = Crash(count, Boots(count))
    with namespaces() as prefix:
        with daemon(folder, environment, prefix) as (process, _):
            run_containers(folder, count)
            process.kill()
            process.wait()
        with daemon(folder, environment, prefix) as (process, started):
            _note(folder, found.boot, process, started)
            _wait_until("the ends are recorded", lambda: not _shown_as_running(folder))
            found.recorded = time.perf_counter() - started
            _wait_until("all is cleaned up", lambda: not any((folder / "exec/runtime").iterdir()))
            found.cleaned = time.perf_counter() - started
    return found


def _shown_as_running(folder: Path) -> bool:
    documents = (folder / "data/containers").glob("*/config.v2.json")
    return any(b'"Running":true' in path.read_bytes() for path in documents)


def _wait_until(condition: str, holds: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + CLEANED_TIMEOUT_S
    while not holds():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"not within {CLEANED_TIMEOUT_S:g} s: {condition}")
        time.sleep(_LOOK_EVERY_S)


def _answers(address: Path) -> bool:
    connection = _SocketConnection(address)
    try:
        connection.request("GET", "/_ping")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


@click.command()
@click.option("--quick", is_flag=True, help="Few containers and boots: does it run at all?")
@click.option(
    "--running",
    type=click.IntRange(min=1),
    default=CONTAINERS,
    show_default=True,
    help="How many containers run when the daemon is killed.",
)
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if a bar is missed.")
def boot(*, quick: bool, running: int, json_path: Path | None, check: bool) -> None:
    """Measure how soon the reference answers after its start.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 2 could not be
    measured, 3 the command line makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    require_root("this starts the daemon")
    load = load_before_run()
    running = min(running, QUICK_CONTAINERS) if quick else running
    empty, full = Boots(0), Boots(running)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}boot-", dir=WORKSPACE_ROOT) as name:
        filled = Path(name, "full")
        filled.mkdir()
        environment = compiled_at(Path(name, "compiled"))
        try:
            # the first start compiles, so it is not recorded
            killed = crash(filled, running, environment)
            for number in range(QUICK_BOOTS if quick else BOOTS):
                fresh = Path(name, str(number))
                fresh.mkdir()
                boot_once(fresh, empty, environment)
                boot_once(filled, full, environment)
        except TimeoutError as error:
            click.echo(f"error: nothing was measured: {error}", err=True)
            sys.exit(2)
    write_samples(json_path, load, boots=[asdict(empty), asdict(full)], crash=asdict(killed))
    missed = [miss for one in (empty, full, killed) for miss in one.misses()]
    rows = "\n".join(one.row() for one in (empty, full, killed))
    click.echo(f"{rows}\n{show_verdict(missed, quick=quick)}")
    sys.exit(1 if check and missed else 0)
