"""The one thread that reads every process's output and sees every process's end.

A session that does not keep up stops the reading of its process, not of others. What goes wrong
with one process is logged with its name, and the loop goes on.

Mirrors: moby container/stream/streams.go CopyToPipe, libcontainerd's exit events (v20.10).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from refimpl.daemon.backend import STDERR, STDOUT
from refimpl.daemon.streams.session import Streams
from refimpl.oci.base import Process

log = logging.getLogger(__name__)

CHUNK_BYTES = 64 * 1024
LAST_BYTES_MAX = 1024 * 1024
"""How much output is read once a process has ended: the largest pipe (fs.pipe-max-size). More
comes only from a child that has outlived the process and writes on."""


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
        self._command(self._stop)
        self._thread.join()
        self._epoll.close()
        os.close(self._wake)

    def _command(self, command: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed:  # else the descriptor may be somebody else's by now
                self._commands.append(command)
                os.eventfd_write(self._wake, 1)

    def _stop(self) -> None:
        with self._lock:
            self._closed = True

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
                try:
                    command()
                except Exception:
                    log.exception("a command of the stdio loop failed")

    def _add(self, watched: _Watched) -> None:
        name, pidfd = watched.streams.name, watched.process.pidfd
        for descriptor in list(watched.outputs):
            try:
                self._by_output[descriptor] = watched
                self._epoll.register(descriptor, select.EPOLLIN)
            except OSError:
                log.exception("%s: output cannot be read", name)
                self._drop(watched, descriptor)
        try:
            self._epoll.register(pidfd, select.EPOLLIN)
        except OSError:
            # whoever handles the end also waits for it
            log.exception("%s: the end cannot be watched for", name)
            self._end(watched)
            return
        self._watched[pidfd] = watched

    def _read(self, watched: _Watched, descriptor: int) -> None:
        try:
            data = _read_some(descriptor)
            if data is None:
                return
            if not data:
                self._drop(watched, descriptor)
            elif watched.streams.deliver(watched.outputs[descriptor], data):
                self._set_paused(watched.process.pidfd, is_paused=True)
        except Exception:
            log.exception("%s: reading failed, output is no longer read", watched.streams.name)
            self._drop(watched, descriptor)

    def _set_paused(self, pidfd: int, *, is_paused: bool) -> None:
        watched = self._watched.get(pidfd)
        if watched is None or watched.is_paused == is_paused:
            return
        watched.is_paused = is_paused
        for descriptor in watched.outputs:
            self._epoll.modify(descriptor, 0 if is_paused else select.EPOLLIN)

    def _drop(self, watched: _Watched, descriptor: int) -> None:
        """Read a descriptor no more; it may be closed already."""
        with contextlib.suppress(OSError):
            self._epoll.unregister(descriptor)
        self._by_output.pop(descriptor, None)
        watched.outputs.pop(descriptor, None)
        if descriptor != watched.process.console:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _end(self, watched: _Watched) -> None:
        """Deliver what an ended process has left in its pipes, and tell of its end."""
        with contextlib.suppress(OSError):
            self._epoll.unregister(watched.process.pidfd)
        self._watched.pop(watched.process.pidfd, None)
        try:
            for descriptor, number in list(watched.outputs.items()):
                left = LAST_BYTES_MAX
                while left > 0 and (data := _read_some(descriptor)):
                    watched.streams.deliver(number, data)
                    left -= len(data)
                self._drop(watched, descriptor)
        except Exception:
            log.exception("%s: the last output is lost", watched.streams.name)
        try:
            watched.on_exit(watched.process)
        except Exception:
            log.exception("%s: the end could not be handled", watched.streams.name)


def _read_some(descriptor: int) -> bytes | None:
    """Return what is there, b"" at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, CHUNK_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        return b""  # a terminal whose last process is gone
