"""Between a container's settings and the container network model: what is asked, what came out.

Mirrors: moby daemon/network.go buildCreateEndpointOptions, buildJoinOptions, buildEndpointInfo,
updateJoinInfo (v20.10).
"""

from __future__ import annotations

import re

from refimpl.daemon.containers.container import Container, EndpointState
from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork.endpoint import Endpoint
from refimpl.libnetwork.ipam import is_ip
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.limits import PORT_MAX
from refimpl.model.network import EndpointOptions
from refimpl.model.network_mode import DEFAULT_NETWORK, NetworkMode
from refimpl.model.wire_container import EndpointIPAMConfig, EndpointSettings

_PORT = re.compile(r"[0-9]{1,5}")


def recorded_networks(container: Container) -> dict[str, EndpointState]:
    """Return a container's map of networks, which exists from now on."""
    settings = container.network_settings
    if settings.networks is None:
        settings.networks = {}
    return settings.networks


def build_create_endpoint_options(
    container: Container, network: Network, ep_config: EndpointSettings
) -> EndpointOptions:
    """Say what an endpoint is to be.

    Raises:
        EngineError: an address cannot be parsed.
    """
    ipam = ep_config.ipam_config
    mode = container.host_config.network_mode
    # a container-wide MAC belongs to the network that the container was created with
    is_own_network = network.name == mode.network_name() or (
        network.name == DEFAULT_NETWORK and mode.is_default()
    )
    if container.config.mac_address and not is_own_network:
        is_own_network = _is_id_of(network, container)
    _verify_addresses(ipam)
    return EndpointOptions(
        mac=container.config.mac_address if is_own_network else "",
        ipv4=ipam.ipv4_address if ipam else "",
        ipv6=ipam.ipv6_address if ipam else "",
        link_local=tuple(ipam.link_local_ips or ()) if ipam else (),
        my_aliases=tuple(ep_config.aliases or ()),
        anonymous=container.network_settings.is_anonymous_endpoint,
        disable_resolution=not NetworkMode(network.name).is_user_defined(),
    )


def _is_id_of(network: Network, container: Container) -> bool:
    """Tell whether a container's mode is the id of a network or the beginning of it.

    v20.10 compares with the name alone, so that the MAC is lost (moby#46404, v24.0.7).
    """
    mode = container.host_config.network_mode
    reference = mode.network_name()
    is_name = reference in recorded_networks(container)
    return mode.is_user_defined() and not is_name and network.id.startswith(reference)


def build_join_options(options: EndpointOptions, ep_config: EndpointSettings) -> EndpointOptions:
    """Add the names that only this container knows: its links on one network.

    They are looked at after the endpoint is made and recorded, so that a malformed one leaves the
    endpoint's id and addresses in inspect, as in moby.

    Raises:
        EngineError: a link is malformed.
    """
    if not ep_config.links and not options.aliases:
        return options
    links = map(parse_link, ep_config.links or ())
    return options._replace(aliases={alias: name for name, alias in links})


def validate_networking_config(network: Network, ep_config: EndpointSettings) -> None:
    """Refuse a static address where the network's subnet is not the user's own choice.

    Mirrors: moby daemon/container_operations.go validateNetworkingConfig (v20.10).

    Raises:
        InvalidParameter: the network has no configured subnet of that family.
    """
    ipam = ep_config.ipam_config
    if ipam is None:
        return
    configured = [pool.subnet for pool in network.options.ipam if pool.subnet]
    for address, is_ipv6 in ((ipam.ipv4_address, False), (ipam.ipv6_address, True)):
        if address and not any((":" in subnet) == is_ipv6 for subnet in configured):
            raise InvalidParameter(
                "user specified IP address is supported only when connecting to networks with "
                "user configured subnets"
            )


def _verify_addresses(ipam: EndpointIPAMConfig | None) -> None:
    """Refuse what is no address; a create has been checked, a connect has not.

    Raises:
        EngineError: 500, and the odd bracket is v20.10's.
    """
    if ipam is None:
        return
    for address in ipam.link_local_ips or []:
        if address and not is_ip(address):
            raise EngineError(
                f"Invalid link-local IP address: [{' '.join(ipam.link_local_ips or [])}]"
            )
    if ipam.ipv4_address and not is_ip(ipam.ipv4_address):
        raise EngineError(f"Invalid IPv4 address: {ipam.ipv4_address})")
    if ipam.ipv6_address and not is_ip(ipam.ipv6_address):
        raise EngineError(f"Invalid IPv6 address: {ipam.ipv6_address})")


def parse_link(text: str) -> tuple[str, str]:
    """Split `name[:alias]` into name and alias.

    Mirrors: docker/cli opts.ParseLink as vendored by moby (v20.10).

    Raises:
        EngineError: it is malformed.
    """
    if not text:
        raise EngineError("empty string specified for links")
    parts = text.split(":")
    if len(parts) > 2:
        raise EngineError(f"bad format for links: {text}")
    if len(parts) == 1:
        return text, text
    name, alias = parts
    if name.startswith("/"):
        # the form that inspect shows: /name:/parent/alias
        return name.removeprefix("/"), alias.rpartition("/")[2]
    return name, alias


def update_sandbox_network_settings(container: Container, sandbox: Sandbox) -> None:
    """Record which sandbox a container has."""
    container.network_settings.sandbox_id = sandbox.id
    container.network_settings.sandbox_key = sandbox.key


def update_endpoint_network_settings(
    container: Container, network: Network, endpoint: Endpoint
) -> None:
    """Record what an endpoint got: its id, its addresses, its MAC."""
    settings = recorded_networks(container)[network.name].settings
    info = endpoint.info
    settings.network_id = network.id
    settings.endpoint_id = endpoint.id
    settings.mac_address = info.mac
    if info.ipv4 is not None:
        settings.ip_address = str(info.ipv4.ip)
        settings.ip_prefix_len = info.ipv4.network.prefixlen
    if info.ipv6 is not None:
        settings.global_ipv6_address = str(info.ipv6.ip)
        settings.global_ipv6_prefix_len = info.ipv6.network.prefixlen


def update_join_info(container: Container, network: Network, endpoint: Endpoint) -> None:
    """Record the gateways, which an endpoint has from its join on."""
    settings = recorded_networks(container)[network.name].settings
    info = endpoint.info
    settings.gateway = str(info.gateway4) if info.gateway4 is not None else ""
    settings.ipv6_gateway = str(info.gateway6) if info.gateway6 is not None else ""


def normalised_ports(container: Container) -> list[str]:
    """Return the exposed ports as `<port>/<protocol>`, the lowest first."""
    ports = {normalised_port(text) for text in container.config.exposed_ports or {}}
    return [f"{port}/{protocol}" for port, protocol in sorted(ports)]


def normalised_port(text: str) -> tuple[int, str]:
    """Read a port; what is none is 0, a protocol that is none is `0`, and so is a range.

    Mirrors: go-connections nat.Port and libnetwork types.ParseProtocol, as v20.10 uses them.
    """
    number, _, protocol = text.partition("/")
    port = int(number) if _PORT.fullmatch(number) else 0
    protocol = (protocol or ("tcp" if number else "")).lower()
    return (
        port if port <= PORT_MAX else 0,
        protocol if protocol in {"tcp", "udp", "sctp", "icmp"} else "0",
    )
