"""Archives for import and load: small, and each odd in one way.

None is large when it is unpacked: a real Docker unpacks them too.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from typing import Any

_FILE = b"content\n"


def _tar(*members: tarfile.TarInfo, pax: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    form = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers=pax or {}) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(_FILE) if member.isreg() else None)
    return buffer.getvalue()


def _member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", **more: Any
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    member.size = len(_FILE) if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(member, key, value)
    return member


def _with_header(offset: int, text: bytes) -> bytes:
    """Give an archive of one file with other bytes in its header, and the right checksum."""
    data = bytearray(_tar(_member("file")))
    data[offset : offset + len(text)] = text
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def image_archive(config: Any, manifest: Any = None, layer: bytes | None = None) -> bytes:
    """Give what `docker save` would write of an image with one layer.

    Args:
        config: the image's document; a `rootfs` with the layer's digest is put in if it is a dict.
        manifest: in the place of manifest.json's content.
        layer: in the place of a layer with one file.
    """
    layer = _tar(_member("file")) if layer is None else layer
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    if isinstance(config, dict):
        config = {"rootfs": {"type": "layers", "diff_ids": [digest]}, **config}
    if manifest is None:
        manifest = [{"Config": "c.json", "RepoTags": ["fuzzed:latest"], "Layers": ["l/layer.tar"]}]
    files = {
        "c.json": json.dumps(config).encode(),
        "l/layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _good() -> bytes:
    return _tar(_member("dir", tarfile.DIRTYPE), _member("dir/file"))


def _odd_names() -> dict[str, bytes]:
    good = _good()
    return {
        "good": good,
        "empty": b"",
        "zeros": bytes(1024),
        "no end": good[:700],
        "half a header": good[:300],
        "garbage": b"\xff" * 3000,
        "text": b"hello\n" * 300,
        "member //etc/x": _tar(_member("//etc/x")),
        "member /etc/x": _tar(_member("/etc/x")),
        "member ../x": _tar(_member("../x")),
        "member ..": _tar(_member("..", tarfile.DIRTYPE)),
        "member .": _tar(_member(".", tarfile.DIRTYPE)),
        "member / as a file": _tar(_member("/")),
        "member without a name": _with_header(0, bytes(100)),
        "member .wh.": _tar(_member(".wh.")),
        "member .wh.file": _tar(_member(".wh.file")),
        "member .wh..": _tar(_member(".wh..")),
        "member .wh...": _tar(_member(".wh...")),
        "member .wh..wh..opq": _tar(_member("d", tarfile.DIRTYPE), _member("d/.wh..wh..opq")),
        "member of 300 letters": _tar(_member("n" * 300)),
        "member 60 folders deep": _tar(_member("d/" * 60 + "f")),
        "member with a line feed": _tar(_member("a\nb")),
        "member with broken UTF-8": _with_header(0, b"\xff\xfe"),
        "file, then a folder": _tar(_member("a"), _member("a", tarfile.DIRTYPE)),
        "file, then a file below it": _tar(_member("a"), _member("a/b")),
        "folder, then a file": _tar(_member("a", tarfile.DIRTYPE), _member("a")),
        "link out, then a file through it": _tar(
            _member("a", tarfile.SYMTYPE, "/tmp"), _member("a/netinit-fuzz-out")
        ),
        "link to itself": _tar(_member("a", tarfile.SYMTYPE, "a"), _member("a/b")),
        "link without a target": _tar(_member("a", tarfile.SYMTYPE)),
    }


def _odd_kinds() -> dict[str, bytes]:
    return {
        "hard link to nothing": _tar(_member("a", tarfile.LNKTYPE, "none")),
        "hard link out": _tar(_member("a", tarfile.LNKTYPE, "../../../../etc/hostname")),
        "hard link to itself": _tar(_member("a", tarfile.LNKTYPE, "a")),
        "device": _tar(_member("a", tarfile.CHRTYPE, devmajor=1, devminor=3)),
        "block device 4095:1048575": _tar(
            _member("a", tarfile.BLKTYPE, devmajor=4095, devminor=1048575)
        ),
        "fifo": _tar(_member("a", tarfile.FIFOTYPE)),
        "kind unknown": _with_header(156, b"Z"),
        "kind NUL": _with_header(156, b"\0"),
    }


def _odd_headers() -> dict[str, bytes]:
    good = _good()
    return {
        "uid of 2**70": _tar(_member("a"), pax={"uid": str(2**70)}),
        "uid -1": _tar(_member("a"), pax={"uid": "-1"}),
        "uid of words": _tar(_member("a"), pax={"uid": "root"}),
        "mtime of 1e30": _tar(_member("a"), pax={"mtime": "1e30"}),
        "mtime -1": _tar(_member("a"), pax={"mtime": "-1"}),
        "mtime NaN": _tar(_member("a"), pax={"mtime": "nan"}),
        "size of words": _tar(_member("a"), pax={"size": "x"}),
        "size -1": _tar(_member("a"), pax={"size": "-1"}),
        "path with a NUL": _tar(_member("a"), pax={"path": "a\0b"}),
        "path empty": _tar(_member("a"), pax={"path": ""}),
        "xattr": _tar(_member("a"), pax={"SCHILY.xattr.user.x": "y"}),
        "xattr without a name": _tar(_member("a"), pax={"SCHILY.xattr.": "y"}),
        "xattr security.capability": _tar(
            _member("a"), pax={"SCHILY.xattr.security.capability": "zz"}
        ),
        "sparse of the future": _tar(
            _member("a"), pax={"GNU.sparse.major": "9", "GNU.sparse.minor": "9"}
        ),
        "pax header broken": _tar(_member("a"), pax={"x": "y"}).replace(b" x=y", b"9x=y", 1),
        "base-256 mode": _with_header(100, b"\xff" * 8),
        "base-256 size": _with_header(124, b"\x80" + b"\xff" * 11),
        "octal size of letters": _with_header(124, b"zzzzzzzzzzz\0"),
        "mode of all bits": _tar(_member("a", mode=0o7777777)),
        "bad checksum": good[:148] + b"0000000\0" + good[156:],
    }


def _odd_packings() -> dict[str, bytes]:
    good = _good()
    packed = lzma.compress(good)
    return {
        "gzip": gzip.compress(good),
        "gzip, cut": gzip.compress(good)[:-12],
        "gzip, damaged": gzip.compress(good)[:30] + b"\xff" * 20,
        "gzip of nothing": gzip.compress(b""),
        "gzip, then garbage": gzip.compress(good) + b"garbage",
        "gzip head": b"\x1f\x8b",
        "bzip2": bz2.compress(good),
        "bzip2, cut": bz2.compress(good)[:-10],
        "bzip2 head": b"BZh9",
        "xz": packed,
        "xz, damaged": packed[:40] + b"\0\0\0\0" + packed[44:],
        "xz, cut": packed[:-8],
        "xz head": b"\xfd7zXZ\0",
        "zstd head": b"\x28\xb5\x2f\xfd" + bytes(20),
        "gzip in gzip": gzip.compress(gzip.compress(good)),
    }


@functools.cache
def layers() -> dict[str, bytes]:
    """Give archives of a root file system, by what is odd about them."""
    return {**_odd_names(), **_odd_kinds(), **_odd_headers(), **_odd_packings()}


_IMAGE: dict[str, Any] = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]}}


def _odd_manifests() -> dict[str, Any]:
    document = {"Config": "c.json", "RepoTags": ["fuzzed:latest"], "Layers": ["l/layer.tar"]}
    return {
        "manifest null": "null",
        "manifest a number": 7,
        "manifest an object": document,
        "manifest empty": [],
        "manifest of null": [None],
        "manifest without config": [{"Layers": []}],
        "manifest with a number for config": [{**document, "Config": 7}],
        "manifest with config ../x": [{**document, "Config": "../../../../etc/hostname"}],
        "manifest with config a layer": [{**document, "Config": "l/layer.tar"}],
        "manifest with no layers": [{**document, "Layers": []}],
        "manifest with layer ../x": [{**document, "Layers": ["../../../../etc/hostname"]}],
        "manifest with layers null": [{**document, "Layers": None}],
        "manifest with a layer of null": [{**document, "Layers": [None]}],
        "manifest with a bad tag": [{**document, "RepoTags": ["A B:c"]}],
        "manifest with tags null": [{**document, "RepoTags": None}],
        "manifest with a tag of null": [{**document, "RepoTags": [None]}],
        "manifest with a digest for tag": [{**document, "RepoTags": ["x@sha256:" + "0" * 64]}],
        "manifest with two images": [document, document],
        "manifest deep": json.loads("[" * 300 + "]" * 300),
    }


def _odd_configs() -> dict[str, Any]:
    good = _IMAGE
    return {
        "created yesterday": {**good, "created": "yesterday"},
        "created a number": {**good, "created": 7},
        "created in year 99999": {**good, "created": "99999-01-01T00:00:00Z"},
        "labels a number": {**good, "config": {"Labels": 5}},
        "config null": {**good, "config": None},
        "config a list": {**good, "config": []},
        "config a string": {**good, "config": "x"},
        "command a number": {**good, "config": {"Cmd": 5}},
        "command of numbers": {**good, "config": {"Cmd": [5]}},
        "entrypoint a string": {**good, "config": {"Entrypoint": "x"}},
        "environment of null": {**good, "config": {"Env": [None]}},
        "environment without =": {**good, "config": {"Env": ["", "=", "x"]}},
        "user a number": {**good, "config": {"User": 0}},
        "stop signal FOO": {**good, "config": {"StopSignal": "FOO"}},
        "volumes a list": {**good, "config": {"Volumes": []}},
        "volumes of null": {**good, "config": {"Volumes": {"/v": None}}},
        "ports of words": {**good, "config": {"ExposedPorts": {"x": {}}}},
        "working folder relative": {**good, "config": {"WorkingDir": "x"}},
        "healthcheck a number": {**good, "config": {"Healthcheck": 5}},
        "os windows": {**good, "os": "windows"},
        "os a number": {**good, "os": 5},
        "architecture other": {**good, "architecture": "s390x"},
        "architecture null": {**good, "architecture": None},
        "rootfs null": {**good, "rootfs": None},
        "rootfs of words": {**good, "rootfs": {"type": "layers", "diff_ids": ["x"]}},
        "rootfs of numbers": {**good, "rootfs": {"type": "layers", "diff_ids": [5]}},
        "rootfs of another layer": {
            **good,
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]},
        },
        "rootfs with too few": {**good, "rootfs": {"type": "layers", "diff_ids": []}},
        "history a number": {**good, "history": 5},
        "history of null": {**good, "history": [None]},
        "history with a number": {**good, "history": [{"created": 5, "created_by": 5}]},
        "surrogate": {**good, "author": "\ud800"},
        "a number": 7,
        "null": None,
        "a list": [],
    }


@functools.cache
def images() -> dict[str, bytes]:
    """Give archives for load, by what is odd about them."""
    configs = {f"image's {name}": image_archive(doc) for name, doc in _odd_configs().items()}
    manifests = {name: image_archive(_IMAGE, doc) for name, doc in _odd_manifests().items()}
    odd = {f"layer: {name}": image_archive(_IMAGE, layer=data) for name, data in layers().items()}
    return {**layers(), **manifests, **configs, **odd, "good": image_archive(_IMAGE)}
