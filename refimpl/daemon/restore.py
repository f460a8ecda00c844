"""Boot and shutdown: what was there before, what a crash left, and an orderly end.

Mirrors: moby daemon/daemon.go NewDaemon, restore, Shutdown (v20.10).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from refimpl.daemon.core import log
from refimpl.daemon.list import Listing
from refimpl.daemon.networks import Networks
from refimpl.daemon.restart_manager import RestartManager
from refimpl.daemon.system import System
from refimpl.errors import EngineError, NotModified
from refimpl.libnetwork.controller import Controller
from refimpl.model.container import Container

KILLED = 137
"""The exit code of a container whose process outlived the daemon, and was ended at boot."""
GONE = 255
"""The exit code of a container whose process was gone at boot: nobody has seen its own."""
_AT_ONCE = 8


class RootLock:
    """One daemon per data-root and per exec-root, for as long as the lock lives (its process does).

    Args:
        directory: the root.
        kind: `data-root` or `exec-root`, as its flag is called.

    Raises:
        EngineError: another daemon has it.
        OSError: the lock's file cannot be made.
    """

    def __init__(self, directory: str, kind: str) -> None:
        # a name for each kind, since one directory may be both
        path = Path(directory, "netinit.lock" if kind == "data-root" else f"netinit-{kind}.lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise EngineError(
                f"the {kind} {directory} is in use by another daemon: stop that one, or give "
                f"this one its own with --{kind}"
            ) from None

    def release(self) -> None:
        """Let another daemon have the root."""
        os.close(self._descriptor)


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


class Restoring(Listing, Networks, System):
    """The part of the daemon that boots and ends it."""

    def restore(self, controller: Controller) -> None:
        """Bring the data-root back to life (moby: NewDaemon and restore).

        First every process that outlived the last daemon ends, then the network's left-overs go,
        then the containers that are always to run are started, and those that were to be removed
        at the end of their run go.
        """
        for container in self._load_containers():
            self.containers.add(container)
        for container in self.containers:
            try:
                self.load_links(container)
            except (ValueError, OSError):
                log.exception("container %s comes back without its links", container.id)
            self._mark_ended(container)
        self._remove_orphans()
        self.image_service.release_unused()
        controller.sandbox_cleanup()
        controller.init_default_networks()
        self.net_controller = controller
        ended = [
            container
            for container in start_order(list(self.containers), self._needs)
            if not self._restart_at_boot(container)
        ]
        for container in ended:
            if container.host_config.auto_remove:
                remove = partial(self.remove_automatically, container)
                self.guarded("auto remove", container, remove)

    def _load_containers(self) -> Iterator[Container]:
        root = Path(self.config.data("containers"))
        for directory in sorted(root.iterdir()):
            try:
                container = self._load_container(directory)
            except Exception:  # noqa: BLE001 - whatever is wrong with one, the others come back
                log.exception("failed to load container %s", directory.name)
                continue
            if container is None:
                # a create or a removal that a crash interrupted
                log.warning("removing what is left of container %s", directory.name)
                with contextlib.suppress(OSError):
                    self.files.remove(str(directory))
                continue
            if self.containers.reserve(container.name, container.id) is not None:
                log.warning("container %s has a name that is taken", container.id)
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

    def _mark_ended(self, container: Container) -> None:
        """End what ran, and say so; its addresses stay shown until its next start, as in moby."""
        has_survived = container.id in self.runtime.list()
        self.guarded("end", container, lambda: self.runtime.delete(container.id))
        state = container.state
        if state.running:
            state.set_stopped(KILLED if has_survived else GONE, self.clock())
            self.log_container_event(container, "die", {"exitCode": str(state.exit_code)})
            self.try_checkpoint(container)
        if state.removal_in_progress:
            # dead, for its user to remove once more: moby would not know with what else
            state.removal_in_progress = False
            state.dead = True
            self.try_checkpoint(container)
        merged = self.config.data("overlay", container.id, "merged")
        self.guarded("unmount", container, lambda: self.kernel.unmount(merged))

    def _remove_orphans(self) -> None:
        """Remove what belongs to no container: runtime states, mounts, directories.

        The layer of a container that could not be loaded stays, and so does its directory.
        """
        known = {container.id for container in self.containers}
        kept = {directory.name for directory in Path(self.config.data("containers")).iterdir()}
        for container_id in self.runtime.list():
            if container_id not in known:
                with contextlib.suppress(OSError):
                    self.runtime.delete(container_id)
        for directory in Path(self.config.data("overlay")).iterdir():
            if directory.name not in known:
                with contextlib.suppress(OSError):
                    self.kernel.unmount(str(directory / "merged"))
                    if directory.name not in kept:
                        self.files.remove(str(directory))
        for directory in Path(self.config.exec("bundles")).iterdir():
            with contextlib.suppress(OSError):
                self.files.remove(str(directory))

    def _needs(self, container: Container) -> list[Container]:
        """Return the containers that must run for this one to start.

        moby waits for linked ones only, so that a joiner may come before its target and fail
        (moby#50326).
        """
        needs = [child for _, child in self.linked_children(container)]
        target = container.host_config.network_mode.connected_container()
        if target:
            with contextlib.suppress(EngineError):
                needs.append(self.get_container(target))
        return needs

    def _restart_at_boot(self, container: Container) -> bool:
        """Start a container again if its policy says so, as at the end of a run; tell if it does.

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
        if delay_s is None or not container.has_been_started_before:
            return False
        try:
            self.start_container(container, reset_restart_manager=True)
        except (EngineError, OSError) as error:
            log.warning("failed to start container %s: %s", container.id, error)
        return True

    def shutdown(self) -> None:
        """Stop every container within its timeout, at once; networks stay (moby: Shutdown)."""
        self.shutting_down.set()
        running = [container for container in self.containers if container.state.running]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="shutdown") as pool:
            list(pool.map(self._stop_at_shutdown, running))
        self.workers.shutdown(wait=True)
        self.timers.close()
        self.stdio.close()
        if self.net_controller is not None:
            self.net_controller.close()
            self.net_controller = None

    def _stop_at_shutdown(self, container: Container) -> None:
        try:
            if container.state.paused:
                self.container_unpause(container.id)
            self.stop_container(container, None)
        except NotModified:
            pass
        except (EngineError, OSError):
            log.exception("container %s did not stop", container.id)
