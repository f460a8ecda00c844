"""A kernel and files in memory: what was made is there, what was removed is not.

It keeps the promises of `refimpl.kernel.base` (all or nothing, removal is repeatable) and checks
what the real one would refuse, so that a unit test sees a leak or a wrong order without root.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from pathlib import Path

from refimpl.kernel.base import (
    Address,
    BridgePlan,
    FirewallNetwork,
    GatewayPlan,
    InterfacePlan,
    Link,
    LinkGone,
    OverlayPlan,
    PortClaim,
    PublishedPort,
    SandboxPlan,
    Subnet,
)
from refimpl.limits import ENGINE_FILE_BYTES_MAX

IPAddress = IPv4Address | IPv6Address


@dataclass
class FakeSandbox:
    interfaces: dict[str, InterfacePlan] = field(default_factory=dict)
    gateway: GatewayPlan = field(default_factory=GatewayPlan)
    ipv6: bool = False
    resolver_address: str | None = None


class FakeKernel:
    def __init__(self) -> None:
        self.sandboxes: dict[str, FakeSandbox] = {}
        self.bridges: dict[str, BridgePlan] = {}
        self.own_bridges: set[str] = set()
        """The bridges that `create_bridge` made."""
        self.foreign_links: dict[str, Link] = {}
        self.stray_veths: dict[str, str] = {}
        """Host names of pairs whose sandbox is gone, and their bridge."""
        self.routes: list[Subnet] = [IPv4Network("10.0.2.0/24")]
        self.firewall: tuple[FirewallNetwork, ...] | None = None
        self.host_keys: set[str] = set()
        self.mounts: dict[str, OverlayPlan] = {}
        self.operations: list[str] = []
        self.told_at_destroy: list[Sequence[str] | None] = []
        """The host names that `destroy_sandbox` was given."""
        self.unswept: list[str] = []
        """What was destroyed since the last `sweep`."""
        self.fail: dict[str, OSError] = {}
        """The operation of this name fails, once."""
        self.foreign_ports: set[tuple[str, IPAddress, int]] = set()
        """Those that processes of the host have."""
        self.claimed: dict[tuple[str, IPAddress, int], socket.socket] = {}
        self.published: dict[PublishedPort, str] = {}
        """With the bridge of each."""
        self.relayed: set[PublishedPort] = set()

    def _do(self, operation: str) -> None:
        self.operations.append(operation)
        error = self.fail.pop(operation, None)
        if error is not None:
            raise error

    def _veths(self) -> dict[str, str]:
        pairs = {
            plan.host_name: plan.bridge
            for sandbox in self.sandboxes.values()
            for plan in sandbox.interfaces.values()
        }
        return pairs | self.stray_veths

    def prepare_host(self) -> None:
        self._do("prepare_host")

    def links(self) -> tuple[Link, ...]:
        found = [Link(index=1, name="lo", kind="", master=None, addresses=())]
        for name, plan in self.bridges.items():
            found.append(
                Link(
                    index=2,
                    name=name,
                    kind="bridge",
                    master=None,
                    addresses=plan.addresses,
                    is_own_bridge=name in self.own_bridges,
                )
            )
        for name, bridge in self._veths().items():
            found.append(Link(index=3, name=name, kind="veth", master=bridge, addresses=()))
        return (*found, *self.foreign_links.values())

    def host_subnets(self) -> tuple[Subnet, ...]:
        own = (address.network for plan in self.bridges.values() for address in plan.addresses)
        return (*self.routes, *own)

    def create_bridge(self, plan: BridgePlan) -> None:
        self._do("create_bridge")
        if plan.name not in self.bridges:
            self.own_bridges.add(plan.name)
        there = self.bridges[plan.name].addresses if plan.name in self.bridges else ()
        stay = [one for one in there if one not in plan.given and one not in plan.addresses]
        addresses = (*stay, *plan.addresses)
        self.bridges[plan.name] = BridgePlan(name=plan.name, addresses=addresses)

    def take_addresses(self, name: str, addresses: Sequence[Address]) -> None:
        self._do("take_addresses")
        if name in self.bridges:
            left = tuple(one for one in self.bridges[name].addresses if one not in addresses)
            self.bridges[name] = BridgePlan(name=name, addresses=left)

    def delete_link(self, name: str) -> None:
        self._do("delete_link")
        self.bridges.pop(name, None)
        self.own_bridges.discard(name)
        self.stray_veths.pop(name, None)
        self.foreign_links.pop(name, None)

    def apply_firewall(self, networks: Sequence[FirewallNetwork]) -> None:
        self._do("apply_firewall")
        self.firewall = tuple(networks)

    def ephemeral_ports(self) -> tuple[int, int]:
        return 32768, 60999

    def claim_port(self, protocol: str, address: IPAddress, port: int) -> socket.socket:
        self._do("claim_port")
        key = (protocol, address, port)
        held = self.claimed.get(key)
        if key in self.foreign_ports or (held is not None and held.fileno() >= 0):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.claimed[key] = socket.socket(socket.AF_UNIX)
        return self.claimed[key]

    def held_ports(self) -> set[tuple[str, str, int]]:
        """The ports whose sockets are open."""
        return {
            (protocol, str(address), port)
            for (protocol, address, port), one in self.claimed.items()
            if one.fileno() >= 0
        }

    def publish_ports(
        self, bridge: str, claims: Sequence[PortClaim], *, with_relay: bool, is_live: bool
    ) -> None:
        self._do("publish_ports")
        assert all(claim.socket.fileno() >= 0 for claim in claims)
        self.published.update({claim.port: bridge for claim in claims})
        if with_relay:
            self.relayed.update(c.port for c in claims if c.port.host_ip.version == 6)

    def unpublish_ports(self, ports: Sequence[PublishedPort]) -> None:
        self._do("unpublish_ports")
        for port in ports:
            self.published.pop(port, None)
            self.relayed.discard(port)

    def expect_sandbox(self) -> None:
        """Nothing is to be seen of it."""

    def create_sandbox(self, plan: SandboxPlan) -> tuple[socket.socket, ...]:
        self._do("create_sandbox")
        if plan.key in self.sandboxes:
            raise FileExistsError(errno.EEXIST, plan.key)
        self._check_new(plan.interfaces)
        names = {interface.name for interface in plan.interfaces}
        assert plan.gateway.interface is None or plan.gateway.interface in names
        self.sandboxes[plan.key] = FakeSandbox(
            {interface.name: interface for interface in plan.interfaces},
            plan.gateway,
            plan.ipv6,
            plan.resolver_address,
        )
        return _resolver_sockets() if plan.resolver_address else ()

    def open_resolver(self, key: str, address: str) -> tuple[socket.socket, ...]:
        self._do("open_resolver")
        self.sandboxes[key].resolver_address = address
        return _resolver_sockets()

    def open_socket(self, key: str, kind: socket.SocketKind) -> socket.socket:
        self._do("open_socket")
        assert key in self.sandboxes
        return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)

    def add_interface(self, key: str, plan: InterfacePlan, gateway: GatewayPlan) -> None:
        self._do("add_interface")
        sandbox = self.sandboxes[key]
        assert plan.name not in sandbox.interfaces
        if gateway.interface not in {None, plan.name, *sandbox.interfaces}:
            raise LinkGone("set the route", str(gateway.interface))
        self._check_new((plan,))
        sandbox.interfaces[plan.name] = plan
        sandbox.gateway = gateway

    def remove_interface(self, key: str, name: str, host_name: str, gateway: GatewayPlan) -> None:
        self._do("remove_interface")
        sandbox = self.sandboxes[key]
        plan = sandbox.interfaces.pop(name, None)
        assert plan is None or plan.host_name == host_name
        if gateway.interface not in {None, *sandbox.interfaces}:
            raise LinkGone("set the route", str(gateway.interface))
        sandbox.gateway = gateway

    def destroy_sandbox(self, key: str, host_names: Sequence[str] | None = None) -> None:
        self.told_at_destroy.append(host_names)
        self.unswept.append(key)
        self._do("destroy_sandbox")
        assert key not in self.host_keys, "that would take the host's own links"
        self.sandboxes.pop(key, None)

    def sweep(self) -> None:
        self.unswept.clear()

    def delete_retired(self) -> None:
        self._do("delete_retired")
        self.unswept.clear()

    def sandbox_keys(self, directory: str) -> tuple[str, ...]:
        keys = {*self.sandboxes, *self.host_keys}
        return tuple(sorted(key for key in keys if str(Path(key).parent) == directory))

    def host_key(self, path: str) -> None:
        self._do("host_key")
        self.host_keys.add(path)

    def mount_overlay(self, plan: OverlayPlan) -> None:
        self.mounts[plan.target] = plan

    def unmount(self, target: str) -> None:
        self.host_keys.discard(target)
        self.mounts.pop(target, None)

    def check_propagation(self, source: str, propagation: str) -> None:
        """Each mount of the host is shared."""

    def close(self) -> None:
        pass

    def _check_new(self, plans: Sequence[InterfacePlan]) -> None:
        taken = set(self._veths())
        for plan in plans:
            if plan.bridge not in self.bridges:
                raise LinkGone("create a pair", plan.bridge)
            if plan.host_name in taken:
                raise FileExistsError(errno.EEXIST, plan.host_name)
            taken.add(plan.host_name)


class FakeFiles:
    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.writes: list[str] = []
        self.fail: dict[str, OSError] = {}
        """Writing a file whose path ends so fails, once."""

    def text(self, path: str) -> str:
        return self.content[path].decode()

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        self._note(path)
        self.content[path] = content

    def overwrite(self, path: str, content: bytes) -> None:
        self._note(path)
        self.content[path] = content

    def read(self, path: str, *, bytes_max: int = ENGINE_FILE_BYTES_MAX) -> bytes:
        try:
            content = self.content[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, path) from None
        if len(content) > bytes_max:
            raise OSError(errno.EFBIG, f"{path} is larger than {bytes_max} bytes")
        return content

    def make_directory(self, path: str, *, mode: int = 0o710) -> None:
        pass

    def make_mount_source(self, path: str) -> None:
        pass

    def remove(self, path: str) -> None:
        self.content.pop(path, None)

    def _note(self, path: str) -> None:
        self.writes.append(path)
        for ending in tuple(self.fail):
            if path.endswith(ending):
                raise self.fail.pop(ending)


def _resolver_sockets() -> tuple[socket.socket, ...]:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    udp.bind(("127.0.0.1", 0))
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    tcp.bind(("127.0.0.1", 0))
    tcp.listen()
    return udp, tcp
