"""A container's streams as a client uses them: attach, logs, the size of the terminal.

Mirrors: moby daemon/{attach,logs,resize}.go (v20.10).
"""

from __future__ import annotations

import re

from refimpl.daemon.backend import STDERR, STDOUT, AttachSession
from refimpl.daemon.create import Creating
from refimpl.daemon.events import parse_moment
from refimpl.daemon.logs import FileLogReader
from refimpl.daemon.monitor import Monitoring
from refimpl.daemon.stop import not_running, restarting
from refimpl.errors import Conflict, InvalidParameter


class Attaching(Monitoring, Creating):
    """The part of the daemon that shows a container's output and takes its input."""

    def container_resize(self, ref: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal (moby: ContainerResize)."""
        container = self.get_container(ref)
        with container.lock:
            if not container.state.running:
                raise not_running(container)
            streams = self.container_streams(container)
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
        container = self.get_container(ref)
        with container.lock:
            if container.state.paused:
                raise Conflict(f"container {ref} is paused, unpause the container before attach")
            if container.state.restarting:
                raise restarting(container)
            wanted = frozenset(
                number for number, is_wanted in ((STDOUT, stdout), (STDERR, stderr)) if is_wanted
            )
            session = self.container_streams(container).attach(
                wanted, owns_stdin=stdin and container.config.open_stdin
            )
            self.log_container_event(container, "attach")
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
        container = self.get_container(ref)
        if not (stdout or stderr):
            raise InvalidParameter("Bad parameters: you must choose at least one stream")
        log = self.container_streams(container).log
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
