"""Reading a client's tar archive, plain or compressed, member by member.

An archive is foreign data: each header, the number of headers and the number of bytes are bounded
here, and whatever is wrong with an archive is a `BadArchive`. Python's tarfile is not used: hostile
headers make it recurse, backtrack or read without a bound (CVE-2024-6232, CVE-2025-8194), and its
rules differ from Go's.

Mirrors: Go archive/tar/{reader,strconv}.go, moby pkg/archive/archive.go DecompressStream (v20.10).
Sparse files are refused, which Docker 20.10 unpacks: no layer has them.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from refimpl.errors import EngineError
from refimpl.limits import (
    ARCHIVE_BYTES_MAX,
    ARCHIVE_HEADER_BYTES_MAX,
    ARCHIVE_HEADERS_MAX,
    XZ_MEMORY_BYTES_MAX,
)

REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK, DIRECTORY, FIFO = "0123456"
"""The types of a member, as the archive writes them."""

PIECE_BYTES = 256 * 1024
"""How much is read at a time: hashing and writing it takes well below a millisecond."""
_BLOCK = 512
_HEADER_ONLY = frozenset({HARD_LINK, SYMLINK, CHARACTER, BLOCK, DIRECTORY, FIFO})
_INT64 = 1 << 63
_INTEGER = re.compile(rb"[+-]?[0-9]{1,19}")
_TIME = re.compile(rb"(-?[0-9]{1,19})(?:\.([0-9]*))?")
_OCTAL = re.compile(rb"[0-7]+")


class BadArchive(EngineError):
    """An archive that is damaged, beyond a bound, or that would write outside its directory."""

    def __init__(self, reason: str, process: str = "exit status 1") -> None:
        super().__init__(f"Error processing tar file({process}): {reason}")


def invalid_header() -> BadArchive:
    """Build Go's archive/tar.ErrHeader."""
    return BadArchive("archive/tar: invalid tar header")


def unexpected_end() -> BadArchive:
    """Build Go's io.ErrUnexpectedEOF."""
    return BadArchive("unexpected EOF")


# ---------------------------------------------------------------------------- the plain bytes


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, b"" at the end."""


class _Decompressor(Protocol):
    """What lzma's and bz2's decompressors are."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of the other two."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


_FORMATS: dict[bytes, tuple[Callable[[], _Decompressor], str]] = {
    b"\x1f\x8b\x08": (_Gunzip, "gzip: invalid checksum"),
    b"BZh": (bz2.BZ2Decompressor, "bzip2 data invalid"),
    b"\xfd7zXZ\x00": (
        lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES_MAX),
        "exit status 1: xz: (stdin): Compressed data is corrupt\n",
    ),
}
"""The first bytes of each compressed format: its decompressor, and what Docker says of damage."""


class _Inflating:
    """A reader of what is compressed; several compressed streams in a row are one, as in Go."""

    def __init__(self, source: _Readable, make: Callable[[], _Decompressor], damage: str) -> None:
        self._source = source
        self._make = make
        self._damage = damage
        self._inner = make()
        self._input = b""

    def read(self, size: int, /) -> bytes:
        while True:
            if self._inner.eof and not self._begin_next():
                return b""
            is_end = False
            if not self._input and self._inner.needs_input:
                self._input = self._source.read(PIECE_BYTES)
                is_end = not self._input
            data, self._input = self._input, b""
            try:
                plain = self._inner.decompress(data, size)
            # damaged data makes bz2 raise OSError or ValueError, and zlib and lzma their own
            except (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError) as error:
                raise BadArchive("", self._damage) from error
            if plain:
                return plain
            if is_end and not self._inner.eof:
                raise unexpected_end()

    def _begin_next(self) -> bool:
        """Begin the next compressed stream; False when only padding follows."""
        rest = self._inner.unused_data.lstrip(b"\0")
        while not rest and (more := self._source.read(PIECE_BYTES)):
            rest = more.lstrip(b"\0")
        self._input = rest
        if rest:
            self._inner = self._make()
        return bool(rest)


class _Unread:
    """A reader that has given back the first bytes it was asked for."""

    def __init__(self, first: bytes, source: _Readable) -> None:
        self._first = first
        self._source = source

    def read(self, size: int, /) -> bytes:
        if self._first:
            data, self._first = self._first[:size], self._first[size:]
            return data
        return self._source.read(size) or b""


class PlainStream:
    """The plain bytes of an archive that may be gzip, bzip2, xz or plain, hashed as they are read.

    Raises, while it is read:
        BadArchive: the compression is damaged, or there are more than `bytes_max` plain bytes.
    """

    def __init__(self, source: BinaryIO, bytes_max: int = ARCHIVE_BYTES_MAX) -> None:
        first = b""
        while len(first) < 6 and (more := source.read(6 - len(first))):
            first += more
        whole: _Readable = _Unread(first, source)
        for magic, (make, damage) in _FORMATS.items():
            if first.startswith(magic):
                whole = _Inflating(whole, make, damage)
        self._whole = whole
        self._left = bytes_max
        self._sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        data = self._whole.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise BadArchive("the archive has too many bytes")
        self._sha256.update(data)
        return data

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes; b"" at the very end."""
        data = self.read(size) if size else b""
        if len(data) == size or not data:
            return data
        pieces = [data]
        missing = size - len(data)
        while missing:
            data = self.read(missing)
            if not data:
                raise unexpected_end()
            pieces.append(data)
            missing -= len(data)
        return b"".join(pieces)

    def digest(self) -> str:
        """Read what is left, and return `sha256:` and the digest of everything."""
        while self.read(PIECE_BYTES):
            pass
        return f"sha256:{self._sha256.hexdigest()}"


# ------------------------------------------------------------------------------- its members


class Member(NamedTuple):
    """One member of an archive; `name` and `link_name` are as they came, and never have a NUL."""

    name: str
    kind: str
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_ns: int
    link_name: str


class TarReader:
    """The members of a tar stream, in order; each one's content is read before the next."""

    def __init__(self, stream: PlainStream, headers_max: int = ARCHIVE_HEADERS_MAX) -> None:
        self._stream = stream
        self._headers_left = headers_max
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        while (member := self._next()) is not None:
            yield member

    def content(self) -> Iterator[bytes]:
        """Yield the content of the member that was returned last."""
        while self._left:
            data = self._stream.read(min(self._left, PIECE_BYTES))
            if not data:
                raise unexpected_end()
            self._left -= len(data)
            yield data

    def _next(self) -> Member | None:
        for _ in self.content():
            pass  # nobody wanted it
        if self._padding and len(self._stream.exactly(self._padding)) < self._padding:
            self._padding = 0
            return None  # the archive ends without the last padding, which Go lets pass
        self._padding = 0
        records: dict[bytes, bytes] = {}
        while (block := self._header_block()) is not None:
            kind = block[156:157]
            if kind == b"x":
                records = _pax_records(self._extension(block))
            elif kind == b"g":
                self._extension(block)  # moby ignores global records
            elif kind in {b"L", b"K"}:
                name, _, _ = self._extension(block).partition(b"\0")
                records[b"path" if kind == b"L" else b"linkpath"] = name
            else:
                member = _member(block, records)
                self._left = 0 if member.kind in _HEADER_ONLY else member.size_bytes
                self._padding = -self._left % _BLOCK
                return member
        if records:
            raise unexpected_end()
        return None

    def _header_block(self) -> bytes | None:
        """Return the next header, or None at the end of the archive."""
        block = self._stream.exactly(_BLOCK)
        if not block:
            return None
        if block == bytes(_BLOCK):
            if self._stream.exactly(_BLOCK).strip(b"\0"):
                raise invalid_header()
            return None
        self._headers_left -= 1
        if self._headers_left < 0:
            raise BadArchive("the archive has too many members")
        told = _number(block[148:156])
        summed = block[:148] + b" " * 8 + block[156:]
        # some old programs summed signed bytes, as Go knows
        if told != sum(summed) and told != sum(summed) - 256 * sum(one > 127 for one in summed):
            raise invalid_header()
        return block

    def _extension(self, block: bytes) -> bytes:
        """Read the content of a header that describes the next one."""
        size = _number(block[124:136])
        if size < 0:
            raise invalid_header()
        if size > ARCHIVE_HEADER_BYTES_MAX:
            raise BadArchive("archive/tar: header field too long")
        padded = size + -size % _BLOCK
        content = self._stream.exactly(padded)
        if len(content) < padded:
            raise unexpected_end()
        return content[:size]


def _member(block: bytes, records: dict[bytes, bytes]) -> Member:
    """Decode a header, with what its extensions say instead."""
    if any(key.startswith(b"GNU.sparse.") for key in records) or block[156:157] == b"S":
        raise BadArchive("sparse files are not accepted")
    name = _text(block[0:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = _text(block[345:500]) + b"/" + name
    name = records.get(b"path") or name
    kind = chr(block[156]) if block[156] else REGULAR
    if not block[156] and name.endswith(b"/"):
        kind = DIRECTORY  # as programs before ustar wrote it
    mtime_ns = _number(block[136:148]) * 10**9
    size = _integer(records, b"size", _number(block[124:136]))
    if size < 0:
        raise invalid_header()
    return Member(
        name=os.fsdecode(name),
        kind=kind,
        mode=_number(block[100:108]) & 0o7777,
        uid=_integer(records, b"uid", _number(block[108:116])),
        gid=_integer(records, b"gid", _number(block[116:124])),
        size_bytes=size,
        mtime_ns=_nanoseconds(records[b"mtime"]) if records.get(b"mtime") else mtime_ns,
        link_name=os.fsdecode(records.get(b"linkpath") or _text(block[157:257])),
    )


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Read a number: octal digits, or a binary one of 64 bits at most whose first bit is set."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        if value >> (bits - 1):
            value -= 1 << bits
        if not -_INT64 <= value < _INT64:
            raise invalid_header()
        return value
    digits = _text(field.strip(b" \0"))
    if digits and not _OCTAL.fullmatch(digits):
        raise invalid_header()
    return int(digits or b"0", 8)


def _integer(records: dict[bytes, bytes], key: bytes, default: int) -> int:
    text = records.get(key)
    if not text:
        return default
    if not _INTEGER.fullmatch(text) or not -_INT64 <= int(text) < _INT64:
        raise invalid_header()
    return int(text)


def _nanoseconds(text: bytes) -> int:
    """Read a pax time: seconds with a fraction."""
    match = _TIME.fullmatch(text)
    if match is None or not -_INT64 <= int(match[1]) < _INT64:
        raise invalid_header()
    fraction = int((match[2] or b"")[:9].ljust(9, b"0"))
    whole = int(match[1]) * 10**9
    return whole - fraction if text.startswith(b"-") else whole + fraction


def _pax_records(content: bytes) -> dict[bytes, bytes]:
    """Read the records of a pax header: length, key and value, each in a line of its own."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 8)  # a length has 7 digits at most
        digits = content[at:space]
        if space < 0 or not digits.isdigit():
            raise invalid_header()
        end = at + int(digits)
        if not space + 1 < end <= len(content) or content[end - 1] != ord("\n"):
            raise invalid_header()
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        if not equals or not key or b"\0" in key:
            raise invalid_header()
        if b"\0" in value and key in {b"path", b"linkpath", b"uname", b"gname"}:
            raise invalid_header()
        records[key] = value
        at = end
    return records
