"""What survives the daemon: networks, endpoints and sandboxes, one transaction per step.

The rows are the owners of kernel objects. A row is written before its object is made and deleted
after the object is gone, so whatever a crash leaves behind is named in a row or lies in the
daemon's own directory of namespaces.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["network", "endpoint", "sandbox"]
Row = Mapping[str, Any]


class Put(NamedTuple):
    """Write a row, replacing an older one of the same id."""

    kind: Kind
    id: str
    row: Row


class Delete(NamedTuple):
    """Delete a row; no error when it is not there."""

    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every row by kind and id, as read at boot."""

    networks: Mapping[str, Row] = field(default_factory=dict)
    endpoints: Mapping[str, Row] = field(default_factory=dict)
    sandboxes: Mapping[str, Row] = field(default_factory=dict)


class Store(Protocol):
    """A durable set of rows.

    Errors: `OSError`, whatever the cause (the database's own errors are wrapped).
    """

    def load(self) -> Snapshot:
        """Return every row."""

    def commit(self, changes: Sequence[Put | Delete]) -> None:
        """Apply all changes or none, durable against the death of the process."""

    def close(self) -> None:
        """Write back and release the file."""


_JSON = json.JSONEncoder(separators=(",", ":"))
_TABLES = ("network", "endpoint", "sandbox")

_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    tuple(
        f"CREATE TABLE {table} (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        for table in _TABLES
    ),
)
"""Each entry brings the schema from `user_version` = its index to the next."""

_PUT = {kind: f"REPLACE INTO {kind} (id, value) VALUES (?, ?)" for kind in _TABLES}  # noqa: S608
_DELETE = {kind: f"DELETE FROM {kind} WHERE id = ?" for kind in _TABLES}  # noqa: S608
_SELECT = {kind: f"SELECT id, value FROM {kind} ORDER BY id" for kind in _TABLES}  # noqa: S608


class SQLiteStore:
    """The store in one SQLite file: write-ahead log, `synchronous=NORMAL`, schema in user_version.

    NORMAL survives the death of the daemon at any point; only a power failure may lose the last
    steps, and a power failure loses the kernel objects too.

    Args:
        path: The database file; ":memory:" for tests.
    """

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        with _as_os_error("opening the store"):
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=32
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._migrate()

    def load(self) -> Snapshot:
        """Return every row."""
        with self._lock, _as_os_error("reading the store"):
            tables = {
                kind: {
                    row_id: json.loads(value)
                    for row_id, value in self._connection.execute(_SELECT[kind])
                }
                for kind in _TABLES
            }
        return Snapshot(tables["network"], tables["endpoint"], tables["sandbox"])

    def commit(self, changes: Sequence[Put | Delete]) -> None:
        """Apply all changes in one transaction."""
        with self._lock:
            try:
                self._commit(changes)
            except sqlite3.Error as error:
                raise OSError(f"writing the store: {error}") from error

    def _commit(self, changes: Sequence[Put | Delete]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for change in changes:
                if isinstance(change, Put):
                    execute(_PUT[change.kind], (change.id, _JSON.encode(change.row)))
                else:
                    execute(_DELETE[change.kind], (change.id,))
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Write back the log and release the file."""
        with self._lock, _as_os_error("closing the store"):
            self._connection.close()

    def _migrate(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise OSError(
                f"the store has schema {version}, and this engine knows {len(_MIGRATIONS)} at most"
            )
        for number in range(version, len(_MIGRATIONS)):
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _MIGRATIONS[number]:
                self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {number + 1}")
            self._connection.execute("COMMIT")


@contextmanager
def _as_os_error(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{doing}: {error}") from error
