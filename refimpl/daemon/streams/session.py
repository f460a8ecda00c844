"""The streams of one process, and one client's view of them.

`Streams` passes a process's output on to the container's log and to every attached session, and a
session's input to the process. It exists before the process does, because `docker run` attaches
first and starts then.

Mirrors: moby container/stream/{streams,attach}.go (v20.10).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from refimpl.daemon.streams.detach_keys import DetachKeys
from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.oci.base import Process

log = logging.getLogger(__name__)

BACKLOG_BYTES = 1024 * 1024
"""How much a session may lag behind before its process is no longer read."""
EARLY_INPUT_BYTES_MAX = 4095
"""How much input is kept for a process that has not started: what an empty terminal takes. A
client that sends more waits for the start."""
_BACKLOG_PIECES = 4096
"""How many pieces a session may lag behind: each costs memory of its own, however short it is."""
_INPUT_WAIT_MS = 1000
"""How long a full standard input is waited for before the session's end is looked at again."""
_JOINED_BYTES_MAX = 4096
"""Pieces of output up to this size are joined while they wait."""


class Session:
    """One client's view of a process's streams (`backend.AttachSession`)."""

    def __init__(
        self,
        streams: Streams,
        wanted: frozenset[int],
        *,
        owns_stdin: bool,
        detach_keys: bytes = b"",
        on_detach_keys: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a session; `Streams.attach` makes one that also gets what is new.

        Args:
            streams: the process's streams.
            wanted: the numbers of the streams that the client wants.
            owns_stdin: whether the client's input goes to the process.
            detach_keys: the sequence that ends the session when it is typed at a terminal.
            on_detach_keys: called when that has happened.
        """
        self.tty = streams.tty
        self._streams = streams
        self._wanted = wanted
        self._owns_stdin = owns_stdin
        self._before: Iterable[tuple[int, bytes]] = ()
        self._keys = DetachKeys(detach_keys) if detach_keys and streams.tty else None
        self._on_detach_keys = on_detach_keys
        self._pending: deque[tuple[int, bytes]] = deque()
        self._pending_bytes = 0
        self._is_detached = False
        self.changed = threading.Condition()
        self.ended = False

    def begin_with(self, before: Iterable[tuple[int, bytes]]) -> None:
        """Let `output` yield something else first, which is read as the client takes it."""
        self._before = before

    def output(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, bytes) until the process has ended or the session is detached."""
        for earlier in self._before:
            if self._is_detached:
                return
            yield earlier
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self._pending or self.ended)
                if not self._pending:
                    return
                was_full = self.is_full
                stream, data = self._pending.popleft()
                self._pending_bytes -= len(data)
                is_full = self.is_full
            if was_full and not is_full:
                self._streams.resume()
            yield stream, data

    def push(self, stream: int, data: bytes) -> bool:
        """Hand output over; tell whether the session now lags too far behind."""
        with self.changed:
            if stream in self._wanted and not self.ended:
                last = self._pending[-1] if self._pending else (-1, b"")
                if last[0] == stream and len(last[1]) + len(data) <= _JOINED_BYTES_MAX:
                    self._pending[-1] = (stream, last[1] + data)
                else:
                    self._pending.append((stream, data))
                self._pending_bytes += len(data)
                self.changed.notify_all()
            return self.is_full

    @property
    def is_full(self) -> bool:
        """Tell whether the session lags too far behind."""
        return self._pending_bytes > BACKLOG_BYTES or len(self._pending) > _BACKLOG_PIECES

    def end(self) -> None:
        """Let `output` end once what is pending has been read."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def write(self, data: bytes) -> None:
        """Feed standard input; leave when the detach sequence was typed."""
        if not self._owns_stdin or self.ended:
            return
        has_detached = False
        if self._keys is not None:
            data, has_detached = self._keys.feed(data)
        if data:
            self._streams.write_stdin(data, lambda: self.ended)
        if has_detached and not self.ended:
            self._leave()  # the client is still there, and reads what is pending
            self._on_detach_keys()

    def close_stdin(self) -> None:
        """Close standard input, where the first client to close it closes it for good."""
        if self._owns_stdin:
            self._streams.close_stdin(lambda: self.ended)

    def detach(self) -> None:
        """Leave; the process goes on. Whoever waits in this session's methods is woken."""
        with self.changed:
            self._is_detached = True
            self._pending.clear()
            self._pending_bytes = 0
        self._leave()

    def _leave(self) -> None:
        self.end()  # first, so that whoever is woken then sees it
        self._streams.remove(self)
        self._streams.resume()


class Streams:
    """The streams of one container, over all its runs, or of one exec."""

    def __init__(
        self,
        resume: Callable[[Process], None],
        *,
        tty: bool,
        stdin_once: bool,
        name: str = "",
        log: JSONFileLog | None = None,
    ) -> None:
        """Make the streams of a process that is still to come.

        Args:
            resume: called when a process that was not read may be read again.
            tty: whether the process has a terminal.
            stdin_once: whether the first client to close standard input closes it for good.
            name: whose streams they are, for the engine's own log.
            log: where output is kept, None for nowhere.
        """
        self.tty = tty
        self.name = name
        self.log = log
        self._resume = resume
        self._stdin_once = stdin_once
        self._lock = threading.Lock()
        self._started = threading.Condition(self._lock)
        self._sessions: list[Session] = []
        self._process: Process | None = None
        self._stdin: int | None = None
        self._early = bytearray()
        self._closes_early = False
        self._is_logging = log is not None
        self._writing = threading.Lock()
        """Held while the log is written or closed: a run's end and a removal may meet."""

    def attach(
        self,
        wanted: frozenset[int],
        *,
        owns_stdin: bool,
        detach_keys: bytes = b"",
        on_detach_keys: Callable[[], None] = lambda: None,
    ) -> Session:
        """Open a session that gets what comes from now on (see `Session`)."""
        session = Session(
            self,
            wanted,
            owns_stdin=owns_stdin,
            detach_keys=detach_keys,
            on_detach_keys=on_detach_keys,
        )
        with self._lock:
            self._sessions.append(session)
        return session

    def remove(self, session: Session) -> None:
        """Forget an ended session, and wake what waits in it."""
        with self._lock:
            if session in self._sessions:
                self._sessions.remove(session)
            self._started.notify_all()

    def begin(self, process: Process) -> None:
        """Take a started process's descriptors, and give it the input that is there already."""
        with self._lock:
            self._process = process
            self._stdin = process.stdin if process.console is None else process.console
            if self._stdin is not None:
                os.set_blocking(self._stdin, False)
                if self._early:
                    with contextlib.suppress(OSError):  # it has ended, or closed its input
                        os.write(self._stdin, self._early)
            self._early.clear()
            if self._closes_early:
                self._close_stdin()
            self._started.notify_all()
        if self.log is not None:
            self._is_logging = True
            self.log.open()

    def resize(self, set_size: Callable[[int, int, int], None], rows: int, columns: int) -> None:
        """Set the size of the terminal, if there is one; it stays open meanwhile.

        The kernel's sizes have 16 bits, and what a client sends is cut to them as in Docker.
        """
        with self._lock:
            console = self._process.console if self._process is not None else None
            if console is not None:
                set_size(console, rows & 0xFFFF, columns & 0xFFFF)

    def deliver(self, stream: int, data: bytes) -> bool:
        """Pass output on; tell whether some session lags too far behind.

        Raises nothing: what fails ends one container's log until its next run, or one session.
        """
        if self.log is not None and self._is_logging:
            try:
                with self._writing:
                    self.log.write(stream, data)
            except Exception:
                log.exception("%s: the log failed, output is no longer logged", self.name)
                self._is_logging = False
        with self._lock:
            sessions = list(self._sessions)
        is_lagging = False
        for session in sessions:
            try:
                is_lagging |= session.push(stream, data)
            except Exception:
                log.exception("%s: a session failed and is ended", self.name)
                session.detach()
        return is_lagging

    def resume(self) -> None:
        """Read on, if no session lags any more."""
        with self._lock:
            process = self._process
            is_full = any(session.is_full for session in self._sessions)
        if process is not None and not is_full:
            self._resume(process)

    def end(self) -> None:
        """End a run: sessions end, the log is complete, input goes nowhere."""
        if self.log is not None:
            try:
                with self._writing:
                    self.log.close()
            except Exception:
                log.exception("%s: the end of the log could not be written", self.name)
        with self._lock:
            for session in self._sessions:
                session.end()
            self._sessions = []
            self._process = None
            self._close_stdin()
            self._early.clear()
            self._closes_early = False
            self._started.notify_all()

    def write_stdin(self, data: bytes, is_gone: Callable[[], bool]) -> None:
        """Write to standard input, waiting for the process to start and to read.

        A little input is kept for a process that has not started, so that its client may leave.
        """
        while data:
            with self._lock:
                if self._process is None and not is_gone():
                    if len(self._early) + len(data) <= EARLY_INPUT_BYTES_MAX:
                        self._early += data
                        return
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
            writable.poll(_INPUT_WAIT_MS)

    def close_stdin(self, is_gone: Callable[[], bool] = lambda: False) -> None:
        """Close standard input if it is to be closed by its first client; never a terminal's.

        Waits for nothing: before the start it is noted.
        """
        with self._lock:
            if not self._stdin_once or self.tty or is_gone():
                return
            if self._process is None:
                self._closes_early = True
            else:
                self._close_stdin()

    def _close_stdin(self) -> None:
        if self._stdin is not None and not self.tty:
            with contextlib.suppress(OSError):
                os.close(self._stdin)
        self._stdin = None
