"""Which addresses that the engine chose can change when all containers start anew.

Docker gives the lowest free address of a network to whoever starts next. First it starts those
whose restart policy says so, in any order; then the user starts the others, in any order.
"""

import ipaddress
from collections.abc import Iterator
from itertools import islice

from conformance.impact.setup import Container, Endpoint, Setup

_Member = tuple[Container, Endpoint]


def chosen_by_engine(
    setup: Setup, network: str, *, is_ipv6: bool = False
) -> Iterator[tuple[Container, bool]]:
    """Give the container of each such address of a network that can change, and whether it must."""
    members = [
        (container, end)
        for container in setup.members(network)
        if container.runs and container.has_own_network
        for end in container.endpoints
        if end.network == network and _address(end, is_ipv6=is_ipv6)
    ]
    free = [one for one in members if not _is_chosen(one[1], is_ipv6=is_ipv6)]
    chosen = (end for _, end in members if _is_chosen(end, is_ipv6=is_ipv6))
    taken = {_address(end, is_ipv6=is_ipv6) for end in chosen}
    given = _lowest(setup, network, taken, is_ipv6=is_ipv6)
    for group in _in_turn(free):
        lowest = set(islice(given, len(group)))
        for container, end in group:
            must = _address(end, is_ipv6=is_ipv6) not in lowest
            if lowest and (must or len(group) > 1):
                yield container, must


def _in_turn(members: list[_Member]) -> list[list[_Member]]:
    """Tell who starts first; one that is started after a failure only may be in either group."""
    if any(one.restart.startswith("on-failure") for one, _ in members):
        return [members]
    return [[m for m in members if bool(m[0].restart) is first] for first in (True, False)]


def _address(end: Endpoint, *, is_ipv6: bool) -> str:
    return end.address6 if is_ipv6 else end.address


def _is_chosen(end: Endpoint, *, is_ipv6: bool) -> bool:
    return bool(end.ipv6 if is_ipv6 else end.ipv4)


def _lowest(setup: Setup, network: str, taken: set[str], *, is_ipv6: bool) -> Iterator[str]:
    """Give the addresses of a network that nobody has chosen, the lowest first.

    A gateway that was not chosen is the lowest address of all.
    """
    pools = [pool for pool in setup.network(network).pools if pool.is_ipv6 == is_ipv6]
    if len(pools) != 1:
        return
    try:
        subnet = ipaddress.ip_network(pools[0].subnet, strict=False)
        range = ipaddress.ip_network(pools[0].range or pools[0].subnet, strict=False)
    except ValueError:
        return
    gateway = pools[0].gateway.partition("/")[0]
    kept = {str(subnet.network_address), gateway, *pools[0].taken, *taken}
    free = (str(one) for one in range if str(one) not in kept)
    if not pools[0].gateway:
        next(free, None)
    yield from free
