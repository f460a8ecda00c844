"""What a container's sandbox is to be: names, files, name servers, hosts lines, links.

Mirrors: moby daemon/{container_operations,container_operations_unix}.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.verify import split_extra_host
from refimpl.daemon.network.links import Links, short_alias
from refimpl.daemon.network.options import normalised_ports
from refimpl.daemon.network.ports import wanted_ports
from refimpl.errors import EngineError
from refimpl.libnetwork.controller import Controller
from refimpl.model.network import LinkTarget, SandboxOptions
from refimpl.model.network_mode import DEFAULT_NETWORK
from refimpl.model.wire_container import EndpointSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SandboxSettings:
    """Builds the options of sandboxes, and gives a sandbox new ones."""

    config: DaemonConfig
    net_controller: Controller
    links: Links

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
            ports=wanted_ports(container),
            parent_updates=tuple(self._parent_updates(container)),
            dns=tuple(host_config.dns or config.dns),
            dns_search=tuple(host_config.dns_search or config.dns_search),
            dns_options=tuple(host_config.dns_options or config.dns_options),
        )

    def _extra_host(self, text: str) -> tuple[str, str]:
        name, address = split_extra_host(text)
        if address != "host-gateway":
            return name, address
        bridge = self.net_controller.network_by_name(DEFAULT_NETWORK)
        gateway = bridge.gateway_address() if bridge is not None else ""
        if not gateway:
            raise EngineError("unable to derive the IP value for host-gateway")
        return name, gateway

    def _link_hosts(self, container: Container) -> Iterator[tuple[str, str]]:
        """Yield a hosts line per linked container, once `bridge` is connected."""
        for alias, child, settings in self._linked_endpoints(container):
            names = [short_alias(alias), child.config.hostname]
            if names[0] != child.name.removeprefix("/"):
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
        for alias, child in self.links.linked_children(container):
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
        for alias, parent_id in self.links.link_index.parents(container.id):
            yield parent_id, short_alias(alias), own.settings.ip_address

    def update_network(self, container: Container) -> None:
        """Give the sandbox of a container that lost a link the links that it has now.

        20.10 tells the sandbox to leave and join all its networks for that, which gives the
        interfaces new numbers; here they stay. What it does to the files is the same: they are
        built anew.

        Mirrors: moby daemon/container_operations.go updateNetwork (v20.10).
        """
        sandbox = self.net_controller.get_sandbox(container.id)
        if sandbox is not None:
            sandbox.refresh(self.build_sandbox_options(container))
