"""How a bridge of the host's namespace is made, and brought to what a network needs of it.

An address that the engine has not given to a bridge is somebody else's, the host's own perhaps, and
stays whatever happens.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence
from typing import Any

from refimpl.kernel import links
from refimpl.kernel.base import Address, BridgePlan
from refimpl.kernel.netlink import RTM_GETADDR, Netlink, Request

logger = logging.getLogger(__name__)


def create(host: Netlink, plan: BridgePlan) -> bool:
    """Create a bridge, or bring an existing one of that name to the plan, and set it up.

    Returns:
        Whether it is new.

    Raises:
        OSError: EEXIST when a link of that name is no bridge; what the kernel says otherwise.
            Nothing is changed then.
    """
    created, looked_up = host.exchange([links.new_bridge(plan), links.get_link(plan.name)])
    if created.error is None:
        undo = [links.delete_link(plan.name)]
        index = looked_up.decode()[0]["index"]
        requests = [links.new_address(index, plan.name, one) for one in plan.addresses]
        if plan.mtu_bytes:
            requests.append(_set_up(index, plan))
        _run_or_undo(host, requests, undo)
        return True
    if created.error.errno == errno.EEXIST and looked_up.error is None:
        _adjust(host, plan, looked_up.decode()[0])
        return False
    raise created.error


def take_addresses(host: Netlink, name: str, addresses: Sequence[Address]) -> None:
    """Take addresses from a link; no error when it, or one of them, is not there.

    Raises:
        OSError: the kernel refused.
    """
    try:
        index = host.index_of(name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        return
    has = links.addresses_by_index(host.dump(RTM_GETADDR)).get(index, ())
    _take(host, index, name, [one for one in has if one in addresses], has)


def _adjust(host: Netlink, plan: BridgePlan, link: Any) -> None:
    """Bring a bridge that is there to the plan; an address that the engine never gave it stays."""
    if links.kind(link) != "bridge":
        raise OSError(errno.EEXIST, f"create bridge {plan.name}: a link of that name is no bridge")
    index = link["index"]
    has = links.addresses_by_index(host.dump(RTM_GETADDR)).get(index, ())
    missing = [one for one in plan.addresses if one not in has]
    surplus = [one for one in has if one in plan.given and one not in plan.addresses]
    undo = [
        *(links.delete_address(index, plan.name, one) for one in missing),
        *(links.new_address(index, plan.name, one) for one in surplus),
    ]
    # its MAC stays: it is what tells a bridge of ours, and Docker leaves it, too
    # one that somebody else made keeps the MTU that it has from there
    up = _set_up(index, plan) if links.is_own_bridge(link) else links.change_link(index, plan.name)
    new = [links.new_address(index, plan.name, one) for one in missing]
    # a link has an IPv6 address once, whatever the prefix: the old one would be in the way
    wanted = {one.ip for one in missing if one.version == 6}
    old = [links.delete_address(index, plan.name, one) for one in surplus if one.ip in wanted]
    _run_or_undo(host, [up, *old, *new], undo)
    try:
        _take(host, index, plan.name, surplus, (*has, *missing))
    except OSError:
        host.exchange(undo)
        raise


def _take(
    host: Netlink, index: int, name: str, addresses: Sequence[Address], has: Sequence[Address]
) -> None:
    """Take addresses from a link and leave the others that it has.

    The kernel takes every further IPv4 address of a subnet away together with the first one.
    """
    for answer in host.exchange([links.delete_address(index, name, one) for one in addresses]):
        if answer.error is not None and answer.error.errno != errno.EADDRNOTAVAIL:
            raise answer.error
    if not addresses:
        return
    left = [links.new_address(index, name, one) for one in has if one not in addresses]
    for answer in host.exchange(left):
        if answer.error is not None and answer.error.errno != errno.EEXIST:
            logger.error("address of %s: %s", name, answer.error)


def _set_up(index: int, plan: BridgePlan) -> Request:
    # not as the bridge is made: the kernel then takes it for its own choice, and adjusts it
    mtu = (("IFLA_MTU", plan.mtu_bytes),) if plan.mtu_bytes else ()
    return links.change_link(index, plan.name, *mtu)


def _run_or_undo(netlink: Netlink, requests: Sequence[Request], undo: Sequence[Request]) -> None:
    try:
        netlink.run(requests)
    except OSError:
        netlink.exchange(undo)
        raise
