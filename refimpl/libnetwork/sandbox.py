"""A sandbox: one container's network stack, and the endpoints in it.

It is put together from parts, each with one job: the namespace (`namespace`), the files hosts and
resolv.conf (`resolution`), the embedded DNS (`sandbox_dns`). What is left here is the order of
steps, and what happens when one of them fails.

Mirrors: libnetwork sandbox.go and default_gateway.go (v20.10).
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refimpl.errors import EngineError, Forbidden
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.endpoint import Endpoint
from refimpl.libnetwork.gateways import heap_order
from refimpl.libnetwork.ledger import Ledger
from refimpl.libnetwork.namespace import Namespace
from refimpl.libnetwork.resolution import ResolutionFiles
from refimpl.libnetwork.resolver import Resolver
from refimpl.libnetwork.sandbox_dns import SandboxDns
from refimpl.libnetwork.store import Delete, Put
from refimpl.model.network import SandboxOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxServices:
    """What every sandbox of a controller uses."""

    kernel: Kernel
    files: Files
    ledger: Ledger
    resolver: Resolver
    netns_directory: str
    host_resolv_conf_path: str
    forget: Callable[[Sandbox], None]
    """Called at the end of `Sandbox.delete`: takes the sandbox out of the registry."""


class Sandbox:
    """A sandbox; made by `Controller.new_sandbox` only."""

    def __init__(self, sandbox_id: str, options: SandboxOptions, services: SandboxServices) -> None:
        self.id = sandbox_id
        self.container_id = options.container_id
        self.options = options
        name = "default" if options.use_default_sandbox else sandbox_id[:12]
        self.key = f"{services.netns_directory}/{name}"
        """`<netns directory>/<first 12 of id>`; `.../default` in host mode."""
        self.files = ResolutionFiles(services.files, options, services.host_resolv_conf_path)
        self.namespace = Namespace(services.kernel, self.key, is_host=options.use_default_sandbox)
        self.dns = SandboxDns(
            services.resolver,
            sandbox_id,
            files=self.files,
            endpoints=self.endpoints,
            open_inside=self.namespace.open_socket,
        )
        self._ledger = services.ledger
        self._sweep = services.kernel.sweep
        self._forget = services.forget
        self._endpoints: tuple[Endpoint, ...] = ()
        self._is_populated = False
        self._stray_endpoints: list[str] = []
        """Those whose interface could not be removed: their rows stay until the teardown."""
        self._is_recorded = False
        self._is_deleted = False
        self._lock = threading.RLock()

    @property
    def is_populated(self) -> bool:
        """Whether the namespace is there."""
        return self._is_populated

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the joined endpoints in heap order: the best gateway first."""
        return self._endpoints

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
            interfaces = self.namespace.number(self._endpoints)
            needs_resolver = any(_needs_resolver(endpoint) for endpoint in self._endpoints)
            if needs_resolver:
                self.files.rebuild_dns()
            self._record()
            self.files.flush()
            sockets = self.namespace.create(
                interfaces, self._endpoints, with_resolver=needs_resolver
            )
            if sockets:
                self.dns.serve(sockets)
            self._is_populated = True

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """Take an endpoint in: at once if populated, else on paper (called by `Endpoint.join`)."""
        with self._lock:
            if self._is_deleted:
                raise EngineError(f"could not find a sandbox with id {self.id}")
            if endpoint.network in {other.network for other in self._endpoints}:
                raise Forbidden(f"sandbox {self.id} is on network {endpoint.network.name} already")
            if self.namespace.is_host and endpoint.join_info.interface is not None:
                if _needs_resolver(endpoint):
                    self.files.rebuild_dns()  # 20.10 does, before it finds that it cannot go on
                raise EngineError(self.namespace.conflict(endpoint.join_info.interface))
            before = self._endpoints
            self._endpoints = tuple(sorted((*before, endpoint), key=heap_order))
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
        """Let an endpoint go (called by `Endpoint.leave`).

        Raises:
            OSError: the kernel refused; the endpoint is still in.
        """
        with self._lock:
            remaining = tuple(other for other in self._endpoints if other is not endpoint)
            if self._is_populated:
                self.namespace.remove(endpoint, remaining)
                self._ledger.forget([Delete("endpoint", endpoint.id)])
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
            if self.dns.is_served:
                self.files.rebuild_dns()
            self.files.flush()
            endpoints = self._endpoints
        for endpoint in endpoints:
            endpoint.network.driver.link(endpoint.network.id, endpoint.id, options.links)

    # -- the end ---------------------------------------------------------------------------
    def delete(self) -> None:
        """Remove the namespace, then leave and delete every endpoint; goes on past errors.

        A namespace that cannot be removed keeps its sandbox and its addresses, so that the next
        attempt finds them. Rows that cannot be deleted are no error: see `ledger`.

        Raises:
            EngineError: every error on the way, joined by "; ".
        """
        try:
            self._delete()
        finally:
            # last, because who sweeps would be in the way of everything else
            self._sweep()

    def _delete(self) -> None:
        with self._lock:
            if self._is_deleted:
                return
            self._tear_down()
            self._is_deleted = True
            endpoints, self._endpoints = self._endpoints, ()
        errors: list[str] = []
        for endpoint in endpoints:
            self._delete_hosts_lines(endpoint)
            network = endpoint.network
            _attempt(errors, endpoint.revoke_ports)
            _attempt(errors, network.driver.leave, network.id, endpoint.id)
            endpoint.sandbox = None
            _attempt(errors, network.forget_endpoint, endpoint)
        self._forget(self)
        if errors:
            raise EngineError("; ".join(errors))

    def _tear_down(self) -> None:
        """Remove the namespace, then the rows.

        Raises:
            EngineError: the namespace may still be there.
        """
        self.dns.stop()
        try:
            self.namespace.destroy(self._endpoints)
        except OSError as error:
            raise EngineError(f"failed to destroy sandbox {self.id}: {error}") from error
        if not self._is_populated:
            # what 20.10 has written by now, it leaves behind too
            try:
                self.files.flush()
            except OSError as error:
                logger.warning("the files of sandbox %s: %s", self.id, error)
        self._is_populated = False
        if self._is_recorded:
            endpoints = [*(each.id for each in self._endpoints), *self._stray_endpoints]
            rows = [Delete("endpoint", endpoint_id) for endpoint_id in endpoints]
            self._ledger.forget([Delete("sandbox", self.id), *rows])

    # -- inside ----------------------------------------------------------------------------
    def _record(self) -> None:
        row: dict[str, Any] = {"container_id": self.container_id, "key": self.key}
        changes: list[Put | Delete] = [Put("sandbox", self.id, row)]
        changes.extend(
            Put("endpoint", endpoint.id, endpoint.to_row(self.id)) for endpoint in self._endpoints
        )
        self._is_recorded = True
        self._ledger.commit(changes)

    def _update_files(self, endpoint: Endpoint) -> None:
        interfaces = (endpoint.info.ipv4, endpoint.info.ipv6)
        self.files.add_own_lines(str(address.ip) for address in interfaces if address is not None)
        self.files.update_dns(ipv6=endpoint.network.options.enable_ipv6)

    def _join_live(self, endpoint: Endpoint) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo_row, endpoint)
            self._ledger.commit([Put("endpoint", endpoint.id, endpoint.to_row(self.id))])
            if self.namespace.add(endpoint, self._endpoints):
                undo.callback(self._undo_interface, endpoint)
            undo.callback(self.files.restore, self.files.snapshot())
            if _needs_resolver(endpoint) and not self.dns.is_served:
                sockets = self.namespace.open_resolver()
                undo.callback(self.dns.stop)
                self.dns.serve(sockets)
                self.files.rebuild_dns()
            self._update_files(endpoint)
            self.files.flush()  # nothing to do, unless an earlier one has failed
            undo.pop_all()

    def _undo_interface(self, endpoint: Endpoint) -> None:
        others = tuple(other for other in self._endpoints if other is not endpoint)
        try:
            self.namespace.remove(endpoint, others)
        except OSError as error:
            logger.error("while undoing a failed join: %s", error)
            self._stray_endpoints.append(endpoint.id)
            self.namespace.distrust_pairs()

    def _undo_row(self, endpoint: Endpoint) -> None:
        if endpoint.id not in self._stray_endpoints:
            self._ledger.forget([Delete("endpoint", endpoint.id)])

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


def _needs_resolver(endpoint: Endpoint) -> bool:
    return not endpoint.options.disable_resolution and endpoint.join_info.interface is not None


def _attempt(errors: list[str], step: Callable[..., None], *arguments: Any) -> None:
    """Do a step of a teardown; what goes wrong is noted, and the next step comes all the same."""
    try:
        step(*arguments)
    except (OSError, EngineError) as error:
        errors.append(str(error))
