"""Layers: a tar stream becomes a directory that an overlay can stand on.

An archive is foreign data. Nothing of it is written outside the layer's directory: names with `..`
are refused, hard links must lead to a member of the same layer, and a parent directory that is a
symbolic link is followed inside the layer only, as in a chroot. Device nodes are refused, which
Docker 20.10 lets in: the reference needs none, and the daemon is root.

Mirrors: moby pkg/archive/{archive,diff}.go (v20.10), in what it accepts otherwise.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from refimpl.errors import EngineError

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
_LINKS_MAX = 40
_MAGIC: dict[bytes, Callable[[BinaryIO], IO[bytes]]] = {
    b"\x1f\x8b": lambda stream: cast(IO[bytes], gzip.GzipFile(fileobj=stream)),
    b"\xfd7zXZ": lzma.LZMAFile,
}


class BadArchive(EngineError):
    """An archive that is damaged, or that would write outside its directory."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error processing tar file(exit status 1): {reason}")

    @classmethod
    def of(cls, error: Exception) -> BadArchive:
        """Say in Go's words why Python could not read an archive."""
        text = str(error)
        is_cut = isinstance(error, EOFError) or "truncated" in text or "unexpected end" in text
        return cls("unexpected EOF" if is_cut else "archive/tar: invalid tar header")


class _Digesting:
    """A reader that hashes and counts everything that is read through it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.sha256.update(data)
        return data

    def rest(self) -> None:
        """Read what is left, so that the digest is the whole stream's."""
        while self.read(1024 * 1024):
            pass


class _Peeking:
    """A reader that has given back the first bytes it was asked for."""

    def __init__(self, first: bytes, stream: BinaryIO) -> None:
        self._first = first
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        first, self._first = self._first, b""
        if size < 0:
            return first + self._stream.read()
        if len(first) >= size:
            self._first = first[size:]
            return first[:size]
        return first + (self._stream.read(size - len(first)) or b"")


def decompressed(stream: BinaryIO) -> IO[bytes]:
    """Return a tar stream that may be gzip, xz or plain as a plain one."""
    first = b""
    while len(first) < 5 and (more := stream.read(5 - len(first))):
        first += more
    whole = cast(BinaryIO, _Peeking(first, stream))
    for magic, opener in _MAGIC.items():
        if first.startswith(magic):
            return opener(whole)
    return whole


def extract_layer(stream: BinaryIO, directory: Path) -> tuple[str, int]:
    """Unpack one layer into an empty directory.

    Returns:
        The layer's diff id (`sha256:` and the digest of the plain tar) and its size in bytes.

    Raises:
        BadArchive: it is damaged, or it would write outside the directory.
    """
    directory.mkdir(mode=0o755, parents=True)
    try:
        digesting = _Digesting(decompressed(stream))
        size = _unpack(digesting, directory)
        digesting.rest()
    except (tarfile.TarError, EOFError, lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        shutil.rmtree(directory, ignore_errors=True)
        raise BadArchive.of(error) from error
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return f"sha256:{digesting.sha256.hexdigest()}", size


def _unpack(stream: _Digesting, directory: Path) -> int:
    size = 0
    times: list[tuple[Path, float]] = []
    try:
        archive = tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|")  # noqa: SIM115 - closed below
    except tarfile.ReadError:
        # a stream of nothing is an empty layer, as in Docker
        if stream.sha256.digest() == hashlib.sha256().digest():
            return 0
        raise
    with archive:
        for member in archive:
            name = _safe_name(member.name)
            if name == PurePosixPath("."):
                directory.chmod(member.mode)
                continue
            try:
                target = _parent_in_root(directory, name) / name.name
                _make(archive, member, target, directory)
            except gzip.BadGzipFile:
                raise  # of the stream and not of the file
            except OSError as error:
                # FileExistsError: what is to be a directory is a file
                number = errno.ENOTDIR if isinstance(error, FileExistsError) else error.errno
                reason = os.strerror(number or errno.EIO).lower()
                raise BadArchive(f"open /{name}: {reason}") from error
            # as Docker counts: a link is as large as its target's name
            size += len(member.linkname) if member.issym() else member.size
            if member.isdir():
                times.append((target, member.mtime))
    for target, mtime in reversed(times):
        if target.is_dir() and not target.is_symlink():
            os.utime(target, (mtime, mtime))
    return size


def _safe_name(name: str) -> PurePosixPath:
    path = PurePosixPath("/", name).relative_to("/")
    if ".." in path.parts:
        raise BadArchive(f'"{name}" is outside of "/"')
    return path


def _parent_in_root(root: Path, name: PurePosixPath) -> Path:
    """Return the real directory that a member goes into; links are followed inside `root` only."""
    current = root
    parts = list(name.parts[:-1])
    followed = 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            current = current if current == root else current.parent
            continue
        step = current / part
        if step.is_symlink():
            followed += 1
            if followed > _LINKS_MAX:
                raise BadArchive(f"too many links in {name}")
            target = PurePosixPath(step.readlink())
            if target.is_absolute():
                current = root
                target = target.relative_to("/")
            parts[:0] = target.parts
            continue
        if not step.is_dir():
            step.mkdir(mode=0o755)
        current = step
    return current


def _make(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, root: Path) -> None:
    """Create one member."""
    if target.name.startswith(WHITEOUT):
        _make_whiteout(target)
        return
    if target.is_symlink() or (target.exists() and not (target.is_dir() and member.isdir())):
        _remove(target)
    if member.isdir():
        target.mkdir(mode=0o755, exist_ok=True)
    elif member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        _make_hard_link(member, target, root)
        return
    elif member.isfifo():
        os.mkfifo(target)
    elif member.isreg():
        _write_file(archive, member, target)
    else:
        raise BadArchive(f"{member.name}: device nodes are not accepted")
    os.chown(target, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        target.chmod(member.mode & 0o7777)
        os.utime(target, (member.mtime, member.mtime))


def _make_whiteout(target: Path) -> None:
    """Write "deleted here" the way an overlay reads it."""
    if target.name == OPAQUE:
        os.setxattr(target.parent, "trusted.overlay.opaque", b"y")
    else:
        hidden = target.with_name(target.name.removeprefix(WHITEOUT))
        os.mknod(hidden, stat.S_IFCHR, os.makedev(0, 0))


def _make_hard_link(member: tarfile.TarInfo, target: Path, root: Path) -> None:
    source = _safe_name(member.linkname)
    real = _parent_in_root(root, source) / source.name
    if not real.is_symlink() and not real.is_file():
        raise BadArchive(f"link {member.linkname} {member.name}: no such file or directory")
    os.link(real, target, follow_symlinks=False)


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink()


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = archive.extractfile(member)
    if content is None:
        raise BadArchive(f"{member.name}: no content")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with content, os.fdopen(os.open(target, flags, 0o600), "wb") as file:
        shutil.copyfileobj(content, file, 1024 * 1024)
