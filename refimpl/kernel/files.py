"""The files of a container: replaced atomically, or changed in place where they are mounted.

Every file that a container can write is read and changed here. A container may make such a file
endless, swap it for a pipe, a device or a link, or hold a lease on it. So no call waits for what
is at the other end of a file, only regular files are opened, and every read has a limit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from itertools import islice
from pathlib import Path

from refimpl.kernel import libc
from refimpl.limits import ENGINE_FILE_BYTES_MAX

_READ_BYTES = 64 * 1024
_REMOVED_DEPTH_MAX = 64
"""Levels that a removal goes down; each takes a descriptor, and a frame of Python's stack."""
_REMOVED_AT_ONCE = 4096
"""Names that a removal holds of one directory."""


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
        """Change a file in place, keeping its inode: it may be bind-mounted into a container.

        Raises:
            BlockingIOError: a process of the container holds a lease on it.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o644)
        try:
            _write_all(descriptor, content)
            os.ftruncate(descriptor, len(content))
        finally:
            os.close(descriptor)

    def read(self, path: str, *, bytes_max: int = ENGINE_FILE_BYTES_MAX) -> bytes:
        """Return a regular file's content.

        Args:
            path: of the file; links are followed.
            bytes_max: how large it may be.

        Raises:
            OSError: it cannot be read at once, is no regular file (EINVAL), or is larger (EFBIG).
        """
        return _read(os.open(path, os.O_PATH | os.O_CLOEXEC), path, bytes_max)

    def read_inside(self, root: str, path: str, bytes_max: int) -> bytes:
        """Return a regular file's content, where `root` is the root directory for path and links.

        Args:
            root: a directory, for instance a container's root file system.
            path: as a process whose root directory that is would say it.
            bytes_max: how large the file may be.

        Raises:
            OSError: as from `read`; the text has the path as it is inside.
        """
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = libc.open_inside(directory, path, os.O_PATH | os.O_CLOEXEC)
        finally:
            os.close(directory)
        return _read(descriptor, path, bytes_max)

    def make_directory(self, path: str, *, mode: int = 0o710) -> None:
        """Create a directory and its parents; no error when it is there."""
        Path(path).mkdir(mode=mode, parents=True, exist_ok=True)

    def make_mount_source(self, path: str) -> None:
        """Create a directory that a container is to mount, unless something is there already.

        Raises:
            OSError: with Docker's text.

        Mirrors: moby volume/mounts/mounts.go MountPoint.Setup (v20.10).
        """
        try:
            Path(path).mkdir(mode=0o755, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            return  # it is a file, or below one, which is for the runtime to refuse
        except OSError as error:
            reason = (error.strerror or "").lower()
            text = f"error while creating mount source path '{path}': mkdir {error.filename}"
            raise OSError(error.errno, f"{text}: {reason}") from error

    def remove(self, path: str) -> None:
        """Remove a file or a whole directory; no error when it is not there.

        A symbolic link is removed itself, never what it points at.
        """
        target = Path(path)
        with contextlib.suppress(FileNotFoundError):
            if target.is_dir() and not target.is_symlink():
                _remove_tree(path)
            else:
                target.unlink()


def _remove_tree(path: str) -> None:
    """Remove a directory of any depth and any number of names, as a container may leave it.

    Nothing else may work in it. A directory that lies too deep is moved to the top and removed
    there, so neither stack nor descriptors nor the length of a path are a limit.
    """
    top = _open_directory(path)
    try:
        while _empty(top, top, _REMOVED_DEPTH_MAX):
            pass
    finally:
        os.close(top)
    Path(path).rmdir()


def _empty(directory: int, top: int, levels: int) -> bool:
    """Remove what is in a directory; tell whether some of it was moved to the top instead."""
    has_moved = False
    while True:
        with os.scandir(directory) as entries:
            names = [
                (entry.name, entry.is_dir(follow_symlinks=False))
                for entry in islice(entries, _REMOVED_AT_ONCE)
            ]
        if not names:
            return has_moved
        for name, is_directory in names:
            if not is_directory:
                os.unlink(name, dir_fd=directory)
            elif levels:
                inner = _open_directory(name, directory)
                try:
                    has_moved |= _empty(inner, top, levels - 1)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=directory)
            else:
                # of 128 random bits: none of the names that are there
                os.rename(name, secrets.token_hex(16), src_dir_fd=directory, dst_dir_fd=top)
                has_moved = True


def _open_directory(path: str, beside: int | None = None) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, dir_fd=beside)


def _read(place: int, path: str, bytes_max: int) -> bytes:
    """Read what an O_PATH descriptor, which is closed, stands for.

    The kind is looked at before the file is opened: opening a device can have an effect.
    """
    try:
        status = os.fstat(place)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, f"{path} is not a regular file")
        if status.st_size > bytes_max:
            raise _too_large(path, bytes_max)
        # O_NONBLOCK: a lease on it is an error and not 45 s of waiting
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(f"/proc/self/fd/{place}", flags)
        except OSError as error:
            raise OSError(error.errno, f"{path}: {error.strerror}") from error
    finally:
        os.close(place)
    content = bytearray()
    try:
        while part := os.read(descriptor, _READ_BYTES):
            content += part
            if len(content) > bytes_max:  # it grew meanwhile
                raise _too_large(path, bytes_max)
    finally:
        os.close(descriptor)
    return bytes(content)


def _too_large(path: str, bytes_max: int) -> OSError:
    return OSError(errno.EFBIG, f"{path} is larger than {bytes_max} bytes")


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
