"""runc or crun as a subprocess: the OCI command line is the interface.

The runtime starts a container detached and exits; the container's first process then becomes a
child of the daemon (a subreaper), whose exit status can be waited for through its pidfd.

Every call ends in time, whatever the runtime does. What it cannot do any more and what must be
done all the same, ending processes, is done without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import itertools
import json
import logging
import os
import shutil
import signal
import socket
import struct
import termios
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refimpl.limits import (
    RUNTIME_COMMAND_TIMEOUT_S,
    RUNTIME_DELETE_TIMEOUT_S,
    RUNTIME_HURRY_TIMEOUT_S,
    RUNTIME_KILL_TIMEOUT_S,
)
from refimpl.oci import cgroups, seccomp
from refimpl.oci.base import (
    CGROUP_PARENT,
    ContainerSpec,
    Ending,
    Process,
    ProcessSpec,
    ReadInside,
    RuntimeFailure,
)
from refimpl.oci.program import RuntimeProgram, has_ended, reap
from refimpl.oci.spec import build_config, build_process
from refimpl.oci.survivors import end_survivors
from refimpl.oci.users import resolve

log = logging.getLogger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
_CONSOLE_TIMEOUT_S = 10


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it; once, before the first container."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"become a subreaper: {os.strerror(number)}")


def find_runtime(root: str, read_inside: ReadInside, choice: str | None = None) -> OciRuntime:
    """Return the first runtime that is installed and works here: runc, then crun.

    Args:
        root: the directory in which the runtime keeps its state; nobody else's.
        read_inside: reads a file of a container.
        choice: `runc`, `crun` or a path: only that one.

    Raises:
        RuntimeFailure: there is none; the text says what is wrong with each.
    """
    reasons = []
    for candidate in [choice] if choice else ["runc", "crun"]:
        try:
            return OciRuntime(candidate, root, read_inside)
        except RuntimeFailure as failure:
            reasons.append(f"{candidate}: {failure}")
    raise RuntimeFailure("no OCI runtime: " + "; ".join(reasons))


@dataclass(frozen=True, slots=True)
class _Stdio:
    """Both ends of a process's descriptors: the child's three, and those that the daemon keeps."""

    child: tuple[int, int, int]
    kept: dict[str, int]


@dataclass(slots=True, kw_only=True)
class _Started:
    """A container of this daemon."""

    spec: ContainerSpec
    process: Process | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a command of the runtime may take, in seconds."""

    command_s: float = RUNTIME_COMMAND_TIMEOUT_S
    kill_s: float = RUNTIME_KILL_TIMEOUT_S
    delete_s: float = RUNTIME_DELETE_TIMEOUT_S
    hurry_s: float = RUNTIME_HURRY_TIMEOUT_S


class OciRuntime:
    """`Runtime` on runc or crun.

    Args:
        program: its name on PATH, or its path.
        root: the directory in which it keeps its state.
        read_inside: reads a file of a container.
        timeouts: of its commands.

    Raises:
        RuntimeFailure: it is not there, or does not work here.
    """

    def __init__(
        self,
        program: str,
        root: str,
        read_inside: ReadInside,
        timeouts: Timeouts = Timeouts(),
    ) -> None:
        self._root = Path(root)
        self._program = RuntimeProgram(program, self._root)
        self._read_inside = read_inside
        self._timeouts = timeouts
        self.name = self._program.name
        self.version = self._program.version
        self.has_seccomp = self._program.has_seccomp and seccomp.is_enabled()
        self._cgroup_v2 = cgroups.is_unified()
        if self.name == "crun" and not self._cgroup_v2 and cgroups.is_hybrid():
            raise RuntimeFailure("cgroups in hybrid mode not supported")
        self._scratch = self._root.with_name(self._root.name + "-scratch")
        self._scratch_descriptor = -1
        self._numbers = itertools.count()
        self._started: dict[str, _Started] = {}
        self._ending = threading.Lock()
        """Held while a process is signalled by its descriptor, or marked as ended."""

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

    def hurry(self) -> None:
        """Let no command take long any more: the daemon is about to end."""
        self._program.limit(self._timeouts.hurry_s)

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
        identity = resolve(spec.rootfs, spec.process.user, self._read_inside)
        config = build_config(
            spec, identity, cgroup_v2=self._cgroup_v2, with_seccomp=self.has_seccomp
        )
        bundle = Path(spec.bundle)
        bundle.mkdir(mode=0o700, parents=True, exist_ok=True)
        started = self._started[spec.id] = _Started(spec=spec)
        try:
            _write_json(bundle / "config.json", config)
            started.process = self._start(
                spec.process, ["run", "--detach", "--bundle", spec.bundle], [spec.id]
            )
        except BaseException:
            # its own failure must not hide this one; what is left the next delete finds
            with contextlib.suppress(OSError):
                self.delete(spec.id)
            raise
        return started.process

    def exec(self, container_id: str, process: ProcessSpec) -> Process:
        """Start one more process in a running container.

        Raises:
            UnknownUser: the image has no such user or group.
            RuntimeFailure: with the runtime's message, without `exec failed:` in front.
        """
        started = self._started.get(container_id)
        if started is None:
            raise RuntimeFailure(f"container {container_id} was not started by this daemon")
        spec = started.spec
        description = build_process(
            process,
            resolve(spec.rootfs, process.user, self._read_inside),
            cap_add=spec.cap_add,
            cap_drop=spec.cap_drop,
            privileged=spec.privileged or process.privileged,
            no_new_privileges=spec.no_new_privileges,
        )
        path = self._scratch_path("process.json")
        try:
            _write_json(path, description)
            return self._start(
                process, ["exec", "--detach", "--process", str(path)], [container_id]
            )
        finally:
            path.unlink(missing_ok=True)

    def kill(self, container_id: str, number: int) -> None:
        """Send a signal to the first process of a container.

        When the runtime does not, the process gets it from here.

        Raises:
            RuntimeFailure: the container does not run.
        """
        try:
            self._command("kill", container_id, str(number), timeout_s=self._timeouts.kill_s)
        except OSError as failure:
            if not self._signal(container_id, number):
                raise
            log.warning("signal %d to container %s was sent without %s: %s",
                        number, container_id, self.name, failure)  # fmt: skip

    def _signal(self, container_id: str, number: int) -> bool:
        """Signal the first process of a container of ours; tell whether there is one."""
        started = self._started.get(container_id)
        with self._ending:
            # until it is marked as ended its descriptor is open
            if started is None or started.process is None or started.process.has_ended:
                return False
            if has_ended(started.process.pidfd):
                return False
            signal.pidfd_send_signal(started.process.pidfd, number)
        if number == signal.SIGKILL:  # as runc: what is frozen does not end
            cgroups.thaw(started.spec.cgroup_parent, container_id)
        return True

    def pause(self, container_id: str) -> None:
        """Freeze a container."""
        self._command("pause", container_id)

    def resume(self, container_id: str) -> None:
        """Thaw a container."""
        self._command("resume", container_id)

    def resize(self, console: int, rows: int, columns: int) -> None:
        """Set a terminal's size; of each number the lower 16 bits count, as in Docker."""
        size = struct.pack("HHHH", rows & 0xFFFF, columns & 0xFFFF, 0, 0)
        fcntl.ioctl(console, termios.TIOCSWINSZ, size)

    def delete(self, container_id: str) -> None:
        """Kill what is left of a container and forget it; no error when it is unknown.

        Raises:
            RuntimeFailure: a process of it does not end.
        """
        state, bundle = self._root / container_id, self._bundle(container_id)
        if state.exists():
            try:
                self._command("delete", "--force", container_id, timeout_s=self._timeouts.delete_s)
            except OSError as failure:
                log.warning("container %s is ended without %s: %s",
                            container_id, self.name, failure)  # fmt: skip
                self._end(container_id)
            # a state that a crash left half-written is no container to the runtime
            shutil.rmtree(state, ignore_errors=True)
        if bundle is not None:
            _remove_bundle(bundle)
        if not state.exists() and (bundle is None or not bundle.exists()):
            self._started.pop(container_id, None)

    def _end(self, container_id: str) -> None:
        """Kill a container's processes without the runtime."""
        self._signal(container_id, signal.SIGKILL)
        started = self._started.get(container_id)
        parent = started.spec.cgroup_parent if started is not None else CGROUP_PARENT
        if not cgroups.kill_all(parent, container_id, self._timeouts.kill_s):
            raise RuntimeFailure(
                f"processes of container {container_id} did not end within "
                f"{self._timeouts.kill_s:g} s of SIGKILL"
            )

    def end(
        self, endings: Mapping[str, Ending], is_hurried: Callable[[], bool]
    ) -> Mapping[str, int]:
        """End the first processes of containers that an earlier daemon started."""
        return end_survivors(self._root, endings, is_hurried)

    def list(self) -> Sequence[str]:
        """Return the ids that the runtime still knows, after a crash of the daemon."""
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def wait(self, process: Process) -> int:
        """Reap an ended process and return its exit code (128 + signal when killed)."""
        result = os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED)
        with self._ending:
            process.has_ended = True
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
            pid = self._read_pid(pid_file)
            undo.callback(_end_process, pid)
            console = self._receive_console(listener) if listener is not None else None
            if console is not None:
                undo.callback(os.close, console)
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

    def _command(self, *arguments: str, timeout_s: float | None = None) -> None:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._execute(arguments, (null, null, null), timeout_s)
        finally:
            os.close(null)

    def _execute(
        self,
        arguments: Sequence[str],
        stdio: tuple[int, int, int],
        timeout_s: float | None = None,
    ) -> None:
        self._program.execute(
            arguments,
            stdio,
            log_file=self._scratch_path("log"),
            timeout_s=self._timeouts.command_s if timeout_s is None else timeout_s,
        )

    def _read_pid(self, pid_file: Path) -> int:
        try:
            return int(pid_file.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError) as error:
            raise RuntimeFailure(f"{self.name} wrote no process id") from error

    def _receive_console(self, listener: socket.socket) -> int:
        """Take the pty's master that the runtime sends."""
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_CONSOLE_TIMEOUT_S)
                _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError as error:
            raise RuntimeFailure(
                f"{self.name} sent no terminal within {_CONSOLE_TIMEOUT_S} s"
            ) from error
        if not descriptors:
            raise RuntimeFailure(f"{self.name} sent no terminal")
        return descriptors[0]

    def _bundle(self, container_id: str) -> Path | None:
        """Return a container's bundle: as this daemon, or one before it, told the runtime."""
        started = self._started.get(container_id)
        if started is not None:
            return Path(started.spec.bundle)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            state = json.loads((self._root / container_id / "state.json").read_bytes())
            for label in state["config"]["labels"]:
                if label.startswith("bundle="):
                    return Path(label.removeprefix("bundle="))
        return None


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


def _end_process(pid: int) -> None:
    """Kill a process that was just started, of which nobody will hear."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # a child of ours: its number is its own until it is reaped
    reap(pid)


def _remove_bundle(bundle: Path) -> None:
    """Remove a bundle, for which no descriptor need be left."""
    with contextlib.suppress(OSError):
        (bundle / "config.json").unlink(missing_ok=True)
        bundle.rmdir()
        return
    shutil.rmtree(bundle, ignore_errors=True)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
