"""The reference as a program whose locks record the order in which threads ask for them.

    python -m tests.kernel.recorded_engine FILE [the reference's own arguments]

While it runs, each lock that `refimpl` makes notes which other locks its thread holds already.
When it ends, FILE has the pairs (held, asked for) as JSON, and what was started or read while a
lock was held: `(program)` is a child process, `(file)` a file that is read whole.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import linecache
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

PACKAGE = str(Path(__file__).resolve().parents[2] / "refimpl")
PROGRAM, FILE = "(program)", "(file)"
_REAL = {"Lock": threading.Lock, "RLock": threading.RLock}
_ATTRIBUTE = re.compile(r"self\.(\w+)\b.*=.*(Lock|Condition)\(")
"""Where a lock is made. Events and threads have locks too, which they hold for nobody."""
SIGNALS = frozenset({"Visit._is_done"})
"""Locks that one thread takes and another releases: they guard nothing."""

pairs: set[tuple[str, str]] = set()
_held = threading.local()


def held() -> list[RecordingLock]:
    """Return the locks that this thread holds, oldest first."""
    if not hasattr(_held, "locks"):
        _held.locks = []
    locks: list[RecordingLock] = _held.locks
    return locks


def note(wanted: str) -> None:
    """Note that this thread asks for something while it holds what it holds."""
    pairs.update((lock.name, wanted) for lock in held())


class RecordingLock:
    """A lock of the standard library with a name."""

    def __init__(self, real: Any, name: str) -> None:
        self.name = name
        self._real = real

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Note what is held, and acquire."""
        if blocking and self not in held():
            note(self.name)
        taken: bool = self._real.acquire(blocking, timeout)
        if taken:
            held().append(self)
        return taken

    def release(self) -> None:
        """Release; a lock may be released by another thread than the one that took it."""
        self._real.release()
        locks = held()
        for place in range(len(locks) - 1, -1, -1):
            if locks[place] is self:
                del locks[place]
                return

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def __getattr__(self, name: str) -> Any:
        # what a Condition asks of its lock: it counts as held while the thread waits
        return getattr(self._real, name)


def make(kind: str) -> Any:
    """Make a lock for whoever asks: one that records where `refimpl` does."""
    real = _REAL[kind]()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == threading.__file__:
        frame = frame.f_back
    name = _name(frame) if frame is not None else None
    return real if name is None else RecordingLock(real, name)


def _name(frame: FrameType) -> str | None:
    """Return `Class.attribute` of the lock that a frame makes; None outside `refimpl`."""
    owner = frame.f_locals.get("self")
    if owner is None or not type(owner).__module__.startswith("refimpl"):
        return None
    if frame.f_code.co_filename.startswith(PACKAGE):
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        found = _ATTRIBUTE.search(line)
        name = f"{type(owner).__name__}.{found[1]}" if found else None
        return None if name in SIGNALS else name
    if dataclasses.is_dataclass(owner):  # the generated constructor
        for field in dataclasses.fields(owner):
            if field.default_factory in FACTORIES:
                return f"{type(owner).__name__}.{field.name}"
    return None


FACTORIES: tuple[Callable[[], Any], ...] = (
    functools.partial(make, "Lock"),
    functools.partial(make, "RLock"),
)


def noting(wanted: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call that notes first."""

    @functools.wraps(call)
    def noted(*args: Any, **kwargs: Any) -> Any:
        note(wanted)
        return call(*args, **kwargs)

    return noted


def main() -> int:
    """Patch the standard library, run the program, and write down what was recorded."""
    target = Path(sys.argv.pop(1))
    threading.Lock, threading.RLock = FACTORIES  # type: ignore[assignment]
    subprocess.Popen.__init__ = noting(PROGRAM, subprocess.Popen.__init__)  # type: ignore[method-assign]
    from refimpl.__main__ import main as program  # noqa: PLC0415 - after the patches
    from refimpl.kernel.files import LinuxFiles  # noqa: PLC0415

    LinuxFiles.read = noting(FILE, LinuxFiles.read)  # type: ignore[method-assign]
    try:
        return program(sys.argv[1:])
    finally:
        target.write_text(json.dumps(sorted(pairs)))


if __name__ == "__main__":
    sys.exit(main())
