"""The daemon's metrics, under the names that every engine of the family exports.

Mirrors: moby daemon/metrics.go (v20.10): `networkActions`, a labelled timer of docker/go-metrics.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Histogram

    from refimpl.daemon.events.exposition import Exposition


class NetworkActions:
    """How long each network action took; a label exists from its first action on.

    Args:
        histogram: returns what the times go to; asked at the first of each action.
    """

    def __init__(self, histogram: Callable[[], Histogram]) -> None:
        self._histogram = histogram
        self._by_action: dict[str, Histogram] = {}

    @staticmethod
    def now() -> float:
        """Return the start of an action, for `update_since`."""
        return time.perf_counter()

    def update_since(self, action: str, start: float) -> None:
        """Count one finished action (`allocate`, `connect`, `release`, `update`)."""
        seconds = time.perf_counter() - start
        timer = self._by_action.get(action)
        if timer is None:
            timer = self._by_action[action] = self._histogram().labels(action)
        timer.observe(seconds)


class Metrics:
    """The metrics of one daemon, and the HTTP server that shows them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._exposition: Exposition | None = None
        self.network_actions = NetworkActions(lambda: self._exposed().network_actions)

    @property
    def registry(self) -> CollectorRegistry:
        """What the server shows."""
        return self._exposed().registry

    def _exposed(self) -> Exposition:
        with self._lock:
            if self._exposition is None:
                from refimpl.daemon.events.exposition import Exposition  # noqa: PLC0415 - it says why

                self._exposition = Exposition()
            return self._exposition

    def serve(self, host: str, port: int) -> None:
        """Serve GET /metrics at a host's address and port.

        Raises:
            OSError: it cannot be bound.
        """
        self._exposed().serve(host, port)

    def close(self) -> None:
        """Stop serving."""
        if self._exposition is not None:
            self._exposition.close()
