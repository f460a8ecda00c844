"""Layers: a tar stream becomes a directory that an overlay can stand on.

An archive is foreign data. Nothing of it is written outside the layer's directory: names with `..`
are refused, hard links must lead to a member of the same layer, and a parent directory that is a
symbolic link is followed inside the layer only, as in a chroot. Device nodes are refused, which
Docker 20.10 lets in: the reference needs none, and the daemon is root.

Mirrors: moby pkg/archive/archive.go Unpack, createTarFile (v20.10), in what it accepts otherwise.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from refimpl.daemon.images.archive import (
    BLOCK,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    BadArchive,
    Member,
    PlainStream,
    TarReader,
)
from refimpl.daemon.images.document import Layer
from refimpl.limits import LAYER_DEPTH_MAX, PATH_BYTES_MAX

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_LINKS_MAX = 40
_TIME_NS_MAX = (1 << 63) - 1
_NO_ID = 0xFFFFFFFF


def extract_layer(stream: BinaryIO, directory: Path) -> Layer:
    """Unpack one layer into a directory, which it makes.

    Returns:
        The layer, whose diff id is `sha256:` and the digest of the plain tar.

    Raises:
        BadArchive: it is damaged or too large, or it would write outside the directory. What was
            written of it is left to the owner of the directory.
    """
    directory.mkdir(mode=0o755)
    plain = PlainStream(stream)
    size = _Unpacking(TarReader(plain), directory).run()
    return Layer(directory, plain.digest(), size)


class _Unpacking:
    """One layer while it is unpacked."""

    def __init__(self, reader: TarReader, root: Path) -> None:
        self._reader = reader
        self._root = root
        self._size = 0
        self._directories: list[tuple[Path, int]] = []

    def run(self) -> int:
        for member in self._reader:
            name = _inner_name(member.name)
            if name == "":
                if member.kind == DIRECTORY:
                    self._root.chmod(member.mode)
                continue
            try:
                self._make(member, name)
            except OSError as error:
                raise _refusal(f"open /{name}", error) from error
        for path, mtime_ns in reversed(self._directories):
            if path.is_dir() and not path.is_symlink():
                os.utime(path, ns=(mtime_ns, mtime_ns))
        return self._size

    def _make(self, member: Member, name: str) -> None:
        """Create one member."""
        parent = self._parent(name)
        base = posixpath.basename(name)
        if base.startswith(WHITEOUT):
            _make_whiteout(parent, base, name)
            return
        target = parent / base
        if target.is_symlink() or (
            target.exists() and not (target.is_dir() and member.kind == DIRECTORY)
        ):
            _remove(target)
        if member.kind == HARD_LINK:
            self._link(member, target, name)
            return
        if member.kind == DIRECTORY:
            target.mkdir(mode=0o755, exist_ok=True)
            self._directories.append((target, _bounded_time(member)))
        elif member.kind == SYMLINK:
            target.symlink_to(member.link_name)
            # as Docker counts: a link is as large as its target's name
            self._size += len(os.fsencode(member.link_name))
        elif member.kind == FIFO:
            os.mkfifo(target)
        elif member.kind == REGULAR:
            _write_file(target, self._reader.content())
            self._size += member.size_bytes
        elif member.kind in {CHARACTER, BLOCK}:
            raise BadArchive(f"{shown(name)}: device nodes are not accepted")
        else:
            raise BadArchive(f"unhandled tar header type {ord(member.kind)}")
        _set_attributes(member, target)

    def _link(self, member: Member, target: Path, name: str) -> None:
        source = _inner_name(member.link_name)
        try:
            real = self._parent(source, make=False) / posixpath.basename(source)
            os.link(real, target, follow_symlinks=False)
        except OSError as error:
            raise _refusal(f"link /{source} /{name}", error) from error

    def _parent(self, name: str, *, make: bool = True) -> Path:
        """Return the real directory that a name lies in; links are followed inside the root only.

        Raises:
            OSError: it is no directory, or not there and not to be made.
            BadArchive: too many links, or directories nested too deeply.
        """
        current, depth = self._root, 0
        parts = name.split("/")[-2::-1]  # the next one is the last
        followed = 0
        while parts:
            part = parts.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                current, depth = (current.parent, depth - 1) if depth else (current, 0)
                continue
            step = current / part
            if step.is_symlink():
                followed += 1
                if followed > _LINKS_MAX:
                    raise BadArchive(f"too many links in {shown(name)}")
                link = os.readlink(step)  # noqa: PTH115 - a Path would drop what is after `..`
                if link.startswith("/"):
                    current, depth = self._root, 0
                parts += link.split("/")[::-1]
                continue
            depth += 1
            if depth > LAYER_DEPTH_MAX:
                raise BadArchive(f"open /{shown(name)}: file name too long")
            if make and not step.exists():
                step.mkdir(mode=0o755)
            elif not step.is_dir():
                # says why: it is not there, or it is a file
                os.close(os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            current = step
        return current


def _inner_name(name: str) -> str:
    """Return a member's name as a relative one without `.` and doubled slashes, "" for the root.

    Raises:
        BadArchive: it has `..`, or is longer than any path.
    """
    if len(name) > PATH_BYTES_MAX:
        raise BadArchive(f"open /{shown(name.lstrip('/'))}: file name too long")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise BadArchive(f'"{shown(name)}" is outside of "/"')
    return "/".join(parts)


def shown(name: str) -> str:
    """Return a member's name for an error: valid Unicode, and of a sane length."""
    text = os.fsencode(name)[:PATH_BYTES_MAX].decode("utf-8", "replace")
    return text if len(name) <= PATH_BYTES_MAX else f"{text}..."


def _refusal(what: str, error: OSError) -> BadArchive:
    return BadArchive(f"{shown(what)}: {(error.strerror or str(error)).lower()}")


def _bounded_time(member: Member) -> int:
    """Return when a member was changed, 1970 where that cannot be said (moby: BoundTime)."""
    return member.mtime_ns if 0 <= member.mtime_ns <= _TIME_NS_MAX else 0


def _set_attributes(member: Member, target: Path) -> None:
    # Go hands the kernel the lower 32 bits; all of them set is "leave it", which Python calls -1
    uid, gid = (-1 if one & _NO_ID == _NO_ID else one & _NO_ID for one in (member.uid, member.gid))
    os.chown(target, uid, gid, follow_symlinks=False)
    if member.kind != SYMLINK:
        target.chmod(member.mode)
        os.utime(target, ns=(_bounded_time(member),) * 2)


def _make_whiteout(parent: Path, base: str, name: str) -> None:
    """Write "deleted here" the way an overlay reads it."""
    if base == OPAQUE:
        os.setxattr(parent, "trusted.overlay.opaque", b"y")
        return
    hidden = posixpath.normpath(posixpath.join("/", posixpath.dirname(name), base[len(WHITEOUT) :]))
    try:
        # `.wh.`, `.wh..` and `.wh...` name a directory that is there: refused as in Docker
        os.mknod(parent / base[len(WHITEOUT) :], stat.S_IFCHR, os.makedev(0, 0))
    except OSError as error:
        raise _refusal(f'failed to mknod("{hidden}", S_IFCHR, 0)', error) from error


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink()


def _write_file(target: Path, content: Iterator[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, 0o600), "wb", buffering=0) as file:
        for data in content:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
