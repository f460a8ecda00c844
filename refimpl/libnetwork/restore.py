"""How networks come back at boot, from their rows.

A row that cannot be read, or that another one contradicts, is named in the log. Its network does
not come back, and its row and its bridge are left alone; all others come back.

Mirrors: libnetwork controller.go and store.go, drivers/bridge/bridge_store.go (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from refimpl.errors import EngineError
from refimpl.libnetwork.drivers.base import Driver
from refimpl.libnetwork.ipam import PoolAllocator
from refimpl.libnetwork.ledger import Ledger
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.pools import restore_pools
from refimpl.libnetwork.rows import NetworkRow, RowError
from refimpl.libnetwork.store import Delete
from refimpl.model.network import NetworkOptions

logger = logging.getLogger(__name__)


class NetworkRestorer:
    """Takes networks over from the last run.

    Args:
        driver_of: Finds the driver of a network's options; None where there is none.
        allocator: Where their pools are reserved again.
        ledger: Forgets those whose deletion had begun.
        make: Makes a network of a row, without pools and state.
        adopt: Takes a network into the registry.
    """

    def __init__(
        self,
        *,
        driver_of: Callable[[NetworkOptions], Driver | None],
        allocator: PoolAllocator,
        ledger: Ledger,
        make: Callable[[NetworkRow, Driver], Network],
        adopt: Callable[[Network], None],
    ) -> None:
        self._driver_of = driver_of
        self._allocator = allocator
        self._ledger = ledger
        self._make = make
        self._adopt = adopt

    def restore(self, rows: Sequence[NetworkRow]) -> tuple[NetworkRow, ...]:
        """Bring networks back, oldest first, and finish deletions that had begun.

        Returns:
            The rows of the default network, which does not come back.
        """
        former: list[NetworkRow] = []
        restored: dict[Driver, list[Network]] = {}
        for row in sorted(rows, key=lambda row: row.created):
            if row.in_delete:
                self._finish_deletion(row)
            elif row.options.driver == "bridge" and row.name == "bridge":
                former.append(row)
            else:
                network = self._restore(row)
                if network is not None:
                    restored.setdefault(network.driver, []).append(network)
        for driver, networks in restored.items():
            pairs = [(network.driver_network(), network.state) for network in networks]
            for failure in driver.restore_networks(pairs):
                logger.error("failed to restore a network: %s", failure)
        return tuple(former)

    def check(self, row: NetworkRow) -> None:
        """Refuse a row whose driver does not understand it.

        Raises:
            RowError: what is wrong with it.
        """
        driver = self._driver(row)
        try:
            driver.check_state(self._make(row, driver).driver_network(), row.state)
        except ValueError as error:
            raise RowError("network", row.id, "state", str(error)) from error

    def _driver(self, row: NetworkRow) -> Driver:
        driver = self._driver_of(row.options)
        if driver is None:
            reason = f"there is no driver {row.options.driver!r}"
            raise RowError("network", row.id, "options.driver", reason)
        return driver

    def _finish_deletion(self, row: NetworkRow) -> None:
        try:
            self._driver(row).delete_network(row.id, row.state)
        except OSError:
            logger.exception("failed to remove network %s", row.id)
        else:
            self._ledger.forget([Delete("network", row.id)])

    def _restore(self, row: NetworkRow) -> Network | None:
        driver = self._driver(row)
        network = self._make(row, driver)
        try:
            # an earlier engine kept IPv6 subnets also for networks without IPv6
            used = [one for one in row.pools if row.options.enable_ipv6 or one.subnet.version == 4]
            network.pools = restore_pools(self._allocator, used)
        except EngineError as error:
            logger.error("failed to restore network %s (%s): %s", row.name, row.id, error)
            return None
        network.state = row.state
        self._adopt(network)
        return network
