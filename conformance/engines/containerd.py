"""The containerd that a dockerd starts for itself, when that dockerd is started once more."""

import contextlib
from pathlib import Path

from conformance.observe.poll import WaitedTooLong, wait_until

END_TIMEOUT_S = 10


def forget_dead_containerd(exec_root: Path) -> bool:
    """Wait until the containerd of a dead dockerd has ended, and drop its pid file.

    It gets SIGKILL when its dockerd dies, and ends a moment later. A new dockerd takes any process
    of that number for a living containerd, also one that is ending or is not yet reaped. Then it
    waits 15 s and exits: `timeout waiting for containerd to start`.

    Returns:
        Whether a file was dropped. That of a containerd that lives on stays: dockerd uses it.
    """
    pid_file = exec_root / "containerd" / "containerd.pid"
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    with contextlib.suppress(WaitedTooLong):
        wait_until("containerd to end", lambda: not _is_containerd(pid), timeout_s=END_TIMEOUT_S)
    if _is_containerd(pid):
        return False
    pid_file.unlink(missing_ok=True)
    return True


def _is_containerd(pid: int) -> bool:
    """Say whether it runs, and no other process has its number now; a zombie has no words."""
    try:
        program = Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0]
    except OSError:
        return False
    return program.endswith(b"containerd")
