"""What `host` and `null` have in common: one network, and nothing to make or to allocate on it.

Mirrors: libnetwork drivers/host/host.go and drivers/null/null.go (v20.10), which are alike, too.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from refimpl.errors import Forbidden
from refimpl.libnetwork.drivers.base import (
    DriverEndpoint,
    DriverNetwork,
    DriverState,
    EndpointPlan,
    JoinInfo,
)
from refimpl.model.network import LinkTarget


class SingleNetworkDriver:
    """A driver with one network at most, whose endpoints are only names; subclasses name it."""

    name = ""
    allocates = False

    def __init__(self) -> None:
        self._network_id: str | None = None
        self._lock = threading.Lock()

    def plan_network(self, network: DriverNetwork) -> DriverState:
        """Refuse a second network.

        Raises:
            Forbidden: there is one already.
        """
        with self._lock:
            if self._network_id is not None:
                raise Forbidden(f'only one instance of "{self.name}" network is allowed')
        return {}

    def create_network(self, network: DriverNetwork, state: DriverState) -> None:
        """Note the only network.

        Raises:
            Forbidden: there is one already.
        """
        with self._lock:
            if self._network_id not in {None, network.id}:
                raise Forbidden(f'only one instance of "{self.name}" network is allowed')
            self._network_id = network.id

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError, ...]:
        """Note the only network again."""
        for network, state in networks:
            self.create_network(network, state)
        return ()

    def delete_network(self, network_id: str, state: DriverState) -> None:
        """Forget the network."""
        with self._lock:
            if self._network_id == network_id:
                self._network_id = None

    def create_endpoint(self, network_id: str, endpoint: DriverEndpoint) -> EndpointPlan:
        """Decide nothing: no interface; but the MAC that was asked for is shown."""
        return EndpointPlan(mac=endpoint.mac)

    def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        """Forget nothing."""

    def join(self, network_id: str, endpoint_id: str) -> JoinInfo:
        """Ask for no interface."""
        return JoinInfo()

    def link(self, network_id: str, endpoint_id: str, targets: Sequence[LinkTarget]) -> None:
        """Open nothing: nothing is closed."""

    def leave(self, network_id: str, endpoint_id: str) -> None:
        """Give nothing back."""
