"""The driver interface: everything the controller may ask of a network driver, and its values.

A driver turns the model's objects into plans for the kernel. It makes and removes what belongs to
the network as a whole (bridge, firewall); what belongs to a sandbox it only plans, so that a
sandbox with all its interfaces is one kernel operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import NamedTuple, Protocol

from refimpl.errors import EngineError
from refimpl.kernel.base import Address, InterfacePlan, PublishedPort
from refimpl.model.network import LinkTarget, PortBinding

DriverState = Mapping[str, str | bool | int]
"""What a driver must remember of a network over a restart; flat JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IPAMData:
    """One pool of a network with the gateway that was reserved in it."""

    pool: IPv4Network | IPv6Network
    gateway: IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverNetwork:
    """A network as its driver sees it."""

    id: str
    name: str
    internal: bool = False
    enable_ipv6: bool = False
    ipv4: tuple[IPAMData, ...] = ()
    ipv6: tuple[IPAMData, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


class DriverEndpoint(NamedTuple):
    """An endpoint as its driver sees it: the addresses are allocated, `mac` may be ""."""

    id: str
    mac: str = ""
    ipv4: IPv4Interface | None = None
    ipv6: IPv6Interface | None = None
    link_local: tuple[Address, ...] = ()


class EndpointPlan(NamedTuple):
    """What a driver decided about an endpoint; recorded before anything is made."""

    mac: str = ""
    host_name: str = ""
    """The host-side link that will belong to the endpoint; "" for none."""


class ExternalConnectivity(Protocol):
    """What publishes the ports of a network's endpoints."""

    def program(
        self, endpoint_id: str, ports: Sequence[PortBinding], *, is_live: bool
    ) -> tuple[PublishedPort, ...]:
        """Lead ports of the host to an endpoint, all or none of them.

        Args:
            endpoint_id: The endpoint, which has joined.
            ports: What is wanted.
            is_live: Its container runs.

        Mirrors: driver.ProgramExternalConnectivity (v20.10).

        Raises:
            EngineError, OSError: a port is taken, or the kernel refused.
        """

    def revoke(self, endpoint_id: str) -> None:
        """Take them back; repeatable.

        Mirrors: driver.RevokeExternalConnectivity (v20.10).

        Raises:
            OSError: the kernel refused; a further call tries again.
        """


class JoinInfo(NamedTuple):
    """What a sandbox needs in order to join."""

    interface: InterfacePlan | None = None
    """The interface to make; its `name` is a prefix (`eth`) that the sandbox numbers."""
    gateway4: IPv4Address | None = None
    gateway6: IPv6Address | None = None
    external: ExternalConnectivity | None = None
    """What publishes its ports; None where none are published."""


class Driver(Protocol):
    """A network driver; safe to use from many threads."""

    name: str
    allocates: bool
    """False for `host` and `null`: no pools and no addresses."""

    def plan_network(self, network: DriverNetwork, former: DriverState | None) -> DriverState:
        """Check the options and decide what the network will be; touches nothing.

        Args:
            network: What is to be made.
            former: The state of the network whose place it takes: each start makes a new
                default network.

        Raises:
            EngineError: with the driver's own text.
        """

    def create_network(self, network: DriverNetwork, state: DriverState) -> None:
        """Make what belongs to the network; undone when it raises."""

    def check_state(self, network: DriverNetwork, state: DriverState) -> None:
        """Refuse, at boot, options or a state that did not come from `plan_network`.

        Raises:
            ValueError: what is wrong.
        """

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError | EngineError, ...]:
        """Make, at boot, what is missing of several networks; goes on past errors."""

    def repair_network(self, network_id: str) -> None:
        """Make what is missing of a network, since somebody else has removed it.

        Raises:
            OSError: the kernel refused.
        """

    def delete_network(self, network_id: str, state: DriverState) -> None:
        """Remove what belongs to the network, whether or not it is known; repeatable."""

    def create_endpoint(self, network_id: str, endpoint: DriverEndpoint) -> EndpointPlan:
        """Decide MAC and host link of an endpoint; touches nothing."""

    def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        """Forget an endpoint; no error when it is unknown."""

    def join(self, network_id: str, endpoint_id: str) -> JoinInfo:
        """Say what the sandbox must make in order to have this endpoint."""

    def link(self, network_id: str, endpoint_id: str, targets: Sequence[LinkTarget]) -> None:
        """Let a joined endpoint reach these targets and no others, where that needs to be said.

        Raises:
            OSError: the firewall could not be changed; what was open before still is.
        """

    def leave(self, network_id: str, endpoint_id: str) -> None:
        """Take back what `link` did, before the sandbox lets the endpoint go; repeatable.

        Raises:
            OSError: the firewall could not be changed; a further call tries again.
        """
