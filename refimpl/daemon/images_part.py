"""The image service as one more part of the daemon's chain of inheritance, until it is composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.core import DaemonCore
from refimpl.daemon.images.service import ImageService
from refimpl.daemon.images.store import ImageStore


class Images(DaemonCore):
    """Hands each call on to the image service."""

    images: ImageStore
    image_service: ImageService

    def image_import(
        self, stream: BinaryIO, *, repo: str, tag: str, changes: Sequence[str], message: str
    ) -> Iterator[Wire]:
        """Make an image of a root file system."""
        return self.image_service.image_import(
            stream, repo=repo, tag=tag, changes=changes, message=message
        )

    def image_load(self, stream: BinaryIO, *, quiet: bool = False) -> Iterator[Wire]:
        """Load what `docker save` wrote."""
        return self.image_service.image_load(stream, quiet=quiet)

    def image_list(self, *, all_: bool = False, filters: Filters) -> list[Wire]:
        """List images, newest first."""
        return self.image_service.image_list(all_=all_, filters=filters)

    def image_inspect(self, ref: str) -> Wire:
        """Describe an image."""
        return self.image_service.image_inspect(ref)

    def image_history(self, ref: str) -> list[Wire]:
        """List the steps that an image was made in."""
        return self.image_service.image_history(ref)

    def image_tag(self, ref: str, repo: str, tag: str) -> None:
        """Give an image one more name."""
        self.image_service.image_tag(ref, repo, tag)

    def image_remove(self, ref: str, *, force: bool = False, prune: bool = True) -> list[Wire]:
        """Remove a name of an image, and the image with its last one."""
        return self.image_service.image_remove(ref, force=force, prune=prune)

    def images_prune(self, filters: Filters) -> Wire:
        """Remove the images that nobody uses."""
        return self.image_service.images_prune(filters)
