"""The containerd that a dockerd starts for itself, when that dockerd is started once more."""

import contextlib
from pathlib import Path

from conformance.engines.processes import is_alive
from conformance.observe.poll import WaitedTooLong, wait_until

END_TIMEOUT_S = 10


def forget_dead_containerd(exec_root: Path) -> bool:
    """Drop the pid file of a containerd that ended with its dockerd; say whether there was one.

    A containerd gets SIGKILL when its dockerd dies, and needs up to a millisecond to end. A new
    dockerd takes each process of that number for a living containerd, also one that ends or is not
    yet reaped. Then it waits 15 s and exits: `timeout waiting for containerd to start`. A machine
    whose process 1 reaps at once hardly shows this; one in a container or a micro-VM does.
    """
    pid_file = exec_root / "containerd" / "containerd.pid"
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return False
    with contextlib.suppress(WaitedTooLong):  # one that lives on is used
        wait_until("containerd to end", lambda: not is_alive(pid), timeout_s=END_TIMEOUT_S)
    if is_alive(pid):
        return False
    pid_file.unlink()
    return True
