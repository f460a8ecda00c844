"""A container's control groups, for when the OCI runtime does not end its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_LOOK_EVERY_S = 0.02
_FREEZER_STATES = (("freezer.state", "THAWED"), ("cgroup.freeze", "0"))


def is_unified() -> bool:
    """Tell whether the host has version 2 alone."""
    return (ROOT / "cgroup.controllers").exists()


def is_hybrid() -> bool:
    """Tell whether the host has version 2 beside version 1."""
    return (ROOT / "unified" / "cgroup.controllers").exists()


def kill_all(parent: str, container_id: str, timeout_s: float, *, root: Path = ROOT) -> bool:
    """Kill every process of a container, and remove its groups.

    Args:
        parent: the group that the container's is in.
        container_id: the group's name.
        timeout_s: how long the processes may take to end.
        root: where the hierarchies are mounted.

    Returns:
        Whether none is left.
    """
    deadline = time.monotonic() + timeout_s
    groups = list(_groups(root, parent, container_id))
    while processes := {pid for group in groups for pid in _processes(group)}:
        for pid in processes:
            _kill(pid, container_id)
        thaw(parent, container_id, root=root)  # what is frozen does not end
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY_S)
    for group in groups:
        with contextlib.suppress(OSError):
            group.rmdir()
    return True


def thaw(parent: str, container_id: str, *, root: Path = ROOT) -> None:
    """Let the processes of a container go on."""
    for group in _groups(root, parent, container_id):
        for file, thawed in _FREEZER_STATES:
            with contextlib.suppress(OSError):
                if (group / file).exists():
                    (group / file).write_text(thawed, encoding="ascii")


def _groups(root: Path, parent: str, container_id: str) -> Iterator[Path]:
    below = Path(parent.strip("/"), container_id)
    for hierarchy in (root, *root.iterdir()):
        if (hierarchy / below).is_dir():
            yield hierarchy / below


def _processes(group: Path) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return [int(pid) for pid in (group / "cgroup.procs").read_text(encoding="ascii").split()]
    return []


def _kill(pid: int, container_id: str) -> None:
    """Kill a process, unless its number has become another's meanwhile."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            if container_id in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8"):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
