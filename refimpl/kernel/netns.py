"""Network namespaces: the threads that enter them, and the files that pin them.

A namespace belongs to a thread. So that no thread that serves a request ever changes its own,
long-lived threads do every unshare and setns, one to make namespaces and one to visit them, and
hand out what they opened inside: sockets stay bound to the namespace they were opened in, whoever
uses them.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from refimpl.kernel import libc, mounts

T = TypeVar("T")

_OWN_NAMESPACE = "/proc/thread-self/ns/net"


class Visit(Generic[T]):
    """One errand of a namespace thread; `result` waits for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._is_done = threading.Lock()
        self._is_done.acquire()
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do the work, and let `result` return."""
        try:
            self._results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            self._error = error
        self._is_done.release()

    def result(self) -> T:
        """Wait, once, and return what the work returned or raise what it raised."""
        self._is_done.acquire()
        if self._error is not None:
            raise self._error
        return self._results[0]


class NamespaceThread:
    """Runs callables inside network namespaces, one at a time.

    Every visit starts with an unshare or a setns of its own, so nothing depends on where the
    thread was before; it goes home afterwards only so as not to keep a namespace alive.

    (An executor of the standard library would do; its hand-over takes twice as long, and a start
    that finds no spare waits for one.)

    Attributes:
        home: a descriptor of the daemon's own namespace.
    """

    def __init__(self) -> None:
        self.home = open_own()
        self._visits: SimpleQueue[Visit[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="netns", daemon=True)
        self._thread.start()

    def begin_new(self, work: Callable[[], T]) -> Visit[T]:
        """Have `work` run in a new namespace, which ends unless `work` pins or opens it."""

        def visit() -> T:
            libc.unshare(libc.CLONE_NEWNET)
            return self._run_and_go_home(work)

        return self.begin(visit)

    def begin(self, work: Callable[[], T]) -> Visit[T]:
        """Have `work` run in the daemon's own namespace, after everything that was begun before."""
        if self.home < 0:
            raise RuntimeError("the namespace thread has ended")
        visit = Visit(work)
        self._visits.put(visit)
        return visit

    def inside(self, key: str, work: Callable[[], T]) -> T:
        """Run `work` in the namespace that is pinned at `key`.

        Raises:
            OSError: ENOENT when there is no such file, EINVAL when it pins no namespace.
        """

        def visit() -> T:
            descriptor = os.open(key, os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc.setns(descriptor, libc.CLONE_NEWNET, key)
            finally:
                os.close(descriptor)
            return self._run_and_go_home(work)

        return self.begin(visit).result()

    def close(self) -> None:
        """End the thread; nobody may send it anywhere any more."""
        if self.home >= 0:
            self._visits.put(None)
            self._thread.join()
            os.close(self.home)
            self.home = -1

    def _serve(self) -> None:
        while (visit := self._visits.get()) is not None:
            visit.run()

    def _run_and_go_home(self, work: Callable[[], T]) -> T:
        try:
            return work()
        finally:
            libc.setns(self.home, libc.CLONE_NEWNET, "of the daemon")


def open_own() -> int:
    """Return a descriptor of the calling thread's namespace."""
    return os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)


def pin(key: str, namespace: str = _OWN_NAMESPACE) -> None:
    """Keep a namespace alive at `key`, a new file.

    Args:
        key: the file.
        namespace: a path that stands for it; if left out, the calling thread's own.

    Raises:
        OSError: EEXIST when the file is there already; nothing is left behind.
    """
    try:
        _create(key)
    except FileNotFoundError:
        Path(key).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _create(key)
    try:
        libc.mount(namespace, key, None, libc.MS_BIND)
    except BaseException:
        Path(key).unlink(missing_ok=True)
        raise


def _create(key: str) -> None:
    os.close(os.open(key, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))


def unpin(key: str) -> None:
    """Unmount whatever is mounted at `key`, and remove the file; no error when it is not there."""
    mounts.unmount(key)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(key)  # noqa: PTH108 - a Path of it takes longer than the call


def is_pinned(key: str) -> bool:
    """Say whether `key` pins the calling thread's own namespace."""
    try:
        return Path(key).samefile(_OWN_NAMESPACE)
    except FileNotFoundError:
        return False
