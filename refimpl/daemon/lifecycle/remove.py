"""Removing containers and links.

Mirrors: moby daemon/{delete,prune}.go (v20.10).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import guarded
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.events.metrics import NetworkActions
from refimpl.daemon.lifecycle.restart_manager import RestartManagers
from refimpl.daemon.lifecycle.root_filesystem import RootFilesystems
from refimpl.daemon.network.links import Links
from refimpl.daemon.prune_filters import PruneFilters
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.errors import Conflict, EngineError, NotFound
from refimpl.kernel.base import Files


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remover:
    """Removes containers.

    Attributes:
        forget_execs: forgets a container's execs.
        kill: ends a container that runs.
        release_images: deletes the layers that a removed image left for its last container.
        sandbox_destroy: gives back a container's sandbox, if it still has one.
        update_network: gives the sandbox of a container that lost a link the others.
    """

    clock: Callable[[], datetime]
    containers: ContainerRegistry
    forget_execs: Callable[[Container], None]
    kill: Callable[[Container], None]
    checkpoints: Checkpoints
    root_filesystems: RootFilesystems
    files: Files
    links: Links
    update_network: Callable[[Container], None]
    streams: StreamsRegistry
    restart_managers: RestartManagers
    events: Events
    network_actions: NetworkActions
    sandbox_destroy: Callable[[str], None]
    release_images: Callable[[], None]

    def container_remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container, or one link (moby: ContainerRm). There are no volumes to remove."""
        del volumes
        if link:
            self._remove_link(ref)
            return
        container = self.containers.get_container(ref)
        with container.lock:
            if container.state.removal_in_progress:
                raise Conflict(f"removal of container {ref} is already in progress")
            self.containers.get_container(container.id)  # another removal may have ended just now
            container.state.removal_in_progress = True
        try:
            self.cleanup_container(container, force=force)
        finally:
            container.state.removal_in_progress = False

    def cleanup_container(self, container: Container, *, force: bool) -> None:
        """Remove a container with all that it has (moby: cleanupContainer).

        Raises:
            Conflict: it runs, and `force` is not given.
        """
        if container.is_running():
            if not force:
                status = container.state.status
                procedure = "Stop the container before attempting removal or force remove"
                if status == "paused":
                    procedure = f"Unpause and then {procedure[0].lower()}{procedure[1:]}"
                raise Conflict(
                    f"You cannot remove a {status} container {container.id}. {procedure}"
                )
            try:
                self.kill(container)
            except Conflict:
                pass  # it ended by itself
            except EngineError as error:
                raise EngineError(
                    f"Could not kill running container {container.id}, cannot remove - {error}"
                ) from error

        with container.lock:
            container.state.dead = True
            self.checkpoints.try_checkpoint(container)
            # what a live connect gave a container with NetworkDisabled is still there
            guarded("release sandbox", container, lambda: self.sandbox_destroy(container.id))
            guarded("unmount", container, lambda: self.root_filesystems.unmount(container))
            guarded("remove", container, lambda: self.root_filesystems.remove(container))
            self.streams.forget(container)  # no thread is in its directory from here on
            # last, so that a crash before it leaves a container that can be removed again
            self.files.remove(container.root)
        self.links.link_index.forget(container.id)
        self.forget_execs(container)
        self.restart_managers.forget(container.id)
        self.containers.discard(container)
        self.release_images()
        container.ends.removed()
        self.events.log_container(container, "destroy")

    def _remove_link(self, ref: str) -> None:
        """Remove the link `parent/alias` (moby: rmLink)."""
        parent_name, _, alias = ref.strip("/").rpartition("/")
        self.containers.get_container(ref)
        if not parent_name:
            raise EngineError("Conflict, cannot remove the default link name of the container")
        parent = self.containers.get_container(parent_name)
        with parent.lock:
            if not self.links.link_index.unlink(parent.id, alias):
                raise NotFound(f"No such container: {ref}")  # somebody was faster
            self.links.save_links(parent)
            start = self.network_actions.now()
            self.update_network(parent)
            self.network_actions.update_since("update", start)

    def remove_automatically(self, container: Container) -> None:
        """Remove a container that was created with AutoRemove and has ended."""
        # a user who removes it by force is as good (moby: containerRm's error is then dropped)
        with contextlib.suppress(Conflict, NotFound):
            self.container_remove(container.id, force=True, volumes=True)

    def containers_prune(self, filters: Filters) -> Wire:
        """Remove every container that does not run (moby: ContainersPrune)."""
        wanted = PruneFilters(filters, self.clock())
        deleted = []
        for container in self.containers:
            labels = container.config.labels or {}
            if container.state.running or not wanted.allow(labels, container.created):
                continue
            try:
                self.container_remove(container.id)
            except (Conflict, NotFound, EngineError):
                continue  # it was started or removed meanwhile
            deleted.append(container.id)
        self.events.log("container", "prune", "", {"reclaimed": "0"})
        return {"ContainersDeleted": deleted or None, "SpaceReclaimed": 0}
