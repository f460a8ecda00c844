"""What survives the daemon: networks, endpoints and sandboxes, one transaction per step.

The rows are the owners of kernel objects. A row is written before its object is made and deleted
after the object is gone, so whatever a crash leaves behind is named in a row or lies in the
daemon's own directory of namespaces.

A store that is there is a whole one, since it is made under another name: one that is empty, cut
off or overwritten is refused at boot, and never taken for a new one. (Bridges without a row would
be nobody's.) What must not be lost, the networks, is written back from the log when one is made
or removed.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
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
    """Every row by kind and id, as read at boot; `rows` says what is in them."""

    networks: Mapping[str, Any] = field(default_factory=dict)
    endpoints: Mapping[str, Any] = field(default_factory=dict)
    sandboxes: Mapping[str, Any] = field(default_factory=dict)


class Store(Protocol):
    """A durable set of rows.

    Errors: `OSError`, whatever the cause (the database's own errors are wrapped).
    """

    def load(self) -> Snapshot:
        """Return every row."""

    def commit(self, changes: Sequence[Put | Delete]) -> None:
        """Apply all changes or none, durable against the death of the process."""

    def write_back(self) -> None:
        """Have what was committed survive damage to what was written last."""

    def close(self) -> None:
        """Write back and release the file."""


_JSON = json.JSONEncoder(separators=(",", ":"))
_TABLES = ("network", "endpoint", "sandbox")

_APPLICATION_ID = 0x6E69_6462
"""In the header of the file: it is a store of this engine's ("nidb")."""
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    tuple(
        f"CREATE TABLE {table} (id TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
        for table in _TABLES
    ),
    (f"PRAGMA application_id = {_APPLICATION_ID}",),
)
"""Each entry brings the schema from `user_version` = its index to the next."""

_PUT = {kind: f"REPLACE INTO {kind} (id, value) VALUES (?, ?)" for kind in _TABLES}  # noqa: S608
_DELETE = {kind: f"DELETE FROM {kind} WHERE id = ?" for kind in _TABLES}  # noqa: S608
_SELECT = {
    kind: f"SELECT id, CAST(value AS BLOB) FROM {kind} ORDER BY id"  # noqa: S608
    for kind in _TABLES
}

_IN_MEMORY = ":memory:"
_MAGIC = b"SQLite format 3\0"
_LOG_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""How a write-ahead log begins, and the order of the bytes that its checksums go by."""
_LOG_HEADER_BYTES = 32


class SQLiteStore:
    """The store in one SQLite file: write-ahead log, `synchronous=NORMAL`, schema in user_version.

    NORMAL survives the death of the daemon at any point; only a power failure may lose the last
    steps, and a power failure loses the kernel objects too.

    Args:
        path: The database file, made if it is not there; ":memory:" for tests.

    Raises:
        OSError: it is damaged, which names the file and says what to do, or cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        with _as_os_error(f"opening the store {path}"), contextlib.ExitStack() as undo:
            if path != _IN_MEMORY:
                if Path(path).exists():
                    _check_files(path)
                else:
                    _create(path)
            self._connection = _connect(path)
            undo.callback(self._connection.close)
            if path != _IN_MEMORY:
                _check_content(path, self._connection)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            _migrate(self._connection)
            undo.pop_all()

    def load(self) -> Snapshot:
        """Return every row; one that is no JSON comes as its text."""
        with self._lock, _as_os_error(f"reading the store {self._path}"):
            tables = {
                kind: {
                    row_id: _decode(value)
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

    def write_back(self) -> None:
        """Bring the log into the database.

        By a connection of its own, so that nobody who commits meanwhile waits for the disk.
        """
        if self._path == _IN_MEMORY:
            return
        with (
            _as_os_error("writing back the log of the store"),
            contextlib.closing(_connect(self._path)) as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Write back the log and release the file."""
        with self._lock, _as_os_error("closing the store"):
            self._connection.close()


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=32
    )


def _create(path: str) -> None:
    """Make an empty store under another name, and give it its own when it is whole."""
    for ending in (".new", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    draft = Path(f"{path}.new")
    with contextlib.closing(_connect(str(draft))) as connection:
        connection.execute("PRAGMA journal_mode = MEMORY")
        _migrate(connection)
    draft.replace(path)


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise OSError(
            f"the store has schema {version}, and this engine knows {len(_MIGRATIONS)} at most"
        )
    if version == len(_MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.execute("COMMIT")


# -- damage --------------------------------------------------------------------------------------


def _damaged(path: str, reason: str) -> OSError:
    return OSError(f"{path} is damaged: {reason}; move it away to begin anew")


def _check_files(path: str) -> None:
    """Refuse what SQLite would take for a new database or for an empty log.

    Raises:
        OSError: the file is damaged.
    """
    with Path(path).open("rb") as file:
        magic = file.read(len(_MAGIC))
    if not magic:
        raise _damaged(path, "it is empty")
    if magic != _MAGIC:
        raise _damaged(path, "it does not begin as a database")
    log = Path(f"{path}-wal")
    try:
        with log.open("rb") as file:
            header = file.read(_LOG_HEADER_BYTES)
    except FileNotFoundError:
        return
    # one that a power failure has left without content has lost nothing that was to last
    if len(header) == _LOG_HEADER_BYTES and any(header) and not _is_log_header(header):
        raise OSError(
            f"{log} is damaged: it does not begin as the log of a database; move it away to go on "
            f"with what {path} has without it"
        )


def _is_log_header(header: bytes) -> bool:
    """Tell whether this begins a write-ahead log: https://sqlite.org/fileformat2.html#walformat."""
    order = _LOG_MAGIC.get(int.from_bytes(header[:4], "big"))
    if order is None:
        return False
    first = second = 0
    for one, other in struct.iter_unpack(f"{order}II", header[:24]):
        first = (first + one + second) & 0xFFFF_FFFF
        second = (second + other + first) & 0xFFFF_FFFF
    return struct.unpack(">II", header[24:]) == (first, second)


def _check_content(path: str, connection: sqlite3.Connection) -> None:
    """Refuse a database that is not a store, or whose pages are torn.

    Raises:
        OSError: the file is damaged.
    """
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (report,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise _damaged(path, str(error)) from error
        raise
    if report != "ok":
        raise _damaged(path, " ".join(report.split()))
    # the first schema had no application_id
    if application != _APPLICATION_ID and (application, version) != (0, 1):
        raise _damaged(path, "it is the database of another program")
    missing = sorted(set(_TABLES) - tables)
    if missing:
        raise _damaged(path, f"it has no table {missing[0]}")


def _decode(value: bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode(errors="replace")


@contextmanager
def _as_os_error(doing: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{doing}: {error}") from error
