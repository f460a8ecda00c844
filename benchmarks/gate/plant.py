"""A slowdown of a known size, for the trials of the gate's own rule."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMER_SLACK = Path("/proc/thread-self/timerslack_ns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What is added to every allocate, inside its time.

    Attributes:
        cpu_s: CPU time to burn, in seconds.
        wait_s: time to wait without any, in seconds.
    """

    cpu_s: float = 0.0
    wait_s: float = 0.0

    def to_arguments(self) -> list[str]:
        """Return it as two words of a command line."""
        return [repr(self.cpu_s), repr(self.wait_s)]

    @classmethod
    def from_arguments(cls, words: Sequence[str]) -> Plant:
        """Read it from the first two words of a command line, if there are any."""
        return cls(cpu_s=float(words[0]), wait_s=float(words[1])) if words else cls()

    def spend(self) -> None:
        """Burn this much of this thread's CPU time, then wait this long."""
        if self.cpu_s:
            until_s = time.thread_time() + self.cpu_s
            while time.thread_time() < until_s:
                pass
        if self.wait_s:
            # the kernel may round a thread's sleeps up by 50 us
            TIMER_SLACK.write_text("1\n", encoding="ascii")
            time.sleep(self.wait_s)  # the planted slowdown itself
