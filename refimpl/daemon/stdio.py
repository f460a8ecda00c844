"""The standard streams of every container and exec, in one epoll loop.

`Streams` is one process's fan-out: its output goes to the container's log and to every attached
session, a session's input goes to its standard input. It exists before the process does, because
`docker run` attaches first and starts then. `StdioLoop` is the one thread that reads all output
and notices every process's end by its pidfd. A session that does not keep up stops the reading of
its process, not of others.

Mirrors: moby container/stream/{streams,attach}.go (v20.10).
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from refimpl.daemon.backend import STDERR, STDOUT
from refimpl.daemon.logs import JSONFileLog
from refimpl.oci.base import Process

CHUNK = 64 * 1024
BACKLOG = 1024 * 1024
"""Bytes that a session may lag behind before its process is no longer read."""


class Session:
    """One client's view of a process's streams (`backend.AttachSession`)."""

    def __init__(self, streams: Streams, wanted: frozenset[int], *, owns_stdin: bool) -> None:
        self.tty = streams.tty
        self._streams = streams
        self._wanted = wanted
        self._owns_stdin = owns_stdin
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self.changed = threading.Condition()
        self.ended = False

    def output(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, bytes) until the process has ended or the session is detached."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._pending or self.ended)
                if not self._pending:
                    return
                stream, data = self._pending.popleft()
                was_full = self._pending_bytes > BACKLOG
                self._pending_bytes -= len(data)
                is_full = self._pending_bytes > BACKLOG
            if was_full and not is_full:
                self._streams.resume()
            yield stream, data

    def push(self, stream: int, data: bytes) -> bool:
        """Hand output over; tell whether the session now lags too far behind."""
        with self.changed:
            if stream in self._wanted and not self.ended:
                self._pending.append((stream, data))
                self._pending_bytes += len(data)
                self.changed.notify_all()
            return self._pending_bytes > BACKLOG

    @property
    def is_full(self) -> bool:
        """Tell whether the session lags too far behind."""
        return self._pending_bytes > BACKLOG

    def end(self) -> None:
        """Let `output` end once what is pending has been read."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def write(self, data: bytes) -> None:
        """Feed standard input."""
        if self._owns_stdin:
            self._streams.write_stdin(data, lambda: self.ended)

    def close_stdin(self) -> None:
        """Close standard input, where the first client to close it closes it for good."""
        if self._owns_stdin:
            self._streams.close_stdin(lambda: self.ended)

    def detach(self) -> None:
        """Leave; the process goes on."""
        self._streams.remove(self)
        with self.changed:
            self._pending.clear()
            self._pending_bytes = 0
        self.end()
        self._streams.resume()


class Streams:
    """The streams of one container, over all its runs, or of one exec."""

    def __init__(
        self, loop: StdioLoop, *, tty: bool, stdin_once: bool, log: JSONFileLog | None = None
    ) -> None:
        self.tty = tty
        self.log = log
        self._loop = loop
        self._stdin_once = stdin_once
        self._lock = threading.Lock()
        self._started = threading.Condition(self._lock)
        self._sessions: list[Session] = []
        self._process: Process | None = None
        self._stdin: int | None = None

    def attach(self, wanted: frozenset[int], *, owns_stdin: bool) -> Session:
        """Open a session; it begins with what comes from now on."""
        session = Session(self, wanted, owns_stdin=owns_stdin)
        with self._lock:
            self._sessions.append(session)
        return session

    def remove(self, session: Session) -> None:
        """Forget a session."""
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)
            self._started.notify_all()

    def begin(self, process: Process) -> None:
        """Take a started process's descriptors."""
        with self._lock:
            self._process = process
            self._stdin = process.stdin if process.console is None else process.console
            if self._stdin is not None:
                os.set_blocking(self._stdin, False)
            self._started.notify_all()
        if self.log is not None:
            self.log.open()

    @contextlib.contextmanager
    def console(self) -> Iterator[int | None]:
        """Lend the terminal, None without one; it stays open while it is lent."""
        with self._lock:
            yield self._process.console if self._process is not None else None

    def deliver(self, stream: int, data: bytes) -> bool:
        """Pass output on; tell whether some session lags too far behind."""
        if self.log is not None:
            self.log.write(stream, data)
        with self._lock:
            sessions = list(self._sessions)
        lagging = [session for session in sessions if session.push(stream, data)]
        return bool(lagging)

    def resume(self) -> None:
        """Read on, if no session lags any more."""
        with self._lock:
            process = self._process
            is_full = any(session.is_full for session in self._sessions)
        if process is not None and not is_full:
            self._loop.resume(process)

    def end(self) -> None:
        """End a run: sessions end, the log is complete, input goes nowhere."""
        if self.log is not None:
            self.log.close()
        with self._lock:
            sessions, self._sessions = self._sessions, []
            self._process = None
            self._close_stdin()
            self._started.notify_all()
        for session in sessions:
            session.end()

    def write_stdin(self, data: bytes, is_gone: Callable[[], bool]) -> None:
        """Write to standard input, waiting for the process to start and to read."""
        while data:
            with self._lock:
                self._started.wait_for(lambda: self._process is not None or is_gone())
                if self._stdin is None or is_gone():
                    return
                descriptor = self._stdin
                try:
                    data = data[os.write(descriptor, data) :]
                    continue
                except BlockingIOError:
                    pass
                except OSError:
                    return  # the process has closed its end
            writable = select.poll()
            writable.register(descriptor, select.POLLOUT)
            writable.poll(1000)

    def close_stdin(self, is_gone: Callable[[], bool]) -> None:
        """Close standard input if it is to be closed by its first client; never a terminal's."""
        with self._lock:
            self._started.wait_for(lambda: self._process is not None or is_gone())
            if self._stdin_once and not self.tty:
                self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin is not None and not self.tty:
            with contextlib.suppress(OSError):
                os.close(self._stdin)
        self._stdin = None


@dataclass(slots=True, eq=False)
class _Watched:
    process: Process
    streams: Streams
    on_exit: Callable[[Process], None]
    outputs: dict[int, int]
    is_paused: bool = False


class StdioLoop:
    """The thread that reads every process's output and sees every process's end."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._lock = threading.Lock()
        self._commands: deque[Callable[[], None]] = deque()
        self._watched: dict[int, _Watched] = {}
        self._by_output: dict[int, _Watched] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="stdio", daemon=True)
        self._thread.start()

    def watch(self, process: Process, streams: Streams, on_exit: Callable[[Process], None]) -> None:
        """Read a process until it ends; `on_exit` is then called on the loop's thread.

        When it is called all output has been delivered and the output descriptors are closed.
        """
        pairs = ((process.stdout, STDOUT), (process.stderr, STDERR), (process.console, STDOUT))
        outputs = {descriptor: number for descriptor, number in pairs if descriptor is not None}
        for descriptor in outputs:
            os.set_blocking(descriptor, False)
        self._command(lambda: self._add(_Watched(process, streams, on_exit, outputs)))

    def resume(self, process: Process) -> None:
        """Read a process on that was paused by a session's backlog."""
        self._command(lambda: self._set_paused(process.pidfd, is_paused=False))

    def close(self) -> None:
        """Stop the thread; processes are left alone."""
        self._closed = True
        self._command(lambda: None)
        self._thread.join()
        self._epoll.close()
        os.close(self._wake)

    def _command(self, command: Callable[[], None]) -> None:
        with self._lock:
            self._commands.append(command)
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while not self._closed:
            ready = self._epoll.poll()
            for descriptor, _ in ready:
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                elif descriptor in self._by_output:
                    self._read(self._by_output[descriptor], descriptor)
            # ends come after the output that was ready with them, commands after both
            for descriptor, _ in ready:
                if descriptor in self._watched:
                    self._end(self._watched[descriptor])
            with self._lock:
                commands, self._commands = self._commands, deque()
            for command in commands:
                command()

    def _add(self, watched: _Watched) -> None:
        self._watched[watched.process.pidfd] = watched
        self._epoll.register(watched.process.pidfd, select.EPOLLIN)
        for descriptor in watched.outputs:
            self._by_output[descriptor] = watched
            self._epoll.register(descriptor, select.EPOLLIN)

    def _read(self, watched: _Watched, descriptor: int) -> None:
        data = _read_some(descriptor)
        if data is None:
            return
        if not data:
            self._drop(watched, descriptor)
        elif watched.streams.deliver(watched.outputs[descriptor], data):
            self._set_paused(watched.process.pidfd, is_paused=True)

    def _set_paused(self, pidfd: int, *, is_paused: bool) -> None:
        watched = self._watched.get(pidfd)
        if watched is None or watched.is_paused == is_paused:
            return
        watched.is_paused = is_paused
        for descriptor in watched.outputs:
            self._epoll.modify(descriptor, 0 if is_paused else select.EPOLLIN)

    def _drop(self, watched: _Watched, descriptor: int) -> None:
        self._epoll.unregister(descriptor)
        del self._by_output[descriptor]
        del watched.outputs[descriptor]
        if descriptor != watched.process.console:
            os.close(descriptor)

    def _end(self, watched: _Watched) -> None:
        """Deliver what an ended process has left in its pipes, and tell of its end."""
        self._epoll.unregister(watched.process.pidfd)
        del self._watched[watched.process.pidfd]
        for descriptor in list(watched.outputs):
            while data := _read_some(descriptor):
                watched.streams.deliver(watched.outputs[descriptor], data)
            self._drop(watched, descriptor)
        watched.on_exit(watched.process)


def _read_some(descriptor: int) -> bytes | None:
    """Return what is there, b"" at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""  # a terminal whose last process is gone
