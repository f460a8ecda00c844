"""Creating a container: checks, the image's defaults, a name, a directory.

Mirrors: moby daemon/{create,container,daemon_unix,commit}.go (v20.10).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from refimpl.daemon.backend import Wire
from refimpl.daemon.config import DEFAULT_RUNTIME, DaemonConfig
from refimpl.daemon.containers import verify
from refimpl.daemon.containers.checkpoint import Checkpoints
from refimpl.daemon.containers.container import Container, NetworkSettings
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.images.document import Image
from refimpl.daemon.images.store import ImageStore
from refimpl.daemon.lifecycle.names import random_name
from refimpl.daemon.network.links import Links
from refimpl.daemon.streams.log_options import validate_log_config
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound, NotServed
from refimpl.kernel.base import Files
from refimpl.model.binds import parse_binds
from refimpl.model.network_mode import NetworkMode
from refimpl.model.wire import WireError
from refimpl.model.wire_container import (
    Config,
    CreateRequest,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
)
from refimpl.oci.base import MASKED_PATHS, READONLY_PATHS
from refimpl.oci.security import read_security_options

SHM_BYTES = 64 * 1024 * 1024
NAME_ATTEMPTS = 6
_CONFIG_FIELDS = frozenset(name.lower() for name in Config().to_wire()) | {
    "exposedports",
    "healthcheck",
    "networkdisabled",
    "macaddress",
    "stopsignal",
    "stoptimeout",
    "shell",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Creator:
    """Creates containers.

    Attributes:
        fill_in_networks: records the networks that a start will connect.
    """

    config: DaemonConfig
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    containers: ContainerRegistry
    images: ImageStore
    links: Links
    fill_in_networks: Callable[[Container, dict[str, EndpointSettings] | None], None]
    checkpoints: Checkpoints
    files: Files
    events: Events

    def container_create(self, name: str | None, body: Wire) -> tuple[str, list[str]]:
        """Create a container; nothing of it touches the network yet (moby: ContainerCreate).

        Raises:
            InvalidParameter, NotFound, Conflict, EngineError: with v20.10's texts.
            NotServed: named volumes.
        """
        config, host_config, networking = decode_create(body)
        warnings = []
        if host_config.network_mode.is_host() and host_config.port_bindings:
            warnings.append("Published ports are discarded when using host network mode")
        verify.verify_container_config(config)
        verify.verify_host_config(host_config)
        validate_log_config(host_config.log_config)
        read_security_options(host_config.security_opt or ())
        refuse_unserved(host_config)
        endpoints = verify.verify_networking_config(networking)

        if not config.image:
            raise InvalidParameter("No command specified")
        with self.images.using(config.image) as image:
            merge_image_config(config, image.config)
            command = [*(config.entrypoint or []), *(config.cmd or [])]
            if not command or not command[0]:
                raise InvalidParameter("No command specified")

            container_id = self.new_id()
            full_name = self._take_name(container_id, name)
            try:
                container = self._new_container(container_id, full_name, config, host_config, image)
                container.network_settings.is_anonymous_endpoint = not name
                self._create_or_destroy(container, endpoints)
            except BaseException:
                self.links.link_index.forget(container_id)
                self.containers.release_name(full_name)
                self.files.remove(self.config.data("containers", container_id))
                raise
            self.containers.add(container)
            self.events.log_container(container, "create")
            return container_id, warnings

    def _take_name(self, container_id: str, name: str | None) -> str:
        if name:
            return self.containers.reserve_name(container_id, name)
        for attempt in range(NAME_ATTEMPTS):
            try:
                return self.containers.reserve_name(container_id, random_name(attempt))
            except Conflict:
                continue
        return self.containers.reserve_name(container_id, container_id[:12])

    def _new_container(
        self,
        container_id: str,
        name: str,
        config: Config,
        host_config: HostConfig,
        image: Image,
    ) -> Container:
        self._adapt_settings(host_config)
        if not config.hostname:
            is_host = host_config.network_mode.is_host()
            config.hostname = socket.gethostname() if is_host else container_id[:12]
        command = [*(config.entrypoint or []), *(config.cmd or [])]
        return Container(
            id=container_id,
            name=name,
            created=self.clock(),
            root=self.config.data("containers", container_id),
            image_id=image.id,
            path=command[0],
            args=command[1:],
            config=config,
            host_config=host_config,
            network_settings=NetworkSettings(),
        )

    def _create_or_destroy(
        self, container: Container, endpoints: Mapping[str, EndpointSettings]
    ) -> None:
        """Finish it, or tell that it is gone again, though nobody heard of it before (v20.10)."""
        try:
            self._finish_create(container, endpoints)
        except BaseException:
            self.events.log_container(container, "destroy")
            raise

    def _finish_create(
        self, container: Container, endpoints: Mapping[str, EndpointSettings]
    ) -> None:
        self.files.make_directory(container.root)
        host_config = container.host_config
        container.binds = parse_binds(
            host_config.binds, tmpfs=host_config.tmpfs, daemon_root=self.config.data_root
        )
        self.links.register_links(container, container.host_config)
        self.fill_in_networks(container, dict(endpoints))
        self.links.save_links(container)
        self.checkpoints.checkpoint_to(container)

    def _adapt_settings(self, host_config: HostConfig) -> None:
        """Fill in what the daemon decides (moby: adaptContainerSettings)."""
        mode = host_config.network_mode
        if mode.is_container():
            try:
                target = self.containers.get_container(mode.connected_container())
                host_config.network_mode = NetworkMode(f"container:{target.id}")
            except (NotFound, EngineError):
                pass  # only the start needs it
        host_config.shm_size = host_config.shm_size or SHM_BYTES
        host_config.ipc_mode = host_config.ipc_mode or "private"
        host_config.cgroupns_mode = host_config.cgroupns_mode or "host"
        if host_config.oom_kill_disable is None:
            host_config.oom_kill_disable = False
        host_config.log_config.type = host_config.log_config.type or "json-file"
        host_config.log_config.config = host_config.log_config.config or {}
        host_config.console_size = host_config.console_size or [0, 0]
        if not host_config.privileged:
            host_config.masked_paths = (
                list(MASKED_PATHS) if host_config.masked_paths is None else host_config.masked_paths
            )
            host_config.readonly_paths = (
                list(READONLY_PATHS)
                if host_config.readonly_paths is None
                else host_config.readonly_paths
            )


def decode_create(body: Wire) -> tuple[Config, HostConfig, NetworkingConfig | None]:
    """Read a create request's body (moby: runconfig decodeContainerConfig).

    Raises:
        InvalidParameter: it has no configuration, or options that exclude each other.
        EngineError: a value has the wrong type; v20.10 answers that with 500.
    """
    try:
        request = CreateRequest.from_wire(body)
    except WireError as error:
        raise EngineError(str(error)) from error
    config = request.config()
    host_config = request.host_config or HostConfig()
    if request.host_config is not None:
        host_config.runtime = host_config.runtime or DEFAULT_RUNTIME
    if not host_config.network_mode:
        host_config.network_mode = NetworkMode("default")
    has_config = any(key.lower() in _CONFIG_FIELDS for key in body or ())
    if has_config and request.host_config is not None:
        verify.verify_net_mode(config, host_config)
        verify.verify_isolation(host_config)
    if not has_config:
        raise InvalidParameter("Config cannot be empty in order to create a container")
    return config, host_config, request.networking_config


def merge_image_config(config: Config, image: Config) -> None:
    """Fill in an image's defaults (moby: merge in daemon/commit.go)."""
    config.user = config.user or image.user
    config.exposed_ports = {
        **(image.exposed_ports or {}),
        **(config.exposed_ports or {}),
    } or config.exposed_ports
    given = {one.partition("=")[0] for one in config.env or []}
    inherited = [one for one in image.env or [] if one.partition("=")[0] not in given]
    if config.env or inherited:
        config.env = (config.env or []) + inherited
    config.labels = {**(image.labels or {}), **(config.labels or {})}
    if not config.entrypoint and not config.cmd:
        config.cmd = image.cmd
    if config.entrypoint is None:
        config.entrypoint = image.entrypoint
    config.working_dir = config.working_dir or image.working_dir
    config.healthcheck = config.healthcheck or image.healthcheck
    config.volumes = {**(image.volumes or {}), **(config.volumes or {})} or None
    config.stop_signal = config.stop_signal or image.stop_signal


def refuse_unserved(host_config: HostConfig) -> None:
    """Refuse mounts and other containers' volumes, instead of leaving them out.

    Raises:
        NotServed: there are some.
    """
    if host_config.mounts or host_config.volumes_from:
        raise NotServed("Mounts and VolumesFrom are not served by this engine, Binds are")
