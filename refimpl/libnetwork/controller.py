"""The controller: the registry of networks and sandboxes, and what it takes to make them.

Mirrors: libnetwork controller.go and sandbox_store.go (v20.10). What happens at boot is in
`restore`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from refimpl.errors import EngineError, Forbidden, NotFound
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.config import ControllerConfig
from refimpl.libnetwork.configurations import (
    apply_configuration,
    check_configuration,
    refuse_used,
)
from refimpl.libnetwork.default_networks import DefaultNetworks
from refimpl.libnetwork.drivers.base import Driver
from refimpl.libnetwork.drivers.bridge import BridgeDriver
from refimpl.libnetwork.drivers.configuration import ConfigurationDriver
from refimpl.libnetwork.drivers.macvlan import MacvlanDriver
from refimpl.libnetwork.drivers.single import SingleNetworkDriver
from refimpl.libnetwork.ipam import DEFAULT_ADDRESS_POOLS, PoolAllocator
from refimpl.libnetwork.ledger import Ledger
from refimpl.libnetwork.leftovers import Leftovers
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.pools import allocate_pools, check_ipam, host_subnets, release_pools
from refimpl.libnetwork.resolver import Resolver
from refimpl.libnetwork.restore import NetworkRestorer
from refimpl.libnetwork.rows import (
    NetworkRow,
    read_all,
    read_endpoint,
    read_network,
    read_sandbox,
)
from refimpl.libnetwork.sandbox import Sandbox, SandboxServices
from refimpl.libnetwork.store import Delete, Put, Store
from refimpl.model.network import NetworkOptions, SandboxOptions

__all__ = ["Controller", "ControllerConfig", "new_id", "utc_now"]

logger = logging.getLogger(__name__)


def new_id() -> str:
    """Return a fresh 64-hex id."""
    return os.urandom(32).hex()


def utc_now() -> datetime:
    """Return the current time with its zone."""
    return datetime.now(UTC)


_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect '
    "this node to swarm and try again."
)
"""moby daemon/cluster errNoSwarm"""


def _refuse_scopes(options: NetworkOptions) -> None:
    """Refuse what needs a cluster.

    Raises:
        Forbidden, EngineError: with 20.10's texts.
    """
    if options.scope == "swarm":
        raise Forbidden("cannot create a swarm scoped network when swarm is not active")
    if options.scope != "local":
        raise EngineError(_NO_SWARM)
    if options.ingress:
        raise Forbidden("Ingress network can only be global scope network")


class Controller:
    """Networks and sandboxes of one daemon; safe to use from many threads.

    Lock order: the container's lock, then the controller's or a network's, then a sandbox's.
    `_changes` makes one network at a time; nobody else waits for it. `_lock` covers the registry,
    and is held for no longer than a look at it.
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
        self.store = store
        self.config = config
        self.clock = clock
        self.new_id = new_id
        self.resolver = Resolver()
        self._ledger = Ledger(store)
        self._allocator = PoolAllocator(
            lambda: host_subnets(kernel, files, config.host_resolv_conf_path),
            config.default_address_pools or DEFAULT_ADDRESS_POOLS,
        )
        drivers: tuple[Driver, ...] = (
            BridgeDriver(kernel, userland_proxy=config.userland_proxy),
            MacvlanDriver(kernel),
            SingleNetworkDriver("host"),
            SingleNetworkDriver("null"),
        )
        self._drivers: Mapping[str, Driver] = {driver.name: driver for driver in drivers}
        self._configuration_driver: Driver = ConfigurationDriver()
        self._leftovers = Leftovers(kernel, files, self._ledger, config.netns_directory)
        self._restorer = NetworkRestorer(
            driver_of=self._driver_of,
            allocator=self._allocator,
            ledger=self._ledger,
            make=self._network_of,
            adopt=self._register,
        )
        self._default_networks = DefaultNetworks(
            kernel=kernel, ledger=self._ledger, allocator=self._allocator, settings=config
        )
        self._sandbox_services = SandboxServices(
            kernel=kernel,
            files=files,
            ledger=self._ledger,
            resolver=self.resolver,
            netns_directory=config.netns_directory,
            host_resolv_conf_path=config.host_resolv_conf_path,
            forget=self._forget_sandbox,
        )
        self._networks: dict[str, Network] = {}
        self._by_name: dict[str, tuple[Network, ...]] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._by_container: dict[str, Sandbox] = {}
        self._lock = threading.RLock()
        self._changes = threading.Lock()

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

    def new_network(self, name: str, options: NetworkOptions) -> Network:
        """Make a network: pools, row, then the driver's part; undone whole when one fails.

        Duplicate names are the daemon's business, as in moby.

        Raises:
            InvalidParameter, Forbidden, NotFound, EngineError: with 20.10's texts.
            OSError: the kernel or the store refused.
        """
        network = self._make_network(name, options)
        self._ledger.write_back()
        return network

    def _make_network(self, name: str, options: NetworkOptions) -> Network:
        # the predefined bridge takes the place of the last run's
        former = self._default_networks.former_state() if name == "bridge" else None
        check_ipam(options)
        check_configuration(options)
        _refuse_scopes(options)
        with self._changes:
            options = apply_configuration(options, self.networks())
            driver = self._check(name, options)
            options = replace(
                options, driver=driver.name, ipam_driver=options.ipam_driver or "default"
            )
            network = self._network(self.new_id(), name, self.clock(), options, driver)
            if driver.allocates:
                network.pools = allocate_pools(self._allocator, name, options)
            try:
                network.state = driver.plan_network(network.driver_network(), former)
                self._create(network)
            except BaseException:
                release_pools(self._allocator, network.pools)
                raise
        return network

    def _network(
        self,
        network_id: str,
        name: str,
        created: datetime,
        options: NetworkOptions,
        driver: Driver,
    ) -> Network:
        return Network(
            network_id=network_id,
            name=name,
            created=created,
            options=options,
            driver=driver,
            new_id=self.new_id,
            delete=self._delete_network,
        )

    def _network_of(self, row: NetworkRow, driver: Driver) -> Network:
        return self._network(row.id, row.name, row.created, row.options, driver)

    def _create(self, network: Network) -> None:
        changes: list[Put | Delete] = [Put("network", network.id, network.to_row())]
        if network.name == "bridge":
            # the row that the new one replaces names the same bridge: one step, or the bridge
            # would be nobody's for a moment
            changes[:0] = self._default_networks.former_rows()
        try:
            self._ledger.commit(changes)
            network.driver.create_network(network.driver_network(), network.state)
        except BaseException:
            # the default bridge's row says that the bridge is ours, and stays for the next start
            if network.name != "bridge":
                self._ledger.forget([Delete("network", network.id)])
            raise
        self._register(network)

    def _check(self, name: str, options: NetworkOptions) -> Driver:
        """Refuse what can be refused without looking at addresses; in 20.10's order."""
        if not name.strip():
            raise EngineError(f"invalid name: {name}")
        if options.config_only:
            return self._configuration_driver
        if options.driver == "overlay":
            raise EngineError(_NO_SWARM)  # a cluster's networks are its managers' affair
        driver = self._driver_of(options)
        if driver is None:
            raise NotFound(f'plugin "{options.driver}" not found')
        if driver.allocates and options.ipam_driver not in {"", "default"}:
            if options.ipam_driver == "null":
                raise EngineError("ipv4 pool is empty")
            raise NotFound(f'plugin "{options.ipam_driver}" not found')
        return driver

    def _driver_of(self, options: NetworkOptions) -> Driver | None:
        if options.config_only:
            return self._configuration_driver
        return self._drivers.get(options.driver or "bridge")

    def _delete_network(self, network: Network) -> None:
        """Delete a network (what `Network.delete` calls).

        Raises:
            NotFound: somebody else has deleted it meanwhile.
            Forbidden: it has endpoints, or is the configuration of another network.
            OSError: the kernel or the store refused; the network is there still.
        """
        with self._changes:
            if self.network_by_id(network.id) is not network:
                raise NotFound(f"unknown network {network.name} id {network.id}")
            refuse_used(network, self.networks())
            network.mark_deleted()
            try:
                # a crash from here on ends with the deletion done at the next start
                self._ledger.commit([Put("network", network.id, network.to_row(in_delete=True))])
                network.driver.delete_network(network.id, network.state)
            except BaseException:
                self._revive(network)
                raise
            self._ledger.forget([Delete("network", network.id)])
            release_pools(self._allocator, network.pools)
            self._forget(network)
        self._ledger.write_back()

    def _revive(self, network: Network) -> None:
        """Make a network whole again whose deletion failed half-way."""
        try:
            network.driver.create_network(network.driver_network(), network.state)
            self._ledger.commit([Put("network", network.id, network.to_row())])
        except (OSError, EngineError):
            logger.exception("network %s is only partly deleted", network.id)
        network.unmark_deleted()

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
            sandbox = Sandbox(self.new_id(), options, self._sandbox_services)
            self._sandboxes[sandbox.id] = sandbox
            self._by_container[options.container_id] = sandbox
        try:
            sandbox.files.set_up()
            for container_id, name, address in options.parent_updates:
                parent = self.get_sandbox(container_id)
                if parent is not None:
                    parent.update_hosts_entry(name, address)
        except BaseException:
            self._forget_sandbox(sandbox)
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

    def _forget_sandbox(self, sandbox: Sandbox) -> None:
        """Take a sandbox out of the registry (what `Sandbox.delete` calls)."""
        with self._lock:
            self._sandboxes.pop(sandbox.id, None)
            if self._by_container.get(sandbox.container_id) is sandbox:
                del self._by_container[sandbox.container_id]

    # -- boot and end ----------------------------------------------------------------------
    def sandbox_cleanup(self) -> None:
        """Remove, at boot, everything that a crash left behind, and restore the networks.

        To be called once, before `init_default_networks`. Goes on past errors and logs them; a row
        that cannot be read is named there, and left alone with what it stands for.

        Raises:
            OSError: the store cannot be read or the kernel cannot be asked.
        """
        snapshot = self._ledger.load()
        links = self.kernel.links()
        sandboxes, bad_sandboxes = read_all(read_sandbox, snapshot.sandboxes)
        endpoints, bad_endpoints = read_all(read_endpoint, snapshot.endpoints)
        networks, bad_networks = read_all(self._read_network, snapshot.networks)
        for error in (*bad_networks, *bad_endpoints, *bad_sandboxes):
            logger.error("%s: it is left alone", error)
        self._leftovers.remove(sandboxes, endpoints, links)
        self._default_networks.replace(self._restorer.restore(networks))

    def _read_network(self, key: str, value: Any) -> NetworkRow:
        row = read_network(key, value)
        self._restorer.check(row)
        return row

    def init_default_networks(self) -> None:
        """Make `none`, `host` and `bridge`; host and none keep their ids, bridge gets a new one.

        Mirrors: daemon.initNetworkController (v20.10).

        Raises:
            EngineError, OSError: the default bridge cannot be made.
        """
        self._default_networks.make(
            lambda name: self.network_by_name(name) is not None, self._make_network
        )
        self._ledger.write_back()

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
            self._leftovers.unpin_host()
        except OSError:
            logger.exception("the host's namespace stays pinned")
        self._ledger.close()
