"""The controller: the registry of networks and sandboxes, and what it takes to make them.

Mirrors: libnetwork controller.go and sandbox_store.go (v20.10). What happens at boot is in
`restore`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from refimpl.errors import EngineError, Forbidden, NotFound, NotServed
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork import restore
from refimpl.libnetwork.drivers.base import Driver
from refimpl.libnetwork.drivers.bridge import BridgeDriver
from refimpl.libnetwork.drivers.host import HostDriver
from refimpl.libnetwork.drivers.null import NullDriver
from refimpl.libnetwork.ipam import DEFAULT_ADDRESS_POOLS, PoolAllocator
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.pools import PoolInfo, allocate_pools, check_ipam, release_pools
from refimpl.libnetwork.resolver import Resolver
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.libnetwork.store import Delete, Put, Store
from refimpl.model.network import NetworkOptions, SandboxOptions

logger = logging.getLogger(__name__)


def new_id() -> str:
    """Return a fresh 64-hex id."""
    return os.urandom(32).hex()


def utc_now() -> datetime:
    """Return the current time with its zone."""
    return datetime.now(UTC)


NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)
"""moby daemon/cluster errNoSwarm"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerConfig:
    """What the daemon's flags say about networking."""

    netns_directory: str
    """`<exec-root>/netns`."""
    bridge: str = ""
    """`--bridge`: "" makes the default bridge, "none" leaves it out, else the bridge to use."""
    bip: str = ""
    """`--bip`: the default bridge's own address with its prefix."""
    fixed_cidr: str = ""
    """`--fixed-cidr`: the range of the default bridge's dynamic addresses."""
    mtu_bytes: int = 1500
    icc: bool = True
    ip_masq: bool = True
    default_address_pools: tuple[tuple[str, int], ...] = ()
    """`--default-address-pool`: (base, size); empty means Docker's own."""
    host_resolv_conf_path: str = "/etc/resolv.conf"


class Controller:
    """Networks and sandboxes of one daemon; safe to use from many threads.

    Lock order: the container's lock, then the controller's or a network's, then a sandbox's.
    """

    def __init__(
        self,
        *,
        kernel: Kernel,
        files: Files,
        store: Store,
        config: ControllerConfig,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        self.kernel = kernel
        self.files = files
        self.store = store
        self.config = config
        self.clock = clock
        self.new_id = new_id
        self.resolver = Resolver()
        self.allocator = PoolAllocator(
            kernel.host_subnets, config.default_address_pools or DEFAULT_ADDRESS_POOLS
        )
        self.drivers: Mapping[str, Driver] = {
            driver.name: driver for driver in (BridgeDriver(kernel), HostDriver(), NullDriver())
        }
        self._stale = restore.StaleState()
        self._networks: dict[str, Network] = {}
        self._by_name: dict[str, tuple[Network, ...]] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._by_container: dict[str, Sandbox] = {}
        self._lock = threading.RLock()
        self._network_changes = threading.RLock()

    @property
    def default_bridge_disabled(self) -> bool:
        """Whether the daemon runs with `--bridge none` (moby: config.DisableBridge)."""
        return self.config.bridge == "none"

    # -- networks --------------------------------------------------------------------------
    def networks(self) -> tuple[Network, ...]:
        """Return every network, oldest first."""
        with self._lock:
            return tuple(self._networks.values())

    def network_by_name(self, name: str) -> Network | None:
        """Return the first network of this name."""
        return next(iter(self.networks_by_name(name)), None)

    def networks_by_name(self, name: str) -> tuple[Network, ...]:
        """Return every network of this name, oldest first."""
        return self._by_name.get(name, ())

    def network_by_id(self, network_id: str) -> Network | None:
        """Return the network of this full id."""
        return self._networks.get(network_id)

    def _register(self, network: Network) -> None:
        with self._lock:
            self._networks[network.id] = network
            self._by_name[network.name] = (*self.networks_by_name(network.name), network)

    def _forget(self, network: Network) -> None:
        with self._lock:
            del self._networks[network.id]
            others = tuple(
                other for other in self.networks_by_name(network.name) if other is not network
            )
            if others:
                self._by_name[network.name] = others
            else:
                del self._by_name[network.name]

    def new_network(
        self, name: str, options: NetworkOptions, *, network_id: str | None = None
    ) -> Network:
        """Make a network: pools, row, then the driver's part; undone whole when one fails.

        Duplicate names are the daemon's business, as in moby.

        Raises:
            InvalidParameter, Forbidden, NotFound, EngineError: with 20.10's texts.
            OSError: the kernel or the store refused.
        """
        driver = self._check(name, options)
        options = replace(options, ipam_driver=options.ipam_driver or "default")
        network = Network(
            controller=self,
            network_id=network_id or self.new_id(),
            name=name,
            created=self.clock(),
            options=options,
            driver=driver,
        )
        with self._network_changes:
            if driver.allocates:
                network.pools = allocate_pools(self.allocator, name, options)
            try:
                network.state = driver.plan_network(network.driver_network())
                self._create(network)
            except BaseException:
                release_pools(self.allocator, network.pools)
                raise
        return network

    def _create(self, network: Network) -> None:
        changes: list[Put | Delete] = [Put("network", network.id, network.to_row())]
        if network.name == "bridge":
            # the row that the new one replaces names the same bridge: one step, or the bridge
            # would be nobody's for a moment
            changes[:0] = self._stale.take_default_bridge_rows()
        try:
            self.store.commit(changes)
            network.driver.create_network(network.driver_network(), network.state)
        except BaseException:
            # the default bridge's row says that the bridge is ours, and stays for the next start
            if network.name != "bridge":
                self._forget_row(network)
            raise
        self._register(network)

    def _forget_row(self, network: Network) -> None:
        try:
            self.store.commit([Delete("network", network.id)])
        except OSError:
            logger.exception("the row of network %s stays until the next start", network.id)

    def _check(self, name: str, options: NetworkOptions) -> Driver:
        """Refuse what can be refused without looking at addresses; in 20.10's order."""
        if options.scope in {"swarm", "global"}:
            raise Forbidden("cannot create a swarm scoped network when swarm is not active")
        check_ipam(options)
        if not name.strip():
            raise EngineError(f"invalid name: {name}")
        if options.ingress:
            raise Forbidden("Ingress network can only be global scope network")
        if options.config_from and self.network_by_name(options.config_from) is None:
            raise NotFound(f'configuration network "{options.config_from}" does not exist')
        if options.config_only or options.config_from:
            raise NotServed("configuration-only networks are not served by this engine")
        if options.driver == "overlay":
            raise EngineError(NO_SWARM)  # a cluster's networks are its managers' affair
        driver = self.drivers.get(options.driver or "bridge")
        if driver is None:
            raise NotFound(f'plugin "{options.driver}" not found')
        if driver.allocates and options.ipam_driver not in {"", "default"}:
            if options.ipam_driver == "null":
                raise EngineError("ipv4 pool is empty")
            raise NotFound(f'plugin "{options.ipam_driver}" not found')
        return driver

    def delete_network(self, network: Network) -> None:
        """Delete a network (called by `Network.delete`).

        Raises:
            NotFound: somebody else has deleted it meanwhile.
            Forbidden: it has endpoints.
            OSError: the kernel or the store refused; the network is there still.
        """
        with self._network_changes:
            if self.network_by_id(network.id) is not network:
                raise NotFound(f"unknown network {network.name} id {network.id}")
            network.mark_deleted()
            try:
                # a crash from here on ends with the deletion done at the next start
                self.store.commit([Put("network", network.id, network.to_row(in_delete=True))])
                network.driver.delete_network(network.id, network.state)
                self.store.commit([Delete("network", network.id)])
            except BaseException:
                self._revive(network)
                raise
            release_pools(self.allocator, network.pools)
            self._forget(network)

    def _revive(self, network: Network) -> None:
        """Make a network whole again whose deletion failed half-way."""
        try:
            network.driver.create_network(network.driver_network(), network.state)
            self.store.commit([Put("network", network.id, network.to_row())])
        except (OSError, EngineError):
            logger.exception("network %s is only partly deleted", network.id)
        network.unmark_deleted()

    def adopt_network(self, network: Network, pools: tuple[PoolInfo, ...]) -> None:
        """Take in a network that was read from its row (called at boot)."""
        network.pools = pools
        self._register(network)

    # -- sandboxes -------------------------------------------------------------------------
    def new_sandbox(self, options: SandboxOptions) -> Sandbox:
        """Make a sandbox for a container, on paper until `Sandbox.populate`.

        Raises:
            Forbidden: the container has one already.
            OSError: a file could not be read.
        """
        if not options.container_id:
            raise EngineError("invalid container id: ")
        with self._lock:
            other = self._by_container.get(options.container_id)
            if other is not None:
                raise Forbidden(f"container {options.container_id} is already present: {other.id}")
            sandbox = Sandbox(self, self.new_id(), options)
            self._sandboxes[sandbox.id] = sandbox
            self._by_container[options.container_id] = sandbox
        try:
            sandbox.files.set_up()
            for container_id, name, address in options.parent_updates:
                parent = self.get_sandbox(container_id)
                if parent is not None:
                    parent.update_hosts_entry(name, address)
        except BaseException:
            self.forget_sandbox(sandbox)
            raise
        return sandbox

    def sandbox_by_id(self, sandbox_id: str) -> Sandbox | None:
        """Return the sandbox with this id."""
        return self._sandboxes.get(sandbox_id)

    def get_sandbox(self, container_id: str) -> Sandbox | None:
        """Return the sandbox of a container (moby: daemon.getNetworkSandbox)."""
        return self._by_container.get(container_id)

    def sandbox_destroy(self, container_id: str) -> None:
        """Delete the sandbox of a container; no error when there is none.

        Raises:
            EngineError: everything that went wrong on the way; the sandbox is gone as far as
                possible.
        """
        sandbox = self.get_sandbox(container_id)
        if sandbox is not None:
            sandbox.delete()

    def forget_sandbox(self, sandbox: Sandbox) -> None:
        """Take a sandbox out of the registry (called by `Sandbox.delete`)."""
        with self._lock:
            self._sandboxes.pop(sandbox.id, None)
            if self._by_container.get(sandbox.container_id) is sandbox:
                del self._by_container[sandbox.container_id]

    # -- boot and end ----------------------------------------------------------------------
    def sandbox_cleanup(self) -> None:
        """Remove, at boot, everything that a crash left behind, and restore the networks.

        To be called once, before `init_default_networks`. Goes on past errors and logs them.

        Raises:
            OSError: the store cannot be read or the kernel cannot be asked.
        """
        self._stale = restore.clean_up(self)

    def init_default_networks(self) -> None:
        """Make `none`, `host` and `bridge`; host and none keep their ids, bridge gets a new one.

        Mirrors: daemon.initNetworkController (v20.10).

        Raises:
            EngineError, OSError: the default bridge cannot be made.
        """
        restore.init_default_networks(self, self._stale)

    def close(self) -> None:
        """Delete the sandboxes that are left, stop the resolver, close the store."""
        with self._lock:
            left = tuple(self._sandboxes.values())
        for sandbox in left:
            try:
                sandbox.delete()
            except (OSError, EngineError):
                logger.exception("sandbox %s", sandbox.id)
        self.resolver.close()
        try:
            restore.unpin_host(self)
        except OSError:
            logger.exception("the host's namespace stays pinned")
        self.store.close()
