"""What inspect shows of a container.

Mirrors: moby daemon/inspect.go, daemon/inspect_linux.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refimpl.daemon.backend import Wire
from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.images.store import ImageStore
from refimpl.daemon.network.links import Links
from refimpl.daemon.views.mounts import mount_documents
from refimpl.errors import NotFound
from refimpl.model.moments import format_time
from refimpl.model.network_mode import DEFAULT_NETWORK
from refimpl.model.wire_container import EndpointSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspector:
    """Describes containers.

    Attributes:
        running_execs: tells the ids of a container's execs that run, None for none.
    """

    config: DaemonConfig
    containers: ContainerRegistry
    images: ImageStore
    links: Links
    running_execs: Callable[[Container], list[str] | None]

    def container_inspect(self, ref: str, *, size: bool = False) -> Wire:
        """Describe a container (moby: ContainerInspectCurrent)."""
        container = self.containers.get_container(ref)
        with container.lock:
            host_config = container.host_config.to_wire()
            host_config["Links"] = self.links.link_documents(container)
            overlay = self.config.data("overlay", container.id)
            document = {
                "Id": container.id,
                "Created": format_time(container.created),
                "Path": container.path,
                "Args": list(container.args),
                "State": container.state.to_wire(),
                "Image": container.image_id,
                "ResolvConfPath": container.resolv_conf_path,
                "HostnamePath": container.hostname_path,
                "HostsPath": container.hosts_path,
                "LogPath": container.log_path,
                "Name": container.name,
                "RestartCount": container.restart_count,
                "Driver": "overlay2",
                "Platform": "linux",
                "MountLabel": "",
                "ProcessLabel": "",
                "AppArmorProfile": "",
                "ExecIDs": self.running_execs(container),
                "HostConfig": host_config,
                "GraphDriver": {
                    "Data": {
                        "LowerDir": ":".join(self._lower_directories(container)),
                        "MergedDir": f"{overlay}/merged",
                        "UpperDir": f"{overlay}/upper",
                        "WorkDir": f"{overlay}/work",
                    },
                    "Name": "overlay2",
                },
                "Mounts": mount_documents(container),
                "Config": container.config.to_wire(),
                "NetworkSettings": network_settings_document(container),
            }
        if size:
            document |= {"SizeRw": 0, "SizeRootFs": 0}
        return document

    def _lower_directories(self, container: Container) -> tuple[str, ...]:
        try:
            return self.images.layers(container.image_id)
        except NotFound:
            return ()


def network_settings_document(container: Container) -> Wire:
    """Return inspect's `NetworkSettings`; the top-level fields are those of `bridge`."""
    settings = container.network_settings
    networks = settings.networks or {}
    bridge = networks[DEFAULT_NETWORK].settings if DEFAULT_NETWORK in networks else None
    default = bridge or EndpointSettings()
    return {
        "Bridge": "",
        "SandboxID": settings.sandbox_id,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": dict(settings.ports or {}),
        "SandboxKey": settings.sandbox_key,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": default.endpoint_id,
        "Gateway": default.gateway,
        "GlobalIPv6Address": default.global_ipv6_address,
        "GlobalIPv6PrefixLen": default.global_ipv6_prefix_len,
        "IPAddress": default.ip_address,
        "IPPrefixLen": default.ip_prefix_len,
        "IPv6Gateway": default.ipv6_gateway,
        "MacAddress": default.mac_address,
        "Networks": {name: entry.settings.to_wire() for name, entry in networks.items()},
    }
