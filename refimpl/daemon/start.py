"""Starting a container: root file system, network, process, and the way back when one fails.

Mirrors: moby daemon/{start,oci_linux,monitor}.go containerStart, createSpec, Cleanup (v20.10).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import PurePath

from refimpl.daemon.core import log
from refimpl.daemon.images import Images
from refimpl.daemon.logs import JSONFileLog
from refimpl.daemon.networking import Networking
from refimpl.daemon.remove import Removing
from refimpl.daemon.restart_manager import RestartManager
from refimpl.daemon.stdio import StdioLoop, Streams
from refimpl.errors import (
    Conflict,
    EngineError,
    InvalidParameter,
    NotFound,
    NotModified,
    message_of,
)
from refimpl.kernel.base import OverlayPlan
from refimpl.model.container import Container
from refimpl.oci.base import (
    MASKED_PATHS,
    READONLY_PATHS,
    ContainerSpec,
    Mount,
    Process,
    ProcessSpec,
    RuntimeFailure,
)
from refimpl.oci.security import read_security_options
from refimpl.oci.users import UnknownUser

_NETWORK_FILES = {
    "/etc/resolv.conf": "resolv_conf_path",
    "/etc/hostname": "hostname_path",
    "/etc/hosts": "hosts_path",
}
"""Where the three files are seen, and the container's field that says where they are."""
DEFAULT_RUNTIME = "runc"
"""What Docker calls its runtime, whichever program it is."""
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Starting(Removing, Networking, Images):
    """The part of the daemon that starts containers."""

    stdio: StdioLoop

    def process_ended(self, container: Container) -> Callable[[Process], None]:
        """Return what the stdio loop calls when a container's first process has ended."""
        raise NotImplementedError

    def container_streams(self, container: Container) -> Streams:
        """Return a container's streams, which live as long as the daemon knows it."""
        with container.lock:
            streams = self.streams.get(container.id)
            if streams is None:
                streams = self.streams[container.id] = Streams(
                    self.stdio,
                    tty=container.config.tty,
                    stdin_once=container.config.stdin_once,
                    log=JSONFileLog(log_path(container), self.clock),
                )
            return streams

    def container_start(self, ref: str) -> None:
        """Start a container at a client's wish (moby: ContainerStart)."""
        container = self.get_container(ref)
        with container.lock:
            state = container.state
            if state.paused:
                raise Conflict("cannot start a paused container, try unpause instead")
            if state.running:
                raise NotModified(f"container {ref} is already running")
            container.host_config.runtime = container.host_config.runtime or DEFAULT_RUNTIME
        self.start_container(container, reset_restart_manager=True)

    def start_container(self, container: Container, *, reset_restart_manager: bool) -> None:
        """Start a container, or leave it as it was (moby: containerStart).

        Raises:
            EngineError, OSError: what failed; `State.Error` and `ExitCode` tell of it, and
                everything that was set up is gone again.
        """
        with container.lock:
            if reset_restart_manager and container.state.running:
                return
            if container.state.removal_in_progress or container.state.dead:
                raise Conflict("container is marked for removal and cannot be started")
            try:
                self._start(container, reset_restart_manager=reset_restart_manager)
                return
            except Exception as error:
                self._undo_start(container, error)
                if not container.host_config.auto_remove:
                    raise
                failure = error
        self.guarded("auto remove", container, lambda: self.remove_automatically(container))
        raise failure

    def _start(self, container: Container, *, reset_restart_manager: bool) -> None:
        self.mount_root(container)
        self.initialize_networking(container)
        spec = self.create_spec(container)
        for mount in spec.mounts:
            if mount.destination not in _NETWORK_FILES:
                self.files.make_mount_source(mount.source)
                self.kernel.check_propagation(mount.source, mount.propagation)

        if reset_restart_manager:
            self.restart_managers[container.id] = RestartManager(
                container.host_config.restart_policy
            )
            container.restart_count = 0
            container.has_been_manually_stopped = False
        try:
            process = self.runtime.run(spec)
        except UnknownUser as failure:
            raise EngineError(str(failure)) from failure
        except RuntimeFailure as failure:
            container.log_path = log_path(container)
            raise translate_start_error(container, failure) from failure
        streams = self.container_streams(container)
        streams.begin(process)
        container.log_path = log_path(container)
        container.has_been_manually_restarted = False
        container.state.set_running(process.pid, self.clock())
        container.has_been_started_before = True
        self.try_checkpoint(container)
        self.stdio.watch(process, streams, self.process_ended(container))
        self.log_container_event(container, "start")

    def _undo_start(self, container: Container, error: Exception) -> None:
        state = container.state
        state.error = message_of(error)
        if state.exit_code == 0:
            state.exit_code = 128
        state.running = state.restarting = state.paused = False
        state.pid = 0
        log.info("container %s did not start: %s", container.id, error)
        self.try_checkpoint(container)
        self.cleanup(container)
        self.end_streams(container)

    def remove_automatically(self, container: Container) -> None:
        """Remove a container that was created with AutoRemove and has ended."""
        # a user who removes it by force is as good (moby: containerRm's error is then dropped)
        with contextlib.suppress(Conflict, NotFound):
            self.container_remove(container.id, force=True, volumes=True)

    def cleanup(self, container: Container) -> None:
        """Give back what a run had: network, mounts, the runtime's memory (moby: Cleanup).

        Goes on past errors, which are logged: what is left is found at the next start or boot.
        """
        merged = self.config.data("overlay", container.id, "merged")
        self.guarded("release network", container, lambda: self.release_network(container))
        self.guarded("delete", container, lambda: self.runtime.delete(container.id))
        self.guarded("unmount", container, lambda: self.kernel.unmount(merged))

    def mount_root(self, container: Container) -> None:
        """Mount the image's layers and the container's own changes on top of them."""
        overlay = self.config.data("overlay", container.id)
        for name in ("upper", "work", "merged"):
            self.files.make_directory(f"{overlay}/{name}", mode=0o755)
        image = self.images.get(container.image_id)
        # what an ungraceful shutdown left mounted
        self.kernel.unmount(f"{overlay}/merged")
        self.kernel.mount_overlay(
            OverlayPlan(
                lower=(*self.images.layers(image), self.images.init_layer),
                upper=f"{overlay}/upper",
                work=f"{overlay}/work",
                target=f"{overlay}/merged",
            )
        )

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
        lines += self.setup_linked_containers(container)
        return replace_or_append_env(lines, container.config.env or [])

    def _network_namespace(self, container: Container) -> str | None:
        """Return the namespace to join: the sandbox's, another container's, or a new one."""
        if container.config.network_disabled and not self._has_sandbox(container):
            return ""  # whatever its mode: it shares nobody's network
        mode = container.host_config.network_mode
        owner = container
        while mode.is_container():
            # a joiner of a joiner is in the namespace of the first one
            owner = self.get_networked_container(container.id, mode.connected_container())
            mode = owner.host_config.network_mode
        if mode.is_host():
            return None
        if owner is not container:
            nc = self.get_container(container.host_config.network_mode.connected_container())
            return f"/proc/{nc.state.pid}/ns/net"
        return container.network_settings.sandbox_key

    def _has_sandbox(self, container: Container) -> bool:
        controller = self.net_controller
        return controller is not None and controller.get_sandbox(container.id) is not None

    @staticmethod
    def _mounts(container: Container) -> list[Mount]:
        """Return the three files (moby: NetworkMounts) and the user's bind mounts."""
        read_only = container.host_config.readonly_rootfs
        binds = [_bind(text) for text in container.host_config.binds or []]
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
        return files + binds


def log_path(container: Container) -> str:
    """Return where a container's log is written."""
    return str(PurePath(container.root, f"{container.id}-json.log"))


def _paths(asked: Iterable[str] | None, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return the paths that a client asked for; an empty list is a wish as well."""
    return default if asked is None else tuple(asked)


def _bind(text: str) -> Mount:
    source, destination, *options = text.split(":")
    return Mount(source=source, destination=destination, read_only="ro" in options[-1:])


def translate_start_error(container: Container, failure: OSError) -> EngineError:
    """Turn the runtime's complaint into Docker's, and set the exit code that it stands for.

    Mirrors: moby daemon/errors.go translateContainerdStartErr (v20.10).
    """
    text = (
        "failed to create shim task: OCI runtime create failed: runc create failed: "
        f"{failure}: unknown"
    )
    code, error = exit_code_of(container.path, text)
    if code:
        container.state.exit_code = code
    return error


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


def exit_code_of(command: str, text: str) -> tuple[int, EngineError]:
    """Return the exit code that a runtime's complaint stands for, 0 for none, and the error."""
    lowered = text.lower()
    missing = ("executable file not found", "no such file or directory")
    if "not a directory" in lowered:
        return 127, InvalidParameter(
            f"{text}: Are you trying to mount a directory onto a file (or vice-versa)? Check if "
            "the specified host path exists and is the expected type"
        )
    if "permission denied" in lowered:
        return 126, InvalidParameter(text)
    if command.lower() in lowered and any(one in lowered for one in missing):
        return 127, InvalidParameter(text)
    return 0, EngineError(text)
