"""Restarts by a container's policy, as inspect shows them: the starts, and the pauses between."""

import time
from collections.abc import Callable
from typing import Any

from docker.models.containers import Container

from conformance.assertions import expect_equal
from conformance.observe.poll import eventually

Inspect = Callable[[Container], dict[str, Any]]

# A policy waits 0.1 s, 0.2 s, 0.4 s, ...: after so many restarts it waits for 1.6 s.
_MANY = 4
# An engine with more restarts and no pause that was seen has none: two were of 1.6 and 3.2 s.
_TOO_MANY = 6
# How long a container is exited that its policy does not start any more: a pause is no exit.
_FOR_GOOD_S = 5.0


def wait_between_restarts(inspect: Inspect, container: Container) -> None:
    """Wait until a container that fails each time has a while to wait for its next start.

    Raises:
        BehaviourViolated: it has no such pause.
    """
    what = "it waits a while between two restarts"

    def seen() -> str:
        document = inspect(container)
        count = document["RestartCount"]
        if count >= _MANY and document["State"]["Restarting"]:
            return "it waits"
        return "it is started again at once" if count > _TOO_MANY else ""

    expect_equal(what, "it waits", eventually(what, seen, timeout_s=60))


def wait_for_restart(inspect: Inspect, container: Container, count: int) -> None:
    """Wait until a policy has started a container so often, and it runs.

    Raises:
        BehaviourViolated: it has not, in half a minute, or the container stays exited.
    """
    what = f"it was started again (restart {count})"
    exited_since = 0.0

    def seen() -> str:
        nonlocal exited_since
        document = inspect(container)
        status = document["State"]["Status"]
        if status == "running" and document["RestartCount"] == count:
            return "it runs"
        if status != "exited":
            exited_since = 0.0
            return ""
        exited_since = exited_since or time.monotonic()
        return "it stays exited" if time.monotonic() - exited_since > _FOR_GOOD_S else ""

    expect_equal(what, "it runs", eventually(what, seen, timeout_s=30))
