"""How one network gets its pools and gateways, and how a row brings them back.

Mirrors: libnetwork network.go ipamAllocateVersion (v20.10) and moby daemon/network.go
getIpamConfig.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from refimpl.errors import EngineError, Forbidden, InvalidParameter
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.drivers.base import (
    DEFAULT_GATEWAY_IPV4,
    DEFAULT_GATEWAY_IPV6,
    IPAMData,
)
from refimpl.libnetwork.files import decode, ipv4_nameservers
from refimpl.libnetwork.ipam import (
    AddressPool,
    Interface,
    PoolAllocator,
    Subnet,
    parse_cidr,
    parse_ip,
)
from refimpl.libnetwork.rows import PoolRow
from refimpl.limits import NETWORK_SUBNETS_MAX
from refimpl.model.network import IPAMPool, NetworkOptions


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """One pool of a network: what was asked, what was reserved, and the gateway in it."""

    config: IPAMPool
    """As requested; without a subnet when the pool was chosen among the defaults."""
    pool: AddressPool
    gateway: Interface

    @property
    def data(self) -> IPAMData:
        """The part that the driver sees."""
        key = DEFAULT_GATEWAY_IPV4 if self.version == 4 else DEFAULT_GATEWAY_IPV6
        router = parse_ip(self.config.aux_addresses.get(key, ""))
        return IPAMData(pool=self.pool.subnet, gateway=self.gateway, router=router)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.pool.subnet.version

    def shown(self) -> IPAMPool:
        """Return the entry as inspect shows it: the request, or what was chosen."""
        if self.config.subnet:
            return self.config
        return IPAMPool(subnet=str(self.pool.subnet), gateway=str(self.gateway.ip))

    def to_row(self) -> PoolRow:
        """Return what the network's row keeps of the pool."""
        return PoolRow(
            config=self.config,
            subnet=self.pool.subnet,
            ip_range=self.pool.ip_range,
            gateway=self.gateway.ip,
        )


def host_subnets(kernel: Kernel, files: Files, resolv_conf_path: str) -> tuple[Subnet, ...]:
    """Return what no default pool may overlap: the host's routes and its nameservers.

    Without a resolv.conf that can be read there are no nameservers. Mirrors: libnetwork
    netutils.FindAvailableNetwork (v20.10).
    """
    try:
        content = decode(files.read(resolv_conf_path))
    except OSError:
        content = ""
    nameservers = (parse_cidr(f"{address}/32") for address in ipv4_nameservers(content))
    return (*kernel.host_subnets(), *(one for one in nameservers if one is not None))


def check_ipam(options: NetworkOptions) -> None:
    """Refuse subnets that cannot be read, and too many, before anything else is looked at.

    Raises:
        InvalidParameter: there are more than `NETWORK_SUBNETS_MAX`.
        EngineError: `Invalid subnet <s> : invalid CIDR address: <s>`.
    """
    if len(options.ipam) > NETWORK_SUBNETS_MAX:
        raise InvalidParameter(f"a network cannot have more than {NETWORK_SUBNETS_MAX} subnets")
    for entry in options.ipam:
        if parse_cidr(entry.subnet) is None:
            raise EngineError(
                f"Invalid subnet {entry.subnet} : invalid CIDR address: {entry.subnet}"
            )


def allocate_pools(
    allocator: PoolAllocator, name: str, options: NetworkOptions
) -> tuple[PoolInfo, ...]:
    """Reserve every pool of a network; all or none. One of IPv6 counts with EnableIPv6 only.

    20.10 keeps the pools of a request whose later part fails; here they are given back.

    Raises:
        EngineError, Forbidden, NotFound: with 20.10's texts.
    """
    entries4 = _entries(options, 4)
    if not entries4:
        entries4 = [IPAMPool()]
    entries6: list[IPAMPool] = []
    if options.enable_ipv6:
        entries6 = _entries(options, 6) or [IPAMPool()]
    infos: list[PoolInfo] = []
    try:
        for version, entries in ((4, entries4), (6, entries6)):
            for entry in entries:
                infos.append(_allocate(allocator, name, entry, version))
    except BaseException:
        release_pools(allocator, infos)
        raise
    return tuple(infos)


def shown_pools(options: NetworkOptions, infos: Iterable[PoolInfo]) -> tuple[IPAMPool, ...]:
    """Return what inspect shows as `IPAM.Config`: what is reserved, and unused IPv6 subnets."""
    unused = [] if options.enable_ipv6 else _entries(options, 6)
    return (*(info.shown() for info in infos), *unused)


def restore_pools(allocator: PoolAllocator, rows: Sequence[PoolRow]) -> tuple[PoolInfo, ...]:
    """Reserve again what a network's row says it has; all or none.

    Raises:
        EngineError: another network has it, or the row contradicts itself.
    """
    infos: list[PoolInfo] = []
    try:
        for row in rows:
            infos.append(_restore(allocator, row))
    except BaseException:
        release_pools(allocator, infos)
        raise
    return tuple(infos)


def release_pools(allocator: PoolAllocator, infos: Iterable[PoolInfo]) -> None:
    """Give pools back."""
    for info in infos:
        allocator.release_pool(info.pool)


def _entries(options: NetworkOptions, version: int) -> list[IPAMPool]:
    return [entry for entry in options.ipam if _version(entry.subnet) == version]


def _version(subnet: str) -> int:
    parsed = parse_cidr(subnet)
    return 4 if parsed is None else parsed.version


def _allocate(allocator: PoolAllocator, name: str, entry: IPAMPool, version: int) -> PoolInfo:
    if entry.gateway and parse_ip(entry.gateway) is None:
        raise EngineError(f"invalid gateway address {entry.gateway} in Ipam configuration")
    if entry.subnet:
        pool = allocator.request_pool(entry.subnet, entry.ip_range)
    else:
        pool = allocator.request_default_pool(version)
    try:
        gateway = _allocate_gateway(pool, entry.gateway)
        for label, text in entry.aux_addresses.items():
            _allocate_aux(pool, name, label, text)
    except BaseException:
        allocator.release_pool(pool)
        raise
    return PoolInfo(entry, pool, gateway)


def _allocate_gateway(pool: AddressPool, wanted: str) -> Interface:
    try:
        return pool.request(parse_ip(wanted) if wanted else None)
    except EngineError as error:
        raise EngineError(f"failed to allocate gateway ({wanted}): {error}") from error


def _allocate_aux(pool: AddressPool, name: str, label: str, text: str) -> None:
    address = parse_ip(text)
    if address is None:
        raise EngineError(
            f"non parsable secondary ip address ({label}:{text}) passed for network {name}"
        )
    if address not in pool.subnet:
        raise Forbidden(
            f"auxiliary address: ({label}:{text}) must belong to the master pool: {pool.subnet}"
        )
    try:
        pool.request(address)
    except EngineError as error:
        raise EngineError(
            f"failed to allocate secondary ip address ({label}:{text}): {error}"
        ) from error


def _restore(allocator: PoolAllocator, row: PoolRow) -> PoolInfo:
    pool = allocator.request_pool(str(row.subnet), str(row.ip_range or ""))
    try:
        gateway = pool.request(row.gateway)
        for text in row.config.aux_addresses.values():
            pool.request(parse_ip(text))
    except BaseException:
        allocator.release_pool(pool)
        raise
    config = row.config
    if config.subnet and not config.gateway:
        # from now on inspect shows the gateway that was chosen, as Docker does after a restart
        config = replace(config, gateway=str(row.gateway))
    return PoolInfo(config, pool, gateway)
