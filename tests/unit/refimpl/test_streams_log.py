"""A container's log: its entries, and how they are read."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from refimpl.daemon.streams import log_files, log_reader
from refimpl.daemon.streams.json_log import PIECE_BYTES, JSONFileLog
from refimpl.daemon.streams.log_reader import (
    BLOCK_BYTES,
    ENTRY_BYTES_MAX,
)
from tests.unit.refimpl.streams_world import NOW, WAIT_S, a_log, join, read, reader, texts


def entry(text: str, stream: str = "stdout") -> str:
    return json.dumps({"log": text, "stream": stream, "time": "2026-11-24T12:00:00Z"}) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> JSONFileLog:
    return a_log(tmp_path)


@pytest.fixture
def follow() -> Iterator[Callable[[JSONFileLog], tuple[list[bytes], threading.Thread]]]:
    """Follow a log in a thread; the list grows with what is read."""
    readers = []

    def follow(log: JSONFileLog, **options: Any) -> tuple[list[bytes], threading.Thread]:
        seen: list[bytes] = []
        one = reader(log, follow=True, **options)
        readers.append(one)
        thread = threading.Thread(
            target=lambda: seen.extend(text for _, text in one.read()), daemon=True
        )
        thread.start()
        return seen, thread

    yield follow
    for one in readers:
        one.close()


# ----------------------------------------------------------------------------------------- entries


def test_log_is_dockers_json_lines(log):
    log.open()
    log.write(1, b"one\ntw")
    log.write(2, b"error\n")
    log.write(1, b"o")
    log.close()
    assert Path(log.files.path).read_text() == (
        '{"log":"one\\n","stream":"stdout","time":"2026-11-24T12:00:00.000005Z"}\n'
        '{"log":"error\\n","stream":"stderr","time":"2026-11-24T12:00:00.000005Z"}\n'
        '{"log":"two","stream":"stdout","time":"2026-11-24T12:00:00.000005Z"}\n'
    )
    assert read(log) == [(1, b"one\n"), (2, b"error\n"), (1, b"two")]


def test_an_entry_has_its_containers_attributes_and_shows_them_where_wanted(tmp_path):
    log = a_log(tmp_path, attributes={"x": '1 &="é', "a": "b"})
    log.write(1, b"one\n")
    assert json.loads(Path(log.files.path).read_text())["attrs"] == {"a": "b", "x": '1 &="é'}
    assert texts(log) == [b"one\n"]
    assert texts(log, details=True) == [b"a=b,x=1+%26%3D%22%C3%A9 one\n"]
    when = b"2026-11-24T12:00:00.000005Z "
    assert texts(log, details=True, timestamps=True) == [when + b"a=b,x=1+%26%3D%22%C3%A9 one\n"]


def test_details_of_a_log_without_attributes_are_a_space(log):
    log.write(1, b"one\n")
    assert texts(log, details=True) == [b" one\n"]


@pytest.mark.parametrize("chunk", [1000, 64 * 1024, 10**6])
def test_an_overlong_line_is_logged_in_pieces_of_16_kib(log, chunk):
    """What Docker's file has of these lines, however they come."""
    data = b"x" * 40_000 + b"\n<&>\n" + b"y" * 16_384 + b"\n" + b"z" * 16_383 + b"\n"
    for start in range(0, len(data), chunk):
        log.write(1, data[start : start + chunk])
    log.close()
    lengths = [16_384, 16_384, 7_233, 4, 16_384, 1, 16_384]
    assert [len(text) for text in texts(log)] == lengths
    assert b"".join(texts(log)) == data


def test_a_line_without_an_end_costs_bounded_memory(log):
    tracemalloc.start()
    try:
        for _ in range(1000):
            log.write(1, b"x" * 65536)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20
    assert sum(map(len, log._partial.values())) < PIECE_BYTES


def test_every_character_comes_back_from_the_log(log):
    line = "".join(map(chr, (*range(10), *range(11, 128), 0xE9, 0x2028, 0x1F600))) + "\n"
    log.write(1, line.encode() + b"\xff\n")
    log.close()
    written = [json.loads(one) for one in Path(log.files.path).read_text().split("\n") if one]
    assert [one["log"] for one in written] == [line, "\ufffd\n"]
    assert {tuple(one) for one in written} == {("log", "stream", "time")}
    assert texts(log) == [line.encode(), "\ufffd\n".encode()]


# ------------------------------------------------------------------------------------------ reading


def test_log_is_read_by_stream_and_time(log):
    for number in range(4):
        log.write(1 + number % 2, f"{number}\n".encode())
    log.close()
    assert read(log, streams=frozenset({2})) == [(2, b"1\n"), (2, b"3\n")]
    assert read(log, tail=1, timestamps=True) == [(2, b"2026-11-24T12:00:00.000005Z 3\n")]
    assert read(log, since=NOW.replace(second=1)) == []
    assert len(read(log, since=NOW, until=NOW)) == 4
    assert read(log, until=NOW.replace(year=2025)) == []


def test_the_tail_counts_the_entries_of_both_streams(log):
    """As in Docker: the last entries are chosen first, the streams then."""
    log.write(1, b"a\n")
    log.write(2, b"b\n")
    log.write(1, b"c\n")
    log.close()
    assert read(log, tail=1, streams=frozenset({2})) == []
    assert read(log, tail=2, streams=frozenset({1})) == [(1, b"c\n")]
    assert read(log, tail=0) == []
    assert len(read(log, tail=10**18)) == 3


@pytest.mark.parametrize("tail", [0, 1, 2, 999, 1000, 1001, 3999, 4000, 4001])
def test_a_tail_is_as_long_as_was_asked_wherever_blocks_end(log, tail, monkeypatch):
    monkeypatch.setattr(log_reader, "BLOCK_BYTES", 100)
    lines = [f"{number}\n".encode() * (number % 3 + 1) for number in range(2000)]
    log.write(1, b"".join(lines))
    log.close()
    assert texts(log, tail=tail) == (texts(log)[-tail:] if tail else [])


def test_log_that_was_never_written_is_empty(log):
    assert read(log) == []
    assert read(log, tail=1) == []


class CountedReads:
    """Counts what is read of a log's files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        self.largest = 0
        opened = log_files.LogFiles._open_index

        def open_index(files: log_files.LogFiles, index: int) -> Any:
            file = opened(files, index)
            return None if file is None else Counted(self, file)

        monkeypatch.setattr(log_files.LogFiles, "_open_index", open_index)


class Counted:
    def __init__(self, counts: CountedReads, file: Any) -> None:
        self._counts, self._file = counts, file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, length: int) -> bytes:
        data: bytes = self._file.read(length)
        self._counts.bytes += len(data)
        self._counts.largest = max(self._counts.largest, length)
        return data


def test_the_tail_of_a_log_of_3_gb_is_read_from_its_end(log, monkeypatch):
    with Path(log.files.path).open("wb") as file:
        file.truncate(3 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + entry("last but one\n").encode() + entry("last\n").encode())
    counts = CountedReads(monkeypatch)
    tracemalloc.start()
    try:
        assert texts(log, tail=1) == [b"last\n"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts.bytes <= 2 * BLOCK_BYTES
    assert peak < 1 << 20


def test_a_whole_log_is_read_in_blocks(log, monkeypatch):
    log.write(1, b"x" * 1000 + b"\n")
    one = Path(log.files.path).read_bytes()
    with Path(log.files.path).open("ab") as file:
        for _ in range(5):
            file.write(one * 1000)
    counts = CountedReads(monkeypatch)
    tracemalloc.start()
    try:
        assert sum(1 for _ in reader(log).read()) == 5_001
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counts.largest == BLOCK_BYTES
    assert peak < 4 << 20


def test_nothing_that_was_written_after_the_reader_was_made_is_read(log):
    log.write(1, b"before\n")
    one = reader(log)
    log.write(1, b"after\n")
    assert list(one.read()) == [(1, b"before\n")]


def test_no_lock_is_held_while_a_client_takes_its_time(log):
    """The stdio loop writes while a reader is in the middle of the file."""
    log.open()
    log.write(1, b"x\n" * 20_000)
    follower = reader(log, follow=True).read()
    next(follower)
    for lock in (log.files.changed, log.files._names):
        assert lock.acquire(timeout=WAIT_S)
        lock.release()
    log.write(1, b"more\n")
    log.close()
    assert sum(1 for _ in follower) == 20_000


# ------------------------------------------------------------------------------------------- damage


WHEN = b'"time":"2026-11-24T12:00:00Z"'
DAMAGE = {
    "no JSON": b"garbage",
    "empty": b"",
    "a list": b"[]",
    "a number": b"1",
    "no stream": b'{"log":"x"}',
    "text is a number": b'{"log":1,"stream":"stdout",' + WHEN + b"}",
    "unknown stream": b'{"log":"x","stream":"stdin",' + WHEN + b"}",
    "stream is a list": b'{"log":"x","stream":["stdout"],' + WHEN + b"}",
    "time is null": b'{"log":"x","stream":"stdout","time":null}',
    "no time": b'{"log":"x","stream":"stdout","time":"yesterday"}',
    "attributes are a list": b'{"log":"x","stream":"stdout",' + WHEN + b',"attrs":[1]}',
    "attribute is a number": b'{"log":"x","stream":"stdout",' + WHEN + b',"attrs":{"a":1}}',
    "torn": b'{"log":"torn in the mid{"log":"x","stream":"stdout",' + WHEN + b"}",
    "time is half a character": b'{"log":"x","stream":"stdout","time":"\\ud800"}',
    "no text": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "large number": b"9" * 100_000,
    "long": b"x" * (ENTRY_BYTES_MAX + 3 * BLOCK_BYTES),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_skipped_and_told_of(log, damage, caplog):
    with Path(log.files.path).open("wb") as file:
        file.write(entry("one\n").encode() + damage + b"\n" + entry("two\n").encode())
    options = {"details": True, "since": NOW.replace(year=2025)}
    assert texts(log, **options) == [b" one\n", b" two\n"]
    assert "1 damaged entries skipped" in caplog.text
    assert texts(log, tail=1, **options) == [b" two\n"]


def test_half_a_surrogate_is_no_reason_to_stop(log):
    Path(log.files.path).write_text(entry("one\n") + entry("\ud800\n") + entry("two\n"))
    assert texts(log) == [b"one\n", b"?\n", b"two\n"]


def test_a_line_of_100_mb_is_skipped_without_being_held(log, caplog):
    with Path(log.files.path).open("wb") as file:
        file.truncate(100 << 20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n" + entry("last\n").encode())
    tracemalloc.start()
    try:
        assert texts(log) == [b"last\n"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert "1 damaged entries skipped" in caplog.text


def test_what_a_crash_tore_is_one_damaged_entry_and_what_follows_is_whole(log, caplog):
    Path(log.files.path).write_text(entry("one\n") + entry("torn\n")[:20])
    assert texts(log) == [b"one\n"]
    log.write(1, b"two\n")
    log.close()
    assert texts(log) == [b"one\n", b"two\n"]
    assert "1 damaged entries skipped" in caplog.text


def test_what_a_full_disk_tore_is_one_damaged_entry(log, monkeypatch, caplog):
    log.write(1, b"one\n")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    log.write(1, b"lost\n")
    monkeypatch.undo()
    log.write(1, b"two\n")
    log.close()
    assert texts(log) == [b"one\n", b"two\n"]
    assert caplog.text.count("Failed to log") == 1


def test_a_disk_that_is_now_and_then_full_is_told_of_once_a_run(log, monkeypatch, caplog):
    """Else a container could fill the engine's own log."""
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        return write(descriptor, data[: len(data) // 2])

    for run in (1, 2):
        log.open()
        for number in range(10):
            monkeypatch.setattr(os, "write", half if number % 2 else write)
            log.write(1, b"line\n")
        log.close()
        assert caplog.text.count("Failed to log") == run


# ---------------------------------------------------------------------------------------- following


def test_follower_ends_with_the_run(log, follow):
    log.open()
    log.write(1, b"first\n")
    seen, thread = follow(log)
    log.write(1, b"last\n")
    log.close()
    join(thread)
    assert seen == [b"first\n", b"last\n"]


def test_a_follower_of_a_log_that_is_not_there_yet_gets_what_comes(log, follow):
    log.open()
    seen, thread = follow(log, tail=0)
    log.write(1, b"first\n")
    log.close()
    join(thread)
    assert seen == [b"first\n"]


def test_a_follower_with_a_tail_gets_the_tail_and_what_comes(log, follow):
    log.open()
    log.write(1, b"one\ntwo\n")
    seen, thread = follow(log, tail=1)
    log.write(1, b"three\n")
    log.close()
    join(thread)
    assert seen == [b"two\n", b"three\n"]


def test_closing_a_reader_ends_its_following(log):
    log.open()
    log.write(1, b"one\n")
    one = reader(log, follow=True)
    thread = threading.Thread(target=lambda: list(one.read()), daemon=True)
    thread.start()
    one.close()
    join(thread)


def test_a_follower_ends_with_the_first_entry_after_until(log, follow):
    log.open()
    seen, thread = follow(log, until=NOW.replace(year=2025))
    log.write(1, b"one\n")
    join(thread)
    assert seen == []


def test_a_log_that_is_made_while_a_follower_looks_for_it_is_read(log, monkeypatch):
    """The written file was once looked for a second time, and then opened as a compressed one."""
    log.open()
    one = reader(log, follow=True)
    opened = Path.open

    def open_too_early(path: Path, *arguments: Any, **options: Any) -> Any:
        monkeypatch.undo()
        with pytest.raises(FileNotFoundError):
            opened(path, *arguments, **options)
        log.write(1, b"first\n")
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "open", open_too_early)
    assert next(one.read()) == (1, b"first\n")


def test_what_was_written_before_the_end_is_read_by_a_follower_that_looks_at_the_end(
    tmp_path, monkeypatch
):
    """The log is rotated and the run ends between two looks of the follower."""
    log = a_log(tmp_path, max_bytes=100, max_files=3)
    log.open()
    log.write(1, b"0\n")
    one = reader(log, follow=True)
    state = log.files.state

    def state_before_the_end() -> tuple[int, int]:
        before = state()
        monkeypatch.undo()
        log.write(1, b"1\n2\n")
        log.close()
        return before

    monkeypatch.setattr(log.files, "state", state_before_the_end)
    # the look at the oldest file must not take the prepared answer
    monkeypatch.setattr(log.files, "oldest", lambda: 0)
    assert [text for _, text in one.read()] == [b"0\n", b"1\n", b"2\n"]


def test_a_closed_reader_reads_no_more_whatever_the_client_wants(log, monkeypatch):
    """There may be gigabytes of entries that it does not want."""
    log.write(1, b"x\n" * 10_000)
    one = reader(log, streams=frozenset({2}))
    decoded = 0
    decode = one._decode

    def counted(line: bytes) -> tuple[int, bytes, str]:
        nonlocal decoded
        decoded += 1
        one.close()
        return decode(line)

    monkeypatch.setattr(one, "_decode", counted)
    assert list(one.read()) == []
    assert decoded == 1


def test_half_a_character_for_a_time_is_no_reason_to_stop(log):
    damaged = '{"log":"x\\n","stream":"stdout","time":"\\ud800"}\n'
    Path(log.files.path).write_text(damaged + entry("two\n"))
    assert texts(log, timestamps=True) == [b"? x\n", b"2026-11-24T12:00:00Z two\n"]
