"""A container's root file system: the image's layers with the container's own changes on top.

Mirrors: moby daemon/oci_linux.go, daemon/graphdriver/overlay2 (v20.10).
"""

from __future__ import annotations

from dataclasses import dataclass

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.container import Container
from refimpl.daemon.images.store import ImageStore
from refimpl.kernel.base import Files, Kernel, OverlayPlan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RootFilesystems:
    """Mounts and removes root file systems."""

    config: DaemonConfig
    kernel: Kernel
    files: Files
    images: ImageStore

    def mount(self, container: Container) -> None:
        """Mount the image's layers and the container's own changes on top of them."""
        overlay = self.config.data("overlay", container.id)
        for name in ("upper", "work", "merged"):
            self.files.make_directory(f"{overlay}/{name}", mode=0o755)
        # what an ungraceful shutdown left mounted
        self.kernel.unmount(f"{overlay}/merged")
        self.kernel.mount_overlay(
            OverlayPlan(
                lower=(*self.images.layers(container.image_id), self.images.init_layer),
                upper=f"{overlay}/upper",
                work=f"{overlay}/work",
                target=f"{overlay}/merged",
            )
        )

    def prepare_binds(self, container: Container) -> None:
        """Make the directories to be bound that are missing (moby: setupMounts).

        Raises:
            OSError: one cannot be made, or does not propagate mounts as was asked; with Docker's
                text.
        """
        for bind in container.binds:
            self.files.make_mount_source(bind.source)
            self.kernel.check_propagation(bind.source, bind.propagation or "rprivate")

    def unmount(self, container: Container) -> None:
        """Unmount it, if it is mounted."""
        self.kernel.unmount(self.merged(container))

    def remove(self, container: Container) -> None:
        """Remove the container's own layer."""
        self.files.remove(self.config.data("overlay", container.id))

    def merged(self, container: Container) -> str:
        """Return where it is mounted."""
        return self.config.data("overlay", container.id, "merged")
