"""An orderly end: containers stop, networks stay.

Mirrors: moby daemon/daemon.go Shutdown, shutdownContainer (v20.10).
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import guarded
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.lifecycle.stop import Stopper

AT_ONCE = 8
"""Containers that are stopped side by side."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shutdown:
    """Stops every container when the daemon ends."""

    begun: threading.Event
    containers: ContainerRegistry
    stopper: Stopper

    def stop_containers(self) -> None:
        """Stop every container within its own timeout."""
        self.begun.set()
        running = [container for container in self.containers if container.state.running]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="shutdown") as pool:
            list(pool.map(self._stop, running))

    def _stop(self, container: Container) -> None:
        if container.state.paused:
            guarded("unpause", container, lambda: self.stopper.container_unpause(container.id))
        guarded("stop", container, lambda: self.stopper.stop_container(container, None))
