"""What the tests of the OCI runtime share: a runtime of their own, and a process to its end."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from refimpl.kernel.files import LinuxFiles
from refimpl.oci.runtime import OciRuntime, become_subreaper, find_runtime


def prepared(root: Path) -> OciRuntime:
    """A runtime whose state is in a directory that belongs to nobody else."""
    become_subreaper()
    runtime = find_runtime(str(root), LinuxFiles().read_inside)
    runtime.prepare()
    return runtime


def reap_all() -> None:
    """Reap the processes that a test did not wait for and that have been killed just now."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def drain(descriptor: int) -> str:
    """Read to the end; a pty's end is EIO."""
    data = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(descriptor, 65536):
            data += chunk
    os.close(descriptor)
    return data.decode()


def finish(runtime, process) -> tuple[Any, ...]:
    outputs = [
        drain(descriptor)
        for descriptor in (process.stdout, process.stderr)
        if descriptor is not None
    ]
    code = runtime.wait(process)
    os.close(process.pidfd)
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            os.close(process.stdin)
    return (code, *outputs)
