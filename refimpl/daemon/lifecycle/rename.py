"""Renaming containers.

Mirrors: moby daemon/rename.go (v20.10).
"""

from __future__ import annotations

from dataclasses import dataclass

from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.errors import Conflict, EngineError, InvalidParameter
from refimpl.libnetwork.controller import Controller


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Renamer:
    """Gives containers other names."""

    containers: ContainerRegistry
    checkpoints: Checkpoints
    net_controller: Controller
    events: Events

    def container_rename(self, ref: str, new_name: str) -> None:
        """Give a container another name, in its networks too (moby: ContainerRename)."""
        if not ref or not new_name:
            raise InvalidParameter("Neither old nor new names may be empty")
        container = self.containers.get_container(ref)
        with container.lock:
            old_name = container.name
            if old_name == f"/{new_name.removeprefix('/')}":
                raise InvalidParameter(
                    "Renaming a container with the same name as its current name"
                )
            try:
                # Docker shows the name with its slash when it refuses it here
                name = self.containers.reserve_name(container.id, f"/{new_name.removeprefix('/')}")
            except (Conflict, InvalidParameter) as error:
                raise type(error)(f"Error when allocating new name: {error}") from error
            was_anonymous = container.network_settings.is_anonymous_endpoint
            container.name = name
            container.network_settings.is_anonymous_endpoint = False
            try:
                self.checkpoints.checkpoint_to(container)
                sandbox = self.net_controller.get_sandbox(container.id)
                if sandbox is not None and container.state.running:
                    sandbox.rename(name.removeprefix("/"))
            except (OSError, EngineError):
                container.name = old_name
                container.network_settings.is_anonymous_endpoint = was_anonymous
                self.containers.release_name(name)
                self.checkpoints.try_checkpoint(container)
                raise
            self.containers.release_name(old_name)
            self.events.log_container(container, "rename", {"oldName": old_name})
