"""The store: what was committed is there again, and what was refused is not."""

from __future__ import annotations

import os
import signal
import sqlite3

import pytest

from refimpl.libnetwork.store import Delete, Put, Snapshot, SQLiteStore


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "netinit.db")


def test_an_empty_store_has_no_rows(path):
    store = SQLiteStore(path)
    assert store.load() == Snapshot({}, {}, {})
    store.close()


def test_rows_come_back_after_a_restart(path):
    first = SQLiteStore(path)
    first.commit([Put("network", "n", {"name": "ä", "pools": [{"a": 1}]}), Put("sandbox", "s", {})])
    first.close()
    second = SQLiteStore(path)
    assert second.load() == Snapshot({"n": {"name": "ä", "pools": [{"a": 1}]}}, {}, {"s": {}})
    second.close()


def test_a_later_row_of_the_same_id_replaces_the_earlier(path):
    store = SQLiteStore(path)
    store.commit([Put("endpoint", "e", {"v": 1})])
    store.commit([Put("endpoint", "e", {"v": 2})])
    assert store.load().endpoints == {"e": {"v": 2}}
    store.close()


def test_deleting_what_is_not_there_is_no_error(path):
    store = SQLiteStore(path)
    store.commit([Delete("endpoint", "e")])
    store.close()


def test_of_a_step_that_fails_nothing_is_kept(path):
    store = SQLiteStore(path)
    with pytest.raises(TypeError):
        store.commit([Put("network", "n", {}), Put("network", "m", {"not": object()})])
    assert store.load().networks == {}
    store.commit([Put("network", "n", {})])
    assert set(store.load().networks) == {"n"}
    store.close()


def test_a_failure_of_the_database_is_an_os_error(path):
    store = SQLiteStore(path)
    store.close()
    with pytest.raises(OSError, match="writing the store"):
        store.commit([Put("network", "n", {})])


def test_a_file_that_is_no_database_is_an_os_error(tmp_path):
    path = tmp_path / "netinit.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(
        OSError, match=r"netinit\.db is damaged: it does not begin as a database; move it away"
    ):
        SQLiteStore(str(path))


def test_a_schema_of_a_later_engine_is_refused(path):
    SQLiteStore(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OSError, match="schema 99"):
        SQLiteStore(path)


def test_the_log_is_written_ahead_and_synced_at_checkpoints_only(path):
    store = SQLiteStore(path)
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    store.close()


def test_a_commit_survives_the_death_of_the_process(path):
    child = os.fork()
    if child == 0:
        store = SQLiteStore(path)
        store.commit([Put("sandbox", "s", {"container_id": "c"})])
        os.kill(os.getpid(), signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    store = SQLiteStore(path)
    assert store.load().sandboxes == {"s": {"container_id": "c"}}
    store.close()
