"""The first processes of containers that an earlier daemon started, and how they are ended.

They are no children of this daemon: their exit codes are their new parent's to learn. /proc shows
the code until that parent asks for it, and from Linux 6.15 on a pidfd tells it then.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from refimpl.oci.base import Ending

_STATE_FILES = {
    "state.json": ("init_process_pid", "init_process_start"),
    "status": ("pid", "process-start-time"),
}
"""Where runc and crun keep a container's state, and how they call its first process in there."""

_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_PIDFD_INFO = struct.Struct("=QQ11Ii")
"""linux/pidfd.h: struct pidfd_info; the first member is a mask, the last one the wait status."""

_STAT_START, _STAT_STATUS = 22 - 4, 52 - 4
"""proc(5), stat: the start in clock ticks since boot, the wait status; counted from the fourth."""

_LOOK_S = 0.5
"""How often it is looked whether the daemon is to end meanwhile."""


@dataclass(frozen=True, slots=True)
class _Survivor:
    """A process that is to end, whose it is, and until when it has time (CLOCK_MONOTONIC)."""

    container_id: str
    pid: int
    started: int
    deadline: float


def end_survivors(
    root: Path, endings: Mapping[str, Ending], is_hurried: Callable[[], bool]
) -> dict[str, int]:
    """Send each process its signal, and SIGKILL to what does not end by it in its time.

    All at once, so that many take no longer than one. What is killed is not waited for.

    Args:
        root: Where the runtime keeps its state of each container.
        endings: How each container is ended, by its id.
        is_hurried: Tells whether to wait no longer.

    Returns:
        The exit codes of those that ended by themselves, by the container's id, where they can be
        known.
    """
    with contextlib.ExitStack() as opened:
        left: dict[int, _Survivor] = {}
        for container_id, ending in endings.items():
            process = _open(root / container_id)
            if process is not None:
                pid, started, pidfd = process
                opened.callback(os.close, pidfd)
                patience_s = ending.patience_s if _listens(pid, ending.number) else 0.0
                deadline = time.monotonic() + patience_s
                left[pidfd] = _Survivor(container_id, pid, started, deadline)
                _send(pidfd, ending.number)
        return _wait_or_kill(left, is_hurried)


def _wait_or_kill(left: dict[int, _Survivor], is_hurried: Callable[[], bool]) -> dict[str, int]:
    """Wait until each process has ended or was killed; return the exit codes of the former."""
    codes: dict[str, int] = {}
    waiter = select.poll()
    for pidfd in left:
        waiter.register(pidfd, select.POLLIN)
    while left:
        next_s = min(one.deadline for one in left.values()) - time.monotonic()
        for pidfd, _ in waiter.poll(min(max(next_s, 0.0), _LOOK_S) * 1000):
            waiter.unregister(pidfd)
            survivor = left.pop(pidfd)
            status = _wait_status(survivor, pidfd)
            if status is not None:
                code = os.waitstatus_to_exitcode(status)
                codes[survivor.container_id] = code if code >= 0 else 128 - code
        now = float("inf") if is_hurried() else time.monotonic()
        for pidfd in [key for key, one in left.items() if one.deadline <= now]:
            waiter.unregister(pidfd)
            del left[pidfd]
            _send(pidfd, signal.SIGKILL)
    return codes


def _open(state: Path) -> tuple[int, int, int] | None:
    """Return pid, start and pidfd of a container's first process; None when it has ended."""
    for name, keys in _STATE_FILES.items():
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            document = json.loads((state / name).read_bytes())
            pid, started = (int(document[key]) for key in keys)
            pidfd = os.pidfd_open(pid)
            with contextlib.ExitStack() as undo:
                undo.callback(os.close, pidfd)
                # the pid may be another process's by now
                if _stat(pid)[_STAT_START] == started:
                    undo.pop_all()
                    return pid, started, pidfd
    return None


def _listens(pid: int, number: int) -> bool:
    """Tell whether a process catches a signal, or has it blocked to read it when it likes.

    The first process of a container is not even sent any other one but SIGKILL. One that ignores a
    signal does not listen, even while it has it blocked, as a shell does around a fork.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    masks = dict(line.split(":", 1) for line in text.splitlines() if line.startswith("Sig"))
    caught, blocked, ignored = (int(masks[key], 16) for key in ("SigCgt", "SigBlk", "SigIgn"))
    return bool((caught | blocked) & ~ignored & 1 << (number - 1))


def _send(pidfd: int, number: int) -> None:
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(pidfd, number)


def _stat(pid: int) -> list[int]:
    """Return what proc(5) has of a process from its fourth field on."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return [int(word) for word in stat.rpartition(")")[2].split()[1:]]


def _wait_status(survivor: _Survivor, pidfd: int) -> int | None:
    """Return the wait status of a process that has ended, None where nobody tells it."""
    with contextlib.suppress(OSError, ValueError):
        stat = _stat(survivor.pid)
        if stat[_STAT_START] == survivor.started:
            return stat[_STAT_STATUS]
    info = bytearray(_PIDFD_INFO.pack(_PIDFD_INFO_EXIT, *[0] * 13))
    with contextlib.suppress(OSError):  # an older kernel
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
        mask, *_, status = _PIDFD_INFO.unpack(info)
        if mask & _PIDFD_INFO_EXIT:
            return int(status)
    return None
