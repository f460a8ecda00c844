"""The standard streams of containers, which live as long as the daemon knows the container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePath

from refimpl.daemon.containers.container import Container
from refimpl.daemon.logs import JSONFileLog
from refimpl.daemon.stdio import StdioLoop, Streams
from refimpl.oci.base import Process


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContainerStreams:
    """Every container's streams."""

    loop: StdioLoop
    clock: Callable[[], datetime]
    _streams: dict[str, Streams] = field(default_factory=dict, init=False)

    def of(self, container: Container) -> Streams:
        """Return a container's streams."""
        with container.lock:
            streams = self._streams.get(container.id)
            if streams is None:
                streams = self._streams[container.id] = Streams(
                    self.loop,
                    tty=container.config.tty,
                    stdin_once=container.config.stdin_once,
                    log=JSONFileLog(log_path(container), self.clock),
                )
            return streams

    def watch(self, process: Process, streams: Streams, ended: Callable[[Process], None]) -> None:
        """Read a process until it ends; `ended` is then called on the loop's thread."""
        self.loop.watch(process, streams, ended)

    def end(self, container: Container) -> None:
        """End what clients are attached to: there is no process, and none will come."""
        streams = self._streams.get(container.id)
        if streams is not None:
            streams.end()

    def forget(self, container: Container) -> None:
        """Forget a removed container's streams, and end what clients are attached to."""
        self.end(container)
        self._streams.pop(container.id, None)


def log_path(container: Container) -> str:
    """Return where a container's log is written."""
    return str(PurePath(container.root, f"{container.id}-json.log"))
