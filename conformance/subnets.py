"""Subnets for the rows' networks: explicit ones, that overlap nothing the engine has."""

import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path

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
    """Hands out /24 and /64 subnets, each one once in a run."""

    def __init__(self, avoid: Iterable[_Network]) -> None:
        """Begin with what must not be overlapped."""
        self._avoid = list(avoid)
        self._ipv4 = self._candidates_ipv4()
        self._ipv6 = IPV6_POOL.subnets(new_prefix=64)

    def _candidates_ipv4(self) -> Iterator[ipaddress.IPv4Network]:
        for pool in _SPARE_IPV4:
            yield from pool.subnets(new_prefix=24)

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
        for candidate in candidates:
            if not any(
                other.version == candidate.version and candidate.overlaps(other)
                for other in self._avoid
            ):
                return str(candidate)
        raise SubnetsExhausted("no subnet is left that overlaps nothing on this engine")
