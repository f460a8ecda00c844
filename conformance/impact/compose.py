"""Reads a compose file as `docker compose config` resolves it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conformance.impact.documents import FILE_BYTES_MAX, as_part
from conformance.impact.parts import Part, SetupError
from conformance.impact.setup import Container, Endpoint, Network, Pool

_TIMEOUT_S = 60


def read_compose(path: Path) -> tuple[list[Container], list[Network]]:
    """Read the services of a compose file as the containers that it makes.

    Raises:
        SetupError: the file, or the program that reads it, is missing; or that refuses the file.
    """
    if not path.is_file():
        raise SetupError(f"{path}: there is no such file")
    program = compose_program()
    if not program:
        raise SetupError(
            "a compose file is read by Docker's compose plugin, which is not installed here "
            "(`docker compose version` fails): install the package docker-compose-plugin or "
            "docker-compose-v2, or make the containers and use --inspect"
        )
    done = _run(*program, "-f", str(path), "config", "--format", "json")
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()[-500:]
        raise SetupError(f"{path}: `docker compose config` refuses it: {said}")
    if len(done.stdout) > FILE_BYTES_MAX:
        raise SetupError(f"{path}: `docker compose config` prints too much")
    try:
        document = json.loads(done.stdout)
    except (RecursionError, ValueError) as exc:
        raise SetupError(f"{path}: `docker compose config` prints no JSON: {exc}") from exc
    return objects_of_compose(as_part(document, str(path)))


def compose_program() -> list[str]:
    """Give the words that run compose, nothing where there is none; version 1 prints no JSON.

    Raises:
        SetupError: the program does not end.
    """
    for words in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(words[0]) is None:
            continue
        asked = _run(*words, "version", "--short")
        if asked.returncode == 0 and not asked.stdout.lstrip(b"v").startswith(b"1."):
            return words
    return []


def _run(*command: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        said = " ".join(command)
        raise SetupError(f"`{said}` does not end within {_TIMEOUT_S} seconds") from exc


def objects_of_compose(document: Part) -> tuple[list[Container], list[Network]]:
    """Read what `docker compose config --format json` prints."""
    names = {}
    networks = []
    for key, part in document.part("networks").parts():
        network = _network(key, part)
        names[key] = network.name
        networks.append(network)
    containers = [_container(key, part, names) for key, part in document.part("services").parts()]
    return containers, networks


def _network(key: str, part: Part) -> Network:
    return Network(
        name=part.text("name") or key,
        driver=part.text("driver") or "bridge",
        is_internal=part.flag("internal"),
        has_ipv4=part.flag("enable_ipv4") or not part.has("enable_ipv4"),
        has_ipv6=part.flag("enable_ipv6"),
        pools=tuple(
            Pool(
                subnet=pool.text("subnet"),
                gateway=pool.text("gateway"),
                range=pool.text("ip_range"),
                taken=tuple(pool.words("aux_addresses").values()),
            )
            for pool in part.part("ipam").members("config")
        ),
        options=part.words("driver_opts"),
    )


def _container(key: str, part: Part, names: dict[str, str]) -> Container:
    attached = part.part("networks")
    endpoints = []
    for network in attached.value:
        settings = attached.part(network)
        endpoints.append(
            Endpoint(
                network=names.get(network, network),
                ipv4=settings.text("ipv4_address"),
                ipv6=settings.text("ipv6_address"),
                mac=settings.text("mac_address"),
                aliases=settings.texts("aliases"),
                options=settings.words("driver_opts"),
                priority=settings.number("gw_priority"),
            )
        )
    mode = part.text("network_mode") or (endpoints[0].network if endpoints else "bridge")
    return Container(
        name=part.text("container_name") or key,
        id=key,
        status="created",
        mode=mode.replace("service:", "container:"),
        endpoints=tuple(sorted(endpoints, key=lambda end: end.network)),
        hostname=part.text("hostname"),
        mac=part.text("mac_address"),
        servers=part.texts("dns"),
        ports=_ports(part),
        exposed=tuple(f"{port}/tcp" if "/" not in port else port for port in part.texts("expose")),
        sysctls=part.words("sysctls"),
        restart=part.text("restart").removeprefix("no"),
    )


def _ports(part: Part) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for key, wanted in _published(part):
        found[key] = (*found.get(key, ()), wanted)
    return found


def _published(part: Part) -> Iterator[tuple[str, tuple[str, str]]]:
    for port in part.members("ports"):
        key = f"{port.number('target')}/{port.text('protocol') or 'tcp'}"
        yield key, (port.text("host_ip"), port.text("published"))
