"""Restarting a container at a client's wish.

Mirrors: moby daemon/restart.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.errors import EngineError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Restarter:
    """Stops containers and starts them again.

    Attributes:
        stop_container: stops one within a timeout in seconds; None: its own.
        start_container: starts it.
    """

    containers: ContainerRegistry
    stop_container: Callable[[Container, int | None], None]
    start_container: Callable[[Container], None]
    events: Events

    def container_restart(self, ref: str, timeout_s: int | None) -> None:
        """Stop a container if it runs, and start it (moby: ContainerRestart)."""
        container = self.containers.get_container(ref)
        try:
            if container.state.running:
                auto_remove = container.host_config.auto_remove
                container.host_config.auto_remove = False
                try:
                    self.stop_container(container, timeout_s)
                finally:
                    container.host_config.auto_remove = auto_remove
            self.start_container(container)
        except (OSError, EngineError) as error:
            raise EngineError(f"Cannot restart container {ref}: {error}") from error
        self.events.log_container(container, "restart")
