"""A sandbox: one container's network stack, and the endpoints in it.

Mirrors: libnetwork sandbox.go and default_gateway.go (v20.10).
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from refimpl.errors import EngineError, Forbidden
from refimpl.kernel.base import GatewayPlan, InterfacePlan, SandboxPlan
from refimpl.libnetwork.endpoint import Endpoint
from refimpl.libnetwork.files import RESOLVER_ADDRESS
from refimpl.libnetwork.ipam import IPAddress
from refimpl.libnetwork.resolution import ResolutionFiles
from refimpl.libnetwork.store import Delete, Put
from refimpl.libnetwork.upstream import Upstream
from refimpl.limits import INTERFACE_NAME_BYTES_MAX
from refimpl.model.network import SandboxOptions

if TYPE_CHECKING:
    from refimpl.libnetwork.controller import Controller

logger = logging.getLogger(__name__)


class Sandbox:
    """A sandbox; made by `Controller.new_sandbox` only."""

    def __init__(self, controller: Controller, sandbox_id: str, options: SandboxOptions) -> None:
        self.controller = controller
        self.id = sandbox_id
        self.container_id = options.container_id
        self.options = options
        name = "default" if options.use_default_sandbox else sandbox_id[:12]
        self.key = f"{controller.config.netns_directory}/{name}"
        """`<netns directory>/<first 12 of id>`; `.../default` in host mode."""
        self.files = ResolutionFiles(
            controller.files, options, controller.config.host_resolv_conf_path
        )
        self._endpoints: tuple[Endpoint, ...] = ()
        self._next_index: dict[str, int] = {}
        self._is_populated = False
        self._may_exist = False
        """The kernel was asked for the namespace: whatever it said, a teardown looks for it."""
        self._knows_its_pairs = False
        """The endpoints' pairs are there and no others, as far as we could see to it."""
        self._stray_endpoints: list[str] = []
        """Those whose interface could not be removed: their rows stay until the teardown."""
        self._is_recorded = False
        self._is_deleted = False
        self._has_resolver = False
        self._lock = threading.RLock()

    @property
    def is_populated(self) -> bool:
        """Whether the namespace is there."""
        return self._is_populated

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the joined endpoints in heap order: the best gateway first."""
        return self._endpoints

    def gateway_endpoint(self) -> Endpoint | None:
        """Return the endpoint that the default route goes through."""
        return _gateway_of(self._endpoints)

    # -- populate, join, leave -------------------------------------------------------------
    def populate(self) -> None:
        """Write rows and files, then make the namespace with every interface in it, as one step.

        The interfaces are numbered in heap order: `eth0` is the head.

        Raises:
            OSError: the store, a file or the kernel refused; nothing is left in the kernel, and
                the caller deletes the sandbox.
            EngineError: an interface name that cannot be, or the user's ndots is no number.
        """
        with self._lock:
            if self._is_populated:
                return
            interfaces = [plan for plan in map(self._number, self._endpoints) if plan is not None]
            needs_resolver = any(_needs_resolver(endpoint) for endpoint in self._endpoints)
            if needs_resolver:
                self.files.rebuild_dns()
            self._record()
            self.files.flush()
            if self.options.use_default_sandbox:
                self.controller.kernel.host_key(self.key)
            else:
                self._may_exist = True
                sockets = self.controller.kernel.create_sandbox(
                    SandboxPlan(
                        key=self.key,
                        interfaces=tuple(interfaces),
                        gateway=_gateway_plan(self._endpoints),
                        ipv6=any(endpoint.info.ipv6 is not None for endpoint in self._endpoints),
                        resolver_address=RESOLVER_ADDRESS if needs_resolver else None,
                    )
                )
                if sockets:
                    self._add_resolver(sockets)
                self._knows_its_pairs = True
            self._is_populated = True

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Take an endpoint in: at once if populated, else on paper (called by `Endpoint.join`)."""
        with self._lock:
            if self._is_deleted:
                raise EngineError(f"could not find a sandbox with id {self.id}")
            if endpoint.network in {other.network for other in self._endpoints}:
                raise Forbidden(f"sandbox {self.id} is on network {endpoint.network.name} already")
            if self.options.use_default_sandbox and endpoint.join_info.interface is not None:
                if _needs_resolver(endpoint):
                    self.files.rebuild_dns()  # 20.10 does, before it finds that it cannot go on
                raise EngineError(self._conflict(endpoint.join_info.interface))
            before = self._endpoints
            self._endpoints = tuple(sorted((*before, endpoint), key=_heap_order))
            try:
                if self._is_populated:
                    self._join_live(endpoint)
                else:
                    self._update_files(endpoint)
            except BaseException:
                self._endpoints = before
                raise
            endpoint.sandbox = self

    def remove_endpoint(self, endpoint: Endpoint) -> None:
        """Let an endpoint go (called by `Endpoint.leave`)."""
        with self._lock:
            remaining = tuple(other for other in self._endpoints if other is not endpoint)
            if self._is_populated:
                self._remove_interface(endpoint, remaining)
                _again(lambda: self.controller.store.commit([Delete("endpoint", endpoint.id)]))
            self._endpoints = remaining
            endpoint.sandbox = None
            self._delete_hosts_lines(endpoint)

    def rename(self, name: str) -> None:
        """Give every endpoint the container's new name, at once also in the embedded DNS.

        Raises:
            Forbidden: another endpoint of one of the networks has that name; nothing is renamed.
        """
        with contextlib.ExitStack() as undo:
            for endpoint in self._endpoints:
                old = endpoint.name
                endpoint.network.rename_endpoint(endpoint, name)
                undo.callback(endpoint.network.rename_endpoint, endpoint, old)
            undo.pop_all()

    def update_hosts_entry(self, name: str, address: str) -> None:
        """Change the address in the hosts lines that name `name` (a linked container moved).

        What this container has made of its file hinders only itself: a failure is logged.
        """
        with self._lock:
            try:
                self.files.update_entry(name, address)
            except OSError as error:
                logger.warning("hosts of container %s: %s", self.container_id, error)

    def refresh(self, options: SandboxOptions) -> None:
        """Take other options: build the files anew, and open what the links now ask for.

        Mirrors: sandbox.Refresh (v20.10), which leaves and joins every network for that.

        Raises:
            OSError: a file or the firewall could not be changed.
        """
        with self._lock:
            self.options = options
            self.files.rebuild(options)
            for endpoint in self._endpoints:
                self._update_files(endpoint)
            if self._has_resolver:
                self.files.rebuild_dns()
            self.files.flush()
            for endpoint in self._endpoints:
                endpoint.network.driver.link(endpoint.network.id, endpoint.id, options.links)

    def delete(self) -> None:
        """Leave and delete every endpoint, then remove the namespace; goes on past errors.

        A namespace that cannot be removed keeps its sandbox and its addresses, so that the next
        attempt finds them.

        Raises:
            EngineError: every error on the way, joined by "; ".
        """
        try:
            self._delete()
        finally:
            # last, because who sweeps would be in the way of everything else
            self.controller.kernel.sweep()

    def _delete(self) -> None:
        with self._lock:
            if self._is_deleted:
                return
            errors = self._tear_down()
            if self._may_exist:
                raise EngineError("; ".join(errors))
            self._is_deleted = True
            endpoints, self._endpoints = self._endpoints, ()
        for endpoint in endpoints:
            self._delete_hosts_lines(endpoint)
            network = endpoint.network
            _attempt(errors, network.driver.leave, network.id, endpoint.id)
            endpoint.sandbox = None
            _attempt(errors, network.forget_endpoint, endpoint)
        self.controller.forget_sandbox(self)
        if errors:
            raise EngineError("; ".join(errors))

    # -- what the embedded DNS asks --------------------------------------------------------
    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The nameservers for names that are not ours."""
        return self.files.upstreams

    def open_socket(self, upstream: Upstream, kind: socket.SocketKind) -> socket.socket:
        """Open a non-blocking socket where an upstream server is asked from.

        A sandbox without a way out has none from inside either, so nobody need forbid it.

        Raises:
            OSError: the namespace is gone.
        """
        if upstream.from_host:
            return socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        return self.controller.kernel.open_socket(self.key, kind)

    @property
    def ndots_set(self) -> bool:
        """Whether the user set ndots, so that single-label names stay inside."""
        return self.files.ndots_set

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
        for endpoint in self._endpoints:
            name = endpoint.network.records.reverse(address)
            if name:
                return f"{name}.{endpoint.network.name}"
        return ""

    def _resolve(
        self, wanted: str, network_name: str, version: int, *, use_aliases: bool
    ) -> tuple[tuple[IPAddress, ...], bool]:
        is_known = False
        for endpoint in self._endpoints:
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

    # -- inside ----------------------------------------------------------------------------
    def _number(self, endpoint: Endpoint) -> InterfacePlan | None:
        plan = endpoint.join_info.interface
        if plan is None:
            return None
        index = self._next_index.get(plan.name, 0)
        name = f"{plan.name}{index}"
        if len(name.encode()) > INTERFACE_NAME_BYTES_MAX or "/" in name:
            reason = "invalid argument" if "/" in name else "numerical result out of range"
            raise EngineError(
                f"failed to add interface {plan.host_name} to sandbox: error renaming interface "
                f'"{plan.host_name}" to "{name}": {reason}'
            )
        # a number that a disconnect frees is not used again
        self._next_index[plan.name] = index + 1
        endpoint.interface_name = name
        return plan.named(name)

    def _conflict(self, plan: InterfacePlan) -> str:
        """Say why no interface goes into the daemon's namespace: the bridge's route is there."""
        address = next(address for address in plan.addresses if address.version == 4)
        bridge = next(link for link in self.controller.kernel.links() if link.name == plan.bridge)
        source = next(own.ip for own in bridge.addresses if own.network == address.network)
        return (
            f"failed to add interface {plan.host_name} to sandbox: error setting interface "
            f'"{plan.host_name}" IP to {address}: cannot program address {address} in sandbox '
            f"interface because it conflicts with existing route {{Ifindex: {bridge.index} Dst: "
            f"{address.network} Src: {source} Gw: <nil> Flags: [] Table: 254 Realm: 0}}"
        )

    def _record(self) -> None:
        row: dict[str, Any] = {"container_id": self.container_id, "key": self.key}
        changes = [Put("sandbox", self.id, row)]
        changes.extend(
            Put("endpoint", endpoint.id, endpoint.to_row(self.id)) for endpoint in self._endpoints
        )
        self._is_recorded = True
        self.controller.store.commit(changes)

    def _update_files(self, endpoint: Endpoint) -> None:
        interfaces = (endpoint.info.ipv4, endpoint.info.ipv6)
        self.files.add_own_lines(str(address.ip) for address in interfaces if address is not None)
        self.files.update_dns(ipv6=endpoint.network.options.enable_ipv6)

    def _join_live(self, endpoint: Endpoint) -> None:
        kernel, store = self.controller.kernel, self.controller.store
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo_row, endpoint)
            store.commit([Put("endpoint", endpoint.id, endpoint.to_row(self.id))])
            numbers = dict(self._next_index)
            plan = self._number(endpoint)
            if plan is not None:
                # not known before it is done: a link of the name that we chose may be another's
                before, self._knows_its_pairs = self._knows_its_pairs, False
                try:
                    kernel.add_interface(self.key, plan, _gateway_plan(self._endpoints))
                except OSError:
                    self._next_index = numbers  # Docker has no number for it yet
                    raise
                self._knows_its_pairs = before
                undo.callback(self._undo_interface, endpoint)
            if _needs_resolver(endpoint) and not self._has_resolver:
                sockets = kernel.open_resolver(self.key, RESOLVER_ADDRESS)
                undo.callback(self._remove_resolver)
                self._add_resolver(sockets)
                self.files.rebuild_dns()
            self._update_files(endpoint)
            undo.pop_all()

    def _undo_interface(self, endpoint: Endpoint) -> None:
        others = tuple(other for other in self._endpoints if other is not endpoint)
        try:
            self._remove_interface(endpoint, others)
        except OSError as error:
            logger.error("while undoing a failed join: %s", error)
            self._stray_endpoints.append(endpoint.id)
            self._knows_its_pairs = False

    def _undo_row(self, endpoint: Endpoint) -> None:
        if endpoint.id in self._stray_endpoints:
            return
        try:
            self.controller.store.commit([Delete("endpoint", endpoint.id)])
        except OSError as error:
            logger.error("while undoing a failed join: %s", error)

    def _add_resolver(self, sockets: Sequence[socket.socket]) -> None:
        self.controller.resolver.add(self.id, sockets, self)
        self._has_resolver = True

    def _remove_resolver(self) -> None:
        self.controller.resolver.remove(self.id)
        self._has_resolver = False

    def _remove_interface(self, endpoint: Endpoint, remaining: tuple[Endpoint, ...]) -> None:
        if endpoint.join_info.interface is None:
            return
        gateway = _gateway_plan(remaining)
        kernel, key = self.controller.kernel, self.key
        _again(
            lambda: kernel.remove_interface(
                key, endpoint.interface_name, endpoint.host_name, gateway
            )
        )

    def _tear_down(self) -> list[str]:
        """Remove namespace and rows, and return what went wrong."""
        errors: list[str] = []
        if self._has_resolver:
            # its sockets would keep the namespace alive
            self._remove_resolver()
        if self._may_exist:
            try:
                # else whatever is inside is looked up: a name that we chose may be another's link
                names = None
                if self._knows_its_pairs:
                    names = [each.host_name for each in self._endpoints if each.host_name]
                _again(lambda: self.controller.kernel.destroy_sandbox(self.key, names))
            except OSError as error:
                return [f"failed to destroy sandbox {self.id}: {error}"]
            self._may_exist = False
        if not self._is_populated:
            # what 20.10 has written by now, it leaves behind too
            _attempt(errors, self.files.flush)
        self._is_populated = False
        if self._is_recorded:
            rows = [Delete("sandbox", self.id)]
            rows += [Delete("endpoint", endpoint.id) for endpoint in self._endpoints]
            rows += [Delete("endpoint", endpoint_id) for endpoint_id in self._stray_endpoints]
            _attempt(errors, _again, lambda: self.controller.store.commit(rows))
        return errors

    def _delete_hosts_lines(self, endpoint: Endpoint) -> None:
        # 20.10 takes every name of the network but the endpoint's own, so the own lines go when
        # the hostname is an alias, as the default one is (moby#34044)
        records = endpoint.network.records
        if not records:
            return
        is_a_name = records.has

        def is_deleted(name: str) -> bool:
            return is_a_name(name) and name.partition(".")[0] != endpoint.name

        try:
            self.files.delete_lines(is_deleted)
        except OSError as error:
            # the endpoint is gone all the same; moby warns, too
            logger.warning("failed to delete hosts lines of %s: %s", self.container_id, error)


def _heap_order(endpoint: Endpoint) -> tuple[bool, bool, str]:
    """Order endpoints as gateways: internal ones last, dual-stack ones first, then by name.

    Mirrors: epHeap.Less (v20.10).
    """
    is_internal = endpoint.network.options.internal
    info = endpoint.info
    is_dual_stack = info.gateway4 is not None and info.gateway6 is not None
    return is_internal, is_internal or not is_dual_stack, endpoint.network.name


def _gateway_of(endpoints: Iterable[Endpoint]) -> Endpoint | None:
    return next((e for e in endpoints if e.info.gateway4 is not None), None)


def _gateway_plan(endpoints: Iterable[Endpoint]) -> GatewayPlan:
    endpoint = _gateway_of(endpoints)
    if endpoint is None:
        return GatewayPlan()
    gateway4, gateway6 = endpoint.info.gateway4, endpoint.info.gateway6
    return GatewayPlan(
        ipv4=None if gateway4 is None else str(gateway4),
        ipv6=None if gateway6 is None else str(gateway6),
        interface=endpoint.interface_name,
    )


def _needs_resolver(endpoint: Endpoint) -> bool:
    return not endpoint.options.disable_resolution and endpoint.join_info.interface is not None


def _again(operation: Callable[[], None]) -> None:
    """Do a step of a teardown, once more if it fails: nobody else will come back for it."""
    try:
        operation()
    except OSError as error:
        logger.warning("trying again after: %s", error)
        operation()


def _attempt(errors: list[str], step: Callable[..., None], *arguments: Any) -> None:
    """Do a step of a teardown; what goes wrong is noted, and the next step comes all the same."""
    try:
        step(*arguments)
    except (OSError, EngineError) as error:
        errors.append(str(error))
