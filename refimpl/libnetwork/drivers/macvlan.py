"""Driver `macvlan`: containers on the wire of a link of the host's, with MACs of their own.

No bridge, no address on the host and no firewall: the network's gateway is a router out there, and
nothing is published. The option `parent` names the link. Without it the network gets a dummy link
of its own, on which its containers reach each other and nobody else; `eth0.10` is made as a VLAN
of `eth0` where it is not there. What the engine made of these goes with the network.

Mirrors: libnetwork drivers/macvlan (v20.10).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from refimpl.errors import EngineError
from refimpl.kernel.base import InterfacePlan, Kernel, ParentPlan
from refimpl.libnetwork.drivers.base import (
    DriverEndpoint,
    DriverNetwork,
    DriverState,
    EndpointPlan,
    IPAMData,
    JoinInfo,
    generate_mac,
)
from refimpl.model.network import LinkTarget
from refimpl.model.strconv import parse_int

PARENT = "parent"
MODE = "macvlan_mode"
_MODES = frozenset({"bridge", "private", "passthru", "vepa"})
_VLAN_IDS = range(1, 4095)


@dataclass(frozen=True, slots=True)
class _Config:
    mode: str
    parent: ParentPlan
    is_creator: bool
    """The engine makes the parent, and removes it with the network."""


@dataclass(slots=True)
class _MacvlanNetwork:
    network: DriverNetwork
    config: _Config
    endpoints: dict[str, InterfacePlan] = field(default_factory=dict)


class MacvlanDriver:
    """The `macvlan` driver.

    Args:
        kernel: Knows the links, and makes the parents.
    """

    name = "macvlan"
    allocates = True

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._networks: dict[str, _MacvlanNetwork] = {}
        self._lock = threading.Lock()

    # -- networks --------------------------------------------------------------------------
    def plan_network(self, network: DriverNetwork, former: DriverState | None) -> DriverState:
        """Check the options, and choose the parent.

        Raises:
            EngineError: a mode that is none, a parent that cannot be one or has a network already.
        """
        mode = network.options.get(MODE) or "bridge"
        if mode not in _MODES:
            raise EngineError(
                f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan "
                "driver default"
            )
        wanted = network.options.get(PARENT, "")
        if wanted == "lo":
            raise EngineError("loopback interface is not a valid macvlan parent link")
        name = wanted or _dummy_name(network.id)
        self._refuse_shared(network.id, name)
        there = self._links()
        lower, vlan_id = "", 0
        if wanted and name not in there:
            lower, vlan_id = _read_vlan(name, there)
        is_creator = name not in there
        return {
            "mode": mode,
            "parent": name,
            "lower": lower,
            "vlan_id": vlan_id,
            "is_creator": is_creator,
        }

    def create_network(self, network: DriverNetwork, state: DriverState) -> None:
        """Make the parent, unless it is there; undone when it raises.

        Raises:
            EngineError: the kernel has no such links.
        """
        entry = _MacvlanNetwork(network, _config_of(state))
        self._refuse_shared(network.id, entry.config.parent.name)
        with self._lock:
            self._networks[network.id] = entry
        try:
            self._make_parent(entry.config)
        except BaseException:
            with self._lock:
                del self._networks[network.id]
            if entry.config.is_creator:
                self._kernel.delete_link(entry.config.parent.name)
            raise

    def check_state(self, network: DriverNetwork, state: DriverState) -> None:
        """Refuse a state that did not come from `plan_network`.

        Raises:
            ValueError: what is wrong.
        """
        try:
            config = _config_of(state)
        except KeyError as error:
            raise ValueError(f"{error} is missing") from error
        if config.mode not in _MODES or not config.parent.name:
            raise ValueError(f"no macvlan network: {config}")

    def restore_networks(
        self, networks: Sequence[tuple[DriverNetwork, DriverState]]
    ) -> tuple[OSError | EngineError, ...]:
        """Know the networks again, and make the parents that are missing.

        A network whose parent is gone is known all the same: it can be removed, and its containers
        start once the parent is back.
        """
        failures: list[OSError | EngineError] = []
        for network, state in networks:
            entry = _MacvlanNetwork(network, _config_of(state))
            with self._lock:
                self._networks[network.id] = entry
            try:
                self._make_parent(entry.config)
            except (OSError, EngineError) as error:
                failures.append(error)
        return tuple(failures)

    def repair_network(self, network_id: str) -> None:
        """Make the parent again, if the engine made it before.

        Raises:
            EngineError: it is somebody else's, and gone.
        """
        self._make_parent(self._networks[network_id].config)

    def delete_network(self, network_id: str, state: DriverState) -> None:
        """Forget the network; its parent goes if the engine made it."""
        config = _config_of(state)
        if config.is_creator:
            self._kernel.delete_link(config.parent.name)
        with self._lock:
            self._networks.pop(network_id, None)

    # -- endpoints -------------------------------------------------------------------------
    def create_endpoint(self, network_id: str, endpoint: DriverEndpoint) -> EndpointPlan:
        """Choose the MAC: from the IPv4 address, unless given."""
        entry = self._networks[network_id]
        mac = endpoint.mac
        if not mac and endpoint.ipv4 is not None:
            mac = generate_mac(endpoint.ipv4)
        addresses = (endpoint.ipv4, endpoint.ipv6, *endpoint.link_local)
        entry.endpoints[endpoint.id] = InterfacePlan(
            host_name="",
            name="eth",
            bridge=entry.config.parent.name,
            mac=mac,
            addresses=tuple(address for address in addresses if address is not None),
            macvlan_mode=entry.config.mode,
        )
        return EndpointPlan(mac=mac)

    def delete_endpoint(self, network_id: str, endpoint_id: str) -> None:
        """Forget an endpoint; no error when it is unknown."""
        entry = self._networks.get(network_id)
        if entry is not None:
            entry.endpoints.pop(endpoint_id, None)

    def join(self, network_id: str, endpoint_id: str) -> JoinInfo:
        """Say which macvlan to make; an internal network has no gateway."""
        entry = self._networks[network_id]
        plan = entry.endpoints[endpoint_id]
        if entry.network.internal:
            return JoinInfo(plan)
        gateway4 = _gateway_of(plan, entry.network.ipv4)
        gateway6 = _gateway_of(plan, entry.network.ipv6)
        return JoinInfo(
            plan,
            gateway4 if isinstance(gateway4, IPv4Address) else None,
            gateway6 if isinstance(gateway6, IPv6Address) else None,
        )

    def link(self, network_id: str, endpoint_id: str, targets: Sequence[LinkTarget]) -> None:
        """Open nothing: nothing is closed."""

    def leave(self, network_id: str, endpoint_id: str) -> None:
        """Give nothing back."""

    # -- inside ----------------------------------------------------------------------------
    def _links(self) -> frozenset[str]:
        return frozenset(link.name for link in self._kernel.links())

    def _refuse_shared(self, network_id: str, parent: str) -> None:
        with self._lock:
            others = [one for key, one in self._networks.items() if key != network_id]
        for other in others:
            if other.config.parent.name == parent:
                raise EngineError(
                    f"network {_dummy_name(other.network.id)} is already using parent interface "
                    f"{parent}"
                )

    def _make_parent(self, config: _Config) -> None:
        parent = config.parent
        if parent.name in self._links():
            return
        if not config.is_creator:
            raise EngineError(
                f"the requested parent interface {parent.name} was not found on the Docker host"
            )
        try:
            self._kernel.create_parent(parent)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            if parent.lower:
                reason = f"failed to create {parent.name} vlan link: {reason}"
            raise EngineError(reason) from error


def _dummy_name(network_id: str) -> str:
    return f"dm-{network_id[:12]}"


def _config_of(state: DriverState) -> _Config:
    parent = ParentPlan(
        name=str(state["parent"]), lower=str(state["lower"]), vlan_id=int(state["vlan_id"])
    )
    return _Config(str(state["mode"]), parent, bool(state["is_creator"]))


def _read_vlan(name: str, there: Collection[str]) -> tuple[str, int]:
    """Read `eth0.10`: the link that carries the VLAN, and the VLAN's number.

    Mirrors: createVlanLink and parseVlan of macvlan_setup.go (v20.10).

    Raises:
        EngineError: it is no such name, or the link is not there.
    """
    if "." not in name:
        raise EngineError(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
    parts = name.split(".")
    if len(parts) != 2:
        raise EngineError(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead "
            f"received {name}"
        )
    lower, number = parts
    try:
        vlan_id = parse_int(number)
    except ValueError:
        raise EngineError(
            f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"
        ) from None
    if lower not in there:
        raise EngineError(f"-o parent interface does was not found on the host: {lower}")
    if vlan_id not in _VLAN_IDS:
        raise EngineError(f"vlan id must be between 1-4094, received: {vlan_id}")
    return lower, vlan_id


def _gateway_of(plan: InterfacePlan, pools: Sequence[IPAMData]) -> IPv4Address | IPv6Address | None:
    """Return the gateway of the subnet that one of the interface's addresses is in."""
    own: list[IPv4Interface | IPv6Interface] = list(plan.addresses)
    for data in pools:
        if any(address.ip in data.pool for address in own):
            return data.gateway.ip
    return None
