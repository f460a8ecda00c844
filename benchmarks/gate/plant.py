"""A slowdown of a known size, for the trials of the gate's own rule."""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What is added to every allocate, inside its time.

    Attributes:
        cpu_s: CPU time to burn, in seconds.
        wait_s: time to wait without any, in seconds.
    """

    cpu_s: float = 0.0
    wait_s: float = 0.0

    def to_wire(self) -> dict[str, float]:
        """Return it as JSON."""
        return {"cpu_s": self.cpu_s, "wait_s": self.wait_s}

    def spend(self) -> None:
        """Burn this much of this thread's CPU time, then wait this long."""
        if self.cpu_s:
            until_s = time.thread_time() + self.cpu_s
            while time.thread_time() < until_s:
                pass
        if self.wait_s:
            _let_sleeps_end_in_time(threading.get_native_id())
            time.sleep(self.wait_s)  # the planted slowdown itself


@functools.cache
def _let_sleeps_end_in_time(thread: int) -> None:
    """Keep the kernel from rounding a thread's sleeps up by 50 us."""
    Path(f"/proc/{thread}/timerslack_ns").write_text("1\n", encoding="ascii")
