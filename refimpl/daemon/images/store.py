"""Images on disk: configurations by digest, layers as directories, names in one file.

    image/images/<digest>.json     an image's configuration, whose digest is the image's id
    image/removed/<digest>.json    that of an image which was removed while a container uses it
    image/layers/<digest>/         a complete layer, as an overlay's lower directory
    image/layers/<digest>.size     its files' size in bytes
    image/repositories.json        name:tag to image id, image id to the time of its last tag
    image/tmp/                     what is being unpacked or deleted; emptied at boot

A layer gets its place by a rename when it is complete, and leaves it by a rename before it is
deleted, so that a directory in `layers` is always a whole layer, whenever the daemon dies.

Mirrors: moby image/store.go, reference/store.go, layer/layer_store.go (v20.10), in what can be
seen from outside.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from refimpl.daemon.images.document import Image, Layer
from refimpl.daemon.images.references import familiar_name
from refimpl.errors import EngineError, NotFound
from refimpl.kernel.base import Files
from refimpl.model.moments import format_time

log = logging.getLogger(__name__)

_HEX = re.compile(r"[0-9a-f]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Deleted:
    """What went with an image: its layers' chain ids, top first, and their size in bytes."""

    chain_ids: tuple[str, ...]
    bytes: int


class ImageStore:
    """The images of one data-root; safe to use from many threads."""

    def __init__(self, root: str, files: Files, clock: Callable[[], datetime]) -> None:
        self._root = Path(root)
        self._files = files
        self._clock = clock
        self._lock = threading.RLock()
        self._sizes: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._tagged: dict[str, str] = {}
        self._images: dict[str, Image] = {}
        self._removed: dict[str, Image] = {}
        self._in_use: Counter[str] = Counter()
        for directory in ("images", "removed", "layers", "tmp"):
            files.make_directory(str(self._root / directory))
        self._make_init_layer()
        self._load()

    # ------------------------------------------------------------------------------- boot

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
        """Read what is there; what is damaged is named in the log and left alone."""
        for path in (self._root / "tmp").iterdir():
            self._remove_scratch(str(path))  # of an import or a removal that a crash ended
        are_whole = [self._load_images("images", self._images)]
        are_whole += [self._load_images("removed", self._removed)]
        self._load_names()
        if all(are_whole):  # else nobody knows which layers the damaged ones need
            wanted = {self._layer_path(one).name for one in self._wanted_layers()}
            with self.scratch() as scratch:
                for path in (self._root / "layers").iterdir():
                    if path.name.removesuffix(".size") not in wanted:
                        path.rename(scratch / path.name)

    def _load_images(self, directory: str, images: dict[str, Image]) -> bool:
        is_whole = True
        for path in sorted((self._root / directory).glob("*.json")):
            try:
                image = Image.decode(self._files.read(str(path)))
                if path.stem != image.id.removeprefix("sha256:"):
                    raise EngineError("its content is not what its name says")
                missing = [one for one in image.diff_ids if not self.has_layer(one)]
                if missing:
                    raise EngineError(f"layer {missing[0]} is missing")
            except (EngineError, OSError) as error:
                log.error("image %s is damaged and left alone: %s", path, error)
                is_whole = False
                continue
            images[image.id] = self._sized(image)
        return is_whole

    def _load_names(self) -> None:
        path = self._root / "repositories.json"
        if not path.exists():
            return
        try:
            document = json.loads(self._files.read(str(path)))
            names, tagged = dict(document["names"]), dict(document["tagged"])
            if not all(isinstance(one, str) for one in [*names.values(), *tagged.values()]):
                raise TypeError("a value is no string")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            # the next tag would write it anew
            kept = path.with_suffix(".damaged")
            log.error("the images' names in %s are damaged, kept as %s: %s", path, kept, error)
            path.replace(kept)
            return
        self._names = {name: one for name, one in names.items() if one in self._images}
        self._tagged = tagged

    # ------------------------------------------------------------------------------ layers

    def _layer_path(self, diff_id: str) -> Path:
        return self._root / "layers" / diff_id.removeprefix("sha256:")

    def has_layer(self, diff_id: str) -> bool:
        """Tell whether a layer is here; what is no digest is none."""
        return bool(_DIGEST.fullmatch(diff_id)) and self._layer_path(diff_id).is_dir()

    def _layer_size(self, diff_id: str) -> int:
        if diff_id not in self._sizes:
            path = self._layer_path(diff_id).with_suffix(".size")
            try:
                self._sizes[diff_id] = max(0, int(self._files.read(str(path))[:20]))
            except (OSError, ValueError) as error:
                log.warning("the size of a layer is not known: %s: %s", path, error)
                self._sizes[diff_id] = 0
        return self._sizes[diff_id]

    def _sized(self, image: Image) -> Image:
        return replace(image, size_bytes=sum(map(self._layer_size, image.diff_ids)))

    def _wanted_layers(self) -> set[str]:
        images = [*self._images.values(), *self._removed.values()]
        return {diff_id for image in images for diff_id in image.diff_ids}

    def layers(self, image_id: str) -> tuple[str, ...]:
        """Return an image's layer directories, top first, as an overlay wants them.

        Also of an image that was removed while a container uses it. A layer that an image has
        twice is there once: the upper one hides the lower one.

        Raises:
            NotFound: there is no such image.
        """
        with self._lock:
            image = self._images.get(image_id) or self._removed.get(image_id)
            if image is None:
                raise NotFound(f"No such image: {image_id}")
        unique = dict.fromkeys(reversed(image.diff_ids))
        return tuple(str(self._layer_path(one)) for one in unique)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Lend a directory on the layers' file system; it and all in it are gone afterwards."""
        path = tempfile.mkdtemp(dir=self._root / "tmp")
        try:
            yield Path(path)
        finally:
            self._remove_scratch(path)

    def _remove_scratch(self, path: str) -> None:
        try:
            self._files.remove(path)
        except OSError as error:
            log.warning("%s is left to the next boot: %s", path, error)

    # ------------------------------------------------------------------------------ images

    def __iter__(self) -> Iterator[Image]:
        with self._lock:
            return iter(list(self._images.values()))

    def __len__(self) -> int:
        return len(self._images)

    def add(self, image: Image, raw: bytes, layers: Sequence[Layer] = ()) -> Image:
        """Keep an image, its configuration's bytes and those of its layers that are new.

        Raises:
            EngineError: a layer of it is missing.
        """
        new = {layer.diff_id: layer for layer in layers}
        with self._lock:
            absent = [one for one in dict.fromkeys(image.diff_ids) if not self.has_layer(one)]
            for diff_id in absent:
                if diff_id not in new:
                    raise EngineError(f"layer {diff_id} does not exist")
            for diff_id in absent:
                target = self._layer_path(diff_id)
                self._sizes[diff_id] = new[diff_id].size_bytes
                size = str(new[diff_id].size_bytes).encode()
                self._files.write(str(target.with_suffix(".size")), size)
                new[diff_id].path.rename(target)
            self._files.write(self._document_path("images", image), raw)
            self._images[image.id] = image = self._sized(image)
            self._forget_removed(image)
        return image

    def _document_path(self, directory: str, image: Image) -> str:
        return str(self._root / directory / f"{image.id.removeprefix('sha256:')}.json")

    def delete(self, image: Image, *, is_used: bool) -> Deleted:
        """Delete an image with its names, and the layers that no other has.

        Its layers stay while `is_used` says that a container stands on them, and while somebody
        has it by `using`; `release` deletes them later.
        """
        with self.scratch() as scratch, self._lock:
            if image.id not in self._images:
                return Deleted((), 0)  # somebody was faster
            is_kept = is_used or self._in_use[image.id] > 0
            if is_kept:
                self._removed[image.id] = image
            del self._images[image.id]
            self._names = {name: one for name, one in self._names.items() if one != image.id}
            self._tagged.pop(image.id, None)
            self._write_names()
            document = self._document_path("images", image)
            if is_kept:
                Path(document).rename(self._document_path("removed", image))
            else:
                self._files.remove(document)
            return self._take_layers(image, scratch)

    def release(self, image_id: str) -> None:
        """Delete the layers of a removed image; call it when no container uses them any more."""
        if image_id not in self._removed:
            return
        with self.scratch() as scratch, self._lock:
            image = self._removed.get(image_id)
            if image is not None and not self._in_use[image_id]:
                self._forget_removed(image)
                self._take_layers(image, scratch)

    def removed(self) -> tuple[str, ...]:
        """Return the ids of the images that are removed, and whose layers are still here."""
        with self._lock:
            return tuple(self._removed)

    def _forget_removed(self, image: Image) -> None:
        if self._removed.pop(image.id, None) is not None:
            self._files.remove(self._document_path("removed", image))

    def _take_layers(self, image: Image, scratch: Path) -> Deleted:
        """Move an image's layers that no other has where they are deleted without the lock."""
        others = [*self._images.values(), *self._removed.values()]
        wanted_chains = {chain_id for other in others for chain_id in other.chain_ids}
        wanted = self._wanted_layers()
        freed = 0
        for diff_id in dict.fromkeys(reversed(image.diff_ids)):
            if diff_id not in wanted:
                freed += self._layer_size(diff_id)
                del self._sizes[diff_id]
                path = self._layer_path(diff_id)
                path.rename(scratch / path.name)
                self._files.remove(str(path.with_suffix(".size")))
        gone = [one for one in reversed(image.chain_ids) if one not in wanted_chains]
        return Deleted(tuple(gone), freed)

    @contextlib.contextmanager
    def using(self, reference: str) -> Iterator[Image]:
        """Find an image and keep its layers until the block ends, as a container is made of it.

        Raises:
            NotFound, InvalidParameter: there is none.
        """
        with self._lock:
            image = self.get(reference)
            self._in_use[image.id] += 1
        try:
            yield image
        finally:
            with self._lock:
                self._in_use[image.id] -= 1

    # ------------------------------------------------------------------------------- names

    def tag(self, image: Image, name: str) -> None:
        """Give an image a name, taking it from another that has it.

        Raises:
            NotFound: the image was removed meanwhile.
        """
        with self._lock:
            if image.id not in self._images:
                raise NotFound(f"No such image: {image.id}")
            self._names[name] = image.id
            self._tagged[image.id] = format_time(self._clock())
            self._write_names()

    def untag(self, name: str) -> None:
        """Forget a name."""
        with self._lock:
            self._names.pop(name, None)
            self._write_names()

    def _write_names(self) -> None:
        document = {"names": self._names, "tagged": self._tagged}
        self._files.write(str(self._root / "repositories.json"), json.dumps(document).encode())

    def holder(self, name: str) -> str:
        """Return the id of the image that has a name, "" for none."""
        with self._lock:
            return self._names.get(name, "")

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
            if reference.startswith("sha256:") or _DIGEST.fullmatch(f"sha256:{digest}"):
                raise NotFound(f"No such image: sha256:{digest}")
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
