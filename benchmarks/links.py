"""The links of containers in a network namespace, and the wait until they are gone.

The reference deletes a container's links after its answer. Whatever is measured meanwhile, on any
engine of the machine, waits for the same lock of the kernel.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from io import FileIO
from pathlib import Path
from threading import Thread

TIMEOUT_S = 10.0
POLL_S = 0.001
_TABLE = "/proc/thread-self/net/dev"
_MARK = b"veth"
"""Begins the name of a container's link on the host's side, in every engine's."""


class LinksError(Exception):
    """The links of a namespace cannot be read, or one of them stayed."""


class ContainerLinks:
    """The links of containers in one network namespace; closed when no longer needed."""

    def __init__(self, netns: Path | None = None) -> None:
        """Open the kernel's table of the links of a namespace.

        Args:
            netns: a file that names it; None = the caller's own.

        Raises:
            LinksError: it cannot be entered.
        """
        self._table = FileIO(_TABLE) if netns is None else _open_table(netns)

    def names(self) -> list[str]:
        """Return the names of the links that are there now."""
        self._table.seek(0)
        lines = self._table.readall().splitlines()
        names = (line.partition(b":")[0].strip() for line in lines)
        return [name.decode() for name in names if name.startswith(_MARK)]

    def wait_until_gone(self, timeout_s: float = TIMEOUT_S) -> None:
        """Return when no container's link is left.

        Raises:
            LinksError: one is left after `timeout_s`.
        """
        give_up_s = time.monotonic() + timeout_s
        while left := self.names():
            if time.monotonic() > give_up_s:
                raise LinksError(f"{', '.join(left)}: still there after {timeout_s:g} s")
            time.sleep(POLL_S)  # until the kernel has deleted them

    def close(self) -> None:
        """Let go of the namespace, which lives as long as its table is open."""
        self._table.close()


def wait_for_links_to_go() -> None:
    """Wait until no container's link is left in the caller's own namespace.

    Raises:
        LinksError: there is one left.
    """
    with closing(ContainerLinks()) as links:
        links.wait_until_gone()


def _open_table(netns: Path) -> FileIO:
    """Open the table of links of a namespace; the file stays that namespace's.

    A thread of its own enters the namespace: it ends there and takes nobody with it.
    """
    # Here, because the workers of the gate, which do not come here, run on an older reference, too.
    from refimpl.kernel import libc  # noqa: PLC0415

    opened: list[FileIO] = []
    failed: list[OSError] = []

    def enter() -> None:
        try:
            descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc.setns(descriptor, libc.CLONE_NEWNET, str(netns))
            finally:
                os.close(descriptor)
            opened.append(FileIO(_TABLE))
        except OSError as error:
            failed.append(error)

    thread = Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise LinksError(f"{netns}: {failed[0].strerror}")
    return opened[0]
