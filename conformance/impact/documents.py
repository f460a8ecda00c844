"""Reads what `docker inspect` prints of containers and networks; whoever wrote it."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from conformance.impact.parts import Part, SetupError
from conformance.impact.setup import Container, Endpoint, Network, Pool

FILE_BYTES_MAX = 256 * 1024 * 1024
DOCUMENTS_MAX = 20_000
_SHORT_ID_CHARS = 12


def read_dump(path: Path) -> list[Part]:
    """Read a file with what `docker inspect` printed; "-" = standard input.

    Raises:
        SetupError: naming the file, and what is wrong with it.
    """
    data = _read_bounded(path)
    try:
        documents = json.loads(data)
    except RecursionError as exc:
        raise SetupError(f"{path}: it is nested too deeply") from exc
    except ValueError as exc:  # no JSON, no UTF-8, or a number of thousands of digits
        raise SetupError(f"{path} is not JSON: {exc}") from exc
    if isinstance(documents, dict):
        documents = [documents]
    if not isinstance(documents, list):
        raise SetupError(f"{path}: expected a list, as `docker inspect` prints it")
    if len(documents) > DOCUMENTS_MAX:
        raise SetupError(f"{path} has more than {DOCUMENTS_MAX} documents")
    return [as_part(entry, f"{path}[{index}]") for index, entry in enumerate(documents)]


def _read_bounded(path: Path) -> bytes:
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with path.open("rb") as file:
                data = file.read(FILE_BYTES_MAX + 1)
    except OSError as exc:
        raise SetupError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > FILE_BYTES_MAX:
        raise SetupError(f"{path} has more than {FILE_BYTES_MAX // 1024 // 1024} MB")
    return data


def as_part(document: Any, place: str) -> Part:
    """Begin to read a document."""
    if not isinstance(document, dict):
        raise SetupError(f"{place}: expected an object, found {type(document).__name__}")
    return Part(document, place)


def objects_of(documents: Iterable[Part]) -> tuple[list[Container], list[Network]]:
    """Tell containers and networks apart and read them.

    Raises:
        SetupError: one is neither, has a field of another type, or stands twice.
    """
    found: list[Part] = []
    networks: dict[str, Network] = {}
    for document in documents:
        if document.has("HostConfig"):
            found.append(document)
        elif document.has("IPAM"):
            network = network_of(document)
            if network.id in networks:
                raise SetupError(f"{document.place}: the network {network.name} stands twice")
            networks[network.id] = network
        else:
            raise SetupError(f"{document.place} is neither a container nor a network")
    containers: dict[str, Container] = {}
    for document in found:
        container = container_of(document, networks.values())
        if container.id in containers:
            raise SetupError(f"{document.place}: the container {container.name} stands twice")
        containers[container.id] = container
    return list(containers.values()), list(networks.values())


def network_of(document: Part) -> Network:
    """Read a network's inspect document."""
    name = document.text("Name")
    if not name:
        raise SetupError(f"{document.place}: the network has no Name")
    return Network(
        name=name,
        id=document.text("Id") or name,
        driver=document.text("Driver") or "bridge",
        is_internal=document.flag("Internal"),
        has_ipv4=document.flag("EnableIPv4") or not document.has("EnableIPv4"),
        has_ipv6=document.flag("EnableIPv6"),
        pools=tuple(
            Pool(
                subnet=pool.text("Subnet"),
                gateway=pool.text("Gateway"),
                range=pool.text("IPRange"),
                taken=tuple(pool.words("AuxiliaryAddresses").values()),
            )
            for pool in document.part("IPAM").members("Config")
        ),
        options=document.words("Options"),
    )


def container_of(document: Part, networks: Iterable[Network]) -> Container:
    """Read a container's inspect document."""
    name = document.text("Name").removeprefix("/")
    if not name:
        raise SetupError(f"{document.place}: the container has no Name")
    id = document.text("Id") or name
    config, host = document.part("Config"), document.part("HostConfig")
    endpoints = document.part("NetworkSettings").part("Networks").parts()
    return Container(
        name=name,
        id=id,
        status=document.part("State").text("Status") or "created",
        mode=_mode(host.text("NetworkMode"), networks),
        endpoints=tuple(
            sorted((_endpoint(key, part, id) for key, part in endpoints), key=lambda e: e.network)
        ),
        hostname=config.text("Hostname"),
        mac=config.text("MacAddress"),
        is_disabled=config.flag("NetworkDisabled"),
        servers=host.texts("Dns"),
        links=host.texts("Links"),
        ports=_ports(host.part("PortBindings")),
        exposed=tuple(sorted(key for key, _ in config.part("ExposedPorts").parts())),
        sysctls=host.words("Sysctls"),
        restart=host.part("RestartPolicy").text("Name").removeprefix("no"),
        is_removed_at_end=host.flag("AutoRemove"),
    )


def _mode(given: str, networks: Iterable[Network]) -> str:
    if given in ("", "default"):
        return "bridge"
    named = {network.name for network in networks}
    if given not in named and len(given) >= _SHORT_ID_CHARS:
        for network in networks:
            if network.id.startswith(given):
                return network.name
    return given


def _ports(bindings: Part) -> dict[str, tuple[tuple[str, str], ...]]:
    found = {}
    for key in bindings.value:
        wanted = bindings.members(key)
        found[key] = tuple((one.text("HostIp"), one.text("HostPort")) for one in wanted)
    return found


def _endpoint(network: str, part: Part, container: str) -> Endpoint:
    chosen = part.part("IPAMConfig")
    short = container[:_SHORT_ID_CHARS]
    return Endpoint(
        network=network,
        ipv4=chosen.text("IPv4Address"),
        ipv6=chosen.text("IPv6Address"),
        address=part.text("IPAddress"),
        address6=part.text("GlobalIPv6Address"),
        mac=part.text("MacAddress"),
        aliases=tuple(alias for alias in part.texts("Aliases") if alias != short),
        options=part.words("DriverOpts"),
        priority=part.number("GwPriority"),
    )
