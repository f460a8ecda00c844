"""The daemon's metrics, under the names that every engine of the family exports.

Mirrors: moby daemon/metrics.go (v20.10): `networkActions`, a labelled timer of docker/go-metrics.
"""

from __future__ import annotations

import time
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class NetworkActions:
    """How long each network action took; a label exists from its first action on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # the engines of the family have no such series
        disable_created_metrics()  # type: ignore[no-untyped-call] # unannotated in the library
        self._histogram = Histogram(
            "engine_daemon_network_actions_seconds",
            "The number of seconds it takes to process each network action",
            ["action"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._by_action: dict[str, Histogram] = {}

    @staticmethod
    def now() -> float:
        """Return the start of an action, for `update_since`."""
        return time.perf_counter()

    def update_since(self, action: str, start: float) -> None:
        """Count one finished action (`allocate`, `connect`, `release`, `update`)."""
        timer = self._by_action.get(action)
        if timer is None:
            timer = self._by_action[action] = self._histogram.labels(action)
        timer.observe(time.perf_counter() - start)


class Metrics:
    """The registry of one daemon, and the HTTP server that shows it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.network_actions = NetworkActions(self.registry)
        self._server: tuple[WSGIServer, Thread] | None = None

    def serve(self, address: str) -> None:
        """Serve GET /metrics at `host:port`.

        Raises:
            ValueError: the address is not `host:port`.
            OSError: the address cannot be bound.
        """
        host, separator, port = address.rpartition(":")
        if not separator or not port.isdigit():
            raise ValueError(f"invalid metrics address {address!r}: expected HOST:PORT")
        try:
            self._server = start_http_server(int(port), addr=host, registry=self.registry)
        except OSError as error:
            raise OSError(f"serve metrics at {address}: {error.strerror or error}") from error

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None
