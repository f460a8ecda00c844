"""An image's configuration and the manifest of `docker save`: decoded here, once, and nowhere else.

Both come from whoever made the archive. They are bounded in size and depth, and each value that
the engine uses has its type from here on.

Mirrors: moby image/{image,rootfs}.go, image/tarexport/tarexport.go (v20.10).
"""

# ruff: noqa: RUF009 - `wire` is a field specifier: it returns dataclasses.field

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from refimpl.errors import EngineError
from refimpl.limits import (
    IMAGE_DOCUMENT_BYTES_MAX,
    IMAGE_DOCUMENT_VALUES_MAX,
    IMAGE_LAYERS_MAX,
)
from refimpl.model.moments import ZERO_TIME
from refimpl.model.wire import (
    BOOL,
    INT64,
    STRING,
    STRINGS,
    Document,
    Kind,
    Place,
    WireError,
    decode,
    list_of,
    named,
    pointer,
    struct,
    wire,
)
from refimpl.model.wire_container import Config

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LAYOUT = '"2006-01-02T15:04:05Z07:00"'
_TIME_PARTS = tuple(
    (re.compile(pattern, re.ASCII), layout)
    for pattern, layout in (
        (r"\d{4}", "2006"), ("-", "-"), (r"\d\d", "01"), ("-", "-"), (r"\d\d", "02"), ("T", "T"),
        (r"\d\d", "15"), (":", ":"), (r"\d\d", "04"), (":", ":"), (r"\d\d(?:\.\d+)?", "05"),
        (r"Z|[+-]\d\d:\d\d", "Z07:00"), ('"$', '"'),
    )
)  # fmt: skip


def decode_json(raw: bytes) -> Any:
    """Decode a document of an image.

    Raises:
        EngineError: it is too large, too deep, or no JSON; 500, as in v20.10.
    """
    if len(raw) > IMAGE_DOCUMENT_BYTES_MAX:
        raise EngineError(f"invalid image JSON: more than {IMAGE_DOCUMENT_BYTES_MAX} bytes")
    if sum(map(raw.count, (b",", b"[", b"{"))) > IMAGE_DOCUMENT_VALUES_MAX:
        raise EngineError(f"invalid image JSON: more than {IMAGE_DOCUMENT_VALUES_MAX} values")
    try:
        value = json.loads(raw.decode("utf-8", "replace"), parse_constant=_refuse_constant)
        if b"\\u" in raw:  # half a character cannot be written as UTF-8; Go replaces it too
            text = _LONE_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))
            value = json.loads(text)
    except RecursionError as error:
        raise EngineError("invalid image JSON: exceeded max depth") from error
    except ValueError as error:
        raise EngineError(f"invalid image JSON: {error}") from error
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"invalid value {name}")


def _decode_time(value: Any, place: Place) -> datetime | None:
    """Read a time as Go's time.Time does from JSON; null is no time."""
    del place
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False)
    shown, layout = json.dumps(text, ensure_ascii=False), json.dumps(_LAYOUT)
    if not isinstance(value, str):
        raise WireError(f'parsing time {shown} as {layout}: cannot parse {shown} as "\\""')
    at = 1
    for pattern, element in _TIME_PARTS:
        match = pattern.match(text, at)
        if match is None:
            left = json.dumps(text[at:], ensure_ascii=False)
            wanted = json.dumps(element)
            raise WireError(f"parsing time {shown} as {layout}: cannot parse {left} as {wanted}")
        at = match.end()
    try:
        moment = datetime.fromisoformat(value)
        moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise WireError(f"parsing time {shown}: {error}") from error
    return moment


_TIME = pointer(Kind("time.Time", lambda: None, _decode_time))
_CONFIG = pointer(struct(Config, go_type="container.Config"))


@dataclass(slots=True, kw_only=True)
class History:
    """One step that an image was made in."""

    created: datetime | None = wire("created", _TIME)
    author: str = wire("author", STRING)
    created_by: str = wire("created_by", STRING)
    comment: str = wire("comment", STRING)
    empty_layer: bool = wire("empty_layer", BOOL)


@dataclass(slots=True, kw_only=True)
class RootFS:
    """The layers of an image, by diff id, lowest first."""

    type: str = wire("type", STRING)
    diff_ids: list[str] | None = wire("diff_ids", list_of(named(STRING, "layer.DiffID")))


@dataclass(slots=True, kw_only=True)
class ImageDocument:
    """An image's configuration."""

    id: str = wire("id", STRING)
    parent: str = wire("parent", named(STRING, "image.ID"))
    comment: str = wire("comment", STRING)
    created: datetime | None = wire("created", _TIME)
    container: str = wire("container", STRING)
    container_config: Config | None = wire("container_config", _CONFIG)
    docker_version: str = wire("docker_version", STRING)
    author: str = wire("author", STRING)
    config: Config | None = wire("config", _CONFIG)
    architecture: str = wire("architecture", STRING)
    variant: str = wire("variant", STRING)
    os: str = wire("os", STRING)
    size: int = wire("Size", INT64)
    rootfs: RootFS | None = wire("rootfs", pointer(struct(RootFS, go_type="image.RootFS")))
    history: list[History] | None = wire(
        "history", list_of(struct(History, go_type="image.History"))
    )
    os_version: str = wire("os.version", STRING)
    os_features: list[str] | None = wire("os.features", STRINGS)


@dataclass(slots=True, kw_only=True)
class ManifestItem:
    """One image of an archive that `docker save` wrote: the names of its files."""

    config: str = wire("Config", STRING)
    repo_tags: list[str] | None = wire("RepoTags", STRINGS)
    layers: list[str] | None = wire("Layers", STRINGS)


_MANIFEST = list_of(struct(ManifestItem, go_type="tarexport.manifestItem"))


def decode_manifest(raw: bytes) -> list[ManifestItem]:
    """Decode `manifest.json`.

    Raises:
        EngineError: it is not what `docker save` writes.
    """
    try:
        return _MANIFEST.decode(decode_json(raw), Place("")) or []
    except WireError as error:
        raise EngineError(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: its id (`sha256:...`), its configuration, what its layers hold in bytes."""

    id: str
    document: ImageDocument
    created_text: str
    """When it was made, as its configuration writes it; "" where it does not say."""
    size_bytes: int = 0

    @classmethod
    def decode(cls, raw: bytes) -> Image:
        """Make an image of its configuration's bytes, whose digest is its id.

        Raises:
            EngineError: it is no image's configuration; 500 with v20.10's text.
        """
        value = decode_json(raw)
        try:
            document = decode(ImageDocument, value, go_type="image.Image")
        except WireError as error:
            raise EngineError(str(error)) from error
        if document.rootfs is None:
            raise EngineError("invalid image JSON, no RootFS key")
        if len(document.rootfs.diff_ids or ()) > IMAGE_LAYERS_MAX:
            raise EngineError("max depth exceeded")
        fields = {key.lower(): one for key, one in (value or {}).items()} | (value or {})
        return cls(
            id=f"sha256:{hashlib.sha256(raw).hexdigest()}",
            document=document,
            created_text=fields.get("created") or "",
        )

    @property
    def config(self) -> Config:
        """A fresh copy of the defaults that the image gives its containers."""
        config = self.document.config
        return Config() if config is None else Config.from_wire(config.to_wire())

    @property
    def labels(self) -> dict[str, str]:
        """The labels of its configuration."""
        config = self.document.config
        return (config.labels or {}) if config is not None else {}

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """The layers' digests, lowest first."""
        rootfs = self.document.rootfs
        return tuple(rootfs.diff_ids or ()) if rootfs is not None else ()

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """What Docker names each layer together with those below it, lowest first."""
        chain: list[str] = []
        for diff_id in self.diff_ids:
            both = f"{chain[-1]} {diff_id}".encode() if chain else b""
            chain.append(f"sha256:{hashlib.sha256(both).hexdigest()}" if chain else diff_id)
        return tuple(chain)

    @property
    def created(self) -> datetime:
        """When it was made; the year 1 where its configuration does not say."""
        return self.document.created or ZERO_TIME

    @property
    def short_id(self) -> str:
        """The 12 characters that messages use."""
        return self.id.removeprefix("sha256:")[:12]


@dataclass(frozen=True, slots=True)
class Layer:
    """An unpacked layer: where it lies, its diff id, its files' size in bytes."""

    path: Path
    diff_id: str
    size_bytes: int


def encode_document(document: Document) -> bytes:
    """Write a configuration of our own making."""
    return json.dumps(document, separators=(",", ":")).encode()
