"""Waiting for the end of a container's run, or for its removal.

Mirrors: moby daemon/wait.go, container/state.go Wait (v20.10).
"""

from __future__ import annotations

import threading

from refimpl.daemon.backend import WaitResult
from refimpl.daemon.containers.container import Container


class ContainerWaiter:
    """A wait for a container's next end, or for its removal."""

    def __init__(self, container: Container, condition: str, *, is_running: bool) -> None:
        self._ends = container.ends
        self._at_once = condition == "not-running" and not is_running
        self._wants_removal = condition == "removed"
        self._exit_code = container.state.exit_code
        with self._ends.changed:
            self._runs = self._ends.runs

    def result(self, timeout_s: float | None) -> WaitResult | None:
        """Return how it ended, or None when it did not within `timeout_s` seconds.

        A time that is too long for the machine to wait (292 years) is for ever, like None.
        """
        if timeout_s is not None and timeout_s > threading.TIMEOUT_MAX:
            timeout_s = None
        if self._at_once:
            return WaitResult(status_code=self._exit_code)
        with self._ends.changed:
            if not self._ends.changed.wait_for(self._is_over, timeout_s):
                return None
            ended_meanwhile = self._ends.runs > self._runs
            return WaitResult(
                status_code=self._ends.exit_code if ended_meanwhile else self._exit_code
            )

    def _is_over(self) -> bool:
        if self._wants_removal:
            return self._ends.is_removed
        return self._ends.runs > self._runs or self._ends.is_removed

    def close(self) -> None:
        """Give up; a wait holds nothing."""
