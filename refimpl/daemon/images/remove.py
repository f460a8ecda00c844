"""Removing images: one by its name or id, or all that nobody uses.

Mirrors: moby daemon/images/{image_delete,image_prune}.go (v20.10).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.images.document import Image
from refimpl.daemon.images.references import familiar_name
from refimpl.daemon.images.store import Deleted, ImageStore
from refimpl.daemon.prune_filters import PruneFilters
from refimpl.errors import Conflict, InvalidParameter, NotFound

LogImageEvent = Callable[[str, str, Mapping[str, str]], None]
"""Tell of an event: its action, the image's id ("" for none), its attributes."""


class UsedBy(NamedTuple):
    """A container that was made of an image."""

    id: str
    is_running: bool


ContainersOf = Callable[[str], Iterable[UsedBy]]
"""Return the containers that were made of the image with this id."""
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})


class ImageRemover:
    """The part of the image service that removes."""

    def __init__(
        self,
        store: ImageStore,
        clock: Callable[[], datetime],
        log_event: LogImageEvent,
        containers_of: ContainersOf,
    ) -> None:
        self._store = store
        self._clock = clock
        self._log_event = log_event
        self._containers_of = containers_of
        self._pruning = threading.Lock()

    def remove(self, ref: str, *, force: bool) -> list[Wire]:
        """Remove a name of an image, and the image with its last one (moby: ImageDelete).

        Raises:
            NotFound: there is no such image.
            Conflict: a container uses it, or it has several names.
        """
        return self._remove(ref, force=force)[0]

    def _remove(self, ref: str, *, force: bool) -> tuple[list[Wire], Deleted]:
        image = self._store.get(ref)
        names = self._store.names(image)
        records: list[Wire] = []
        is_by_name = not _is_id(ref, image)
        if is_by_name:
            if not force and len(names) == 1:
                self._refuse_last_name(image, ref)
            records.append(self._untag(image, familiar_name(ref)))
            if len(names) > 1:
                return records, Deleted((), 0)
        try:
            self._refuse_in_use(image, force=force, is_named=not is_by_name and len(names) > 1)
        except Conflict:
            if is_by_name:
                return records, Deleted((), 0)  # the name is gone, the image stays
            raise
        records += [self._untag(image, name) for name in self._store.names(image)]
        is_used = any(True for _ in self._containers_of(image.id))
        deleted = self._store.delete(image, is_used=is_used)
        self._log(image, "delete", image.id)
        records += [{"Deleted": one} for one in (image.id, *deleted.chain_ids)]
        return records, deleted

    def _refuse_last_name(self, image: Image, ref: str) -> None:
        for container in self._containers_of(image.id):
            raise Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - '
                f"container {container.id[:12]} is using its referenced image {image.short_id}"
            )

    def _refuse_in_use(self, image: Image, *, force: bool, is_named: bool) -> None:
        """Refuse what conflicts (moby: checkImageDeleteConflict); force passes all but the first.

        Args:
            image: what is to be removed.
            force: whether it was asked for.
            is_named: whether it has more names than one removal by id takes away.
        """
        containers = list(self._containers_of(image.id))
        for container in containers:
            if container.is_running:
                raise Conflict(
                    f"conflict: unable to delete {image.short_id} (cannot be forced) - image is "
                    f"being used by running container {container.id[:12]}"
                )
        if force:
            return
        if is_named:
            raise Conflict(
                f"conflict: unable to delete {image.short_id} (must be forced) - image is "
                "referenced in multiple repositories"
            )
        for container in containers:
            raise Conflict(
                f"conflict: unable to delete {image.short_id} (must be forced) - image is "
                f"being used by stopped container {container.id[:12]}"
            )

    def _untag(self, image: Image, name: str) -> Wire:
        self._store.untag(name)
        self._log(image, "untag", image.id)
        return {"Untagged": name}

    def _log(self, image: Image, action: str, name: str) -> None:
        self._log_event(action, image.id, {**image.labels, "name": name})

    def release_unused(self) -> None:
        """Delete the layers of removed images whose last container is gone."""
        for image_id in self._store.removed():
            if not any(True for _ in self._containers_of(image_id)):
                self._store.release(image_id)

    def prune(self, filters: Filters) -> Wire:
        """Remove all images that have no name, or that no container uses (moby: ImagesPrune).

        Raises:
            Conflict: a prune is under way.
            InvalidParameter, EngineError: a filter is malformed.
        """
        if not self._pruning.acquire(blocking=False):
            raise Conflict("a prune operation is already running")
        try:
            return self._prune(filters)
        finally:
            self._pruning.release()

    def _prune(self, filters: Filters) -> Wire:
        wanted = PruneFilters(
            {name: values for name, values in filters.items() if name != "dangling"},
            self._clock(),
        )
        only_dangling = is_dangling_wanted(filters, default=True)
        records: list[Wire] = []
        freed = 0
        for image in self._store:
            names = self._store.names(image)
            if (only_dangling and names) or not wanted.allow(image.labels, image.created):
                continue
            for ref in names or [image.id]:
                try:
                    done, deleted = self._remove(ref, force=False)
                except (Conflict, NotFound):
                    continue  # it is used, or somebody was faster
                records += done
                freed += deleted.bytes
        self._log_event("prune", "", {"reclaimed": str(freed)})
        return {"ImagesDeleted": records or None, "SpaceReclaimed": freed}


def is_dangling_wanted(filters: Filters, *, default: bool) -> bool:
    """Read the filter `dangling`.

    Raises:
        InvalidParameter: a value is no boolean.
    """
    values = set(filters.get("dangling", ()))
    if values & _FALSE:
        return False
    if values and not values & _TRUE:
        raise InvalidParameter(f"Invalid filter 'dangling=[{' '.join(sorted(values))}]'")
    return bool(values) or default


def _is_id(ref: str, image: Image) -> bool:
    return image.id.startswith(ref) or image.id.removeprefix("sha256:").startswith(ref)
