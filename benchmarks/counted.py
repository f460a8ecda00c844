"""The process whose allocates are counted: syscalls by strace around it, or bytecodes by itself.

Ten containers per network are allocated again and again: the first time everything is new, the
others are counted. The thread that allocates is counted while it does; what other threads do
meanwhile and until they rest again belongs to the allocates as well. For strace the borders are
marked by looking for files that are not there.

Arguments: `syscalls` or `bytecodes`, and a directory to work in. It prints the bytecodes as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.gate.in_process import InProcessAllocator
from benchmarks.gate.serving import BATCH, NETWORK_MODES
from benchmarks.inprocess import InProcess
from benchmarks.links import wait_for_links_to_go
from refimpl.libnetwork.controller import new_id

MARK = "/netinit-count/"
PASSES = 5
REST_TIMEOUT_S = 20.0
REST_POLL_S = 0.005
REST_POLLS = 6
"""So many looks in a row must find every other thread asleep."""


class Bytecodes:
    """Counts the bytecodes of all threads that start after it, and of its own.

    What `prometheus_client` runs is left out: to find a duration's bucket takes as many steps as
    the duration is long.
    """

    def __init__(self) -> None:
        """Begin to trace; nothing is counted yet."""
        self._main = threading.get_ident()
        self._main_counts = False
        self._others_count = False
        self._counted: Counter[int] = Counter()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def mark(self, border: str) -> None:
        """Note that a part begins or ends."""
        name = border.partition(" ")[0]
        if name == "first":
            self._counted = Counter()
        self._others_count = name != "rest"
        self._main_counts = name == "begin"

    @property
    def counted(self) -> int:
        """How many since the mark `first`."""
        return self._counted.total()

    def _trace(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "call" and "prometheus_client" in frame.f_code.co_filename:
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        if event == "opcode":
            thread = threading.get_ident()
            if self._main_counts if thread == self._main else self._others_count:
                self._counted[thread] += 1  # one counter per thread: an addition is two steps
        return self._trace


def mark_for_strace(border: str) -> None:
    """Leave a line in strace's output."""
    os.access(MARK + border.replace(" ", "-"), os.F_OK)


def wait_for_rest() -> None:
    """Wait until every other thread has been asleep for a while.

    Raises:
        TimeoutError: one does not come to rest.
    """
    me = str(threading.get_native_id())
    give_up_s = time.monotonic() + REST_TIMEOUT_S
    looks = 0
    while looks < REST_POLLS:
        if time.monotonic() > give_up_s:
            raise TimeoutError("the other threads do not come to rest")
        others = [path for path in Path("/proc/self/task").iterdir() if path.name != me]
        states = [(path / "stat").read_text().rpartition(") ")[2][0] for path in others]
        looks = looks + 1 if set(states) <= {"S"} else 0
        time.sleep(REST_POLL_S)  # between two looks


def allocate_all(allocator: InProcessAllocator, network: str, mark: Callable[[str], None]) -> None:
    """Allocate every container of a network, with the borders marked, and release them again."""
    wait_for_rest()
    mark(f"first {network}")
    for index in range(BATCH):
        mark(f"begin {network}")
        allocator.allocate(network, index)
        mark(f"end {network}")
        # else it depends on the moment how much of one allocate's work the next one finds done
        wait_for_rest()
    mark(f"rest {network}")
    allocator.release([(network, index) for index in range(BATCH)])
    wait_for_links_to_go()


def main() -> int:
    """Allocate everything once uncounted and then a few times counted."""
    mode, directory = sys.argv[1:]
    bytecodes = Bytecodes() if mode == "bytecodes" else None
    numbers = itertools.count()
    # ids by chance sort by chance, and how far a loop over networks runs depends on it
    make_id = (lambda: sha256(b"%d" % next(numbers)).hexdigest()) if bytecodes else new_id
    reference = InProcess(Path(directory), make_id=make_id)
    try:
        allocator = InProcessAllocator(reference)
        found: dict[str, list[int]] = {}
        for network in NETWORK_MODES:
            allocate_all(allocator, network, lambda _border: None)
            for _ in range(PASSES):
                allocate_all(allocator, network, bytecodes.mark if bytecodes else mark_for_strace)
                if bytecodes:
                    found.setdefault(network, []).append(bytecodes.counted)
    finally:
        sys.settrace(None)
        reference.close()
    if bytecodes:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
