"""Which files of a folder are replaced or written, in the order in which it happens.

Linux' inotify, by way of the C library: a file that is written anew within a millisecond, twice,
leaves no other trace. See inotify(7). What counts is the write, not the close: a child that the
engine forks meanwhile holds the file open until it runs its own program, so that the close comes
late, and under the name that the file has by then. A file that stays empty is not seen, and one
that is written in steps counts again when another one was written in between.
"""

import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType

from conformance.assertions import expect_true

_IN_MODIFY = 0x02
_IN_MOVED_TO = 0x80
_HEADER = struct.Struct("iIII")  # wd, mask, cookie, length of the name
_BUFFER_BYTES = 1024 * 1024
_LIBC = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Watches one folder inside a `with` block; `.settled()` gives what happened in it."""

    def __init__(self, folder: Path) -> None:
        """Begin now.

        Raises:
            BehaviourViolated: the folder is not there.
            OSError: the kernel has no inotify.
        """
        expect_true(f"the folder {folder} is there", folder.is_dir())
        self._fd = _checked(_LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            path = os.fsencode(folder)
            _checked(_LIBC.inotify_add_watch(self._fd, path, _IN_MODIFY | _IN_MOVED_TO))
        except OSError:
            os.close(self._fd)
            raise

    def __enter__(self) -> "FolderWatch":
        """Go into the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        os.close(self._fd)

    def settled(self) -> list[str]:
        """Give the names of the files that were written or moved into place so far, in order."""
        try:
            data = os.read(self._fd, _BUFFER_BYTES)
        except BlockingIOError:
            return []
        names: list[str] = []
        at = 0
        while at < len(data):
            _, mask, _, size = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            name = os.fsdecode(data[at : at + size].rstrip(b"\0"))
            if mask & _IN_MOVED_TO or names[-1:] != [name]:  # else one more step of the same write
                names.append(name)
            at += size
        return names


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
