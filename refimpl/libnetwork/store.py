"""What survives the daemon: networks, endpoints and sandboxes, one transaction per step.

The rows are the owners of kernel objects. A row is written before its object is made and deleted
after the object is gone, so whatever a crash leaves behind is named in a row or lies in the
daemon's own directory of namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["network", "endpoint", "sandbox"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """Write a row, replacing an older one of the same id."""

    kind: Kind
    id: str
    row: Row


@dataclass(frozen=True, slots=True)
class Delete:
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


class SQLiteStore:
    """The store in one SQLite file: write-ahead log, `synchronous=NORMAL`, schema in user_version.

    Args:
        path: The database file; ":memory:" for tests.
    """

    def __init__(self, path: str) -> None:
        raise NotImplementedError

    def load(self) -> Snapshot:
        """Return every row."""
        raise NotImplementedError

    def commit(self, changes: Sequence[Put | Delete]) -> None:
        """Apply all changes in one transaction."""
        raise NotImplementedError

    def close(self) -> None:
        """Write back the log and release the file."""
        raise NotImplementedError
