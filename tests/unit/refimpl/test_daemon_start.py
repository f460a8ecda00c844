"""Goal: a start or an exec that fails behind its process leaves no process and no descriptor.

Method: real processes with real pipes and pidfds; the container around them is made up, and the
steps that follow the runtime's fail one after the other as a full disk or table makes them fail.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.lifecycle.exec import EXEC_FAILED, Execs
from refimpl.daemon.lifecycle.restart_manager import RestartManagers
from refimpl.daemon.lifecycle.start import Starter
from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.daemon.streams.session import Streams
from refimpl.daemon.streams.stdio import StdioLoop
from refimpl.errors import EngineError, NotFound
from refimpl.libnetwork.controller import new_id, utc_now
from refimpl.model.wire_container import Config, HostConfig
from refimpl.oci.base import Process, ProcessSpec

FULL = OSError(errno.ENOSPC, "No space left on device")


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


class ProcessRuntime:
    """Starts processes that ignore every signal but the one that cannot be ignored."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.deleted: list[str] = []

    def run(self, spec: object) -> Process:
        del spec
        pipes = [os.pipe() for _ in range(3)]
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "import time; time.sleep(60)"],
            stdin=pipes[0][0], stdout=pipes[1][1], stderr=pipes[2][1],
        )  # fmt: skip
        for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
            os.close(descriptor)
        self.processes.append(child)
        return Process(
            pid=child.pid,
            pidfd=os.pidfd_open(child.pid),
            stdin=pipes[0][1],
            stdout=pipes[1][0],
            stderr=pipes[2][0],
        )

    def exec(self, container_id: str, process: ProcessSpec) -> Process:
        del container_id
        return self.run(process)

    def wait(self, process: Process) -> int:
        (child,) = [one for one in self.processes if one.pid == process.pid]
        return child.wait()


class Recorder:
    """Whatever is asked of it happens; the names are kept."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_options: self.calls.append(name)


class OneStreams:
    """The registry of one container's streams."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams

    def of(self, container: Container) -> Streams:
        del container
        return self.streams

    def end(self, container: Container) -> None:
        del container
        self.streams.end()


class World:
    """One container and the parts that start it."""

    def __init__(self, folder: Path) -> None:
        self.loop = StdioLoop()
        self.runtime = ProcessRuntime()
        self.log = JSONFileLog(str(folder / "log"), utc_now)
        self.streams = Streams(self.loop.resume, tty=False, stdin_once=False, log=self.log)
        self.recorder = Recorder()
        self.ended = threading.Event()
        self.container = Container(
            id="1" * 64,
            name="/web",
            created=utc_now(),
            root=str(folder),
            image_id="",
            path="sh",
            args=[],
            config=Config(),
            host_config=HostConfig(),
        )
        self.containers = ContainerRegistry(LinkIndex())
        self.containers.add(self.container)

    def starter(self, **changed: Any) -> Starter:
        anything: Any = self.recorder
        parts: dict[str, Any] = {
            "clock": utc_now,
            "containers": self.containers,
            "root_filesystems": anything,
            "initialize_networking": lambda _container: None,
            "specs": anything,
            "runtime": self.runtime,
            "streams": OneStreams(self.streams),
            "stdio": self.loop,
            "restart_managers": RestartManagers(),
            "checkpoints": anything,
            "events": anything,
            "cleanup": anything,
            "clean_up_left_over": lambda _container: None,
            "process_ended": lambda _container, _process: self.ended.set(),
            "remove_automatically": lambda _container: None,
            "expect_start": lambda: None,
        }
        return Starter(**parts | changed)

    def execs(self) -> Execs:
        anything: Any = self.recorder
        execs = Execs(
            clock=utc_now,
            new_id=new_id,
            containers=self.containers,
            specs=anything,
            runtime=self.runtime,  # type: ignore[arg-type]  # an exec asks for no more
            stdio=self.loop,
            workers=anything,
            events=anything,
        )
        object.__setattr__(execs.specs, "create_daemon_environment", lambda *_a, **_o: ())
        return execs


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    for child in made.runtime.processes:
        child.kill()
        child.wait()
    made.loop.close()


def fails(*_arguments: Any, **_options: Any) -> None:
    raise FULL


@pytest.mark.parametrize("step", ["log", "watch", "streams"])
def test_a_start_that_fails_behind_its_process_leaves_nothing(world, monkeypatch, step):
    before = open_descriptors()
    target, name = {
        "log": (world.log, "open"),
        "watch": (world.loop, "watch"),
        "streams": (world.streams, "begin"),
    }[step]
    begin = world.streams.begin

    def fails_behind(process: Process) -> None:
        begin(process)
        raise FULL

    monkeypatch.setattr(target, name, fails_behind if step == "streams" else fails)
    with pytest.raises(OSError, match="No space left"):
        world.starter().container_start(world.container.id)
    (child,) = world.runtime.processes
    assert child.returncode == -signal.SIGKILL
    assert open_descriptors() == before
    state = world.container.state
    assert (state.status, state.pid, state.error) == ("created", 0, "No space left on device")
    assert "log_container" not in world.recorder.calls


def test_a_start_goes_on_where_only_the_next_one_cannot_be_prepared(world):
    world.starter(expect_start=fails).container_start(world.container.id)
    assert world.container.state.status == "running"
    world.runtime.processes[0].kill()
    assert world.ended.wait(30)


@pytest.mark.parametrize("is_detached", [True, False])
def test_an_exec_that_fails_behind_its_process_leaves_nothing(world, monkeypatch, is_detached):
    world.container.state.set_running(1, utc_now())
    execs = world.execs()
    exec_id = execs.exec_create(world.container.id, {"Cmd": ["x"], "AttachStdin": True})
    before = open_descriptors()
    monkeypatch.setattr(world.loop, "watch", fails)
    if is_detached:
        with pytest.raises(Exception, match="No space left"):
            execs.exec_start(exec_id, detach=True)
    else:
        session = execs.exec_start(exec_id, detach=False)
        assert session is not None
    (child,) = world.runtime.processes
    assert child.returncode == -signal.SIGKILL
    assert open_descriptors() == before
    shown = execs.exec_inspect(exec_id)
    assert (shown["Running"], shown["ExitCode"]) == (False, EXEC_FAILED)


def test_an_exec_that_was_started_outlives_the_run_and_not_the_container(world):
    world.container.state.set_running(1, utc_now())
    execs = world.execs()
    ended, running, prepared = (
        execs.exec_create(world.container.id, {"Cmd": ["x"]}) for _ in range(3)
    )
    execs.execs[ended].exit_code = 3
    execs.execs[running].running = True
    world.container.state.set_stopped(137, utc_now())
    execs.forget_unstarted(world.container)
    assert execs.exec_inspect(ended)["ExitCode"] == 3
    assert execs.exec_inspect(running)["Running"]
    with pytest.raises(NotFound):
        execs.exec_inspect(prepared)
    for ask in (execs.exec_exists, lambda one: execs.exec_resize(one, 1, 2)):
        with pytest.raises(EngineError, match=r"is not running: Exited \(137\) .* ago") as refused:
            ask(ended)
        assert refused.value.status == 500
    execs.forget(world.container)
    with pytest.raises(NotFound):
        execs.exec_inspect(ended)
