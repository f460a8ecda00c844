"""Networks as a client sees them: made, listed, connected, removed.

Mirrors: moby daemon/{network,network/filter}.go, daemon/container_operations.go ConnectToNetwork,
DisconnectFromNetwork, daemon/prune.go NetworksPrune (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container, EndpointState
from refimpl.daemon.containers.refusals import HOST_NETWORK, removal_conflict
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.filters import network_filter, verify_filters
from refimpl.daemon.network.options import recorded_networks
from refimpl.daemon.networking import Networking
from refimpl.daemon.prune_filters import PruneFilters
from refimpl.errors import (
    Conflict,
    EngineError,
    Forbidden,
    InvalidParameter,
    NotFound,
)
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.moments import format_time
from refimpl.model.network import NetworkOptions
from refimpl.model.network_mode import DEFAULT_NETWORK, NetworkMode
from refimpl.model.wire import WireError, decode
from refimpl.model.wire_container import EndpointSettings
from refimpl.model.wire_network import (
    NetworkConnectRequest,
    NetworkCreateRequest,
    NetworkDisconnectRequest,
)

T = TypeVar("T")
PREDEFINED = frozenset({"bridge", "host", "none", "default"})
LIST_FILTERS = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_GO_TYPES: dict[type, str] = {
    NetworkCreateRequest: "types.NetworkCreateRequest",
    NetworkConnectRequest: "types.NetworkConnect",
    NetworkDisconnectRequest: "types.NetworkDisconnect",
}


def decode_body(model: type[T], body: Any) -> T:
    """Read a request's body.

    Raises:
        InvalidParameter: a value has the wrong type.
    """
    try:
        return decode(model, body, go_type=_GO_TYPES[model])
    except WireError as error:
        raise InvalidParameter(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Makes, lists, connects and removes networks."""

    clock: Callable[[], datetime]
    containers: ContainerRegistry
    net_controller: Controller
    networking: Networking
    checkpoints: Checkpoints
    events: Events

    def network_create(self, body: Wire) -> tuple[str, str]:
        """Make a network and return its id and a warning (moby: CreateNetwork).

        Raises:
            Forbidden, NotFound, Conflict, InvalidParameter, EngineError: with v20.10's texts.
        """
        request = decode_body(NetworkCreateRequest, body)
        name = request.name
        if name in PREDEFINED:
            raise Forbidden(f"operation is not permitted on predefined {name} network ")
        # an empty name stands for the default network here (moby: GetNetworkByName)
        existing = self.net_controller.network_by_name(name or DEFAULT_NETWORK)
        warning = ""
        if existing is not None:
            if request.check_duplicate:
                raise Conflict(f"network with name {name} already exists")
            warning = f"Network with name {name} (id : {existing.id}) already exists"
        network = self.net_controller.new_network(name, _options(request))
        self.events.log_network(network, "create")
        return network.id, warning

    def network_list(self, filters: Filters, *, detailed: bool = False) -> list[Wire]:
        """List networks; their containers too where it is to be detailed (moby: GetNetworks)."""
        verify_filters(filters, LIST_FILTERS)
        passes = network_filter(filters)
        return [
            self._document(network, detailed=detailed)
            for network in self.net_controller.networks()
            if passes(network)
        ]

    def network_inspect(self, ref: str, *, verbose: bool = False, scope: str = "") -> Wire:
        """Describe one network with the containers that run on it (moby: getNetwork)."""
        del verbose  # there are no cluster services to tell of
        try:
            network = self.networking.find_network(ref)
        except InvalidParameter as error:
            how = "name" if str(error).endswith("name)") else "ID prefix"
            count = str(error).rpartition("(")[2].partition(" ")[0]
            raise InvalidParameter(
                f"{count} matches found based on {how}: network {ref} is ambiguous"
            ) from error
        if scope and scope != network.options.scope:
            raise NotFound(f"network {ref} not found")
        return self._document(network, detailed=True)

    def _document(self, network: Network, *, detailed: bool) -> Wire:
        options = network.options
        return {
            "Name": network.name,
            "Id": network.id,
            "Created": format_time(network.created),
            "Scope": options.scope,
            "Driver": network.type,
            "EnableIPv6": options.enable_ipv6,
            "IPAM": {
                "Driver": options.ipam_driver,
                "Options": None if options.ipam_options is None else dict(options.ipam_options),
                "Config": [pool.to_wire() for pool in network.ipam_config()],
            },
            "Internal": options.internal,
            "Attachable": options.attachable,
            "Ingress": options.ingress,
            "ConfigFrom": {"Network": options.config_from},
            "ConfigOnly": options.config_only,
            "Containers": self._endpoint_documents(network) if detailed else {},
            "Options": dict(options.options),
            "Labels": dict(options.labels),
        }

    @staticmethod
    def _endpoint_documents(network: Network) -> Wire:
        documents = {}
        for endpoint in network.endpoints():
            # an endpoint without a sandbox is shown under a key of its own
            sandbox = endpoint.sandbox
            key = f"ep-{endpoint.id}" if sandbox is None else sandbox.container_id
            info = endpoint.info
            documents[key] = {
                "Name": endpoint.name,
                "EndpointID": endpoint.id,
                "MacAddress": info.mac,
                "IPv4Address": str(info.ipv4 or ""),
                "IPv6Address": str(info.ipv6 or ""),
            }
        return documents

    def _is_used(self, network: Network) -> bool:
        return bool(network.endpoints())

    def network_connect(self, ref: str, body: Wire) -> None:
        """Connect a container to a network (moby: ConnectContainerToNetwork)."""
        request = decode_body(NetworkConnectRequest, body)
        container = self._named(request.container)
        self.connect_container(container, ref, request.endpoint_config or EndpointSettings())

    def connect_container(
        self, container: Container, id_or_name: str, endpoint_config: EndpointSettings
    ) -> None:
        """Connect at once if the container runs, else record it (moby: ConnectToNetwork)."""
        with container.lock:
            if container.state.running:
                self.networking.connect_to_network(
                    container, id_or_name, endpoint_config, update_settings=True
                )
            else:
                if container.state.removal_in_progress or container.state.dead:
                    raise removal_conflict(container.id)
                try:
                    network = self.networking.find_network(id_or_name)
                except (NotFound, InvalidParameter):
                    recorded_networks(container)[id_or_name] = EndpointState(
                        settings=endpoint_config
                    )
                else:
                    self.networking.update_network_config(container, network, endpoint_config, True)
            self.checkpoints.checkpoint_to(container)

    def network_disconnect(self, ref: str, body: Wire) -> None:
        """Disconnect a container from a network (moby: DisconnectContainerFromNetwork)."""
        request = decode_body(NetworkDisconnectRequest, body)
        try:
            container = self._named(request.container)
        except (NotFound, InvalidParameter):
            if not request.force:
                raise
            self._delete_endpoint(request.container, ref)
            return
        self.disconnect_container(container, ref, force=request.force)

    def disconnect_container(self, container: Container, name: str, *, force: bool) -> None:
        """Disconnect at once if the container runs, else forget (moby: DisconnectFromNetwork)."""
        network: Network | None = None
        missing: EngineError | None = None
        try:
            network = self.networking.find_network(name)
            name = network.name
        except (NotFound, InvalidParameter) as error:
            missing = error
        with container.lock:
            if not container.state.running or (missing is not None and force):
                if container.state.removal_in_progress or container.state.dead:
                    raise removal_conflict(container.id)
                networks = recorded_networks(container)
                if name not in networks:
                    raise EngineError(
                        f"container {container.id} is not connected to the network {name}"
                    )
                del networks[name]
            elif network is None:
                raise missing or NotFound(f"network {name} not found")
            else:
                is_host = container.host_config.network_mode.is_host()
                if is_host and NetworkMode(network.type).is_host():
                    raise InvalidParameter(HOST_NETWORK)
                self.networking.disconnect_from_network(container, network)
            self.checkpoints.checkpoint_to(container)
            if network is not None:
                self.events.log_network(network, "disconnect", {"container": container.id})

    def _named(self, ref: str) -> Container:
        if not ref:
            raise InvalidParameter('invalid name or ID supplied: ""')
        return self.containers.get_container(ref)

    def _delete_endpoint(self, name: str, ref: str) -> None:
        """Delete the endpoint of a container that is gone (moby: ForceEndpointDelete)."""
        network = self.networking.find_network(ref)
        if not name:
            raise EngineError("invalid name: ")
        endpoint = network.endpoint_by_name(name)
        if endpoint is None:
            raise NotFound(f"endpoint {name} not found")
        endpoint.delete(force=True)

    def network_remove(self, ref: str) -> None:
        """Remove a network (moby: DeleteNetwork)."""
        try:
            network = self.networking.find_network(ref)
        except InvalidParameter as error:
            # the router looks for it with words of its own (moby: findUniqueNetwork)
            text = str(error).replace("found on name)", "found based on name)")
            raise InvalidParameter(text) from error
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        try:
            network.delete()
        except EngineError as error:
            raise type(error)(f"error while removing network: {error}") from error
        self.events.log_network(network, "destroy")

    def networks_prune(self, filters: Filters) -> Wire:
        """Remove every user network that nothing runs on (moby: NetworksPrune)."""
        wanted = PruneFilters(filters, self.clock())
        deleted = []
        for network in self.net_controller.networks():
            if network.name in PREDEFINED or self._is_used(network):
                continue
            if network.options.config_only:
                continue
            if not wanted.allow(network.options.labels, network.created):
                continue
            try:
                self.network_remove(network.id)
            except (EngineError, OSError):
                continue  # somebody was faster
            deleted.append(network.name)
        self.events.log("network", "prune", "", {"reclaimed": "0"})
        return {"NetworksDeleted": deleted or None}


def _options(request: NetworkCreateRequest) -> NetworkOptions:
    ipam = request.ipam
    return NetworkOptions(
        driver=request.driver or "bridge",
        internal=request.internal,
        attachable=request.attachable,
        enable_ipv6=request.enable_ipv6,
        ipam_driver=(ipam.driver if ipam else "") or "default",
        ipam_options=ipam.options if ipam else None,
        ipam=tuple(config.pool() for config in ((ipam.config if ipam else None) or [])),
        options=request.options or {},
        labels=request.labels or {},
        scope=request.scope or "local",
        ingress=request.ingress,
        config_only=request.config_only,
        config_from=request.config_from.network if request.config_from else "",
    )
