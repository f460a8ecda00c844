"""What happens at boot: leftovers go, networks come back, the default networks are made.

Everything that can be left behind is found from two sides: by the store's rows, which were
written before the deed, and by what the kernel lists of namespace files below our own directory.
A link that no row names is somebody else's: a real Docker gives its links names like ours.

Mirrors: libnetwork sandbox_store.go sandboxCleanup, endpoint.go cleanupLocalEndpoints and moby
daemon/daemon_unix.go initNetworkController, initBridgeDriver (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Interface, ip_interface
from typing import TYPE_CHECKING, Any

from refimpl.errors import EngineError
from refimpl.kernel.base import Link
from refimpl.libnetwork.drivers import bridge as bridge_driver
from refimpl.libnetwork.network import Network, options_from_row
from refimpl.libnetwork.pools import PoolInfo, restore_pools
from refimpl.libnetwork.store import Delete, Put, Row, Snapshot
from refimpl.model.network import IPAMPool, NetworkOptions

if TYPE_CHECKING:
    from refimpl.libnetwork.controller import Controller

logger = logging.getLogger(__name__)

DEFAULT_BRIDGE_NAME = "docker0"


@dataclass(slots=True)
class StaleState:
    """What the last run says about the default bridge, which gets a new id at each start."""

    default_bridge_ids: list[str] = field(default_factory=list)
    bridge: str = ""
    """The name that the last run's default bridge had, "" for none."""

    def take_default_bridge_rows(self) -> list[Put | Delete]:
        """Return the changes that end the old default bridge, once."""
        ids, self.default_bridge_ids = self.default_bridge_ids, []
        return [Delete("network", network_id) for network_id in ids]


def clean_up(controller: Controller) -> StaleState:
    """Remove leftovers and restore networks; see `Controller.sandbox_cleanup`."""
    snapshot = controller.store.load()
    links = controller.kernel.links()
    _remove_sandboxes(controller, snapshot)
    _remove_links(controller, snapshot, links)
    return _restore_networks(controller, snapshot)


def _remove_sandboxes(controller: Controller, snapshot: Snapshot) -> None:
    directory = controller.config.netns_directory
    stale = dict.fromkeys(controller.kernel.sandbox_keys(directory))
    gone: list[Put | Delete] = []
    for sandbox_id, row in snapshot.sandboxes.items():
        logger.info("Removing stale sandbox %s (%s)", sandbox_id, row["container_id"])
        stale[row["key"]] = None
    failed: set[str] = set()
    for key in stale:
        try:
            if key == f"{directory}/default":
                unpin_host(controller)
            else:
                controller.kernel.destroy_sandbox(key)
        except OSError:
            logger.exception("failed to remove stale sandbox at %s", key)
            failed.add(key)
    # at once: a port on its way out would make its bridge look like somebody else's
    controller.kernel.delete_retired()
    gone.extend(
        Delete("sandbox", sandbox_id)
        for sandbox_id, row in snapshot.sandboxes.items()
        if row["key"] not in failed
    )
    if gone:
        controller.store.commit(gone)


def unpin_host(controller: Controller) -> None:
    """Remove `netns/default`, which pins the daemon's own namespace.

    Not by `destroy_sandbox`: that would take the host's own links for the sandbox's.
    """
    key = f"{controller.config.netns_directory}/default"
    controller.kernel.unmount(key)
    controller.files.remove(key)


def _remove_links(controller: Controller, snapshot: Snapshot, links: tuple[Link, ...]) -> None:
    """Remove the host ends of stale endpoints, which have a row each."""
    owned = {row["host_name"] for row in snapshot.endpoints.values()} - {""}
    failed: set[str] = set()
    for link in links:
        if link.kind == "veth" and link.name in owned:
            try:
                controller.kernel.delete_link(link.name)
            except OSError:
                logger.exception("failed to remove stale link %s", link.name)
                failed.add(link.name)
    gone: list[Put | Delete] = [
        Delete("endpoint", endpoint_id)
        for endpoint_id, row in snapshot.endpoints.items()
        if row["host_name"] not in failed
    ]
    if gone:
        controller.store.commit(gone)


def _restore_networks(controller: Controller, snapshot: Snapshot) -> StaleState:
    stale = StaleState()
    restored: dict[str, list[Network]] = {}
    for network_id, row in sorted(snapshot.networks.items(), key=lambda item: item[1]["created"]):
        if row["in_delete"]:
            _finish_deletion(controller, network_id, row)
        elif row["options"]["driver"] == "bridge" and row["name"] == "bridge":
            stale.default_bridge_ids.append(network_id)
            stale.bridge = row["state"]["bridge"]
        else:
            network = _restore_network(controller, network_id, row)
            if network is not None:
                restored.setdefault(network.type, []).append(network)
    for driver_name, networks in restored.items():
        driver = controller.drivers[driver_name]
        pairs = [(network.driver_network(), network.state) for network in networks]
        for failure in driver.restore_networks(pairs):
            logger.error("failed to restore a network: %s", failure)
    return stale


def _finish_deletion(controller: Controller, network_id: str, row: Row) -> None:
    try:
        driver = controller.drivers[row["options"]["driver"]]
        driver.delete_network(network_id, row["state"])
        controller.store.commit([Delete("network", network_id)])
    except OSError:
        logger.exception("failed to remove network %s", network_id)


def _restore_network(controller: Controller, network_id: str, row: Row) -> Network | None:
    options = options_from_row(row["options"])
    pools: tuple[PoolInfo, ...] = ()
    try:
        pools = restore_pools(controller.allocator, row["pools"])
    except EngineError as error:
        logger.error("failed to restore network %s (%s): %s", row["name"], network_id, error)
        return None
    network = Network(
        controller=controller,
        network_id=network_id,
        name=row["name"],
        created=datetime.fromisoformat(row["created"]),
        options=options,
        driver=controller.drivers[options.driver or "bridge"],
        state=row["state"],
    )
    controller.adopt_network(network, pools)
    return network


def init_default_networks(controller: Controller, stale: StaleState) -> None:
    """Make the three predefined networks; see `Controller.init_default_networks`."""
    for name, driver in (("none", "null"), ("host", "host")):
        if controller.network_by_name(name) is None:
            controller.new_network(name, NetworkOptions(driver=driver))
    if controller.default_bridge_disabled:
        _remove_default_bridge(controller, stale)
    else:
        _init_bridge_driver(controller, stale)


def _remove_default_bridge(controller: Controller, stale: StaleState) -> None:
    links = {link.name: link for link in controller.kernel.links()}
    if _is_still_ours(controller, stale.bridge, links):
        controller.kernel.delete_link(stale.bridge)
    rows = stale.take_default_bridge_rows()
    if rows:
        controller.store.commit(rows)


def _init_bridge_driver(controller: Controller, stale: StaleState) -> None:
    """Choose name and subnet of the default bridge, and make it.

    A `docker0` that is not ours, or not ours alone, belongs to a real Docker beside us: then
    another name is taken.
    """
    config = controller.config
    links = {link.name: link for link in controller.kernel.links()}
    name = config.bridge or _default_bridge_name(controller, stale, links)
    if config.bridge and name not in links:
        raise EngineError(
            f"bridge device with non default bridge name {name} must be created manually"
        )
    existing = _address_of(links.get(name))
    if config.bip:
        own = ip_interface(config.bip)
        pool = IPAMPool(subnet=str(own.network), gateway=str(own.ip), ip_range=config.fixed_cidr)
    elif existing is not None:
        pool = IPAMPool(
            subnet=str(existing.network), gateway=str(existing.ip), ip_range=config.fixed_cidr
        )
    else:
        subnet = str(controller.allocator.first_default())
        pool = IPAMPool(subnet=subnet, ip_range=config.fixed_cidr)
    options = NetworkOptions(driver="bridge", ipam=(pool,), options=_bridge_options(config, name))
    try:
        controller.new_network("bridge", options)
    except BaseException:
        if name not in links:
            _undo_bridge(controller, name)
        raise


def _undo_bridge(controller: Controller, name: str) -> None:
    """Leave no bridge behind when the engine cannot start; its row stays, for the next start."""
    try:
        controller.kernel.delete_link(name)
    except OSError:
        logger.exception("bridge %s stays until the next start", name)


def _bridge_options(config: Any, name: str) -> Mapping[str, str]:
    return {
        bridge_driver.DEFAULT_BRIDGE: "true",
        bridge_driver.ENABLE_ICC: str(config.icc).lower(),
        bridge_driver.ENABLE_IP_MASQUERADE: str(config.ip_masq).lower(),
        bridge_driver.HOST_BINDING_IPV4: "0.0.0.0",  # noqa: S104
        bridge_driver.BRIDGE_NAME: name,
        bridge_driver.MTU: str(config.mtu_bytes),
    }


def _default_bridge_name(
    controller: Controller, stale: StaleState, links: Mapping[str, Link]
) -> str:
    if stale.bridge and stale.bridge not in links:
        return stale.bridge
    if _is_still_ours(controller, stale.bridge, links):
        return stale.bridge
    if DEFAULT_BRIDGE_NAME not in links:
        return DEFAULT_BRIDGE_NAME
    number = 0
    while f"netinit{number}" in links:
        number += 1
    name = f"netinit{number}"
    taken = stale.bridge or DEFAULT_BRIDGE_NAME
    logger.warning("bridge %s is another's: the default network is on %s", taken, name)
    return name


def _is_still_ours(controller: Controller, name: str, links: Mapping[str, Link]) -> bool:
    """Tell whether there is a bridge of this name that we made, and nobody else has come to use.

    A Docker that finds a `docker0` takes it as its own, whoever made it, and puts its ports there.
    """
    # the rows that are left at boot are those of links that could not be removed
    own = {row["host_name"] for row in controller.store.load().endpoints.values()}
    ports = {link.name for link in links.values() if link.master == name}
    return name in links and links[name].is_own_bridge and ports <= own


def _address_of(link: Link | None) -> IPv4Interface | None:
    if link is None:
        return None
    return next((a for a in link.addresses if isinstance(a, IPv4Interface)), None)
