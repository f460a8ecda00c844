"""The end of a process, a container's first or an exec."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal

from refimpl.errors import EngineError
from refimpl.oci.base import Process, Runtime

log = logging.getLogger(__name__)

UNKNOWN = 255
"""The exit code of a process whose own one nobody has seen."""
ABANDON_WAIT_S = 10.0
"""How long a killed process may take to disappear before it is left unreaped."""


def close_process(process: Process) -> None:
    """Close what is left of a process's descriptors after its end."""
    for descriptor in (process.pidfd, process.console):
        if descriptor is not None:
            os.close(descriptor)


def abandon(process: Process, runtime: Runtime) -> None:
    """Kill a process, reap it and close what the daemon has of it.

    The runtime is not asked to kill it: what failed may be a want of descriptors. Its standard
    input is closed by the streams that took it.
    """
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process.pidfd, signal.SIGKILL)
        ended = select.poll()
        ended.register(process.pidfd, select.POLLIN)
        if ended.poll(ABANDON_WAIT_S * 1000):
            runtime.wait(process)
        else:
            log.error("process %d does not end", process.pid)
    except (OSError, EngineError):
        log.exception("process %d could not be killed", process.pid)
    for descriptor in (process.pidfd, process.stdout, process.stderr, process.console):
        if descriptor is not None:
            os.close(descriptor)
