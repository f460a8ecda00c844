"""An endpoint: one place of one sandbox in one network.

Mirrors: libnetwork endpoint.go (v20.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refimpl.model.network import EndpointInfo, EndpointOptions

if TYPE_CHECKING:
    from refimpl.libnetwork.network import Network
    from refimpl.libnetwork.sandbox import Sandbox


class Endpoint:
    """An endpoint; made by `Network.create_endpoint` only."""

    id: str
    name: str
    network: Network
    options: EndpointOptions
    info: EndpointInfo
    """Complete after `create_endpoint`; the gateways are filled in by `join`."""
    sandbox: Sandbox | None

    def join(self, sandbox: Sandbox) -> None:
        """Put the endpoint into a sandbox: at once if it is populated, else with `populate`.

        Raises:
            Forbidden: the endpoint is in a sandbox already.
            OSError, EngineError: the kernel or the store refused; the endpoint is not joined.
        """
        raise NotImplementedError

    def leave(self, sandbox: Sandbox) -> None:
        """Take the endpoint out of its sandbox, its interface and its hosts lines with it.

        Raises:
            Forbidden: the endpoint is not in this sandbox.
        """
        raise NotImplementedError

    def delete(self, force: bool = False) -> None:
        """Free name and addresses.

        Args:
            force: Leave the sandbox first.

        Raises:
            Forbidden: the endpoint is in a sandbox and `force` is not given.
        """
        raise NotImplementedError
