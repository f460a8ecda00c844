"""A network: its pools, its endpoints and the names they answer to.

Mirrors: libnetwork network.go (v20.10).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from refimpl.libnetwork.endpoint import Endpoint
from refimpl.model.network import EndpointOptions, IPAMPool, NetworkOptions

if TYPE_CHECKING:
    from refimpl.libnetwork.controller import Controller


class Network:
    """A network; made by `Controller.new_network` only."""

    id: str
    name: str
    created: datetime
    options: NetworkOptions
    """As requested (for the wire: Internal, Attachable, Labels, Options, ...)."""
    controller: Controller

    @property
    def type(self) -> str:
        """The driver's name: `bridge`, `host` or `null`."""
        raise NotImplementedError

    def ipam_config(self) -> tuple[IPAMPool, ...]:
        """Return what inspect shows as `IPAM.Config`.

        The entries of the request where they named a subnet, word for word; else the pools that
        were chosen, with their gateway. Mirrors: buildIpamResources (v20.10).
        """
        raise NotImplementedError

    def gateway_address(self) -> str:
        """Return the first IPv4 gateway, "" without one: what `host-gateway` stands for."""
        raise NotImplementedError

    def create_endpoint(self, name: str, options: EndpointOptions) -> Endpoint:
        """Reserve addresses and a name for an endpoint; touches neither kernel nor store.

        Raises:
            Forbidden: `endpoint with name <n> already exists in network <net>`,
                `Address already in use`.
            EngineError: 500 for an address outside the subnets or an exhausted pool.
        """
        raise NotImplementedError

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints, oldest first."""
        raise NotImplementedError

    def endpoint_by_name(self, name: str) -> Endpoint | None:
        """Return the endpoint of this name."""
        raise NotImplementedError

    def endpoint_by_id(self, endpoint_id: str) -> Endpoint | None:
        """Return the endpoint with this id."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the network with its bridge and its pools.

        Raises:
            Forbidden: `network <n> id <id> has active endpoints`. The daemon puts
                `error while removing network: ` in front.
        """
        raise NotImplementedError
