"""The program runc or crun: its version, and one bounded run of one of its commands.

Its complaints go to a log file, so that they never mix with the container's output.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from refimpl.limits import RUNTIME_MESSAGE_BYTES_MAX
from refimpl.oci.base import RuntimeFailure

log = logging.getLogger(__name__)

_VERSION_TIMEOUT_S = 10
_END_TIMEOUT_S = 5.0
"""How long a killed process may take to end."""
_LOOK_EVERY_S = 0.01
_LIMIT_LOOK_S = 0.5
"""How soon a command under way notices a new limit."""


class RuntimeProgram:
    """The runtime's command line.

    Args:
        program: its name on PATH, or its path.
        root: the directory in which it keeps its state.

    Raises:
        RuntimeFailure: it is not there, or does not work here.
    """

    def __init__(self, program: str, root: Path) -> None:
        path = shutil.which(program)
        if path is None:
            raise RuntimeFailure("not installed")
        self._path = path
        self._root = root
        self.name = Path(path).name
        about = self._about()
        # "runc version 1.1.5+ds1", "crun version 1.8.1"
        words = about.partition("\n")[0].split()
        if not words or words[-1] == "version":
            raise RuntimeFailure("its --version prints no version")
        self.version = words[-1]
        # "libseccomp: 2.5.4" of runc, "+SECCOMP" among the features of crun
        self.has_seccomp = "libseccomp:" in about or "+SECCOMP" in about
        self._limit_s = math.inf
        self._limited_at_s = 0.0

    def limit(self, seconds: float) -> None:
        """Let no command take longer from now on, those that are under way included."""
        self._limited_at_s = time.monotonic()
        self._limit_s = seconds

    def execute(
        self,
        arguments: Sequence[str],
        stdio: tuple[int, int, int],
        *,
        log_file: Path,
        timeout_s: float,
    ) -> None:
        """Run a command to its end.

        Args:
            arguments: the command and what belongs to it.
            stdio: its standard input, output and error.
            log_file: where it is to write what goes wrong; removed.
            timeout_s: after so many seconds it is killed, with its children.

        Raises:
            RuntimeFailure: it cannot be started, failed, or did not end in time.
        """
        argv = [self._path, "--root", str(self._root), "--log", str(log_file)]
        argv += ["--log-format", "json", *arguments]
        stdin, stdout, stderr = stdio
        try:
            try:
                # close_fds is the default: it gets these three and nothing else of the daemon's
                running = subprocess.Popen(  # noqa: S603, RUF100
                    argv, stdin=stdin, stdout=stdout, stderr=stderr, cwd="/", env=_environment()
                )
            except OSError as error:
                raise RuntimeFailure(f"{self.name} cannot be started: {error.strerror}") from error
            try:
                has_ended = self._ends(running, timeout_s)
            except BaseException:
                _kill_with_children(running)
                raise
            if not has_ended:
                _kill_with_children(running)
                waited_s = min(timeout_s, self._limit_s)
                raise RuntimeFailure(
                    f"{self.name} {arguments[0]} did not end within {waited_s:g} s"
                )
            code = running.wait()
            if code != 0:
                otherwise = f"{self.name} {arguments[0]} ended with status {code}"
                raise RuntimeFailure(_read_failure(log_file, otherwise))
        finally:
            log_file.unlink(missing_ok=True)

    def _ends(self, running: subprocess.Popen[bytes], timeout_s: float) -> bool:
        """Wait for a child to end, at most so long, or as long as `limit` says.

        (`Popen.wait` with a timeout looks every now and then, in the end every 50 ms.)
        """
        began_s = time.monotonic()
        try:
            pidfd = os.pidfd_open(running.pid)
        except OSError:
            # No descriptor is left, and looking needs none. A runtime that is killed half-way
            # would leave things that nobody knows of.
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout_s)
            return running.returncode is not None
        try:
            while True:
                limited_s = max(began_s, self._limited_at_s) + self._limit_s
                left_s = min(began_s + timeout_s, limited_s) - time.monotonic()
                if has_ended(pidfd, max(0.0, min(left_s, _LIMIT_LOOK_S))):
                    return True
                if left_s <= 0:
                    return False
        finally:
            os.close(pidfd)

    def _about(self) -> str:
        try:
            return subprocess.run(
                [self._path, "--version"],
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=_VERSION_TIMEOUT_S,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise RuntimeFailure(f"does not run: {error}") from error
        except UnicodeDecodeError as error:
            raise RuntimeFailure(f"its --version is not UTF-8: {error}") from error


def reap(pid: int, timeout_s: float = _END_TIMEOUT_S) -> bool:
    """Reap a killed child of ours, if it is one; needs no descriptor.

    Returns:
        Whether it is gone: not when it does not end in time.
    """
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return True
        except ChildProcessError:
            return True
        time.sleep(_LOOK_EVERY_S)
    return False


def has_ended(pidfd: int, timeout_s: float = 0) -> bool:
    """Tell whether a process has ended, or does so in time."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def _kill_with_children(running: subprocess.Popen[bytes]) -> None:
    """Kill the program and what it has started, and reap them all.

    Its children, which are on their way into a container, would become ours and stay.
    """
    children = list(_children(running.pid))
    running.kill()
    try:
        running.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        log.warning("process %d of the OCI runtime does not end by SIGKILL", running.pid)
    for pid in children:
        # they are our children by now: their numbers are theirs until we reap them
        if _parent(pid) == os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
            reap(pid)


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text(encoding="ascii").split())


def _parent(pid: int) -> int | None:
    with contextlib.suppress(OSError):
        # the name between the parentheses is the program's own choice
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat.rpartition(b")")[2].split()[1])
    return None


def _read_failure(log_file: Path, otherwise: str) -> str:
    """Return the runtime's last error message, without its name for the command that failed."""
    message = otherwise
    with contextlib.suppress(FileNotFoundError), log_file.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - RUNTIME_MESSAGE_BYTES_MAX))
        for line in file.read(RUNTIME_MESSAGE_BYTES_MAX).decode(errors="replace").split("\n"):
            with contextlib.suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
                    message = str(entry.get("msg", message))
    for prefix in ("runc run failed: ", "runc create failed: ", "exec failed: "):
        message = message.removeprefix(prefix)
    return message


def _environment() -> dict[str, str]:
    """Return an environment without what concerns the daemon alone, such as NOTIFY_SOCKET."""
    return {"PATH": os.environ.get("PATH", os.defpath)}
