"""The netlink requests of macvlans and of the parents that the engine makes for them.

A macvlan is made by one request, straight in its sandbox's namespace; the host's side never sees
it. It takes its MTU from its parent.
"""

from __future__ import annotations

import errno
import struct

from refimpl.kernel.base import InterfacePlan, ParentPlan
from refimpl.kernel.netlink import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    IFLA_NET_NS_FD,
    IFLA_TXQLEN,
    MACVLAN_INFO_MODE,
    NLM_F_CREATE,
    NLM_F_EXCL,
    RTM_DELLINK,
    RTM_NEWLINK,
    VLAN_INFO_ID,
    Request,
    attribute,
)

_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_MAC_BYTES = 6
_LINK = struct.Struct("=BxHiII")
_NUMBER = struct.Struct("=I")
_SHORT = struct.Struct("=H")


def new_macvlan(plan: InterfacePlan, parent_index: int, namespace: int) -> Request:
    """Make a macvlan, down, in a namespace.

    Args:
        plan: name, MAC and mode.
        parent_index: of the parent in the namespace that the request is sent in.
        namespace: a descriptor of the sandbox's namespace.

    Raises:
        OSError: EINVAL when the MAC cannot be encoded.
    """
    doing = "failed to create the macvlan port"
    try:
        mac = bytes.fromhex(plan.mac.replace(":", ""))[:_MAC_BYTES]
    except ValueError as error:
        raise OSError(errno.EINVAL, f"{doing}: {error}") from error
    mode = attribute(MACVLAN_INFO_MODE, _NUMBER.pack(_MODES[plan.macvlan_mode]))
    parts = [
        _LINK.pack(0, 0, 0, 0, 0),
        attribute(IFLA_IFNAME, plan.name.encode() + b"\0"),
        attribute(IFLA_LINK, _NUMBER.pack(parent_index)),
        attribute(IFLA_NET_NS_FD, _NUMBER.pack(namespace)),
        attribute(IFLA_TXQLEN, _NUMBER.pack(0)),
        _kind(b"macvlan", mode),
    ]
    if mac:
        parts.append(attribute(IFLA_ADDRESS, mac))
    return Request(RTM_NEWLINK, doing, NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def new_parent(plan: ParentPlan, lower_index: int) -> Request:
    """Make a parent, up.

    Args:
        plan: its name, and which VLAN it is.
        lower_index: of the link that carries the VLAN; 0 for a dummy.
    """
    parts = [
        _LINK.pack(0, 0, 0, IFF_UP, IFF_UP),
        attribute(IFLA_IFNAME, plan.name.encode() + b"\0"),
    ]
    if lower_index:
        number = attribute(VLAN_INFO_ID, _SHORT.pack(plan.vlan_id))
        parts += [attribute(IFLA_LINK, _NUMBER.pack(lower_index)), _kind(b"vlan", number)]
    else:
        parts.append(_kind(b"dummy"))
    doing = f"create {plan.name}, a parent of macvlans"
    return Request(RTM_NEWLINK, doing, NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def delete_by_index(index: int) -> Request:
    """Delete a link by its number, which no rename can mislead."""
    return Request(RTM_DELLINK, f"delete macvlan {index}", 0, _LINK.pack(0, 0, index, 0, 0))


def _kind(name: bytes, data: bytes = b"") -> bytes:
    kind = attribute(IFLA_INFO_KIND, name)
    return attribute(IFLA_LINKINFO, kind + (attribute(IFLA_INFO_DATA, data) if data else b""))
