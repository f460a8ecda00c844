"""Subnets for the rows' networks: explicit ones, that overlap nothing the engine has."""

import ipaddress
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import docker

IPV4_POOL = ipaddress.IPv4Network("10.213.0.0/16")
IPV6_POOL = ipaddress.IPv6Network("fd6e:6574:696e::/48")
_SPARE_IPV4 = (
    IPV4_POOL,
    ipaddress.IPv4Network("172.29.0.0/16"),
    ipaddress.IPv4Network("192.168.0.0/16"),
    # for measurements between networks (RFC 2544): free where a VPN routes all private ones
    ipaddress.IPv4Network("198.18.0.0/15"),
)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_AnyNetwork = TypeVar("_AnyNetwork", ipaddress.IPv4Network, ipaddress.IPv6Network)
# So many workers, of one run or of several, can have an engine of somebody else at the same time
# without sharing subnets.
PARTS = 16
# How often a worker can go through its part.
_ROUNDS = 400


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
    """List the subnets that a machine has routes to, of its /proc/net or /proc/PID/net.

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
        self._part = part
        ipv4 = itertools.chain(*(pool.subnets(new_prefix=24) for pool in _SPARE_IPV4))
        ipv6 = IPV6_POOL.subnets(new_prefix=64)
        self._ipv4 = iter(ipv4) if taken_now is None else self._of_part(ipv4)
        self._ipv6 = ipv6 if taken_now is None else self._of_part(itertools.islice(ipv6, 1024))

    def _of_part(self, subnets: Iterable[_AnyNetwork]) -> Iterator[_AnyNetwork]:
        """Give every PARTS-th subnet, again and again: networks of earlier rows are gone."""
        chosen = list(itertools.islice(subnets, self._part, None, PARTS))
        return itertools.chain(*itertools.repeat(chosen, _ROUNDS))

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

    def _next(self, candidates: Iterator[_Network]) -> str:
        meanwhile = list(self._taken_now()) if self._taken_now is not None else []
        for candidate in candidates:
            if not any(
                other.version == candidate.version and candidate.overlaps(other)
                for other in (*self._avoid, *meanwhile)
            ):
                return str(candidate)
        raise SubnetsExhausted("no subnet is left that overlaps nothing on this engine")
