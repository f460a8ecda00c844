"""The image service: what the API may ask of images.

Mirrors: moby daemon/images/, image/tarexport/load.go (v20.10).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.images import show
from refimpl.daemon.images.archive import PIECE_BYTES
from refimpl.daemon.images.changes import apply_changes
from refimpl.daemon.images.document import Image, Layer, ManifestItem, encode_document
from refimpl.daemon.images.layers import extract_layer, shown
from refimpl.daemon.images.references import familiar_name, split_tag
from refimpl.daemon.images.remove import ContainersOf, ImageRemover, LogImageEvent
from refimpl.daemon.images.saved import SavedImages
from refimpl.daemon.images.store import ImageStore
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.limits import ARCHIVE_BYTES_MAX
from refimpl.model.moments import format_time
from refimpl.model.platform import own_platform
from refimpl.model.wire_container import Config


class ImageService:
    """The images of an engine; the methods are those of `backend.ImageBackend`."""

    def __init__(
        self,
        store: ImageStore,
        *,
        clock: Callable[[], datetime],
        log_event: LogImageEvent,
        containers_of: ContainersOf,
    ) -> None:
        self._store = store
        self._clock = clock
        self._log_event = log_event
        self._remover = ImageRemover(store, clock, log_event, containers_of)

    def image_import(
        self, stream: BinaryIO, *, repo: str, tag: str, changes: Sequence[str], message: str
    ) -> Iterator[Wire]:
        """Make an image of a root file system (moby: ImportImage).

        Raises:
            InvalidParameter: the name or a change is malformed.
            BadArchive: the stream is.
        """
        name = familiar_name(repo, tag) if repo else ""
        config = Config()
        apply_changes(config, changes)
        message = message or "Imported from -"
        now = format_time(self._clock())
        with self._store.scratch() as scratch, _read_to_the_end(stream):
            layer = extract_layer(stream, scratch / "layer")
            raw = encode_document(
                {
                    "architecture": own_platform().architecture,
                    "comment": message,
                    "config": config.to_wire(),
                    "container_config": Config().to_wire(),
                    "created": now,
                    "docker_version": "20.10.24",
                    "history": [{"created": now, "comment": message}],
                    "os": "linux",
                    "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
                }
            )
            image = self._store.add(Image.decode(raw), raw, [layer])
        if name:
            self._tag(image, name)
        self._log(image, "import", image.id)
        yield {"status": image.id}

    def image_pull(self, name: str, tag: str) -> Iterator[Wire]:
        """Refuse a pull (moby: PullImage).

        Raises:
            InvalidParameter: the name is none.
            NotFound: there is no registry.
        """
        raise NotFound(
            f"pull access denied for {familiar_name(name, tag)}: this engine has no registry to "
            "pull from; use docker load or docker import"
        )

    def image_load(self, stream: BinaryIO, *, quiet: bool = False) -> Iterator[Wire]:
        """Load what `docker save` wrote (moby: LoadImage); `quiet` changes nothing here.

        Raises:
            EngineError: the archive is damaged or no image.
        """
        del quiet
        with self._store.scratch() as scratch:
            with _read_to_the_end(stream):
                saved = SavedImages(stream, scratch)
            for item in saved.manifest():
                image = self._load_image(saved, item)
                for tag in item.repo_tags or ():
                    yield from self._tag_loaded(image, tag)
                if not item.repo_tags:
                    yield {"stream": f"Loaded image ID: {image.id}\n"}
                self._log(image, "load", image.id)

    def _load_image(self, saved: SavedImages, item: ManifestItem) -> Image:
        raw = saved.document(item.config)
        image = Image.decode(raw)
        if image.document.os not in {"", "linux"}:
            raise EngineError(f"cannot load {shown(image.document.os)} image on linux")
        names = item.layers or []
        if len(names) != len(image.diff_ids):
            raise EngineError(
                f"invalid manifest, layers length mismatch: expected {len(names)}, got "
                f"{len(image.diff_ids)}"
            )
        with self._store.scratch() as scratch:
            layers = {}
            for number, (diff_id, name) in enumerate(zip(image.diff_ids, names, strict=True)):
                if diff_id not in layers and not self._store.has_layer(diff_id):
                    directory = scratch / str(number)
                    layers[diff_id] = _load_layer(saved.path(name), directory, number, diff_id)
            return self._store.add(image, raw, list(layers.values()))

    def _tag_loaded(self, image: Image, tag: str) -> Iterator[Wire]:
        name = familiar_name(tag)
        if not split_tag(tag)[1]:
            raise EngineError(f'invalid tag "{tag}"')
        before = self._store.holder(name)
        if before not in {"", image.id}:
            yield {
                "stream": f"The image {name} already exists, renaming the old one with ID "
                f"{before} to empty string\n"
            }
        self._tag(image, name)
        yield {"stream": f"Loaded image: {name}\n"}

    def image_list(self, *, all_: bool = False, filters: Filters) -> list[Wire]:
        """List images, newest first (moby: Images)."""
        del all_  # there are no intermediate images
        return show.listed(self._store, filters)

    def image_inspect(self, ref: str) -> Wire:
        """Describe an image (moby: LookupImage)."""
        try:
            return show.inspected(self._store, self._store.get(ref))
        except NotFound as error:
            raise NotFound(f"no such image: {ref}: {error}") from error

    def image_history(self, ref: str) -> list[Wire]:
        """List the steps that an image was made in, newest first (moby: ImageHistory)."""
        return show.steps(self._store, self._store.get(ref))

    def image_tag(self, ref: str, repo: str, tag: str) -> None:
        """Give an image one more name (moby: TagImage)."""
        image = self._store.get(ref)
        try:
            name = familiar_name(repo, tag)
        except InvalidParameter as error:
            raise EngineError(str(error)) from error  # 500, as in v20.10
        self._tag(image, name)

    def image_remove(self, ref: str, *, force: bool = False, prune: bool = True) -> list[Wire]:
        """Remove a name of an image, and the image with its last one (moby: ImageDelete).

        Raises:
            NotFound: there is no such image.
            Conflict: a container uses it.
        """
        del prune  # there are no parents to prune
        return self._remover.remove(ref, force=force)

    def images_prune(self, filters: Filters) -> Wire:
        """Remove the images that have no name, or with `dangling=false` all that are not used."""
        return self._remover.prune(filters)

    def release_unused(self) -> None:
        """Delete what removed images left for their containers, where those are gone.

        Call it after a container was removed, and at boot when the containers are known.
        """
        self._remover.release_unused()

    def _tag(self, image: Image, name: str) -> None:
        self._store.tag(image, name)
        self._log(image, "tag", name)

    def _log(self, image: Image, action: str, name: str) -> None:
        self._log_event(action, image.id, {**image.labels, "name": name})


@contextlib.contextmanager
def _read_to_the_end(stream: BinaryIO) -> Iterator[None]:
    """Read what is left of an archive that is refused: a client that sends it hears why.

    Mirrors: moby pkg/chrootarchive flush (v20.10).
    """
    try:
        yield
    except EngineError:
        with contextlib.suppress(EngineError):
            left = ARCHIVE_BYTES_MAX
            while left > 0 and (data := stream.read(PIECE_BYTES)):
                left -= len(data)
        raise


def _load_layer(path: Path, directory: Path, number: int, diff_id: str) -> Layer:
    with path.open("rb") as stream:
        layer = extract_layer(stream, directory)
    if layer.diff_id != diff_id:
        raise EngineError(
            f'invalid diffID for layer {number}: expected "{shown(diff_id)}", got "{layer.diff_id}"'
        )
    return layer
