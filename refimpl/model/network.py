"""The values of the container network model: what was asked for, and what an endpoint became.

All are frozen: a change is a new value. Those that every start makes are named tuples, which are
made several times faster than frozen dataclasses. The wire shapes that belong to one value alone
are here (`IPAMPool`); documents that join several values are built by the daemon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from types import MappingProxyType
from typing import Any, NamedTuple

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class IPAMPool:
    """One entry of `IPAM.Config`; every field as the client wrote it, "" when it gave none."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_wire(cls, entry: Mapping[str, Any]) -> IPAMPool:
        """Read one entry of `IPAM.Config` of a request."""
        return cls(
            subnet=entry.get("Subnet") or "",
            ip_range=entry.get("IPRange") or "",
            gateway=entry.get("Gateway") or "",
            aux_addresses=dict(entry.get("AuxiliaryAddresses") or {}),
        )

    def to_wire(self) -> dict[str, Any]:
        """Return the entry as inspect shows it: empty fields are left out (Go's omitempty)."""
        fields: dict[str, Any] = {
            "Subnet": self.subnet,
            "IPRange": self.ip_range,
            "Gateway": self.gateway,
            "AuxiliaryAddresses": dict(self.aux_addresses),
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """What a network is asked to be.

    Mirrors: the NetworkOption functions of libnetwork (v20.10) and types.NetworkCreate.
    """

    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    enable_ipv6: bool = False
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] | None = None
    """None is `null` in inspect, as for the predefined networks; a request's `{}` stays `{}`."""
    ipam: tuple[IPAMPool, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    """Driver options, as `com.docker.network.bridge.name`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    scope: str = "local"
    config_only: bool = False
    config_from: str = ""


class EndpointOptions(NamedTuple):
    """What an endpoint is asked to be; "" and empty mean: the engine chooses.

    Mirrors: container.BuildCreateEndpointOptions and BuildJoinOptions (moby v20.10), which are
    told to libnetwork at once here.
    """

    mac: str = ""
    ipv4: str = ""
    ipv6: str = ""
    link_local: tuple[str, ...] = ()
    """Link-local addresses that are put on the interface beside the others."""
    my_aliases: tuple[str, ...] = ()
    """Further names of this endpoint that its network's other members can resolve."""
    aliases: Mapping[str, str] = _NONE
    """Private names for this sandbox only: alias to the real name (endpoint Links)."""
    anonymous: bool = False
    """The container's name was generated: it is no name in the embedded DNS."""
    disable_resolution: bool = False
    """No embedded DNS because of this endpoint: true on the default bridge."""


class EndpointInfo(NamedTuple):
    """What an endpoint got: the source of the operational fields of EndpointSettings.

    Everything is empty on `host` and `none`, whose drivers allocate nothing.
    """

    id: str
    mac: str = ""
    ipv4: IPv4Interface | None = None
    """With the network's prefix: `str(info.ipv4.ip)` and `info.ipv4.network.prefixlen`."""
    ipv6: IPv6Interface | None = None
    gateway4: IPv4Address | None = None
    """The network's own gateway, whether or not the default route goes there."""
    gateway6: IPv6Address | None = None

    def with_gateways(
        self, gateway4: IPv4Address | None, gateway6: IPv6Address | None
    ) -> EndpointInfo:
        """Return it with the network's gateways."""
        return EndpointInfo(self.id, self.mac, self.ipv4, self.ipv6, gateway4, gateway6)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTarget:
    """What a legacy link leads to: where containers are kept apart, these ports stay open for it.

    Mirrors: the labels ChildEndpoints and ExposedPorts of libnetwork (v20.10).
    """

    address: str
    """The linked container's on the default bridge."""
    ports: tuple[str, ...]
    """The ports that it exposes, as `80/tcp`."""


class PortBinding(NamedTuple):
    """One wanted publication of a container's port.

    Mirrors: libnetwork types.PortBinding (v20.10).
    """

    protocol: str
    port: int
    """The container's."""
    host_ip: IPv4Address | IPv6Address | None = None
    """None leaves it to the network."""
    host_port: int = 0
    """The first of a range; 0 for the engine's choice."""
    host_port_end: int = 0


class SandboxOptions(NamedTuple):
    """What a sandbox is asked to be.

    Mirrors: daemon.buildSandboxOptions (moby v20.10).
    """

    container_id: str
    hosts_path: str
    """Where the sandbox's /etc/hosts is built (the daemon has checked what goes in)."""
    resolv_conf_path: str
    """Where its /etc/resolv.conf is built; `<path>.hash` lies beside it."""
    hostname: str = ""
    domainname: str = ""
    origin_hosts_path: str = ""
    """Copied as it is instead of building a hosts file: host mode without extra hosts."""
    origin_resolv_conf_path: str = ""
    """The file that nameservers are taken from; "" is the host's /etc/resolv.conf."""
    use_default_sandbox: bool = False
    """Host mode: no namespace of its own."""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """(names, address) in the order of the lines; legacy links come here too."""
    links: tuple[LinkTarget, ...] = ()
    """What the legacy links lead to."""
    ports: tuple[PortBinding, ...] = ()
    """The ports that are published where the default route leads to."""
    parent_updates: tuple[tuple[str, str, str], ...] = ()
    """(container id, name, address): hosts lines to change in the sandboxes that link here."""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
