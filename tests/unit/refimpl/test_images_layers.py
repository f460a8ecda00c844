"""Archives become directories, and nothing is written outside of them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from refimpl.daemon.images.archive import BadArchive
from refimpl.daemon.images.layers import extract_layer

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x") -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.uid, info.gid = os.getuid(), os.getgid()
    return info, content


def link(name: str, target: str, kind: bytes) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    info.uid, info.gid = os.getuid(), os.getgid()
    return info, b""


def archive(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def extract(data: bytes, root: Path) -> tuple[str, int]:
    layer = extract_layer(io.BytesIO(data), root)
    assert layer.path == root
    return layer.diff_id, layer.size_bytes


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, lzma.compress, bz2.compress],
    ids=["plain", "gzip", "xz", "bzip2"],
)
def test_layer_is_unpacked_and_named_by_its_plain_digest(pack, tmp_path):
    data = archive(file("etc/passwd", b"root"), link("bin", "usr/bin", tarfile.SYMTYPE))
    diff_id, size = extract(pack(data), tmp_path / "layer")
    assert diff_id == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert size == len("root") + len("usr/bin")
    assert (tmp_path / "layer/etc/passwd").read_bytes() == b"root"
    assert (tmp_path / "layer/bin").readlink() == Path("usr/bin")


def test_empty_stream_is_an_empty_layer(tmp_path):
    diff_id, size = extract(b"", tmp_path / "layer")
    assert (diff_id, size) == (f"sha256:{hashlib.sha256().hexdigest()}", 0)


@pytest.mark.parametrize(
    "members",
    [
        [file("../evil")],
        [file("a/../../evil")],
        [link("h", "../../etc/passwd", tarfile.LNKTYPE)],
        [link("h", "/etc/hostname", tarfile.LNKTYPE)],
    ],
    ids=["parent", "hidden parent", "hard link out", "absolute hard link"],
)
def test_name_that_leads_out_is_refused_and_nothing_is_written_outside(members, tmp_path):
    with pytest.raises(BadArchive):
        extract(archive(*members), tmp_path / "layer")
    assert list(tmp_path.iterdir()) == [tmp_path / "layer"]


def test_absolute_name_is_taken_as_a_relative_one(tmp_path):
    extract(archive(file("/abs/file")), tmp_path / "layer")
    assert (tmp_path / "layer/abs/file").exists()


def test_directory_link_is_followed_inside_the_layer_only(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    members = [link("s", str(outside), tarfile.SYMTYPE), file("s/evil")]
    extract(archive(*members), tmp_path / "layer")
    assert list(outside.iterdir()) == []
    assert (tmp_path / "layer" / outside.relative_to("/") / "evil").exists()


def test_link_up_and_out_stays_in(tmp_path):
    members = [link("s", "../../..", tarfile.SYMTYPE), file("s/here")]
    extract(archive(*members), tmp_path / "layer")
    assert (tmp_path / "layer/here").exists()


def test_links_in_a_circle_are_refused(tmp_path):
    members = [
        link("a", "b", tarfile.SYMTYPE),
        link("b", "a", tarfile.SYMTYPE),
        file("a/x"),
    ]
    with pytest.raises(BadArchive, match="too many links"):
        extract(archive(*members), tmp_path / "layer")


def test_file_replaces_a_link_instead_of_writing_through_it(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    members = [link("f", str(victim), tarfile.SYMTYPE), file("f", b"evil")]
    extract(archive(*members), tmp_path / "layer")
    assert victim.read_bytes() == b"safe"
    assert (tmp_path / "layer/f").read_bytes() == b"evil"


def test_device_is_refused(tmp_path):
    info = tarfile.TarInfo("null")
    info.type = tarfile.CHRTYPE
    with pytest.raises(BadArchive, match="device nodes are not accepted"):
        extract(archive((info, b"")), tmp_path / "layer")


@pytest.mark.parametrize(
    "data",
    [b"garbage" * 200, archive(file("a", b"x" * 9000))[:2000]],
    ids=["garbage", "cut off"],
)
def test_damaged_archive_is_refused(data, tmp_path):
    with pytest.raises(BadArchive):
        extract(data, tmp_path / "layer")
    assert list(tmp_path.iterdir()) == [tmp_path / "layer"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([file("x" * 300)], f"open /{'x' * 300}: file name too long"),
        ([file("a"), file("a/b")], "open /a/b: not a directory"),
    ],
)
def test_name_that_the_file_system_refuses_is_named_as_docker_names_it(members, reason, tmp_path):
    with pytest.raises(BadArchive) as refused:
        extract(archive(*members), tmp_path / "layer")
    assert str(refused.value) == f"Error processing tar file(exit status 1): {reason}"


def test_archive_that_is_damaged_inside_its_compression_is_refused(tmp_path):
    data = bytearray(gzip.compress(archive(file("a", os.urandom(20_000)))))
    data[2000:2100] = bytes(100)
    with pytest.raises(BadArchive):
        extract(bytes(data), tmp_path / "layer")
