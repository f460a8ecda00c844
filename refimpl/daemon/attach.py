"""A container's streams as a client uses them: attach, logs, the size of the terminal.

Mirrors: moby daemon/{attach,logs,resize}.go (v20.10).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from refimpl.daemon.backend import STDERR, STDOUT, AttachSession
from refimpl.daemon.containers.refusals import not_running, restarting
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events, parse_moment
from refimpl.daemon.lifecycle.container_streams import ContainerStreams
from refimpl.daemon.logs import FileLogReader
from refimpl.errors import Conflict, InvalidParameter
from refimpl.oci.base import Runtime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attacher:
    """Shows a container's output and takes its input."""

    containers: ContainerRegistry
    streams: ContainerStreams
    runtime: Runtime
    events: Events

    def container_resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal (moby: ContainerResize)."""
        container = self.containers.get_container(ref)
        with container.lock:
            if not container.state.running:
                raise not_running(container.id)
            streams = self.streams.of(container)
            with streams.console() as console:
                if console is not None:
                    self.runtime.resize(console, rows, columns)

    def container_attach(
        self,
        ref: str,
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        logs: bool = False,
        stream: bool = True,
    ) -> AttachSession:
        """Attach to a container's first process (moby: ContainerAttach)."""
        container = self.containers.get_container(ref)
        with container.lock:
            if container.state.paused:
                raise Conflict(f"container {ref} is paused, unpause the container before attach")
            if container.state.restarting:
                raise restarting(container.id)
            wanted = frozenset(
                number for number, is_wanted in ((STDOUT, stdout), (STDERR, stderr)) if is_wanted
            )
            session = self.streams.of(container).attach(
                wanted, owns_stdin=stdin and container.config.open_stdin
            )
            self.events.log_container(container, "attach")
        if logs:
            for number, line in self.container_logs(ref, stdout=stdout, stderr=stderr).read():
                session.push(number, line)
        if not stream:
            session.end()
        return session

    def container_logs(
        self,
        ref: str,
        *,
        stdout: bool,
        stderr: bool,
        follow: bool = False,
        since: str = "",
        until: str = "",
        timestamps: bool = False,
        tail: str = "all",
    ) -> FileLogReader:
        """Open a container's log (moby: ContainerLogs)."""
        container = self.containers.get_container(ref)
        if not (stdout or stderr):
            raise InvalidParameter("Bad parameters: you must choose at least one stream")
        log = self.streams.of(container).log
        if log is None:
            raise InvalidParameter("configured logging driver does not support reading")
        wanted = ((STDOUT, stdout), (STDERR, stderr))
        return FileLogReader(
            log,
            tty=container.config.tty,
            streams=frozenset(number for number, is_wanted in wanted if is_wanted),
            follow=follow,
            since=parse_moment("" if since == "0" else since),
            until=parse_moment("" if until == "0" else until),
            timestamps=timestamps,
            # anything that is no count of lines is all of them
            tail=int(tail) if re.fullmatch(r"[0-9]{1,18}", tail, re.ASCII) else None,
        )
