"""The image service on a directory of the machine, with containers that are only said to be."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refimpl.daemon.images.remove import UsedBy
from refimpl.daemon.images.service import ImageService
from refimpl.daemon.images.store import ImageStore
from refimpl.kernel.files import LinuxFiles

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@dataclass
class ImageWorld:
    """One daemon's images; a second one on the same directory is the daemon after a restart."""

    root: Path
    events: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    containers: dict[str, list[UsedBy]] = field(default_factory=dict)
    files: LinuxFiles = field(default_factory=LinuxFiles)

    def __post_init__(self) -> None:
        self.store = ImageStore(str(self.root), self.files, lambda: NOW)
        self.service = ImageService(
            self.store,
            clock=lambda: NOW,
            log_event=lambda action, image_id, attributes: self.events.append(
                (action, image_id, attributes)
            ),
            containers_of=lambda image_id: self.containers.get(image_id, []),
        )

    def restarted(self) -> ImageWorld:
        """Return what the next daemon finds; the containers are still there."""
        return ImageWorld(self.root, containers=self.containers)

    def imported(
        self, data: bytes, *, repo: str = "", changes: Sequence[str] = (), message: str = ""
    ) -> str:
        """Import an archive and return the image's id."""
        *_, last = self.service.image_import(
            io.BytesIO(data), repo=repo, tag="", changes=changes, message=message
        )
        return str(last["status"])

    def loaded(self, data: bytes) -> str:
        """Load an archive and return what a user is told."""
        return "".join(line["stream"] for line in self.service.image_load(io.BytesIO(data)))

    def container(self, image_id: str, *, running: bool = False) -> str:
        """Let there be a container of an image, and return its id."""
        container_id = f"{sum(map(len, self.containers.values())):064x}"
        self.containers.setdefault(image_id, []).append(UsedBy(container_id, running))
        return container_id

    def removed(self, ref: str, *, force: bool = False) -> list[dict[str, Any]]:
        """Remove an image and return the records."""
        return self.service.image_remove(ref, force=force)

    def left_in(self, directory: str) -> list[str]:
        """Return what lies in one of the store's directories."""
        return sorted(path.name for path in (self.root / directory).iterdir())
