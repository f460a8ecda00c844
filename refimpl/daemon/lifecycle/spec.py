"""What the OCI runtime is to run for a container: process, environment, mounts, namespaces.

Mirrors: moby daemon/oci_linux.go createSpec, container/{container_unix,env}.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.network.joined import namespace_owner
from refimpl.daemon.network.links import Links
from refimpl.kernel.base import Kernel
from refimpl.libnetwork.controller import Controller
from refimpl.model.binds import Bind
from refimpl.oci.base import (
    MASKED_PATHS,
    READONLY_PATHS,
    ContainerSpec,
    Mount,
    ProcessSpec,
)
from refimpl.oci.security import read_security_options

_NETWORK_FILES = {
    "/etc/resolv.conf": "resolv_conf_path",
    "/etc/hostname": "hostname_path",
    "/etc/hosts": "hosts_path",
}
"""Where the three files are seen, and the container's field that says where they are."""
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Specs:
    """Builds the specifications of containers and the environments of their processes."""

    config: DaemonConfig
    kernel: Kernel
    containers: ContainerRegistry
    net_controller: Controller
    links: Links

    def create_spec(self, container: Container) -> ContainerSpec:
        """Say what the runtime is to run (moby: createSpec).

        Raises:
            EngineError: a linked container does not run.
        """
        config, host_config = container.config, container.host_config
        security = read_security_options(host_config.security_opt or ())
        return ContainerSpec(
            id=container.id,
            bundle=self.config.exec("bundles", container.id),
            rootfs=self.config.data("overlay", container.id, "merged"),
            process=ProcessSpec(
                args=(container.path, *container.args),
                env=self.create_daemon_environment(container, tty=config.tty),
                cwd=config.working_dir or "/",
                user=config.user,
                tty=config.tty,
                open_stdin=config.open_stdin,
                privileged=host_config.privileged,
            ),
            hostname=config.hostname,
            domainname=config.domainname,
            netns=self._network_namespace(container),
            host_uts=host_config.uts_mode == "host",
            mounts=tuple(self._mounts(container)),
            read_only_rootfs=host_config.readonly_rootfs,
            cap_add=tuple(host_config.cap_add or ()),
            cap_drop=tuple(host_config.cap_drop or ()),
            privileged=host_config.privileged,
            masked_paths=_paths(host_config.masked_paths, MASKED_PATHS),
            readonly_paths=_paths(host_config.readonly_paths, READONLY_PATHS),
            seccomp_profile=security.seccomp_profile,
            no_new_privileges=security.no_new_privileges,
            sysctls=dict(host_config.sysctls or {}),
        )

    def create_daemon_environment(self, container: Container, *, tty: bool) -> tuple[str, ...]:
        """Return the daemon's variables and the links', changed as the container's user says.

        Mirrors: moby container/container_unix.go CreateDaemonEnvironment (v20.10).
        """
        lines = [DEFAULT_PATH, f"HOSTNAME={container.config.hostname}"]
        if tty:
            lines.append("TERM=xterm")
        lines += self.links.setup_linked_containers(container)
        return replace_or_append_env(lines, container.config.env or [])

    def _network_namespace(self, container: Container) -> str | None:
        """Return the namespace to join: the sandbox's, another container's, or a new one."""
        if container.config.network_disabled and not self._has_sandbox(container):
            return ""  # whatever its mode: it shares nobody's network
        # a joiner of a joiner is in the namespace of the first one
        owner = namespace_owner(container, self.containers.get_container)
        mode = owner.host_config.network_mode
        if mode.is_host():
            return None
        if owner is not container:
            nc = self.containers.get_container(
                container.host_config.network_mode.connected_container()
            )
            return f"/proc/{nc.state.pid}/ns/net"
        return container.network_settings.sandbox_key

    def _has_sandbox(self, container: Container) -> bool:
        return self.net_controller.get_sandbox(container.id) is not None

    def _mounts(self, container: Container) -> list[Mount]:
        """Return the three files (moby: NetworkMounts) and the user's bind mounts."""
        read_only = container.host_config.readonly_rootfs
        binds = [
            Mount(
                source=bind.source,
                destination=bind.destination,
                read_only=bind.read_only,
                propagation=self._propagation(bind),
            )
            for bind in container.binds
        ]
        taken = {mount.destination for mount in binds}
        for mount in binds:
            if mount.destination in _NETWORK_FILES:  # the user's own (moby: TrySetNetworkMount)
                setattr(container, _NETWORK_FILES[mount.destination], mount.source)
        sources = {path: getattr(container, field) for path, field in _NETWORK_FILES.items()}
        files = [
            Mount(source=source, destination=destination, read_only=read_only)
            for destination, source in sources.items()
            if source and destination not in taken
        ]
        # what lies deeper comes later, so that nothing is hidden (moby: sort.Sort(mounts(ms)))
        return sorted(files + binds, key=lambda mount: mount.destination.count("/"))

    def _propagation(self, bind: Bind) -> str:
        """Return how mounts below a bind mount are seen on the other side.

        With the daemon's data it is `rslave`, so that what the daemon unmounts goes there, too,
        where the host's own mount allows that (moby: WithMounts).
        """
        if bind.propagation or not bind.holds_daemon_root:
            return bind.propagation or "rprivate"
        try:
            self.kernel.check_propagation(bind.source, "rslave")
        except OSError:
            return "rprivate"
        return "rslave"


def _paths(asked: Iterable[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that a client asked for; an empty list is a wish as well."""
    return default if asked is None else tuple(asked)


def replace_or_append_env(defaults: Iterable[str], overrides: Iterable[str]) -> tuple[str, ...]:
    """Return the defaults with what overrides them in their place, and the rest behind them.

    A line without `=` takes away the last default of its name, and nothing that overrides. Where
    a name stays more than once, the runtime takes the last.

    Mirrors: moby container/env.go ReplaceOrAppendEnvVars (v20.10).
    """
    lines = list(defaults)
    places = {line.partition("=")[0]: place for place, line in enumerate(lines)}
    for line in overrides:
        name, separator, _ = line.partition("=")
        if name in places:
            lines[places[name]] = line if separator else ""
        elif separator:
            lines.append(line)
    return tuple(filter(None, lines))
