"""The ports of the host that lead to an endpoint: chosen, claimed and published, or none of them.

Mirrors: libnetwork portmapper/mapper.go and drivers/bridge/port_mapping.go (v20.10).
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from refimpl.errors import EngineError
from refimpl.kernel.base import Kernel, PortClaim, PublishedPort
from refimpl.libnetwork.ipam import IPAddress
from refimpl.libnetwork.portallocator import PortAllocator
from refimpl.model.network import PortBinding
from refimpl.model.ports import PROTOCOLS

logger = logging.getLogger(__name__)

_ATTEMPTS_MAX = 10
"""For a port of the engine's choice (moby: maxAllocatePortAttempts)."""
_ANY_IPV4, _ANY_IPV6 = IPv4Address(0), IPv6Address(0)
_NO_SUCH_PROTOCOL = frozenset({errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT})


class PortTarget(NamedTuple):
    """Where ports of the host lead to."""

    bridge: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    default_host_ip: IPAddress | None = None
    """The network's own choice for bindings that name no address of the host."""


class _Mapped(NamedTuple):
    bridge: str
    claims: tuple[PortClaim, ...]


class PortMapper:
    """Publishes ports of endpoints.

    Args:
        kernel: Has the sockets and the firewall.
        userland_proxy: Let a relay process lead on what the firewall cannot.
        write_firewall: Writes the firewall's table where it is not there any more.
    """

    def __init__(
        self, kernel: Kernel, *, userland_proxy: bool, write_firewall: Callable[[], None]
    ) -> None:
        self._kernel = kernel
        self._userland_proxy = userland_proxy
        self._write_firewall = write_firewall
        self._allocator = PortAllocator(kernel.ephemeral_ports)
        self._mapped: dict[str, _Mapped] = {}
        self._lock = threading.Lock()

    def map(
        self,
        endpoint_id: str,
        target: PortTarget,
        bindings: Sequence[PortBinding],
        *,
        is_live: bool,
    ) -> tuple[PublishedPort, ...]:
        """Publish ports of an endpoint, all or none; what it had published before stays.

        Args:
            endpoint_id: Whose ports they are.
            target: Where they lead to.
            bindings: What is wanted.
            is_live: Its container runs.

        Raises:
            EngineError: a port is taken, in 20.10's words.
            OSError: the kernel refused.
        """
        claims: list[PortClaim] = []
        try:
            for binding in bindings:
                self._claim_binding(binding, target, claims)
            if claims:
                self._publish(target.bridge, claims, is_live=is_live)
        except BaseException:
            self._release(claims)
            raise
        with self._lock:
            self._mapped[endpoint_id] = _Mapped(target.bridge, tuple(claims))
        return tuple(one.port for one in claims)

    def unmap(self, endpoint_id: str) -> None:
        """Take back the ports of an endpoint; no error when it has none.

        Raises:
            OSError: the kernel refused; they stay claimed, and a further call tries again.
        """
        mapped = self._mapped.get(endpoint_id)
        if mapped is None:
            return
        if mapped.claims:
            self._unpublish(mapped.claims)
        self.drop(endpoint_id)

    def drop(self, endpoint_id: str) -> None:
        """Give the ports of an endpoint back, even where their rules could not be removed.

        Such a rule goes when the port is published again.
        """
        if endpoint_id not in self._mapped:
            return
        with self._lock:
            mapped = self._mapped.pop(endpoint_id, None)
        if mapped is not None:
            self._release(mapped.claims)

    # -- inside ----------------------------------------------------------------------------
    def _claim_binding(
        self, binding: PortBinding, target: PortTarget, claims: list[PortClaim]
    ) -> None:
        if binding.protocol not in PROTOCOLS:
            raise EngineError(f"invalid transport protocol: {binding.protocol}")
        preferred = 0
        for host_ip, ip, is_implied in self._places(binding, target):
            try:
                claim = self._claim(binding, host_ip, ip, preferred)
            except OSError as error:
                if is_implied and error.errno == errno.EAFNOSUPPORT:
                    continue  # a kernel without IPv6
                raise
            claims.append(claim)
            preferred = claim.port.host_port

    def _places(
        self, binding: PortBinding, target: PortTarget
    ) -> Iterator[tuple[IPAddress, IPAddress, bool]]:
        """Yield addresses of the host and of the container, and whether the host's is implied.

        Mirrors: validatePortBindingIPv4, validatePortBindingIPv6 (v20.10).
        """
        asked = binding.host_ip
        default = target.default_host_ip or _ANY_IPV4
        host_ip = default if asked is None else asked
        if host_ip.version == 4 and target.ipv4 is not None:
            yield host_ip, target.ipv4, False
        through_relay = target.ipv4 if self._userland_proxy else None
        ip = target.ipv6 or through_relay
        if ip is None:
            return
        if host_ip.version == 6:
            yield host_ip, ip, False
        elif asked is None and default == _ANY_IPV4:
            yield _ANY_IPV6, ip, True

    def _claim(
        self, binding: PortBinding, host_ip: IPAddress, ip: IPAddress, preferred: int
    ) -> PortClaim:
        protocol = binding.protocol
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            port = self._allocator.request(
                host_ip, protocol, binding.host_port, binding.host_port_end, preferred=preferred
            )
            preferred = 0
            try:
                socket = self._kernel.claim_port(protocol, host_ip, port)
            except OSError as error:
                self._allocator.release(host_ip, protocol, port)
                if error.errno == errno.EAFNOSUPPORT:
                    raise
                if binding.host_port or attempt == _ATTEMPTS_MAX:
                    prefix = "Error starting userland proxy: " if self._userland_proxy else ""
                    reason = _refusal(protocol, host_ip, port, error)
                    raise EngineError(prefix + reason) from error
                continue
            except BaseException:
                self._allocator.release(host_ip, protocol, port)
                raise
            return PortClaim(PublishedPort(protocol, host_ip, port, ip, binding.port), socket)
        raise AssertionError("the last attempt raises")

    def _publish(self, bridge: str, claims: Sequence[PortClaim], *, is_live: bool) -> None:
        try:
            self._publish_or_repair(bridge, claims, is_live=is_live)
        except BaseException:
            try:
                self._unpublish(claims)
            except OSError as error:
                logger.warning("while undoing a failed publication of ports: %s", error)
            raise

    def _publish_or_repair(
        self, bridge: str, claims: Sequence[PortClaim], *, is_live: bool
    ) -> None:
        relay = self._userland_proxy
        try:
            self._kernel.publish_ports(bridge, claims, with_relay=relay, is_live=is_live)
        except FileNotFoundError:
            # somebody has deleted the engine's table, as `nft flush ruleset` does
            self._write_firewall()
            with self._lock:
                others = tuple(self._mapped.values())
            for each, own in (*others, _Mapped(bridge, tuple(claims))):
                if own:
                    self._kernel.publish_ports(each, own, with_relay=relay, is_live=True)

    def _unpublish(self, claims: Sequence[PortClaim]) -> None:
        ports = [one.port for one in claims]
        try:
            self._kernel.unpublish_ports(ports)
        except OSError as error:
            # nobody else comes back for them
            logger.warning("trying again after: %s", error)
            self._kernel.unpublish_ports(ports)

    def _release(self, claims: Sequence[PortClaim]) -> None:
        for claim in claims:
            claim.socket.close()
            port = claim.port
            self._allocator.release(port.host_ip, port.protocol, port.host_port)


def _refusal(protocol: str, address: IPAddress, port: int, error: OSError) -> str:
    """Say why a port could not be bound, in the words that 20.10 has from Go."""
    if error.errno in _NO_SUCH_PROTOCOL:
        return "protocol not supported"
    reason = os.strerror(error.errno or errno.EIO).lower()
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"listen {protocol}{address.version} {shown}:{port}: bind: {reason}"
