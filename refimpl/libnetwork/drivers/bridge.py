"""Driver `bridge`: one Linux bridge per network, one veth pair per endpoint.

Mirrors: libnetwork drivers/bridge/bridge.go (v20.10).
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Any

from refimpl.errors import EngineError, Forbidden
from refimpl.kernel.base import BridgePlan, FirewallHole, FirewallNetwork, InterfacePlan, Kernel
from refimpl.libnetwork.drivers.base import (
    DriverEndpoint,
    DriverNetwork,
    DriverState,
    EndpointPlan,
    IPAMData,
    JoinInfo,
)
from refimpl.libnetwork.ipam import overlaps
from refimpl.limits import INTERFACE_NAME_BYTES_MAX
from refimpl.model.network import LinkTarget
from refimpl.model.strconv import parse_bool, parse_int

logger = logging.getLogger(__name__)

BRIDGE_NAME = "com.docker.network.bridge.name"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_IP_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING_IPV4 = "com.docker.network.bridge.host_binding_ipv4"
INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
MTU = "com.docker.network.driver.mtu"
CONTAINER_IFACE_PREFIX = "com.docker.network.container_iface_prefix"

_PORT_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_DOTTED_QUAD = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """A bridge network's options after reading (moby: networkConfiguration)."""

    bridge: str
    is_creator: bool = True
    """False: the bridge was there before the network and stays when the network goes."""
    is_default: bool = False
    mtu_bytes: int = 1500
    icc: bool = True
    ip_masquerade: bool = True
    inhibit_ipv4: bool = False
    prefix: str = "eth"


@dataclass(slots=True)
class _BridgeNetwork:
    network: DriverNetwork
    config: BridgeConfig
    endpoints: dict[str, InterfacePlan] = field(default_factory=dict)
    holes: dict[str, tuple[FirewallHole, ...]] = field(default_factory=dict)
    """By endpoint: what its links let through, where containers are kept apart."""
    gateway4: IPv4Address | None = field(init=False)
    gateway6: IPv6Address | None = field(init=False)

    def __post_init__(self) -> None:
        # asked for at every join; `ip` of an interface makes an address each time
        addresses = [data.gateway.ip for data in _active_pools(self.network)]
        self.gateway4 = next((one for one in addresses if isinstance(one, IPv4Address)), None)
        self.gateway6 = next((one for one in addresses if isinstance(one, IPv6Address)), None)


def generate_mac(address: IPv4Interface) -> str:
    """Return `02:42:` and the four bytes of the address: the same address, the same MAC.

    Mirrors: netutils.GenerateMACFromIP (v20.10).
    """
    return f"02:42:{address.packed.hex(':')}"


def _random_hex(digits: int) -> str:
    return os.urandom((digits + 1) // 2).hex()[:digits]


class BridgeDriver:
    """The `bridge` driver.

    Args:
        kernel: Makes the bridges and the firewall.
        random_hex: Gives that many random hex digits, for the names of host links.
    """

    name = "bridge"
    allocates = True

    def __init__(self, kernel: Kernel, random_hex: Callable[[int], str] = _random_hex) -> None:
        self._kernel = kernel
        self._random_hex = random_hex
        self._networks: dict[str, _BridgeNetwork] = {}
        self._host_names: set[str] = set()
        self._lock = threading.RLock()

    # -- networks --------------------------------------------------------------------------
    def plan_network(self, network: DriverNetwork) -> DriverState:
        """Check pools and options, and choose the bridge.

        Raises:
            Forbidden: more than one subnet of a family, or a bridge or subnet of another network.
            EngineError: an option that cannot be read, or a name that is no bridge's.
        """
        if not network.ipv4:
            raise EngineError("ipv4 pool is empty")
        config = _parse_options(network)
        if len(network.ipv4) > 1 or len(network.ipv6) > 1:
            raise Forbidden("bridge driver doesn't support multiple subnets")
        with self._lock:
            self._refuse_conflicts(network, config)
        existing = {link.name: link for link in self._kernel.links()}.get(config.bridge)
        if existing is not None and existing.kind != "bridge":
            raise EngineError(f"existing interface {config.bridge} is not a bridge")
        # the predefined network's bridge stays, as in 20.10; the option alone does not make one,
        # or the bridge of a user's network would be left behind
        stays = config.is_default and network.name == "bridge"
        is_creator = existing is None and not stays
        return {"bridge": config.bridge, "is_creator": is_creator}

    def create_network(self, network: DriverNetwork, state: DriverState) -> None:
        """Make the bridge and its firewall rules; both are undone when it raises."""
        with self._lock:
            entry = _BridgeNetwork(network, _config_of(network, state))
            self._refuse_conflicts(network, entry.config)
            self._networks[network.id] = entry
            try:
                self._kernel.create_bridge(_bridge_plan(entry))
                self._apply_firewall()
            except BaseException:
                self._undo_create(entry)
                raise

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError, ...]:
        """Make the bridges that are missing and write the firewall once for all of them."""
        failures: list[OSError] = []
        with self._lock:
            for network, state in networks:
                entry = _BridgeNetwork(network, _config_of(network, state))
                # known even when its bridge fails: its subnet is taken, and it can be deleted
                self._networks[network.id] = entry
                try:
                    self._kernel.create_bridge(_bridge_plan(entry))
                except OSError as error:
                    failures.append(error)
            try:
                self._apply_firewall()
            except OSError as error:
                failures.append(error)
        return tuple(failures)

    def delete_network(self, network_id: str, state: DriverState) -> None:
        """Remove the bridge if the network made it, and the network's firewall rules."""
        with self._lock:
            if state["is_creator"]:
                self._kernel.delete_link(str(state["bridge"]))
            entry = self._networks.pop(network_id, None)
            try:
                self._apply_firewall()
            except BaseException:
                if entry is not None:
                    self._networks[network_id] = entry
                raise

    # -- endpoints -------------------------------------------------------------------------
    def create_endpoint(self, network_id: str, endpoint: DriverEndpoint) -> EndpointPlan:
        """Choose the MAC (from the IPv4 address, unless given) and the veth's host name."""
        entry = self._networks[network_id]
        mac = endpoint.mac
        if not mac and endpoint.ipv4 is not None:
            mac = generate_mac(endpoint.ipv4)
        addresses = (endpoint.ipv4, endpoint.ipv6, *endpoint.link_local)
        with self._lock:
            host_name = self._free_host_name()
            self._host_names.add(host_name)
            entry.endpoints[endpoint.id] = InterfacePlan(
                host_name=host_name,
                name=entry.config.prefix,
                bridge=entry.config.bridge,
                mac=mac,
                addresses=tuple(address for address in addresses if address is not None),
                mtu_bytes=entry.config.mtu_bytes,
            )
        return EndpointPlan(mac=mac, host_name=host_name)

    def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        """Forget an endpoint and free the name of its link."""
        with self._lock:
            entry = self._networks.get(network_id)
            plan = None if entry is None else entry.endpoints.pop(endpoint_id, None)
            if plan is not None:
                self._host_names.discard(plan.host_name)

    def join(self, network_id: str, endpoint_id: str) -> JoinInfo:
        """Say which veth pair to make, and that the bridge is the gateway.

        On an internal network too: 20.10 sets the default route there as well.
        """
        entry = self._networks[network_id]
        return JoinInfo(entry.endpoints[endpoint_id], entry.gateway4, entry.gateway6)

    def link(self, network_id: str, endpoint_id: str, targets: Sequence[LinkTarget]) -> None:
        """Open the exposed ports of the targets for an endpoint, if the network has no icc.

        The addresses are those of this moment: whoever comes back with another one is not reached
        before the linker joins again, as in 20.10. Only the default network has links.

        Mirrors: bridgeNetwork.link (v20.10).
        """
        with self._lock:
            entry = self._networks[network_id]
            if entry.config.icc or not entry.config.is_default:
                return
            before = entry.holes.pop(endpoint_id, ())
            holes = tuple(_holes(entry.endpoints[endpoint_id], targets))
            if holes:
                entry.holes[endpoint_id] = holes
            if holes != before:
                self._apply_firewall()

    def leave(self, network_id: str, endpoint_id: str) -> None:
        """Close the holes of the endpoint's links; the pair went with the sandbox's interface."""
        with self._lock:
            entry = self._networks.get(network_id)
            if entry is not None and entry.holes.pop(endpoint_id, ()):
                self._apply_firewall()

    # -- inside ----------------------------------------------------------------------------
    def _undo_create(self, entry: _BridgeNetwork) -> None:
        del self._networks[entry.network.id]
        try:
            if entry.config.is_creator:
                self._kernel.delete_link(entry.config.bridge)
            self._apply_firewall()
        except OSError:
            logger.exception("bridge %s stays until the next start", entry.config.bridge)

    def _free_host_name(self) -> str:
        while True:
            host_name = f"veth{self._random_hex(7)}"
            if host_name not in self._host_names:
                return host_name

    def _refuse_conflicts(self, network: DriverNetwork, config: BridgeConfig) -> None:
        for other in self._networks.values():
            if other.network.id == network.id:
                continue
            reason = ""
            if other.config.bridge == config.bridge:
                reason = "networks have same bridge name"
            elif _pools_overlap(other.network.ipv4, network.ipv4):
                reason = "networks have overlapping IPv4"
            elif _pools_overlap(_active_ipv6(other.network), _active_ipv6(network)):
                reason = "networks have overlapping IPv6"
            if reason:
                raise Forbidden(
                    f"cannot create network {network.id} ({config.bridge}): conflicts with "
                    f"network {other.network.id} ({other.config.bridge}): {reason}"
                )

    def _apply_firewall(self) -> None:
        self._kernel.apply_firewall(
            [
                FirewallNetwork(
                    bridge=entry.config.bridge,
                    subnets=tuple(data.pool for data in _active_pools(entry.network)),
                    internal=entry.network.internal,
                    masquerade=entry.config.ip_masquerade,
                    icc=entry.config.icc,
                    holes=tuple(hole for holes in entry.holes.values() for hole in holes),
                )
                for entry in self._networks.values()
            ]
        )


def _holes(plan: InterfacePlan, targets: Sequence[LinkTarget]) -> Iterator[FirewallHole]:
    source = next((own.ip for own in plan.addresses if isinstance(own, IPv4Interface)), None)
    for target in targets:
        for port in target.ports:
            number, _, protocol = port.partition("/")
            if source is not None and protocol in _PORT_PROTOCOLS:
                yield FirewallHole(
                    source=source,
                    target=IPv4Address(target.address),
                    protocol=protocol,
                    port=int(number),
                )


def _active_pools(network: DriverNetwork) -> tuple[IPAMData, ...]:
    return (*network.ipv4, *_active_ipv6(network))


def _active_ipv6(network: DriverNetwork) -> tuple[IPAMData, ...]:
    # a network may have an IPv6 pool without EnableIPv6: it is shown and not used
    return network.ipv6 if network.enable_ipv6 else ()


def _pools_overlap(one: Sequence[IPAMData], other: Sequence[IPAMData]) -> bool:
    return any(overlaps(a.pool, b.pool) for a in one for b in other)


def _bridge_plan(entry: _BridgeNetwork) -> BridgePlan:
    addresses: list[IPv4Interface | IPv6Interface] = []
    for data in _active_pools(entry.network):
        if not (entry.config.inhibit_ipv4 and data.gateway.version == 4):
            addresses.append(data.gateway)
    return BridgePlan(name=entry.config.bridge, addresses=tuple(addresses))


def _config_of(network: DriverNetwork, state: DriverState) -> BridgeConfig:
    values: dict[str, Any] = _read_options(network.options)
    values.update(bridge=str(state["bridge"]), is_creator=bool(state["is_creator"]))
    return BridgeConfig(**values)


def _parse_options(network: DriverNetwork) -> BridgeConfig:
    values = _read_options(network.options)
    if not values.get("bridge"):
        values["bridge"] = f"br-{network.id[:12]}"
    _check_bridge_name(values["bridge"])
    return BridgeConfig(**values)


def _check_bridge_name(name: str) -> None:
    """Refuse what the kernel refuses as a link's name, in the words that 20.10 passes on."""
    if len(name.encode()) > INTERFACE_NAME_BYTES_MAX:
        raise EngineError(
            "failed to check bridge interface existence: numerical result out of range"
        )
    if name in {".", ".."} or re.search(r"[/:\s\0]", name):
        raise EngineError("invalid argument")


def _read_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Read the driver's labels; unknown ones are kept in inspect and ignored here.

    Mirrors: networkConfiguration.fromLabels (v20.10).
    """
    values: dict[str, Any] = {}
    booleans = {
        ENABLE_IP_MASQUERADE: "ip_masquerade",
        ENABLE_ICC: "icc",
        INHIBIT_IPV4: "inhibit_ipv4",
        DEFAULT_BRIDGE: "is_default",
    }
    for label, value in options.items():
        if label == BRIDGE_NAME:
            values["bridge"] = value
        elif label == MTU:
            values["mtu_bytes"] = _parse_mtu(value)
        elif label in booleans:
            values[booleans[label]] = _parse_bool(label, value)
        elif label == CONTAINER_IFACE_PREFIX and value:
            values["prefix"] = value
        elif label == HOST_BINDING_IPV4 and _DOTTED_QUAD.fullmatch(value) is None:
            raise EngineError(f"failed to parse {label} value: {value} (nil ip)")
    return values


def _parse_bool(label: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError as error:
        raise EngineError(f"failed to parse {label} value: {value} ({error})") from None


def _parse_mtu(value: str) -> int:
    try:
        mtu_bytes = parse_int(value)
    except ValueError as error:
        raise EngineError(f"failed to parse {MTU} value: {value} ({error})") from None
    if mtu_bytes < 0:
        raise EngineError(f"invalid MTU number: {mtu_bytes}")
    # 0 is "not said", as in Go
    return mtu_bytes or 1500
