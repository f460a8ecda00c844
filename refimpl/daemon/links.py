"""Legacy links on the default bridge, and the options of a sandbox, which carry them.

A link is an edge from a container (the parent) to another (the child) under an alias. It gives the
parent a line in its hosts file and environment variables, and `<parent>/<alias>` is a name of the
child. The edges live in a graph of their own, and on disk in the parent's `links.json`.

Mirrors: moby daemon/{container_operations,container_operations_unix}.go (v20.10).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath

from refimpl.daemon.core import DEFAULT_NETWORK, DaemonCore, log
from refimpl.daemon.link_environment import link_environment
from refimpl.daemon.link_index import LinkIndex
from refimpl.daemon.network_options import normalised_ports, parse_link
from refimpl.daemon.verify import split_extra_host
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.model.container import Container
from refimpl.model.network import LinkTarget, SandboxOptions
from refimpl.model.wire_container import EndpointSettings, HostConfig

HOST_LINKS = (
    "conflicting options: host type networking can't be used with links. This would result in "
    "undefined behavior"
)
"""runconfig.ErrConflictHostNetworkAndLinks"""


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
            # moby begins the second text with a capital, and so does this
            complaint = "could"
            try:
                child = self.get_container(name)
                complaint = "Could"
                while child.host_config.network_mode.is_container():
                    name = child.host_config.network_mode.connected_container()
                    child = self.get_container(name)
            except NotFound as error:
                raise InvalidParameter(
                    f"{complaint} not get container for {name}: {error}"
                ) from error
            if child.host_config.network_mode.is_host():
                raise InvalidParameter(HOST_LINKS)
            if not self.link_index.link(container.id, alias, child):
                log.warning(
                    "error registering link for %s, to %s, as alias %s, ignoring: "
                    "the name is taken", container.id, child.id, alias,
                )  # fmt: skip
        # from here on the graph is the truth, and inspect reads it
        host_config.links = None

    def get_container(self, ref: str) -> Container:
        """Return a container by name, id, or id prefix, or by `<parent>/<alias>` of a link."""
        parent_name, _, alias = ref.strip("/").rpartition("/")
        if not parent_name:
            return super().get_container(ref)
        try:
            parent = super().get_container(parent_name)
        except EngineError:
            parent = None
        child = self.link_index.child(parent.id, alias) if parent is not None else None
        if child is None or parent is None or parent.name != f"/{parent_name}":
            raise NotFound(f"No such container: {ref}")
        return child

    def linked_children(self, container: Container) -> Iterator[tuple[str, Container]]:
        """Yield (alias, child) for every link of a container (moby: daemon.children)."""
        yield from self.link_index.children(container.id).items()

    def link_documents(self, container: Container) -> list[str] | None:
        """Return inspect's `HostConfig.Links`: `/child:/parent/alias`, or None without any."""
        return [
            f"{child.name}:{container.name}/{alias}"
            for alias, child in self.linked_children(container)
        ] or None

    def update_network(self, container: Container) -> None:
        """Give the sandbox of a container that lost a link the links that it has now.

        20.10 tells the sandbox to leave and join all its networks for that, which gives the
        interfaces new numbers; here they stay. What it does to the files is the same: they are
        built anew.

        Mirrors: moby daemon/container_operations.go updateNetwork (v20.10).
        """
        controller = self.net_controller
        sandbox = controller.get_sandbox(container.id) if controller is not None else None
        if sandbox is not None:
            sandbox.refresh(self.build_sandbox_options(container))

    def save_links(self, container: Container) -> None:
        """Write a container's links where `load_links` finds them after a restart."""
        children = self.link_index.children(container.id)
        document = {alias: child.id for alias, child in children.items()}
        path = str(PurePath(container.root, "links.json"))
        if document:
            self.files.write(path, json.dumps(document).encode())
        else:
            self.files.remove(path)

    def load_links(self, container: Container) -> None:
        """Read what `save_links` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            document = json.loads(self.files.read(str(PurePath(container.root, "links.json"))))
        except FileNotFoundError:
            return
        if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
            raise ValueError("links.json is no map of aliases to ids")
        for alias, child_id in document.items():
            try:
                self.link_index.link(container.id, alias, self.get_container(child_id))
            except EngineError as error:
                log.warning("a link of container %s to %s: %s", container.id, child_id, error)

    def setup_linked_containers(self, container: Container) -> list[str]:
        """Return the environment variables that a container's links give it.

        Mirrors: moby daemon/container_operations_unix.go setupLinkedContainers (v20.10).

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
                environment += link_environment(alias, full_alias, child, entry.settings.ip_address)
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
        container.hosts_path = f"{container.root}/hosts"
        container.resolv_conf_path = f"{container.root}/resolv.conf"
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
            links=tuple(self._link_targets(container)),
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
        for alias, child, settings in self._linked_endpoints(container):
            names = [alias, child.config.hostname]
            if alias != child.name.removeprefix("/"):
                names.append(child.name.removeprefix("/"))
            for address in (settings.ip_address, settings.global_ipv6_address):
                if address:
                    yield " ".join(names), address

    def _link_targets(self, container: Container) -> Iterator[LinkTarget]:
        """Yield what a link lets through where containers are kept apart (icc=false)."""
        for _, child, settings in self._linked_endpoints(container):
            ports = tuple(normalised_ports(child))
            if settings.ip_address and ports:
                yield LinkTarget(address=settings.ip_address, ports=ports)

    def _linked_endpoints(
        self, container: Container
    ) -> Iterator[tuple[str, Container, EndpointSettings]]:
        """Yield (alias, child, the child's endpoint) once the container is on `bridge`."""
        own = (container.network_settings.networks or {}).get(DEFAULT_NETWORK)
        if own is None or not own.settings.endpoint_id:
            return
        for alias, child in self.linked_children(container):
            entry = (child.network_settings.networks or {}).get(DEFAULT_NETWORK)
            if entry is None:
                raise EngineError(
                    f"Cannot link to {child.name}, as it does not belong to the default network"
                )
            yield alias, child, entry.settings

    def _parent_updates(self, container: Container) -> Iterator[tuple[str, str, str]]:
        """Yield (parent id, alias, own address) for every container that links here."""
        own = (container.network_settings.networks or {}).get(DEFAULT_NETWORK)
        if own is None or not own.settings.endpoint_id:
            return
        if self.config.disable_bridge or not container.host_config.network_mode.is_private():
            return
        for alias, parent_id in self.link_index.parents(container.id):
            yield parent_id, alias, own.settings.ip_address
