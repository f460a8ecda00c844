"""Starting a container: root file system, network, process, and the way back when one fails.

Mirrors: moby daemon/{start,oci_linux,monitor}.go containerStart, createSpec, Cleanup (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refimpl.daemon.config import DEFAULT_RUNTIME
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import guarded
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.lifecycle.cleanup import Cleanup
from refimpl.daemon.lifecycle.process import abandon
from refimpl.daemon.lifecycle.restart_manager import RestartManagers
from refimpl.daemon.lifecycle.root_filesystem import RootFilesystems
from refimpl.daemon.lifecycle.spec import Specs
from refimpl.daemon.lifecycle.start_errors import translate_start_error
from refimpl.daemon.streams.json_log import container_log_path
from refimpl.daemon.streams.log_options import log_options
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.daemon.streams.stdio import StdioLoop
from refimpl.errors import Conflict, EngineError, NotModified, message_of
from refimpl.oci.base import Process, Runtime, RuntimeFailure
from refimpl.oci.users import UnknownUser

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Starter:
    """Starts containers.

    Attributes:
        initialize_networking: gives it its network (`networking.py`).
        clean_up_left_over: removes what a run under the last daemon left.
        process_ended: is called when the first process has ended, on the stdio loop's thread.
        remove_automatically: removes a container with AutoRemove whose start failed.
        expect_start: lets the kernel prepare for the next start; called after each.
    """

    clock: Callable[[], datetime]
    containers: ContainerRegistry
    root_filesystems: RootFilesystems
    initialize_networking: Callable[[Container], None]
    specs: Specs
    runtime: Runtime
    streams: StreamsRegistry
    stdio: StdioLoop
    restart_managers: RestartManagers
    checkpoints: Checkpoints
    events: Events
    cleanup: Cleanup
    clean_up_left_over: Callable[[Container], None]
    process_ended: Callable[[Container, Process], None]
    remove_automatically: Callable[[Container], None]
    expect_start: Callable[[], None]

    def container_start(self, ref: str) -> None:
        """Start a container at a client's wish (moby: ContainerStart)."""
        container = self.containers.get_container(ref)
        with container.lock:
            state = container.state
            if state.paused:
                raise Conflict("cannot start a paused container, try unpause instead")
            if state.running:
                raise NotModified(f"container {ref} is already running")
            container.host_config.runtime = container.host_config.runtime or DEFAULT_RUNTIME
        self.start_container(container, reset_restart_manager=True)

    def start_container(self, container: Container, *, reset_restart_manager: bool) -> None:
        """Start a container, or leave it as it was (moby: containerStart).

        Raises:
            EngineError, OSError: what failed; `State.Error` and `ExitCode` tell of it, and
                everything that was set up is gone again.
        """
        with container.lock:
            if reset_restart_manager and container.state.running:
                return
            if container.state.removal_in_progress or container.state.dead:
                raise Conflict("container is marked for removal and cannot be started")
            try:
                self._start(container, reset_restart_manager=reset_restart_manager)
                return
            except Exception as error:
                self._undo_start(container, error)
                if not container.host_config.auto_remove:
                    raise
                failure = error
        guarded("auto remove", container, lambda: self.remove_automatically(container))
        raise failure

    def _start(self, container: Container, *, reset_restart_manager: bool) -> None:
        self.clean_up_left_over(container)
        self.root_filesystems.mount(container)
        self.initialize_networking(container)
        spec = self.specs.create_spec(container)
        log_options(container)  # refuse what no log can be opened with
        self.root_filesystems.prepare_binds(container)

        if reset_restart_manager:
            self.restart_managers.begin(container.id, container.host_config.restart_policy)
            container.restart_count = 0
            container.has_been_manually_stopped = False
        try:
            process = self.runtime.run(spec)
        except UnknownUser as failure:
            raise EngineError(str(failure)) from failure
        except RuntimeFailure as failure:
            container.log_path = container_log_path(container)
            raise translate_start_error(container, failure) from failure
        container.log_path = container_log_path(container)
        try:
            self._watch(container, process)
        except BaseException:
            guarded("end streams", container, lambda: self.streams.end(container))
            abandon(process, self.runtime)
            raise
        container.state.set_running(process.pid, self.clock())
        container.has_been_started_before = True
        self.checkpoints.try_checkpoint(container)
        self.events.log_container(container, "start")
        guarded("expect start", container, self.expect_start)

    def _watch(self, container: Container, process: Process) -> None:
        """Open the log and read the process; from the end of this on its end is noticed.

        What the end leads to waits for the container's lock, and so for the rest of the start.
        """
        streams = self.streams.of(container)
        streams.begin(process)
        self.stdio.watch(process, streams, lambda ended: self.process_ended(container, ended))

    def _undo_start(self, container: Container, error: Exception) -> None:
        state = container.state
        state.error = message_of(error)
        if state.exit_code == 0:
            state.exit_code = 128
        state.running = state.restarting = state.paused = False
        state.pid = 0
        log.info("container %s did not start: %s", container.id, error)
        self.checkpoints.try_checkpoint(container)
        self.cleanup.cleanup(container)
        self.streams.end(container)
