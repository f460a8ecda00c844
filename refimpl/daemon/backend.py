"""What the API may ask of the daemon: one Protocol, and the sessions that outlive a request.

The API decodes HTTP, calls one method of `Backend`, and encodes the answer; everything that is a
decision is behind these signatures. Bodies arrive as decoded JSON (`dict`), with Docker's field
names; the daemon checks them and answers wrong types as Go's decoder does. Answers are wire
documents. `ref` is a container's or a network's name, full id or unique id prefix; `filters` is
the decoded `filters` parameter, name to values, in either of Docker's two encodings.

Every method may raise `refimpl.errors.EngineError`, whose `status` and text are the answer.

Mirrors: moby api/server/router/*/backend.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

Wire = dict[str, Any]
"""A JSON object as it goes over the socket."""

Filters = Mapping[str, Sequence[str]]

STDIN, STDOUT, STDERR = 0, 1, 2
"""The stream numbers of Docker's multiplexed format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitResult:
    """How a container ended: its exit code, and the engine's error when it could not start."""

    status_code: int
    error: str = ""


class Waiter(Protocol):
    """A wait that was registered; nothing that happens after registration is missed."""

    def result(self, timeout_s: float | None) -> WaitResult | None:
        """Return the result, or None when nothing happened within `timeout_s` seconds."""

    def close(self) -> None:
        """Give up waiting."""


class AttachSession(Protocol):
    """The standard streams of one process, for one client.

    A session may be opened before the container starts; its output then begins with the process.
    """

    tty: bool
    """With a terminal the stream is raw, without one it is framed by stream number."""

    def output(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream number, bytes) until the process ends or the session is detached."""

    def write(self, data: bytes) -> None:
        """Feed standard input; ignored once the process has closed it or was not given one.

        Waits for the process to start and to read, until `detach`. The detach keys of a terminal
        are looked for here, and detach.
        """

    def close_stdin(self) -> None:
        """Close standard input, if this session is its owner (StdinOnce, or an exec).

        Waits for nothing: before the start it is noted.
        """

    def detach(self) -> None:
        """Leave: `output` and `write` end, the process goes on. Idempotent."""


class LogReader(Protocol):
    """A container's log, from its beginning or its tail, followed or not."""

    tty: bool

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream number, bytes); with follow until the container ends or `close`."""

    def close(self) -> None:
        """End a followed read from another thread. Idempotent."""


class EventStream(Protocol):
    """A subscription to the engine's events."""

    ended: bool
    """True once `until` has passed or the stream was closed; `read` then returns None at once."""

    def read(self, timeout_s: float) -> Wire | None:
        """Return the next event, or None when none came within `timeout_s` seconds."""

    def close(self) -> None:
        """Unsubscribe. Idempotent."""


class SystemBackend(Protocol):
    """The engine itself."""

    def version(self) -> Wire:
        """Answer GET /version."""

    def info(self) -> Wire:
        """Answer GET /info."""

    def events_subscribe(
        self, *, since: str = "", until: str = "", filters: Filters
    ) -> EventStream:
        """Answer GET /events: past events from `since` on, then live ones until `until`.

        Both are Docker's time stamps as they came (seconds with fraction, RFC 3339, duration).
        """


class ContainerBackend(Protocol):
    """Containers and the processes in them."""

    def container_create(
        self, name: str | None, body: Wire, platform: str = ""
    ) -> tuple[str, list[str]]:
        """Create a container and return its id and the warnings; `None` chooses a name."""

    def container_start(self, ref: str) -> None:
        """Start a container; `NotModified` when it runs already."""

    def container_stop(self, ref: str, timeout_s: int | None) -> None:
        """Stop a container, killing it after `timeout_s` (None: its own StopTimeout, or 10)."""

    def container_restart(self, ref: str, timeout_s: int | None) -> None:
        """Stop a container if it runs, and start it."""

    def container_kill(self, ref: str, signal: str) -> None:
        """Send a signal by name or number; "" is SIGKILL."""

    def container_wait(self, ref: str, condition: str) -> Waiter:
        """Register a wait: `next-exit`, `removed`, or `not-running`, which any other word is."""

    def container_pause(self, ref: str) -> None:
        """Freeze every process of a container."""

    def container_unpause(self, ref: str) -> None:
        """Thaw a paused container."""

    def container_rename(self, ref: str, new_name: str) -> None:
        """Give a container another name, in its networks too."""

    def container_remove(
        self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False
    ) -> None:
        """Remove a container, or with `link` only the link that `ref` names."""

    def container_resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal."""

    def container_inspect(self, ref: str, *, size: bool = False) -> Wire:
        """Answer GET /containers/{ref}/json."""

    def container_list(
        self, *, all_: bool = False, limit: int = 0, size: bool = False, filters: Filters
    ) -> list[Wire]:
        """Answer GET /containers/json."""

    def containers_prune(self, filters: Filters) -> Wire:
        """Remove every container that does not run."""

    def container_logs(  # noqa: PLR0913 - the fields of the query
        self,
        ref: str,
        *,
        stdout: bool,
        stderr: bool,
        follow: bool = False,
        since: str = "",
        until: str = "",
        timestamps: bool = False,
        details: bool = False,
        tail: str = "all",
    ) -> LogReader:
        """Open a container's log."""

    def container_attach(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        logs: bool = False,
        stream: bool = True,
        detach_keys: str = "",
    ) -> AttachSession:
        """Attach to a container's first process, running or about to be started.

        `detach_keys` are as the client wrote them, "" for the default ones.
        """

    def exec_create(self, ref: str, body: Wire) -> str:
        """Prepare one more process in a running container and return its id."""

    def exec_exists(self, exec_id: str) -> None:
        """Refuse an exec that is not there (404) or whose container does not run (500, 409).

        These have an HTTP status; what goes wrong in `exec_start` is told within the stream
        (moby ExecExists, called before the connection is hijacked).
        """

    def exec_start(self, exec_id: str, *, detach: bool) -> AttachSession | None:
        """Start a prepared process; None when it is to be detached."""

    def exec_inspect(self, exec_id: str) -> Wire:
        """Answer GET /exec/{id}/json."""

    def exec_resize(self, exec_id: str, rows: int, columns: int) -> None:
        """Set the size of an exec's terminal."""


class NetworkBackend(Protocol):
    """Networks."""

    def network_create(self, body: Wire) -> tuple[str, str]:
        """Create a network and return its id and a warning ("" for none)."""

    def network_list(self, filters: Filters, *, detailed: bool = False) -> list[Wire]:
        """Answer GET /networks, with the containers of each where it is to be detailed."""

    def network_inspect(self, ref: str, *, verbose: bool = False, scope: str = "") -> Wire:
        """Answer GET /networks/{ref}, with the containers that run on it."""

    def network_connect(self, ref: str, body: Wire) -> None:
        """Connect a container (`Container`, `EndpointConfig`) to a network."""

    def network_disconnect(self, ref: str, body: Wire) -> None:
        """Disconnect a container (`Container`, `Force`) from a network."""

    def network_remove(self, ref: str) -> None:
        """Remove a network that nothing runs on."""

    def networks_prune(self, filters: Filters) -> Wire:
        """Remove every user network that no container uses."""


class ImageBackend(Protocol):
    """Images, as far as a machine without a registry needs them."""

    def image_import(
        self, stream: BinaryIO, *, repo: str, tag: str, changes: Sequence[str], message: str
    ) -> Iterator[Wire]:
        """Make an image of a root file system's tar stream; yields progress, last the id."""

    def image_pull(self, name: str, tag: str) -> Iterator[Wire]:
        """Fetch an image from a registry; there is none, so it is never found."""

    def image_load(self, stream: BinaryIO, *, quiet: bool = False) -> Iterator[Wire]:
        """Load what `docker save` wrote; yields progress."""

    def image_list(self, *, all_: bool = False, filters: Filters) -> list[Wire]:
        """Answer GET /images/json."""

    def image_inspect(self, ref: str) -> Wire:
        """Answer GET /images/{ref}/json."""

    def image_history(self, ref: str) -> list[Wire]:
        """Answer GET /images/{ref}/history."""

    def image_tag(self, ref: str, repo: str, tag: str) -> None:
        """Give an image one more name."""

    def image_remove(self, ref: str, *, force: bool = False, prune: bool = True) -> list[Wire]:
        """Remove a name of an image, and the image with its last name."""

    def images_prune(self, filters: Filters) -> Wire:
        """Remove every image without a name that no container uses; see moby's ImagesPrune."""


class Backend(SystemBackend, ContainerBackend, NetworkBackend, ImageBackend, Protocol):
    """Everything the API serves; `refimpl.daemon.daemon.Daemon` is the one implementation."""
