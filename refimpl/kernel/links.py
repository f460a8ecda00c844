"""The netlink requests that netinit makes: links, addresses and routes as values.

Nothing here talks to the kernel; `linux` puts the requests into batches and sends them. Encoding
by way of pyroute2 costs as much as the kernel's own work, so requests that come again for every
container (bring `lo` up, the route to the network's gateway) are encoded once and kept, and the
three that are new for each one are put together by hand.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_interface, ip_network
from socket import AF_INET, AF_INET6
from typing import Any

from refimpl.kernel.base import (
    Address,
    BridgePlan,
    GatewayPlan,
    InterfacePlan,
    Subnet,
)
from refimpl.kernel.netlink import (
    IFA_ADDRESS,
    IFA_BROADCAST,
    IFA_F_NODAD,
    IFA_FLAGS,
    IFA_LOCAL,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_BRPORT_MODE,
    IFLA_EXT_MASK,
    IFLA_GROUP,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES,
    IFLA_TXQLEN,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTEXT_FILTER_SKIP_STATS,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_GETLINK,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    VETH_INFO_PEER,
    Request,
    attribute,
    make_request,
)

LOOPBACK_INDEX = 1
RETIRED_GROUP = 0x6E69_6F75
"""The link group of what is to be deleted: a number that nobody else is likely to have chosen."""

_KEPT_MAX = 1024

_MAC_BYTES = 6
_MAIN_TABLE = 254
_PROTOCOL_BOOT = 3  # what `ip route add` and moby's netlink library write
_SCOPE_GLOBAL = 0
_UNICAST = 1
_FAMILIES = {4: AF_INET, 6: AF_INET6}

_NUMBER = struct.Struct("=I")
_NAMESPACE = struct.Struct("=HHI")
"""A whole attribute: its length, its kind, and a descriptor."""
_LINK = struct.Struct("=BxHiII")
"""struct ifinfomsg: family, type, index, flags, the flags to change."""
_ADDRESS = struct.Struct("=BBBBI")
"""struct ifaddrmsg: family, length of the prefix, flags, scope, index."""

_QUEUES = b"".join(
    attribute(kind, _NUMBER.pack(value))
    for kind, value in ((IFLA_TXQLEN, 0), (IFLA_NUM_TX_QUEUES, 1), (IFLA_NUM_RX_QUEUES, 1))
)
"""Nothing queues, as in Docker (moby: the zero value of LinkAttrs.TxQLen), so one queue will do:
newer kernels make one per CPU, and each costs two directories in sysfs at either end."""


_VETH = attribute(IFLA_INFO_KIND, b"veth")


def bridge_mac(name: str) -> str:
    """Return the bridge's MAC: in Docker's 02:42 range, and the same each time for a name.

    A bridge without a MAC of its own takes that of its lowest port and changes it as ports come
    and go, which breaks every neighbour cache. Docker's are random, so that this one is also the
    mark of a bridge that we made.
    """
    tail = hashlib.sha256(name.encode()).digest()[:4]
    return "02:42:" + ":".join(f"{octet:02x}" for octet in tail)


def new_bridge(plan: BridgePlan) -> Request:
    """Make a bridge, up."""
    return make_request(
        RTM_NEWLINK,
        f"create bridge {plan.name}",
        flags=NLM_F_CREATE | NLM_F_EXCL,
        fields={"flags": IFF_UP, "change": IFF_UP},
        attributes=(
            ("IFLA_IFNAME", plan.name),
            ("IFLA_ADDRESS", bridge_mac(plan.name)),
            ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge")]}),
        ),
    )


def new_pair(plan: InterfacePlan, bridge_index: int, namespace: int) -> Request:
    """Make a veth pair: one end is up and the bridge's port, the other is down in a namespace.

    (The kernel refuses to make the peer up at once, since it has no other end yet at that moment.)

    Args:
        plan: names, MAC and MTU.
        bridge_index: of the bridge in the namespace that the request is sent in.
        namespace: a descriptor of the sandbox's namespace.

    Raises:
        OSError: EINVAL when the MAC or the MTU cannot be encoded.
    """
    doing = f"create interface {plan.name} with its pair {plan.host_name} on {plan.bridge}"
    try:
        port = _port(bridge_index, plan.mtu_bytes)
        peer = _peer(plan.name, plan.mtu_bytes) + _NAMESPACE.pack(8, IFLA_NET_NS_FD, namespace)
        # Docker gives the kernel longer ones too, which takes as many octets as it needs of them
        mac = bytes.fromhex(plan.mac.replace(":", ""))[:_MAC_BYTES]
    except (ValueError, struct.error) as error:
        raise OSError(errno.EINVAL, f"{doing}: {error}") from error
    if mac:
        peer += attribute(IFLA_ADDRESS, mac)
    data = attribute(IFLA_INFO_DATA, attribute(VETH_INFO_PEER, peer))
    payload = b"".join(
        (
            port,
            attribute(IFLA_IFNAME, _text(plan.host_name)),
            attribute(IFLA_LINKINFO, _VETH + data),
        )
    )
    return Request(RTM_NEWLINK, doing, NLM_F_CREATE | NLM_F_EXCL, payload)


def hairpin(host_name: str) -> Request:
    """Let a bridge send frames back out of the port that they came in by."""
    slave = attribute(IFLA_INFO_SLAVE_KIND, b"bridge") + attribute(
        IFLA_INFO_SLAVE_DATA, attribute(IFLA_BRPORT_MODE, b"\1")
    )
    payload = b"".join(
        (
            _LINK.pack(0, 0, 0, 0, 0),
            attribute(IFLA_IFNAME, _text(host_name)),
            attribute(IFLA_LINKINFO, slave),
        )
    )
    return Request(RTM_NEWLINK, f"let {host_name} reach itself", 0, payload)


@lru_cache(maxsize=_KEPT_MAX)
def _port(bridge_index: int, mtu_bytes: int) -> bytes:
    """Return what all ports of a bridge have in common."""
    return b"".join(
        (
            _LINK.pack(0, 0, 0, IFF_UP, IFF_UP),
            attribute(IFLA_MTU, _NUMBER.pack(mtu_bytes)),
            _QUEUES,
            attribute(IFLA_MASTER, _NUMBER.pack(bridge_index)),
        )
    )


@lru_cache(maxsize=_KEPT_MAX)
def _peer(name: str, mtu_bytes: int) -> bytes:
    """Return what the other ends of a name have in common."""
    return b"".join(
        (
            _LINK.pack(0, 0, 0, 0, 0),
            attribute(IFLA_IFNAME, _text(name)),
            attribute(IFLA_MTU, _NUMBER.pack(mtu_bytes)),
            _QUEUES,
        )
    )


def get_link(name: str) -> Request:
    """Ask for one link by name."""
    payload = b"".join(
        (
            _LINK.pack(0, 0, 0, 0, 0),
            attribute(IFLA_IFNAME, _text(name)),
            attribute(IFLA_EXT_MASK, _NUMBER.pack(RTEXT_FILTER_SKIP_STATS)),
        )
    )
    return Request(RTM_GETLINK, f"look up link {name}", 0, payload)


@lru_cache(maxsize=_KEPT_MAX)
def change_link(index: int, name: str, *attributes: tuple[str, Any]) -> Request:
    """Bring a link up, and change what the attributes say."""
    return make_request(
        RTM_NEWLINK,
        f"set up link {name}",
        fields={"index": index, "flags": IFF_UP, "change": IFF_UP},
        attributes=attributes,
    )


def delete_link(name: str) -> Request:
    """Delete a link by name; a pair's other end goes with it, at once."""
    return make_request(RTM_DELLINK, f"delete link {name}", attributes=(("IFLA_IFNAME", name),))


def retire_link(index: int, name: str) -> Request:
    """Bring a link down and mark it for `delete_retired_links`.

    It is a port of its bridge until then, of no use to anybody: to take it off would make the
    kernel wait once more. By number, which no rename can mislead.
    """
    group = attribute(IFLA_GROUP, _NUMBER.pack(RETIRED_GROUP))
    payload = _LINK.pack(0, 0, index, 0, IFF_UP) + group
    return Request(RTM_NEWLINK, f"retire link {name}", 0, payload)


def delete_retired_links() -> Request:
    """Delete every retired link in one step; ENODEV when there is none."""
    payload = _LINK.pack(0, 0, 0, 0, 0) + attribute(IFLA_GROUP, _NUMBER.pack(RETIRED_GROUP))
    return Request(RTM_DELLINK, "delete the retired links", 0, payload)


def new_address(index: int, name: str, address: Address) -> Request:
    """Give a link an address, usable at once."""
    network = address.network
    octets = address.packed
    parts = [
        _ADDRESS.pack(_FAMILIES[address.version], network.prefixlen, 0, _SCOPE_GLOBAL, index),
        attribute(IFA_LOCAL, octets),
        attribute(IFA_ADDRESS, octets),
    ]
    if address.version == 4 and network.prefixlen < 31:
        parts.append(attribute(IFA_BROADCAST, network.broadcast_address.packed))
    if address.version == 6:
        # the address is ours by the IPAM's word; waiting a second for a doubter would serve nobody
        parts.append(attribute(IFA_FLAGS, _NUMBER.pack(IFA_F_NODAD)))
    doing = f"give {name} the address {address}"
    return Request(RTM_NEWADDR, doing, NLM_F_CREATE | NLM_F_EXCL, b"".join(parts))


def delete_address(index: int, name: str, address: Address) -> Request:
    """Take an address from a link."""
    return make_request(
        RTM_DELADDR,
        f"take the address {address} from {name}",
        fields=_address_fields(index, address),
        attributes=(("IFA_LOCAL", str(address.ip)), ("IFA_ADDRESS", str(address.ip))),
    )


@lru_cache(maxsize=_KEPT_MAX)
def new_default_routes(gateway: GatewayPlan, index: int | None) -> tuple[Request, ...]:
    """Make the default routes, replacing those that are there.

    Args:
        gateway: the routers' addresses.
        index: of `gateway.interface`; None leaves the choice to the kernel, who knows the subnets.
    """
    requests = []
    for version, router in ((4, gateway.ipv4), (6, gateway.ipv6)):
        if router is None:
            continue
        via: list[tuple[str, Any]] = [("RTA_GATEWAY", router)]
        if index is not None:
            via.append(("RTA_OIF", index))
        requests.append(
            make_request(
                RTM_NEWROUTE,
                f"set the default route via {router}",
                flags=NLM_F_CREATE | NLM_F_REPLACE,
                fields=_route_fields(version),
                attributes=via,
            )
        )
    return tuple(requests)


def default_routes(messages: Sequence[Any]) -> list[Any]:
    """Choose the default routes of the main table."""
    return [
        message
        for message in messages
        if message["dst_len"] == 0
        and message["type"] == _UNICAST
        and (message.get_attr("RTA_TABLE") or message["table"]) == _MAIN_TABLE
    ]


def delete_route(route: Any) -> Request:
    """Remove a route as the kernel showed it."""
    return _route_request(route, RTM_DELROUTE, "remove", 0)


def restore_route(route: Any) -> Request:
    """Make a route again as the kernel showed it, in place of another of that destination."""
    return _route_request(route, RTM_NEWROUTE, "restore", NLM_F_CREATE | NLM_F_REPLACE)


def router(gateway: GatewayPlan, route: Any) -> str | None:
    """Return the planned router of a route's family."""
    return gateway.ipv4 if route["family"] == AF_INET else gateway.ipv6


def kind(link: Any) -> str:
    """Return a link's kind, `bridge` or `veth`; "" for one that is neither made nor named so."""
    information = link.get_attr("IFLA_LINKINFO")
    return (information.get_attr("IFLA_INFO_KIND") or "") if information else ""


def is_own_bridge(link: Any) -> bool:
    """Tell whether `new_bridge` made a link, by the MAC that it gives."""
    return kind(link) == "bridge" and link.get_attr("IFLA_ADDRESS") == bridge_mac(
        link.get_attr("IFLA_IFNAME")
    )


def addresses_by_index(messages: Sequence[Any]) -> dict[int, tuple[Address, ...]]:
    """Sort the kernel's addresses by link."""
    result: dict[int, tuple[Address, ...]] = {}
    for message in messages:
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        address = ip_interface(f"{text}/{message['prefixlen']}")
        result[message["index"]] = (*result.get(message["index"], ()), address)
    return result


def route_subnets(messages: Sequence[Any]) -> tuple[Subnet, ...]:
    """Return the destinations of unicast routes of the main table, without the default routes."""
    subnets = {
        ip_network(f"{message.get_attr('RTA_DST')}/{message['dst_len']}")
        for message in messages
        if message["dst_len"] > 0
        and message["type"] == _UNICAST
        and (message.get_attr("RTA_TABLE") or message["table"]) == _MAIN_TABLE
    }
    return tuple(sorted(subnets, key=lambda subnet: (subnet.version, subnet)))


def _text(name: str) -> bytes:
    return name.encode() + b"\0"


def _address_fields(index: int, address: Address) -> dict[str, int]:
    return {
        "family": _FAMILIES[address.version],
        "prefixlen": address.network.prefixlen,
        "index": index,
        "scope": _SCOPE_GLOBAL,
    }


def _route_request(route: Any, kind: int, verb: str, flags: int) -> Request:
    attributes = [
        (name, route.get_attr(name))
        for name in ("RTA_GATEWAY", "RTA_OIF", "RTA_PRIORITY")
        if route.get_attr(name) is not None
    ]
    return make_request(
        kind,
        f"{verb} the default route via {route.get_attr('RTA_GATEWAY')}",
        flags=flags,
        fields={name: route[name] for name in ("family", "table", "type", "proto", "scope")},
        attributes=attributes,
    )


def _route_fields(version: int) -> dict[str, int]:
    return {
        "family": _FAMILIES[version],
        "table": _MAIN_TABLE,
        "type": _UNICAST,
        "proto": _PROTOCOL_BOOT,
        "scope": _SCOPE_GLOBAL,
    }
