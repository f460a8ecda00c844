"""A container's ports: which are to be published, and what inspect shows of them.

Mirrors: moby daemon/container_operations.go buildSandboxOptions, daemon/network.go
getEndpointPortMapInfo (v20.10).
"""

from __future__ import annotations

from typing import Any

from refimpl.daemon.containers.container import Container
from refimpl.daemon.network.options import normalised_port, normalised_ports
from refimpl.errors import EngineError
from refimpl.libnetwork.endpoint import JoinedSandbox
from refimpl.libnetwork.ipam import parse_ip
from refimpl.model.network import PortBinding
from refimpl.model.ports import parse_host_port


def wanted_ports(container: Container) -> tuple[PortBinding, ...]:
    """Return what a container wants to be published: of its exposed ports, those with a binding.

    They come in the order in which 20.10 takes them: the highest fixed port of the host first.

    Mirrors: nat.SortPortMap and buildSandboxOptions (v20.10).

    Raises:
        EngineError: a port of the host cannot be read, which a create has not let through.
    """
    exposed = container.config.exposed_ports
    if not exposed:
        return ()
    host_config = container.host_config
    bindings = host_config.port_bindings or {}
    wanted: list[tuple[str, PortBinding]] = []
    for key in exposed:
        port, protocol = normalised_port(key)
        for binding in bindings.get(key) or ():
            try:
                first, last = parse_host_port(binding.host_port)
            except ValueError as error:
                raise EngineError(
                    f"Error parsing HostPort value({binding.host_port}):{error}"
                ) from error
            host_ip = parse_ip(binding.host_ip)
            wanted.append((key, PortBinding(protocol, port, host_ip, first, last)))
        if host_config.publish_all_ports and not bindings.get(key):
            wanted.append((key, PortBinding(protocol, port)))
    wanted.sort(key=lambda each: (-each[1].host_port, each[1].port, each[1].protocol != "tcp"))
    # all bindings of a port come together, where its first one stands
    ordered: dict[str, list[PortBinding]] = {}
    for key, one in wanted:
        ordered.setdefault(key, []).append(one)
    return tuple(one for ones in ordered.values() for one in ones)


def get_port_map_info(container: Container, sandbox: JoinedSandbox) -> dict[str, Any]:
    """Return what inspect shows as `Ports`: exposed ports, and where they are published.

    Only networks that publish ports expose them, so host, none and internal networks show none.
    """
    endpoints = sandbox.endpoints()
    if not any(endpoint.join_info.external is not None for endpoint in endpoints):
        return {}
    ports: dict[str, Any] = dict.fromkeys(normalised_ports(container))
    for endpoint in endpoints:
        for one in endpoint.published:
            shown = {"HostIp": str(one.host_ip), "HostPort": str(one.host_port)}
            key = f"{one.port}/{one.protocol}"
            if ports.get(key) is None:
                ports[key] = []
            ports[key].append(shown)
    return ports
