"""What happens when a container ends, and restarting it.

Mirrors: moby daemon/{monitor,restart}.go (v20.10).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from refimpl.daemon.core import log
from refimpl.daemon.restart_manager import Timers
from refimpl.daemon.start import Starting
from refimpl.errors import EngineError
from refimpl.model.container import Container
from refimpl.oci.base import Process


class Monitoring(Starting):
    """The part of the daemon that notices ends, and starts again."""

    timers: Timers

    def process_ended(self, container: Container) -> Callable[[Process], None]:
        """Return what the stdio loop calls: the handling of an end, on a worker."""
        return lambda process: self._submit(lambda: self.handle_container_exit(container, process))

    def _submit(self, work: Callable[[], None]) -> None:
        def logged() -> None:
            try:
                work()
            except Exception:  # noqa: BLE001 - nobody else would hear of it
                log.exception("background work failed")

        self.workers.submit(logged)

    def handle_container_exit(self, container: Container, process: Process) -> None:
        """Reap a container, release what it had, and restart or remove it as was asked.

        Order: the `die` event, then the network; v23 turned that round.

        Mirrors: moby daemon/monitor.go handleContainerExit (v20.10).
        """
        with container.lock:
            exit_code = self.runtime.wait(process)
            self.streams.end(container)
            close_process(process)
            restart_in_s = self._set_ended(container, exit_code)
            is_to_be_removed = (
                restart_in_s is None
                and container.host_config.auto_remove
                and not container.has_been_manually_restarted
            )
            self.log_container_event(container, "die", {"exitCode": str(exit_code)})
            self.cleanup(container)
            self.try_checkpoint(container)
            container.ends.run_ended(exit_code)
        if restart_in_s is not None:
            self._restart_later(container, exit_code, restart_in_s)
        elif is_to_be_removed:
            self.guarded("auto remove", container, lambda: self.remove_automatically(container))

    def _set_ended(self, container: Container, exit_code: int) -> float | None:
        """Enter `restarting` or `exited`; return in how many seconds to restart, if at all."""
        now = self.clock()
        manager = self.restart_managers.get(container.id)
        delay_s = None
        if manager is not None:
            delay_s = manager.should_restart(
                exit_code,
                has_been_manually_stopped=(
                    self.shutting_down.is_set() or container.has_been_manually_stopped
                ),
                ran_s=(now - container.state.started_at).total_seconds(),
            )
        if delay_s is None or self.shutting_down.is_set():
            container.state.set_stopped(exit_code, now)
            return None
        container.restart_count += 1
        container.state.set_restarting(exit_code, now)
        return delay_s

    def _restart_later(self, container: Container, exit_code: int, delay_s: float) -> None:
        def then(go_on: bool) -> None:
            self._submit(lambda: self._restart(container, exit_code, go_on=go_on))

        self.restart_managers[container.id].wait(self.timers, delay_s, then)

    def _restart(self, container: Container, exit_code: int, *, go_on: bool) -> None:
        """Start again, or turn `restarting` into `exited`."""
        try:
            if go_on and not self.shutting_down.is_set():
                self.start_container(container, reset_restart_manager=False)
                return
        except (OSError, EngineError) as error:
            log.warning("failed to restart container %s: %s", container.id, error)
        with container.lock:
            container.state.set_stopped(container.state.exit_code or exit_code, self.clock())
            self.try_checkpoint(container)
        container.ends.run_ended(exit_code)

    def container_restart(self, ref: str, timeout_s: int | None) -> None:
        """Stop a container if it runs, and start it (moby: ContainerRestart)."""
        container = self.get_container(ref)
        try:
            if container.state.running:
                auto_remove = container.host_config.auto_remove
                container.host_config.auto_remove = False
                try:
                    self.stop_container(container, timeout_s)
                finally:
                    container.host_config.auto_remove = auto_remove
            self.start_container(container, reset_restart_manager=True)
        except (OSError, EngineError) as error:
            raise EngineError(f"Cannot restart container {ref}: {error}") from error
        self.log_container_event(container, "restart")


def close_process(process: Process) -> None:
    """Close what is left of a process's descriptors after its end."""
    for descriptor in (process.pidfd, process.console):
        if descriptor is not None:
            os.close(descriptor)
