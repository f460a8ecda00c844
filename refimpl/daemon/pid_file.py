"""The daemon's pid file, which only one daemon at a time may have.

Mirrors: moby pkg/pidfile/pidfile.go (v20.10).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from refimpl.errors import EngineError
from refimpl.kernel.base import Files


def write_pid_file(path: str, files: Files) -> None:
    """Write our process id to a file, unless it names another process that lives.

    Raises:
        EngineError: it does; the file is left as it is.
        OSError: it cannot be read or written.
    """
    # what is no number names nobody
    with contextlib.suppress(FileNotFoundError, ValueError):
        pid = int(files.read(path))
        # our own number is left from before a restart of the machine, or of a container
        if pid != os.getpid() and Path(f"/proc/{pid}").exists():
            raise EngineError(f"pid file found, ensure docker is not running or delete {path}")
    files.write(path, f"{os.getpid()}\n".encode())
