"""The metrics as Prometheus knows them: one registry, its histogram, and the server that shows it.

A module of its own, because to load prometheus_client takes a tenth of a boot: `metrics` imports it
when there is the first figure, and the program when the daemon answers, whichever comes first.
"""

from __future__ import annotations

from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Exposition:
    """The registry of one daemon with all that it shows, and the HTTP server, if there is one."""

    def __init__(self) -> None:
        # the engines of the family have no such series
        disable_created_metrics()  # type: ignore[no-untyped-call] # unannotated in the library
        self.registry = CollectorRegistry()
        self.network_actions = Histogram(
            "engine_daemon_network_actions_seconds",
            "The number of seconds it takes to process each network action",
            ["action"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._server: tuple[WSGIServer, Thread] | None = None

    def serve(self, host: str, port: int) -> None:
        """Serve GET /metrics.

        Raises:
            OSError: the address cannot be bound.
        """
        self._server = start_http_server(port, addr=host, registry=self.registry)

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()
            self._server = None
