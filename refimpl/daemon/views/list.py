"""Listing containers.

Mirrors: moby daemon/list.go, container/view.go (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.containers.container import Container, Listed
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.containers.status import status_text
from refimpl.daemon.images.store import ImageStore
from refimpl.daemon.views.container_filters import ContainerFilters
from refimpl.daemon.views.mounts import mount_documents
from refimpl.errors import InvalidParameter, NotFound

_NOT_LISTED = {"Links": None, "Aliases": None, "DriverOpts": None}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lister:
    """Lists containers; takes no container's lock, so that none holds up the others."""

    clock: Callable[[], datetime]
    containers: ContainerRegistry
    images: ImageStore
    link_index: LinkIndex

    def container_list(
        self, *, all_: bool = False, limit: int = 0, size: bool = False, filters: Filters
    ) -> list[Wire]:
        """List containers, newest first (moby: Containers)."""
        del size
        wanted = ContainerFilters(
            filters, self.containers.get_container, lambda ref: self.images.get(ref).id
        )
        wants_all = all_ or limit > 0 or wanted.want_stopped
        found = [
            container
            for container in self.containers
            if (wants_all or _is_running(container)) and wanted.passes(container)
        ]
        found.sort(key=lambda container: container.created, reverse=True)
        return [self._row(container) for container in (found[:limit] if limit > 0 else found)]

    def _row(self, container: Container) -> Wire:
        listed = container.listed or container.snapshot()
        return {
            "Id": container.id,
            "Names": sorted([container.name, *self._link_names(container)]),
            "Image": self._image_name(container),
            "ImageID": container.image_id,
            "Command": _command(container),
            "Created": int(container.created.timestamp()),
            "Ports": port_documents(listed),
            "Labels": dict(container.config.labels or {}),
            "State": listed.state.status,
            "Status": status_text(listed.state, self.clock()),
            "HostConfig": {"NetworkMode": str(container.host_config.network_mode)},
            "NetworkSettings": {
                "Networks": {
                    # a list leaves these out, as v20.10 does
                    name: {**endpoint, **_NOT_LISTED}
                    for name, endpoint in listed.networks.items()
                }
            },
            "Mounts": mount_documents(container),
        }

    def _link_names(self, container: Container) -> list[str]:
        names = []
        for alias, parent in self.link_index.parents(container.id):
            try:
                names.append(f"{self.containers.get_container(parent).name}/{alias}")
            except NotFound:
                continue
        return names

    def _image_name(self, container: Container) -> str:
        """Return the name it was created with, or the image's id if that is another's by now."""
        try:
            image = self.images.get(container.config.image)
        except (NotFound, InvalidParameter):
            return container.image_id
        return container.config.image if image.id == container.image_id else container.image_id


def port_documents(listed: Listed) -> list[Wire]:
    """Return a list's `Ports`: one for each address and port of the host, or for an exposed one."""
    documents: list[Wire] = []
    for key, bindings in listed.ports.items():
        number, _, protocol = key.partition("/")
        private = int(number)
        documents += [
            {
                "IP": one["HostIp"],
                "PrivatePort": private,
                "PublicPort": int(one["HostPort"]),
                "Type": protocol,
            }
            for one in bindings or ()
        ] or [{"PrivatePort": private, "Type": protocol}]
    return documents


def _is_running(container: Container) -> bool:
    return (container.listed or container.snapshot()).state.running


def _command(container: Container) -> str:
    words = [f"'{word}'" if " " in word else word for word in container.args]
    return " ".join([container.path, *words])
