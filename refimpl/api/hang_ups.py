"""Who is told when a client hangs up: one thread for all connections.

A handler that waits for a process, a log or standard input does not read from its client, so it
does not see it leave. It registers what is to happen then. A client that has only finished
sending is still there: it may be reading.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


class HangUps:
    """The watching thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[socket.socket, Callable[[], None]]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="api-hang-ups", daemon=True)
        self._thread.start()

    @contextmanager
    def watch(self, sock: socket.socket, on_gone: Callable[[], None]) -> Iterator[None]:
        """Call `on_gone` from another thread, at most once, if the client leaves in the block.

        It may still be called just after the block, and must not wait for anybody. Nothing is
        read from the socket: a next request may already be in it.
        """
        descriptor = sock.fileno()
        with self._lock:
            if descriptor >= 0 and not self._closed:
                self._watched[descriptor] = (sock, on_gone)
                # without any flag a hang-up is reported, and nothing else is
                self._epoll.register(descriptor, select.EPOLLONESHOT)
        try:
            yield
        finally:
            with self._lock:
                if self._watched.pop(descriptor, None) is not None and not self._closed:
                    with contextlib.suppress(OSError, ValueError):
                        self._epoll.unregister(descriptor)

    def close(self) -> None:
        """End the thread; nobody is told any more."""
        with self._lock:
            self._closed = True
            self._watched.clear()
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        self._epoll.close()
        os.close(self._wake)

    def _run(self) -> None:
        while not self._closed:
            for descriptor, _ in self._epoll.poll():
                with self._lock:
                    watched = self._watched.get(descriptor)
                # the number may be another client's by now
                if watched is not None and has_hung_up(watched[0]):
                    self._tell(watched[1])

    @staticmethod
    def _tell(on_gone: Callable[[], None]) -> None:
        try:
            on_gone()
        except Exception:  # noqa: BLE001 - one client's trouble must not end the watching of the others
            _log.exception("a client hung up, and what waited for it could not be told")


def has_hung_up(sock: socket.socket) -> bool:
    """Return whether the other end is closed, or was shut down from here."""
    poller = select.poll()
    try:
        poller.register(sock, 0)  # POLLHUP is reported unasked
    except (OSError, ValueError):
        return True
    return bool(poller.poll(0))
