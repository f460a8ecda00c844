"""Programs that somebody named: asked for a word about themselves, in bounded time and size."""

import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ASK_TIMEOUT_S = 20
# `dockerd --help` prints 14 KB.
ASK_BYTES_MAX = 256 * 1024
_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a program said on both its outputs.

    Attributes:
        text: the beginning of it, at most ASK_BYTES_MAX bytes.
        code: its exit code; None = it did not end by itself and was killed.
        why: one clause about what was wrong; "" = it ended with 0.
    """

    text: str
    code: int | None
    why: str

    def why_not(self, wanted: re.Pattern[str]) -> str:
        """Say in one clause why it is not the answer that is wanted; "" = it is.

        What it said is shown shortened, in quotes, without control characters.
        """
        if not self.why and wanted.search(self.text):
            return ""
        lines = (line.strip() for line in self.text.splitlines())
        first = next((line for line in lines if line), "")
        said = f"says {first[:_SHOWN_MAX]!a}" if first else "says nothing"
        return f"{self.why} and {said}" if self.why else said


def ask(command: Sequence[str | Path], environment: Mapping[str, str]) -> Answer:
    """Run a program and read what it says; whatever it started is killed, too.

    A program that does not end, that prints for ever, or that leaves a child with its output open
    ends this all the same.
    """
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=dict(environment),
        )
    except OSError as exc:
        return Answer(text="", code=None, why=f"cannot be run: {exc.strerror}")
    with child:
        text, why = _read(child)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # not reaped yet: the number is still its own
        code = child.wait()
    if why:
        return Answer(text=text, code=None, why=why)
    return Answer(text=text, code=code, why=f"ended with {code}" if code else "")


def _read(child: subprocess.Popen[bytes]) -> tuple[str, str]:
    """Read until a child has ended; give the text, and what stopped the reading before that."""
    assert child.stdout is not None  # noqa: S101 - we asked for a pipe
    deadline = time.monotonic() + ASK_TIMEOUT_S
    found, why, is_read = b"", "", False
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not is_read and not why:
            # looked at before the pipe is: what it printed last is there by then
            is_over = _is_over(child)
            piece = b""
            if selector.select(0 if is_over else 0.02):
                piece = os.read(child.stdout.fileno(), 65536)
                found += piece
                if not piece and not is_over:
                    time.sleep(0.02)  # it has closed its output and goes on
            is_read = is_over and not piece
            if len(found) > ASK_BYTES_MAX:
                why = f"printed more than {ASK_BYTES_MAX // 1024} KiB"
            elif time.monotonic() > deadline and not is_read:
                why = f"did not end within {ASK_TIMEOUT_S} s"
    return found[:ASK_BYTES_MAX].decode("utf-8", "replace"), why


def _is_over(child: subprocess.Popen[bytes]) -> bool:
    """Say whether it has ended, without reaping it."""
    flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
    return os.waitid(os.P_PID, child.pid, flags) is not None


def why_no_program(path: Path) -> str:
    """Say in one sentence why a path is no program that can be run; "" = it looks like one."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        is_link = path.is_symlink()
        return f"{path} is a link to nothing" if is_link else f"there is no file {path}"
    except OSError as exc:
        return f"{path} cannot be looked at: {exc.strerror}"
    if stat.S_ISDIR(facts.st_mode):
        return f"{path} is a folder; want the program itself"
    if not stat.S_ISREG(facts.st_mode):
        return f"{path} is no file"
    if not os.access(path, os.X_OK):
        return f"{path} is not executable (mode {stat.S_IMODE(facts.st_mode):04o})"
    return ""


def own_folders(program: Path) -> list[Path]:
    """Give the folder of a program and, where it is a link, also that of what it leads to."""
    return list(dict.fromkeys([program.parent, program.resolve().parent]))


def search_path(program: Path, path: str, more: Iterable[str] = ()) -> str:
    """Give a PATH on which a program's own folders come first."""
    folders = [*map(str, own_folders(program)), *path.split(os.pathsep), *more]
    return os.pathsep.join(dict.fromkeys(folder for folder in folders if folder))


def missing_on(path: str, names: Iterable[str]) -> list[str]:
    """Give the programs that no folder of a PATH has."""
    return [name for name in names if shutil.which(name, path=path) is None]


def why_missing(program: Path, path: str, missing: Sequence[str]) -> str:
    """Say in one sentence what a program lacks on a PATH; "" = nothing."""
    if not missing:
        return ""
    return (
        f"{program} needs {', '.join(missing)}, found neither in its own folder nor on "
        f"PATH: put it beside the binary, or install it (looked in {path})"
    )


def newest_change(path: Path) -> float:
    """Give the time of a file's last change, whatever time whoever wrote it has set."""
    facts = path.stat()
    return max(facts.st_mtime, facts.st_ctime)
