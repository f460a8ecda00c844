"""The IPv6 switches of links, below /proc/sys/net of whichever namespace the calling thread is in.

The kernel keeps the names that it has looked up in one table for all namespaces. Those of one
spelling in one directory share a row of it: among 1,000 namespaces it walks through 1,000 entries
called `ipv6` for a single switch. An instance of proc of our own has rows of its
own, and a new one after a few uses keeps them short. It is mounted nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading

from refimpl.kernel import libc

logger = logging.getLogger(__name__)

_USES_MAX = 10
"""Of one instance of proc. To make a new one takes longer than to walk through ten more entries.
(Counts of syscalls are taken over ten starts, so that each has exactly one of these.)"""
_LINKS = "sys/net/ipv6/conf"


class Ipv6Switches:
    """Switches IPv6 on and off, link by link; for any number of threads."""

    def __init__(self) -> None:
        """Remember the calling thread's namespace as the daemon's own."""
        self._lock = threading.Lock()
        self._home = _open_directory("/proc/" + _LINKS)
        self._proc: int | None = None
        self._uses = 0

    def set_here(self, interface: str, *, enabled: bool) -> None:
        """Switch a link of the calling thread's namespace, or `all`, or `default`.

        Raises:
            OSError: what the kernel says; ENOENT if IPv6 is wanted and the kernel has none.
        """
        with self._lock:
            if self._proc is None or self._uses == _USES_MAX:
                self._renew_proc()
            self._uses += 1
            _switch(f"{_LINKS}/{interface}", self._proc, enabled=enabled)

    def ignore_routers_here(self, interface: str) -> None:
        """Let a link of the calling thread's namespace accept no router advertisement.

        With `default` each link that comes has it so. Set after IPv6 was switched on: the kernel
        has IPv6.
        """
        with self._lock:
            _write(f"{_LINKS}/{interface}/accept_ra", self._proc, b"0")

    def set_at_home(self, interface: str, *, enabled: bool) -> None:
        """Switch a link of the daemon's own namespace.

        Raises:
            OSError: what the kernel says; ENOENT if IPv6 is wanted and the kernel has none.
        """
        _switch(interface, self._home, enabled=enabled)

    def ignore_routers_at_home(self, interface: str) -> None:
        """Let a link of the daemon's own namespace accept no router advertisement.

        Otherwise any container could make itself the host's router (CVE-2020-13401).
        """
        with contextlib.suppress(FileNotFoundError):
            _write(f"{interface}/accept_ra", self._home, b"0")

    def close(self) -> None:
        """Close what is open; nobody may switch anything any more."""
        for descriptor in (self._home, self._proc):
            if descriptor is not None:
                os.close(descriptor)
        self._home = self._proc = None

    def _renew_proc(self) -> None:
        if self._proc is not None:
            os.close(self._proc)
            self._proc = None
        self._uses = 0
        try:
            self._proc = libc.make_filesystem("proc")
        except OSError as error:
            # a kernel before 5.2, or one that forbids it: slower among many, otherwise the same
            logger.debug("%s; /proc will do", error)
            self._proc = _open_directory("/proc")


def _open_directory(path: str) -> int | None:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None  # a kernel without IPv6


def _switch(path: str, directory: int | None, *, enabled: bool) -> None:
    try:
        _write(f"{path}/disable_ipv6", directory, b"0" if enabled else b"1")
    except FileNotFoundError:
        # a kernel without IPv6 has nothing to switch off
        if enabled:
            raise


def _write(path: str, directory: int | None, value: bytes) -> None:
    if directory is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    switch = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(switch, value)
    finally:
        os.close(switch)
