"""The streams of every container that the daemon knows.

Mirrors: moby container/container.go StreamConfig, StartLogger (v20.10).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from refimpl.daemon.containers.container import Container
from refimpl.daemon.streams.json_log import open_container_log
from refimpl.daemon.streams.session import Streams
from refimpl.errors import EngineError
from refimpl.oci.base import Process


class StreamsRegistry:
    """Makes, finds and ends the streams of containers, by their id.

    It has a lock of its own, so that who reads a log does not wait for a container's start.
    """

    def __init__(self, resume: Callable[[Process], None], clock: Callable[[], datetime]) -> None:
        """Make an empty registry.

        Args:
            resume: what reads a paused process on (`StdioLoop.resume`).
            clock: the time of a log's entries.
        """
        self._resume = resume
        self._clock = clock
        self._lock = threading.Lock()
        self._by_id: dict[str, Streams] = {}

    def of(self, container: Container) -> Streams:
        """Return a container's streams, which live as long as the daemon knows it."""
        with self._lock:
            streams = self._by_id.get(container.id)
            if streams is None:
                try:
                    log = open_container_log(container, self._clock)
                except EngineError:
                    log = None  # such a container is never started, see `log_options`
                streams = Streams(
                    self._resume,
                    tty=container.config.tty,
                    stdin_once=container.config.stdin_once,
                    name=f"container {container.id[:12]} ({container.name.removeprefix('/')})",
                    log=log,
                )
                if not container.state.dead:  # else nobody would forget them
                    self._by_id[container.id] = streams
            return streams

    def end(self, container: Container) -> None:
        """End what clients are attached to: there is no process, and none will come."""
        with self._lock:
            streams = self._by_id.get(container.id)
        if streams is not None:
            streams.end()

    def forget(self, container: Container) -> None:
        """End a dead container's streams, and know them no more; its files are in no use then."""
        with self._lock:
            streams = self._by_id.pop(container.id, None)
        if streams is not None:
            streams.end()
            if streams.log is not None:
                streams.log.files.stop_compressing()
