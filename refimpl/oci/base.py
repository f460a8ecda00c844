"""What the daemon may ask of an OCI runtime: the Protocol and the values it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
)
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
"""What a container neither sees nor changes, unless it is privileged or asks otherwise."""

CGROUP_PARENT = "netinit"
"""The control group in which the containers' are."""

ReadInside = Callable[[str, str, int], bytes]
"""Reads a file of a container, given its root directory, the path in there and the largest size.

Never waits; raises OSError, whose text names the file (see `LinuxFiles.read_inside`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A bind mount into a container."""

    source: str
    destination: str
    read_only: bool = False
    propagation: str = "rprivate"
    """Which mounts below it are seen on the other side: an option of mount(8)."""
    is_recursive: bool = True
    """Whether it brings along what is mounted below its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """A process in a container: the first one, or one that `exec` adds."""

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    """`uid[:gid]` or names that the image's /etc/passwd and /etc/group resolve; "" is root."""
    tty: bool = False
    open_stdin: bool = False
    privileged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """Everything that an OCI bundle needs."""

    id: str
    bundle: str
    rootfs: str
    process: ProcessSpec
    hostname: str = ""
    domainname: str = ""
    netns: str | None = None
    """Path of the network namespace to join; None shares the daemon's own, "" makes a new one."""
    host_uts: bool = False
    mounts: tuple[Mount, ...] = ()
    read_only_rootfs: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS
    seccomp_profile: str = ""
    """"" for Docker's own, `unconfined` for none, or a profile's JSON text."""
    no_new_privileges: bool = False
    cgroup_parent: str = CGROUP_PARENT
    sysctls: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Process:
    """A started process: the daemon owns the descriptors and closes them.

    With a tty, `console` is the pty's master and the other three are None. Descriptors are
    blocking; the daemon sets what it needs.
    """

    pid: int
    pidfd: int
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    console: int | None = None
    has_ended: bool = field(default=False, init=False)
    """It has been reaped: its number may be another's."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process is ended: by a signal, and by SIGKILL after some seconds."""

    number: int
    patience_s: float


class RuntimeFailure(OSError):
    """The OCI runtime refused; the text is the runtime's own message."""


class Runtime(Protocol):
    """runc or crun."""

    name: str
    version: str
    has_seccomp: bool
    """Whether containers get a seccomp profile."""

    def prepare(self) -> None:
        """Make what calls need; for the daemon that the exec-root belongs to, before its first."""

    def hurry(self) -> None:
        """Let no command take long any more, those that are under way included.

        What cannot wait for them, such as ending processes, is done without the runtime then.
        """

    def run(self, spec: ContainerSpec) -> Process:
        """Write the bundle, create the container and start its process.

        The process becomes a child of the daemon (which is a subreaper), so that its exit status
        is ours to wait for.

        Raises:
            RuntimeFailure: with the runtime's message; nothing is left behind.
        """

    def exec(self, container_id: str, process: ProcessSpec) -> Process:
        """Start one more process in a running container."""

    def kill(self, container_id: str, number: int) -> None:
        """Send a signal to the first process of a container."""

    def pause(self, container_id: str) -> None:
        """Freeze a container."""

    def resume(self, container_id: str) -> None:
        """Thaw a container."""

    def resize(self, console: int, rows: int, columns: int) -> None:
        """Set a terminal's size."""

    def delete(self, container_id: str) -> None:
        """Kill what is left of a container and forget it; no error when it is unknown."""

    def end(
        self, endings: Mapping[str, Ending], is_hurried: Callable[[], bool]
    ) -> Mapping[str, int]:
        """End the first processes of containers that an earlier daemon started, all at once.

        No error when one has ended or is unknown; `delete` forgets the container. What had to be
        killed may take a moment more.

        Args:
            endings: how each is ended, by the container's id.
            is_hurried: tells whether to wait no longer.

        Returns:
            The exit codes of those that ended by themselves, where they can be known.
        """

    def list(self) -> Sequence[str]:
        """Return the ids that the runtime still knows, after a crash of the daemon."""

    def wait(self, process: Process) -> int:
        """Reap an ended process and return its exit code (128 + signal when killed)."""
