"""Restart policies as moby's restart manager decides them."""

from __future__ import annotations

import threading

import pytest

from refimpl.daemon.lifecycle.restart_manager import MAX_TIMEOUT_S, RestartManager, Timers
from refimpl.model.wire_container import RestartPolicy


def manager(name: str, retries: int = 0) -> RestartManager:
    return RestartManager(RestartPolicy(name=name, maximum_retry_count=retries))


def decide(
    one: RestartManager, exit_code: int = 1, *, stopped: bool = False, ran_s: float = 0.0
) -> float | None:
    return one.should_restart(exit_code, has_been_manually_stopped=stopped, ran_s=ran_s)


@pytest.mark.parametrize(
    ("policy", "exit_code", "stopped", "restarts"),
    [
        ("", 1, False, False),
        ("no", 1, False, False),
        ("always", 0, False, True),
        ("always", 0, True, True),
        ("unless-stopped", 0, False, True),
        ("unless-stopped", 1, True, False),
        ("on-failure", 1, False, True),
        ("on-failure", 0, False, False),
    ],
)
def test_policy_decides(policy, exit_code, stopped, restarts):
    assert (decide(manager(policy), exit_code, stopped=stopped) is not None) == restarts


def test_backoff_doubles_up_to_a_minute_and_a_stable_run_resets_it():
    one = manager("always")
    assert [decide(one) for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    for _ in range(20):
        last = decide(one)
    assert last == MAX_TIMEOUT_S
    assert decide(one, ran_s=10.0) == 0.1


def test_on_failure_gives_up_after_its_retries():
    one = manager("on-failure", 2)
    assert decide(one) is not None
    assert decide(one) is not None
    assert decide(one) is None


def test_canceled_manager_never_restarts():
    one = manager("always")
    one.cancel()
    assert decide(one) is None


def test_cancel_ends_a_wait_at_once():
    timers = Timers()
    one = manager("always")
    outcomes: list[bool] = []
    one.wait(timers, 60.0, outcomes.append)
    one.cancel()
    timers.close()
    assert outcomes == [False]


def test_wait_goes_on_after_its_delay():
    timers = Timers()
    done = threading.Event()
    outcomes: list[bool] = []

    def then(go_on: bool) -> None:
        outcomes.append(go_on)
        done.set()

    manager("always").wait(timers, 0.01, then)
    assert done.wait(5.0)
    timers.close()
    assert outcomes == [True]
