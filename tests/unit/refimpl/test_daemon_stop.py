"""Goal: a stop is content with a container that ends between its two signals."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from refimpl.daemon.containers.container import Container
from refimpl.daemon.lifecycle.stop import Stopper
from refimpl.errors import Conflict
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
