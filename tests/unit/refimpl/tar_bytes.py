"""Tar archives byte by byte: good ones, and what no honest program writes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from typing import Any

Member = tuple[tarfile.TarInfo, bytes]
END = bytes(1024)


def member(name: str, content: bytes = b"", **fields: Any) -> Member:
    """Return a member that belongs to whoever runs the tests."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    info.uid, info.gid = os.getuid(), os.getgid()
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def archive(*members: Member) -> bytes:
    """Return an archive as Python's tarfile writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def header(
    name: bytes = b"x",
    *,
    kind: bytes = b"0",
    size: bytes | int = 0,
    mode: bytes = b"0000644\0",
    uid: bytes | None = None,
    mtime: bytes = b"00000000000\0",
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """Return one header with a right checksum; numbers may be given as the bytes of their field."""
    fields = {
        0: name,
        100: mode,
        108: b"%07o\0" % os.getuid() if uid is None else uid,
        116: b"%07o\0" % os.getgid(),
        124: size if isinstance(size, bytes) else b"%011o\0" % size,
        136: mtime,
        148: b" " * 8,
        156: kind,
        157: link,
        257: magic,
        345: prefix,
    }
    block = bytearray(512)
    for offset, value in fields.items():
        block[offset : offset + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    """Fill content up to a whole number of blocks."""
    return content + bytes(-len(content) % 512)


def pax(records: dict[bytes, bytes], kind: bytes = b"x") -> bytes:
    """Return a pax header that says this of the next member."""
    content = b""
    for key, value in records.items():
        rest = b" %s=%s\n" % (key, value)
        length = len(rest)
        while length != len(rest) + len(str(length)):
            length = len(rest) + len(str(length))
        content += b"%d%s" % (length, rest)
    return pax_raw(content, kind)


def pax_raw(content: bytes, kind: bytes = b"x") -> bytes:
    """Return a pax header with this content, whatever it is."""
    return header(b"pax", kind=kind, size=len(content)) + padded(content)


def binary(value: int, width: int) -> bytes:
    """Return a number in the form that GNU tar gives those that octal digits cannot hold."""
    if value < 0:
        return (256**width + value).to_bytes(width, "big")
    return (value | 0x80 << 8 * (width - 1)).to_bytes(width, "big")


def digest(layer: bytes) -> str:
    """Return a plain layer's diff id."""
    return f"sha256:{hashlib.sha256(layer).hexdigest()}"


def configuration(*layers: bytes, **fields: Any) -> dict[str, Any]:
    """Return an image's configuration for these layers."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2020-01-01T00:00:00Z",
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        **fields,
    }


def saved(
    config: dict[str, Any] | bytes,
    *layers: bytes,
    tags: list[str] | None = None,
    manifest: Any = None,
) -> bytes:
    """Return what `docker save` would write."""
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    item = {"Config": "c.json", "RepoTags": tags, "Layers": names}
    listed = json.dumps([item] if manifest is None else manifest).encode()
    return archive(
        member("c.json", raw),
        *(member(name, layer) for name, layer in zip(names, layers, strict=True)),
        member("manifest.json", listed),
    )
