"""Driver `bridge`: one Linux bridge per network, one veth pair per endpoint.

Mirrors: libnetwork drivers/bridge/bridge.go (v20.10).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from refimpl.errors import EngineError, Forbidden
from refimpl.kernel.base import (
    Address,
    BridgePlan,
    FirewallHole,
    FirewallNetwork,
    InterfacePlan,
    Kernel,
    PublishedPort,
)
from refimpl.libnetwork.drivers.base import (
    DriverEndpoint,
    DriverNetwork,
    DriverState,
    EndpointPlan,
    ExternalConnectivity,
    IPAMData,
    JoinInfo,
    generate_mac,
)
from refimpl.libnetwork.drivers.bridge_options import (
    MTU,
    BridgeConfig,
    check_bridge_name,
    given_addresses,
    read_options,
)
from refimpl.libnetwork.ipam import overlaps
from refimpl.libnetwork.portmapper import PortMapper, PortTarget
from refimpl.model.network import LinkTarget, PortBinding
from refimpl.model.ports import PROTOCOLS

logger = logging.getLogger(__name__)

_LINK_LOCAL = IPv6Interface("fe80::1/64")
"""What every bridge with IPv6 has beside its own address (moby: bridgeIPv6; v20.10)."""
_MAC_BYTES = 6


@dataclass(slots=True)
class _BridgeNetwork:
    network: DriverNetwork
    config: BridgeConfig
    endpoints: dict[str, InterfacePlan] = field(default_factory=dict)
    holes: dict[str, tuple[FirewallHole, ...]] = field(default_factory=dict)
    """By endpoint: what its links let through, where containers are kept apart."""
    external: ExternalConnectivity | None = None
    """What publishes ports; None for an internal network."""
    gateway4: IPv4Address | None = field(init=False)
    gateway6: IPv6Address | None = field(init=False)

    def __post_init__(self) -> None:
        # asked for at every join; `ip` of an interface makes an address each time
        addresses = [
            data.router or data.gateway.ip for data in (*self.network.ipv4, *self.network.ipv6)
        ]
        self.gateway4 = next((one for one in addresses if isinstance(one, IPv4Address)), None)
        self.gateway6 = next((one for one in addresses if isinstance(one, IPv6Address)), None)


class _External:
    """Publishes ports of one network's endpoints."""

    def __init__(self, port_mapper: PortMapper, entry: _BridgeNetwork) -> None:
        self._port_mapper = port_mapper
        self._entry = entry

    def program(
        self, endpoint_id: str, ports: Sequence[PortBinding], *, is_live: bool
    ) -> tuple[PublishedPort, ...]:
        """Lead ports of the host to an endpoint."""
        addresses = [address.ip for address in self._entry.endpoints[endpoint_id].addresses]
        target = PortTarget(
            bridge=self._entry.config.bridge,
            ipv4=next((one for one in addresses if isinstance(one, IPv4Address)), None),
            ipv6=next((one for one in addresses if isinstance(one, IPv6Address)), None),
            default_host_ip=self._entry.config.host_binding,
        )
        return self._port_mapper.map(endpoint_id, target, ports, is_live=is_live)

    def revoke(self, endpoint_id: str) -> None:
        """Take them back."""
        self._port_mapper.unmap(endpoint_id)


def generate_ipv6(gateway: IPv4Interface | IPv6Interface, mac: str) -> IPv6Interface:
    """Return the address of the gateway's subnet whose last six bytes are a MAC address.

    Mirrors: bridge.CreateEndpoint (v20.10).
    """
    own = bytes.fromhex(mac.replace(":", ""))[:_MAC_BYTES]
    return IPv6Interface((gateway.packed[:-_MAC_BYTES] + own, gateway.network.prefixlen))


def _random_hex(digits: int) -> str:
    return os.urandom((digits + 1) // 2).hex()[:digits]


class BridgeDriver:
    """The `bridge` driver.

    `_lock` covers the tables and is held for no longer than a look at them: an allocation needs it.
    Whoever changes the firewall holds `_writing` meanwhile, which can last as long as nft does.

    Args:
        kernel: Makes the bridges and the firewall.
        random_hex: Gives that many random hex digits, for the names of host links.
        userland_proxy: Let a relay process lead on what the firewall cannot.
    """

    name = "bridge"
    allocates = True

    def __init__(
        self,
        kernel: Kernel,
        random_hex: Callable[[int], str] = _random_hex,
        *,
        userland_proxy: bool = True,
    ) -> None:
        self._kernel = kernel
        self._random_hex = random_hex
        self._networks: dict[str, _BridgeNetwork] = {}
        self._host_names: set[str] = set()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._port_mapper = PortMapper(
            kernel, userland_proxy=userland_proxy, write_firewall=self._write_firewall
        )

    # -- networks --------------------------------------------------------------------------
    def plan_network(self, network: DriverNetwork, former: DriverState | None) -> DriverState:
        """Check pools and options, and choose the bridge.

        What a bridge gets that was there before is remembered, to be taken off it at the end.

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
        is_creator = existing is None and not (config.is_default and network.name == "bridge")
        there = existing.addresses if existing is not None else ()
        wanted = _bridge_addresses(network, config)
        given = given_addresses(former) if former and former["bridge"] == config.bridge else ()
        ours = [one for one in given if one in there] + [one for one in wanted if one not in there]
        return {
            "bridge": config.bridge,
            "is_creator": is_creator,
            "is_found": existing is not None and not existing.is_own_bridge,
            "given": " ".join(map(str, ours)),
        }

    def create_network(self, network: DriverNetwork, state: DriverState) -> None:
        """Make the bridge and its firewall rules; both are undone when it raises."""
        entry = self._entry(network, state)
        with self._lock:
            self._refuse_conflicts(network, entry.config)
            self._networks[network.id] = entry
        try:
            self._kernel.create_bridge(_bridge_plan(entry))
            self._write_firewall()
        except BaseException:
            self._undo_create(entry, state)
            raise

    def check_state(self, network: DriverNetwork, state: DriverState) -> None:
        """Refuse options or a state that did not come from `plan_network`.

        Raises:
            ValueError: what is wrong.
        """
        try:
            _config_of(network, state)
        except (KeyError, EngineError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError | EngineError, ...]:
        """Make the bridges that are missing and write the firewall once for all of them."""
        failures: list[OSError | EngineError] = []
        entries = [self._entry(network, state) for network, state in networks]
        with self._lock:
            # known even when its bridge fails: its subnet is taken, and it can be deleted
            self._networks.update({entry.network.id: entry for entry in entries})
        for entry in entries:
            try:
                self._kernel.create_bridge(_bridge_plan(entry))
            except OSError as error:
                failures.append(error)
        try:
            self._write_firewall()
        except OSError as error:
            failures.append(error)
        return tuple(failures)

    def repair_network(self, network_id: str) -> None:
        """Make the bridge again, with its addresses; the firewall goes by its name."""
        self._kernel.create_bridge(_bridge_plan(self._networks[network_id]))

    def delete_network(self, network_id: str, state: DriverState) -> None:
        """Remove the bridge if the network made it, else what it was given, and the rules."""
        self._remove_bridge(state)
        with self._lock:
            entry = self._networks.pop(network_id, None)
        try:
            self._write_firewall()
        except BaseException:
            if entry is not None:
                with self._lock:
                    self._networks[network_id] = entry
            raise

    # -- endpoints -------------------------------------------------------------------------
    def create_endpoint(self, network_id: str, endpoint: DriverEndpoint) -> EndpointPlan:
        """Choose the MAC (from the IPv4 address, unless given) and the veth's host name."""
        entry = self._networks[network_id]
        mac = endpoint.mac
        if not mac and endpoint.ipv4 is not None:
            mac = generate_mac(endpoint.ipv4)
        made = None
        if endpoint.ipv6 is None and entry.network.enable_ipv6:
            made = generate_ipv6(entry.network.ipv6[0].gateway, mac)
        addresses = (endpoint.ipv4, endpoint.ipv6 or made, *endpoint.link_local)
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
        return EndpointPlan(mac=mac, host_name=host_name, ipv6=made)

    def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        """Forget an endpoint and free the name of its link.

        If its links' holes could not be closed, they go with the next change of the firewall.
        """
        self._port_mapper.drop(endpoint_id)
        with self._lock:
            entry = self._networks.get(network_id)
            if entry is None:
                return
            entry.holes.pop(endpoint_id, None)
            plan = entry.endpoints.pop(endpoint_id, None)
            if plan is not None:
                self._host_names.discard(plan.host_name)

    def join(self, network_id: str, endpoint_id: str) -> JoinInfo:
        """Say which veth pair to make, and that the bridge is the gateway.

        On an internal network too: 20.10 sets the default route there as well.
        """
        entry = self._networks[network_id]
        return JoinInfo(
            entry.endpoints[endpoint_id], entry.gateway4, entry.gateway6, entry.external
        )

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
            plan = entry.endpoints[endpoint_id]
        self._change_holes(entry, endpoint_id, tuple(_holes(plan, targets)))

    def leave(self, network_id: str, endpoint_id: str) -> None:
        """Close the holes of the endpoint's links; the pair goes with the sandbox's interface."""
        with self._lock:
            entry = self._networks.get(network_id)
        if entry is not None:
            self._change_holes(entry, endpoint_id, ())

    # -- inside ----------------------------------------------------------------------------
    def _entry(self, network: DriverNetwork, state: DriverState) -> _BridgeNetwork:
        entry = _BridgeNetwork(network, _config_of(network, state))
        if not network.internal:
            entry.external = _External(self._port_mapper, entry)
        return entry

    def _change_holes(
        self, entry: _BridgeNetwork, endpoint_id: str, holes: tuple[FirewallHole, ...]
    ) -> None:
        with self._lock:
            before = entry.holes.get(endpoint_id, ())
            if holes == before:
                return
            entry.holes[endpoint_id] = holes
        try:
            self._write_firewall()
        except BaseException:
            with self._lock:
                entry.holes[endpoint_id] = before
            raise

    def _undo_create(self, entry: _BridgeNetwork, state: DriverState) -> None:
        with self._lock:
            del self._networks[entry.network.id]
        try:
            if entry.network.name != "bridge":
                self._remove_bridge(state)
            self._write_firewall()
        except OSError:
            logger.exception("bridge %s stays until the next start", entry.config.bridge)

    def _remove_bridge(self, state: DriverState) -> None:
        given = given_addresses(state)
        if state["is_creator"]:
            self._kernel.delete_link(str(state["bridge"]))
        elif given:
            self._kernel.take_addresses(str(state["bridge"]), given)

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
            elif _pools_overlap(other.network.ipv6, network.ipv6):
                reason = "networks have overlapping IPv6"
            if reason:
                raise Forbidden(
                    f"cannot create network {network.id} ({config.bridge}): conflicts with "
                    f"network {other.network.id} ({other.config.bridge}): {reason}"
                )

    def _write_firewall(self) -> None:
        """Bring the firewall to what the tables say, one writer after the other.

        Raises:
            OSError: it could not be changed.
        """
        with self._writing:
            with self._lock:
                wanted = [_firewall_network(entry) for entry in self._networks.values()]
            self._kernel.apply_firewall(wanted)


def _firewall_network(entry: _BridgeNetwork) -> FirewallNetwork:
    return FirewallNetwork(
        bridge=entry.config.bridge,
        subnets=tuple(data.pool for data in (*entry.network.ipv4, *entry.network.ipv6)),
        internal=entry.network.internal,
        masquerade=entry.config.ip_masquerade,
        snat_to=entry.config.host_ipv4,
        icc=entry.config.icc,
        holes=tuple(hole for holes in entry.holes.values() for hole in holes),
    )


def _holes(plan: InterfacePlan, targets: Sequence[LinkTarget]) -> Iterator[FirewallHole]:
    source = next((own.ip for own in plan.addresses if isinstance(own, IPv4Interface)), None)
    for target in targets:
        for port in target.ports:
            number, _, protocol = port.partition("/")
            if source is not None and protocol in PROTOCOLS:
                yield FirewallHole(
                    source=source,
                    target=IPv4Address(target.address),
                    protocol=protocol,
                    port=int(number),
                )


def _pools_overlap(one: Sequence[IPAMData], other: Sequence[IPAMData]) -> bool:
    return any(overlaps(a.pool, b.pool) for a in one for b in other)


def _bridge_addresses(network: DriverNetwork, config: BridgeConfig) -> tuple[Address, ...]:
    own = tuple(
        data.gateway
        for data in (*network.ipv4, *network.ipv6)
        if not (config.inhibit_ipv4 and data.gateway.version == 4)
    )
    return (*own, _LINK_LOCAL) if network.enable_ipv6 and _LINK_LOCAL not in own else own


def _bridge_plan(entry: _BridgeNetwork) -> BridgePlan:
    return BridgePlan(
        name=entry.config.bridge,
        addresses=_bridge_addresses(entry.network, entry.config),
        given=entry.config.given,
        mtu_bytes=entry.config.mtu_bytes if MTU in entry.network.options else 0,
    )


def _config_of(network: DriverNetwork, state: DriverState) -> BridgeConfig:
    values = read_options(network.options)
    values["bridge"] = str(state["bridge"])
    values["is_creator"] = bool(state["is_creator"])
    values["given"] = given_addresses(state)
    return BridgeConfig(**values)


def _parse_options(network: DriverNetwork) -> BridgeConfig:
    values = read_options(network.options)
    if not values.get("bridge"):
        values["bridge"] = f"br-{network.id[:12]}"
    check_bridge_name(values["bridge"])
    return BridgeConfig(**values)
