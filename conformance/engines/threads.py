"""The network namespace of a daemon whose threads enter those of containers."""

import collections
import os
from pathlib import Path


def home_thread(pid: int) -> Path:
    """Give the folder in /proc of a thread that is in the process's own network namespace.

    A Go program enters a container's namespace with whatever thread it has, its first one too, so
    that /proc/PID/ns/net names the container's meanwhile. Most of its threads are at home. Where
    the namespaces may not be seen, it is the first thread's folder.
    """
    threads: dict[int, Path] = {}
    counted: collections.Counter[int] = collections.Counter()
    for folder in Path(f"/proc/{pid}/task").glob("*"):
        try:
            inode = (folder / "ns/net").stat().st_ino
        except OSError:
            continue  # ended meanwhile, or may not be seen
        threads.setdefault(inode, folder)  # the first one is the likeliest to stay
        counted[inode] += 1
    return threads[counted.most_common(1)[0][0]] if counted else Path(f"/proc/{pid}")


class Pinned:
    """A namespace that is held open, and has a path also when no thread is in it any more.

    Attributes:
        path: a file that names the namespace to every program of root's on this machine.
    """

    def __init__(self, source: Path) -> None:
        """Open the file that names the namespace now."""
        self._fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._fd}")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)
