"""Legacy links on the default bridge, and the options of a sandbox, which carry them.

A link is an edge from a container (the parent) to another (the child) under an alias. It gives the
parent a line in its hosts file and environment variables. The edges live in a
graph of their own, and on disk in the parent's `links.json`.

Mirrors: moby daemon/{links,container_operations,container_operations_unix}.go, daemon/links/
(v20.10).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import PurePath

from refimpl.daemon.core import DEFAULT_NETWORK, DaemonCore
from refimpl.daemon.network_options import normalised_ports, parse_link
from refimpl.daemon.verify import split_extra_host
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.model.container import Container
from refimpl.model.network import SandboxOptions
from refimpl.model.wire_container import HostConfig

HOST_LINKS = (
    "conflicting options: host type networking can't be used with links. This would result in "
    "undefined behavior"
)
"""runconfig.ErrConflictHostNetworkAndLinks"""


class LinkIndex:
    """The edges: (parent id, alias) to child id; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._edges: dict[tuple[str, str], str] = {}

    def link(self, parent: str, alias: str, child: str) -> None:
        """Add an edge, or turn one to another child."""
        with self._lock:
            self._edges[parent, alias] = child

    def unlink(self, parent: str, alias: str) -> bool:
        """Remove an edge; tell whether there was one."""
        with self._lock:
            return self._edges.pop((parent, alias), None) is not None

    def forget(self, container_id: str) -> None:
        """Remove every edge of a container that is removed."""
        with self._lock:
            for edge in [
                edge for edge, child in self._edges.items() if container_id in {edge[0], child}
            ]:
                del self._edges[edge]

    def children(self, parent: str) -> dict[str, str]:
        """Return what a container links to: alias to child id."""
        with self._lock:
            return {alias: child for (one, alias), child in self._edges.items() if one == parent}

    def parents(self, child: str) -> list[tuple[str, str]]:
        """Return who links to a container, as (alias, parent id)."""
        with self._lock:
            return [(alias, parent) for (parent, alias), one in self._edges.items() if one == child]


class Links(DaemonCore):
    """The part of the daemon that knows links and builds sandbox options."""

    link_index: LinkIndex

    def register_links(self, container: Container, host_config: HostConfig) -> None:
        """Resolve the links of a create request and remember them.

        Mirrors: moby daemon/daemon_unix.go registerLinks (v20.10).

        Raises:
            InvalidParameter: a container to link to is not there, or shares the host's network.
            EngineError: a link is malformed.
        """
        if host_config.network_mode.is_user_defined():
            return
        for link in host_config.links or []:
            name, alias = parse_link(link)
            try:
                child = self.get_container(name)
                while child.host_config.network_mode.is_container():
                    name = child.host_config.network_mode.connected_container()
                    child = self.get_container(name)
            except NotFound as error:
                raise InvalidParameter(f"could not get container for {name}: {error}") from error
            if child.host_config.network_mode.is_host():
                raise InvalidParameter(HOST_LINKS)
            self.link_index.link(container.id, alias, child.id)
        # from here on the graph is the truth, and inspect reads it
        host_config.links = None

    def linked_children(self, container: Container) -> Iterator[tuple[str, Container]]:
        """Yield (alias, child) for every link of a container (moby: daemon.children)."""
        for alias, child_id in self.link_index.children(container.id).items():
            yield alias, self.get_container(child_id)

    def link_documents(self, container: Container) -> list[str] | None:
        """Return inspect's `HostConfig.Links`: `/child:/parent/alias`, or None without any."""
        return [
            f"{child.name}:{container.name}/{alias}"
            for alias, child in self.linked_children(container)
        ] or None

    def drop_link_hosts(self, parent: Container, alias: str) -> None:
        """Take a removed link's lines out of its parent's hosts file (moby: updateNetwork)."""
        if not parent.hosts_path or not parent.state.running:
            return
        lines = self.files.read(parent.hosts_path).decode().splitlines(keepends=True)
        kept = [line for line in lines if line.split()[1:2] != [alias]]
        self.files.overwrite(parent.hosts_path, "".join(kept).encode())

    def save_links(self, container: Container) -> None:
        """Write a container's links where `load_links` finds them after a restart."""
        document = self.link_index.children(container.id)
        path = str(PurePath(container.root, "links.json"))
        if document:
            self.files.write(path, json.dumps(document).encode())
        else:
            self.files.remove(path)

    def load_links(self, container: Container) -> None:
        """Read what `save_links` wrote."""
        try:
            document = json.loads(self.files.read(str(PurePath(container.root, "links.json"))))
        except FileNotFoundError:
            return
        for alias, child in document.items():
            self.link_index.link(container.id, alias, child)

    def setup_linked_containers(self, container: Container) -> list[str]:
        """Return the environment variables that a container's links give it.

        Mirrors: moby daemon/container_operations_unix.go setupLinkedContainers, daemon/links/
        (v20.10).

        Raises:
            EngineError: a linked container does not run.
        """
        networks = container.network_settings.networks or {}
        if DEFAULT_NETWORK not in networks:
            return []
        environment: list[str] = []
        for alias, child in self.linked_children(container):
            full_alias = f"{container.name}/{alias}"
            if not child.state.running:
                raise EngineError(
                    f"Cannot link to a non running container: {child.name} AS {full_alias}"
                )
            entry = (child.network_settings.networks or {}).get(DEFAULT_NETWORK)
            if entry is not None:
                environment += _link_environment(
                    alias, full_alias, child, entry.settings.ip_address
                )
        return environment

    def build_sandbox_options(self, container: Container) -> SandboxOptions:
        """Say what a sandbox is to be: names, files, name servers, hosts lines, links.

        The link lines are only there when `bridge` is connected already, which is why
        `allocate_network` connects it first.

        Mirrors: moby daemon/container_operations.go buildSandboxOptions and
        daemon/container_operations_unix.go setupPathsAndSandboxOptions (v20.10).

        Raises:
            InvalidParameter: an extra host is malformed.
            EngineError: a linked container is not on the default network.
        """
        host_config, config = container.host_config, self.config
        container.hosts_path = str(PurePath(container.root, "hosts"))
        container.resolv_conf_path = str(PurePath(container.root, "resolv.conf"))
        is_host = host_config.network_mode.is_host()
        extra_hosts = tuple(self._extra_host(text) for text in host_config.extra_hosts or [])
        return SandboxOptions(
            container_id=container.id,
            hostname=container.config.hostname,
            domainname=container.config.domainname,
            hosts_path=container.hosts_path,
            resolv_conf_path=container.resolv_conf_path,
            # extra lines have no place in a copy of the host's file
            origin_hosts_path="/etc/hosts" if is_host and not extra_hosts else "",
            origin_resolv_conf_path=config.host_resolv_conf_path,
            use_default_sandbox=is_host,
            extra_hosts=extra_hosts + tuple(self._link_hosts(container)),
            parent_updates=tuple(self._parent_updates(container)),
            dns=tuple(host_config.dns or config.dns),
            dns_search=tuple(host_config.dns_search or config.dns_search),
            dns_options=tuple(host_config.dns_options or config.dns_options),
        )

    def _extra_host(self, text: str) -> tuple[str, str]:
        name, address = split_extra_host(text)
        if address != "host-gateway":
            return name, address
        bridge = self.controller().network_by_name(DEFAULT_NETWORK)
        gateway = bridge.gateway_address() if bridge is not None else ""
        if not gateway:
            raise EngineError("unable to derive the IP value for host-gateway")
        return name, gateway

    def _link_hosts(self, container: Container) -> Iterator[tuple[str, str]]:
        """Yield a hosts line per linked container, once `bridge` is connected."""
        own = (container.network_settings.networks or {}).get(DEFAULT_NETWORK)
        if own is None or not own.settings.endpoint_id:
            return
        for alias, child in self.linked_children(container):
            entry = (child.network_settings.networks or {}).get(DEFAULT_NETWORK)
            if entry is None or not is_linkable(child):
                raise EngineError(
                    f"Cannot link to {child.name}, as it does not belong to the default network"
                )
            names = [alias, child.config.hostname]
            if alias != child.name.removeprefix("/"):
                names.append(child.name.removeprefix("/"))
            for address in (entry.settings.ip_address, entry.settings.global_ipv6_address):
                if address:
                    yield " ".join(names), address

    def _parent_updates(self, container: Container) -> Iterator[tuple[str, str, str]]:
        """Yield (parent id, alias, own address) for every container that links here."""
        own = (container.network_settings.networks or {}).get(DEFAULT_NETWORK)
        if own is None or not own.settings.endpoint_id:
            return
        if self.config.disable_bridge or not container.host_config.network_mode.is_private():
            return
        for alias, parent_id in self.link_index.parents(container.id):
            yield parent_id, alias, own.settings.ip_address


def is_linkable(child: Container) -> bool:
    """Tell whether a container is on the default bridge (moby: isLinkable)."""
    return DEFAULT_NETWORK in (child.network_settings.networks or {})


def _link_environment(alias: str, full_alias: str, child: Container, address: str) -> list[str]:
    """Write the variables of one link.

    Mirrors: moby daemon/links/links.go Link.ToEnv (v20.10).
    """
    prefix = alias.replace("-", "_").upper()
    lines = []
    ports = [
        (int(number), protocol)
        for number, _, protocol in (port.partition("/") for port in normalised_ports(child))
    ]
    # the port that stands for the link is the lowest, tcp before udp
    ports.sort(key=lambda port: (port[0], port[1] != "tcp"))
    if ports:
        number, protocol = ports[0]
        lines.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for number, protocol in ports:
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        lines += [
            f"{name}={protocol}://{address}:{number}",
            f"{name}_ADDR={address}",
            f"{name}_PORT={number}",
            f"{name}_PROTO={protocol}",
        ]
    lines.append(f"{prefix}_NAME={full_alias}")
    for variable in child.config.env or []:
        key, separator, value = variable.partition("=")
        if separator and key not in {"HOME", "PATH"}:
            lines.append(f"{prefix}_ENV_{key}={value}")
    return lines
