"""Removing and renaming containers.

Mirrors: moby daemon/{delete,rename,names}.go (v20.10).
"""

from __future__ import annotations

from refimpl.daemon.core import is_running
from refimpl.daemon.links import Links
from refimpl.daemon.stop import Stopping
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.daemon.verify import verify_name
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound
from refimpl.model.container import Container


class Removing(Stopping, Links):
    """The part of the daemon that removes and renames containers."""

    streams: StreamsRegistry

    def reserve_name(self, container_id: str, name: str) -> str:
        """Take a name for a container and return it with its slash (moby: reserveName).

        Raises:
            InvalidParameter: it is no name.
            Conflict: another container has it.
        """
        verify_name(name)
        name = f"/{name.removeprefix('/')}"
        holder = self.containers.reserve(name, container_id)
        if holder is not None:
            raise Conflict(
                f'Conflict. The container name "{name}" is already in use by container '
                f'"{holder}". You have to remove (or rename) that container to be able to reuse '
                "that name."
            )
        return name

    def container_remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container, or one link (moby: ContainerRm). There are no volumes to remove."""
        del volumes
        if link:
            self._remove_link(ref)
            return
        container = self.get_container(ref)
        with container.lock:
            if container.state.removal_in_progress:
                raise Conflict(f"removal of container {ref} is already in progress")
            self.get_container(container.id)  # another removal may have ended just now
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
        if is_running(container):
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
            self.try_checkpoint(container)
            overlay = self.config.data("overlay", container.id)
            self.guarded("unmount", container, lambda: self.kernel.unmount(f"{overlay}/merged"))
            self.guarded("remove", container, lambda: self.files.remove(overlay))
            # last, so that a crash before it leaves a container that can be removed again
            self.files.remove(container.root)
        self.link_index.forget(container.id)
        self.streams.forget(container)
        self.restart_managers.pop(container.id, None)
        self.containers.discard(container)
        container.ends.removed()
        self.log_container_event(container, "destroy")

    def _remove_link(self, ref: str) -> None:
        """Remove the link `parent/alias` (moby: rmLink)."""
        parent_name, _, alias = ref.strip("/").rpartition("/")
        self.get_container(ref)
        if not parent_name:
            raise EngineError("Conflict, cannot remove the default link name of the container")
        parent = self.get_container(parent_name)
        with parent.lock:
            if not self.link_index.unlink(parent.id, alias):
                raise NotFound(f"No such container: {ref}")  # somebody was faster
            self.save_links(parent)
            start = self.network_actions.now()
            self.update_network(parent)
            self.network_actions.update_since("update", start)

    def container_rename(self, ref: str, new_name: str) -> None:
        """Give a container another name, in its networks too (moby: ContainerRename)."""
        if not ref or not new_name:
            raise InvalidParameter("Neither old nor new names may be empty")
        container = self.get_container(ref)
        with container.lock:
            old_name = container.name
            if old_name == f"/{new_name.removeprefix('/')}":
                raise InvalidParameter(
                    "Renaming a container with the same name as its current name"
                )
            try:
                # Docker shows the name with its slash when it refuses it here
                name = self.reserve_name(container.id, f"/{new_name.removeprefix('/')}")
            except (Conflict, InvalidParameter) as error:
                raise type(error)(f"Error when allocating new name: {error}") from error
            was_anonymous = container.network_settings.is_anonymous_endpoint
            container.name = name
            container.network_settings.is_anonymous_endpoint = False
            try:
                self.checkpoint_to(container)
                sandbox = (
                    self.net_controller.get_sandbox(container.id)
                    if self.net_controller is not None and container.state.running
                    else None
                )
                if sandbox is not None:
                    sandbox.rename(name.removeprefix("/"))
            except (OSError, EngineError):
                container.name = old_name
                container.network_settings.is_anonymous_endpoint = was_anonymous
                self.containers.release(name)
                self.try_checkpoint(container)
                raise
            self.containers.release(old_name)
            self.log_container_event(container, "rename", {"oldName": old_name})
