"""Boot: what was there before, what a crash left, and what is to run again.

The boot has three steps. `load` reads the containers' documents, and is over before the API
serves. `restore` cleans up what the last daemon left in the kernel and the runtime, and brings the
networks back. `start_again` starts what its policy wants started. The last two run behind the API;
a request that needs more than the documents waits for `restore`.

Mirrors: moby daemon/daemon.go NewDaemon, restore (v20.10).
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import guarded
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.lifecycle.restart_manager import RestartManager
from refimpl.daemon.lifecycle.root_filesystem import RootFilesystems
from refimpl.daemon.lifecycle.stop import stop_signal
from refimpl.daemon.network.links import Links
from refimpl.errors import EngineError
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.controller import Controller
from refimpl.oci.base import Ending, Runtime

log = logging.getLogger(__name__)

KILLED = 137
"""The exit code of a container whose process outlived the daemon, and had to be killed at boot."""
PATIENCE_MAX_S = 30.0
"""How long a boot waits for what outlived the last daemon to end, whatever its own timeout is; a
half of what requests wait for the boot."""
GONE = 255
"""The exit code of a container whose process was gone at boot: nobody has seen its own."""
AT_ONCE = 8
"""Containers that are cleaned up, or started, side by side."""
START_WAIT_S = 60.0
"""How long a start waits for the starts of the containers that it needs."""


def _ending_of(container: Container) -> Ending:
    """Return how a container is ended; one that is frozen hears no signal but SIGKILL."""
    seconds = container.stop_timeout_s()
    patience_s = PATIENCE_MAX_S if seconds < 0 else min(float(seconds), PATIENCE_MAX_S)
    try:
        number = stop_signal(container, signal.SIGTERM)
    except EngineError:
        number = signal.SIGKILL
    if container.state.paused or not 0 < number < signal.NSIG:
        number = signal.SIGKILL
    return Ending(number, 0.0 if number == signal.SIGKILL else patience_s)


def start_order(
    containers: Sequence[Container], needs: Callable[[Container], Sequence[Container]]
) -> list[Container]:
    """Return containers in an order in which each comes after those that it needs.

    Where they need each other in a circle, none can come first, and one of them does.
    """
    order: dict[str, Container] = {}
    seen: set[str] = set()
    waiting = list(reversed(containers))
    while waiting:
        container = waiting[-1]
        if container.id in seen:
            order.setdefault(container.id, container)
            waiting.pop()
        else:
            seen.add(container.id)
            waiting += [one for one in needs(container) if one.id not in seen]
    return list(order.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Restorer:
    """Brings the data-root back to life.

    Attributes:
        start_container: starts a container.
        remove_automatically: removes a container with AutoRemove.
        is_shutting_down: tells whether to give up.
    """

    config: DaemonConfig
    clock: Callable[[], datetime]
    files: Files
    kernel: Kernel
    runtime: Runtime
    containers: ContainerRegistry
    links: Links
    checkpoints: Checkpoints
    events: Events
    root_filesystems: RootFilesystems
    net_controller: Controller
    start_container: Callable[[Container], None]
    remove_automatically: Callable[[Container], None]
    is_shutting_down: Callable[[], bool]
    _ended: list[Container] = field(default_factory=list, init=False)
    _endings: dict[str, Ending] = field(default_factory=dict, init=False)
    """How those are ended that outlived the last daemon, by their containers' ids."""
    _left_over: set[str] = field(default_factory=set, init=False)
    _orphans: list[Callable[[], None]] = field(default_factory=list, init=False)
    """Removals of what belongs to no container; found before the API can create a container."""

    def load(self) -> None:
        """Read the containers; those that ran have ended, which `restore` makes true and writes.

        Raises:
            OSError: the data-root or the runtime's directory cannot be read.
        """
        for container in self._load_containers():
            self.containers.add(container)
        survivors = frozenset(self.runtime.list())
        for container in self.containers:
            guarded("load links", container, partial(self.links.load_links, container))
            if container.id in survivors:
                self._endings[container.id] = _ending_of(container)
            self._mark_ended(container, has_survived=container.id in survivors)
            container.listed = container.snapshot()
            self._left_over.add(container.id)
        self._find_orphans(survivors)

    def _mark_ended(self, container: Container, *, has_survived: bool) -> None:
        """Set what ran to exited; its addresses stay shown until its next start, as in moby."""
        state = container.state
        if state.running:
            state.set_stopped(KILLED if has_survived else GONE, self.clock())
            self._ended.append(container)
        if state.removal_in_progress:
            # dead, for its user to remove once more: moby would not know with what else
            state.removal_in_progress = False
            state.dead = True
            self._ended.append(container)

    def restore(self) -> None:
        """End what outlived the last daemon, write the ends down, and bring the networks back.

        Raises:
            EngineError, OSError: the host does not allow it.
        """
        self._end_survivors()
        for container in dict.fromkeys(self._ended):
            with container.lock:
                self.checkpoints.try_checkpoint(container)
            if not container.state.dead:
                exit_code = str(container.state.exit_code)
                self.events.log_container(container, "die", {"exitCode": exit_code})
        self._ended.clear()
        self.net_controller.sandbox_cleanup()
        self.net_controller.init_default_networks()

    def _end_survivors(self) -> None:
        """Stop what outlived the last daemon as a user would, and note how it ended.

        Mirrors: moby daemon restore, shutdownContainer (v20.10).
        """
        for container_id in self.runtime.list():
            # of no container that we know
            self._endings.setdefault(container_id, Ending(signal.SIGKILL, 0.0))
        codes = self.runtime.end(self._endings, self.is_shutting_down)
        for container in self._ended:
            if container.id in codes and not container.state.dead:
                container.state.set_stopped(codes[container.id], self.clock())
                container.listed = container.snapshot()
        self._endings.clear()

    def clean_up(self, container: Container) -> None:
        """Remove what the last daemon's run of a container left, once; a start does so first."""
        with container.lock:
            if container.id not in self._left_over:
                return
            guarded("delete", container, partial(self.runtime.delete, container.id))
            guarded("unmount", container, partial(self.root_filesystems.unmount, container))
            # the runtime removes it only where it has a state of the container
            bundle = self.config.exec("bundles", container.id)
            guarded("remove bundle", container, partial(self.files.remove, bundle))
            self._left_over.discard(container.id)

    def start_again(self) -> None:
        """Start what its policy wants started, clean up after the others, remove what is to go.

        Side by side, in this order. What another container needs comes before it. One that does
        not start, or not in time, holds up nobody but those that need it, and these for
        START_WAIT_S.
        """
        containers = list(self.containers)
        to_start = {one.id: one for one in containers if self._is_to_be_started(one)}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="boot") as pool:
            done: dict[str, Future[None]] = {}
            for container in start_order(containers, self._needs):
                if container.id in to_start:
                    needs = [done[one.id] for one in self._needs(container) if one.id in done]
                    done[container.id] = pool.submit(self._start_again, container, needs)
            for container in containers:
                if container.id not in to_start:
                    pool.submit(self._finish, container)
            for remove in self._orphans:
                pool.submit(self._remove_orphan, remove)
        self._orphans.clear()

    def _start_again(self, container: Container, needs: Sequence[Future[None]]) -> None:
        if not self.is_shutting_down():
            wait(needs, START_WAIT_S)
        if self.is_shutting_down():
            return
        try:
            self.start_container(container)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others come back
            log.warning("failed to start container %s: %s", container.id, error)

    def _finish(self, container: Container) -> None:
        """Clean up after a container that is not started, and remove one that is to go."""
        if self.is_shutting_down():
            return
        self.clean_up(container)
        if container.host_config.auto_remove:
            guarded("auto remove", container, partial(self.remove_automatically, container))

    def _load_containers(self) -> Iterator[Container]:
        root = Path(self.config.data("containers"))
        for directory in sorted(root.iterdir()):
            try:
                container = self._load_container(directory)
            except Exception:
                log.exception("failed to load container %s", directory.name)
                continue
            if container is None:
                # a create or a removal that a crash interrupted
                log.warning("removing what is left of container %s", directory.name)
                with contextlib.suppress(OSError):
                    self.files.remove(str(directory))
                continue
            try:
                self.containers.reserve_name(container.id, container.name)
            except EngineError as error:
                log.warning("container %s comes back without its name: %s", container.id, error)
            yield container

    def _load_container(self, directory: Path) -> Container | None:
        """Read a container's documents; None when nothing of it has been recorded, or is any more.

        Raises:
            KeyError, TypeError, ValueError, OSError: they cannot be read, or are another's.

        Mirrors: moby daemon/container.go load, container/container.go FromDisk (v20.10).
        """
        try:
            config = self.files.read(str(directory / "config.v2.json"))
        except FileNotFoundError:
            return None
        try:
            host_config = self.files.read(str(directory / "hostconfig.json"))
        except FileNotFoundError:
            # the second to be written and perhaps the first to be removed; moby goes on without
            host_config = b'{"NetworkMode": "default"}'
        container = Container.from_documents(
            str(directory), json.loads(config), json.loads(host_config)
        )
        if container.id != directory.name:
            raise ValueError(f"Container {container.id} is stored at {directory.name}")
        return container

    def _find_orphans(self, survivors: Set[str]) -> None:
        """Find what belongs to no container: runtime states, mounts, directories.

        The layer of a container that could not be loaded stays, and so does its directory.
        """
        known = {container.id for container in self.containers}
        kept = {directory.name for directory in Path(self.config.data("containers")).iterdir()}
        self._orphans.extend(partial(self.runtime.delete, one) for one in survivors - known)
        for directory in Path(self.config.data("overlay")).iterdir():
            if directory.name not in known:
                self._orphans.append(
                    partial(self._remove_layer, directory, keep=directory.name in kept)
                )
        for directory in Path(self.config.exec("bundles")).iterdir():
            if directory.name not in known:
                self._orphans.append(partial(self.files.remove, str(directory)))

    def _remove_layer(self, directory: Path, *, keep: bool) -> None:
        self.kernel.unmount(str(directory / "merged"))
        if not keep:
            self.files.remove(str(directory))

    def _remove_orphan(self, remove: Callable[[], None]) -> None:
        if not self.is_shutting_down():
            with contextlib.suppress(OSError):
                remove()

    def _needs(self, container: Container) -> list[Container]:
        """Return the containers that must run for this one to start.

        moby waits for linked ones only, so that a joiner may come before its target and fail
        (moby#50326).
        """
        needs = [child for _, child in self.links.linked_children(container)]
        target = container.host_config.network_mode.connected_container()
        if target:
            with contextlib.suppress(EngineError):
                needs.append(self.containers.get_container(target))
        return needs

    def _is_to_be_started(self, container: Container) -> bool:
        """Tell whether a container's policy wants it started, as at the end of a run.

        So one of `on-failure` that a user has stopped comes back if the stop had to kill it.

        Mirrors: moby container/container.go ShouldRestart (v20.10).
        """
        state = container.state
        manager = RestartManager(container.host_config.restart_policy, container.restart_count)
        delay_s = manager.should_restart(
            state.exit_code,
            has_been_manually_stopped=container.has_been_manually_stopped,
            ran_s=(state.finished_at - state.started_at).total_seconds(),
        )
        return delay_s is not None and container.has_been_started_before
