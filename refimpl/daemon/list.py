"""Listing containers.

Mirrors: moby daemon/list.go, container/view.go, container/state.go String (v20.10).
"""

from __future__ import annotations

from datetime import timedelta

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.container_filters import ContainerFilters
from refimpl.daemon.inspect import Inspecting, mount_documents
from refimpl.daemon.prune_filters import PruneFilters
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound
from refimpl.model.container import Container, State

_NOT_LISTED = {"Links": None, "Aliases": None, "DriverOpts": None}


class Listing(Inspecting):
    """The part of the daemon that lists containers."""

    def container_list(
        self, *, all_: bool = False, limit: int = 0, size: bool = False, filters: Filters
    ) -> list[Wire]:
        """List containers, newest first (moby: Containers)."""
        del size
        wanted = ContainerFilters(filters, self.get_container, lambda ref: self.images.get(ref).id)
        wants_all = all_ or limit > 0 or wanted.want_stopped
        found = [
            container
            for container in self.containers
            if (wants_all or _is_running(container)) and wanted.passes(container)
        ]
        found.sort(key=lambda container: container.created, reverse=True)
        return [self._row(container) for container in (found[:limit] if limit > 0 else found)]

    def _row(self, container: Container) -> Wire:
        with container.lock:
            listed = container.listed or container.snapshot()
            ports = []
            for port in listed.ports:
                number, _, protocol = port.partition("/")
                ports.append({"PrivatePort": int(number), "Type": protocol})
            return {
                "Id": container.id,
                "Names": sorted([container.name, *self._link_names(container)]),
                "Image": self._image_name(container),
                "ImageID": container.image_id,
                "Command": _command(container),
                "Created": int(container.created.timestamp()),
                "Ports": ports,
                "Labels": dict(container.config.labels or {}),
                "State": listed.state.status,
                "Status": self._status(listed.state),
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
                names.append(f"{self.get_container(parent).name}/{alias}")
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

    def _status(self, state: State) -> str:
        """Write the state as `docker ps` shows it."""
        now = self.clock()
        if state.restarting:
            ago = human_duration(now - state.finished_at)
            return f"Restarting ({state.exit_code}) {ago} ago"
        if state.running:
            paused = " (Paused)" if state.paused else ""
            return f"Up {human_duration(now - state.started_at)}{paused}"
        fixed = {"removing": "Removal In Progress", "dead": "Dead", "created": "Created"}
        if state.status in fixed:
            return fixed[state.status]
        return f"Exited ({state.exit_code}) {human_duration(now - state.finished_at)} ago"

    def containers_prune(self, filters: Filters) -> Wire:
        """Remove every container that does not run (moby: ContainersPrune)."""
        wanted = PruneFilters(filters, self.clock())
        deleted = []
        for container in self.containers:
            labels = container.config.labels or {}
            if container.state.running or not wanted.allow(labels, container.created):
                continue
            try:
                self.container_remove(container.id)
            except (Conflict, NotFound, EngineError):
                continue  # it was started or removed meanwhile
            deleted.append(container.id)
        self.events.log("container", "prune", "", {"reclaimed": "0"})
        return {"ContainersDeleted": deleted or None, "SpaceReclaimed": 0}


def _is_running(container: Container) -> bool:
    return (container.listed or container.snapshot()).state.running


def _command(container: Container) -> str:
    words = [f"'{word}'" if " " in word else word for word in container.args]
    return " ".join([container.path, *words])


def human_duration(elapsed: timedelta) -> str:
    """Write a duration as go-units HumanDuration does."""
    seconds = int(elapsed.total_seconds())
    steps = (
        (1, "Less than a second", 0),
        (2, "1 second", 0),
        (60, "{} seconds", 1),
        (120, "About a minute", 0),
        (46 * 60, "{} minutes", 60),
        (90 * 60, "About an hour", 0),
        (48 * 3600, "{} hours", 3600),
        (24 * 7 * 2 * 3600, "{} days", 24 * 3600),
        (24 * 30 * 2 * 3600, "{} weeks", 24 * 7 * 3600),
        (24 * 365 * 2 * 3600, "{} months", 24 * 30 * 3600),
    )
    for limit, text, unit in steps:
        if seconds < limit:
            return text.format(seconds // unit) if unit else text
    return f"{seconds // (24 * 365 * 3600)} years"
