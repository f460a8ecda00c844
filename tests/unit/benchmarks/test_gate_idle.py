"""Goal: sleep is idle time, work is not.

Method: real clocks, and bounds that a busy machine keeps, too.
"""

import time
from pathlib import Path

import pytest

from benchmarks.gate.idle import IdleMeter

SPENT_S = 0.05

pytestmark = pytest.mark.skipif(
    not Path("/proc/thread-self/schedstat").exists(),
    reason="this kernel does not count the time in its queues",
)


def test_sleep_is_idle() -> None:
    meter = IdleMeter()
    meter.start()
    time.sleep(SPENT_S)
    seconds, idle = meter.read()
    assert SPENT_S / 2 < idle <= seconds


def test_work_is_not() -> None:
    meter = IdleMeter()
    meter.start()
    until_s = time.thread_time() + SPENT_S
    while time.thread_time() < until_s:
        pass
    seconds, idle = meter.read()
    assert seconds >= SPENT_S
    assert idle < SPENT_S / 2
