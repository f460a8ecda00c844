"""Which addresses that the engine chose can change when all containers start anew.

Docker gives the lowest free address of a network to whoever starts next.
"""

import ipaddress
from collections.abc import Iterator
from itertools import islice

from conformance.impact.setup import Endpoint, Pool, Setup

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def chosen_by_engine(
    setup: Setup, network: str, *, is_ipv6: bool = False
) -> Iterator[tuple[str, bool]]:
    """Give the container of each such address of a network that can change, and whether it must."""
    ends = [
        (container, end)
        for container in setup.members(network)
        if container.runs and container.has_own_network
        for end in container.endpoints
        if end.network == network and _address(end, is_ipv6=is_ipv6)
    ]
    chosen = [end for _, end in ends if _is_chosen(end, is_ipv6=is_ipv6)]
    free = [(one, end) for one, end in ends if not _is_chosen(end, is_ipv6=is_ipv6)]
    taken = {_address(end, is_ipv6=is_ipv6) for end in chosen}
    lowest = set(islice(_lowest(setup, network, taken, is_ipv6=is_ipv6), len(free)))
    for container, end in free:
        must = _address(end, is_ipv6=is_ipv6) not in lowest
        if lowest and (must or len(free) > 1):
            yield container.name, must


def _address(end: Endpoint, *, is_ipv6: bool) -> str:
    return end.address6 if is_ipv6 else end.address


def _is_chosen(end: Endpoint, *, is_ipv6: bool) -> bool:
    return bool(end.ipv6 if is_ipv6 else end.ipv4)


def _lowest(setup: Setup, network: str, taken: set[str], *, is_ipv6: bool) -> Iterator[str]:
    """Give the addresses of a network that nobody has chosen, the lowest first."""
    pools = [pool for pool in setup.network(network).pools if pool.is_ipv6 == is_ipv6]
    if len(pools) != 1:
        return
    try:
        subnet = ipaddress.ip_network(pools[0].subnet, strict=False)
        range = ipaddress.ip_network(pools[0].range or pools[0].subnet, strict=False)
        kept = {subnet.network_address, _gateway(pools[0], subnet)}
    except ValueError:
        return
    for address in range:
        if address not in kept and str(address) not in taken:
            yield str(address)


def _gateway(pool: Pool, subnet: ipaddress.IPv4Network | ipaddress.IPv6Network) -> _Address:
    if pool.gateway:
        return ipaddress.ip_address(pool.gateway.partition("/")[0])
    return subnet[1]
