"""The environment variables that a legacy link gives its linker.

Mirrors: moby daemon/links/links.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from refimpl.daemon.containers.container import Container
from refimpl.daemon.network.options import normalised_ports

Port = tuple[int, str]
"""Number and protocol."""

_NOT_PASSED_ON = frozenset({"HOME", "PATH"})


def link_environment(alias: str, full_name: str, child: Container, address: str) -> list[str]:
    """Return `NAME=value` lines for one link (moby: Link.ToEnv).

    Args:
        alias: The link's alias, from which the names of the variables are made.
        full_name: `/<parent>/<alias>`.
        child: The linked container: its exposed ports and its own variables are told.
        address: The child's address on the default bridge.
    """
    prefix = alias.replace("-", "_").upper()
    ports = [
        (int(number), protocol)
        for number, _, protocol in (port.partition("/") for port in normalised_ports(child))
    ]
    # the port that stands for the link is the lowest, tcp before udp
    ports.sort(key=lambda port: (port[0], port[1] != "tcp"))
    lines = []
    if ports:
        number, protocol = ports[0]
        lines.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for first, last in _ranges(ports):
        lines += _range_lines(prefix, address, first, last)
    for number, protocol in ports:
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        lines += [
            f"{name}={protocol}://{address}:{number}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={protocol}",
        ]
    lines.append(f"{prefix}_NAME={full_name}")
    for variable in child.config.env or []:
        key, separator, value = variable.partition("=")
        if separator and key not in _NOT_PASSED_ON:
            lines.append(f"{prefix}_ENV_{key}={value}")
    return lines


def _ranges(ports: Sequence[Port]) -> Iterator[tuple[Port, Port]]:
    """Yield first and last of three or more ports in a row, whatever their protocols."""
    start = 0
    while start < len(ports):
        end = start
        while end + 1 < len(ports) and ports[end + 1][0] <= ports[start][0] + end + 1 - start:
            end += 1
        if end > start + 1:
            yield ports[start], ports[end]
            start = end
        start += 1


def _range_lines(prefix: str, address: str, first: Port, last: Port) -> list[str]:
    number, protocol = first
    name = f"{prefix}_PORT_{number}_{protocol.upper()}"
    return [
        f"{name}_START={protocol}://{address}:{number}",
        f"{name}_PORT_START={number}",
        f"{name}_END={last[1]}://{address}:{last[0]}",
        f"{name}_PORT_END={last[0]}",
    ]
