"""The predefined networks, and which bridge and subnet the default one gets at a start.

Mirrors: moby daemon/daemon_unix.go initNetworkController, initBridgeDriver (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Interface, ip_interface

from refimpl.errors import EngineError
from refimpl.kernel.base import Kernel, Link
from refimpl.libnetwork.config import ControllerConfig
from refimpl.libnetwork.drivers import bridge_options
from refimpl.libnetwork.drivers.base import DriverState
from refimpl.libnetwork.ipam import PoolAllocator
from refimpl.libnetwork.ledger import Ledger
from refimpl.libnetwork.rows import EndpointRow, NetworkRow, read_all, read_endpoint
from refimpl.libnetwork.store import Delete
from refimpl.model.network import IPAMPool, NetworkOptions

logger = logging.getLogger(__name__)

DEFAULT_BRIDGE_NAME = "docker0"


class DefaultNetworks:
    """Makes `none`, `host` and `bridge`; host and none keep their ids, bridge gets a new one.

    Args:
        kernel: Where the bridge is.
        ledger: Has the rows.
        allocator: Knows the free subnets.
        settings: The daemon's flags.
    """

    def __init__(
        self,
        *,
        kernel: Kernel,
        ledger: Ledger,
        allocator: PoolAllocator,
        settings: ControllerConfig,
    ) -> None:
        self._kernel = kernel
        self._ledger = ledger
        self._allocator = allocator
        self._settings = settings
        self._former: tuple[NetworkRow, ...] = ()

    def replace(self, former: Sequence[NetworkRow]) -> None:
        """Note the default network of the last run, whose place the next one takes."""
        self._former = tuple(former)

    def former_rows(self) -> list[Delete]:
        """Return the changes that end the default network of the last run, once."""
        former, self._former = self._former, ()
        return [Delete("network", row.id) for row in former]

    def former_state(self) -> DriverState | None:
        """Return the state of the default network of the last run, until its row is deleted."""
        return self._former[-1].state if self._former else None

    def make(
        self,
        exists: Callable[[str], bool],
        new_network: Callable[[str, NetworkOptions], object],
    ) -> None:
        """Make the predefined networks that are to be and are not there.

        Args:
            exists: Tells whether there is a network of a name.
            new_network: Makes one.

        Raises:
            EngineError, OSError: the default bridge cannot be made.
        """
        for name, driver in (("none", "null"), ("host", "host")):
            if not exists(name):
                new_network(name, NetworkOptions(driver=driver))
        links = {link.name: link for link in self._kernel.links()}
        state = self.former_state()
        former = "" if state is None else str(state["bridge"])
        if self._settings.is_disabled:
            if self._is_still_ours(former, links):
                self._kernel.delete_link(former)
            self._give_back(state, links)
            rows = self.former_rows()
            if rows:
                self._ledger.commit(rows)
            return
        name = self._settings.bridge or self._choose_name(former, links)
        if former != name:
            self._give_back(state, links)
        self._make_bridge(name, links, new_network)

    def _give_back(self, state: DriverState | None, links: Mapping[str, Link]) -> None:
        """Take what the last run gave a bridge that it had found off that bridge."""
        bridge = None if state is None else links.get(str(state["bridge"]))
        if state is not None and bridge is not None and state.get("is_found"):
            given = bridge_options.given_addresses(state)
            if given:
                self._kernel.take_addresses(bridge.name, given)

    def _make_bridge(
        self,
        name: str,
        links: Mapping[str, Link],
        new_network: Callable[[str, NetworkOptions], object],
    ) -> None:
        """Choose the subnet of the default bridge, and make it.

        A `docker0` that is not ours, or not ours alone, belongs to a real Docker beside us: then
        another name is taken.
        """
        settings = self._settings
        if settings.bridge and name not in links:
            raise EngineError(
                f"bridge device with non default bridge name {name} must be created manually"
            )
        existing = _address_of(links.get(name))
        if settings.bip:
            own = ip_interface(settings.bip)
            subnet, gateway = str(own.network), str(own.ip)
        elif existing is not None:
            subnet, gateway = str(existing.network), str(existing.ip)
        else:
            subnet, gateway = str(self._allocator.first_default()), ""
        pool = IPAMPool(subnet=subnet, gateway=gateway, ip_range=settings.fixed_cidr)
        options = NetworkOptions(driver="bridge", ipam=(pool,), options=_options(settings, name))
        try:
            new_network("bridge", options)
        except BaseException:
            if name not in links:
                self._undo_bridge(name)
            raise

    def _undo_bridge(self, name: str) -> None:
        """Leave no bridge behind when the engine cannot start; its row stays for the next start."""
        try:
            self._kernel.delete_link(name)
        except OSError:
            logger.exception("bridge %s stays until the next start", name)

    def _choose_name(self, former: str, links: Mapping[str, Link]) -> str:
        if former and (former not in links or self._is_still_ours(former, links)):
            return former
        if DEFAULT_BRIDGE_NAME not in links:
            return DEFAULT_BRIDGE_NAME
        number = 0
        while f"netinit{number}" in links:
            number += 1
        name = f"netinit{number}"
        taken = former or DEFAULT_BRIDGE_NAME
        logger.warning("bridge %s is another's: the default network is on %s", taken, name)
        return name

    def _is_still_ours(self, name: str, links: Mapping[str, Link]) -> bool:
        """Tell whether there is a bridge of this name that we made, and that nobody else uses.

        A Docker that finds a `docker0` takes it as its own, whoever made it, and puts its ports
        there.
        """
        # the rows that are left at boot are those of links that could not be removed
        rows: tuple[EndpointRow, ...]
        rows, _ = read_all(read_endpoint, self._ledger.load().endpoints)
        own = {row.host_name for row in rows}
        ports = {link.name for link in links.values() if link.master == name}
        return name in links and links[name].is_own_bridge and ports <= own


def _options(settings: ControllerConfig, name: str) -> Mapping[str, str]:
    return {
        bridge_options.DEFAULT_BRIDGE: "true",
        bridge_options.ENABLE_ICC: str(settings.icc).lower(),
        bridge_options.ENABLE_IP_MASQUERADE: str(settings.ip_masq).lower(),
        bridge_options.HOST_BINDING_IPV4: settings.default_ip,
        bridge_options.BRIDGE_NAME: name,
        bridge_options.MTU: str(settings.mtu_bytes),
    }


def _address_of(link: Link | None) -> IPv4Interface | None:
    if link is None:
        return None
    return next((a for a in link.addresses if isinstance(a, IPv4Interface)), None)
