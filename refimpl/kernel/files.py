"""The files of a container: replaced atomically, or changed in place where they are mounted."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


class LinuxFiles:
    """`Files` on a real file system; one call is one change that a crash does not tear."""

    def write(self, path: str, content: bytes, *, mode: int = 0o644) -> None:
        """Replace a file atomically: a reader sees the old content or the new."""
        target = Path(path)
        # the name is fixed per target, so that a crash leaves at most one, which the next one takes
        draft = target.with_name(f".{target.name}.new")
        try:
            descriptor = os.open(
                draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode
            )
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, mode)
                file.write(content)
            draft.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise

    def overwrite(self, path: str, content: bytes) -> None:
        """Change a file in place, keeping its inode: it may be bind-mounted into a container."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.truncate()

    def read(self, path: str) -> bytes:
        """Return a file's content."""
        return Path(path).read_bytes()

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
