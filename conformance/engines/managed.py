"""A daemon that the suite starts, on a machine (`machine.py`) and in folders of its own.

The folder is `<workspace>/<slot>`: data, exec, machine, engine.sock, daemon.log, engine.json. The
last one lets a later process find the daemon again: to use it (`--keep`) or to clear it away
(`clean`).
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import docker
import docker.errors

from conformance.engines.base import (
    NO_LOG,
    OWN_NOTE,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    EngineVersion,
    Inside,
    failed_start,
)
from conformance.engines.machine import entering, environment_of, make_machine, renew_machine
from conformance.engines.processes import (
    NETNS_DIR,
    clear_away,
    descendants,
    is_alive,
    kill_all,
    make_in,
    processes_in_netns,
    processes_naming,
    run_tool,
    shim_sockets,
    start_time,
)
from conformance.engines.program import ask, newest_change
from conformance.engines.roots import needs_root, tree_of, why_unprovisioned
from conformance.engines.settings import EngineSettings
from conformance.engines.transport import KeptClient, open_socket, shows_networks
from conformance.observe.poll import WaitedTooLong, wait_until

READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 30
METRICS_ADDRESS = "127.0.0.1:9323"
NETNS_PREFIX = "ni-"
FOLDER_PREFIX = "netinit-"
WORKSPACE_ROOT = Path("/tmp")  # noqa: S108 - the path of a unix socket must stay short
RECORD = "engine.json"


def workspace_of(name: str) -> Path:
    """Give the folder of a run, or of the engines kept under a name."""
    return WORKSPACE_ROOT / f"{FOLDER_PREFIX}{name}"


class ManagedEngine:
    """What dockerd, Podman and the reference have in common; they differ in their command line."""

    is_managed = True
    # A mount of this machine that the engine cannot live with; "" = none.
    hidden_mount = ""
    # Folders that all engines of its kind on a machine share; see `make_machine`.
    emptied_folders: tuple[str, ...] = ()
    # Whether the exec-root lies in memory, as /run does on a real machine; benchmarks ask for it.
    exec_root_in_memory = False
    # Where below the data-root it keeps its networks; see Inside.networks_kept.
    networks_kept = ""
    # Whether its containers run on when it is stopped gracefully, without being told to.
    containers_outlive_it = False

    def __init__(
        self,
        settings: EngineSettings,
        *,
        run_id: str,
        slot: str,
        workspace: Path,
        config: dict[str, Any] | None = None,
        keep: str = "",
    ) -> None:
        """Prepare an engine; nothing is started or written yet.

        Args:
            settings: its table in engines.toml.
            run_id: begins the names of everything made on this machine.
            slot: tells two daemons of one run apart: the engine's name, or that with a number.
            workspace: the run's folder; kept short, since it holds unix sockets.
            config: daemon options on top of those in the settings.
            keep: a name under which it stays up when the run ends, and under which a later run
                finds it again; "" = it ends with the run.
        """
        self.settings = settings
        self.name = settings.name
        self.family = settings.family
        self.profile = settings.profile
        self.origin = settings.origin
        self.config = {**settings.config, **(config or {})}
        self.folder = (workspace_of(keep) if keep else workspace) / slot
        self.netns_name = f"{NETNS_PREFIX}{keep or run_id}-{slot}"
        self.address = f"unix://{self.folder}/engine.sock"
        self.data_root = self.folder / "data"
        self.exec_root = self.folder / "exec"
        self.pid_file = self.folder / "daemon.pid"
        self.keep = keep
        is_rooted = needs_root(self.program(), settings.root)
        self.tree = tree_of(settings.name) if is_rooted else None
        self.start_command: list[str] = []
        self._pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._client = KeptClient()
        self._sockets: set[Path] = set()

    def command_line(self) -> list[str]:
        """Give the daemon's own command line, and write the files that it names."""
        raise NotImplementedError

    def why_not_built(self) -> str:
        """Say why what the settings' `argument` names is no such engine; "" = it may be one."""
        return ""

    def why_unavailable(self) -> str:
        """Say in one sentence why this machine cannot have the engine; "" = it can."""
        if self.settings.argument and (reason := self.why_not_built()):
            return f"{self.settings.spec}: {reason}"
        if os.geteuid() != 0:
            return (
                f"{self.settings.spec}: starting a daemon needs root: `sudo {sys.executable} "
                "-m conformance ...`; or use an engine that runs already: --engine unix:///var/run/docker.sock"
            )
        if self.tree is not None and self.settings.root is not None:
            return why_unprovisioned(self.name, self.settings.root)
        program = self.program()
        if shutil.which(program) is None:
            packages = " or ".join(self.settings.packages[:1])
            remedy = f": `sudo apt-get install {packages}`, or" if packages else ";"
            return (
                f"{self.name}: {program} is not installed on this machine{remedy} use an engine "
                "that runs already: --engine unix:///var/run/docker.sock"
            )
        return ""

    def program(self) -> str:
        """Give the daemon's program."""
        return self.words()[0]

    def words(self) -> list[str]:
        """Give the program and its leading arguments."""
        return [word.replace("{python}", sys.executable) for word in self.settings.command]

    def environment(self) -> dict[str, str]:
        """Give the daemon's environment."""
        return environment_of(self.tree)

    @property
    def log_path(self) -> Path:
        """The daemon's log."""
        return self.folder / "daemon.log"

    def start(self) -> None:
        """Start the daemon in a new namespace and folder, or take over the kept one."""
        reason = self.why_unavailable()
        if reason:
            raise EngineUnavailable(reason)
        if self._adopt():
            return
        self.stop_leftover()
        make_in(self.folder.parent, self.folder.mkdir)
        if self.exec_root_in_memory:
            self.exec_root.mkdir()
            run_tool("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.exec_root)
        self._record()
        self._come_up(make_machine, self._launch)

    def _come_up(self, make: Callable[..., None], launch: Callable[[], None]) -> None:
        """Make the machine and start the daemon on it; where it fails nothing is left."""
        try:
            make(
                self.folder,
                self.netns_name,
                self.tree,
                self.hidden_mount,
                own_cgroup=self.settings.own_cgroup,
                emptied=self.emptied_folders,
            )
            launch()
        except EngineError as exc:
            self._give_up(exc)

    def _give_up(self, exc: EngineError) -> NoReturn:
        """Take everything away after a failed start, and say why it failed."""
        tail = self.log_tail()
        self.stop()
        raise failed_start(self.name, exc, tail) from None

    def take_over(self) -> None:
        """Start on the state and on the machine that another engine of this slot has left.

        The machine gets this engine's file system; its network namespace stays as it is.

        Raises:
            EngineUnavailable: this machine cannot have it.
            EngineError: it did not come up; nothing is left of either engine.
        """
        reason = self.why_unavailable()
        if reason:
            raise EngineUnavailable(reason)
        self.note(f"{self.name} takes over")
        self._come_up(renew_machine, self.resume)

    def _adopt(self) -> bool:
        """Use a daemon that an earlier run with `--keep` left running."""
        record = read_record(self.folder)
        if not (self.keep and record and is_recorded_daemon_alive(record)):
            return False
        if not self.is_current():
            return False
        self._pid = record["pid"]
        self.start_command = record["command"]
        return shows_networks(self.address)

    def is_current(self) -> bool:
        """Say whether the kept daemon runs the program as it is now."""
        built = self.settings.argument
        started = (self.folder / RECORD).stat().st_mtime
        return not built or newest_change(Path(built)) < started

    def stop_leftover(self) -> None:
        """Clear away a dead daemon that had this slot before."""
        if self.folder.exists():
            clear_away(self.folder, self.netns_name)

    def _launch(self) -> None:
        self.pid_file.unlink(missing_ok=True)
        self.start_command = self.command_line()
        # setpriv: the daemon gets SIGTERM when the process that runs the rows dies.
        tie = [] if self.keep else ["setpriv", "--pdeathsig", "TERM"]
        # A script's `... &` starts programs that ignore SIGINT, and containers would inherit it.
        tie += ["env", "--default-signal"]
        enter = entering(self.folder, self.netns_name)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*tie, *enter, *self.start_command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                umask=0o022,
                env=self.environment(),
            )
        self._pid = self._process.pid
        self._record()
        try:
            wait_until(
                f"{self.name} to answer at {self.address}",
                lambda: shows_networks(self.address) or self._has_exited(),
                timeout_s=READY_TIMEOUT_S,
            )
        except WaitedTooLong as exc:
            raise EngineError(str(exc)) from exc
        if self._has_exited():
            raise EngineRefused(f"{self.name} exited while it started")

    def _record(self) -> None:
        """Write down what `clean` and a later `--keep` need to know."""
        record = {
            "netns": self.netns_name,
            "pid": self._pid,
            "pid_start": start_time(self._pid) if self._pid else "",
            "owner": os.getpid(),
            "owner_start": start_time(os.getpid()),
            "keep": bool(self.keep),
            "command": self.start_command,
        }
        (self.folder / RECORD).write_text(json.dumps(record), encoding="utf-8")

    def _has_exited(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def log_tail(self, lines: int = 15) -> str:
        """Give the end of the daemon's log."""
        if not self.log_path.exists():
            return NO_LOG
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def note(self, text: str) -> None:
        """Write a line of the suite's own into the daemon's log."""
        with self.log_path.open("a", encoding="utf-8") as log:
            log.write(f"{OWN_NOTE} {text}\n")

    def stop(self) -> None:
        """Stop the daemon and take away its processes, mounts, folder and namespace."""
        self._client.close()
        if self.keep and shows_networks(self.address):
            return
        self._terminate()
        pids = self._family_of_processes()
        self._sockets |= shim_sockets(pids)
        self._kill_and_reap(pids)
        for path in self._sockets:
            path.unlink(missing_ok=True)
        clear_away(self.folder, self.netns_name)

    def _terminate(self) -> None:
        """Ask the daemon to stop, and wait; what does not listen is killed later."""
        if not self._pid or not is_alive(self._pid):
            return
        os.kill(self._pid, signal.SIGTERM)
        try:
            wait_until(
                f"{self.name} to stop after SIGTERM",
                lambda: self._has_exited() or not is_alive(self._pid),
                timeout_s=STOP_TIMEOUT_S,
            )
        except WaitedTooLong:
            self.note(f"did not stop within {STOP_TIMEOUT_S} s of SIGTERM")

    def restart(self) -> None:
        """Stop the daemon gracefully and start it on the same state."""
        self.leave()
        self.resume()

    def leave(self) -> None:
        """Stop the daemon gracefully; its folder and its machine stay for the next one.

        Raises:
            EngineError: it does not stop.
        """
        self._client.close()
        self._terminate()
        if is_alive(self._pid) and not self._has_exited():
            raise EngineError(f"{self.name} did not stop within {STOP_TIMEOUT_S} s of SIGTERM")

    def kill(self) -> None:
        """SIGKILL the daemon's own process."""
        self._client.close()
        self.note("SIGKILL to the daemon")
        self._kill_and_reap({self._pid})

    def kill_everything(self) -> None:
        """SIGKILL the daemon, its helpers, its shims and its containers' processes at once."""
        pids = self._family_of_processes()
        self._sockets |= shim_sockets(pids)
        self._client.close()
        self.note(f"SIGKILL to everything: {sorted(pids)}")
        self._kill_and_reap(pids)

    def _family_of_processes(self) -> set[int]:
        """Everything that belongs to the daemon, found by its pid, folder and namespace."""
        roots = processes_naming(self.folder) | processes_in_netns(self.netns_name)
        if self._pid and is_alive(self._pid):
            roots.add(self._pid)
        return descendants(roots)

    def _kill_and_reap(self, pids: set[int]) -> None:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        # a zombie whose threads still end is dead already, and cannot be reaped at once
        daemon = self._process
        if daemon is not None and (daemon.pid in pids or not is_alive(daemon.pid)):
            daemon.wait(timeout=STOP_TIMEOUT_S)
        kill_all(pids)

    def resume(self) -> None:
        """Start the daemon again on the state that was left.

        One failure is retried, and the log says so. Between the tries only the daemon is killed:
        with live-restore it must find its containers running.
        """
        self.prepare_resume()
        try:
            self._launch()
        except EngineError as exc:
            self.note(f"did not come up again ({exc}); trying once more")
            if self._pid and is_alive(self._pid):
                self._kill_and_reap({self._pid})
            self.prepare_resume()
            self._launch()

    def prepare_resume(self) -> None:
        """Get ready to start on the state that was left; nothing to do for most daemons."""

    def version(self) -> EngineVersion:
        """Ask the daemon for its version."""
        return EngineVersion.from_wire(self.client().version())

    def client(self) -> docker.DockerClient:
        """Give the SDK's client; a new one after each restart."""
        return self._client.of(self.name, self.address)

    def connect(self) -> socket.socket:
        """Open a raw connection to the daemon's API."""
        return open_socket(self.address)

    def help_text(self) -> str:
        """Ask the daemon's program for its options, once."""
        return self._help_text

    @cached_property
    def _help_text(self) -> str:
        enter = ["chroot", str(self.tree)] if self.tree is not None else []
        return ask([*enter, *self.words(), "--help"], self.environment()).text

    def inside(self) -> Inside:
        """Say how to look inside the daemon, through its own root."""
        return Inside(
            pid=self._pid,
            netns=NETNS_DIR / self.netns_name,
            root=Path(f"/proc/{self._pid}/root"),
            data_root=self.data_root,
            exec_root=self.exec_root,
            metrics_url=f"http://{METRICS_ADDRESS}/metrics",
            networks_kept=self.networks_kept,
        )


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read what a managed engine wrote down about itself."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return record if isinstance(record, dict) else None


def is_recorded_daemon_alive(record: dict[str, Any]) -> bool:
    """Say whether the daemon of a record runs, and is not another process of the same number."""
    return (
        bool(record["pid"])
        and is_alive(record["pid"])
        and (start_time(record["pid"]) == record["pid_start"])
    )
