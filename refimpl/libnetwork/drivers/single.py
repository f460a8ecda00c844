"""Drivers `host` and `null`: one network each, and nothing to make or to allocate on it.

On `host` containers are in the daemon's own namespace, on `null` (network `none`) they have a
loopback interface and nothing else. That is the sandbox's business: the drivers are alike.

Mirrors: libnetwork drivers/host/host.go and drivers/null/null.go (v20.10).
"""

from __future__ import annotations

import threading
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


class SingleNetworkDriver:
    """A driver with one network at most, whose endpoints are only names.

    Args:
        name: `host` or `null`.
    """

    allocates = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._network_id: str | None = None
        self._lock = threading.Lock()

    def plan_network(self, network: DriverNetwork, former: DriverState | None) -> DriverState:
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

    def check_state(self, network: DriverNetwork, state: DriverState) -> None:
        """Accept any: there is nothing to remember."""

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError | EngineError, ...]:
        """Note the only network again."""
        failures: list[EngineError] = []
        for network, state in networks:
            try:
                self.create_network(network, state)
            except EngineError as error:
                failures.append(error)
        return tuple(failures)

    def repair_network(self, network_id: str) -> None:
        """Make nothing: there is nothing that could be missing."""

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
