"""An endpoint: one place of one sandbox in one network.

Mirrors: libnetwork endpoint.go (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from refimpl.errors import EngineError, Forbidden, message_of
from refimpl.kernel.base import PublishedPort
from refimpl.libnetwork.drivers.base import Driver, JoinInfo
from refimpl.libnetwork.ipam import IPAddress
from refimpl.libnetwork.names import ServiceRecords
from refimpl.model.network import (
    EndpointInfo,
    EndpointOptions,
    NetworkOptions,
    PortBinding,
    SandboxOptions,
)

logger = logging.getLogger(__name__)


class HomeNetwork(Protocol):
    """The network of an endpoint, as far as the endpoint and its sandbox need it."""

    id: str
    name: str
    options: NetworkOptions
    driver: Driver
    records: ServiceRecords

    def rename_endpoint(self, endpoint: Endpoint, name: str) -> None:
        """Give an endpoint another name."""

    def forget_endpoint(self, endpoint: Endpoint) -> None:
        """Free name, addresses and names in the DNS."""

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        """Return a name's addresses, and whether it is a name without one of this family."""


class JoinedSandbox(Protocol):
    """The sandbox of an endpoint, as far as the endpoint and the daemon need it."""

    id: str
    container_id: str
    options: SandboxOptions

    @property
    def is_populated(self) -> bool:
        """Whether its namespace is there."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the joined endpoints in heap order."""

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Take an endpoint in."""

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Let an endpoint go."""


class Endpoint:
    """An endpoint; made by `Network.create_endpoint` only."""

    def __init__(
        self,
        network: HomeNetwork,
        name: str,
        options: EndpointOptions,
        info: EndpointInfo,
        host_name: str,
    ) -> None:
        self.id = info.id
        self.name = name
        self.network = network
        self.options = options
        self.info = info
        """Complete after `create_endpoint`; the gateways are filled in by `join`."""
        self.host_name = host_name
        """The host's end of the veth pair, "" without one."""
        self.sandbox: JoinedSandbox | None = None
        self.join_info = JoinInfo()
        self.interface_name = ""
        """`eth0` and so on, once the sandbox is populated."""
        self.published: tuple[PublishedPort, ...] = ()
        """The ports of the host that lead to it."""

    def join(self, sandbox: JoinedSandbox) -> None:
        """Put the endpoint into a sandbox: at once if it is populated, else with `populate`.

        Raises:
            Forbidden: the endpoint is in a sandbox already.
            OSError, EngineError: the kernel or the store refused; the endpoint is not joined.
        """
        if self.sandbox is not None:
            raise Forbidden("another container is attached to the same network endpoint")
        join_info = self.network.driver.join(self.network.id, self.id)
        ports = sandbox.options.ports
        carrier = None
        if ports:
            carrier = gateway_endpoint(sandbox.endpoints())
            if join_info.interface is not None:
                interface = join_info.interface._replace(hairpin=True)
                join_info = join_info._replace(interface=interface)
        self.join_info = join_info
        self.info = self.info.with_gateways(join_info.gateway4, join_info.gateway6)
        try:
            if sandbox.options.links:
                self.network.driver.link(self.network.id, self.id, sandbox.options.links)
            sandbox.add_endpoint(self)
            if ports:
                self._carry_ports(sandbox, carrier)
        except BaseException:
            self._undo_join()
            raise

    def _carry_ports(self, sandbox: JoinedSandbox, carrier: Endpoint | None) -> None:
        """Have the ports follow the default route, which a new endpoint may have taken.

        Args:
            sandbox: The endpoint has just joined it.
            carrier: The endpoint that had the default route before.

        Raises:
            EngineError: they could not be published; the endpoint is out of the sandbox again.
        """
        try:
            if gateway_endpoint(sandbox.endpoints()) is not self:
                return
            if carrier is not None:
                carrier.revoke_ports()
            try:
                self.program_ports(sandbox.options.ports, is_live=sandbox.is_populated)
            except BaseException:
                if carrier is not None:
                    carrier.try_to_program_ports(sandbox.options.ports)
                raise
        except BaseException:
            try:
                sandbox.remove_endpoint(self)
            except OSError as error:
                logger.error("while undoing a failed join: %s", error)
            raise

    def program_ports(self, ports: Sequence[PortBinding], *, is_live: bool) -> None:
        """Publish ports here, if the network publishes any.

        Raises:
            EngineError: `driver failed programming external connectivity on endpoint ...`
        """
        external = self.join_info.external
        if external is None:
            return
        try:
            self.published = external.program(self.id, ports, is_live=is_live)
        except (EngineError, OSError) as error:
            raise EngineError(
                "driver failed programming external connectivity on endpoint "
                f"{self.name} ({self.id}): {message_of(error)}"
            ) from error

    def try_to_program_ports(self, ports: Sequence[PortBinding]) -> None:
        """Publish ports here where nobody can be told that it failed; the log tells."""
        try:
            self.program_ports(ports, is_live=True)
        except EngineError as error:
            logger.warning("%s", error)

    def revoke_ports(self) -> None:
        """Take back what is published here; repeatable.

        Raises:
            EngineError: `driver failed revoking external connectivity on endpoint ...`
        """
        external = self.join_info.external
        if external is None or not self.published:
            return
        try:
            external.revoke(self.id)
        except OSError as error:
            raise EngineError(
                "driver failed revoking external connectivity on endpoint "
                f"{self.name} ({self.id}): {error}"
            ) from error
        self.published = ()

    def _undo_join(self) -> None:
        try:
            self.network.driver.leave(self.network.id, self.id)
        except (OSError, EngineError) as error:
            # what is left of it in the driver goes when the endpoint is deleted
            logger.warning("while undoing a failed join: %s", error)

    def leave(self, sandbox: JoinedSandbox) -> None:
        """Take the endpoint out of its sandbox, its interface and its hosts lines with it.

        Raises:
            Forbidden: the endpoint is not in this sandbox.
            OSError, EngineError: the driver or the kernel refused; the endpoint is still in, and a
                further call does what is left.
        """
        if self.sandbox is not sandbox:
            raise Forbidden(
                f"unexpected sandbox ID in leave request. Expected {_id_of(self.sandbox)}. "
                f"Got {sandbox.id}"
            )
        # the driver first, as in 20.10 (endpoint.sbLeave): what fails here can be tried again
        ports = sandbox.options.ports
        is_carrier = bool(ports) and gateway_endpoint(sandbox.endpoints()) is self
        self.revoke_ports()
        self.network.driver.leave(self.network.id, self.id)
        sandbox.remove_endpoint(self)
        if is_carrier:
            heir = gateway_endpoint(sandbox.endpoints())
            if heir is not None:
                heir.try_to_program_ports(ports)

    def delete(self, force: bool = False) -> None:
        """Free name and addresses.

        Args:
            force: Leave the sandbox first.

        Raises:
            Forbidden: the endpoint is in a sandbox and `force` is not given.
            OSError: it could not leave the sandbox; nothing is freed.
        """
        if self.sandbox is not None:
            if not force:
                raise Forbidden(
                    f"endpoint with name {self.name} id {self.id} has active containers"
                )
            self.leave(self.sandbox)
        self.network.forget_endpoint(self)

    def alias_target(self, name: str) -> str | None:
        """Return the real name that a private alias of this sandbox stands for."""
        return self.options.aliases.get(name)

    def to_row(self, sandbox_id: str) -> dict[str, Any]:
        """Return the endpoint's row: who it is, and the link that it owns on the host."""
        return {
            "name": self.name,
            "network_id": self.network.id,
            "sandbox_id": sandbox_id,
            "host_name": self.host_name,
            "mac": self.info.mac,
            "ipv4": str(self.info.ipv4 or ""),
            "ipv6": str(self.info.ipv6 or ""),
        }


def gateway_endpoint(endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """Return the first endpoint in heap order that has a gateway: the default route's.

    Mirrors: sandbox.getGatewayEndpoint (v20.10).
    """
    return next((one for one in endpoints if one.info.gateway4 is not None), None)


def _id_of(sandbox: JoinedSandbox | None) -> str:
    return "" if sandbox is None else sandbox.id
