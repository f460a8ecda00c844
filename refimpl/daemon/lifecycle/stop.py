"""Signalling containers, stopping, pausing and waiting for them.

Mirrors: moby daemon/{kill,stop,pause,unpause,wait}.go (v20.10).
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.refusals import not_running, restarting
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.containers.verify import parse_signal
from refimpl.daemon.events.events import Events
from refimpl.daemon.lifecycle.wait import ContainerWaiter
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotModified
from refimpl.oci.base import Runtime, RuntimeFailure

log = logging.getLogger(__name__)

KILL_WAIT_S = 10.0
"""How long a killed process may take to disappear before that is reported."""
THAW_AFTER_S = 0.5
"""How long a killed process may take before it is looked at why."""
UNSIGNALLED_WAIT_S = 2.0
"""How long a container may take to end that no stop signal could be sent to (moby's figure)."""
_SIGNALS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stopper:
    """Ends containers, freezes and thaws them.

    Attributes:
        cancel_restart: gives up the restarts of a container, by its id.
        is_shutting_down: tells whether the daemon itself ends, which no user has asked for.
    """

    containers: ContainerRegistry
    checkpoints: Checkpoints
    runtime: Runtime
    events: Events
    cancel_restart: Callable[[str], None]
    is_shutting_down: Callable[[], bool]

    def container_wait(self, ref: str, condition: str) -> ContainerWaiter:
        """Register a wait (moby: ContainerWait)."""
        if condition not in {"next-exit", "removed"}:
            condition = "not-running"  # whatever else is asked for, as in v20.10
        container = self.containers.get_container(ref)
        with container.lock:
            return ContainerWaiter(container, condition, is_running=container.state.running)

    def container_kill(self, ref: str, signal_name: str) -> None:
        """Send a signal, and with SIGKILL wait for the end (moby: ContainerKill)."""
        number = parse_signal(signal_name) if signal_name else int(signal.SIGKILL)
        try:
            container = self.containers.get_container(ref)
            _refuse_unknown(number)
            if number == signal.SIGKILL:
                self.kill(container)
            else:
                self.kill_with_signal(container, number)
        except EngineError as error:
            raise type(error)(f"Cannot kill container: {ref}: {error}") from error

    def kill(self, container: Container) -> None:
        """End a container for certain, and wait until it has (moby: Kill)."""
        if not container.is_running():
            raise not_running(container.id)
        try:
            end = self.kill_with_signal(container, signal.SIGKILL)
        except Conflict:
            return  # it ended by itself meanwhile
        if end.result(THAW_AFTER_S) is not None:
            return
        with container.lock:
            # a pause that came between freezes the process before it has met its signal
            if container.state.paused:
                self._thaw_killed(container)
        if end.result(KILL_WAIT_S) is None:
            raise EngineError(
                f"Container {container.id} did not end within {KILL_WAIT_S:g} s of SIGKILL"
            )

    def kill_with_signal(self, container: Container, number: int) -> ContainerWaiter:
        """Send a signal, and remember a stop signal as a user's stop (moby: killWithSignal).

        moby remembers any signal, so that after SIGHUP `unless-stopped` restarts no more
        (moby#41302).

        Returns:
            The wait for the end of the very run that was signalled: another client may have
            started the container again before the caller gets to wait.

        Raises:
            Conflict: the container does not run.
            EngineError: its own stop signal is none, as an image may have it, so that nobody knows
                what this signal means to it; 500 as in v20.10.
        """
        with container.lock:
            state = container.state
            if not state.running:
                raise not_running(container.id)
            is_stop = number == signal.SIGKILL or number == stop_signal(container, number)
            if is_stop and not self.is_shutting_down():
                container.has_been_manually_stopped = True
                self.checkpoints.try_checkpoint(container)
            end = ContainerWaiter(container, "not-running", is_running=True)
            is_restarting = state.restarting
            if not is_restarting:
                self._deliver(container, number)
                is_thawed = is_stop and state.paused and self._thaw_killed(container)
                self.events.log_container(container, "kill", {"signal": str(number)})
                if is_thawed:
                    # moby hears of it from containerd, once the lock is free (EventResumed)
                    state.paused = False
                    self.checkpoints.try_checkpoint(container)
                    self.events.log_container(container, "unpause")
        if is_stop:
            self.cancel_restart(container.id)
        return end

    def _thaw_killed(self, container: Container) -> bool:
        """Let a paused container meet its signal, unless the runtime has thawed it already.

        Returns:
            Whether it is thawed by this.
        """
        try:
            self.runtime.resume(container.id)
        except RuntimeFailure as error:
            log.info("Cannot unpause container %s: %s", container.id, error)
            return False
        return True

    def _deliver(self, container: Container, number: int) -> None:
        try:
            self.runtime.kill(container.id, number)
        except RuntimeFailure as error:
            # most likely it has just ended, and its end is about to be handled
            log.debug("container %s did not take signal %d: %s", container.id, number, error)

    def container_stop(self, ref: str, timeout_s: int | None) -> None:
        """Stop a container (moby: ContainerStop)."""
        container = self.containers.get_container(ref)
        if not container.is_running():
            raise NotModified(f"container {ref} is not running")
        self.stop_container(container, timeout_s)

    def stop_container(self, container: Container, timeout_s: int | None) -> None:
        """Send the stop signal, and SIGKILL to what does not end by it (moby: containerStop).

        An image can name a signal that there is not: then there is only SIGKILL, a moment later.
        """
        seconds = container.stop_timeout_s() if timeout_s is None else timeout_s
        try:
            number = stop_signal(container, signal.SIGTERM)
            _refuse_unknown(number)
            end = self.kill_with_signal(container, number)
            wait_s = None if seconds < 0 else float(seconds)  # a negative one waits for ever
        except Conflict:
            return
        except EngineError as error:
            log.warning("container %s gets no stop signal: %s", container.id, error)
            with container.lock:
                end = ContainerWaiter(container, "not-running", is_running=container.state.running)
            wait_s = UNSIGNALLED_WAIT_S
        if end.result(wait_s) is None:
            log.info(
                "Container %s failed to exit within %g seconds - using the force",
                container.id, wait_s,
            )  # fmt: skip
            with contextlib.suppress(Conflict):  # it ended by itself meanwhile
                self.kill(container)
        self.events.log_container(container, "stop")

    def container_pause(self, ref: str) -> None:
        """Freeze a container (moby: ContainerPause)."""
        container = self.containers.get_container(ref)
        with container.lock:
            if not container.state.running:
                raise not_running(container.id)
            if container.state.paused:
                raise Conflict(f"Container {container.id} is already paused")
            if container.state.restarting:
                raise restarting(container.id)
            try:
                self.runtime.pause(container.id)
            except RuntimeFailure as error:
                raise EngineError(f"Cannot pause container {container.id}: {error}") from error
            container.state.paused = True
            self.checkpoints.try_checkpoint(container)
            self.events.log_container(container, "pause")

    def container_unpause(self, ref: str) -> None:
        """Thaw a container (moby: ContainerUnpause)."""
        container = self.containers.get_container(ref)
        with container.lock:
            if not container.state.paused:
                raise EngineError(f"Container {container.id} is not paused")
            try:
                self.runtime.resume(container.id)
            except RuntimeFailure as error:
                raise EngineError(f"Cannot unpause container {container.id}: {error}") from error
            container.state.paused = False
            self.checkpoints.try_checkpoint(container)
            self.events.log_container(container, "unpause")


def _refuse_unknown(number: int) -> None:
    if not 0 < number <= _SIGNALS_MAX:
        # Go shows it unsigned
        raise EngineError(f"The linux daemon does not support signal {number % 2**64}")


def stop_signal(container: Container, default: int) -> int:
    """Return the number of a container's own stop signal, or `default` if it has none.

    Raises:
        EngineError: it is no signal.
    """
    text = container.config.stop_signal
    try:
        return parse_signal(text) if text else int(default)
    except InvalidParameter as error:
        raise EngineError(str(error)) from error
