"""The seed: how a container that is being started gets its network.

Lay this file beside the seed's listing: the functions have its names and stand in its order, first
`initialize_networking`, then `allocate_network`, each followed by what it calls. Everything here
runs under the container's lock, which the caller holds.

The seed is moby v1.13/v17.03. Where its own lines crash or leave a start failing, v20.10 mended
them, and this does what v20.10 does; the docstrings say where.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container, EndpointState
from refimpl.daemon.containers.refusals import HOST_NETWORK, NO_NETWORK, SHARED_NETWORK
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.events.metrics import NetworkActions
from refimpl.daemon.network import options as network_options
from refimpl.daemon.network.lookup import find_network, get_network_id
from refimpl.daemon.network.ports import get_port_map_info
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound
from refimpl.kernel.base import Files
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.files import build_hostname
from refimpl.libnetwork.network import Network
from refimpl.model.network import SandboxOptions
from refimpl.model.network_mode import DEFAULT_NETWORK, NetworkMode
from refimpl.model.wire_container import EndpointSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networking:
    """Connects containers to networks."""

    config: DaemonConfig
    net_controller: Controller | None
    containers: ContainerRegistry
    build_sandbox_options: Callable[[Container], SandboxOptions]
    checkpoints: Checkpoints
    files: Files
    events: Events
    network_actions: NetworkActions

    def initialize_networking(self, container: Container) -> None:
        """Give a container that is being started its network, or another container's.

        Seed: initializeNetworking.
        Mirrors: moby daemon/container_operations.go initializeNetworking (v17.03.2, v20.10).

        Raises:
            NotFound, Conflict, EngineError: the container to join is not there or not running.
            EngineError, OSError: the allocation failed; the caller releases what there is.
        """
        mode = container.host_config.network_mode
        if mode.is_container():
            # the hosts files are those of the container to join
            nc = self.get_networked_container(container.id, mode.connected_container())
            self.initialize_networking_paths(container, nc)
            container.config.hostname = nc.config.hostname
            container.config.domainname = nc.config.domainname
            return

        if mode.is_host() and container.config.hostname == "":
            container.config.hostname = socket.gethostname()

        self.allocate_network(container)

        self.build_hostname_file(container)

    def get_networked_container(self, container_id: str, connected_container_id: str) -> Container:
        """Return the container whose network namespace is to be shared.

        Mirrors: moby daemon/container_operations.go getNetworkedContainer (v20.10).

        Raises:
            NotFound: there is no such container.
            EngineError: it is the container itself.
            Conflict: it does not run, or it is between two runs.
        """
        nc = self.containers.get_container(connected_container_id)
        if nc.id == container_id:
            raise EngineError("cannot join own network")
        if not nc.state.running:
            raise Conflict(
                f"cannot join network of a non running container: {connected_container_id}"
            )
        if nc.state.restarting:
            raise Conflict(
                f"Container {connected_container_id} is restarting, wait until the container is "
                "running"
            )
        return nc

    @staticmethod
    def initialize_networking_paths(container: Container, nc: Container) -> None:
        """Make a container see the three files of the container that it joins.

        Mirrors: moby daemon/container_operations_unix.go initializeNetworkingPaths (v20.10).
        """
        container.hostname_path = nc.hostname_path
        container.hosts_path = nc.hosts_path
        container.resolv_conf_path = nc.resolv_conf_path

    def build_hostname_file(self, container: Container) -> None:
        """Write the container's hostname file.

        Mirrors: moby container/container_unix.go BuildHostnameFile (v20.10).
        """
        container.hostname_path = str(PurePath(container.root, "hostname"))
        self.files.write(
            container.hostname_path, build_hostname(container.config.hostname).encode()
        )

    def allocate_network(self, container: Container) -> None:
        """Connect a container to its networks: endpoints, addresses, a sandbox, its interfaces.

        Seed: allocateNetwork.
        Mirrors: moby daemon/container_operations.go allocateNetwork (v17.03.2, v20.10).

        Two things are v20.10's. NetworkDisabled and container mode stop the allocation whatever
        is recorded in `Networks`; the seed asks only where nothing is recorded, and would connect
        a disabled container. And a container without any network gets a sandbox all the same
        (moby#31996); in the seed it has none and the runtime then refuses to start it.

        The sandbox is filled here, at the end, in one step; moby fills it from the runtime's
        prestart hook, when the namespace exists.

        Raises:
            EngineError, OSError: the first network that failed; those after it are not connected.
        """
        start = self.network_actions.now()
        controller = self.net_controller

        if controller is None:
            return

        # what an ungraceful shutdown of the daemon left over
        try:
            controller.sandbox_destroy(container.id)
        except (EngineError, OSError):
            log.exception(
                "failed to cleanup up stale network sandbox for container %s", container.id
            )

        if container.config.network_disabled or container.host_config.network_mode.is_container():
            return

        update_settings = False
        if not container.network_settings.networks:
            self.update_container_network_settings(container, None)
            update_settings = True

        # The default network always comes first: only it knows links, links are settings of the
        # sandbox, and the sandbox is made with the first network that is connected.
        default_net_name = DEFAULT_NETWORK
        recorded = network_options.recorded_networks(container)
        if default_net_name in recorded:
            n_conf = recorded[default_net_name]
            self.clean_operational_data(n_conf)
            self.connect_to_network(
                container, default_net_name, n_conf.settings, update_settings=update_settings
            )

        # a copy, because connect_to_network changes container.network_settings.networks
        recorded = network_options.recorded_networks(container)
        networks = {name: conf for name, conf in recorded.items() if name != default_net_name}
        for net_name, ep_conf in networks.items():
            self.clean_operational_data(ep_conf)
            self.connect_to_network(
                container, net_name, ep_conf.settings, update_settings=update_settings
            )

        sandbox = controller.get_sandbox(container.id)
        if sandbox is None:
            sandbox = controller.new_sandbox(self.build_sandbox_options(container))
            network_options.update_sandbox_network_settings(container, sandbox)
        sandbox.populate()

        self.checkpoints.write_host_config(container)
        self.network_actions.update_since("allocate", start)

    def update_container_network_settings(
        self, container: Container, endpoints_config: dict[str, EndpointSettings] | None
    ) -> None:
        """Fill in the networks of a container: those asked for, else the one of its mode.

        An empty map is left empty: it was emptied by disconnects. Only a missing one (Go's nil)
        gets the default.

        Mirrors: moby daemon/container_operations.go updateContainerNetworkSettings (v20.10).
        """
        mode = container.host_config.network_mode
        if container.config.network_disabled or mode.is_container():
            return

        network: Network | None = None
        network_name = DEFAULT_NETWORK if mode.is_default() else mode.network_name()
        if mode.is_user_defined():
            try:
                network = self.find_network(network_name)
                network_name = network.name
            except (NotFound, InvalidParameter):
                network = None  # it may be made before the start

        settings = container.network_settings
        if endpoints_config:
            settings.networks = {
                name: EndpointState(settings=ep_config)
                for name, ep_config in endpoints_config.items()
            }
        if settings.networks is None:
            settings.networks = {network_name: EndpointState(settings=EndpointSettings())}

        # what a client put under the mode's name goes under the network's
        if mode.is_default() and mode.network_name() in settings.networks:
            settings.networks[network_name] = settings.networks.pop(mode.network_name())
        if (
            network is not None
            and network_name not in settings.networks
            and network.id in settings.networks
        ):
            settings.networks[network_name] = settings.networks.pop(network.id)

    @staticmethod
    def clean_operational_data(es: EndpointState) -> None:
        """Forget what an endpoint got at its last start; keep what its user asked for.

        Mirrors: moby daemon/container_operations.go cleanOperationalData (v20.10).
        """
        es.settings.endpoint_id = ""
        es.settings.gateway = ""
        es.settings.ip_address = ""
        es.settings.ip_prefix_len = 0
        es.settings.ipv6_gateway = ""
        es.settings.global_ipv6_address = ""
        es.settings.global_ipv6_prefix_len = 0
        es.settings.mac_address = ""
        if es.ipam_operational:
            es.settings.ipam_config = None

    def connect_to_network(
        self,
        container: Container,
        id_or_name: str,
        endpoint_config: EndpointSettings,
        *,
        update_settings: bool,
    ) -> None:
        """Make an endpoint for a container on one network and put it into its sandbox.

        In a sandbox that is populated the interface appears at once, else with `populate`.

        Mirrors: moby daemon/container_operations.go connectToNetwork (v20.10).

        Raises:
            NotFound, InvalidParameter, Forbidden, EngineError, OSError: the endpoint is gone
                again; the network stays recorded for the next start.
        """
        start = self.network_actions.now()
        if container.host_config.network_mode.is_container():
            raise InvalidParameter(SHARED_NETWORK)
        if self.config.disable_bridge and id_or_name == DEFAULT_NETWORK:
            container.config.network_disabled = True
            return

        network = self.find_and_attach_network(id_or_name, endpoint_config)
        self.update_network_config(container, network, endpoint_config, update_settings)

        sandbox = self.controller().get_sandbox(container.id)
        endpoint = network.create_endpoint(
            container.name.removeprefix("/"),
            network_options.build_create_endpoint_options(container, network, endpoint_config),
        )
        try:
            networks = network_options.recorded_networks(container)
            networks[network.name] = EndpointState(settings=endpoint_config)
            networks.pop(network.id, None)
            network_options.update_endpoint_network_settings(container, network, endpoint)

            if sandbox is None:
                sandbox = self.controller().new_sandbox(self.build_sandbox_options(container))
                network_options.update_sandbox_network_settings(container, sandbox)
            endpoint.options = network_options.build_join_options(endpoint.options, endpoint_config)
            try:
                endpoint.join(sandbox)
            except OSError:
                # the kernel refuses the interface; moby makes it with the endpoint, before
                # anything is recorded of it
                self.clean_operational_data(networks[network.name])
                raise
        except Exception:
            try:
                endpoint.delete(force=False)
            except (EngineError, OSError):
                log.warning("Could not rollback container connection to network %s", id_or_name)
            raise

        container.network_settings.ports = get_port_map_info(container, sandbox)
        network_options.update_join_info(container, network, endpoint)
        self.events.log_network(network, "connect", {"container": container.id})
        self.network_actions.update_since("connect", start)

    def controller(self) -> Controller:
        """Return the network controller where there must be one."""
        if self.net_controller is None:
            raise EngineError("network controller is not initialized")
        return self.net_controller

    def find_network(self, ref: str) -> Network:
        """Return a network by full id, by name, or by a unique prefix of its id.

        Mirrors: moby daemon/network.go FindNetwork (v20.10).

        Raises:
            NotFound: there is none.
            InvalidParameter: several have this name, or this prefix.
        """
        return find_network(self.controller(), ref)

    def find_and_attach_network(
        self, id_or_name: str, endpoint_config: EndpointSettings
    ) -> Network:
        """Return the network to connect to; there is no cluster that could attach one.

        Mirrors: moby daemon/container_operations.go findAndAttachNetwork (v20.10).

        Raises:
            NotFound: there is no such network.
            InvalidParameter: its name is ambiguous.
        """
        return self.find_network(get_network_id(id_or_name, endpoint_config))

    def update_network_config(
        self,
        container: Container,
        network: Network,
        endpoint_config: EndpointSettings,
        update_settings: bool,
    ) -> None:
        """Check what is asked of an endpoint, and complete its aliases.

        Mirrors: moby daemon/container_operations.go updateNetworkConfig (v20.10).

        Raises:
            InvalidParameter: this kind of network does not know what was asked for.
        """
        if not NetworkMode(network.name).is_user_defined():
            ipam = endpoint_config.ipam_config
            if ipam is not None and not ipam.is_empty:
                raise InvalidParameter(
                    "user specified IP address is supported on user defined networks only"
                )
            if endpoint_config.aliases:
                raise InvalidParameter(
                    "network-scoped alias is supported only for containers in user defined networks"
                )
        else:
            aliases = list(endpoint_config.aliases or [])
            for name in (container.id[:12], container.config.hostname):
                if name and name not in aliases:
                    aliases.append(name)
            endpoint_config.aliases = aliases

        network_options.validate_networking_config(network, endpoint_config)
        if update_settings:
            self.update_network_settings(container, network, endpoint_config)

    def update_network_settings(
        self, container: Container, network: Network, endpoint_config: EndpointSettings
    ) -> None:
        """Record one more network, if it goes together with those that are recorded.

        Mirrors: moby daemon/container_operations.go updateNetworkSettings (v20.10), which fills a
        missing map; the seed writes into it and crashes.

        Raises:
            InvalidParameter: host, none and shared networks exclude others.
        """
        networks = network_options.recorded_networks(container)
        is_host = container.host_config.network_mode.is_host()
        if not is_host and NetworkMode(network.type).is_host():
            raise InvalidParameter(HOST_NETWORK)

        for name, entry in networks.items():
            try:
                recorded = self.find_network(get_network_id(name, entry.settings))
            except (NotFound, InvalidParameter):
                continue
            if recorded.name == network.name:
                return  # recorded already: the older settings stay
            if not (
                NetworkMode(recorded.type).is_private() and NetworkMode(network.type).is_private()
            ):
                raise InvalidParameter(SHARED_NETWORK)
            if NetworkMode(recorded.name).is_none() or NetworkMode(network.name).is_none():
                raise InvalidParameter(NO_NETWORK)

        networks[network.name] = EndpointState(settings=endpoint_config)

    def release_network(self, container: Container) -> None:
        """Take a stopped container off its networks; goes on past errors, which are logged.

        Mirrors: moby daemon/container_operations.go releaseNetwork (v20.10).
        """
        start = self.network_actions.now()
        if self.net_controller is None:
            return
        if container.host_config.network_mode.is_container():
            return
        if container.config.network_disabled:
            self._release_disabled(container)
            return

        settings = container.network_settings
        settings.ports = None
        if not settings.sandbox_id:
            return

        networks = []
        for name, entry in (settings.networks or {}).items():
            try:
                networks.append(self.find_network(get_network_id(name, entry.settings)))
            except (NotFound, InvalidParameter):
                log.debug("network %s of container %s is gone", name, container.id)
            self.clean_operational_data(entry)

        sandbox = self.net_controller.sandbox_by_id(settings.sandbox_id)
        if sandbox is None:
            log.warning("error locating sandbox id %s", settings.sandbox_id)
            return
        try:
            sandbox.delete()
        except (EngineError, OSError):
            log.exception(
                "Error deleting sandbox id %s for container %s", settings.sandbox_id, container.id
            )

        for network in networks:
            self.events.log_network(network, "disconnect", {"container": container.id})
        self.network_actions.update_since("release", start)

    def _release_disabled(self, container: Container) -> None:
        """Give back the empty namespace that `--bridge none` leaves a disabled container with.

        One with endpoints, which a live connect makes, stays until the next start, as in v20.10.
        """
        sandbox = self.controller().get_sandbox(container.id)
        if sandbox is None or sandbox.endpoints():
            return
        try:
            sandbox.delete()
        except (EngineError, OSError):
            log.exception("Error deleting sandbox id %s", sandbox.id)

    def disconnect_from_network(self, container: Container, network: Network) -> None:
        """Take a running container off one network.

        Mirrors: moby daemon/container_operations.go disconnectFromNetwork (v20.10), with the
        `disconnect` event of tryDetachContainerFromClusterNetwork; the caller emits a second one,
        as moby does from v17.04 to v27.

        Raises:
            EngineError: the container is not on that network, or could not leave it.
        """
        for endpoint in network.endpoints():
            sandbox = endpoint.sandbox
            if sandbox is not None and sandbox.container_id == container.id:
                break
        else:
            raise EngineError(
                f"container {container.id} is not connected to network {network.name}"
            )
        try:
            endpoint.leave(sandbox)
        except (EngineError, OSError) as error:
            raise EngineError(
                f"container {container.id} failed to leave network {network.name}: {error}"
            ) from error

        container.network_settings.ports = get_port_map_info(container, sandbox)
        try:
            endpoint.delete(force=False)
        except (EngineError, OSError) as error:
            raise EngineError(
                f"endpoint delete failed for container {container.id} on network {network.name}: "
                f"{error}"
            ) from error

        network_options.recorded_networks(container).pop(network.name, None)
        self.events.log_network(network, "disconnect", {"container": container.id})
