"""One daemon per data-root and per exec-root."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from refimpl.errors import EngineError


class RootLock:
    """One daemon per data-root and per exec-root, for as long as the lock lives (its process does).

    Args:
        directory: the root.
        kind: `data-root` or `exec-root`, as its flag is called.

    Raises:
        EngineError: another daemon has it.
        OSError: the lock's file cannot be made.
    """

    def __init__(self, directory: str, kind: str) -> None:
        # a name for each kind, since one directory may be both
        path = Path(directory, "netinit.lock" if kind == "data-root" else f"netinit-{kind}.lock")
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise EngineError(
                f"the {kind} {directory} is in use by another daemon: stop that one, or give "
                f"this one its own with --{kind}"
            ) from None

    def release(self) -> None:
        """Let another daemon have the root."""
        os.close(self._descriptor)
