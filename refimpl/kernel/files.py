"""The files of a container: replaced atomically, or changed in place where they are mounted."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

_READ_BYTES = 64 * 1024


class LinuxFiles:
    """`Files` on a real file system; one call is one change that a crash does not tear."""

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Replace a file atomically: a reader sees the old content or the new.

        What is there already is written in place: the same bytes cannot be torn, and the file
        system need not write them to the disk at once, as ext4 does before it lets a name pass
        from an older file to a new one.
        """
        if _rewrite_if_same(path, content, mode):
            return
        target = Path(path)
        # the name is fixed per target, so that a crash leaves at most one, which the next one takes
        draft = target.with_name(f".{target.name}.new")
        try:
            descriptor = os.open(
                draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode
            )
            try:
                os.fchmod(descriptor, mode)
                _write_all(descriptor, content)
            finally:
                os.close(descriptor)
            draft.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def overwrite(self, path: str, content: bytes) -> None:
        """Change a file in place, keeping its inode: it may be bind-mounted into a container."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            _write_all(descriptor, content)
            os.ftruncate(descriptor, len(content))
        finally:
            os.close(descriptor)

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            parts = []
            while part := os.read(descriptor, _READ_BYTES):
                parts.append(part)
        finally:
            os.close(descriptor)
        return b"".join(parts)

    def make_directory(self, path: str, *, mode: int = 0o710) -> None:
        """Create a directory and its parents; no error when it is there."""
        Path(path).mkdir(mode=mode, parents=True, exist_ok=True)

    def remove(self, path: str) -> None:
        """Remove a file or a whole directory; no error when it is not there.

        A symbolic link is removed itself, never what it points at.
        """
        target = Path(path)
        with contextlib.suppress(FileNotFoundError):
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink()


def _rewrite_if_same(path: str, content: bytes, mode: int) -> bool:
    """Write a file again that has this content and mode already; tell whether it had."""
    try:
        # without waiting, should it be a pipe
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # it is not there, or no file: for the one who replaces it to find out
    try:
        status = os.fstat(descriptor)
        is_same = (
            status.st_mode == stat.S_IFREG | mode
            and status.st_size == len(content)
            and os.read(descriptor, len(content) + 1) == content
        )
        return is_same and os.pwrite(descriptor, content, 0) == len(content)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
