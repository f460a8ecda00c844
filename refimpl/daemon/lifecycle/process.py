"""The end of a process, a container's first or an exec."""

from __future__ import annotations

import os

from refimpl.oci.base import Process

UNKNOWN = 255
"""The exit code of a process whose own one nobody has seen."""


def close_process(process: Process) -> None:
    """Close what is left of a process's descriptors after its end."""
    for descriptor in (process.pidfd, process.console):
        if descriptor is not None:
            os.close(descriptor)
