"""What a create request may say, checked before anything is made.

The order of the checks is Docker's, because the first that fails is the one that a client sees.
Beyond Docker's own, one thing is checked: control characters and white space in whatever reaches
/etc/hosts, /etc/hostname or /etc/resolv.conf, which Docker 20.10 lets through.

Mirrors: moby runconfig/hostconfig_unix.go, runconfig/errors.go, daemon/container.go
verifyContainerSettings, daemon/create.go verifyNetworkingConfig (v20.10).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

from refimpl.daemon.config import DEFAULT_RUNTIME
from refimpl.daemon.containers.refusals import HOST_LINKS
from refimpl.errors import EngineError, InvalidParameter
from refimpl.libnetwork.ipam import is_ip
from refimpl.model.ports import parse_host_port, parse_port, split_proto_port
from refimpl.model.strconv import quote
from refimpl.model.wire_container import (
    Config,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    RestartPolicy,
)
from refimpl.oci.capabilities import BY_NUMBER

MEMORY_BYTES_MIN = 6 << 20
NAME = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_UNSAFE = re.compile(r"[\s\x00-\x1f\x7f]")


def verify_name(name: str) -> None:
    """Check a container's name.

    Raises:
        InvalidParameter: it has other characters, or only one.
    """
    if not NAME.fullmatch(name):
        raise InvalidParameter(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        )


def verify_net_mode(config: Config, host_config: HostConfig) -> None:
    """Check that the options go together with the network mode (moby: validateNetMode).

    Raises:
        InvalidParameter: two options exclude each other.
    """
    mode = host_config.network_mode
    if mode.is_container():
        _verify_net_container_mode(config, host_config)
    elif mode.is_host() and config.mac_address:
        raise InvalidParameter("conflicting options: mac-address and the network mode")
    if host_config.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if mode.is_host() and host_config.links:
        raise InvalidParameter(HOST_LINKS)


def _verify_net_container_mode(config: Config, host_config: HostConfig) -> None:
    """Check what a container may not have of its own (moby: validateNetContainerMode)."""
    if not host_config.network_mode.connected_container().partition(":")[0]:
        raise InvalidParameter("Invalid network mode: invalid container format container:<name|id>")
    publishes = bool(host_config.port_bindings) or host_config.publish_all_ports
    exclusions = (
        (bool(config.hostname), "hostname and the network mode"),
        (
            bool(host_config.links),
            "container type network can't be used with links. This would result in undefined "
            "behavior",
        ),
        (bool(host_config.dns), "dns and the network mode"),
        (bool(host_config.extra_hosts), "custom host-to-IP mapping and the network mode"),
        (bool(config.mac_address), "mac-address and the network mode"),
        (publishes, "port publishing and the container type network mode"),
        (bool(config.exposed_ports), "port exposing and the container type network mode"),
    )
    for is_given, what in exclusions:
        if is_given:
            raise InvalidParameter(f"conflicting options: {what}")


def verify_isolation(host_config: HostConfig) -> None:
    """Check the isolation, which Linux has one of.

    Raises:
        EngineError: another one is asked for.
    """
    if host_config.isolation.lower() not in {"", "default"}:
        raise EngineError(
            f"Invalid isolation: {quote(host_config.isolation)} - linux only supports 'default'"
        )


def verify_container_config(config: Config) -> None:
    """Check the portable part of a configuration (moby: validateContainerConfig).

    Raises:
        InvalidParameter: a value can never work.
    """
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an "
            "absolute path"
        )
    if config.stop_signal:
        parse_signal(config.stop_signal)
    for variable in config.env or []:
        if not variable.partition("=")[0]:
            raise InvalidParameter(f"invalid environment variable: {variable}")
    verify_word("hostname", config.hostname)
    verify_word("domainname", config.domainname)


def verify_host_config(host_config: HostConfig) -> None:
    """Check the part that depends on the host (moby: validateHostConfig).

    Raises:
        InvalidParameter: a value can never work.
    """
    if host_config.auto_remove and host_config.restart_policy.name not in {"", "no"}:
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    for text in host_config.extra_hosts or []:
        split_extra_host(text)
    _verify_port_bindings(host_config)
    _verify_restart_policy(host_config.restart_policy)
    for field, names in (("CapAdd", host_config.cap_add), ("CapDrop", host_config.cap_drop)):
        for name in names or []:
            normalise_capability(name, field)
    dns, search, options = host_config.dns, host_config.dns_search, host_config.dns_options
    for entry in (*(dns or ()), *(search or ()), *(options or ())):
        verify_word("DNS entry", entry)
    _verify_platform_settings(host_config)


def _verify_platform_settings(host_config: HostConfig) -> None:
    """Check what only Linux has (moby: verifyPlatformContainerSettings)."""
    _verify_memory(host_config)
    if host_config.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    if host_config.runtime not in {"", DEFAULT_RUNTIME}:
        raise InvalidParameter(f"Unknown runtime specified {host_config.runtime}")


def _verify_memory(host_config: HostConfig) -> None:
    """Check the memory of the resources (moby: verifyPlatformContainerResources)."""
    memory, swap = host_config.memory, host_config.memory_swap
    if memory != 0 and memory < MEMORY_BYTES_MIN:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory and 0 < swap < memory:
        raise InvalidParameter(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if not memory and swap > 0:
        raise InvalidParameter(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    swappiness = host_config.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:  # -1 is no choice
        raise InvalidParameter(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )
    if 0 < host_config.memory_reservation < MEMORY_BYTES_MIN:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if 0 < memory < host_config.memory_reservation:
        raise InvalidParameter(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )
    if 0 < host_config.kernel_memory < MEMORY_BYTES_MIN:
        raise InvalidParameter("Minimum kernel memory limit allowed is 6MB")


def _verify_port_bindings(host_config: HostConfig) -> None:
    """Check ports of the container and of the host (moby: validatePortBindings)."""
    for key, bindings in (host_config.port_bindings or {}).items():
        _, port = split_proto_port(key)
        _verify_port(parse_port, port)
        for binding in bindings or []:
            _verify_port(parse_host_port, binding.host_port)


def _verify_port(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError:
        raise InvalidParameter(f"invalid port specification: {quote(text)}") from None


def _verify_restart_policy(policy: RestartPolicy) -> None:
    if policy.name in {"always", "unless-stopped", "no"}:
        if policy.maximum_retry_count != 0:
            raise InvalidParameter(
                f"maximum retry count cannot be used with restart policy '{policy.name}'"
            )
    elif policy.name == "on-failure":
        if policy.maximum_retry_count < 0:
            raise InvalidParameter("maximum retry count cannot be negative")
    elif policy.name:
        raise InvalidParameter(f"invalid restart policy '{policy.name}'")


def verify_word(what: str, word: str) -> None:
    """Refuse what would be more than one word in /etc/hosts, /etc/hostname or /etc/resolv.conf.

    Docker 20.10 refuses none of it: a host name with a space in it is two names in /etc/hosts.

    Args:
        what: what the word is, as the error calls it.
        word: the name, the address or the option.

    Raises:
        InvalidParameter: there is white space or a control character in it.
    """
    if _UNSAFE.search(word):
        raise InvalidParameter(f"invalid {what} format: {quote(word)}")


def normalise_capability(name: str, field: str) -> str:
    """Write a capability as `CAP_NAME`; `ALL` stays.

    Raises:
        InvalidParameter: there is no such capability.
    """
    upper = name.upper()
    if upper == "ALL":
        return upper
    full = upper if upper.startswith("CAP_") else f"CAP_{upper}"
    if full not in BY_NUMBER:
        raise InvalidParameter(f'invalid {field}: unknown capability: "{full}"')
    return full


def split_extra_host(text: str) -> tuple[str, str]:
    """Split `name:address` (moby: opts.ValidateExtraHost); the address may be IPv6.

    Raises:
        InvalidParameter: there is no name, or no address.
    """
    name, separator, address = text.partition(":")
    if not separator or not name or _UNSAFE.search(name):
        raise InvalidParameter(f"bad format for add-host: {quote(text)}")
    address = address.strip()
    if address != "host-gateway" and not is_ip(address):
        raise InvalidParameter(f"invalid IP address in add-host: {quote(address)}")
    return name, address


def verify_networking_config(networking: NetworkingConfig | None) -> dict[str, EndpointSettings]:
    """Check the endpoints of a create request, and return them without nulls.

    Raises:
        InvalidParameter: more than one, a null one, or an address that is none.
    """
    endpoints = (networking.endpoints_config if networking else None) or {}
    if len(endpoints) > 1:
        raise InvalidParameter(
            f"Container cannot be connected to network endpoints: {', '.join(sorted(endpoints))}"
        )
    checked = {}
    for name, settings in endpoints.items():
        if settings is None:
            raise InvalidParameter(f"no EndpointSettings for {name}")
        verify_endpoint(settings)
        checked[name] = settings
    return checked


def verify_endpoint(settings: EndpointSettings) -> None:
    """Check one endpoint's addresses and aliases.

    Raises:
        InvalidParameter: an address is none, or an alias would break a file.
    """
    ipam = settings.ipam_config
    if ipam is not None and ipam.ipv4_address and not is_ip(ipam.ipv4_address, 4):
        raise InvalidParameter(f"invalid IPv4 address: {ipam.ipv4_address}")
    if ipam is not None and ipam.ipv6_address and not is_ip(ipam.ipv6_address, 6):
        raise InvalidParameter(f"invalid IPv6 address: {ipam.ipv6_address}")
    for alias in settings.aliases or []:
        verify_word("network alias", alias)


def parse_signal(text: str) -> int:
    """Read a signal's name (with or without SIG, in any case) or number.

    Raises:
        InvalidParameter: it is neither.
    """
    if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        number = int(text)
        if number == 0:
            raise InvalidParameter(f"Invalid signal: {text}")
        return number
    name = text.upper().removeprefix("SIG")
    offset = re.fullmatch(r"(RTMIN|RTMAX)(?:([+-])([0-9]{1,3}))?", name)
    if offset is not None:
        number = int(signal.Signals[f"SIG{offset[1]}"])
        number += int(f"{offset[2] or '+'}{offset[3] or 0}")
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise InvalidParameter(f"Invalid signal: {text}") from None
