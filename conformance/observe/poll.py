"""The one way to wait: a bounded poll that names its condition."""

import time
from collections.abc import Callable
from typing import TypeVar

from conformance.violation import BehaviourViolated, show

INTERVAL_S = 0.05
_T = TypeVar("_T")


class WaitedTooLong(Exception):
    """Something that the harness itself needs did not happen in time: an error, not a FAIL."""


def wait_until(condition: str, check: Callable[[], object], *, timeout_s: float) -> None:
    """Wait for what the harness needs; `condition` completes "waited for ...".

    Raises:
        WaitedTooLong: it did not happen in time.
    """
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            raise WaitedTooLong(f"waited {timeout_s:g} s for {condition}")
        time.sleep(INTERVAL_S)


def eventually(condition: str, check: Callable[[], _T], *, timeout_s: float = 10) -> _T:
    """Wait for what the row states, and give the first true value of `check`.

    Raises:
        BehaviourViolated: it did not happen in time; the row FAILs and shows the last value.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise BehaviourViolated(
                condition, f"within {timeout_s:g} s", f"not so; last seen: {show(value)}"
            )
        time.sleep(INTERVAL_S)
