"""Goal: what goes wrong in one piece of background work ends nothing else."""

from __future__ import annotations

import threading

from refimpl.daemon.containers.guard import Workers
from refimpl.daemon.lifecycle.restart_manager import Timers

WAIT_S = 20.0


def fail() -> None:
    raise ValueError("odd")


def test_timers_outlive_a_call_that_fails(caplog):
    timers, is_called = Timers(), threading.Event()
    try:
        timers.call_later(0, fail)
        timers.call_later(0, is_called.set)
        assert is_called.wait(WAIT_S)
    finally:
        timers.close()
    assert "ValueError: odd" in caplog.text


def test_workers_outlive_work_that_fails(caplog):
    workers, is_done = Workers(), threading.Event()
    for _ in range(40):
        workers.submit(fail)
    workers.submit(is_done.set)
    workers.close()
    assert is_done.is_set()
    assert "ValueError: odd" in caplog.text


def test_work_is_done_where_no_thread_can_be_started(monkeypatch, caplog):
    workers, is_done, hold = Workers(), threading.Event(), threading.Event()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def wait() -> None:
        hold.wait(WAIT_S)

    workers.submit(wait)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    workers.submit(is_done.set)
    hold.set()
    assert is_done.wait(WAIT_S)
    monkeypatch.undo()
    workers.close()
    assert "no more worker can be started" in caplog.text
