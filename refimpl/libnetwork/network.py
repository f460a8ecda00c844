"""A network: its pools, its endpoints and the names they answer to.

Mirrors: libnetwork network.go (v20.10).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any, NamedTuple

from refimpl.errors import EngineError, Forbidden
from refimpl.libnetwork.drivers.base import Driver, DriverEndpoint, DriverNetwork, DriverState
from refimpl.libnetwork.endpoint import Endpoint
from refimpl.libnetwork.ipam import Interface, IPAddress, NoAvailableAddress, parse_ip
from refimpl.libnetwork.names import ServiceRecords
from refimpl.libnetwork.pools import PoolInfo, shown_pools
from refimpl.libnetwork.rows import NetworkRow
from refimpl.model.network import EndpointInfo, EndpointOptions, IPAMPool, NetworkOptions

_MAC_SEPARATED = re.compile(
    r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?:(?:\1[0-9a-f]{2}){2}|"
    r"(?:\1[0-9a-f]{2}){14})?",
    re.IGNORECASE,
)
_MAC_DOTTED = re.compile(
    r"[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}(?:\.[0-9a-f]{4}|(?:\.[0-9a-f]{4}){7})?", re.IGNORECASE
)


class _Allocation(NamedTuple):
    info: PoolInfo
    address: Interface


class Network:
    """A network; made by `Controller.new_network` only.

    Args:
        network_id: 64 hex digits.
        name: Need not be unique.
        created: When it was made.
        options: What was asked for.
        driver: Makes its kernel objects.
        new_id: Gives ids for endpoints.
        delete: Deletes this network; what `delete` calls.
    """

    def __init__(
        self,
        *,
        network_id: str,
        name: str,
        created: datetime,
        options: NetworkOptions,
        driver: Driver,
        new_id: Callable[[], str],
        delete: Callable[[Network], None],
    ) -> None:
        self.id = network_id
        self.name = name
        self.created = created
        self.options = options
        """As requested (for the wire: Internal, Attachable, Labels, Options, ...)."""
        self.driver = driver
        self.pools: tuple[PoolInfo, ...] = ()
        self.state: DriverState = {}
        self.records = ServiceRecords()
        self.lock = threading.RLock()
        self._endpoints: dict[str, Endpoint] = {}
        self._names: dict[str, Endpoint] = {}
        self._allocations: dict[str, tuple[_Allocation, ...]] = {}
        self._is_deleted = False
        self._new_id = new_id
        self._delete = delete

    @property
    def type(self) -> str:
        """The driver's name: `bridge`, `macvlan`, `host` or `null`."""
        return self.driver.name

    def ipam_config(self) -> tuple[IPAMPool, ...]:
        """Return what inspect shows as `IPAM.Config`.

        The entries of the request where they named a subnet, word for word; else the pools that
        were chosen, with their gateway. Mirrors: buildIpamResources (v20.10).
        """
        if self.options.config_only:
            return self.options.ipam
        return shown_pools(self.options, self.pools)

    def gateway_address(self) -> str:
        """Return the first IPv4 gateway, "" without one: what `host-gateway` stands for."""
        return next((str(info.gateway.ip) for info in self.pools if info.version == 4), "")

    # -- endpoints -------------------------------------------------------------------------
    def create_endpoint(self, name: str, options: EndpointOptions) -> Endpoint:
        """Reserve addresses and a name for an endpoint; touches neither kernel nor store.

        Raises:
            Forbidden: `endpoint with name <n> already exists in network <net>`,
                `Address already in use`.
            EngineError: 500 for an address outside the subnets or an exhausted pool.
        """
        if not name.strip():
            raise EngineError(f"invalid name: {name}")
        with self.lock:
            if self._is_deleted:
                raise EngineError(f"network {self.id} does not exist")
            if name in self._names:
                raise Forbidden(f"endpoint with name {name} already exists in network {self.name}")
            link_local = _link_local_addresses(options.link_local)
            if options.mac:
                options = options._replace(mac=parse_mac(options.mac))
            endpoint_id = self._new_id()
            allocations = self._assign_addresses(options)
            try:
                return self._add_endpoint(endpoint_id, name, options, allocations, link_local)
            except BaseException:
                _release(allocations)
                raise

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints, oldest first."""
        with self.lock:
            return tuple(self._endpoints.values())

    def endpoint_by_name(self, name: str) -> Endpoint | None:
        """Return the endpoint of this name."""
        return self._names.get(name)

    def forget_endpoint(self, endpoint: Endpoint) -> None:
        """Free name, addresses and names in the DNS; no error when it is unknown."""
        with self.lock:
            if self._endpoints.pop(endpoint.id, None) is None:
                return
            if self._names.get(endpoint.name) is endpoint:
                del self._names[endpoint.name]
            self.records.remove(endpoint.id, _dns_names(endpoint.name, endpoint.options)[0])
            self.driver.delete_endpoint(self.id, endpoint.id)
            _release(self._allocations.pop(endpoint.id, ()))

    def rename_endpoint(self, endpoint: Endpoint, name: str) -> None:
        """Give an endpoint another name, at once also in the DNS; a renamed one has a name.

        Raises:
            Forbidden: another endpoint has that name.
        """
        with self.lock:
            if self._names.get(name, endpoint) is not endpoint:
                raise Forbidden(f"endpoint with name {name} already exists in network {self.name}")
            self.records.remove(endpoint.id, _dns_names(endpoint.name, endpoint.options)[0])
            self._names.pop(endpoint.name, None)
            endpoint.name = name
            endpoint.options = endpoint.options._replace(anonymous=False)
            self._names[name] = endpoint
            self._publish(endpoint)

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        """Return a name's addresses, and whether it is a name here without one of this family.

        Mirrors: network.ResolveName: an IPv6 question about an IPv4-only name must not leave
        the engine.
        """
        addresses, known = self.records.lookup(name, version)
        return addresses, known and not addresses

    # -- the network itself ----------------------------------------------------------------
    def delete(self) -> None:
        """Delete the network with its bridge and its pools.

        Raises:
            Forbidden: `network <n> id <id> has active endpoints`. The daemon puts
                `error while removing network: ` in front.
        """
        self._delete(self)

    def mark_deleted(self) -> None:
        """Let no endpoint be created any more.

        Raises:
            Forbidden: there are endpoints.
        """
        with self.lock:
            if self._endpoints:
                raise Forbidden(f"network {self.name} id {self.id} has active endpoints")
            self._is_deleted = True

    def unmark_deleted(self) -> None:
        """Take `mark_deleted` back, when the deletion failed."""
        with self.lock:
            self._is_deleted = False

    def driver_network(self) -> DriverNetwork:
        """Return the network as its driver sees it."""
        return DriverNetwork(
            id=self.id,
            name=self.name,
            internal=self.options.internal,
            enable_ipv6=self.options.enable_ipv6,
            ipv4=tuple(info.data for info in self.pools if info.version == 4),
            ipv6=tuple(info.data for info in self.pools if info.version == 6),
            options=self.options.options,
        )

    def to_row(self, *, in_delete: bool = False) -> dict[str, Any]:
        """Return the network's row."""
        return NetworkRow(
            id=self.id,
            name=self.name,
            created=self.created,
            options=self.options,
            pools=tuple(info.to_row() for info in self.pools),
            state=self.state,
            in_delete=in_delete,
        ).encode()

    # -- inside ----------------------------------------------------------------------------
    def _assign_addresses(self, options: EndpointOptions) -> tuple[_Allocation, ...]:
        if not self.driver.allocates:
            return ()
        allocations: list[_Allocation] = []
        try:
            allocations.extend(self._assign_address(4, options.ipv4))
            if self.options.enable_ipv6 and not self.options.defer_ipv6_alloc:
                allocations.extend(self._assign_address(6, options.ipv6))
        except BaseException:
            _release(allocations)
            raise
        return tuple(allocations)

    def _assign_address(self, version: int, wanted: str) -> tuple[_Allocation, ...]:
        """Mirrors: endpoint.assignAddressVersion (v20.10)."""
        infos = [info for info in self.pools if info.version == version]
        if not infos and version == 6:
            return ()
        address = parse_ip(wanted) if wanted else None
        for info in infos:
            if address is not None and address not in info.pool.subnet:
                continue
            try:
                return (_Allocation(info, info.pool.request(address)),)
            except NoAvailableAddress:
                if address is not None:
                    raise
        if wanted:
            raise EngineError(
                f"Invalid address {wanted}: It does not belong to any of this network's subnets"
            )
        raise EngineError(
            f"no available IPv{version} addresses on this network's address pools: "
            f"{self.name} ({self.id})"
        )

    def _add_endpoint(
        self,
        endpoint_id: str,
        name: str,
        options: EndpointOptions,
        allocations: tuple[_Allocation, ...],
        link_local: tuple[Interface, ...],
    ) -> Endpoint:
        addresses = [allocation.address for allocation in allocations]
        ipv4 = next((a for a in addresses if isinstance(a, IPv4Interface)), None)
        ipv6 = next((a for a in addresses if isinstance(a, IPv6Interface)), None)
        plan = self.driver.create_endpoint(
            self.id,
            DriverEndpoint(
                id=endpoint_id, mac=options.mac, ipv4=ipv4, ipv6=ipv6, link_local=link_local
            ),
        )
        if plan.ipv6 is not None:
            ipv6 = plan.ipv6
            try:
                allocations = (*allocations, *self._assign_address(6, str(ipv6.ip)))
            except BaseException:
                self.driver.delete_endpoint(self.id, endpoint_id)
                raise
        info = EndpointInfo(id=endpoint_id, mac=plan.mac, ipv4=ipv4, ipv6=ipv6)
        endpoint = Endpoint(self, name, options, info, plan.host_name)
        self._allocations[endpoint_id] = allocations
        self._endpoints[endpoint_id] = endpoint
        self._names[name] = endpoint
        self._publish(endpoint)
        return endpoint

    def _publish(self, endpoint: Endpoint) -> None:
        info = endpoint.info
        # the default bridge has no names, for those either who have the embedded DNS from
        # another network (measured on 20.10)
        if info.ipv4 is None or endpoint.options.disable_resolution:
            return
        names, reverse = _dns_names(endpoint.name, endpoint.options)
        ipv6 = None if info.ipv6 is None else info.ipv6.ip
        self.records.add(endpoint.id, names, info.ipv4.ip, ipv6, reverse=reverse)


def _dns_names(name: str, options: EndpointOptions) -> tuple[tuple[str, ...], str]:
    """Return every name of an endpoint and the one that its address answers with.

    A generated container name is no DNS name; its first alias then answers for the address.
    Mirrors: network.updateSvcRecord (v20.10).
    """
    if not options.anonymous:
        return (name, *options.my_aliases), name
    return options.my_aliases, options.my_aliases[0] if options.my_aliases else ""


def _release(allocations: tuple[_Allocation, ...] | list[_Allocation]) -> None:
    for allocation in allocations:
        allocation.info.pool.release(allocation.address.ip)


def _link_local_addresses(texts: tuple[str, ...]) -> tuple[Interface, ...]:
    addresses: list[Interface] = []
    for text in texts:
        address = parse_ip(text)
        if address is None or not address.is_link_local:
            # an empty one is Go's nil
            raise EngineError(f"invalid link local IP address: {text or '<nil>'}")
        if address.version == 4:
            addresses.append(IPv4Interface((int(address), 16)))
        else:
            addresses.append(IPv6Interface((int(address), 64)))
    return tuple(addresses)


def parse_mac(text: str) -> str:
    """Return a MAC in the form that Go's net.ParseMAC and String give it.

    Raises:
        EngineError: `address <text>: invalid MAC address`.
    """
    if _MAC_SEPARATED.fullmatch(text) or _MAC_DOTTED.fullmatch(text):
        digits = re.sub(r"[^0-9a-f]", "", text.lower())
        return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
    raise EngineError(f"address {text}: invalid MAC address")
