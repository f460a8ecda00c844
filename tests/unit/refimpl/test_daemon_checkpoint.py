"""Goal: on a full disk a list tells the truth, and the documents are written once there is room."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from refimpl.daemon.containers.checkpoint import RETRY_S, Checkpoints
from refimpl.daemon.containers.container import Container
from refimpl.model.wire_container import Config, HostConfig

NOW = datetime(2026, 11, 27, tzinfo=UTC)


class Disk:
    """Files in memory on a disk that may be full."""

    def __init__(self) -> None:
        self.is_full = False
        self.files: dict[str, bytes] = {}

    def write(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        del mode
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.files[path] = data


@pytest.fixture
def container() -> Container:
    return Container(
        id="1" * 64, name="/web", created=NOW, root="/data", image_id="", path="sh", args=[],
        config=Config(), host_config=HostConfig(),
    )  # fmt: skip


def test_a_full_disk_hides_no_end_and_is_tried_again_until_there_is_room(container):
    disk: Any = Disk()
    due: list[tuple[float, Callable[[], None]]] = []
    checkpoints = Checkpoints(disk, lambda delay_s, work: due.append((delay_s, work)))
    container.state.set_running(7, NOW)
    checkpoints.checkpoint_to(container)

    disk.is_full = True
    container.state.set_stopped(3, NOW)
    checkpoints.try_checkpoint(container)
    checkpoints.try_checkpoint(container)
    assert container.listed is not None
    assert container.listed.state.status == "exited"
    assert [delay_s for delay_s, _ in due] == [RETRY_S]

    due.pop()[1]()
    assert len(due) == 1
    disk.is_full = False
    due.pop()[1]()
    assert due == []
    assert json.loads(disk.files["/data/config.v2.json"])["State"]["ExitCode"] == 3


def test_what_was_removed_meanwhile_is_not_written_again(container):
    disk: Any = Disk()
    due: list[Callable[[], None]] = []
    checkpoints = Checkpoints(disk, lambda _, work: due.append(work))
    disk.is_full = True
    checkpoints.try_checkpoint(container)
    container.ends.removed()
    disk.is_full = False
    due.pop()()
    assert disk.files == {}
