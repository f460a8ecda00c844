"""Interfaces and default routes of a sandbox, each change in one batch of requests."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from typing import Any

from refimpl.kernel import links, macvlan
from refimpl.kernel.base import GatewayPlan, InterfacePlan, LinkGone
from refimpl.kernel.netlink import Netlink, Request

logger = logging.getLogger(__name__)

_MAC_TEXT_LENGTH = len("00:00:00:00:00:00")


def add_links(
    host: Netlink, namespace: int, inside: Netlink, plans: Sequence[InterfacePlan]
) -> None:
    """Make all veth pairs and macvlans in one batch, or none.

    Args:
        host: where the bridges and parents are.
        namespace: a descriptor of where the interfaces are to be.
        inside: speaks to that one.
        plans: the interfaces.
    """
    try:
        requests = [
            (macvlan.new_macvlan if plan.macvlan_mode else links.new_pair)(
                plan, host.index_of(plan.bridge), namespace
            )
            for plan in plans
        ]
        requests += [links.hairpin(plan.host_name) for plan in plans if plan.hairpin]
    except OSError as error:
        if error.errno == errno.ENODEV:
            _refuse_missing_bridge(host, plans)
        raise
    answers = host.exchange(requests)
    errors = [answer.error for answer in answers if answer.error is not None]
    if errors:
        made = zip(plans, answers, strict=False)  # behind them those of the hairpin flags
        try:
            delete_links(host, inside, [plan for plan, answer in made if answer.error is None])
        finally:
            raise errors[0]  # whatever the undoing says


def _refuse_missing_bridge(host: Netlink, plans: Sequence[InterfacePlan]) -> None:
    for plan in plans:
        try:
            host.index_of(plan.bridge)
        except OSError as error:
            raise LinkGone(f"create interface {plan.name}", plan.bridge) from error


def delete_links(host: Netlink, inside: Netlink, plans: Sequence[InterfacePlan]) -> None:
    """Delete interfaces: pairs by the host's end, macvlans inside."""
    pairs = [links.delete_link(plan.host_name) for plan in plans if plan.host_name]
    ignore_missing(host, pairs)
    ignore_missing(inside, [links.delete_link(plan.name) for plan in plans if not plan.host_name])


def set_up_requests(index: int, plan: InterfacePlan) -> list[Request]:
    """Return what gives an interface its addresses and brings it up."""
    # a macvlan that has its parent to itself began with the parent's MAC
    mac = (("IFLA_ADDRESS", plan.mac[:_MAC_TEXT_LENGTH]),) if _has_parent_to_itself(plan) else ()
    return [
        *(links.new_address(index, plan.name, address) for address in plan.addresses),
        links.change_link(index, plan.name, *mac),
    ]


def ignore_missing(netlink: Netlink, requests: Sequence[Request]) -> None:
    """Delete or change links; one that is not there, or cannot be by its name, is no error."""
    for answer in netlink.exchange(requests):
        if answer.error is not None and answer.error.errno not in {errno.ENODEV, errno.ERANGE}:
            raise answer.error


def delete_link(netlink: Netlink, name: str) -> None:
    """Delete a link; no error when it is not there."""
    ignore_missing(netlink, [links.delete_link(name)])


def set_default_routes(inside: Netlink, gateway: GatewayPlan, before: Sequence[Any]) -> None:
    """Make the default routes those of `gateway`: replace what is there, remove the rest."""
    index = _gateway_index(inside, gateway)
    unwanted = [
        links.delete_route(route)
        for route in links.default_routes(before)
        if links.router(gateway, route) is None
    ]
    inside.run([*links.new_default_routes(gateway, index), *unwanted])


def settle_default_routes(
    inside: Netlink, gateway: GatewayPlan, before: Sequence[Any], newcomer: str = ""
) -> None:
    """Make the default routes those of `gateway`, as far as the container lets them be.

    It may have brought an interface down or switched IPv6 off there. That hinders nobody but its
    own newcomer, as in Docker, which logs the rest.

    Raises:
        LinkGone: the gateway's interface is not there.
        OSError: the route of `newcomer`, an interface, was refused.
    """
    try:
        set_default_routes(inside, gateway, before)
    except LinkGone:
        raise
    except OSError as error:
        if newcomer and gateway.interface == newcomer:
            raise
        logger.warning("a container's default routes are not all there: %s", error)


def _gateway_index(inside: Netlink, gateway: GatewayPlan) -> int | None:
    if not gateway.interface:
        return None
    try:
        return inside.index_of(gateway.interface)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        raise LinkGone("set the default route", gateway.interface) from error


def restore_default_routes(inside: Netlink, before: Sequence[Any]) -> None:
    """Put the default routes back that were there before."""
    inside.exchange([links.restore_route(route) for route in links.default_routes(before)])


def _has_parent_to_itself(plan: InterfacePlan) -> bool:
    return plan.macvlan_mode == "passthru" and bool(plan.mac)
