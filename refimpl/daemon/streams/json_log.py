"""Writing a container's log: one JSON object a line, for both logging drivers that keep a log.

Docker's `json-file` has this format. The files of its `local` are for Docker alone, so that any
format serves: `local-logs/container.log` has this one too.

Mirrors: moby daemon/logger/jsonfilelog/, daemon/logger/copier.go (v20.10).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from json.encoder import encode_basestring
from pathlib import PurePath

from refimpl.daemon.backend import STDERR, STDOUT
from refimpl.daemon.containers.container import Container
from refimpl.daemon.streams.log_files import LogFiles
from refimpl.daemon.streams.log_options import (
    DEFAULT_OPTIONS,
    JSON_FILE,
    LOCAL,
    NONE,
    LogOptions,
    log_options,
)
from refimpl.model.moments import format_time

log = logging.getLogger(__name__)

PIECE_BYTES = 16 * 1024
"""A longer line is logged in pieces of this size (moby: copier's buffer)."""
STREAM_NAMES = {STDOUT: "stdout", STDERR: "stderr"}


class JSONFileLog:
    """The log of one container; written by the stdio loop, read by anybody through `files`."""

    def __init__(
        self, path: str, clock: Callable[[], datetime], options: LogOptions = DEFAULT_OPTIONS
    ) -> None:
        self.files = LogFiles(path, options.limits)
        self.is_active = False
        """True while a process may still write; a follower stops when it is not."""
        self._clock = clock
        pairs = ",".join(
            f"{encode_basestring(name)}:{encode_basestring(options.attributes[name])}"
            for name in sorted(options.attributes)
        )
        self._attributes = f',"attrs":{{{pairs}}}' if pairs else ""
        self._partial: dict[int, bytes] = {}
        self._has_failed = False

    def open(self) -> None:
        """Begin a run of the container; the file is opened with the first output."""
        self.is_active = True
        self._has_failed = False

    def write(self, stream: int, data: bytes) -> None:
        """Take output as it comes; whole lines, and pieces of overlong ones, are written."""
        *lines, rest = (self._partial.pop(stream, b"") + data).split(b"\n")
        pieces: list[bytes] = []
        for line in lines:
            if len(line) < PIECE_BYTES:
                pieces.append(line + b"\n")
            else:
                pieces += _pieces(line + b"\n")
        if len(rest) >= PIECE_BYTES:
            *full, rest = _pieces(rest)
            pieces += full
        if rest:
            self._partial[stream] = rest
        self._append(stream, pieces)

    def close(self) -> None:
        """End a run: what is buffered is written, followers end."""
        for stream, rest in list(self._partial.items()):
            self._append(stream, [rest])
        self._partial.clear()
        self.is_active = False
        self.files.tell()
        self.files.close()

    def _append(self, stream: int, pieces: list[bytes]) -> None:
        if not pieces:
            return
        # by hand: all containers' output waits for this, and short lines come by the million
        rest = (
            f',"stream":"{STREAM_NAMES[stream]}"{self._attributes},'
            f'"time":"{format_time(self._clock())}"}}\n'
        )
        entries = [
            f'{{"log":{encode_basestring(piece.decode(errors="replace"))}{rest}' for piece in pieces
        ]
        try:
            self.files.append(entries)
        except OSError as error:
            # clients still get it, and the loop that brought it serves every container
            if not self._has_failed:
                log.error("Failed to log to %s: %s; output is lost", self.files.path, error)
            self._has_failed = True  # told once a run: a container could fill the engine's log


def _pieces(data: bytes) -> list[bytes]:
    """Split an overlong line, or the beginning of one; the last piece is shorter, or empty."""
    return [data[start : start + PIECE_BYTES] for start in range(0, len(data) + 1, PIECE_BYTES)]


def container_log_path(container: Container) -> str:
    """Return where a container's log is written, as inspect shows it: only for json-file."""
    if container.host_config.log_config.type not in ("", JSON_FILE):
        return ""
    return str(PurePath(container.root, f"{container.id}-json.log"))


def open_container_log(container: Container, clock: Callable[[], datetime]) -> JSONFileLog | None:
    """Make a container's log as its driver and options say, None for the driver `none`.

    Raises:
        EngineError: an option has no value that makes sense.
    """
    driver = container.host_config.log_config.type
    if driver == NONE:
        return None
    path = container_log_path(container)
    if driver == LOCAL:
        path = str(PurePath(container.root, "local-logs", "container.log"))
    return JSONFileLog(path, clock, log_options(container))
