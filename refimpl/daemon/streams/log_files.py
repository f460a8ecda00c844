"""The files of one log: the one that is written, and the older ones that rotation has left.

`path` is written; `path.1`, `path.2` and so on are older, with `.gz` when they are compressed. Each
file has a number that it keeps: its generation. The written one's is `generation`, and the
file behind `path.N` is N less.

One thread writes. Readers open the files themselves and hold no lock while they read; what they
need to know is told under `changed`, which nobody holds for longer than that.

Mirrors: moby daemon/logger/loggerutils/logfile.go (v20.10).
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import io
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

LogFile = io.FileIO | gzip.GzipFile
"""A file opened for reading."""

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_MODE = 0o640
_LOOKS = 20
"""How often a reader looks for a file while rotations change its name."""
_ROTATION_WAIT_S = 5.0
_COPY_BYTES = 64 * 1024
_STOP_WAIT_S = 10.0
"""How long a removal waits for the compressing thread, which looks after each block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """How large a log may grow."""

    max_bytes: int | None = None
    """From this size on a file is not written any more, and the next one begins."""
    max_files: int = 1
    compress: bool = False
    """Whether the older files are compressed."""


class LogFiles:
    """One log's files."""

    def __init__(self, path: str, limits: LogLimits) -> None:
        self.path = path
        self.limits = limits
        self.changed = threading.Condition(threading.Lock())
        """Guards `generation`, `written` and `_is_rotating`, for an instant only."""
        self.generation = 0
        self.written = 0
        """Grows with each change; who waits for news compares it."""
        self._is_rotating = False
        self._file: int | None = None
        self._size = 0
        self._is_torn = False
        self._names = threading.Lock()
        """Held while files change their names, by the writer and by the compressing thread."""
        self._oldest = -1
        """The N of the oldest `path.N`, 0 when there is none, -1 before anybody has looked."""
        self._compressing: threading.Thread | None = None
        """The thread that compresses older files; None when there is nothing for it to do."""
        self._is_stopped = False
        self._has_failed = False

    # ------------------------------------------------------------------------------- the writer

    def append(self, entries: Sequence[str]) -> None:
        """Add entries, each of which ends its line; rotate where the limits say so.

        Raises:
            OSError: they could not be written, or not all of them.
        """
        data = "".join(entries).encode()
        max_bytes = self.limits.max_bytes
        try:
            if self._file is None:
                self._file = self._open()
            if max_bytes is None or self._size + len(data) < max_bytes:
                self._write(self._file, data)
                return
            first, *others = self._distribute([entry.encode() for entry in entries], max_bytes)
            if first:
                self._write(self._file, first)
            if others:
                # what would be rotated away at once need not be written
                self._rotate(others[-self.limits.max_files :])
        finally:
            self.tell()

    def close(self) -> None:
        """Close the written file; the next `append` opens it again."""
        if self._file is not None:
            descriptor, self._file = self._file, None
            os.close(descriptor)

    def tell(self) -> None:
        """Wake the readers: something is new."""
        with self.changed:
            self.written += 1
            self.changed.notify_all()

    def _open(self) -> int:
        try:
            descriptor = os.open(self.path, _FLAGS, _MODE)
        except FileNotFoundError:
            Path(self.path).parent.mkdir(0o700)
            descriptor = os.open(self.path, _FLAGS, _MODE)
        self._size = os.fstat(descriptor).st_size
        # a crash in the middle of a write has left a line without its end
        self._is_torn = self._size > 0 and os.pread(descriptor, 1, self._size - 1) != b"\n"
        return descriptor

    def _write(self, descriptor: int, data: bytes) -> None:
        if self._is_torn:
            data = b"\n" + data
        written = os.write(descriptor, data)
        self._size += written
        if written:
            self._is_torn = data[written - 1 : written] != b"\n"
        if written < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _distribute(self, entries: Sequence[bytes], max_bytes: int) -> list[bytes]:
        """Return what goes to the written file, and what to each new one after it."""
        files: list[list[bytes]] = [[]]
        size = self._size
        for entry in entries:
            if size and size >= max_bytes:
                files.append([])
                size = 0
            files[-1].append(entry)
            size += len(entry)
        return [b"".join(one) for one in files]

    def _rotate(self, contents: Sequence[bytes]) -> None:
        """Put new files in front of the others, the last of which is the written one."""
        self.close()
        with self._names:
            if self._oldest < 0:
                self._oldest = self._count_older()
            with self.changed:
                self._is_rotating = True
            try:
                # the oldest first, so that each new name is free
                for index in range(self._oldest, -1, -1):
                    self._move(index, index + len(contents))
                self._oldest = min(self._oldest + len(contents), self.limits.max_files - 1)
                with self.changed:
                    self.generation += len(contents)
                for index, content in zip(range(len(contents) - 1, -1, -1), contents, strict=True):
                    self.close()
                    self._file = os.open(self._name(index), _FLAGS | os.O_TRUNC, _MODE)
                    self._size, self._is_torn = 0, False
                    self._write(self._file, content)
            except OSError:
                self.close()  # it may be an older file; the next `append` opens the written one
                raise
            finally:
                with self.changed:
                    self._is_rotating = False
            self._compress_later()

    def _count_older(self) -> int:
        """Return the N of the oldest `path.N`; the files end at the first gap."""
        index = 0
        while index + 1 < self.limits.max_files and (
            self._name(index + 1).exists() or self._name(index + 1, ".gz").exists()
        ):
            index += 1
        return index

    def _name(self, index: int, suffix: str = "") -> Path:
        return Path(f"{self.path}.{index}{suffix}" if index else self.path)

    def _move(self, index: int, to: int) -> None:
        for suffix in ("", ".gz") if index else ("",):
            with contextlib.suppress(FileNotFoundError):
                if to < self.limits.max_files:
                    self._name(index, suffix).rename(self._name(to, suffix))
                else:
                    # a reader that is still in it reads it to its end
                    self._name(index, suffix).unlink()

    # ------------------------------------------------------------------ the compressing thread

    def stop_compressing(self) -> None:
        """Compress nothing any more, and wait for the thread: the files are to be removed."""
        self._is_stopped = True
        thread = self._compressing
        if thread is not None:
            thread.join(_STOP_WAIT_S)

    def _compress_later(self) -> None:
        if not self.limits.compress or self._compressing is not None or self._is_stopped:
            return
        thread = threading.Thread(target=self._compress_all, name="log-compress", daemon=True)
        self._compressing = thread  # before it runs: at its end it takes this back
        try:
            thread.start()
        except RuntimeError as error:
            self._compressing = None
            self._compressing_failed(error)

    def _compress_all(self) -> None:
        try:
            while (plain := self._open_oldest_plain()) is not None:
                self._compress(*plain)
        except OSError as error:
            self._compressing_failed(error)
            with self._names:
                self._compressing = None

    def _compressing_failed(self, error: Exception) -> None:
        if not self._has_failed:  # told once: a container could fill the engine's log
            log.error("%s: older files stay uncompressed: %s", self.path, error)
        self._has_failed = True

    def _open_oldest_plain(self) -> tuple[BinaryIO, int] | None:
        """Return the oldest file that is not compressed, and its generation; None ends the thread.

        Raises:
            OSError: it cannot be opened.
        """
        with self._names:
            for index in range(self._oldest, 0, -1):
                if not self._is_stopped and self._name(index).exists():
                    return self._name(index).open("rb"), self.generation - index
            self._compressing = None
            return None

    def _compress(self, source: BinaryIO, generation: int) -> None:
        temporary = Path(f"{self.path}.compressing")
        try:
            with source, gzip.open(temporary, "wb", compresslevel=6) as target:
                while not self._is_stopped and (block := source.read(_COPY_BYTES)):
                    target.write(block)
            temporary.chmod(_MODE)
            with self._names:
                index = self.generation - generation
                name = self._name(index)
                if not self._is_stopped and index < self.limits.max_files and name.exists():
                    temporary.rename(self._name(index, ".gz"))
                    name.rename(temporary)  # to unlink a large file takes its time
        finally:
            temporary.unlink(missing_ok=True)

    # ------------------------------------------------------------------------------ the readers

    def state(self) -> tuple[int, int]:
        """Return `written` and `generation`, of one moment."""
        with self.changed:
            return self.written, self.generation

    def wait(self, seen: int, is_over: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `written` is another than was seen, or something is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.written != seen or is_over(), timeout_s)

    def oldest(self) -> int:
        """Return the generation of the oldest file."""
        found = self._between_rotations(lambda newest: newest - self._count_older())
        return self.state()[1] if found is None else found

    def end(self) -> tuple[int, int]:
        """Return the written file's generation and its length in bytes."""

        def look(generation: int) -> tuple[int, int]:
            try:
                return generation, Path(self.path).stat().st_size
            except FileNotFoundError:
                return generation, 0

        return self._between_rotations(look) or (self.state()[1], 0)

    def open(self, generation: int) -> LogFile | None:
        """Open the file of a generation for reading, None when there is none (any more)."""

        def look(newest: int) -> LogFile | None:
            index = newest - generation
            return self._open_index(index) if 0 <= index < self.limits.max_files else None

        return self._between_rotations(look)

    def _between_rotations(self, look: Callable[[int], T]) -> T | None:
        """Return what is found when no file changes its name meanwhile, None if one always does."""
        for _ in range(_LOOKS):
            with self.changed:
                self.changed.wait_for(lambda: not self._is_rotating, _ROTATION_WAIT_S)
                generation = self.generation
            found = look(generation)
            with self.changed:
                if self.generation == generation and not self._is_rotating:
                    return found
            if isinstance(found, io.IOBase):
                found.close()
        return None

    def _open_index(self, index: int) -> LogFile | None:
        with contextlib.suppress(FileNotFoundError):
            return self._name(index).open("rb", buffering=0)
        if index:  # the written file is never compressed
            # compressing adds this name before it takes the other away
            with contextlib.suppress(FileNotFoundError):
                return gzip.open(self._name(index, ".gz"), "rb")
        return None
