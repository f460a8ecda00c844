"""The rows of the store as libnetwork writes them: a deletion that fails is made up for later.

A row is written before its object is made: when that fails, nothing is made, and the caller hears
of it. A row is deleted after its object is gone: when that fails (the disk is full), the object is
gone all the same, so nobody is told of a failure; the row goes with the next change that succeeds,
or at the next start, which deletes rows without an object.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from refimpl.libnetwork.store import Delete, Put, Snapshot, Store

logger = logging.getLogger(__name__)


class Ledger:
    """Writes rows; safe to use from many threads.

    Args:
        store: Where they are written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._overdue: dict[Delete, None] = {}
        self._lock = threading.Lock()

    def load(self) -> Snapshot:
        """Return every row.

        Raises:
            OSError: the store cannot be read.
        """
        return self._store.load()

    def commit(self, changes: Sequence[Put | Delete]) -> None:
        """Apply all changes or none, and the deletions that are overdue with them.

        Raises:
            OSError: the store refused; nothing is changed.
        """
        if not self._overdue:
            self._store.commit(changes)
            return
        with self._lock:
            overdue, self._overdue = self._overdue, {}
        try:
            # first: a row that is written again must stay
            self._store.commit([*overdue, *changes])
        except BaseException:
            with self._lock:
                self._overdue.update(overdue)
            raise

    def forget(self, changes: Sequence[Delete]) -> None:
        """Delete the rows of objects that are gone, now or with a later change. Never fails."""
        for _ in range(2):
            try:
                self.commit(changes)
            except OSError as error:
                logger.warning("deleting %d rows: %s", len(changes), error)
            else:
                return
        with self._lock:
            self._overdue.update(dict.fromkeys(changes))

    def write_back(self) -> None:
        """Have what was committed survive damage to what was written last. Never fails."""
        try:
            self._store.write_back()
        except OSError as error:
            # it is committed all the same, and a later write takes it along
            logger.warning("%s", error)

    def close(self) -> None:
        """Delete what is overdue, and close the store.

        Raises:
            OSError: the store could not be closed.
        """
        if self._overdue:
            self.forget(())
        self._store.close()
