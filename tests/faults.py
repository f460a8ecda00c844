"""Wrappers that make the n-th operation fail, or kill the process at it, and one that counts.

They fit any object of the engine's Protocols (kernel, files, store, runtime): wrap all of them
with one and the same instance, and their operations are numbered through in one sequence. Run a
scenario once with `Recorder` to learn how many there are, then once per number.

    recorder = FailingAt(7)
    Controller(kernel=recorder.wrap(kernel, "kernel"), files=recorder.wrap(files, "files"), ...)

Nothing in the engine knows of this module; a test composes it in.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable, Collection
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Moment(Enum):
    """When the fault strikes: the operation has not been done yet, or is done already."""

    BEFORE = "before"
    AFTER = "after"


class InjectedFault(OSError):
    """The failure of an operation that was chosen to fail; EIO, as from broken hardware."""

    def __init__(self, operation: str, number: int, moment: Moment) -> None:
        super().__init__(
            errno.EIO, f"injected fault {moment.value} operation {number}: {operation}"
        )


class Recorder:
    """Counts the operations of every object that it wraps, and strikes at none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The operations begun so far, in order, as `label.method`; the first is number 1."""
        with self._lock:
            return tuple(self._names)

    def wrap(self, target: T, label: str, *, uncounted: Collection[str] = ("close",)) -> T:
        """Return an object with the methods of `target`, each call of which counts as one.

        Args:
            target: anything whose public methods are its operations; its properties are passed on.
            label: what its operations are called by.
            uncounted: methods that are passed on without counting.
        """
        return cast(T, _Wrapped(self, target, label, frozenset(uncounted)))

    def run(self, name: str, operation: Callable[[], T]) -> T:
        """Count an operation and do it; for what is not a method of a wrapped object."""
        with self._lock:
            self._names.append(name)
            number = len(self._names)
        self._strike(name, number, Moment.BEFORE)
        result = operation()
        try:
            self._strike(name, number, Moment.AFTER)
        except BaseException:
            _let_go(result)
            raise
        return result

    def _strike(self, name: str, number: int, moment: Moment) -> None:
        """Do what the fault is; called before and after each operation."""


class FailingAt(Recorder):
    """Raises InjectedFault at the n-th operation; all others, later ones too, are done.

    Args:
        number: of the operation, from 1.
        moment: AFTER is the nastier one: the caller hears of a failure, and yet it was done.
    """

    def __init__(self, number: int, moment: Moment = Moment.BEFORE) -> None:
        super().__init__()
        self._at = (number, moment)

    def _strike(self, name: str, number: int, moment: Moment) -> None:
        if (number, moment) == self._at:
            raise InjectedFault(name, number, moment)


class CrashingAt(Recorder):
    """Kills its own process at the n-th operation, as a power cut to the daemon would.

    Args:
        number: of the operation, from 1.
        moment: whether the operation is done first.
    """

    def __init__(self, number: int, moment: Moment = Moment.BEFORE) -> None:
        super().__init__()
        self._at = (number, moment)

    def _strike(self, name: str, number: int, moment: Moment) -> None:
        if (number, moment) == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


class _Wrapped:
    """Delegates everything to its target, and its public methods by way of the recorder."""

    def __init__(
        self, recorder: Recorder, target: Any, label: str, uncounted: frozenset[str]
    ) -> None:
        self._recorder = recorder
        self._target = target
        self._label = label
        self._uncounted = uncounted

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if name.startswith("_") or name in self._uncounted or not callable(value):
            return value

        def operation(*args: Any, **kwargs: Any) -> Any:
            return self._recorder.run(f"{self._label}.{name}", lambda: value(*args, **kwargs))

        return operation


def _let_go(result: object) -> None:
    """Close what an operation had opened for a caller who will never get it."""
    for one in result if isinstance(result, tuple) else (result,):
        close = getattr(one, "close", None)
        if callable(close):
            with contextlib.suppress(OSError):
                close()
