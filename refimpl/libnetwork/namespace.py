"""The network namespace of one sandbox, and the interfaces that its endpoints have in it.

This is the sandbox's way to the kernel. The sandbox's lock, which the caller holds, covers it.

Mirrors: libnetwork osl/namespace_linux.go and osl/interface_linux.go (v20.10).
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

from refimpl.errors import EngineError
from refimpl.kernel.base import GatewayPlan, InterfacePlan, Kernel, LinkGone, SandboxPlan
from refimpl.libnetwork.endpoint import Endpoint
from refimpl.libnetwork.files import RESOLVER_ADDRESS
from refimpl.libnetwork.gateways import gateway_plan
from refimpl.limits import INTERFACE_NAME_BYTES_MAX

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Namespace:
    """A namespace of the sandbox's own, or the daemon's for host mode.

    Args:
        kernel: Makes it.
        key: The file at which it is pinned.
        is_host: It is the daemon's own.
    """

    def __init__(self, kernel: Kernel, key: str, *, is_host: bool) -> None:
        self.key = key
        self.is_host = is_host
        self.may_exist = False
        """The kernel was asked for it: whatever it answered, `destroy` looks for it."""
        self._kernel = kernel
        self._next_index: dict[str, int] = {}
        """By prefix: the number of the next interface."""
        self._knows_its_pairs = False
        """The endpoints' pairs are there and no others, as far as the engine has made them."""

    def number(self, endpoints: Sequence[Endpoint]) -> tuple[InterfacePlan, ...]:
        """Give endpoints that have an interface the next names, and return what to make.

        Raises:
            EngineError: an interface name that the kernel does not take.
        """
        plans = (self._number(endpoint) for endpoint in endpoints)
        return tuple(plan for plan in plans if plan is not None)

    def create(
        self,
        interfaces: tuple[InterfacePlan, ...],
        endpoints: tuple[Endpoint, ...],
        *,
        with_resolver: bool,
    ) -> tuple[socket.socket, ...]:
        """Make the namespace with every interface in it, as one step.

        Returns:
            The sockets of the embedded DNS; empty without one.

        Raises:
            OSError: the kernel refused; nothing is left.
        """
        if self.is_host:
            self._kernel.host_key(self.key)
            return ()
        self.may_exist = True
        plan = SandboxPlan(
            key=self.key,
            interfaces=interfaces,
            gateway=gateway_plan(endpoints),
            ipv6=any(endpoint.info.ipv6 is not None for endpoint in endpoints),
            resolver_address=RESOLVER_ADDRESS if with_resolver else None,
        )
        sockets = _on_its_bridges(endpoints, lambda: self._kernel.create_sandbox(plan))
        self._knows_its_pairs = True
        return sockets

    def add(self, endpoint: Endpoint, endpoints: tuple[Endpoint, ...]) -> bool:
        """Add the interface of an endpoint to a live namespace; tell whether it has one.

        Args:
            endpoint: The new one.
            endpoints: All of them in heap order, the new one among them.

        Raises:
            EngineError: an interface name that the kernel does not take.
            OSError: the kernel refused; nothing is changed.
        """
        numbers = dict(self._next_index)
        plan = self._number(endpoint)
        if plan is None:
            return False
        # not known before it is done: a link of the name that we chose may be another's
        before, self._knows_its_pairs = self._knows_its_pairs, False
        try:
            _on_its_bridges(
                (endpoint,),
                lambda: _through_what_is_there(
                    endpoints, lambda gateway: self._kernel.add_interface(self.key, plan, gateway)
                ),
            )
        except (OSError, EngineError):
            self._next_index = numbers  # Docker has no number for it yet
            raise
        self._knows_its_pairs = before
        return True

    def remove(self, endpoint: Endpoint, remaining: tuple[Endpoint, ...]) -> None:
        """Remove the interface of an endpoint from a live namespace.

        Raises:
            OSError: the kernel refused, twice.
        """
        if endpoint.join_info.interface is None:
            return
        name, host_name = endpoint.interface_name, endpoint.host_name
        again(
            lambda: _through_what_is_there(
                remaining,
                lambda gateway: self._kernel.remove_interface(self.key, name, host_name, gateway),
            )
        )

    def distrust_pairs(self) -> None:
        """Have `destroy` look up which pairs there are."""
        self._knows_its_pairs = False

    def destroy(self, endpoints: Sequence[Endpoint]) -> None:
        """Remove the namespace with the pairs of its endpoints; no error when it is not there.

        Raises:
            OSError: the kernel refused, twice; it may still be there.
        """
        if not self.may_exist:
            return
        # else whatever is inside is looked up: a name that we chose may be another's link, and a
        # macvlan has none on the host's side
        names = None
        if self._knows_its_pairs and not any(map(_is_macvlan, endpoints)):
            names = [each.host_name for each in endpoints if each.host_name]
        again(lambda: self._kernel.destroy_sandbox(self.key, names))
        self.may_exist = False

    def open_resolver(self) -> tuple[socket.socket, ...]:
        """Open the embedded DNS's sockets in a live namespace.

        Raises:
            OSError: the kernel refused.
        """
        return self._kernel.open_resolver(self.key, RESOLVER_ADDRESS)

    def open_socket(self, kind: socket.SocketKind) -> socket.socket:
        """Open a non-blocking IPv4 socket inside.

        Raises:
            OSError: the namespace is gone.
        """
        return self._kernel.open_socket(self.key, kind)

    def conflict(self, plan: InterfacePlan) -> str:
        """Say why no interface goes into the daemon's namespace: the bridge's route is there.

        Nothing is in a macvlan's way there; it is refused all the same.
        """
        if plan.macvlan_mode:
            return f"failed to add interface {plan.name} to sandbox: it is the engine's namespace"
        address = next(address for address in plan.addresses if address.version == 4)
        bridge = next(link for link in self._kernel.links() if link.name == plan.bridge)
        source = next(own.ip for own in bridge.addresses if own.network == address.network)
        return (
            f"failed to add interface {plan.host_name} to sandbox: error setting interface "
            f'"{plan.host_name}" IP to {address}: cannot program address {address} in sandbox '
            f"interface because it conflicts with existing route {{Ifindex: {bridge.index} Dst: "
            f"{address.network} Src: {source} Gw: <nil> Flags: [] Table: 254 Realm: 0}}"
        )

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


def again(operation: Callable[[], None]) -> None:
    """Do a step of a teardown, once more if it fails: nobody else comes back for it."""
    try:
        operation()
    except OSError as error:
        logger.warning("trying again after: %s", error)
        operation()


def _is_macvlan(endpoint: Endpoint) -> bool:
    plan = endpoint.join_info.interface
    return plan is not None and bool(plan.macvlan_mode)


def _on_its_bridges(endpoints: Sequence[Endpoint], make: Callable[[], T]) -> T:
    """Make interfaces; a bridge that somebody has deleted by hand is made again for them.

    So is a macvlan's parent, if the engine made it.

    Raises:
        EngineError: a parent is gone that the engine did not make.
    """
    for _ in endpoints:
        try:
            return make()
        except LinkGone as gone:
            logger.warning("%s: made again", gone)
            for endpoint in endpoints:
                plan = endpoint.join_info.interface
                if plan is not None and plan.bridge == gone.name:
                    endpoint.network.driver.repair_network(endpoint.network.id)
    return make()


def _through_what_is_there(
    endpoints: Sequence[Endpoint], change: Callable[[GatewayPlan], None]
) -> None:
    """Change the interfaces with the best gateway whose interface is still there.

    A link that somebody has deleted by hand takes no default route, and is no reason to refuse
    another network.
    """
    while True:
        plan = gateway_plan(endpoints)
        try:
            return change(plan)
        except LinkGone as gone:
            if gone.name != plan.interface:
                raise
            endpoints = [each for each in endpoints if each.interface_name != gone.name]
