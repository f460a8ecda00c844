"""The files of a log: rotation, compression, and reading across them."""

from __future__ import annotations

import errno
import gzip
import json
import os
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from refimpl.daemon.lifecycle.remove import Remover
from refimpl.daemon.streams.json_log import JSONFileLog
from refimpl.daemon.streams.log_files import LogFiles
from refimpl.daemon.streams.registry import StreamsRegistry
from refimpl.kernel.files import LinuxFiles
from tests.unit.refimpl.streams_world import (
    NOW,
    WAIT_S,
    a_log,
    container,
    join,
    read,
    reader,
    texts,
)

Make = Callable[..., JSONFileLog]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(max_bytes: int, max_files: int = 1, *, gz: bool = False) -> JSONFileLog:
        return a_log(tmp_path, max_bytes=max_bytes, max_files=max_files, compress=gz)

    return make


def files(log: JSONFileLog) -> list[str]:
    return sorted(path.name for path in Path(log.files.path).parent.iterdir())


def test_a_log_rotates_like_dockers(make):
    """Entries of 69 bytes in files of 100: a file ends with the entry that reaches its size."""
    log = make(100, 3)
    for number in range(10):
        log.write(1, f"{number}\n".encode())
    log.close()
    assert files(log) == ["json.log", "json.log.1", "json.log.2"]
    directory = Path(log.files.path).parent
    kept = [(directory / name).read_text().count("\n") for name in files(log)]
    assert kept == [2, 2, 2]
    assert texts(log) == [f"{number}\n".encode() for number in range(4, 10)]


def test_one_chunk_rotates_as_many_entries_one_by_one_do(make, tmp_path):
    one = make(100, 3)
    one.write(1, b"".join(f"{number}\n".encode() for number in range(10)))
    one.close()
    together = {name: (tmp_path / name).read_bytes() for name in files(one)}
    for name in files(one):
        (tmp_path / name).unlink()
    other = make(100, 3)
    for number in range(10):
        other.write(1, f"{number}\n".encode())
    other.close()
    assert {name: (tmp_path / name).read_bytes() for name in files(other)} == together


def test_a_log_of_one_file_begins_anew(make):
    log = make(100)
    for number in range(5):
        log.write(1, f"{number}\n".encode())
    log.close()
    assert files(log) == ["json.log"]
    assert texts(log) == [b"4\n"]


def test_a_later_daemon_goes_on_with_the_files(make):
    for number in range(4):
        log = make(100, 3)
        log.write(1, f"{number}\n".encode() * 2)
        log.close()
    assert texts(make(100, 3)) == [b"1\n", b"1\n", b"2\n", b"2\n", b"3\n", b"3\n"]


def test_a_chunk_costs_no_more_renames_than_there_are_files(make, monkeypatch):
    log = make(1, 50)
    log.write(1, b"x\n" * 1000)
    renames = 0
    rename = Path.rename

    def counted(source: Path, target: Path) -> Path:
        nonlocal renames
        renames += 1
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", counted)
    log.write(1, b"y\n" * 30_000)
    log.close()
    assert renames <= 50
    assert len(files(log)) == 50


@pytest.mark.parametrize("tail", [0, 1, 2, 3, 5, 6, 7, 100])
@pytest.mark.parametrize("gz", [False, True], ids=["plain", "compressed"])
def test_a_tail_goes_back_through_the_files(make, tail, gz):
    log = make(100, 3, gz=gz)
    for number in range(10):
        log.write(1, f"{number}\n".encode())
    log.close()
    if gz:
        wait_for_compression(log)
    kept = [f"{number}\n".encode() for number in range(4, 10)]
    assert texts(log, tail=tail) == (kept[-tail:] if tail else [])


def wait_for_compression(log: JSONFileLog) -> None:
    for thread in compressing():
        join(thread)
    assert [name for name in files(log) if not name.endswith((".gz", "json.log"))] == []


def test_older_files_are_compressed_where_that_is_asked(make, tmp_path):
    log = make(100, 3, gz=True)
    for number in range(10):
        log.write(1, f"{number}\n".encode())
        wait_for_compression(log)
    log.close()
    assert files(log) == ["json.log", "json.log.1.gz", "json.log.2.gz"]
    assert (
        json.loads(gzip.decompress((tmp_path / "json.log.1.gz").read_bytes()).split(b"\n")[0])[
            "log"
        ]
        == "6\n"
    )
    assert texts(log) == [f"{number}\n".encode() for number in range(4, 10)]


def test_a_damaged_compressed_file_is_skipped_and_told_of(make, tmp_path, caplog):
    log = make(100, 3, gz=True)
    for number in range(6):
        log.write(1, f"{number}\n".encode())
    wait_for_compression(log)
    (tmp_path / "json.log.1.gz").write_bytes(b"\x1f\x8b damaged")
    assert texts(log) == [b"0\n", b"1\n", b"4\n", b"5\n"]
    assert texts(log, tail=3) == [b"1\n", b"4\n", b"5\n"]
    assert "1 damaged entries skipped" in caplog.text


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "compressed"])
def test_a_follower_goes_on_over_rotations(make, gz):
    """The writer waits for the follower, so that nothing is rotated away before it is read."""
    log = make(400, 4, gz=gz)
    log.open()
    total = 2000
    room = threading.Semaphore(8)
    seen: list[bytes] = []

    def take() -> None:
        for _, text in reader(log, follow=True).read():
            seen.append(text)
            room.release()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    for number in range(total):
        assert room.acquire(timeout=WAIT_S)
        log.write(1, f"{number}\n".encode())
    log.close()
    join(thread)
    assert seen == [f"{number}\n".encode() for number in range(total)]


def test_a_follower_that_is_overtaken_goes_on_with_what_there_is(make):
    log = make(100, 2)
    log.open()
    log.write(1, b"0\n1\n2\n")
    follower = reader(log, follow=True).read()
    assert next(follower) == (1, b"0\n")
    for number in range(3, 21):
        log.write(1, f"{number}\n".encode())
    log.close()
    seen = [int(text) for _, text in follower]
    assert seen == sorted(seen)
    assert seen[0] == 1, "the file that it reads is read to its end"
    assert seen[-3:] == [18, 19, 20]


def test_a_reader_of_a_rotated_log_has_one_file_open(make):
    log = make(100, 100)
    log.write(1, b"x\n" * 200)
    before = len(list(Path("/proc/self/fd").iterdir()))
    one = reader(log).read()
    assert sum(1 for _ in zip(one, range(50), strict=False)) == 50
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_a_logs_directory_is_made_with_the_first_output(tmp_path):
    log = JSONFileLog(str(tmp_path / "local-logs" / "container.log"), lambda: NOW)
    log.open()
    assert not (tmp_path / "local-logs").exists()
    assert read(log) == []
    log.write(1, b"one\n")
    log.close()
    assert texts(log) == [b"one\n"]
    assert (tmp_path / "local-logs").stat().st_mode & 0o777 == 0o700


def compressing() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "log-compress"]


def test_what_is_written_after_a_failed_rotation_goes_to_the_written_file(make, monkeypatch):
    """The disk is full while the first of several new files is written."""
    log = make(100, 4)
    log.open()
    follower = reader(log, follow=True).read()
    log.write(1, b"0\n")
    assert next(follower) == (1, b"0\n")
    write = os.write

    def full(descriptor: int, data: bytes) -> int:
        if b'"3' in data:
            monkeypatch.undo()
            return 0
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    log.write(1, b"1\n2\n3\n4\n5\n6\n7\n8\n")
    log.write(1, b"9\n")
    log.close()
    assert [json.loads(line)["log"] for line in Path(log.files.path).read_text().splitlines()] == [
        "9\n"
    ]
    assert [text for _, text in follower][-1] == b"9\n"


def test_files_that_could_not_be_moved_keep_their_number(make, monkeypatch):
    """A follower would read the written file a second time."""
    log = make(100, 3)
    log.open()
    follower = reader(log, follow=True).read()
    log.write(1, b"0\n1\n")
    assert next(follower) == (1, b"0\n")
    monkeypatch.setattr(LogFiles, "_move", MagicMock(side_effect=OSError(errno.EIO, "broken")))
    log.write(1, b"lost\n")
    monkeypatch.undo()
    log.write(1, b"2\n")
    log.close()
    assert [text for _, text in follower] == [b"1\n", b"2\n"]


def test_who_looks_for_the_oldest_file_waits_for_a_rotation(make, monkeypatch):
    """In the middle of it a name is free, and what is behind that seemed not to be there."""
    log = make(100, 3)
    log.write(1, b"0\n1\n2\n3\n4\n5\n")
    found: list[int] = []
    looks = threading.Thread(target=lambda: found.append(log.files.oldest()), daemon=True)
    move = LogFiles._move

    def look_in_the_middle(files: LogFiles, index: int, to: int) -> None:
        if index == 0:
            looks.start()
            looks.join(0.3)  # it ends at once where it does not wait
        move(files, index, to)

    monkeypatch.setattr(LogFiles, "_move", look_in_the_middle)
    log.write(1, b"6\n")
    join(looks)
    assert found == [log.files.generation - 2]


@pytest.fixture
def slow_compressing(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Compressing tells that it has begun, and then waits."""
    has_begun, may_go_on = threading.Event(), threading.Event()
    compressed = gzip.open

    def slow(path: Path, mode: str, **options: Any) -> Any:
        file = compressed(path, mode, **options)
        if "w" in mode:
            has_begun.set()
            assert may_go_on.wait(WAIT_S)
        return file

    monkeypatch.setattr(gzip, "open", slow)
    return has_begun, may_go_on


def test_a_container_is_removed_when_its_log_is_compressed_no_more(tmp_path, slow_compressing):
    """Else new names come up in the directory while it is emptied, and it stays."""
    has_begun, may_go_on = slow_compressing
    options = {"max-size": "100", "max-file": "3", "compress": "true"}
    one = container(log="json-file", options=options, root=str(tmp_path / "one"))
    (tmp_path / "one").mkdir()
    registry = StreamsRegistry(lambda _: None, lambda: NOW)
    registry.of(one).deliver(1, b"0\n1\n2\n")
    assert has_begun.wait(WAIT_S)
    assert compressing()
    threading.Timer(0.2, may_go_on.set).start()
    seen: list[tuple[bool, list[Path]]] = []

    def remove(root: str) -> None:
        # the thread may go on without doing anything for a moment
        seen.append((may_go_on.is_set(), list(Path(root).glob("*.compressing"))))
        LinuxFiles().remove(root)

    parts: dict[str, Any] = {part.name: MagicMock() for part in fields(Remover)}
    parts |= {"streams": registry, "files": MagicMock(remove=remove)}
    Remover(**parts).cleanup_container(one, force=False)
    may_go_on.set()
    assert seen == [(True, [])]
    assert not (tmp_path / "one").exists()
    assert registry.of(one) is not registry.of(one), "nobody would forget them"


@pytest.mark.parametrize("fails", ["open", "write"])
def test_compressing_that_fails_ends_and_is_told_of_once(make, monkeypatch, caplog, fails):
    log = make(100, 5, gz=True)
    opened = Path.open

    def broken(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "json.log.1":
            raise OSError(errno.EMFILE, "too many files")
        return opened(path, *arguments, **options)

    if fails == "open":
        monkeypatch.setattr(Path, "open", broken)
    else:
        full = MagicMock(side_effect=OSError(errno.ENOSPC, "no space"))
        monkeypatch.setattr(gzip.GzipFile, "write", full)
    for number in range(5):
        log.write(1, f"{number}\n".encode() * 2)
        for thread in compressing():
            thread.join(2)
            assert not thread.is_alive()
    log.close()
    assert caplog.text.count("older files stay uncompressed") == 1
    assert not [name for name in files(log) if "compressing" in name]
