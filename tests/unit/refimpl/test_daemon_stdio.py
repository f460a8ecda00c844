"""Streams between real processes and their clients, and the log between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from refimpl.daemon.logs import LINE_LIMIT, FileLogReader, JSONFileLog
from refimpl.daemon.stdio import BACKLOG, Session, StdioLoop, Streams
from refimpl.oci.base import Process

WAIT_S = 20.0
NOW = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)
BOTH = frozenset({1, 2})


@pytest.fixture
def loop() -> Iterator[StdioLoop]:
    loop = StdioLoop()
    yield loop
    loop.close()


@pytest.fixture
def start(loop: StdioLoop) -> Callable[[Streams, str], threading.Event]:
    """Start a Python program as the process of some streams."""

    def start(streams: Streams, program: str) -> threading.Event:
        pipes = [os.pipe() for _ in range(3)]
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=pipes[0][0], stdout=pipes[1][1],
            stderr=pipes[2][1],
        )  # fmt: skip
        for descriptor in (pipes[0][0], pipes[1][1], pipes[2][1]):
            os.close(descriptor)
        process = Process(
            pid=child.pid, pidfd=os.pidfd_open(child.pid), stdin=pipes[0][1],
            stdout=pipes[1][0], stderr=pipes[2][0],
        )  # fmt: skip
        ended = threading.Event()

        def on_exit(process: Process) -> None:
            child.wait()
            os.close(process.pidfd)
            streams.end()
            ended.set()

        streams.begin(process)
        loop.watch(process, streams, on_exit)
        return ended

    return start


def collect(session: Session) -> dict[int, bytes]:
    collected = {1: b"", 2: b""}
    for number, data in session.output():
        collected[number] += data
    return collected


def test_session_opened_before_the_start_sees_everything_in_its_stream(loop, start):
    streams = Streams(loop, tty=False, stdin_once=False)
    session = streams.attach(BOTH, owns_stdin=False)
    start(streams, "import sys; print('out'); print('err', file=sys.stderr)")
    assert collect(session) == {1: b"out\n", 2: b"err\n"}


def test_session_gets_only_the_streams_that_it_wants(loop, start):
    streams = Streams(loop, tty=False, stdin_once=False)
    session = streams.attach(frozenset({2}), owns_stdin=False)
    start(streams, "import sys; print('out'); print('err', file=sys.stderr)")
    assert collect(session) == {1: b"", 2: b"err\n"}


def test_input_written_before_the_start_arrives_whole(loop, start):
    streams = Streams(loop, tty=False, stdin_once=True)
    session = streams.attach(BOTH, owns_stdin=True)
    data = b"x" * 3_000_000

    def feed() -> None:
        session.write(data)
        session.close_stdin()

    writer = threading.Thread(target=feed)
    writer.start()
    start(streams, "import sys; print(len(sys.stdin.buffer.read()))")
    assert collect(session)[1] == b"3000000\n"
    writer.join(WAIT_S)
    assert not writer.is_alive()


def test_slow_session_holds_its_process_back_and_loses_nothing(loop, start):
    streams = Streams(loop, tty=False, stdin_once=False)
    session = streams.attach(BOTH, owns_stdin=False)
    size = 8 * BACKLOG
    ended = start(streams, f"import sys; sys.stdout.buffer.write(b'x' * {size})")
    assert not ended.wait(0.5), "the process wrote on though nobody read"
    assert len(collect(session)[1]) == size


def test_detached_session_lets_the_process_go_on(loop, start):
    streams = Streams(loop, tty=False, stdin_once=False)
    session = streams.attach(BOTH, owns_stdin=False)
    ended = start(streams, f"import sys; sys.stdout.buffer.write(b'x' * {4 * BACKLOG})")
    session.detach()
    assert ended.wait(WAIT_S)


def test_detach_wakes_a_writer_that_waits_for_the_start(loop):
    streams = Streams(loop, tty=False, stdin_once=True)
    session = streams.attach(BOTH, owns_stdin=True)
    writer = threading.Thread(target=session.write, args=(b"x",))
    writer.start()
    session.detach()
    writer.join(WAIT_S)
    assert not writer.is_alive()


def read(log: JSONFileLog, **options: object) -> list[tuple[int, bytes]]:
    values: dict[str, object] = {
        "tty": False, "streams": BOTH, "follow": False, "since": None, "until": None,
        "timestamps": False, "tail": None,
    }  # fmt: skip
    return list(FileLogReader(log, **(values | options)).read())  # type: ignore[arg-type]


@pytest.fixture
def log(tmp_path: Path) -> JSONFileLog:
    return JSONFileLog(str(tmp_path / "json.log"), lambda: NOW)


def test_log_is_dockers_json_lines(log):
    log.open()
    log.write(1, b"one\ntw")
    log.write(2, b"error\n")
    log.write(1, b"o")
    log.close()
    assert Path(log.path).read_text() == (
        '{"log":"one\\n","stream":"stdout","time":"2026-11-24T12:00:00.000005Z"}\n'
        '{"log":"error\\n","stream":"stderr","time":"2026-11-24T12:00:00.000005Z"}\n'
        '{"log":"two","stream":"stdout","time":"2026-11-24T12:00:00.000005Z"}\n'
    )
    assert read(log) == [(1, b"one\n"), (2, b"error\n"), (1, b"two")]


def test_log_is_read_by_stream_tail_and_time(log):
    log.open()
    for number in range(4):
        log.write(1 + number % 2, f"{number}\n".encode())
    log.close()
    assert read(log, streams=frozenset({2})) == [(2, b"1\n"), (2, b"3\n")]
    assert read(log, tail=1) == [(2, b"3\n")]
    assert read(log, tail=0) == []
    assert read(log, tail=1, timestamps=True) == [(2, b"2026-11-24T12:00:00.000005Z 3\n")]
    assert read(log, since=NOW.replace(second=1)) == []
    assert read(log, until=NOW.replace(year=2025)) == []


def test_overlong_line_is_logged_in_pieces(log):
    log.open()
    log.write(1, b"x" * (LINE_LIMIT + 5) + b"\n")
    log.close()
    assert b"".join(data for _, data in read(log)) == b"x" * (LINE_LIMIT + 5) + b"\n"


def test_follower_ends_with_the_run(log):
    log.open()
    log.write(1, b"first\n")
    seen: list[bytes] = []
    first = threading.Event()

    def follow() -> None:
        reader = FileLogReader(
            log, tty=False, streams=BOTH, follow=True, since=None, until=None,
            timestamps=False, tail=None,
        )  # fmt: skip
        for _, data in reader.read():
            seen.append(data)
            first.set()

    follower = threading.Thread(target=follow)
    follower.start()
    assert first.wait(WAIT_S)
    log.write(1, b"last\n")
    log.close()
    follower.join(WAIT_S)
    assert seen == [b"first\n", b"last\n"]


def test_log_that_was_never_written_is_empty(log):
    assert read(log) == []


def test_a_log_that_cannot_be_written_costs_the_log_and_nothing_else(loop, start, caplog):
    streams = Streams(loop, tty=False, stdin_once=False, log=JSONFileLog("/dev/full", lambda: NOW))
    session = streams.attach(BOTH, owns_stdin=False)
    ended = start(streams, "print('one', flush=True); print('two')")
    assert ended.wait(WAIT_S)
    assert b"".join(data for _, data in session.output()) == b"one\ntwo\n"
    assert caplog.text.count("Failed to log") == 1
    again = Streams(loop, tty=False, stdin_once=False)
    assert start(again, "pass").wait(WAIT_S), "the loop has ended"


def test_every_character_comes_back_from_the_log(tmp_path):
    log = JSONFileLog(str(tmp_path / "log"), lambda: NOW)
    line = "".join(map(chr, (*range(10), *range(11, 128), 0xE9, 0x2028, 0x1F600))) + "\n"
    log.write(1, line.encode() + b"\xff\n")
    log.close()
    written = [json.loads(entry) for entry in Path(log.path).read_text().split("\n") if entry]
    assert [entry["log"] for entry in written] == [line, "\ufffd\n"]
    assert {tuple(entry) for entry in written} == {("log", "stream", "time")}
