"""The exec-root of a worker lies in memory, as /run does on a real machine.

On a disk, a new file beside a thousand others takes longer, and what the journal does meanwhile is
noise.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

MOUNT_S = 10


def mount_in_memory(exec_root: Path) -> None:
    """Make a directory and mount a tmpfs there; it goes with the worker's own mount namespace.

    Raises:
        subprocess.SubprocessError: it could not be mounted.
    """
    exec_root.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(exec_root)],
        check=True,
        timeout=MOUNT_S,
    )
