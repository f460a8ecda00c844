"""A small backend for the API's tests: just enough of a daemon to see what it was asked."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from refimpl.api.server import Listener, Server
from refimpl.daemon.backend import Backend, WaitResult
from refimpl.errors import Conflict, EngineError, NotFound, NotModified
from tests.unit.refimpl.raw_http import WAIT_S

FAKE_INFO = {"ID": "fake", "SecurityOptions": ["name=seccomp,profile=default"]}


class FakeSession:
    """A process's streams: the test plays the process."""

    def __init__(self, *, tty: bool = False) -> None:
        self.tty = tty
        self.stdin = b""
        self.stdin_closed = threading.Event()
        self.detached = threading.Event()
        self.got_input = threading.Event()
        self._output: queue.Queue[tuple[int, bytes] | None] = queue.Queue()

    def output(self) -> Iterator[tuple[int, bytes]]:
        while (item := self._output.get()) is not None:
            yield item

    def write(self, data: bytes) -> None:
        self.stdin += data
        self.got_input.set()

    def close_stdin(self) -> None:
        self.stdin_closed.set()

    def detach(self) -> None:
        self.detached.set()
        self._output.put(None)

    def say(self, data: bytes, stream: int = 1) -> None:
        self._output.put((stream, data))

    def end(self) -> None:
        self._output.put(None)


class FakeLog:
    def __init__(self, chunks: Sequence[tuple[int, bytes]], *, tty: bool, follow: bool) -> None:
        self.tty = tty
        self._chunks = chunks
        self._follow = follow
        self.closed = threading.Event()

    def read(self) -> Iterator[tuple[int, bytes]]:
        yield from self._chunks
        if self._follow:
            self.closed.wait(WAIT_S)

    def close(self) -> None:
        self.closed.set()


class FakeWaiter:
    def __init__(self) -> None:
        self.ended: queue.Queue[WaitResult] = queue.Queue()
        self.closed = threading.Event()

    def result(self, timeout_s: float | None) -> WaitResult | None:
        try:
            return self.ended.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed.set()


class FakeEvents:
    def __init__(self) -> None:
        self.ended = False
        self.news: queue.Queue[dict[str, Any]] = queue.Queue()
        self.closed = threading.Event()

    def read(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            return self.news.get(timeout=min(timeout_s, 0.02))
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed.set()


@dataclass
class FakeBackend:
    """Answers what the tests set, and keeps what it was asked in `calls`."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    session: FakeSession = field(default_factory=FakeSession)
    waiter: FakeWaiter = field(default_factory=FakeWaiter)
    subscription: FakeEvents = field(default_factory=FakeEvents)
    log: tuple[tuple[int, bytes], ...] = ((1, b"out\n"), (2, b"err\n"))
    log_error: EngineError | None = None
    last_log: FakeLog | None = None
    broken: BaseException | None = None
    exec_failure: EngineError | None = None
    imported: bytes = b""

    def __getattr__(self, name: str) -> Any:
        """Keep what is asked of a method that no test needs an answer from."""
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *given, **named: self.calls.append(
            (name, *given, *([named] if named else []))
        )

    def version(self) -> dict[str, Any]:
        return {"Version": "20.10.24", "ApiVersion": "1.41", "Os": "linux", "Experimental": False}

    def info(self) -> dict[str, Any]:
        if self.broken is not None:
            raise self.broken
        return dict(FAKE_INFO)

    def events_subscribe(self, **asked: Any) -> FakeEvents:
        self.calls.append(("events", asked))
        return self.subscription

    def container_create(
        self, name: str | None, body: dict[str, Any], platform: str = ""
    ) -> tuple[str, list[str]]:
        self.calls.append(("create", name, body, *([platform] if platform else [])))
        return "0" * 64, []

    def container_start(self, ref: str) -> None:
        self.calls.append(("start", ref))
        if ref == "running":
            raise NotModified("it runs")
        self._find(ref)

    def container_stop(self, ref: str, timeout_s: int | None) -> None:
        self.calls.append(("stop", ref, timeout_s))

    def container_kill(self, ref: str, signal: str) -> None:
        self.calls.append(("kill", ref, signal))

    def container_resize(self, ref: str, rows: int, columns: int) -> None:
        self.calls.append(("resize", ref, rows, columns))

    def container_remove(self, ref: str, **asked: Any) -> None:
        self.calls.append(("remove", ref, asked))

    def container_inspect(self, ref: str, *, size: bool = False) -> dict[str, Any]:
        self._find(ref)
        return {"Id": ref, "SizeRw": size}

    def container_list(self, **asked: Any) -> list[dict[str, Any]]:
        self.calls.append(("list", asked))
        return []

    def containers_prune(self, filters: Any) -> dict[str, Any]:
        return {"ContainersDeleted": None, "SpaceReclaimed": 0}

    def container_wait(self, ref: str, condition: str) -> FakeWaiter:
        self.calls.append(("wait", ref, condition))
        self._find(ref)
        return self.waiter

    def container_logs(self, ref: str, **asked: Any) -> FakeLog:
        self._find(ref)
        self.calls.append(("logs", ref, asked))
        self.last_log = FakeLog(self.log, tty=ref == "tty", follow=asked["follow"])
        if (failure := self.log_error) is not None:
            self.last_log.read = lambda: _failing(failure)  # type: ignore[method-assign]
        return self.last_log

    def container_attach(self, ref: str, **asked: Any) -> FakeSession:
        self.calls.append(("attach", ref, asked))
        self._find(ref)
        return self.session

    def exec_create(self, ref: str, body: dict[str, Any]) -> str:
        self.calls.append(("exec", ref, body))
        return "e" * 64

    def exec_exists(self, exec_id: str) -> None:
        if exec_id == "nope":
            raise NotFound(f"No such exec instance: {exec_id}")

    def exec_start(self, exec_id: str, *, detach: bool) -> FakeSession | None:
        self.calls.append(("exec start", exec_id, detach))
        if self.exec_failure is not None:
            raise self.exec_failure
        return None if detach else self.session

    def network_create(self, body: dict[str, Any]) -> tuple[str, str]:
        self.calls.append(("network", body))
        return "a" * 64, ""

    def network_list(self, filters: Any, *, detailed: bool) -> list[dict[str, Any]]:
        self.calls.append(("networks", dict(filters), *["detailed"] * detailed))
        return []

    def network_inspect(self, ref: str, *, verbose: bool, scope: str) -> dict[str, Any]:
        return {"Name": ref, "verbose": verbose, "Scope": scope}

    def network_connect(self, ref: str, body: dict[str, Any]) -> None:
        self.calls.append(("connect", ref, body))

    def image_import(self, stream: BinaryIO, **asked: Any) -> Iterator[dict[str, Any]]:
        self.imported = stream.read()
        if self.imported == b"bad":
            raise EngineError("Error processing tar file(exit status 1): unexpected EOF")
        yield {"status": "sha256:" + "1" * 64}

    def image_pull(self, name: str, tag: str) -> Iterator[dict[str, Any]]:
        raise NotFound(f"pull access denied for {name}:{tag}")

    def image_load(self, stream: BinaryIO, *, quiet: bool) -> Iterator[dict[str, Any]]:
        self.imported = stream.read()
        if self.imported == b"bad":
            raise EngineError("unexpected EOF")
        yield {"stream": "Loaded image: busybox:latest\n"}

    def image_inspect(self, ref: str) -> dict[str, Any]:
        return {"Id": ref}

    def _find(self, ref: str) -> None:
        if ref == "nope":
            raise NotFound(f"No such container: {ref}")
        if ref == "paused":
            raise Conflict(f"container {ref} is paused, unpause the container before attach")


def _failing(failure: EngineError) -> Iterator[tuple[int, bytes]]:
    yield 1, b"before\n"
    raise failure


@contextmanager
def serving(backend: FakeBackend, path: Path) -> Iterator[Server]:
    """Serve a fake backend on a socket for the length of the block."""
    server = Server(cast("Backend", backend), Listener(path))
    try:
        yield server
    finally:
        server.close()
