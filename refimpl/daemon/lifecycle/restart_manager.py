"""Restart policies: whether a container that ended is started again, and when.

Mirrors: moby restartmanager/restartmanager.go (v20.10).
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from refimpl.model.wire_container import RestartPolicy

log = logging.getLogger(__name__)

BACKOFF_FACTOR = 2
DEFAULT_TIMEOUT_S = 0.1
MAX_TIMEOUT_S = 60.0
STABLE_S = 10.0
"""A run this long resets the backoff."""


class Timers:
    """One thread that calls what is due; a call must be short, and its failure is logged."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
        self._thread.start()

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call something in `delay_s` seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), call))
            self._changed.notify_all()

    def close(self) -> None:
        """Stop; what is not due yet is not called."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                if self._closed:
                    return
                if not self._due or self._due[0][0] > now:
                    self._changed.wait(self._due[0][0] - now if self._due else None)
                    continue
                _, _, call = heapq.heappop(self._due)
            try:
                call()
            except Exception:
                log.exception("what was due failed")


class RestartManager:
    """The restarts of one container since its user started it."""

    def __init__(self, policy: RestartPolicy, restart_count: int = 0) -> None:
        self._policy = policy
        self._restart_count = restart_count
        self._timeout_s = 0.0
        self._lock = threading.Lock()
        self._waiting: Callable[[bool], None] | None = None
        self.is_canceled = False

    def should_restart(
        self, exit_code: int, *, has_been_manually_stopped: bool, ran_s: float
    ) -> float | None:
        """Return in how many seconds to start again, or None for not at all."""
        with self._lock:
            if self._policy.name in {"", "no"} or self.is_canceled:
                return None
            self._timeout_s = self._next_timeout(ran_s)
            if not self._wants_restart(exit_code, has_been_manually_stopped):
                return None
            self._restart_count += 1
            return self._timeout_s

    def _next_timeout(self, ran_s: float) -> float:
        if ran_s >= STABLE_S or self._timeout_s == 0:
            return DEFAULT_TIMEOUT_S
        return min(self._timeout_s * BACKOFF_FACTOR, MAX_TIMEOUT_S)

    def _wants_restart(self, exit_code: int, has_been_manually_stopped: bool) -> bool:
        if self._policy.name == "always":
            return True
        if self._policy.name == "unless-stopped":
            return not has_been_manually_stopped
        limit = self._policy.maximum_retry_count
        return exit_code != 0 and (limit == 0 or self._restart_count < limit)

    def wait(self, timers: Timers, delay_s: float, then: Callable[[bool], None]) -> None:
        """Call `then(True)` after the delay, or `then(False)` at once when canceled before."""
        with self._lock:
            is_canceled = self.is_canceled
            if not is_canceled:
                self._waiting = then
        if is_canceled:
            then(False)
        else:
            timers.call_later(delay_s, lambda: self._finish(go_on=True))

    def cancel(self) -> None:
        """Restart no more, even if a restart is being waited for."""
        with self._lock:
            self.is_canceled = True
        self._finish(go_on=False)

    def _finish(self, *, go_on: bool) -> None:
        with self._lock:
            then, self._waiting = self._waiting, None
        if then is not None:
            then(go_on)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RestartManagers:
    """The restart managers of all containers that a user has started."""

    _managers: dict[str, RestartManager] = field(default_factory=dict, init=False)

    def begin(self, container_id: str, policy: RestartPolicy) -> None:
        """Give a container that its user starts a new manager."""
        self._managers[container_id] = RestartManager(policy)

    def get(self, container_id: str) -> RestartManager | None:
        """Return a container's manager; None where no user has started it."""
        return self._managers.get(container_id)

    def cancel(self, container_id: str) -> None:
        """Restart a container no more."""
        manager = self._managers.get(container_id)
        if manager is not None:
            manager.cancel()

    def forget(self, container_id: str) -> None:
        """Forget a removed container."""
        self._managers.pop(container_id, None)
