"""The embedded DNS of one sandbox: the names that its endpoints let it see.

The resolver's thread asks here. Nothing here takes a lock that is held across kernel operations.

Mirrors: libnetwork sandbox.go ResolveName, ResolveIP; sandbox_dns_unix.go startResolver (v20.10).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from refimpl.libnetwork.endpoint import Endpoint
from refimpl.libnetwork.ipam import IPAddress
from refimpl.libnetwork.resolution import ResolutionFiles
from refimpl.libnetwork.resolver import Resolver
from refimpl.libnetwork.upstream import Upstream


class SandboxDns:
    """One sandbox for the resolver (its `Backend`).

    Args:
        resolver: Serves the sockets.
        sandbox_id: Whose sockets they are.
        files: Says which upstream servers there are.
        endpoints: Returns the joined endpoints, in heap order.
        open_inside: Opens a socket in the sandbox's namespace.
    """

    def __init__(
        self,
        resolver: Resolver,
        sandbox_id: str,
        *,
        files: ResolutionFiles,
        endpoints: Callable[[], tuple[Endpoint, ...]],
        open_inside: Callable[[socket.SocketKind], socket.socket],
    ) -> None:
        self._resolver = resolver
        self._sandbox_id = sandbox_id
        self._files = files
        self._endpoints = endpoints
        self._open_inside = open_inside
        self.is_served = False

    def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Let the resolver answer what comes to these sockets of the sandbox."""
        self._resolver.add(self._sandbox_id, sockets, self)
        self.is_served = True

    def stop(self) -> None:
        """Close the sockets, which would keep the namespace alive; no error without any."""
        if self.is_served:
            self._resolver.remove(self._sandbox_id)
            self.is_served = False

    # -- what the resolver asks ------------------------------------------------------------
    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The nameservers for names that are not ours."""
        return self._files.upstreams

    @property
    def ndots_set(self) -> bool:
        """Whether the user set ndots, so that single-label names stay inside."""
        return self._files.ndots_set

    def open_socket(self, upstream: Upstream, kind: socket.SocketKind) -> socket.socket:
        """Open a non-blocking socket where an upstream server is asked from.

        A sandbox without a way out has none from inside either, so nobody need forbid it.

        Raises:
            OSError: the namespace is gone.
        """
        if upstream.from_host:
            return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        return self._open_inside(kind)

    def resolve_name(self, name: str, version: int) -> tuple[tuple[IPAddress, ...], bool]:
        """Return the addresses of a name, and whether it exists without one of this family.

        `a.b.c` is tried as `a.b.c` on every network, as `a.b` on network `c`, as `a` on network
        `b.c`; each time the sandbox's private aliases come first.

        Mirrors: sandbox.ResolveName (v20.10).
        """
        name = name.removesuffix(".")
        parts = name.split(".")
        candidates = [(name, "")]
        for cut in range(len(parts) - 1, 0, -1):
            candidates.append((".".join(parts[:cut]), ".".join(parts[cut:])))
        for wanted, network_name in candidates:
            for use_aliases in (True, False):
                found = self._resolve(wanted, network_name, version, use_aliases=use_aliases)
                if found[0] or found[1]:
                    return found
        return (), False

    def resolve_ip(self, address: IPAddress) -> str:
        """Return `<name>.<network>` of an address on one of the networks, "" for none."""
        for endpoint in self._endpoints():
            name = endpoint.network.records.reverse(address)
            if name:
                return f"{name}.{endpoint.network.name}"
        return ""

    def _resolve(
        self, wanted: str, network_name: str, version: int, *, use_aliases: bool
    ) -> tuple[tuple[IPAddress, ...], bool]:
        is_known = False
        for endpoint in self._endpoints():
            network = endpoint.network
            # names are compared without regard to case, networks are not
            if network_name and network_name != network.name:
                continue
            target = endpoint.alias_target(wanted)
            # an alias hides a real name of the same spelling on that network
            if use_aliases != (target is not None):
                continue
            addresses, is_miss = network.resolve_name(target or wanted, version)
            if addresses:
                return addresses, False
            is_known = is_known or is_miss
        return (), is_known
