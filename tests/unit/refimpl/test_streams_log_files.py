"""The files of a log: rotation, compression, and reading across them."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from refimpl.daemon.streams.json_log import JSONFileLog
from tests.unit.refimpl.streams_world import NOW, WAIT_S, a_log, join, read, reader, texts

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
    for thread in threading.enumerate():
        if thread.name == "log-compress":
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
