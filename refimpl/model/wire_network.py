# ruff: noqa: RUF009 - `wire` is a field specifier: it returns dataclasses.field
"""The bodies of the API's requests about networks.

Mirrors: moby api/types/types.go NetworkCreateRequest, NetworkConnect, NetworkDisconnect and
api/types/network/network.go IPAM (v20.10).
"""

from __future__ import annotations

from dataclasses import dataclass

from refimpl.model.network import IPAMPool
from refimpl.model.wire import BOOL, STRING, STRING_MAP, list_of, pointer, struct, wire
from refimpl.model.wire_container import ENDPOINT_SETTINGS, EndpointSettings


@dataclass(slots=True, kw_only=True)
class IPAMConfig:
    """One pool of a network, as the client wrote it."""

    subnet: str = wire("Subnet", STRING)
    ip_range: str = wire("IPRange", STRING)
    gateway: str = wire("Gateway", STRING)
    auxiliary_addresses: dict[str, str] | None = wire("AuxiliaryAddresses", STRING_MAP)

    def pool(self) -> IPAMPool:
        """Return the model's value."""
        return IPAMPool(
            subnet=self.subnet,
            ip_range=self.ip_range,
            gateway=self.gateway,
            aux_addresses=self.auxiliary_addresses or {},
        )


@dataclass(slots=True, kw_only=True)
class IPAM:
    """A network's address management."""

    driver: str = wire("Driver", STRING)
    options: dict[str, str] | None = wire("Options", STRING_MAP)
    config: list[IPAMConfig] | None = wire(
        "Config", list_of(struct(IPAMConfig, go_type="network.IPAMConfig"))
    )


@dataclass(slots=True, kw_only=True)
class ConfigReference:
    """The network that another one takes its configuration from."""

    network: str = wire("Network", STRING)


@dataclass(slots=True, kw_only=True)
class NetworkCreateRequest:
    """The body of POST /networks/create."""

    check_duplicate: bool = wire("CheckDuplicate", BOOL)
    driver: str = wire("Driver", STRING)
    scope: str = wire("Scope", STRING)
    enable_ipv6: bool = wire("EnableIPv6", BOOL)
    ipam: IPAM | None = wire("IPAM", pointer(struct(IPAM, go_type="network.IPAM")))
    internal: bool = wire("Internal", BOOL)
    attachable: bool = wire("Attachable", BOOL)
    ingress: bool = wire("Ingress", BOOL)
    config_only: bool = wire("ConfigOnly", BOOL)
    config_from: ConfigReference | None = wire(
        "ConfigFrom", pointer(struct(ConfigReference, go_type="network.ConfigReference"))
    )
    options: dict[str, str] | None = wire("Options", STRING_MAP)
    labels: dict[str, str] | None = wire("Labels", STRING_MAP)
    name: str = wire("Name", STRING)


@dataclass(slots=True, kw_only=True)
class NetworkConnectRequest:
    """The body of POST /networks/{id}/connect."""

    container: str = wire("Container", STRING)
    endpoint_config: EndpointSettings | None = wire("EndpointConfig", pointer(ENDPOINT_SETTINGS))


@dataclass(slots=True, kw_only=True)
class NetworkDisconnectRequest:
    """The body of POST /networks/{id}/disconnect."""

    container: str = wire("Container", STRING)
    force: bool = wire("Force", BOOL)
