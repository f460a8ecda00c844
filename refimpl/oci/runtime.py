"""runc or crun as a subprocess: the OCI command line is the interface.

The runtime starts a container detached and exits; the container's first process then becomes a
child of the daemon (a subreaper), whose exit status can be waited for through its pidfd. The
runtime's own complaints go to a log file, so that they never mix with the container's output.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import select
import shutil
import signal as signals
import socket
import struct
import subprocess
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refimpl.oci.base import ContainerSpec, Process, ProcessSpec, RuntimeFailure
from refimpl.oci.spec import build_config, build_process
from refimpl.oci.users import resolve

_PR_SET_CHILD_SUBREAPER = 36
_COMMAND_TIMEOUT_S = 60
_CONSOLE_TIMEOUT_S = 10
_VERSION_TIMEOUT_S = 10
_CGROUP_ROOT = Path("/sys/fs/cgroup")


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it; once, before the first container."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"become a subreaper: {os.strerror(number)}")


def find_runtime(root: str, choice: str | None = None) -> OciRuntime:
    """Return the first runtime that is installed and works here: runc, then crun.

    Args:
        root: the directory in which the runtime keeps its state; nobody else's.
        choice: `runc`, `crun` or a path: only that one.

    Raises:
        RuntimeFailure: there is none; the text says what is wrong with each.
    """
    reasons = []
    for candidate in [choice] if choice else ["runc", "crun"]:
        try:
            return OciRuntime(candidate, root)
        except RuntimeFailure as failure:
            reasons.append(f"{candidate}: {failure}")
    raise RuntimeFailure("no OCI runtime: " + "; ".join(reasons))


_STATE_FILES = {
    "state.json": ("init_process_pid", "init_process_start"),
    "status": ("pid", "process-start-time"),
}
"""Where runc and crun keep a container's state, and how they call its first process in there."""


@dataclass(frozen=True, slots=True)
class _Stdio:
    """Both ends of a process's descriptors: the child's three, and those that the daemon keeps."""

    child: tuple[int, int, int]
    kept: dict[str, int]


class OciRuntime:
    """`Runtime` on runc or crun.

    Args:
        program: its name on PATH, or its path.
        root: the directory in which it keeps its state.

    Raises:
        RuntimeFailure: it is not there, or does not work here.
    """

    def __init__(self, program: str, root: str) -> None:
        path = shutil.which(program)
        if path is None:
            raise RuntimeFailure("not installed")
        self._program = path
        self._root = Path(root)
        self.name = Path(path).name
        self.version = self._read_version()
        self._cgroup_v2 = (_CGROUP_ROOT / "cgroup.controllers").exists()
        if self.name == "crun" and not self._cgroup_v2 and _is_hybrid():
            raise RuntimeFailure("cgroups in hybrid mode not supported")
        self._scratch = self._root.with_name(self._root.name + "-scratch")
        self._scratch_descriptor = -1
        self._numbers = itertools.count()
        self._specs: dict[str, ContainerSpec] = {}

    def prepare(self) -> None:
        """Make the directories: for its own state, and for what calls under way need.

        What is in the latter, a crash has left: it is only for the one daemon that the exec-root
        belongs to, and before its first call.

        Raises:
            OSError: a directory cannot be made.
        """
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir(mode=0o700)
        self._scratch_descriptor = os.open(self._scratch, os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Remove the scratch directory; containers go on."""
        if self._scratch_descriptor >= 0:
            os.close(self._scratch_descriptor)
            self._scratch_descriptor = -1
            shutil.rmtree(self._scratch, ignore_errors=True)

    def run(self, spec: ContainerSpec) -> Process:
        """Write the bundle, create the container and start its process.

        Raises:
            UnknownUser: the image has no such user or group.
            RuntimeFailure: with the runtime's message, without its own `runc run failed:` in
                front, for instance `unable to start container process: exec: "/x": stat /x: no
                such file or directory`; nothing is left behind.
        """
        if (self._root / spec.id).exists():
            # before anything of the one that is there could be overwritten or undone
            raise RuntimeFailure(f"container with id {spec.id} already exists")
        identity = resolve(spec.rootfs, spec.process.user)
        config = build_config(spec, identity, cgroup_v2=self._cgroup_v2)
        bundle = Path(spec.bundle)
        bundle.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write_json(bundle / "config.json", config)
            process = self._start(
                spec.process, ["run", "--detach", "--bundle", spec.bundle], [spec.id]
            )
        except BaseException:
            self._specs[spec.id] = spec
            self.delete(spec.id)
            raise
        self._specs[spec.id] = spec
        return process

    def exec(self, container_id: str, process: ProcessSpec) -> Process:
        """Start one more process in a running container.

        Raises:
            UnknownUser: the image has no such user or group.
            RuntimeFailure: with the runtime's message, without `exec failed:` in front.
        """
        spec = self._specs.get(container_id)
        if spec is None:
            raise RuntimeFailure(f"container {container_id} was not started by this daemon")
        description = build_process(
            process,
            resolve(spec.rootfs, process.user),
            cap_add=spec.cap_add,
            cap_drop=spec.cap_drop,
            privileged=spec.privileged or process.privileged,
        )
        path = self._scratch_path("process.json")
        _write_json(path, description)
        try:
            return self._start(
                process, ["exec", "--detach", "--process", str(path)], [container_id]
            )
        finally:
            path.unlink(missing_ok=True)

    def kill(self, container_id: str, signal: int, *, everything: bool = False) -> None:
        """Send a signal to the first process, or to every process, of a container."""
        self._command("kill", *(["--all"] if everything else []), container_id, str(signal))

    def pause(self, container_id: str) -> None:
        """Freeze a container."""
        self._command("pause", container_id)

    def resume(self, container_id: str) -> None:
        """Thaw a container."""
        self._command("resume", container_id)

    def resize(self, console: int, rows: int, columns: int) -> None:
        """Set a terminal's size."""
        fcntl.ioctl(console, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def delete(self, container_id: str) -> None:
        """Kill what is left of a container and forget it; no error when it is unknown."""
        bundle = self._bundle(container_id)
        if (self._root / container_id).exists():
            self._command("delete", "--force", container_id)
            # a state that a crash left half-written is no container to the runtime
            shutil.rmtree(self._root / container_id, ignore_errors=True)
        if bundle is not None:
            shutil.rmtree(bundle, ignore_errors=True)
        self._specs.pop(container_id, None)

    def end(self, container_id: str) -> None:
        """Kill the first process of a container that an earlier daemon started, without a wait."""
        process = self._first_process(container_id)
        if process is None:
            return
        pid, started = process
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                # the pid may be another process's by now
                if _start_time(pid) == started:
                    signals.pidfd_send_signal(pidfd, signals.SIGKILL)
            finally:
                os.close(pidfd)

    def _first_process(self, container_id: str) -> tuple[int, int] | None:
        """Return pid and start time (clock ticks since boot) as runc or crun wrote them down."""
        for name, keys in _STATE_FILES.items():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                state = json.loads((self._root / container_id / name).read_bytes())
                return int(state[keys[0]]), int(state[keys[1]])
        return None

    def list(self) -> Sequence[str]:
        """Return the ids that the runtime still knows, after a crash of the daemon."""
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def wait(self, process: Process) -> int:
        """Reap an ended process and return its exit code (128 + signal when killed)."""
        result = os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED)
        if result is None:  # only with WNOHANG
            raise ChildProcessError(f"process {process.pid} has not ended")
        return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status

    # -- starting a process ----------------------------------------------------------------

    def _start(
        self, process: ProcessSpec, command: Sequence[str], arguments: Sequence[str]
    ) -> Process:
        pid_file = self._scratch_path("pid")
        with contextlib.ExitStack() as cleanup, contextlib.ExitStack() as undo:
            cleanup.callback(pid_file.unlink, missing_ok=True)
            options = ["--pid-file", str(pid_file)]
            listener: socket.socket | None = None
            if process.tty:
                listener, path = self._listen_for_console()
                cleanup.callback(path.unlink, missing_ok=True)
                cleanup.enter_context(listener)
                options += ["--console-socket", str(path)]
            stdio = _open_stdio(process, cleanup, undo)
            self._execute([*command, *options, *arguments], stdio.child)
            console = _receive_console(listener) if listener is not None else None
            if console is not None:
                undo.callback(os.close, console)
            pid = int(pid_file.read_text(encoding="ascii"))
            pidfd = os.pidfd_open(pid)
            undo.pop_all()
            return Process(pid=pid, pidfd=pidfd, console=console, **stdio.kept)

    def _listen_for_console(self) -> tuple[socket.socket, Path]:
        """Listen where the runtime shall send the terminal to.

        An address has room for 108 bytes, which a directory's own path may exceed; the way through
        /proc is short for any, and the runtime can go it too.
        """
        name = self._scratch_path("console").name
        path = Path(f"/proc/{os.getpid()}/fd/{self._scratch_descriptor}", name)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(path))
            listener.listen(1)
            listener.settimeout(_CONSOLE_TIMEOUT_S)
        except BaseException:
            listener.close()
            raise
        return listener, path

    def _scratch_path(self, purpose: str) -> Path:
        return self._scratch / f"{next(self._numbers)}-{purpose}"

    # -- the runtime's command line --------------------------------------------------------

    def _command(self, *arguments: str) -> None:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._execute(arguments, (null, null, null))
        finally:
            os.close(null)

    def _execute(self, arguments: Sequence[str], stdio: tuple[int, int, int]) -> None:
        log = self._scratch_path("log")
        argv = [self._program, "--root", str(self._root), "--log", str(log)]
        argv += ["--log-format", "json", *arguments]
        stdin, stdout, stderr = stdio
        try:
            # close_fds is the default: the runtime gets these three and nothing of the daemon's
            with subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=stderr, cwd="/", env=_environment()
            ) as running:
                try:
                    if not _ends(running, _COMMAND_TIMEOUT_S):
                        raise RuntimeFailure(
                            f"{self.name} did not answer for {_COMMAND_TIMEOUT_S} s"
                        )
                except BaseException:
                    running.kill()
                    raise
                code = running.wait()
            if code != 0:
                raise RuntimeFailure(_read_failure(log, f"{self.name} ended with status {code}"))
        finally:
            log.unlink(missing_ok=True)

    def _bundle(self, container_id: str) -> Path | None:
        """Return a container's bundle: as this daemon, or one before it, told the runtime."""
        spec = self._specs.get(container_id)
        if spec is not None:
            return Path(spec.bundle)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads((self._root / container_id / "state.json").read_bytes())
            for label in state["config"]["labels"]:
                if label.startswith("bundle="):
                    return Path(label.removeprefix("bundle="))
        return None

    def _read_version(self) -> str:
        try:
            result = subprocess.run(
                [self._program, "--version"],
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=_VERSION_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise RuntimeFailure(f"does not run: {error}") from error
        except UnicodeDecodeError as error:
            raise RuntimeFailure(f"its --version is not UTF-8: {error}") from error
        # "runc version 1.1.5+ds1", "crun version 1.8.1"
        words = result.stdout.partition("\n")[0].split()
        if not words or words[-1] == "version":
            raise RuntimeFailure("its --version prints no version")
        return words[-1]


def _ends(running: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for a child to end, at most so long.

    (`Popen.wait` with a timeout looks every now and then, in the end every 50 ms.)
    """
    try:
        pidfd = os.pidfd_open(running.pid)
    except OSError:
        # No descriptor is left, and looking needs none. A runtime that is killed half-way would
        # leave things that nobody knows of.
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(timeout_s)
        return running.returncode is not None
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(pidfd)


def _open_stdio(
    process: ProcessSpec, cleanup: contextlib.ExitStack, undo: contextlib.ExitStack
) -> _Stdio:
    """Make the pipes: the child's ends close in any case, the daemon's only when it fails."""

    def pipe(*, child_reads: bool) -> tuple[int, int]:
        reader, writer = os.pipe()
        child, kept = (reader, writer) if child_reads else (writer, reader)
        cleanup.callback(os.close, child)
        undo.callback(os.close, kept)
        return child, kept

    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    cleanup.callback(os.close, null)
    if process.tty:
        return _Stdio((null, null, null), {})
    stdin = null
    kept: dict[str, int] = {}
    if process.open_stdin:
        stdin, kept["stdin"] = pipe(child_reads=True)
    stdout, kept["stdout"] = pipe(child_reads=False)
    stderr, kept["stderr"] = pipe(child_reads=False)
    return _Stdio((stdin, stdout, stderr), kept)


def _receive_console(listener: socket.socket) -> int:
    """Take the pty's master that the runtime sends."""
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(_CONSOLE_TIMEOUT_S)
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1, socket.MSG_CMSG_CLOEXEC)
    if not descriptors:
        raise RuntimeFailure("the runtime sent no console")
    return descriptors[0]


def _read_failure(log: Path, otherwise: str) -> str:
    """Return the runtime's last error message, without its name for the command that failed."""
    message = otherwise
    with contextlib.suppress(FileNotFoundError):
        for line in log.read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("level") in {"error", "fatal"}:
                    message = str(entry.get("msg", message))
    for prefix in ("runc run failed: ", "runc create failed: ", "exec failed: "):
        message = message.removeprefix(prefix)
    return message


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _environment() -> dict[str, str]:
    """Return an environment without what concerns the daemon alone, such as NOTIFY_SOCKET."""
    return {"PATH": os.environ.get("PATH", os.defpath)}


def _start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot (proc(5), stat, field 22)."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return int(stat.rpartition(")")[2].split()[19])


def _is_hybrid() -> bool:
    return (_CGROUP_ROOT / "unified" / "cgroup.controllers").exists()
