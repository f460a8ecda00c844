"""A sandbox: one container's network stack, and the endpoints in it.

Mirrors: libnetwork sandbox.go, default_gateway.go and sandbox_dns_unix.go (v20.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refimpl.libnetwork.endpoint import Endpoint
from refimpl.model.network import SandboxOptions

if TYPE_CHECKING:
    from refimpl.libnetwork.controller import Controller


class Sandbox:
    """A sandbox; made by `Controller.new_sandbox` only."""

    id: str
    container_id: str
    key: str
    """`<netns directory>/<first 12 of id>`; `.../default` in host mode."""
    options: SandboxOptions
    controller: Controller

    @property
    def is_populated(self) -> bool:
        """Whether the namespace is there."""
        raise NotImplementedError

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the joined endpoints in heap order: the best gateway first."""
        raise NotImplementedError

    def gateway_endpoint(self) -> Endpoint | None:
        """Return the endpoint that the default route goes through."""
        raise NotImplementedError

    def populate(self) -> None:
        """Write rows and files, then make the namespace with every interface in it, as one step.

        Raises:
            OSError: the store, a file or the kernel refused; nothing is left in the kernel, and
                the caller deletes the sandbox.
        """
        raise NotImplementedError

    def rename(self, name: str) -> None:
        """Give every endpoint the container's new name, at once also in the embedded DNS."""
        raise NotImplementedError

    def update_hosts_entry(self, name: str, address: str) -> None:
        """Change the address in the hosts lines that name `name` (a linked container moved)."""
        raise NotImplementedError

    def delete(self) -> None:
        """Leave and delete every endpoint, then remove the namespace; goes on past errors.

        Raises:
            EngineError: every error on the way, joined by "; ".
        """
        raise NotImplementedError
