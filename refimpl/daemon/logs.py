"""A container's log: Docker's json-file format, one JSON object a line.

Mirrors: moby daemon/logger/jsonfilelog/, daemon/logger/copier.go (v20.10).
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from json.encoder import encode_basestring
from pathlib import Path

from refimpl.daemon.backend import STDERR, STDOUT
from refimpl.model.moments import format_time, parse_time

log = logging.getLogger(__name__)

LINE_LIMIT = 16 * 1024
"""A longer line is logged in pieces, as in moby (copier's buffer)."""
POLL_S = 1.0
"""How long a follower sleeps at most before it looks at the container again."""
_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_NUMBERS = {name: number for number, name in _NAMES.items()}


class JSONFileLog:
    """The log of one container; written by the stdio loop, read by anybody."""

    def __init__(self, path: str, clock: Callable[[], datetime]) -> None:
        self.path = path
        self._clock = clock
        self._partial: dict[int, bytes] = {}
        self._file: int | None = None
        self._has_failed = False
        self.changed = threading.Condition()
        self.is_active = False
        """True while a process may still write; a follower stops when it is not."""

    def open(self) -> None:
        """Begin a run of the container."""
        with self.changed:
            self.is_active = True

    def write(self, stream: int, data: bytes) -> None:
        """Take output as it comes; whole lines, and pieces of overlong ones, are written."""
        buffered = self._partial.pop(stream, b"") + data
        *lines, rest = buffered.split(b"\n")
        pieces = [line + b"\n" for line in lines]
        while len(rest) > LINE_LIMIT:
            pieces.append(rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        if rest:
            self._partial[stream] = rest
        self._append(stream, pieces)

    def close(self) -> None:
        """End a run: what is buffered is written, followers end."""
        for stream, rest in list(self._partial.items()):
            self._append(stream, [rest])
        self._partial.clear()
        with self.changed:
            if self._file is not None:
                os.close(self._file)
                self._file = None
            self.is_active = False
            self.changed.notify_all()

    def _append(self, stream: int, pieces: list[bytes]) -> None:
        if not pieces:
            return
        # by hand: all containers' output waits for this, and short lines come by the million
        rest = f',"stream":"{_NAMES[stream]}","time":"{format_time(self._clock())}"}}\n'
        entries = "".join(
            f'{{"log":{encode_basestring(piece.decode(errors="replace"))}{rest}' for piece in pieces
        )
        with self.changed:
            try:
                self._write(entries.encode())
            except OSError as error:
                # clients still get it, and the loop that brought it serves every container
                if not self._has_failed:
                    log.error("Failed to log to %s: %s; output is lost", self.path, error)
                self._has_failed = True
            else:
                self._has_failed = False
            self.changed.notify_all()

    def _write(self, entries: bytes) -> None:
        """Append whole entries or none of them."""
        if self._file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o640)
        written = os.write(self._file, entries)
        if written < len(entries):
            os.ftruncate(self._file, os.fstat(self._file).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FileLogReader:
    """One client's reading of a log."""

    def __init__(
        self,
        log: JSONFileLog,
        *,
        tty: bool,
        streams: frozenset[int],
        follow: bool,
        since: datetime | None,
        until: datetime | None,
        timestamps: bool,
        tail: int | None,
    ) -> None:
        self.tty = tty
        self._log = log
        self._streams = streams
        self._follow = follow
        self._since = since
        self._until = until
        self._timestamps = timestamps
        self._tail = tail
        self._closed = False

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, line) from the log's beginning or tail, then what is added to it."""
        offset = 0
        lines, offset = self._lines_from(offset)
        entries = [entry for entry in map(self._entry, lines) if entry is not None]
        yield from entries if self._tail is None else deque(entries, maxlen=self._tail)
        while self._follow and not self._closed:
            with self._log.changed:
                is_active = self._log.is_active
                lines, offset = self._lines_from(offset)
                if not lines and is_active:
                    self._log.changed.wait(POLL_S)
                    continue
            yield from (entry for entry in map(self._entry, lines) if entry is not None)
            if not lines and not is_active:
                return

    def close(self) -> None:
        """End a followed read."""
        with self._log.changed:
            self._closed = True
            self._log.changed.notify_all()

    def _lines_from(self, offset: int) -> tuple[list[bytes], int]:
        try:
            with Path(self._log.path).open("rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        whole = data[: data.rfind(b"\n") + 1]
        return whole.splitlines(), offset + len(whole)

    def _entry(self, line: bytes) -> tuple[int, bytes] | None:
        entry = json.loads(line)
        number = _NUMBERS[entry["stream"]]
        moment = parse_time(entry["time"])
        if (
            number not in self._streams
            or (self._since is not None and moment < self._since)
            or (self._until is not None and moment > self._until)
        ):
            return None
        text = entry["log"].encode()
        return number, f"{entry['time']} ".encode() + text if self._timestamps else text
