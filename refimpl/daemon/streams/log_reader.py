"""Reading a container's log: its tail, by stream and time, followed or not.

A log is read in blocks of a bounded size, without a lock, across the files that rotation leaves. An
entry that is damaged or longer than any that is written is skipped, and the engine's log says so.

Mirrors: moby daemon/logger/loggerutils/logfile.go, pkg/tailfile, api/server/httputils/
write_log_stream.go (v20.10).
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote_plus

from refimpl.daemon.streams.json_log import STREAM_NAMES, JSONFileLog
from refimpl.daemon.streams.log_files import LogFile
from refimpl.model.moments import parse_time

log = logging.getLogger(__name__)

BLOCK_BYTES = 64 * 1024
ENTRY_BYTES_MAX = 256 * 1024
"""The longest entry that is read: a piece of 16 KiB, each byte written as six, its attributes, and
the rest."""
POLL_S = 1.0
"""How long a follower sleeps at most before it looks at the container again."""
_NUMBERS = {name: number for number, name in STREAM_NAMES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What a client wants of a log."""

    streams: frozenset[int]
    follow: bool = False
    since: datetime | None = None
    until: datetime | None = None
    timestamps: bool = False
    details: bool = False
    tail: int | None = None
    """How many entries, of whatever stream, are read before what is new; None for all."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where reading begins: a file, how many bytes of it are skipped, and then how many lines."""

    generation: int
    offset: int = 0
    lines: int = 0


class FileLogReader:
    """One client's reading of a log (`backend.LogReader`).

    Without `follow` it ends where the log ended when the reader was made.
    """

    def __init__(self, container_log: JSONFileLog, options: ReadOptions, *, tty: bool) -> None:
        self.tty = tty
        self._log = container_log
        self._files = container_log.files
        self._options = options
        self._end = self._files.end()
        self._closed = False
        self._damaged = 0

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, line) from the log's beginning or tail, then what is added to it."""
        since, until = self._options.since, self._options.until
        try:
            for line in self._lines():
                if self._closed:
                    return  # nothing that a client wants may come for a long time
                try:
                    number, text, time = self._decode(line)
                    # only who asks for a time pays for it
                    moment = parse_time(time) if since is not None or until is not None else None
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    self._damaged += 1
                    continue
                if moment is not None and until is not None and moment > until:
                    return
                is_early = moment is not None and since is not None and moment < since
                if number in self._options.streams and not is_early:
                    yield number, text
        finally:
            if self._damaged:
                log.warning("%s: %d damaged entries skipped", self._files.path, self._damaged)

    def close(self) -> None:
        """End a read from another thread."""
        self._closed = True
        self._files.tell()

    def _lines(self) -> Iterator[bytes]:
        """Yield whole lines, file after file."""
        newest, size = self._end
        place = self._tail(newest, size) if self._options.tail is not None else None
        place = place or _Place(self._files.oldest())
        lines: _Lines | None = None
        try:
            while not self._closed:
                # in this order: after the end of a run nothing is written, and no file begins
                is_active = self._log.is_active
                seen, current = self._files.state()
                if lines is None:
                    lines = self._open(place, newest, size)
                if lines is not None:
                    yield from lines.rest()
                if place.generation < (current if self._options.follow else newest):
                    if lines is not None:
                        self._damaged += lines.close()
                        lines = None
                    oldest = current - self._files.limits.max_files + 1
                    place = _Place(max(place.generation + 1, oldest))
                elif self._options.follow and is_active:
                    self._files.wait(seen, lambda: self._closed or not self._log.is_active, POLL_S)
                else:
                    return
        finally:
            if lines is not None:
                self._damaged += lines.close()

    def _open(self, place: _Place, newest: int, size: int) -> _Lines | None:
        file = self._files.open(place.generation)
        if file is None:
            return None
        limit = None
        if not self._options.follow and place.generation >= newest:
            # what is written from now on is not read
            limit = size - place.offset if place.generation == newest else 0
        return _Lines(file, place, limit)

    def _tail(self, newest: int, size: int) -> _Place | None:
        """Return where the last entries begin, None when there are not so many."""
        wanted = self._options.tail or 0
        for generation in range(newest, self._files.oldest() - 1, -1):
            file = self._files.open(generation)
            if file is None:
                continue
            with file:
                if isinstance(file, gzip.GzipFile):
                    found = _count_lines(file)
                    place = _Place(generation, lines=found - wanted)
                else:
                    end = size if generation == newest else os.fstat(file.fileno()).st_size
                    offset, found = _find_tail(file, end, wanted)
                    place = _Place(generation, offset)
            if found >= wanted:
                return place
            wanted -= found
        return None

    def _decode(self, line: bytes) -> tuple[int, bytes, str]:
        """Return an entry's stream, text and time."""
        entry = json.loads(line)
        text, time = entry["log"], entry["time"]
        if not (isinstance(text, str) and isinstance(time, str)):
            raise TypeError(line)
        if self._options.details:
            attributes = entry.get("attrs", {})
            pairs = (f"{quote_plus(name)}={quote_plus(attributes[name])}" for name in attributes)
            text = f"{','.join(sorted(pairs))} {text}"
        if self._options.timestamps:
            text = f"{time} {text}"
        return _NUMBERS[entry["stream"]], text.encode("utf-8", "replace"), time


class _Lines:
    """The lines of one file that may still grow."""

    def __init__(self, file: LogFile, place: _Place, limit: int | None) -> None:
        self._file = file
        self._skipped = place.lines
        self._left = limit
        self._part = b""
        self._is_overlong = False
        self._damaged = 0
        file.seek(place.offset)

    def rest(self) -> Iterator[bytes]:
        """Yield the lines up to the present end of the file."""
        while block := self._block():
            *whole, self._part = (self._part + block).split(b"\n")
            for line in whole:
                is_wanted = not self._skipped and not self._is_overlong
                self._skipped = max(self._skipped - 1, 0)
                self._is_overlong = False
                if is_wanted:
                    yield line
            if len(self._part) > ENTRY_BYTES_MAX:
                self._damaged += not self._is_overlong
                self._is_overlong = True
                self._part = b""

    def close(self) -> int:
        """Close the file; return how many lines were too long, or cut off with the file."""
        self._file.close()
        return self._damaged

    def _block(self) -> bytes:
        length = BLOCK_BYTES if self._left is None else min(self._left, BLOCK_BYTES)
        try:
            block = self._file.read(length)
        except (OSError, EOFError, zlib.error):
            self._damaged += 1
            return b""
        if self._left is not None:
            self._left -= len(block)
        return block


def _find_tail(file: LogFile, end: int, wanted: int) -> tuple[int, int]:
    """Return where the last `wanted` whole lines before `end` begin, and how many they are."""
    found = 0
    while end > 0:
        begin = max(end - BLOCK_BYTES, 0)
        file.seek(begin)
        block = file.read(end - begin)
        count = block.count(b"\n")
        if found + count > wanted:
            at = len(block)
            for _ in range(wanted + 1 - found):
                at = block.rfind(b"\n", 0, at)
            return begin + at + 1, wanted
        found += count
        end = begin
    return 0, found


def _count_lines(file: LogFile) -> int:
    count = 0
    try:
        while block := file.read(BLOCK_BYTES):
            count += block.count(b"\n")
    except (OSError, EOFError, zlib.error):
        pass  # damaged; reading will say so
    return count
