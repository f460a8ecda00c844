"""How busy the machine was: a run under load is marked, because its numbers are rough."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUSY_WINDOW_S = 1.0
MAX_LOAD_PER_CPU = 0.5
MAX_BUSY_SHARE = 0.25
MAX_STEAL_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """The first line of /proc/stat, in clock ticks since boot."""

    total: int
    idle: int
    steal: int

    @classmethod
    def from_proc_stat(cls, text: str) -> CpuTimes:
        """Read the `cpu` line (proc(5): user nice system idle iowait irq softirq steal ...)."""
        fields = [int(word) for word in text.splitlines()[0].split()[1:9]]
        return cls(total=sum(fields), idle=fields[3] + fields[4], steal=fields[7])

    @classmethod
    def now(cls) -> CpuTimes:
        """Read the times of this moment."""
        return cls.from_proc_stat(Path("/proc/stat").read_text(encoding="ascii"))

    def busy_share_since(self, before: CpuTimes) -> float:
        """Return the share of time in which a processor worked, 0 to 1."""
        total = self.total - before.total
        return 1 - (self.idle - before.idle) / total if total else 0.0

    def steal_share_since(self, before: CpuTimes) -> float:
        """Return the share of time that the hypervisor gave to others, 0 to 1."""
        total = self.total - before.total
        return (self.steal - before.steal) / total if total else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy the machine was before the run, and what others took from it during the run."""

    cpus: int
    load_average: float
    busy_share: float
    steal_share: float = 0.0

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why this run counts as run under load; empty when it does not."""
        found = []
        if self.load_average > MAX_LOAD_PER_CPU * self.cpus:
            found.append(f"load average {self.load_average:.1f} on {self.cpus} CPUs before it")
        if self.busy_share > MAX_BUSY_SHARE:
            found.append(f"CPUs {self.busy_share:.0%} busy before it")
        if self.steal_share > MAX_STEAL_SHARE:
            found.append(f"{self.steal_share:.0%} of the CPU time went to other machines")
        return tuple(found)


def load_before_run() -> Load:
    """Watch the machine for a second, before anything of ours runs."""
    before = CpuTimes.now()
    time.sleep(BUSY_WINDOW_S)  # the window that is watched, not a wait for something
    return Load(
        cpus=os.cpu_count() or 1,
        load_average=os.getloadavg()[0],
        busy_share=CpuTimes.now().busy_share_since(before),
    )


def describe_machine() -> dict[str, Any]:
    """Return what a result must say of the machine: its processor, its kernel, how busy it is."""
    models = {
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    }
    return {
        "cpu": ", ".join(sorted(models)) or platform.machine(),
        "cpus": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }
