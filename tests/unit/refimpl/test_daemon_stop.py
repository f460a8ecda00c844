"""Goal: a stop ends a container, whatever stop signal and time it was made with."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.lifecycle import stop
from refimpl.daemon.lifecycle.shutdown import Shutdown
from refimpl.daemon.lifecycle.stop import Stopper
from refimpl.errors import Conflict, EngineError
from refimpl.model.wire_container import Config, HostConfig


class Deaf:
    """The wait for a container that does not heed its stop signal."""

    def result(self, timeout_s: float | None) -> None:
        del timeout_s


class Racing(Stopper):
    """A part whose container ends just before it is killed."""

    def kill_with_signal(self, container: Container, number: int) -> Any:
        del container, number
        return Deaf()

    def kill(self, container: Container) -> None:
        raise Conflict(f"Container {container.id} is not running")


class Announced:
    """Events that are only kept."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    def log_container(self, container: Container, action: str, *_: Any) -> None:
        del container
        self.actions.append(action)


def test_a_container_that_ends_before_its_kill_is_stopped() -> None:
    container = Container(
        id="1" * 64,
        name="/web",
        created=datetime(2026, 11, 25, tzinfo=UTC),
        root="/nowhere",
        image_id="",
        path="sh",
        args=[],
        config=Config(),
        host_config=HostConfig(),
    )
    container.state.set_running(1, container.created)
    events: Any = Announced()
    unused: Any = None
    stopper = Racing(
        containers=unused,
        checkpoints=unused,
        runtime=unused,
        events=events,
        cancel_restart=unused,
        is_shutting_down=unused,
    )
    stopper.stop_container(container, 0)
    assert events.actions == ["stop"]


class Recorded:
    """A runtime whose containers end by the signals that it is told of."""

    def __init__(self, heeded: set[int], container: Container) -> None:
        self.heeded = heeded
        self.container = container
        self.signals: list[int] = []

    def kill(self, container_id: str, number: int) -> None:
        del container_id
        self.signals.append(number)
        if number in self.heeded:
            self.container.state.set_stopped(128 + number, self.container.created)
            self.container.ends.run_ended(128 + number)

    def resume(self, container_id: str) -> None:
        """Nothing is paused."""


class Unwritten:
    """Checkpoints that are not written."""

    def try_checkpoint(self, container: Container) -> None:
        """There is no disk."""


def stopping(stop_signal: str, *heeded: int, timeout_s: int | None = None) -> tuple[Any, Recorded]:
    """Return a stopper, its only container's runtime."""
    container = Container(
        id="1" * 64,
        name="/web",
        created=datetime(2026, 11, 25, tzinfo=UTC),
        root="/nowhere",
        image_id="",
        path="sh",
        args=[],
        config=Config(stop_signal=stop_signal, stop_timeout=timeout_s),
        host_config=HostConfig(),
    )
    container.state.set_running(1, container.created)
    registry = ContainerRegistry(LinkIndex())
    registry.add(container)
    runtime = Recorded(set(heeded), container)
    events: Any = Announced()
    parts: Any = (runtime, Unwritten())
    stopper = Stopper(
        containers=registry,
        checkpoints=parts[1],
        runtime=parts[0],
        events=events,
        cancel_restart=lambda _id: None,
        is_shutting_down=lambda: False,
    )
    return stopper, runtime


@pytest.mark.parametrize("text", ["FOO", "70", "-5"])
def test_a_stop_signal_that_is_none_leads_to_a_kill_after_two_seconds(text, monkeypatch):
    monkeypatch.setattr(stop, "UNSIGNALLED_WAIT_S", 0.01)
    stopper, runtime = stopping(text, 9, timeout_s=1000)
    stopper.container_stop("1" * 64, None)
    assert runtime.signals == [9]
    assert stopper.events.actions == ["kill", "stop"]


def test_a_stop_signal_that_is_none_refuses_other_signals_but_kill():
    stopper, runtime = stopping("FOO", 9)
    with pytest.raises(EngineError) as refusal:
        stopper.container_kill("1" * 64, "TERM")
    assert refusal.value.status == 500
    assert str(refusal.value) == f"Cannot kill container: {'1' * 64}: Invalid signal: FOO"
    stopper.container_kill("1" * 64, "KILL")
    assert runtime.signals == [9]


@pytest.mark.parametrize("seconds", [10_000_000_000, 2**63 - 1, -1, -(2**63)])
@pytest.mark.parametrize("is_own", [True, False])
def test_a_time_that_no_machine_can_wait_is_for_ever(seconds, is_own):
    stopper, runtime = stopping("", timeout_s=seconds if is_own else 5)
    waiting = threading.Thread(
        target=stopper.container_stop, args=("1" * 64, None if is_own else seconds)
    )
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    runtime.heeded.add(15)
    runtime.kill("", 15)
    waiting.join()
    assert runtime.signals == [15, 15]


def test_the_daemons_end_is_not_broken_off_by_a_long_time():
    stopper, runtime = stopping("", 15, timeout_s=2**63 - 1)
    Shutdown(
        begun=threading.Event(), containers=stopper.containers, stopper=stopper
    ).stop_containers()
    assert runtime.signals == [15]


@pytest.mark.parametrize("seconds", [1e300, float(2**63), None])
def test_a_wait_takes_any_time(seconds):
    stopper, runtime = stopping("", 15)
    waiter = stopper.container_wait("1" * 64, "next-exit")
    threading.Timer(0.05, runtime.kill, ("", 15)).start()
    assert waiter.result(seconds).status_code == 128 + 15
