"""Driver of configurations: networks that only hold what other networks are made from.

No container is ever on one. There may be any number of them, and their subnets may overlap: nothing
is reserved before a network is made from one.

Mirrors: what libnetwork controller.go NewNetwork leaves out for `configOnly` (v20.10).
"""

from __future__ import annotations

from collections.abc import Sequence

from refimpl.errors import EngineError, Forbidden
from refimpl.libnetwork.drivers.base import (
    DriverEndpoint,
    DriverNetwork,
    DriverState,
    EndpointPlan,
    JoinInfo,
)
from refimpl.model.network import LinkTarget


class ConfigurationDriver:
    """The driver of configurations; shown as `null`, as 20.10 does."""

    name = "null"
    allocates = False

    def plan_network(self, network: DriverNetwork, former: DriverState | None) -> DriverState:
        """Accept any options: they are read when a network is made from them."""
        return {}

    def create_network(self, network: DriverNetwork, state: DriverState) -> None:
        """Make nothing."""

    def check_state(self, network: DriverNetwork, state: DriverState) -> None:
        """Accept any: there is nothing to remember."""

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError | EngineError, ...]:
        """Make nothing."""
        return ()

    def repair_network(self, network_id: str) -> None:
        """Make nothing."""

    def delete_network(self, network_id: str, state: DriverState) -> None:
        """Remove nothing."""

    def create_endpoint(self, network_id: str, endpoint: DriverEndpoint) -> EndpointPlan:
        """Refuse: no container is on a configuration.

        Raises:
            Forbidden: always.
        """
        raise Forbidden("cannot create endpoint on configuration-only network")

    def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        """Forget nothing."""

    def join(self, network_id: str, endpoint_id: str) -> JoinInfo:
        """Ask for no interface."""
        return JoinInfo()

    def link(self, network_id: str, endpoint_id: str, targets: Sequence[LinkTarget]) -> None:
        """Open nothing."""

    def leave(self, network_id: str, endpoint_id: str) -> None:
        """Give nothing back."""
