"""A container's streams as a client uses them: attach, logs, the size of the terminal.

Mirrors: moby daemon/{attach,logs,resize}.go (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from refimpl.daemon.backend import STDERR, STDOUT
from refimpl.daemon.containers.container import Container
from refimpl.daemon.events.events import parse_moment
from refimpl.daemon.streams.detach_keys import parse_detach_keys
from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.daemon.streams.log_reader import FileLogReader, ReadOptions
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.daemon.streams.session import Session
from refimpl.errors import Conflict, InvalidParameter, NotServed


class LogEvent(Protocol):
    """What tells that something has happened to a container."""

    def __call__(
        self, container: Container, action: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Tell it to who listens."""


class Attachments:
    """Shows a container's output and takes its input."""

    def __init__(
        self,
        *,
        get_container: Callable[[str], Container],
        streams: StreamsRegistry,
        resize: Callable[[int, int, int], None],
        log_event: LogEvent,
    ) -> None:
        """Make the part.

        Args:
            get_container: finds a container by what a client calls it.
            streams: every container's streams.
            resize: sets a terminal's rows and columns (`Runtime.resize`).
            log_event: tells of an attach, a detach and a resize.
        """
        self._get_container = get_container
        self._streams = streams
        self._resize = resize
        self._log_event = log_event

    def container_resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal (moby: ContainerResize).

        Raises:
            NotFound, Conflict: there is no such container, or it does not run.
        """
        container = self._get_container(ref)
        with container.lock:
            if not container.state.running:
                raise Conflict(f"Container {container.id} is not running")
            self._streams.of(container).resize(self._resize, rows, columns)
        self._log_event(container, "resize", {"height": str(rows), "width": str(columns)})

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
    ) -> Session:
        """Attach to a container's first process (moby: ContainerAttach).

        Raises:
            NotFound, Conflict: there is no such container, or its state does not allow it.
            InvalidParameter: the detach keys are none.
            NotServed: the log is wanted, and its driver cannot be read.
        """
        try:
            keys = parse_detach_keys(detach_keys)
        except ValueError:
            raise InvalidParameter(f"Invalid detach keys ({detach_keys}) provided") from None
        container = self._get_container(ref)
        with container.lock:
            if container.state.paused:
                raise Conflict(f"container {ref} is paused, unpause the container before attach")
            if container.state.restarting:
                raise Conflict(
                    f"Container {container.id} is restarting, wait until the container is running"
                )
            streams = self._streams.of(container)
            wanted = _wanted(stdout=stdout, stderr=stderr)
            if logs:
                self._log_of(container)  # refuse before there is a session
            if stream:
                session = streams.attach(
                    wanted,
                    owns_stdin=stdin and container.config.open_stdin,
                    detach_keys=keys,
                    on_detach_keys=lambda: self._log_event(container, "detach"),
                )
            else:
                session = Session(streams, wanted, owns_stdin=False)
                session.end()
            if logs:
                # after the session, so that nothing is lost between the two
                session.begin_with(self._reader(container, ReadOptions(streams=wanted)).read())
            self._log_event(container, "attach")
        return session

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
    ) -> FileLogReader:
        """Open a container's log (moby: ContainerLogs).

        Raises:
            NotFound, InvalidParameter, EngineError: there is no such container, no stream is
                wanted, or a time is none.
            NotServed: the log's driver cannot be read.
        """
        container = self._get_container(ref)
        if not (stdout or stderr):
            raise InvalidParameter("Bad parameters: you must choose at least one stream")
        return self._reader(
            container,
            ReadOptions(
                streams=_wanted(stdout=stdout, stderr=stderr),
                follow=follow,
                since=parse_moment("" if since == "0" else since),
                until=parse_moment("" if until == "0" else until),
                timestamps=timestamps,
                details=details,
                # anything that is no count of lines is all of them
                tail=int(tail) if re.fullmatch(r"[0-9]{1,18}", tail, re.ASCII) else None,
            ),
        )

    def _reader(self, container: Container, options: ReadOptions) -> FileLogReader:
        return FileLogReader(self._log_of(container), options, tty=container.config.tty)

    def _log_of(self, container: Container) -> JSONFileLog:
        log = self._streams.of(container).log
        if log is None:
            raise NotServed("configured logging driver does not support reading")
        return log


def _wanted(*, stdout: bool, stderr: bool) -> frozenset[int]:
    streams = ((STDOUT, stdout), (STDERR, stderr))
    return frozenset(number for number, is_wanted in streams if is_wanted)
