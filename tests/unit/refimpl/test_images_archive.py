"""Hostile archives: what is taken and what is refused, with Docker 20.10.24's own texts."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from refimpl.daemon.images.archive import BadArchive, PlainStream, TarReader
from refimpl.daemon.images.layers import extract_layer
from refimpl.limits import LAYER_DEPTH_MAX
from tests.unit.refimpl.tar_bytes import (
    END,
    archive,
    binary,
    header,
    member,
    padded,
    pax,
    pax_raw,
)

DIR, LINK, HARD, FIFO = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
INVALID = "archive/tar: invalid tar header"
CUT = "unexpected EOF"

TAKEN = {
    "doubled slashes": archive(member("//etc//x")),
    "user id beyond 32 bits": header(uid=binary((1 << 40) + os.getuid(), 8)) + END,
    "user id -1": header(uid=binary(-1, 8)) + END,
    "time of the year 146 billion": header(mtime=binary(1 << 62, 12)) + END,
    "time before 1970": header(mtime=binary(-5, 12)) + END,
    "time of a directory": header(b"d/", kind=b"5", mtime=binary(1 << 62, 12)) + END,
    "time with a fraction": pax({b"mtime": b"1.5"}) + header() + END,
    "large pax header": pax({b"comment": b"x" * (1 << 19)}) + header() + END,
    "global pax header": pax({b"path": b"y"}, b"g") + header() + END,
    "empty pax value": pax({b"path": b""}) + header() + END,
    "fifo": archive(member("f", type=FIFO)),
    "no name": header(b"") + END,
    "name that is no UTF-8": header(b"\xff\xfe") + END,
    "name with a line's end": header(b"a\nb") + END,
    "all bits of the mode": header(mode=b"0107777\0") + END,
    "negative mode": header(mode=binary(-1, 8)) + END,
    "no end": header(),
    "half an end": header() + bytes(512),
    "no padding at the end": header(size=1) + b"x",
    "garbage after the end": header() + END + b"Z" * 3000,
    "nothing": b"",
    "zeros": bytes(1024),
    "file for a directory": archive(member("d/f", b"x"), member("d", b"y")),
    "old directory": header(b"d/", kind=b"\0", magic=b"") + END,
    "prefix": header(prefix=b"p") + END,
    "long name of GNU tar": header(kind=b"L", size=200) + padded(b"n" * 199) + header() + END,
}


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
def test_odd_archive_is_taken(data, tmp_path):
    extract_layer(io.BytesIO(data), tmp_path / "layer")


REFUSED = {
    "pax user id": (pax({b"uid": b"%d" % 2**70}) + header() + END, INVALID),
    "pax time 1e30": (pax({b"mtime": b"1e30"}) + header() + END, INVALID),
    "pax time 10**30": (pax({b"mtime": b"1" + b"0" * 30}) + header() + END, INVALID),
    "pax time nan": (pax({b"mtime": b"nan"}) + header() + END, INVALID),
    "time 2**80": (header(mtime=binary(1 << 80, 12)) + END, INVALID),
    "pax size -5": (pax({b"size": b"-5"}) + header() + END, INVALID),
    "size -1": (header(size=binary(-1, 12)) + END, INVALID),
    "size 2**62": (header(size=binary(1 << 62, 12)) + END, CUT),
    "size of a pax header -1": (header(kind=b"x", size=binary(-1, 12)) + END, INVALID),
    "pax header of 2 MiB": (
        pax({b"comment": b"x" * (1 << 21)}) + header() + END,
        "archive/tar: header field too long",
    ),
    "long name of 2 MiB": (
        header(kind=b"L", size=1 << 21) + b"n" * (1 << 21) + header() + END,
        "archive/tar: header field too long",
    ),
    "pax header cut off": (pax({b"comment": b"x" * 2000})[:1000], CUT),
    "pax header for nothing": (pax({b"path": b"y"}) + END, CUT),
    "pax length too long": (pax_raw(b"99 path=x\n") + header() + END, INVALID),
    "pax length 0": (pax_raw(b"0 path=x\n") + header() + END, INVALID),
    "pax length of many digits": (pax_raw(b"9" * 100_000) + header() + END, INVALID),
    "pax digits without end": (pax_raw(b"1" * 900_000) + header() + END, INVALID),
    "pax record without value": (pax_raw(b"8 path \n") + header() + END, INVALID),
    "pax name with NUL": (pax({b"path": b"a\0b"}) + header() + END, INVALID),
    "sparse": (
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.realsize": b"1" + b"0" * 12})
        + header(size=512)
        + padded(b"0\n")
        + END,
        "sparse files are not accepted",
    ),
    "sparse of GNU tar": (header(kind=b"S") + END, "sparse files are not accepted"),
    "type Z": (header(kind=b"Z") + END, "unhandled tar header type 90"),
    "checksum": (b"\1" + header()[1:] + END, INVALID),
    "octal": (header(size=b"0000000008\0") + END, INVALID),
    "garbage": (b"garbage" * 300, INVALID),
    "short garbage": (b"garbage", CUT),
    "half a header": (header()[:300], CUT),
    "half a file": (header(size=9000) + b"x" * 1000, CUT),
    "header after half an end": (header() + bytes(512) + header(b"y"), INVALID),
    ".wh.": (archive(member(".wh.")), 'failed to mknod("/", S_IFCHR, 0): file exists'),
    "a/.wh.": (archive(member("a/.wh.")), 'failed to mknod("/a", S_IFCHR, 0): file exists'),
    "a/.wh..": (archive(member("a/.wh..")), 'failed to mknod("/a", S_IFCHR, 0): file exists'),
    ".wh...": (archive(member(".wh...")), 'failed to mknod("/", S_IFCHR, 0): file exists'),
    "whiteout of a file": (
        archive(member("d/x", b"1"), member("d/.wh.x")),
        'failed to mknod("/d/x", S_IFCHR, 0): file exists',
    ),
    "hard link to nothing": (
        archive(member("h", type=HARD, linkname="nope")),
        "link /nope /h: no such file or directory",
    ),
    "hard link to itself": (
        archive(member("h", b"x"), member("h", type=HARD, linkname="h")),
        "link /h /h: no such file or directory",
    ),
    "hard link out": (
        archive(
            member("s", type=LINK, linkname="/etc"), member("h", type=HARD, linkname="s/hostname")
        ),
        "link /s/hostname /h: no such file or directory",
    ),
    "hard link to a directory": (
        archive(member("d", type=DIR), member("h", type=HARD, linkname="d")),
        "link /d /h: operation not permitted",
    ),
    "name of 400 characters": (
        archive(member("n" * 400)),
        f"open /{'n' * 400}: file name too long",
    ),
    "link without target": (header(kind=b"2") + END, "open /x: no such file or directory"),
    "deep directories": (
        pax({b"path": b"a/" * (LAYER_DEPTH_MAX + 1) + b"f"}) + header() + END,
        f"open /{'a/' * (LAYER_DEPTH_MAX + 1)}f: file name too long",
    ),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED)
def test_hostile_archive_is_refused_in_dockers_words(data, reason, tmp_path):
    with pytest.raises(BadArchive) as refused:
        extract_layer(io.BytesIO(data), tmp_path / "layer")
    assert str(refused.value) == f"Error processing tar file(exit status 1): {reason}"


@pytest.mark.parametrize(
    "data",
    [
        pax({b"path": b"x" * 1_000_000}) + header() + END,
        pax({b"path": b"a/" * 500_000}) + header() + END,
        header(kind=b"L", size=1_000_000) + padded(b"y" * 1_000_000) + header() + END,
    ],
    ids=["one name", "many directories", "GNU tar"],
)
def test_a_name_of_a_million_bytes_is_refused_and_not_shown_whole(data, tmp_path):
    with pytest.raises(BadArchive, match="file name too long") as refused:
        extract_layer(io.BytesIO(data), tmp_path / "layer")
    assert len(str(refused.value)) < 5000


def test_directories_are_no_deeper_by_way_of_links(tmp_path):
    deep = "d/" * 200
    members = [member(f"{deep}f"), member("s", type=LINK, linkname=deep)]
    members += [member(f"s/{deep}t", type=LINK, linkname=f"../{'d/' * 200}")]
    members += [member(f"s/{deep}x/{deep}f")]
    with pytest.raises(BadArchive, match="file name too long"):
        extract_layer(io.BytesIO(archive(*members)), tmp_path / "layer")


def test_a_refusal_is_text_that_can_be_sent(tmp_path):
    with pytest.raises(BadArchive) as refused:
        extract_layer(io.BytesIO(header(b"\xff\xfe", kind=b"3") + END), tmp_path / "layer")
    str(refused.value).encode()


def test_number_of_headers_is_bounded():
    reader = TarReader(PlainStream(io.BytesIO(header() * 4 + END)), headers_max=3)
    with pytest.raises(BadArchive, match="too many members"):
        list(reader)
    extended = pax({b"path": b"y"}) * 4 + header() + END
    with pytest.raises(BadArchive, match="too many members"):
        list(TarReader(PlainStream(io.BytesIO(extended)), headers_max=3))


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(header(size=10**6) + bytes(10**6) + END),
        gzip.compress(header() + END + bytes(10**6)),
        header() + END + gzip.compress(bytes(10**6)) * 100,
    ],
    ids=["in a file", "after the end", "plain"],
)
def test_number_of_plain_bytes_is_bounded(data):
    plain = PlainStream(io.BytesIO(data), bytes_max=10_000)
    with pytest.raises(BadArchive, match="too many bytes"):
        plain.digest()


PACKS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
class TestCompressed:
    DATA = archive(member("f", os.urandom(20_000)))

    def refused(self, data: bytes, tmp_path: Path) -> str:
        with pytest.raises(BadArchive) as refused:
            extract_layer(io.BytesIO(data), tmp_path / "layer")
        return str(refused.value)

    def test_cut_off(self, pack, tmp_path):
        text = self.refused(pack(self.DATA)[:2000], tmp_path)
        assert text == f"Error processing tar file(exit status 1): {CUT}"

    def test_nothing_but_its_first_bytes(self, pack, tmp_path):
        assert CUT in self.refused(pack(self.DATA)[:8], tmp_path)

    def test_damaged(self, pack, tmp_path):
        data = bytearray(pack(self.DATA))
        data[2000:2100] = bytes(100)
        self.refused(bytes(data), tmp_path)

    def test_something_after_it(self, pack, tmp_path):
        self.refused(pack(self.DATA) + b"garbage", tmp_path)

    def test_in_several_streams_and_with_padding(self, pack, tmp_path):
        data = pack(self.DATA[:5000]) + pack(b"") + pack(self.DATA[5000:]) + bytes(100)
        layer = extract_layer(io.BytesIO(data), tmp_path / "layer")
        assert (layer.path / "f").stat().st_size == 20_000


def test_xz_that_asks_for_much_memory_is_refused(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 28}]
    data = lzma.compress(TestCompressed.DATA, filters=filters)
    with pytest.raises(BadArchive, match="xz"):
        extract_layer(io.BytesIO(data), tmp_path / "layer")


def test_a_time_that_cannot_be_said_is_1970(tmp_path):
    data = header(mtime=binary(1 << 62, 12)) + header(b"d/", kind=b"5", mtime=binary(-1, 12)) + END
    layer = extract_layer(io.BytesIO(data), tmp_path / "layer")
    assert (layer.path / "x").stat().st_mtime == 0
    assert (layer.path / "d").stat().st_mtime == 0


def test_what_pax_says_holds_instead_of_the_header(tmp_path):
    data = pax({b"path": b"long", b"size": b"3", b"mtime": b"7.25"}) + header() + padded(b"abc")
    layer = extract_layer(io.BytesIO(data + END), tmp_path / "layer")
    assert (layer.path / "long").read_bytes() == b"abc"
    assert (layer.path / "long").stat().st_mtime == 7.25
    assert layer.size_bytes == 3


def test_a_source_that_gives_little_at_a_time_is_read_on(tmp_path):
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1 if size else 0)

    layer = extract_layer(Slow(archive(member("f", b"abc" * 400))), tmp_path / "layer")
    assert (layer.path / "f").read_bytes() == b"abc" * 400
