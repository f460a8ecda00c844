"""Streams between real processes and their clients, and the loop that reads them all."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from refimpl.daemon.streams import stdio
from refimpl.daemon.streams.detach_keys import DetachKeys, parse_detach_keys
from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.daemon.streams.session import BACKLOG_BYTES, EARLY_INPUT_BYTES_MAX, Session, Streams
from refimpl.daemon.streams.stdio import CHUNK_BYTES, LAST_BYTES_MAX, StdioLoop
from refimpl.oci.base import Process

WAIT_S = 20.0
NOW = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=UTC)
BOTH = frozenset({1, 2})
Start = Callable[[Streams, str], threading.Event]


@pytest.fixture
def loop() -> Iterator[StdioLoop]:
    loop = StdioLoop()
    yield loop
    loop.close()


@pytest.fixture
def make(loop: StdioLoop) -> Callable[..., Streams]:
    def make(**options: object) -> Streams:
        values: dict[str, object] = {"tty": False, "stdin_once": False, "name": "web"}
        return Streams(loop.resume, **(values | options))  # type: ignore[arg-type]

    return make


@pytest.fixture
def start(loop: StdioLoop) -> Start:
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


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def join(thread: threading.Thread) -> None:
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_session_opened_before_the_start_sees_everything_in_its_stream(make, start):
    streams = make()
    session = streams.attach(BOTH, owns_stdin=False)
    start(streams, "import sys; print('out'); print('err', file=sys.stderr)")
    assert collect(session) == {1: b"out\n", 2: b"err\n"}


def test_session_gets_only_the_streams_that_it_wants(make, start):
    streams = make()
    session = streams.attach(frozenset({2}), owns_stdin=False)
    start(streams, "import sys; print('out'); print('err', file=sys.stderr)")
    assert collect(session) == {1: b"", 2: b"err\n"}


def test_input_written_before_the_start_arrives_whole(make, start):
    streams = make(stdin_once=True)
    session = streams.attach(BOTH, owns_stdin=True)
    data = b"x" * 3_000_000

    def feed() -> None:
        session.write(data)
        session.close_stdin()

    writer = in_thread(feed)
    start(streams, "import sys; print(len(sys.stdin.buffer.read()))")
    assert collect(session)[1] == b"3000000\n"
    join(writer)


def test_slow_session_holds_its_process_back_and_loses_nothing(make, start):
    streams = make()
    session = streams.attach(BOTH, owns_stdin=False)
    size = 8 * BACKLOG_BYTES
    ended = start(streams, f"import sys; sys.stdout.buffer.write(b'x' * {size})")
    assert not ended.wait(0.5), "the process wrote on though nobody read"
    assert len(collect(session)[1]) == size


def test_small_pieces_that_wait_are_joined(make):
    session = make().attach(BOTH, owns_stdin=False)
    for _ in range(100_000):
        session.push(1, b"x")
    session.push(2, b"y")
    session.end()
    pieces = list(session.output())
    assert b"".join(data for number, data in pieces if number == 1) == b"x" * 100_000
    assert len(pieces) < 100


def test_detached_session_lets_the_process_go_on(make, start):
    streams = make()
    session = streams.attach(BOTH, owns_stdin=False)
    ended = start(streams, f"import sys; sys.stdout.buffer.write(b'x' * {4 * BACKLOG_BYTES})")
    session.detach()
    assert ended.wait(WAIT_S)


# ------------------------------------------------------------------- a session ends with its client


def test_detach_wakes_a_writer_only_when_the_session_has_ended(make):
    """A wake before that is none: the writer looks, and sleeps on."""
    streams = make(stdin_once=True)
    session = streams.attach(BOTH, owns_stdin=True)
    writer = in_thread(lambda: session.write(b"x" * 10_000))
    writer.join(0.1)
    remove = streams.remove

    def remove_and_let_it_look(session: Session) -> None:
        remove(session)
        writer.join(0.2)

    streams.remove = remove_and_let_it_look
    session.detach()
    join(writer)


def test_detach_wakes_a_writer_that_is_waiting_already(make):
    session = make(stdin_once=True).attach(BOTH, owns_stdin=True)
    writer = in_thread(lambda: session.write(b"x" * 10_000))
    writer.join(0.2)
    assert writer.is_alive(), "more was kept than EARLY_INPUT_BYTES_MAX"
    session.detach()
    join(writer)


def test_a_removed_container_wakes_a_writer(make):
    streams = make(stdin_once=True)
    session = streams.attach(BOTH, owns_stdin=True)
    writer = in_thread(lambda: session.write(b"x" * 10_000))
    writer.join(0.1)
    streams.end()
    join(writer)


def test_closing_the_input_of_a_created_container_waits_for_nothing(make, start):
    streams = make(stdin_once=True)
    session = streams.attach(BOTH, owns_stdin=True)
    join(in_thread(session.close_stdin))
    start(streams, "import sys; print(repr(sys.stdin.read()))")
    assert collect(session)[1] == b"''\n"


def test_a_client_may_leave_its_input_for_a_process_that_starts_later(make, start):
    streams = make(stdin_once=True)
    session = streams.attach(frozenset(), owns_stdin=True)
    session.write(b"da")
    session.write(b"ta")
    session.close_stdin()
    session.detach()
    other = streams.attach(BOTH, owns_stdin=False)
    start(streams, "import sys; print(sys.stdin.read())")
    assert collect(other)[1] == b"data\n"


def test_input_that_is_kept_is_bounded_in_all(make, start):
    streams = make(stdin_once=True)
    for _ in range(3):
        streams.attach(BOTH, owns_stdin=True).write(b"x" * (EARLY_INPUT_BYTES_MAX // 3))
    session = streams.attach(BOTH, owns_stdin=True)
    writer = in_thread(lambda: session.write(b"more"))
    writer.join(0.2)
    assert writer.is_alive()
    session.detach()
    join(writer)


def test_an_ended_session_does_not_close_the_input_of_the_next_run(make, start):
    streams = make(stdin_once=True)
    first = streams.attach(BOTH, owns_stdin=True)
    streams.end()
    first.close_stdin()
    second = streams.attach(BOTH, owns_stdin=True)
    start(streams, "import sys; print(sys.stdin.readline())")
    second.write(b"heard\n")
    assert collect(second)[1] == b"heard\n\n"


def test_nobody_is_left_in_the_streams_when_its_session_is_detached(make):
    streams = make()
    for _ in range(3):
        streams.attach(BOTH, owns_stdin=True).detach()
    assert streams._sessions == []


def test_a_session_yields_first_what_it_is_to_begin_with(make):
    streams = make()
    session = streams.attach(BOTH, owns_stdin=False)
    session.begin_with(iter([(1, b"old"), (2, b"older")]))
    streams.deliver(1, b"new")
    streams.end()
    assert list(session.output()) == [(1, b"old"), (2, b"older"), (1, b"new")]


def test_a_session_that_is_detached_in_its_beginning_ends(make):
    session = make().attach(BOTH, owns_stdin=False)
    session.begin_with((1, b"old") for _ in iter(int, 1))  # without an end
    output = session.output()
    next(output)
    session.detach()
    assert list(output) == []


# --------------------------------------------------------------------------------- detach keys


def test_detach_keys_end_the_session_of_a_terminal(make):
    streams, seen = make(tty=True), []
    session = streams.attach(
        BOTH, owns_stdin=True, detach_keys=b"\x10\x11", on_detach_keys=lambda: seen.append(1)
    )
    session.write(b"ls\x10")
    streams.deliver(1, b"ls")
    session.write(b"\x11 and more")
    streams.deliver(1, b"later")
    assert list(session.output()) == [(1, b"ls")], "what was there before is still read"
    assert session.ended
    assert seen == [1]
    assert streams._sessions == []
    assert bytes(streams._early) == b"ls"
    session.write(b"\x10\x11")
    assert seen == [1]


def test_detach_keys_are_input_without_a_terminal(make):
    streams = make()
    session = streams.attach(BOTH, owns_stdin=True, detach_keys=b"\x10\x11")
    session.write(b"\x10\x11")
    assert not session.ended
    assert bytes(streams._early) == b"\x10\x11"


def test_detach_keys_are_not_looked_for_in_input_that_goes_nowhere(make):
    session = make(tty=True).attach(BOTH, owns_stdin=False, detach_keys=b"a")
    session.write(b"a")
    assert not session.ended


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a,b", b"ab"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
    ],
)
def test_detach_keys_are_read(spec, keys):
    assert parse_detach_keys(spec) == keys


@pytest.mark.parametrize("spec", ["zz", "ctrl-P", "ctrl-", "a,,b", "é"])
def test_bad_detach_keys_are_refused(spec):
    with pytest.raises(ValueError, match=re.escape(spec)):
        parse_detach_keys(spec)


def test_the_detach_sequence_is_found_across_reads_and_not_passed_on():
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"ab\x10") == (b"ab", False)
    assert keys.feed(b"\x11cd") == (b"", True)


def test_half_a_detach_sequence_is_passed_on_when_it_goes_another_way():
    keys = DetachKeys(b"\x10\x11")
    assert keys.feed(b"\x10x") == (b"\x10x", False)
    assert keys.feed(b"\x10\x10") == (b"\x10", False)
    assert keys.feed(b"\x11") == (b"", True)
    assert keys.feed(b"still") == (b"still", False), "what a client types after it has left"


# ------------------------------------------------------------------------------------ the terminal


@pytest.mark.parametrize(
    ("asked", "got"), [((-1, 24), (65535, 24)), ((70000, 65536), (4464, 0)), ((2**63, 2), (0, 2))]
)
def test_a_terminals_size_is_cut_to_16_bits(make, asked, got):
    sizes: list[tuple[int, int, int]] = []
    streams = make(tty=True)
    primary, secondary = os.openpty()
    try:
        streams.begin(Process(pid=1, pidfd=-1, console=primary))
        streams.resize(lambda *size: sizes.append(size), *asked)
        streams.end()
        streams.resize(lambda *size: sizes.append(size), 1, 1)
    finally:
        os.close(primary)
        os.close(secondary)
    assert sizes == [(primary, *got)]


# -------------------------------------------------------------- one container's faults stay its own


def test_a_log_that_cannot_be_written_costs_the_log_and_nothing_else(make, start, caplog):
    streams = make(log=JSONFileLog("/dev/full", lambda: NOW))
    session = streams.attach(BOTH, owns_stdin=False)
    ended = start(streams, "print('one', flush=True); print('two')")
    assert ended.wait(WAIT_S)
    assert b"".join(data for _, data in session.output()) == b"one\ntwo\n"
    assert caplog.text.count("Failed to log") == 1
    assert start(make(), "pass").wait(WAIT_S), "the loop has ended"


def test_whatever_a_log_raises_ends_that_log_until_the_next_run(make, start, caplog, tmp_path):
    calls = 0

    def clock() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("no time")
        return NOW

    log = JSONFileLog(str(tmp_path / "log"), clock)
    streams = make(log=log)
    session = streams.attach(BOTH, owns_stdin=False)
    assert start(streams, "print('one', flush=True); print('two')").wait(WAIT_S)
    assert collect(session)[1] == b"one\ntwo\n"
    assert caplog.text.count("web: the log failed") == 1
    assert start(streams, "print('three')").wait(WAIT_S)
    assert b"three" in (tmp_path / "log").read_bytes()


def test_a_log_is_closed_by_one_at_a_time(make, tmp_path, monkeypatch):
    """The handling of an end and a removal may both end the streams."""
    log = JSONFileLog(str(tmp_path / "log"), lambda: NOW)
    inside, most = 0, 0

    def close() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threading.Event().wait(0.05)
        inside -= 1

    monkeypatch.setattr(log, "close", close)
    streams = make(log=log)
    threads = [in_thread(streams.end) for _ in range(3)]
    for thread in threads:
        join(thread)
    assert most == 1


def test_a_session_that_fails_is_ended_and_the_others_go_on(make, start, caplog, monkeypatch):
    streams = make()
    broken = streams.attach(BOTH, owns_stdin=False)
    sound = streams.attach(BOTH, owns_stdin=False)
    monkeypatch.setattr(broken, "push", lambda *_: 1 // 0)
    assert start(streams, "print('on')").wait(WAIT_S)
    assert collect(sound)[1] == b"on\n"
    assert broken.ended
    assert "web: a session failed" in caplog.text


def test_an_end_that_cannot_be_handled_does_not_end_the_loop(loop, make, start, caplog):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    process = Process(pid=child.pid, pidfd=os.pidfd_open(child.pid))
    loop.watch(process, make(), lambda _: 1 // 0)
    child.wait()
    assert start(make(), "pass").wait(WAIT_S)
    assert "web: the end could not be handled" in caplog.text
    os.close(process.pidfd)


def test_a_command_that_fails_does_not_end_the_loop(loop, make, start, caplog):
    loop._command(lambda: 1 // 0)
    assert start(make(), "pass").wait(WAIT_S)
    assert "a command of the stdio loop failed" in caplog.text


def test_closed_descriptors_do_not_end_the_loop_and_the_end_is_told(loop, make, start, caplog):
    """A process whose descriptors nobody can watch is still handed to whoever waits for it."""
    reader, writer = os.pipe()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        release.wait(WAIT_S)

    loop._command(hold)
    assert held.wait(WAIT_S)
    pidfd = os.pidfd_open(os.getpid())
    told = threading.Event()
    loop.watch(Process(pid=1, pidfd=pidfd, stdout=reader), make(), lambda _: told.set())
    for descriptor in (reader, writer, pidfd):
        os.close(descriptor)
    release.set()
    assert told.wait(WAIT_S)  # before anybody gets these numbers again
    assert start(make(), "pass").wait(WAIT_S)
    assert "web: output cannot be read" in caplog.text
    assert "web: the end cannot be watched for" in caplog.text


def test_a_child_that_outlives_its_process_and_writes_on_holds_nobody_up(make, start, monkeypatch):
    """It may fill the pipe as fast as the loop empties it: the loop goes on all the same."""
    streams = make()
    after_end = 0

    def deliver(_stream: int, data: bytes) -> bool:
        nonlocal after_end
        after_end += len(data) if len(data) == CHUNK_BYTES else 0
        return False

    streams.deliver = deliver
    monkeypatch.setattr(stdio, "_read_some", lambda _: b"x" * CHUNK_BYTES)
    assert start(streams, "pass").wait(WAIT_S)
    monkeypatch.undo()
    assert after_end >= LAST_BYTES_MAX
    assert start(make(), "pass").wait(WAIT_S)


def test_a_session_holds_a_bounded_number_of_pieces(make):
    """A process may write single bytes, now to the one stream and now to the other."""
    streams = make()
    session = streams.attach(BOTH, owns_stdin=False)
    count = 0
    while not streams.deliver(1 + count % 2, b"x"):
        count += 1
    assert count < 10_000
    session.detach()
    assert not session.is_full


def test_a_closed_loop_writes_to_no_descriptor_that_is_somebody_elses_now():
    loop = StdioLoop()
    number = loop._wake
    loop.close()
    pipe = os.pipe()
    end, other = (fcntl.fcntl(one, fcntl.F_DUPFD, number + 1) for one in pipe)
    for descriptor in set(pipe) - {number}:
        os.close(descriptor)
    try:
        os.dup2(other, number)
        os.set_blocking(end, False)
        loop.resume(Process(pid=1, pidfd=-1))
        with pytest.raises(BlockingIOError):
            os.read(end, 8)
    finally:
        for descriptor in (end, other, number):
            os.close(descriptor)
