"""What the rest of the engine may ask of the kernel: the Protocols and the values they take.

The operations are batched on purpose: one call is one step of the container network model (a
bridge, a sandbox with all its interfaces, one more interface, ...), so that an implementation
can do it in as few netlink round trips as possible, and so that "the n-th operation fails" and
"the daemon dies at the n-th operation" are scenarios that can be counted through.

Every operation is all or nothing: when it raises, it has removed what it had made. Removing what
is not there is no error, since teardown and recovery must be repeatable.

Errors: `OSError` with the kernel's errno and, in its text, what was being done.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import NamedTuple, Protocol

from refimpl.limits import ENGINE_FILE_BYTES_MAX

Address = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePlan:
    """A bridge on the host side: its name, and what it needs."""

    name: str
    addresses: tuple[Address, ...]
    given: tuple[Address, ...] = ()
    """What the engine has given it by now: those that it needs no more go. Any others stay."""
    mtu_bytes: int = 0
    """0 leaves it to the kernel: the smallest MTU of its ports, 1500 without one."""


class InterfacePlan(NamedTuple):
    """One interface of a sandbox: an end of a veth pair, or a macvlan."""

    host_name: str
    """The pair's other end, a port of `bridge`; "" for a macvlan, which has no other end."""
    name: str
    bridge: str
    """The link of the host's namespace that it needs: the bridge, or the macvlan's parent."""
    mac: str
    addresses: tuple[Address, ...]
    mtu_bytes: int = 1500
    """A macvlan has its parent's instead."""
    macvlan_mode: str = ""
    """bridge, private, passthru or vepa; "" for a veth pair."""
    hairpin: bool = False
    """The bridge may send a frame back out of the port that it came in by: for who publishes ports
    and reaches itself through one, where bridged packets pass the host's firewall."""

    def named(self, name: str) -> InterfacePlan:
        """Return it with a name in the sandbox."""
        return InterfacePlan(
            self.host_name, name, self.bridge, self.mac, self.addresses, self.mtu_bytes,
            self.macvlan_mode, self.hairpin,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentPlan:
    """A link that macvlans hang on and that the engine makes: a dummy, or a VLAN of a link."""

    name: str
    lower: str = ""
    """The link that carries the VLAN; "" for a dummy."""
    vlan_id: int = 0


class GatewayPlan(NamedTuple):
    """The default routes of a sandbox; `None` means: no default route of that family."""

    ipv4: str | None = None
    ipv6: str | None = None
    interface: str | None = None


class SandboxPlan(NamedTuple):
    """A whole sandbox: a namespace pinned at `key`, `lo` up, its interfaces and its gateway."""

    key: str
    interfaces: tuple[InterfacePlan, ...] = ()
    gateway: GatewayPlan = GatewayPlan()
    ipv6: bool = False
    """False switches IPv6 off in the namespace, as Docker does without an IPv6 network."""
    resolver_address: str | None = None
    """Whose port 53 leads to the embedded DNS inside (`127.0.0.11`), or None for no resolver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as the kernel shows it."""

    index: int
    name: str
    kind: str
    master: str | None
    addresses: tuple[Address, ...]
    is_own_bridge: bool = False
    """Whether `create_bridge` made it, and did not find it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallHole:
    """What one container may send to another where they are kept apart, and the answers to it."""

    source: IPv4Address
    target: IPv4Address
    protocol: str
    """tcp, udp or sctp."""
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallNetwork:
    """What the firewall must know about one bridge network."""

    bridge: str
    subnets: tuple[Subnet, ...]
    internal: bool = False
    masquerade: bool = True
    snat_to: IPv4Address | None = None
    """The address that hosts outside are to see instead of the outgoing link's own."""
    icc: bool = True
    """False drops traffic between containers of this bridge."""
    holes: tuple[FirewallHole, ...] = ()
    """What is let through all the same."""


class PublishedPort(NamedTuple):
    """A port of the host and the port of a container that it leads to."""

    protocol: str
    """tcp, udp or sctp."""
    host_ip: IPv4Address | IPv6Address
    """0.0.0.0 or :: for every address of the host of that family."""
    host_port: int
    ip: IPv4Address | IPv6Address
    """The container's. Where it is of another family, only the relay leads there."""
    port: int


class PortClaim(NamedTuple):
    """A published port and the socket that is bound to it on the host, so that nobody else's is."""

    port: PublishedPort
    socket: socket.socket


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayPlan:
    """A container's root file system: layers (top first), its own upper and work directories."""

    lower: tuple[str, ...]
    upper: str
    work: str
    target: str


class LinkGone(OSError):
    """A link that the engine has made is not there any more: somebody has deleted it.

    Args:
        doing: What was being done.
        name: Of a bridge, or of an interface in a namespace.
    """

    def __init__(self, doing: str, name: str) -> None:
        super().__init__(errno.ENODEV, f"{doing}: there is no link {name}")
        self.name = name


class Kernel(Protocol):
    """Network namespaces, links, addresses, routes, firewall and mounts of one host namespace."""

    # -- the host's side -------------------------------------------------------------------
    def prepare_host(self) -> None:
        """Switch on forwarding in the namespace the daemon runs in, and bring `lo` up."""

    def links(self) -> tuple[Link, ...]:
        """Return every link of the daemon's own namespace with its addresses."""

    def host_subnets(self) -> tuple[Subnet, ...]:
        """Return the destinations of the host's routes, which no default pool may overlap."""

    def create_bridge(self, plan: BridgePlan) -> None:
        """Create a bridge, or bring an existing one of that name to the plan, and set it up."""

    def take_addresses(self, name: str, addresses: Sequence[Address]) -> None:
        """Take addresses from a link of the host side; no error when it does not have them."""

    def create_parent(self, plan: ParentPlan) -> None:
        """Create a parent for macvlans, and set it up; one that is there stays as it is."""

    def delete_link(self, name: str) -> None:
        """Delete a link of the host side; no error when it is not there."""

    def apply_firewall(self, networks: Sequence[FirewallNetwork]) -> None:
        """Make the engine's own nftables table say exactly this, in one transaction."""

    # -- published ports -------------------------------------------------------------------
    def ephemeral_ports(self) -> tuple[int, int]:
        """Return the first and the last port that the kernel gives out by itself."""

    def claim_port(
        self, protocol: str, address: IPv4Address | IPv6Address, port: int
    ) -> socket.socket:
        """Bind a port of the host, so that no process of the host can have it.

        Returns:
            The socket. Its owner accepts nothing from it; closing it gives the port back.

        Raises:
            OSError: EADDRINUSE when somebody has the port, EADDRNOTAVAIL when the host does not
                have the address, EAFNOSUPPORT or EPROTONOSUPPORT.
        """

    def publish_ports(
        self, bridge: str, claims: Sequence[PortClaim], *, with_relay: bool, is_live: bool
    ) -> None:
        """Lead ports of the host to a container of a bridge, all of them at once.

        Args:
            bridge: the container's.
            claims: the ports, with the sockets that hold them.
            with_relay: let a process of its own lead on what the firewall cannot: `[::1]`, and
                IPv6 to a container without it.
            is_live: the container runs; else the next `expect_sandbox` gives the process its part.

        Raises:
            FileNotFoundError: the firewall's table is gone: somebody has deleted it.
        """

    def unpublish_ports(self, ports: Sequence[PublishedPort]) -> None:
        """Take back what `publish_ports` did, and end what flows through those ports.

        No error when they are not published. The sockets stay their owner's.
        """

    # -- sandboxes -------------------------------------------------------------------------
    def expect_sandbox(self) -> None:
        """Begin ahead what takes longest of the next `create_sandbox`; return at once.

        What is made ends with the process and is seen by nobody, so that it needs neither a row nor
        undoing. What may come late of the last `create_sandbox` is done as well.
        """

    def create_sandbox(self, plan: SandboxPlan) -> tuple[socket.socket, ...]:
        """Make a namespace with everything in it.

        Returns:
            The bound sockets of the resolver, first UDP and then TCP (listening), both
            non-blocking, to which port 53 of `plan.resolver_address` leads; empty without one.

        Raises:
            LinkGone: a bridge or a parent is not there; nothing is made.
        """

    def open_resolver(self, key: str, address: str) -> tuple[socket.socket, ...]:
        """Open the resolver's two sockets in an existing sandbox (see `create_sandbox`)."""

    def open_socket(self, key: str, kind: socket.SocketKind) -> socket.socket:
        """Open a non-blocking IPv4 socket in a sandbox; it stays in there, whoever uses it."""

    def add_interface(self, key: str, plan: InterfacePlan, gateway: GatewayPlan) -> None:
        """Add one interface to a live sandbox and make the default routes those of `gateway`.

        Raises:
            LinkGone: the bridge, the parent or the gateway's interface is not there; nothing is
                changed.
        """

    def remove_interface(self, key: str, name: str, host_name: str, gateway: GatewayPlan) -> None:
        """Remove one interface from a live sandbox and leave the default routes of `gateway`.

        Args:
            key: The sandbox.
            name: Of the interface.
            host_name: Of its pair's other end, "" for a macvlan.
            gateway: The default routes.

        Raises:
            LinkGone: the gateway's interface is not there; the other one is removed.
        """

    def destroy_sandbox(self, key: str, host_names: Sequence[str] | None = None) -> None:
        """Unpin a namespace and remove its file; its links are down then.

        The links themselves may go after the next `sweep`, which takes the kernel long and hinders
        nobody. Who knows the host's ends of its pairs says them, where it has nothing but pairs;
        else its interfaces are looked up. A macvlan is gone when this returns: as long as one is
        there, its parent takes no other of that MAC.
        """

    def sweep(self) -> None:
        """Have the links deleted that destroyed sandboxes have left; return at once. Never fails.

        What dies before it is found at the next `prepare_host`.
        """

    def delete_retired(self) -> None:
        """Delete the links that destroyed sandboxes have left, and wait until they are gone."""

    def sandbox_keys(self, directory: str) -> tuple[str, ...]:
        """Return the keys (paths) below a directory: pinned namespaces and left-over files."""

    def host_key(self, path: str) -> None:
        """Pin the daemon's own namespace at `path` (Docker's `netns/default`), idempotent."""

    # -- mounts ----------------------------------------------------------------------------
    def mount_overlay(self, plan: OverlayPlan) -> None:
        """Mount a container's root file system."""

    def unmount(self, target: str) -> None:
        """Unmount (lazily); no error when nothing is mounted there."""

    def check_propagation(self, source: str, propagation: str) -> None:
        """Refuse, with Docker's text, a bind mount whose propagation its source does not allow."""

    def close(self) -> None:
        """Release sockets and threads, when the last links that are on their way out have gone."""


class Files(Protocol):
    """The files that network initialisation writes; one call is one durable change."""

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Replace a file atomically (a reader sees the old content or the new)."""

    def overwrite(self, path: str, content: bytes) -> None:
        """Change a file in place, keeping its inode: it may be bind-mounted into a container."""

    def read(self, path: str, *, bytes_max: int = ENGINE_FILE_BYTES_MAX) -> bytes:
        """Return a regular file's content, which may have so many bytes; never wait for it."""

    def make_directory(self, path: str, *, mode: int = 0o710) -> None:
        """Create a directory and its parents; no error when it is there."""

    def make_mount_source(self, path: str) -> None:
        """Create a directory that a container is to mount, unless something is there already."""

    def remove(self, path: str) -> None:
        """Remove a file or a whole directory; no error when it is not there."""
