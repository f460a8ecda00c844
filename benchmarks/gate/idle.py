"""How long a thread neither worked nor queued for a processor: it slept, or waited for somebody.

On a busy machine most of a call's time is spent in the queue for a processor. What is left when the
queue and the thread's own CPU time are taken off is some microseconds in most calls, on a busy
machine as on a quiet one, so that a wait that a change adds stands out.
"""

from __future__ import annotations

import os
import time

_SCHEDSTAT = "/proc/thread-self/schedstat"
_BYTES = 100


class IdleMeter:
    """Reads the clocks of the calling thread; to be used by the thread that made it only.

    Raises:
        FileNotFoundError: the kernel does not count the time in its queues.
    """

    def __init__(self) -> None:
        self._schedstat = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        self._started_s = 0.0
        self._busy_s = 0.0

    def start(self) -> None:
        """Begin to measure."""
        self._busy_s = self._read_busy_s()
        self._started_s = time.perf_counter()

    def read(self) -> tuple[float, float]:
        """Return the time since the start and how much of it was idle, in seconds.

        The idle time can be some microseconds below zero, which the clocks take themselves.
        """
        seconds = time.perf_counter() - self._started_s
        return seconds, seconds - (self._read_busy_s() - self._busy_s)

    def _read_busy_s(self) -> float:
        # the thread's CPU time, and how long it was ready and had no processor
        queued_ns = int(os.pread(self._schedstat, _BYTES, 0).split()[1])
        return time.thread_time() + queued_ns / 1e9
