"""Attaching to a container, its logs and its terminal's size, with no daemon and no process."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from refimpl.daemon.containers.container import Container
from refimpl.daemon.streams.attach import Attachments
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.errors import Conflict, InvalidParameter, NotFound, NotServed
from refimpl.oci.base import Process
from tests.unit.refimpl.streams_world import NOW, container

WAIT_S = 20.0


class World:
    """One container, and the part of the daemon that its clients use."""

    def __init__(self, one: Container) -> None:
        self.container = one
        self.events: list[tuple[str, Mapping[str, str]]] = []
        self.sizes: list[tuple[int, int, int]] = []
        self.registry = StreamsRegistry(lambda _: None, lambda: NOW)
        self.attachments = Attachments(
            get_container=self._get,
            streams=self.registry,
            resize=lambda *size: self.sizes.append(size),
            log_event=lambda _, action, attributes=None: self.events.append(
                (action, attributes or {})
            ),
        )
        self.streams = self.registry.of(one)

    def _get(self, ref: str) -> Container:
        if ref != "web":
            raise NotFound(f"No such container: {ref}")
        return self.container


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(container(root=str(tmp_path)))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[World]:
    world = World(container(root=str(tmp_path), tty=True))
    primary, secondary = os.openpty()
    world.container.state.set_running(1, NOW)
    world.streams.begin(Process(pid=1, pidfd=-1, console=primary))
    yield world
    world.streams.end()
    os.close(primary)
    os.close(secondary)


BOTH: dict[str, Any] = {"stdin": True, "stdout": True, "stderr": True}


def test_the_log_comes_before_what_is_new_and_is_not_held_in_memory(world):
    world.streams.deliver(1, b"old\n" * 10)
    session = world.attachments.container_attach("web", **BOTH, logs=True)
    assert session._pending_bytes == 0
    world.streams.deliver(2, b"new\n")
    world.streams.end()
    assert list(session.output()) == [(1, b"old\n")] * 10 + [(2, b"new\n")]
    assert world.events == [("attach", {})]


def test_the_log_alone_leaves_no_session(world):
    world.streams.deliver(1, b"old\n")
    session = world.attachments.container_attach("web", **BOTH, logs=True, stream=False)
    assert world.streams._sessions == []
    assert list(session.output()) == [(1, b"old\n")]
    session.detach()


def test_neither_log_nor_stream_is_nothing(world):
    session = world.attachments.container_attach("web", **BOTH, stream=False)
    assert list(session.output()) == []
    assert world.streams._sessions == []


def test_a_log_that_cannot_be_read_leaves_no_session(tmp_path):
    world = World(container(root=str(tmp_path), log="none"))
    for ask in (
        lambda: world.attachments.container_attach("web", **BOTH, logs=True),
        lambda: world.attachments.container_logs("web", stdout=True, stderr=True),
    ):
        with pytest.raises(NotServed, match="configured logging driver does not support reading"):
            ask()
    assert world.streams._sessions == []
    assert world.events == []
    session = world.attachments.container_attach("web", **BOTH)
    world.streams.deliver(1, b"seen\n")
    world.streams.end()
    assert list(session.output()) == [(1, b"seen\n")]
    assert list(tmp_path.iterdir()) == []


def test_the_local_driver_keeps_a_log_that_is_read(tmp_path):
    world = World(container(root=str(tmp_path), log="local"))
    world.streams.deliver(1, b"kept\n")
    world.streams.end()
    reader = world.attachments.container_logs("web", stdout=True, stderr=True, tail="1")
    assert list(reader.read()) == [(1, b"kept\n")]
    assert (tmp_path / "local-logs" / "container.log").exists()


def test_the_detach_keys_are_dockers(terminal):
    session = terminal.attachments.container_attach("web", **BOTH)
    session.write(b"\x10\x11")
    other = terminal.attachments.container_attach("web", **BOTH, detach_keys="a,ctrl-b")
    other.write(b"\x10\x11")
    assert session.ended
    assert not other.ended
    other.write(b"a\x02")
    assert other.ended
    assert [action for action, _ in terminal.events] == ["attach", "detach", "attach", "detach"]


@pytest.mark.parametrize("keys", ["zz", "ctrl-zz", "a,", "ctrl-A", "ctrl-,", "é", ",", "\ud800"])
def test_what_are_no_detach_keys_is_refused(world, keys):
    with pytest.raises(InvalidParameter) as refusal:
        world.attachments.container_attach("web", **BOTH, detach_keys=keys)
    assert str(refusal.value) == f"Invalid detach keys ({keys}) provided"
    assert world.streams._sessions == []


@pytest.mark.parametrize("keys", ["", "A", "ctrl-@", "ctrl-[", "ctrl-^", "ctrl-a,b,c"])
def test_what_are_detach_keys_is_taken(world, keys):
    world.attachments.container_attach("web", **BOTH, detach_keys=keys).detach()


@pytest.mark.parametrize("state", ["paused", "restarting"])
def test_who_cannot_be_attached_to(world, state):
    setattr(world.container.state, state, True)
    with pytest.raises(Conflict, match=state):
        world.attachments.container_attach("web", **BOTH)


def test_a_terminal_is_resized_to_what_16_bits_hold(terminal):
    terminal.attachments.container_resize("web", -1, 70000)
    assert [size[1:] for size in terminal.sizes] == [(65535, 4464)]
    assert terminal.events == [("resize", {"height": "-1", "width": "70000"})]


def test_only_what_runs_is_resized(world):
    with pytest.raises(Conflict, match="is not running"):
        world.attachments.container_resize("web", 1, 1)
    assert world.events == []


def test_a_log_is_read_while_somebody_holds_the_container(world):
    """A start may take long; who reads the log has nothing to do with it."""
    world.streams.deliver(1, b"line\n")
    lines: list[tuple[int, bytes]] = []

    def read() -> None:
        reader = world.attachments.container_logs("web", stdout=True, stderr=False)
        lines.extend(reader.read())

    with world.container.lock:
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(WAIT_S)
    assert lines == [(1, b"line\n")]


def test_no_stream_of_a_log_is_refused(world):
    with pytest.raises(InvalidParameter, match="you must choose at least one stream"):
        world.attachments.container_logs("web", stdout=False, stderr=False)


@pytest.mark.parametrize(("tail", "count"), [("all", 3), ("2", 2), ("-1", 3), ("x", 3), ("0", 0)])
def test_a_tail_that_is_no_number_is_everything(world, tail, count):
    world.streams.deliver(1, b"a\nb\nc\n")
    reader = world.attachments.container_logs("web", stdout=True, stderr=True, tail=tail)
    assert len(list(reader.read())) == count


def test_a_removed_container_is_forgotten_and_its_sessions_end(world):
    session = world.attachments.container_attach("web", **BOTH)
    world.registry.forget(world.container)
    assert list(session.output()) == []
    assert world.registry.of(world.container) is not world.streams
    world.registry.end(world.container)


def test_a_container_with_options_that_are_none_has_streams_all_the_same(tmp_path):
    """Its start is refused, and a client may be attached by then."""
    world = World(container(root=str(tmp_path), log="json-file", options={"max-size": "x"}))
    session = world.attachments.container_attach("web", **BOTH)
    world.streams.end()
    assert list(session.output()) == []
