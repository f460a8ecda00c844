"""The real kernel: puts namespaces, links, firewall and mounts together behind the Protocol.

`create_sandbox` is the hot path: a namespace that is ready (see `spares`) is pinned, one batch in
the host's namespace makes all veth pairs, one batch inside sets addresses and routes. Nothing
forks, sleeps or polls.

Everything here may be called from any thread that is still in the daemon's own namespace.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from queue import Empty, SimpleQueue

from refimpl.kernel import bridges, links, macvlan, mounts, netns, ports, resolver
from refimpl.kernel.base import (
    Address,
    BridgePlan,
    FirewallNetwork,
    GatewayPlan,
    InterfacePlan,
    Link,
    OverlayPlan,
    ParentPlan,
    PortClaim,
    PublishedPort,
    SandboxPlan,
    Subnet,
)
from refimpl.kernel.firewall import Firewall
from refimpl.kernel.interfaces import (
    add_links,
    delete_link,
    delete_links,
    ignore_missing,
    restore_default_routes,
    set_up_requests,
    settle_default_routes,
)
from refimpl.kernel.ipv6 import Ipv6Switches
from refimpl.kernel.netlink import (
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    Netlink,
    Request,
)
from refimpl.kernel.reaper import Reaper, delete_retired
from refimpl.kernel.relay import Relay
from refimpl.kernel.spares import Kind, Spares

logger = logging.getLogger(__name__)

_FORWARD_IPV4 = Path("/proc/sys/net/ipv4/ip_forward")
_FORWARD_IPV6 = Path("/proc/sys/net/ipv6/conf/all/forwarding")


class LinuxKernel:
    """`Kernel` on the machine's own.

    Args:
        firewall_table: the name of the engine's nftables table.
    """

    def __init__(self, *, firewall_table: str = "netinit") -> None:
        self._ipv6 = Ipv6Switches()
        self._maker = netns.NamespaceThread()
        """Makes new namespaces, and does at home what may come later; nobody need wait for it."""
        self._visitor = netns.NamespaceThread()
        """Goes into those that are there."""
        self._relay_thread = netns.NamespaceThread()
        """Tells the relay process of its ports; that one may hang, and nobody else with it."""
        self._spares = Spares(self._maker, self._ipv6)
        self._firewall = Firewall(firewall_table)
        self._relay = Relay(firewall_table, self._relay_thread.begin)
        self._ports = ports.Ports(firewall_table, self._relay)
        self._reaper = Reaper()
        self._has_retired = False
        self._host = Netlink()
        """For what every start and stop does; what is rare, or long, has a socket of its own."""
        self._new_ports: SimpleQueue[str] = SimpleQueue()

    def close(self) -> None:
        """Release sockets and threads, when the last links that are on their way out have gone."""
        self._relay.close()
        self._relay_thread.close()
        self._reaper.close()
        self._spares.close()
        self._maker.close()
        self._visitor.close()
        self._ipv6.close()
        self._host.close()

    # -- the host's side -------------------------------------------------------------------

    def prepare_host(self) -> None:
        """Switch on IPv4 forwarding in the namespace the daemon runs in, and bring `lo` up.

        IPv6 forwarding is switched on with the first bridge that has an IPv6 address, as moby's
        bridge driver does (setup_ipv6.go, v20.10). Links that a dead daemon had on their way out
        are deleted.
        """
        self._relay.wait_for_the_last()
        _switch_on(_FORWARD_IPV4)
        with Netlink() as host:
            host.run([links.change_link(links.LOOPBACK_INDEX, "lo")])
            delete_retired(host)

    def links(self) -> tuple[Link, ...]:
        """Return every link of the daemon's own namespace with its addresses."""
        with Netlink() as host:
            messages = host.dump(RTM_GETLINK)
            addresses = links.addresses_by_index(host.dump(RTM_GETADDR))
        names = {message["index"]: message.get_attr("IFLA_IFNAME") for message in messages}
        return tuple(
            Link(
                index=message["index"],
                name=message.get_attr("IFLA_IFNAME"),
                kind=links.kind(message),
                master=names.get(message.get_attr("IFLA_MASTER")),
                addresses=addresses.get(message["index"], ()),
                is_own_bridge=links.is_own_bridge(message),
            )
            for message in messages
        )

    def host_subnets(self) -> tuple[Subnet, ...]:
        """Return the destinations of the host's routes, which no default pool may overlap."""
        with Netlink() as host:
            return links.route_subnets(host.dump(RTM_GETROUTE))

    def create_bridge(self, plan: BridgePlan) -> None:
        """Create a bridge, or bring an existing one of that name to the plan, and set it up.

        Raises:
            OSError: EEXIST when a link of that name is no bridge; what the kernel says otherwise.
        """
        if any(address.version == 6 for address in plan.addresses):
            _switch_on(_FORWARD_IPV6)
        with Netlink() as host:
            is_new = bridges.create(host, plan)
        self._ports.renew_bridge(plan.name)
        if is_new:
            self._ignore_routers(plan.name)

    def _ignore_routers(self, bridge: str) -> None:
        try:
            self._ipv6.ignore_routers_at_home(bridge)
        except OSError as error:
            logger.warning("bridge %s accepts router advertisements: %s", bridge, error)

    def take_addresses(self, name: str, addresses: Sequence[Address]) -> None:
        """Take addresses from a link of the host side; no error when it does not have them."""
        with Netlink() as host:
            bridges.take_addresses(host, name, addresses)

    def create_parent(self, plan: ParentPlan) -> None:
        """Create a parent for macvlans, and set it up; one that is there stays as it is.

        Raises:
            OSError: EOPNOTSUPP where the kernel has no such links.
        """
        with Netlink() as host:
            lower_index = host.index_of(plan.lower) if plan.lower else 0
            (answer,) = host.exchange([macvlan.new_parent(plan, lower_index)])
        if answer.error is not None and answer.error.errno != errno.EEXIST:
            raise answer.error

    def delete_link(self, name: str) -> None:
        """Delete a link of the host side; no error when it is not there."""
        with Netlink() as host:
            delete_link(host, name)

    def apply_firewall(self, networks: Sequence[FirewallNetwork]) -> None:
        """Make the engine's own nftables table say exactly this, in one transaction."""
        self._firewall.apply(networks)

    # -- published ports -------------------------------------------------------------------

    def ephemeral_ports(self) -> tuple[int, int]:
        """Return the first and the last port that the kernel gives out by itself."""
        return ports.ephemeral_ports()

    def claim_port(
        self, protocol: str, address: IPv4Address | IPv6Address, port: int
    ) -> socket.socket:
        """Bind a port of the host, so that no process of the host can have it."""
        return ports.claim(protocol, address, port)

    def publish_ports(
        self, bridge: str, claims: Sequence[PortClaim], *, with_relay: bool, is_live: bool
    ) -> None:
        """Lead ports of the host to a container of a bridge, all of them at once."""
        self._ports.publish(bridge, claims, with_relay=with_relay, is_live=is_live)

    def unpublish_ports(self, published: Sequence[PublishedPort]) -> None:
        """Take back what `publish_ports` did, and end what flows through those ports."""
        self._ports.unpublish(published)

    # -- sandboxes -------------------------------------------------------------------------

    def expect_sandbox(self) -> None:
        """Begin to make the namespaces that `create_sandbox` may want, and return at once.

        And settle the ports that were made last: see `_settle_ports`.
        """
        self._spares.prepare()
        if not self._new_ports.empty():
            self._maker.begin(self._settle_ports)
        self._relay.settle()

    def _settle_ports(self) -> None:
        """Take IPv6 from the host ends of new pairs, which are ports of a bridge and need none.

        The kernel gives each of them a link-local address and routes, and walks through those of
        all others for it: with 1,000 sandboxes that takes longer than all the rest of a start.
        """
        while True:
            try:
                self._ipv6.set_at_home(self._new_ports.get_nowait(), enabled=False)
            except Empty:
                return
            except FileNotFoundError:
                continue  # it has gone meanwhile: between the opening of the switch and its writing
            except OSError as error:
                logger.warning("a port keeps its IPv6 address: %s", error)

    def create_sandbox(self, plan: SandboxPlan) -> tuple[socket.socket, ...]:
        """Make a namespace with everything in it.

        Returns:
            The bound sockets of the resolver, first UDP and then TCP (listening), both
            non-blocking, to which port 53 of `plan.resolver_address` leads; empty without one.

        Raises:
            OSError: EEXIST when the key is in use; what the kernel says otherwise. Nothing is left.
        """
        ipv6 = plan.ipv6 or any(map(_has_ipv6, plan.interfaces))
        with self._spares.take(Kind(ipv6, plan.resolver_address)) as namespace:
            netns.pin(plan.key, namespace.path)
            try:
                self._add_links(namespace.descriptor, namespace.inside, plan.interfaces)
                try:
                    self._set_up(namespace.inside, plan, ipv6=ipv6)
                except BaseException:
                    delete_links(self._host, namespace.inside, plan.interfaces)
                    raise
            except BaseException:
                netns.unpin(plan.key)
                raise
            return namespace.hand_over_sockets()

    def _add_links(self, namespace: int, inside: Netlink, plans: Sequence[InterfacePlan]) -> None:
        try:
            add_links(self._host, namespace, inside, plans)
        except OSError as error:
            if error.errno != errno.EXFULL:
                raise
            # a bridge has room for 1,023 ports, and those on their way out count
            delete_retired(self._host)
            add_links(self._host, namespace, inside, plans)

    def _set_up(self, inside: Netlink, plan: SandboxPlan, *, ipv6: bool) -> None:
        """Give the interfaces of a new sandbox their addresses, and the sandbox its routes."""
        for one in plan.interfaces:
            if one.host_name:
                self._new_ports.put(one.host_name)
        if ipv6:
            plain = [one.name for one in plan.interfaces if not _has_ipv6(one)]
            self._visitor.inside(plan.key, partial(self._switch_ipv6_off, ("default", *plain)))
        requests: list[Request] = []
        gateway_index = None
        for one in plan.interfaces:
            index = inside.index_of(one.name)
            requests += set_up_requests(index, one)
            if one.name == plan.gateway.interface:
                gateway_index = index
        requests += links.new_default_routes(plan.gateway, gateway_index)
        inside.run(requests)

    def open_resolver(self, key: str, address: str) -> tuple[socket.socket, ...]:
        """Open the resolver's two sockets in an existing sandbox (see `create_sandbox`)."""
        return self._visitor.inside(key, partial(resolver.open_resolver, address))

    def open_socket(self, key: str, kind: socket.SocketKind) -> socket.socket:
        """Open a non-blocking IPv4 socket in a sandbox; it stays in there, whoever uses it."""
        return self._visitor.inside(key, partial(resolver.open_socket, kind))

    def add_interface(self, key: str, plan: InterfacePlan, gateway: GatewayPlan) -> None:
        """Add one interface to a live sandbox and make the default routes those of `gateway`."""
        with contextlib.ExitStack() as at_end, contextlib.ExitStack() as undo:
            if _has_ipv6(plan):
                undo.callback(self._switch_default_ipv6_off, key)
            expect = partial(self._expect_interface, plan)
            inside = at_end.enter_context(self._visitor.inside(key, expect))
            before = inside.dump(RTM_GETROUTE)
            undo.callback(restore_default_routes, inside, before)
            with Path(key).open("rb", buffering=0) as namespace:
                self._add_links(namespace.fileno(), inside, (plan,))
            undo.callback(delete_links, self._host, inside, (plan,))
            if _has_ipv6(plan):
                self._switch_default_ipv6_off(key)
            if plan.host_name:
                self._new_ports.put(plan.host_name)
            inside.run(set_up_requests(inside.index_of(plan.name), plan))
            settle_default_routes(inside, gateway, before, plan.name)
            undo.pop_all()

    def remove_interface(self, key: str, name: str, host_name: str, gateway: GatewayPlan) -> None:
        """Remove one interface from a live sandbox and leave the default routes of `gateway`."""
        if host_name:
            delete_link(self._host, host_name)
        self._visitor.inside(key, partial(self._forget_interface, name, gateway))

    def destroy_sandbox(self, key: str, host_names: Sequence[str] | None = None) -> None:
        """Unpin a namespace and remove its file; its links are down then, at either end.

        They go after the next `sweep`: see `reaper`.

        Args:
            key: the file.
            host_names: of the host's ends of its pairs. Left out, or where one of them is not
                there, the links are looked up inside, which needs no memory of what was created.
        """
        pairs = None if host_names is None else self._ports_named(host_names)
        if pairs is None:
            pairs = self._ports_of(key)
        if pairs:
            ignore_missing(self._host, [links.retire_link(one, f"of {key}") for one in pairs])
            self._has_retired = True
        netns.unpin(key)

    def sweep(self) -> None:
        """Have the links deleted that destroyed sandboxes have left, and return at once.

        Not by `destroy_sandbox`: who deletes them would be in the way of what comes after it.
        """
        if self._has_retired:
            self._has_retired = False  # before: what is retired from now on is for the next sweep
            self._reaper.wake()

    def delete_retired(self) -> None:
        """Delete the links that destroyed sandboxes have left, and wait until they are gone."""
        with Netlink() as host:
            delete_retired(host)

    def _ports_named(self, names: Sequence[str]) -> list[int] | None:
        """Return the indices of links; None when one is not there by its name."""
        try:
            return [self._host.index_of(name) for name in names]
        except OSError:
            return None

    def _ports_of(self, key: str) -> list[int]:
        """Delete a sandbox's macvlans, and return the indices of the host's ends of its pairs."""
        try:
            inside = self._visitor.inside(key, Netlink)
        except OSError as error:
            # ENOENT: gone already; EINVAL: a crash left a file at which nothing is pinned yet
            if error.errno not in {errno.ENOENT, errno.EINVAL}:
                raise
            return []
        with inside:
            # only links to this namespace: `key` may be the pin of another daemon's host
            macvlans = inside.links_to(self._visitor.home, "macvlan")
            ignore_missing(inside, [macvlan.delete_by_index(index) for index, _ in macvlans])
            return [port for _, port in inside.links_to(self._visitor.home, "veth")]

    def sandbox_keys(self, directory: str) -> tuple[str, ...]:
        """Return the keys (paths) below a directory: pinned namespaces and left-over files."""
        try:
            paths = [path for path in Path(directory).iterdir() if not path.is_dir()]
        except FileNotFoundError:
            return ()
        return tuple(sorted(str(path) for path in paths))

    def host_key(self, path: str) -> None:
        """Pin the daemon's own namespace at `path` (Docker's `netns/default`), idempotent."""
        if not netns.is_pinned(path):
            netns.unpin(path)
            netns.pin(path)

    def _switch_default_ipv6_off(self, key: str) -> None:
        self._visitor.inside(key, partial(self._switch_ipv6_off, ("default",)))

    # -- run inside a sandbox's namespace, by the visitor --------------------------------------

    def _expect_interface(self, plan: InterfacePlan) -> Netlink:
        """Make the namespace ready for one more interface, with IPv6 as that one needs it.

        Who adds it with IPv6 switches `default` off again: what a container makes has none, as in
        Docker, which leaves `default` off and switches each interface on.
        """
        self._ipv6.set_here("default", enabled=_has_ipv6(plan))
        if _has_ipv6(plan):
            self._ipv6.set_here("lo", enabled=True)
            self._ipv6.ignore_routers_here("default")
        return Netlink()

    def _switch_ipv6_off(self, names: Sequence[str]) -> None:
        for name in names:
            self._ipv6.set_here(name, enabled=False)

    def _forget_interface(self, name: str, gateway: GatewayPlan) -> None:
        """Settle a namespace after an interface went; with no other IPv6, `lo` loses its own."""
        with Netlink() as inside:
            delete_link(inside, name)
            settle_default_routes(inside, gateway, inside.dump(RTM_GETROUTE))
            left = links.addresses_by_index(inside.dump(RTM_GETADDR))
            left.pop(links.LOOPBACK_INDEX, None)
        if not any(address.version == 6 for addresses in left.values() for address in addresses):
            self._ipv6.set_here("lo", enabled=False)

    # -- mounts ----------------------------------------------------------------------------

    def mount_overlay(self, plan: OverlayPlan) -> None:
        """Mount a container's root file system."""
        mounts.mount_overlay(plan)

    def unmount(self, target: str) -> None:
        """Unmount (lazily); no error when nothing is mounted there."""
        mounts.unmount(target)

    def check_propagation(self, source: str, propagation: str) -> None:
        """Refuse a bind mount whose propagation its source does not allow."""
        mounts.check_propagation(source, propagation)


# -- small questions -----------------------------------------------------------------------------


def _has_ipv6(plan: InterfacePlan) -> bool:
    return any(address.version == 6 for address in plan.addresses)


def _switch_on(path: Path) -> None:
    try:
        if path.read_text(encoding="ascii").strip() != "1":
            path.write_text("1", encoding="ascii")
    except OSError as error:
        raise OSError(
            error.errno, f"switch on forwarding: {path}: {error.strerror}; switch it on beforehand"
        ) from error
