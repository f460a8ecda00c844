"""The store: what was committed is there again, and what was refused is not."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

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


# -- damage --------------------------------------------------------------------------------


def fill(path: str) -> None:
    """Leave a store as a daemon that was killed leaves it: its log has not been written back."""
    child = os.fork()
    if child == 0:
        try:
            store = SQLiteStore(path)
            store.commit([Put("network", f"n{number}", {"v": "x" * 2000}) for number in range(40)])
            store.write_back()
            store.commit([Put("sandbox", "s", {"container_id": "c"})])
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def cut(path: str, size: int) -> None:
    os.truncate(path, size)


def overwrite(path: str, offset: int, content: bytes) -> None:
    with Path(path).open("r+b") as file:
        file.seek(offset)
        file.write(content)


def refused(path: str) -> str:
    with pytest.raises(OSError, match="is damaged") as caught:
        SQLiteStore(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: cut(path, 0), "it is empty"),
        (lambda path: cut(path, 10), "it does not begin as a database"),
        (lambda path: overwrite(path, 0, bytes(100)), "it does not begin as a database"),
        (lambda path: cut(path, 4096), "database disk image is malformed"),
        (lambda path: overwrite(path, 4096, b"\xff" * 20_000), ""),
        (lambda path: overwrite(path, 68, b"\0\0\0\7"), "it is the database of another program"),
    ],
    ids=["emptied", "torn", "zeros", "cut off", "overwritten", "another's"],
)
def test_a_damaged_store_is_refused_by_name_and_left_as_it_is(path, damage, reason):
    fill(path)
    Path(f"{path}-wal").unlink()
    damage(path)
    before = Path(path).read_bytes()
    message = refused(path)
    assert message.startswith(f"{path} is damaged: {reason}")
    assert message.endswith("move it away to begin anew")
    assert Path(path).read_bytes() == before


def test_an_emptied_store_is_refused_with_its_log_beside_it(path):
    fill(path)
    cut(path, 0)
    assert refused(path) == f"{path} is damaged: it is empty; move it away to begin anew"


def test_a_database_without_a_table_is_refused(path):
    SQLiteStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE network")
        connection.commit()
    assert "it has no table network" in refused(path)


def test_a_log_of_garbage_is_refused_by_name_and_costs_no_network(path):
    fill(path)
    log = f"{path}-wal"
    overwrite(log, 0, os.urandom(Path(log).stat().st_size))
    with pytest.raises(OSError, match="move it away to go on") as caught:
        SQLiteStore(path)
    assert str(caught.value).startswith(f"{log} is damaged: ")
    Path(log).rename(f"{log}.away")
    store = SQLiteStore(path)
    assert len(store.load().networks) == 40
    store.close()


@pytest.mark.parametrize("damage", ["torn", "emptied", "garbage behind the head"])
def test_a_log_that_a_power_failure_tore_costs_no_network(path, damage):
    fill(path)
    log = f"{path}-wal"
    if damage == "torn":
        cut(log, 20)
    elif damage == "emptied":
        cut(log, 0)
    else:
        overwrite(log, 32, os.urandom(Path(log).stat().st_size - 32))
    store = SQLiteStore(path)
    assert len(store.load().networks) == 40
    store.close()


def test_a_store_that_was_moved_away_begins_anew(path):
    fill(path)
    Path(path).rename(f"{path}.away")
    store = SQLiteStore(path)
    assert store.load() == Snapshot({}, {}, {})
    store.close()


def test_a_creation_that_was_cut_off_is_begun_again(path):
    Path(f"{path}.new").write_bytes(b"half a data")
    SQLiteStore(path).close()
    assert not Path(f"{path}.new").exists()
    SQLiteStore(path).close()


def test_a_store_of_the_first_schema_is_taken_over(path):
    with closing(sqlite3.connect(path)) as connection:
        for table in ("network", "endpoint", "sandbox"):
            connection.execute(
                f"CREATE TABLE {table} (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
            )
        connection.execute("INSERT INTO network VALUES ('n', '{}')")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    store = SQLiteStore(path)
    assert store.load().networks == {"n": {}}
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() != (0,)
