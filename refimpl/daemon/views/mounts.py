"""Mounts as inspect and list show them."""

from __future__ import annotations

from refimpl.daemon.backend import Wire
from refimpl.daemon.containers.container import Container


def mount_documents(container: Container) -> list[Wire]:
    """Return the bind mounts as inspect and list show them."""
    return [
        {
            "Type": "bind",
            "Source": bind.source,
            "Destination": bind.destination,
            "Mode": bind.mode,
            "RW": not bind.read_only,
            "Propagation": bind.shown_propagation,
        }
        for bind in container.binds
    ]
