"""The containers and networks of an engine, as what concerns them is asked.

A predicate is a function of a `Setup` that yields an `Effect` for each container or network that a
difference concerns. It stands beside the row's test and is named in its declaration:

    def with_ports_in_vain(setup):
        for one in setup.containers:
            if one.ports and all(setup.is_internal(end.network) for end in one.endpoints):
                yield one.effect("ports", "on internal networks alone", "is not published")

    @behaviour("ports.internal.disconnected", ..., concerns=with_ports_in_vain)
"""

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from conformance.versions import parse_version

# A mode in which a container has no network namespace of its own, or none that is connected.
_ELSEWHERE = ("host", "none", "container:")
_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"


@dataclass(frozen=True, slots=True)
class Effect:
    """What a difference does to one container or network.

    Attributes:
        kind: "container" or "network".
        name: its name.
        about: what changes: "starts", "default route", "mac on NETWORK", ...; "anew" = what happens
            when it is made again, "later" = what happens at an operation.
        why: what of it makes the difference concern it.
        change: what changes; it holds for who goes to a newer Docker.
        is_certain: False = it can happen, and need not.
    """

    kind: str
    name: str
    about: str
    why: str
    change: str
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A container's settings on one network.

    Attributes:
        network: the network's name.
        ipv4: the address that was chosen; "" = the engine chooses.
        ipv6: likewise.
        address: the IPv4 address that it has; "" while the container does not run.
        address6: likewise.
        mac: the hardware address that it has.
        aliases: those shown.
        options: the driver's.
        priority: of the default route (GwPriority).
    """

    network: str
    ipv4: str = ""
    ipv6: str = ""
    address: str = ""
    address6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    priority: int = 0

    @property
    def is_mac_of_address(self) -> bool:
        """Whether the hardware address is the one that Docker before 28.0 makes of the IPv4 one."""
        try:
            packed = ipaddress.IPv4Address(self.address).packed
        except ValueError:
            return False
        return self.mac.lower() == "02:42:" + packed.hex(":")


@dataclass(frozen=True, kw_only=True)
class Container:
    """One container.

    Attributes:
        name: without the slash.
        status: "running", "created", "exited", ...
        mode: its network mode, with a network's name where that was given by id.
        endpoints: its settings on each of its networks, sorted by the network's name.
        hostname: the one that it was given or that was generated.
        mac: the hardware address that was chosen for the whole container.
        is_disabled: whether it was made with NetworkDisabled.
        servers: its DNS servers.
        links: legacy links.
        ports: for each published port its wanted `(address, port)`; ("", "") = the engine chooses.
        exposed: the ports that it exposes, such as "80/tcp".
        sysctls: as given.
        restart: its restart policy; "" = none.
    """

    name: str
    id: str = ""
    status: str = "running"
    mode: str = "bridge"
    endpoints: tuple[Endpoint, ...] = ()
    hostname: str = ""
    mac: str = ""
    is_disabled: bool = False
    servers: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    ports: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    exposed: tuple[str, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    restart: str = ""
    is_removed_at_end: bool = False

    @property
    def has_own_network(self) -> bool:
        """Whether it has a namespace with networks that are its own."""
        return not self.mode.startswith(_ELSEWHERE) and not self.is_disabled

    @property
    def has_chosen_hostname(self) -> bool:
        """Whether its hostname is not the generated one, its short id."""
        return bool(self.hostname) and not self.id.startswith(self.hostname)

    @property
    def runs(self) -> bool:
        """Whether it runs, or its policy is about to start it again."""
        return self.status in ("running", "restarting", "paused")

    @property
    def user_endpoints(self) -> tuple[Endpoint, ...]:
        """Those on networks that a user made."""
        predefined = ("bridge", "host", "none")
        return tuple(end for end in self.endpoints if end.network not in predefined)

    @property
    def switches_ipv6_off(self) -> bool:
        """Whether a sysctl switches IPv6 off on all its links."""
        return self.sysctls.get("net.ipv6.conf.all.disable_ipv6") == "1"

    def effect(self, about: str, why: str, change: str, *, is_certain: bool = True) -> Effect:
        """Say what a difference does to it."""
        return Effect("container", self.name, about, why, change, is_certain)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A subnet of a network, as it was given; `taken` are its auxiliary addresses."""

    subnet: str
    gateway: str = ""
    range: str = ""
    taken: tuple[str, ...] = ()

    @property
    def is_ipv6(self) -> bool:
        """Which family it is of."""
        return ":" in self.subnet

    def holds(self, address: str) -> bool:
        """Tell whether an address is of it."""
        try:
            return ipaddress.ip_address(address) in ipaddress.ip_network(self.subnet, strict=False)
        except ValueError:
            return False

    @property
    def has_host_bits(self) -> bool:
        """Whether it is written with an address of a host in it."""
        try:
            given = ipaddress.ip_interface(self.subnet)
        except ValueError:
            return False
        return given.ip != given.network.network_address


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network."""

    name: str
    id: str = ""
    driver: str = "bridge"
    is_internal: bool = False
    has_ipv4: bool = True
    has_ipv6: bool = False
    pools: tuple[Pool, ...] = ()
    options: dict[str, str] = field(default_factory=dict)

    @property
    def is_masqueraded(self) -> bool:
        """Whether what its containers send gets the machine's address."""
        return self.options.get(_MASQUERADE, "true").lower() not in ("0", "false", "f")

    def effect(self, about: str, why: str, change: str, *, is_certain: bool = True) -> Effect:
        """Say what a difference does to it."""
        return Effect("network", self.name, about, why, change, is_certain)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that is there, and where it goes to.

    Attributes:
        containers: in the order in which they were read.
        networks: likewise; a network that was not shown is none of them.
        source: the version that it is of.
        target: the version that it goes to.
        is_docker: whether both are Docker's.
        is_anew: whether containers are made anew, as from a compose file, and not taken over.
        is_live_restored: whether containers run on while the engine restarts.
    """

    containers: tuple[Container, ...] = ()
    networks: tuple[Network, ...] = ()
    source: str = ""
    target: str = ""
    is_docker: bool = True
    is_anew: bool = False
    is_live_restored: bool = False

    def crosses(self, release: str) -> bool:
        """Tell whether the way from the one version to the other passes a release of Docker."""
        if not self.is_docker:
            return False
        return parse_version(self.source) < parse_version(release) <= parse_version(self.target)

    @cached_property
    def _by_name(self) -> dict[str, Network]:
        return {network.name: network for network in self.networks}

    def network(self, name: str) -> Network:
        """Give a network; one that was not shown counts as a plain bridge network."""
        return self._by_name.get(name) or Network(name=name)

    @cached_property
    def _members(self) -> dict[str, list[Container]]:
        found: dict[str, list[Container]] = {}
        for one in self.containers:
            for end in one.endpoints:
                found.setdefault(end.network, []).append(one)
        return found

    def members(self, network: str) -> list[Container]:
        """Give the containers on a network."""
        return self._members.get(network, [])

    def by_preference(self, container: Container, *, minds_ipv6_off: bool = False) -> list[str]:
        """Give a container's networks in the order in which Docker likes them for a default route.

        Before 28.0 that is the order of the links' numbers, too: first those that lead on, then
        those with IPv6, then by name.

        Args:
            container: whose.
            minds_ipv6_off: whether IPv6 that is switched off in it counts, as from 28.0 on.
        """
        is_off = minds_ipv6_off and container.switches_ipv6_off

        def place(name: str) -> tuple[bool, bool, str]:
            network = self.network(name)
            return network.is_internal, is_off or not network.has_ipv6, name

        return sorted((end.network for end in container.endpoints), key=place)

    def default_route(self, container: Container, *, minds_ipv6_off: bool = False) -> str:
        """Give the network of the default route; "" where none leads on."""
        for name in self.by_preference(container, minds_ipv6_off=minds_ipv6_off):
            network = self.network(name)
            if not network.is_internal and network.has_ipv4 and network.driver != "null":
                return name
        return ""

    def has_ipv6_route(self, container: Container) -> bool:
        """Tell whether a container has an IPv6 default route, on Docker before 25.0."""
        first = next(iter(self.by_preference(container)), "")
        is_there = container.runs and container.has_own_network and self.network(first).has_ipv6
        return is_there and not container.switches_ipv6_off


Predicate = Callable[[Setup], Iterable[Effect]]


def nobody(_: Setup) -> Iterable[Effect]:
    """Concern nothing that is there: the newer engine does more than before."""
    return ()
