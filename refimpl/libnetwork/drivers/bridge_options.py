"""The options of a bridge network: the labels, and what they say.

Mirrors: libnetwork drivers/bridge/bridge.go networkConfiguration and labels.go (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from refimpl.errors import EngineError
from refimpl.kernel.base import Address
from refimpl.libnetwork.drivers.base import DriverState
from refimpl.libnetwork.ipam import IPAddress, parse_ip
from refimpl.limits import INTERFACE_NAME_BYTES_MAX
from refimpl.model.strconv import parse_bool, parse_int

BRIDGE_NAME = "com.docker.network.bridge.name"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_IP_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING_IPV4 = "com.docker.network.bridge.host_binding_ipv4"
INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
MTU = "com.docker.network.driver.mtu"
CONTAINER_IFACE_PREFIX = "com.docker.network.container_iface_prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """A bridge network's options after reading (moby: networkConfiguration)."""

    bridge: str
    is_creator: bool = True
    """False: the bridge was there before the network and stays when the network goes."""
    given: tuple[Address, ...] = ()
    """The addresses that the bridge has from the engine, those of earlier default networks too."""
    is_default: bool = False
    mtu_bytes: int = 1500
    icc: bool = True
    ip_masquerade: bool = True
    inhibit_ipv4: bool = False
    prefix: str = "eth"
    host_binding: IPAddress | None = None
    """Where ports are published whose binding names no address of the host (it may be IPv6)."""


def given_addresses(state: DriverState) -> tuple[Address, ...]:
    """Return the addresses that a network's state says its bridge has from the engine.

    Raises:
        ValueError: the state is damaged.
    """
    return tuple(map(ip_interface, str(state.get("given", "")).split()))


def check_bridge_name(name: str) -> None:
    """Refuse what the kernel refuses as a link's name, in the words that 20.10 passes on."""
    if len(name.encode()) > INTERFACE_NAME_BYTES_MAX:
        raise EngineError(
            "failed to check bridge interface existence: numerical result out of range"
        )
    if name in {".", ".."} or re.search(r"[/:\s\0]", name):
        raise EngineError("invalid argument")


def read_options(options: Mapping[str, str]) -> dict[str, Any]:
    """Read the driver's labels; unknown ones are kept in inspect and ignored here.

    Raises:
        EngineError: a label's value cannot be read.

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
        elif label == HOST_BINDING_IPV4:
            values["host_binding"] = parse_ip(value)
            if values["host_binding"] is None:
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
