"""What happens when a container ends.

Mirrors: moby daemon/monitor.go (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import Workers, guarded
from refimpl.daemon.events.events import Events
from refimpl.daemon.lifecycle.cleanup import Cleanup
from refimpl.daemon.lifecycle.process import UNKNOWN, close_process
from refimpl.daemon.lifecycle.restart_manager import RestartManagers, Timers
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.errors import EngineError
from refimpl.oci.base import Process, Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Monitor:
    """Handles the ends of containers, and starts again what its policy wants started.

    Attributes:
        start_container: starts a container again.
        remove_automatically: removes a container with AutoRemove.
        is_shutting_down: tells whether the daemon itself ends.
    """

    clock: Callable[[], datetime]
    runtime: Runtime
    streams: StreamsRegistry
    cleanup: Cleanup
    checkpoints: Checkpoints
    events: Events
    restart_managers: RestartManagers
    timers: Timers
    workers: Workers
    start_container: Callable[[Container], None]
    remove_automatically: Callable[[Container], None]
    is_shutting_down: Callable[[], bool]

    def process_ended(self, container: Container, process: Process) -> None:
        """Have an end handled by a worker; the stdio loop calls this."""
        self.workers.submit(lambda: self.handle_container_exit(container, process))

    def handle_container_exit(self, container: Container, process: Process) -> None:
        """Reap a container, release what it had, and restart or remove it as was asked.

        Order: the `die` event, then the network; v23 turned that round.

        Mirrors: moby daemon/monitor.go handleContainerExit (v20.10).
        """
        with container.lock:
            exit_code = self._reap(container, process)
            guarded("end streams", container, lambda: self.streams.end(container))
            close_process(process)
            restart_in_s = self._set_ended(container, exit_code)
            is_to_be_removed = restart_in_s is None and container.host_config.auto_remove
            self.events.log_container(container, "die", {"exitCode": str(exit_code)})
            self.cleanup.cleanup(container)
            self.checkpoints.try_checkpoint(container)
            container.ends.run_ended(exit_code)
        if restart_in_s is not None:
            self._restart_later(container, exit_code, restart_in_s)
        elif is_to_be_removed:
            guarded("auto remove", container, lambda: self.remove_automatically(container))

    def _reap(self, container: Container, process: Process) -> int:
        """Return the exit code; UNKNOWN where the runtime cannot tell it."""
        try:
            return self.runtime.wait(process)
        except (OSError, EngineError):
            log.exception("the exit code of container %s is not known", container.id)
            return UNKNOWN

    def _set_ended(self, container: Container, exit_code: int) -> float | None:
        """Enter `restarting` or `exited`; return in how many seconds to restart, if at all."""
        now = self.clock()
        manager = self.restart_managers.get(container.id)
        delay_s = None
        if manager is not None:
            delay_s = manager.should_restart(
                exit_code,
                has_been_manually_stopped=(
                    self.is_shutting_down() or container.has_been_manually_stopped
                ),
                ran_s=(now - container.state.started_at).total_seconds(),
            )
        if delay_s is None or self.is_shutting_down():
            container.state.set_stopped(exit_code, now)
            return None
        container.restart_count += 1
        container.state.set_restarting(exit_code, now)
        return delay_s

    def _restart_later(self, container: Container, exit_code: int, delay_s: float) -> None:
        def then(go_on: bool) -> None:
            self.workers.submit(lambda: self._restart(container, exit_code, go_on=go_on))

        manager = self.restart_managers.get(container.id)
        if manager is not None:  # else it was removed meanwhile
            manager.wait(self.timers, delay_s, then)

    def _restart(self, container: Container, exit_code: int, *, go_on: bool) -> None:
        """Start again, or turn `restarting` into `exited`."""
        try:
            if go_on and not self.is_shutting_down():
                self.start_container(container)
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, the container has ended
            log.warning("failed to restart container %s: %s", container.id, error)
        with container.lock:
            container.state.set_stopped(container.state.exit_code or exit_code, self.clock())
            self.checkpoints.try_checkpoint(container)
        container.ends.run_ended(exit_code)
