"""Work whose failure is logged and ends nothing else: steps of a teardown, and the worker pool."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from refimpl.daemon.containers.container import Container

log = logging.getLogger(__name__)

WORKERS = 16
"""Threads for what happens after an exit."""


def guarded(what: str, container: Container, action: Callable[[], object]) -> None:
    """Do one step of a teardown; a failure is logged, and the teardown goes on.

    Args:
        what: the step, as the log calls it.
        container: the container that is named in the log.
        action: the step itself.
    """
    try:
        action()
    except Exception:
        log.exception("%s: container %s", what, container.id)


class Workers:
    """A small pool for what follows the end of a process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="daemon")
        self._pool.submit(lambda: None)  # one thread at least, for when no more can be started

    def submit(self, work: Callable[[], None]) -> None:
        """Do something soon, on a thread of the pool; a failure is logged."""

        def logged() -> None:
            try:
                work()
            except Exception:
                log.exception("background work failed")

        try:
            self._pool.submit(logged)
        except RuntimeError as error:
            # the work is queued all the same, and done by a thread that there is
            log.warning("no more worker can be started: %s", error)

    def close(self) -> None:
        """Wait until everything that was submitted is done."""
        self._pool.shutdown(wait=True)
