"""Address management: which pool a network gets, and which address an endpoint gets.

Pure bookkeeping: nothing here touches the kernel or the store. What survives a restart is the
networks' and endpoints' rows, from which the pools are filled again.

Mirrors: libnetwork ipam/allocator.go, ipam/structures.go and ipamutils/utils.go (v20.10).
"""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)

from refimpl.errors import EngineError, Forbidden, NotFound

IPAddress = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface

DEFAULT_ADDRESS_POOLS: tuple[tuple[str, int], ...] = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
"""(base, size): the local-scope defaults of ipamutils (v20.10)."""

_KEPT_MAX = 1024
_GO_CIDR = re.compile(r"[0-9a-fA-F:.]+/[0-9]{1,3}")


class AddressInUse(Forbidden):
    """The address that was asked for is taken, or is the network's own."""

    def __init__(self) -> None:
        super().__init__("Address already in use")


class AddressOutOfRange(EngineError):
    """The address that was asked for is not in the pool."""

    def __init__(self) -> None:
        super().__init__("Requested address is out of range")


class NoAvailableAddress(EngineError):
    """The pool has no free address left."""

    def __init__(self) -> None:
        super().__init__("No available addresses on this pool")


class PoolOverlap(Forbidden):
    """The subnet overlaps one that another network has."""

    def __init__(self) -> None:
        super().__init__("Pool overlaps with other one on this address space")


def parse_cidr(text: str) -> Subnet | None:
    """Read `address/length` as Go's net.ParseCIDR does, host bits cut off; None if it cannot."""
    if _GO_CIDR.fullmatch(text) is None:
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def parse_ip(text: str) -> IPAddress | None:
    """Read an address as Go's net.ParseIP does: no zone, `::ffff:1.2.3.4` is 1.2.3.4.

    None if it is no address.
    """
    if "%" in text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_ip(text: str, version: int | None = None) -> bool:
    """Tell whether a text is an IP address, of one version if one is given."""
    address = parse_ip(text)
    return address is not None and version in (None, address.version)


@lru_cache(maxsize=_KEPT_MAX)
def _make_interface(version: int, address: int, length: int) -> Interface:
    """Return an address, with what it has worked out about itself if it was given out lately."""
    return IPv4Interface((address, length)) if version == 4 else IPv6Interface((address, length))


class AddressPool:
    """The addresses of one subnet, handed out lowest free first.

    Every operation costs O(log n) in the addresses that were freed, whatever the pool's size.

    Args:
        subnet: The whole pool.
        ip_range: Where addresses that nobody asked for by name come from. As in Docker only its
            host part counts: a range outside the subnet is moved into it.
    """

    def __init__(self, subnet: Subnet, ip_range: Subnet | None = None) -> None:
        self.subnet = subnet
        self.ip_range = ip_range
        size = subnet.num_addresses
        self._base = int(subnet.network_address)
        # the network's own address, and for IPv4 the broadcast address, belong to nobody
        self._reserved = frozenset({0, size - 1} if subnet.version == 4 else {0})
        low, high = 0, size - 1
        if ip_range is not None:
            mask = int(subnet.hostmask)
            low = int(ip_range.network_address) & mask
            high = int(ip_range.broadcast_address) & mask
        self._low, self._high = low, high
        self._next = low
        """Every offset from `_low` up to here is taken, or waits in `_freed`."""
        self._taken: set[int] = set()
        self._usable = size - len(self._reserved)
        """How many addresses there are to be had, inside the range or not."""
        self._freed: list[int] = []
        self._freed_members: set[int] = set()
        self._lock = threading.Lock()

    def request(self, address: IPAddress | None = None) -> Interface:
        """Take an address: the lowest free one of the range, or exactly the given one.

        Raises:
            NoAvailableAddress: no address is free; for a given one, none in the whole subnet.
            AddressInUse: the given address is taken, or is the network or broadcast address.
            AddressOutOfRange: the given address is not in the subnet.
        """
        with self._lock:
            if address is None:
                offset = self._lowest_free()
            else:
                if address not in self.subnet:
                    raise AddressOutOfRange
                if len(self._taken) == self._usable:
                    raise NoAvailableAddress
                offset = int(address) - self._base
                if offset in self._taken or offset in self._reserved:
                    raise AddressInUse
            self._taken.add(offset)
        return _make_interface(self.subnet.version, self._base + offset, self.subnet.prefixlen)

    def release(self, address: IPAddress) -> None:
        """Give an address back; no error when nobody has it."""
        with self._lock:
            offset = int(address) - self._base
            if offset not in self._taken:
                return
            self._taken.remove(offset)
            if self._low <= offset < self._next and offset not in self._freed_members:
                heapq.heappush(self._freed, offset)
                self._freed_members.add(offset)

    def is_taken(self, address: IPAddress) -> bool:
        """Return whether somebody has this address."""
        with self._lock:
            return int(address) - self._base in self._taken

    def _lowest_free(self) -> int:
        while self._freed:
            offset = heapq.heappop(self._freed)
            self._freed_members.remove(offset)
            # it may have been taken by name while it waited here
            if offset not in self._taken:
                return offset
        # never past the range: what is freed beyond it is not to be handed out
        while self._next <= self._high and (
            self._next in self._taken or self._next in self._reserved
        ):
            self._next += 1
        if self._next > self._high:
            raise NoAvailableAddress
        self._next += 1
        return self._next - 1


class _DefaultPools:
    """The pools for networks that name no subnet, by number; none is made before it is chosen.

    A base of /8 with parts of /24 has 65,536 of them.

    Args:
        defaults: (base, prefix length of its parts), as `--default-address-pool` has checked them.
    """

    def __init__(self, defaults: Iterable[tuple[str, int]]) -> None:
        self._bases: list[tuple[int, Subnet, int]] = []
        """(number of the first part, base, prefix length of the parts)"""
        self.count = 0
        for text, size in defaults:
            base = ip_network(text, strict=False)
            self._bases.append((self.count, base, size))
            self.count += 1 << (size - base.prefixlen)

    def first_free(
        self, low: int, high: int, version: int, busy: Sequence[Subnet]
    ) -> tuple[int, Subnet] | None:
        """Return the first pool, from number `low` up to `high`, that overlaps nothing busy."""
        for first, base, size in self._bases:
            if base.version != version:
                continue
            origin, width = int(base.network_address), 1 << (base.max_prefixlen - size)
            number = max(low - first, 0)
            end = min(high - first, 1 << (size - base.prefixlen))
            for begin, last in _parts_of(busy, version, origin, width):
                if begin > number:
                    break  # and so do all that follow
                number = max(number, last + 1)
            if number < end:
                return first + number, _subnet(version, origin + number * width, size)
        return None


def _parts_of(
    subnets: Iterable[Subnet], version: int, origin: int, width: int
) -> list[tuple[int, int]]:
    """Return the numbers of the first and the last part that each subnet touches, in order.

    Args:
        subnets: those of another version touch none.
        version: of the parts.
        origin: the address where part 0 begins.
        width: how many addresses a part has.
    """
    return sorted(
        (
            (int(one.network_address) - origin) // width,
            (int(one.broadcast_address) - origin) // width,
        )
        for one in subnets
        if one.version == version
    )


class PoolAllocator:
    """The pools of all networks of the daemon; safe to use from many threads.

    Args:
        host_subnets: Asked at each choice of a default pool: what none may overlap.
        defaults: (base, size) of the pools for networks that name no subnet.
    """

    def __init__(
        self,
        host_subnets: Callable[[], Sequence[Subnet]],
        defaults: Iterable[tuple[str, int]] = DEFAULT_ADDRESS_POOLS,
    ) -> None:
        self._defaults = _DefaultPools(defaults)
        self._host_subnets = host_subnets
        self._start = 0
        self._pools: list[AddressPool] = []
        self._lock = threading.Lock()

    def request_pool(self, subnet: str, ip_range: str = "") -> AddressPool:
        """Reserve a subnet that the user named.

        With a range the allocator does not look at other networks, as in 20.10: the bridge
        driver then refuses the overlap in its own words.

        Raises:
            PoolOverlap: another network has a part of it.
            EngineError: subnet or range cannot be read.
        """
        parsed = parse_cidr(subnet)
        if parsed is None:
            raise EngineError(_parse_failure(subnet, ip_range, "Invalid Address Pool"))
        parsed_range = parse_cidr(ip_range) if ip_range else None
        if ip_range and parsed_range is None:
            raise EngineError(_parse_failure(subnet, ip_range, "Invalid Address SubPool"))
        if parsed_range is not None and parsed_range.version != parsed.version:
            raise EngineError(_parse_failure(subnet, ip_range, _mixed(parsed_range, parsed)))
        pool = AddressPool(parsed, parsed_range)
        with self._lock:
            for other in self._pools:
                same = (other.subnet, other.ip_range) == (parsed, parsed_range)
                if same or (parsed_range is None and overlaps(other.subnet, parsed)):
                    raise PoolOverlap
            self._pools.append(pool)
        return pool

    def request_default_pool(self, version: int = 4) -> AddressPool:
        """Reserve the default pool after the last one given that is free here and on the host.

        Raises:
            NotFound: every default pool is used or overlaps something of the host.
        """
        # v20.10 asks the host for IPv4 only
        busy = list(self._host_subnets())
        with self._lock:
            busy.extend(pool.subnet for pool in self._pools)
            start, count = self._start, self._defaults.count
            for low, high in ((start, count), (0, start)):
                found = self._defaults.first_free(low, high, version, busy)
                if found is None:
                    continue
                number, subnet = found
                # one that is found before the turn's place makes 20.10 begin anew with the first
                self._start = 0 if low < start else (number + 1) % count
                pool = AddressPool(subnet)
                self._pools.append(pool)
                return pool
        raise NotFound(
            f"could not find an available, non-overlapping IPv{version} address pool among the "
            "defaults to assign to the network"
        )

    def first_default(self) -> Subnet:
        """Return the first default pool that is free, without reserving it or moving on.

        This is how the default bridge gets its subnet: netutils.ElectInterfaceAddresses (v20.10).

        Raises:
            EngineError: none is free.
        """
        with self._lock:
            busy = [pool.subnet for pool in self._pools]
        busy.extend(self._host_subnets())
        found = self._defaults.first_free(0, self._defaults.count, 4, busy)
        if found is None:
            raise EngineError("could not find an available, non-overlapping IPv4 address pool")
        return found[1]

    def release_pool(self, pool: AddressPool) -> None:
        """Give a pool back; no error when it is not reserved."""
        with self._lock:
            if pool in self._pools:
                self._pools.remove(pool)


def overlaps(one: Subnet, other: Subnet) -> bool:
    """Return whether two subnets share an address; never true across families."""
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def _subnet(version: int, address: int, length: int) -> Subnet:
    return IPv4Network((address, length)) if version == 4 else IPv6Network((address, length))


def _mixed(ip_range: Subnet, subnet: Subnet) -> str:
    """Return what 20.10 says of a range whose family is not its subnet's, in Go's notation."""
    address, mask = (
        ", ".join(f"{byte:#x}" for byte in part.packed)
        for part in (ip_range.network_address, subnet.netmask)
    )
    return (
        "failed to compute range's lowest ip address: cannot compute host portion ip address "
        f"because ip and mask are not compatible: (net.IP{{{address}}}, net.IPMask{{{mask}}})"
    )


def _parse_failure(subnet: str, ip_range: str, reason: str) -> str:
    return (
        f'failed to parse pool request for address space "LocalDefault" pool "{subnet}" '
        f'subpool "{ip_range}": {reason}'
    )
