"""Subnets for the rows' networks: explicit ones, that overlap nothing the engine has."""

import ipaddress
import itertools
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import docker

IPV4_POOL = ipaddress.IPv4Network("10.213.0.0/16")
IPV6_POOL = ipaddress.IPv6Network("fd6e:6574:696e::/48")
_IPV4_POOLS = (
    IPV4_POOL,
    # for measurements between networks (RFC 2544): free where a VPN routes all private ones
    ipaddress.IPv4Network("198.18.0.0/15"),
)
# Docker's own choice for networks without a subnet comes from these, too, one after the other: what
# is free when it is looked for may be taken when it is asked for.
_LAST_IPV4_POOLS = (ipaddress.IPv4Network("172.29.0.0/16"), ipaddress.IPv4Network("192.168.0.0/16"))
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_AnyNetwork = TypeVar("_AnyNetwork", ipaddress.IPv4Network, ipaddress.IPv6Network)
# So many workers, of one run or of several, can have an engine of somebody else at the same time
# without sharing subnets.
PARTS = 16
_IPV6_COUNT = 4096


class SubnetsExhausted(Exception):
    """No subnet is left that overlaps nothing."""


def taken_subnets(client: docker.DockerClient) -> list[_Network]:
    """List the subnets of every network that the engine has."""
    found: list[_Network] = []
    for network in client.api.networks():
        for config in (network.get("IPAM") or {}).get("Config") or []:
            if config.get("Subnet"):
                found.append(ipaddress.ip_network(config["Subnet"], strict=False))
    return found


def routed_subnets(proc_net: Path) -> list[_Network]:
    """List the subnets that a machine has routes to, of its /proc/net or /proc/PID/task/TID/net.

    An engine refuses none of them when a network asks for it, and then takes the machine off its
    own network. Default routes are left out; no right is needed to read the files.
    """
    found: list[_Network] = []
    for line in _lines(proc_net / "route")[1:]:
        _, destination, *_, mask = line.split()[:8]
        address, netmask = (bytes.fromhex(word)[::-1] for word in (destination, mask))
        found.append(ipaddress.IPv4Network((address, str(ipaddress.IPv4Address(netmask)))))
    for line in _lines(proc_net / "ipv6_route"):
        destination, length, *_ = line.split()
        found.append(ipaddress.IPv6Network((bytes.fromhex(destination), int(length, 16))))
    return [network for network in found if network.prefixlen > 0]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


class SubnetAllocator:
    """Hands out /24 and /64 subnets: each one once in a run, or again when a long run needs it.

    On an engine that others use meanwhile a worker has a part of all subnets for itself, and what
    has come in between is looked for each time.
    """

    def __init__(
        self,
        avoid: Iterable[_Network],
        *,
        taken_now: Callable[[], Iterable[_Network]] | None = None,
        part: int = 0,
    ) -> None:
        """Begin with what must not be overlapped.

        Args:
            avoid: what is taken when the run begins.
            taken_now: on an engine that others use meanwhile: asked before a subnet is given.
            part: there: which part of the subnets is this worker's, 0 to PARTS - 1.
        """
        self._avoid = list(avoid)
        self._taken_now = taken_now
        ours = slice(None) if taken_now is None else slice(part, None, PARTS)
        first, last = (
            [subnet for pool in pools for subnet in pool.subnets(new_prefix=24)]
            for pools in (_IPV4_POOLS, _LAST_IPV4_POOLS)
        )
        ipv6 = list(itertools.islice(IPV6_POOL.subnets(new_prefix=64), _IPV6_COUNT))
        self._ipv4 = [deque(first[ours]), deque(last[ours])]
        self._ipv6 = [deque(ipv6[ours])]

    def ipv4(self) -> str:
        """Give a free /24.

        Raises:
            SubnetsExhausted: none is left.
        """
        return self._next(self._ipv4)

    def ipv6(self) -> str:
        """Give a free /64.

        Raises:
            SubnetsExhausted: none is left.
        """
        return self._next(self._ipv6)

    def _next(self, groups: Iterable[deque[_AnyNetwork]]) -> str:
        meanwhile: list[_Network] = list(self._taken_now()) if self._taken_now is not None else []
        for subnets in groups:
            for _ in range(len(subnets)):
                candidate = subnets.popleft()
                if self._taken_now is not None:
                    subnets.append(candidate)  # comes again when the networks of its row are gone
                if not any(
                    other.version == candidate.version and candidate.overlaps(other)
                    for other in (*self._avoid, *meanwhile)
                ):
                    return str(candidate)
        raise SubnetsExhausted("no subnet is left that overlaps nothing on this engine")
