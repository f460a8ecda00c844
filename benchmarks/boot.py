"""Boot: how long until the daemon answers, with nothing on its disk and with many containers.

python -m benchmarks boot --json boot.json
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from benchmarks.figures import percentile
from benchmarks.inprocess import InProcess
from benchmarks.machine import load_before_run
from benchmarks.options import (
    json_option,
    refuse_quick_check,
    require_root,
    show_verdict,
    write_samples,
)
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT

CONTAINERS = 1000
BOOTS = 10
MAX_READY_S = {0: 0.3, CONTAINERS: 2.0}
"""The bars, by how many containers there are."""
QUICK_BOOTS = 2
READY_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 30.0
LOG_LINES = 5
_INTERVAL_S = 0.002
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Boots:
    """The boots on one kind of data-root; seconds.

    Attributes:
        walls: from the start of the program until it answered `GET /_ping`.
        cpus: the processor time that it had taken by then, in steps of 10 ms.
    """

    containers: int
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)

    @property
    def is_met(self) -> bool:
        """Whether the median boot is as fast as its bar asks."""
        return percentile(self.walls, 50) < MAX_READY_S[self.containers]

    def row(self) -> str:
        """Return the line of the table."""
        return (
            f"{self.containers:5} containers: ready after p50 {percentile(self.walls, 50):6.3f} s "
            f"(best {min(self.walls):.3f} s), CPU p50 {percentile(self.cpus, 50):6.3f} s; "
            f"bar {MAX_READY_S[self.containers]:g} s"
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


def boot_once(folder: Path, found: Boots, environment: Mapping[str, str]) -> None:
    """Start the daemon on the data-root below a folder, in namespaces of its own, and end it.

    Raises:
        TimeoutError: it ended, or did not answer in time; the text has the end of its log.
    """
    address = folder / "engine.sock"
    command = [
        *("unshare", "--net", "--mount", "--propagation", "private", "--"),
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
        found.walls.append(time.perf_counter() - started)
        found.cpus.append(_cpu_s(process.pid))
    finally:
        process.terminate()
        process.wait(EXIT_TIMEOUT_S)


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


def fill(directory: str) -> None:
    """Create stopped containers below a directory (in namespaces of its own)."""
    reference = InProcess(Path(directory))
    for number in range(CONTAINERS):
        reference.create(f"stopped-{number}", "bridge")
    reference.close()


@click.command()
@click.option("--quick", is_flag=True, help="Two boots of each: does it run at all?")
@json_option("Also write every sample to this file.")
@click.option("--check", is_flag=True, help="End with 1 if a bar is missed.")
def boot(*, quick: bool, json_path: Path | None, check: bool) -> None:
    """Measure how long the reference's daemon takes to answer after its start.

    Exit codes: 0 measured (with --check: and every bar met), 1 a bar missed, 2 could not be
    measured, 3 the command line makes no sense.
    """
    refuse_quick_check(quick=quick, check=check)
    require_root("this starts the daemon")
    load = load_before_run()
    empty, full = Boots(0), Boots(CONTAINERS)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}boot-", dir=WORKSPACE_ROOT) as name:
        filled = Path(name, "full")
        filled.mkdir()
        subprocess.run(
            [
                *("unshare", "--net", "--mount", "--propagation", "private", "--"),
                *(sys.executable, "-m", "benchmarks.boot", str(filled)),
            ],
            check=True,
        )
        environment = compiled_at(Path(name, "compiled"))
        try:
            boot_once(filled, Boots(CONTAINERS), environment)  # which compiles, so not recorded
            for number in range(QUICK_BOOTS if quick else BOOTS):
                fresh = Path(name, str(number))
                fresh.mkdir()
                boot_once(fresh, empty, environment)
                boot_once(filled, full, environment)
        except TimeoutError as error:
            click.echo(f"error: nothing was measured: {error}", err=True)
            sys.exit(2)
    write_samples(json_path, load, boots=[asdict(empty), asdict(full)])
    missed = [f"ready with {one.containers} containers" for one in (empty, full) if not one.is_met]
    click.echo(f"{empty.row()}\n{full.row()}\n{show_verdict(missed, quick=quick)}")
    sys.exit(1 if check and missed else 0)


if __name__ == "__main__":
    fill(sys.argv[1])
