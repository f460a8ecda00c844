"""Images on disk: configurations by digest, layers as directories, names in one file.

    image/images/<digest>.json     an image's configuration, whose digest is the image's id
    image/layers/<digest>/         a layer, as an overlay's lower directory
    image/repositories.json        name:tag to image id, image id to the time of its last tag

Mirrors: moby image/store.go, reference/store.go (v20.10), in what can be seen from outside.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from refimpl.daemon.layers import extract_layer
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.kernel.base import Files
from refimpl.model.moments import format_time
from refimpl.model.wire_container import Config

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"(?:(?:[a-zA-Z0-9.-]+)(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
REPOSITORY_CHARACTERS_MAX = 255
"""The longest name of an image, its tag not counted (moby: reference.NameTotalLengthMax)."""
_HEX = re.compile(r"[0-9a-f]+")


def familiar_name(reference: str, tag: str = "") -> str:
    """Return `repository:tag` as Docker shows it, with `latest` for no tag.

    Raises:
        InvalidParameter: it is no reference.
    """
    repository, separator, own_tag = reference.rpartition(":")
    if not separator or "/" in own_tag:
        repository, own_tag = reference, ""
    repository = repository.removeprefix("docker.io/").removeprefix("library/")
    if len(repository) > REPOSITORY_CHARACTERS_MAX:
        raise InvalidParameter(
            f"repository name must not be more than {REPOSITORY_CHARACTERS_MAX} characters"
        )
    if not _REPOSITORY.fullmatch(repository):
        if _REPOSITORY.fullmatch(repository.lower()):
            raise InvalidParameter("invalid reference format: repository name must be lowercase")
        raise InvalidParameter("invalid reference format")
    chosen = tag or own_tag or "latest"
    if not _TAG.fullmatch(chosen):
        raise InvalidParameter("invalid reference format")
    return f"{repository}:{chosen}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image: its id (`sha256:...`), its configuration document, its layers."""

    id: str
    document: dict[str, Any]
    size_bytes: int

    @property
    def config(self) -> Config:
        """Return a fresh copy of the defaults that the image gives its containers."""
        return Config.from_wire(self.document.get("config"))

    @property
    def diff_ids(self) -> list[str]:
        """Return the layers' digests, lowest first."""
        return list(self.document["rootfs"]["diff_ids"])

    @property
    def short_id(self) -> str:
        """Return the 12 characters that messages use."""
        return self.id.removeprefix("sha256:")[:12]


class ImageStore:
    """The images of one data-root; safe to use from many threads."""

    def __init__(self, root: str, files: Files, clock: Callable[[], datetime]) -> None:
        self._root = Path(root)
        self._files = files
        self._clock = clock
        self._lock = threading.RLock()
        self._names: dict[str, str] = {}
        self._tagged: dict[str, str] = {}
        self._images: dict[str, Image] = {}
        for directory in ("images", "layers", "tmp"):
            files.make_directory(str(self._root / directory))
        self._make_init_layer()
        self._load()

    def _make_init_layer(self) -> None:
        """Lay out what every container finds even if its image does not have it.

        Mirrors: moby daemon/initlayer/setup_unix.go (v20.10), which lays it over the image where
        that has nothing; lying below the image comes to the same and is done once.
        """
        root = Path(self.init_layer)
        for directory in ("", "dev", "dev/pts", "dev/shm", "etc", "proc", "sys"):
            self._files.make_directory(str(root / directory), mode=0o755)
        for name in (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"):
            path = root / name
            path.touch(mode=0o755)
            path.chmod(0o755)
        if not (root / "etc/mtab").is_symlink():
            (root / "etc/mtab").symlink_to("/proc/mounts")

    @property
    def init_layer(self) -> str:
        """The layer below every image's."""
        return str(self._root / "init")

    def _load(self) -> None:
        for path in (self._root / "tmp").iterdir():
            shutil.rmtree(path, ignore_errors=True)  # an import that a crash interrupted
        for path in (self._root / "images").glob("*.json"):
            document = json.loads(path.read_bytes())
            image = self._image(f"sha256:{path.stem}", document)
            self._images[image.id] = image
        names = self._root / "repositories.json"
        if names.exists():
            document = json.loads(names.read_bytes())
            self._names = {
                name: one for name, one in document["names"].items() if one in self._images
            }
            self._tagged = document["tagged"]

    def _image(self, image_id: str, document: dict[str, Any]) -> Image:
        sizes = [
            int((self._layer_path(one).with_suffix(".size")).read_text())
            for one in document["rootfs"]["diff_ids"]
        ]
        return Image(id=image_id, document=document, size_bytes=sum(sizes))

    def _layer_path(self, diff_id: str) -> Path:
        return self._root / "layers" / diff_id.removeprefix("sha256:")

    def __iter__(self) -> Iterator[Image]:
        with self._lock:
            return iter(list(self._images.values()))

    def layers(self, image: Image) -> tuple[str, ...]:
        """Return an image's layer directories, top first, as an overlay wants them."""
        return tuple(str(self._layer_path(one)) for one in reversed(image.diff_ids))

    def add_layer(self, stream: BinaryIO, scratch: str) -> str:
        """Unpack a layer and return its diff id.

        Raises:
            BadArchive: it is damaged, or it would write outside its directory.
        """
        draft = self._root / "tmp" / scratch
        diff_id, size = extract_layer(stream, draft)
        with self._lock:
            target = self._layer_path(diff_id)
            if target.exists():
                shutil.rmtree(draft)
            else:
                target.with_suffix(".size").write_text(str(size))
                draft.rename(target)
        return diff_id

    def add(self, document: dict[str, Any], raw: bytes | None = None) -> Image:
        """Keep an image; its id is the digest of its document.

        Raises:
            EngineError: a layer of it is missing.
        """
        content = raw or json.dumps(document, separators=(",", ":")).encode()
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            for diff_id in document["rootfs"]["diff_ids"]:
                if not self._layer_path(diff_id).is_dir():
                    raise EngineError(f"layer {diff_id} does not exist")
            image = self._image(f"sha256:{digest}", document)
            self._files.write(str(self._root / "images" / f"{digest}.json"), content)
            self._images[image.id] = image
        return image

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name, taking it from another that has it."""
        with self._lock:
            self._names[name] = image.id
            self._tagged[image.id] = format_time(self._clock())
            self._write_names()

    def untag(self, name: str) -> None:
        """Forget a name."""
        with self._lock:
            self._names.pop(name, None)
            self._write_names()

    def delete(self, image: Image) -> None:
        """Delete an image and the layers that no other image has."""
        with self._lock:
            self._images.pop(image.id, None)
            self._names = {name: one for name, one in self._names.items() if one != image.id}
            self._tagged.pop(image.id, None)
            self._write_names()
            digest = image.id.removeprefix("sha256:")
            self._files.remove(str(self._root / "images" / f"{digest}.json"))
            kept = {diff_id for other in self._images.values() for diff_id in other.diff_ids}
            for diff_id in set(image.diff_ids) - kept:
                self._files.remove(str(self._layer_path(diff_id)))
                self._files.remove(str(self._layer_path(diff_id).with_suffix(".size")))

    def _write_names(self) -> None:
        document = {"names": self._names, "tagged": self._tagged}
        self._files.write(str(self._root / "repositories.json"), json.dumps(document).encode())

    def names(self, image: Image) -> list[str]:
        """Return an image's names, sorted."""
        with self._lock:
            return sorted(name for name, one in self._names.items() if one == image.id)

    def tagged_at(self, image: Image) -> str:
        """Return when an image was tagged last."""
        with self._lock:
            return self._tagged.get(image.id, "0001-01-01T00:00:00Z")

    def get(self, reference: str) -> Image:
        """Return an image by id, by name, or by a prefix of its id.

        Raises:
            NotFound: there is none.
            InvalidParameter: it is no reference.
        """
        with self._lock:
            digest = reference.removeprefix("sha256:")
            exact = self._images.get(f"sha256:{digest}")
            if exact is not None:
                return exact
            if reference.startswith("sha256:"):
                raise NotFound(f"No such image: {reference}")
            name = familiar_name(reference)
            if name in self._names:
                return self._images[self._names[name]]
            if _HEX.fullmatch(digest):
                found = [
                    image
                    for key, image in self._images.items()
                    if key.startswith(f"sha256:{digest}")
                ]
                if len(found) == 1:
                    return found[0]
            raise NotFound(f"No such image: {name}")
