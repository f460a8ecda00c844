"""Listing containers.

Mirrors: moby daemon/list.go, container/view.go, container/state.go String (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from refimpl.daemon.backend import Filters, Wire
from refimpl.daemon.containers.container import Container, State
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.filters import has_labels, matches, verify_filters
from refimpl.daemon.images.store import ImageStore
from refimpl.daemon.views.inspect import mount_documents
from refimpl.errors import EngineError, InvalidParameter, NotFound

_NOT_LISTED = {"Links": None, "Aliases": None, "DriverOpts": None}
STATUSES = frozenset({"paused", "restarting", "removing", "running", "dead", "created", "exited"})
HEALTHS = frozenset({"none", "starting", "healthy", "unhealthy"})
_FILTERS = frozenset(
    {
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label",
        "name", "network", "publish", "since", "status", "volume",
    }
)  # fmt: skip


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
        verify_filters(filters, _FILTERS)
        for status in filters.get("status", ()):
            if status not in STATUSES:
                raise InvalidParameter(f"Invalid filter 'status={status}'")
        self._check_values(filters)
        wants_all = (
            all_
            or limit > 0
            or any(filters.get(name) for name in ("status", "exited", "before", "since"))
        )
        found = [
            container
            for container in self.containers
            if (wants_all or _is_running(container)) and self._passes_filters(container, filters)
        ]
        found.sort(key=lambda container: container.created, reverse=True)
        return [self._row(container) for container in (found[:limit] if limit > 0 else found)]

    def _check_values(self, filters: Filters) -> None:
        """Refuse exit codes, states of health and containers that there are not."""
        for code in filters.get("exited", ()):
            if not re.fullmatch(r"[+-]?[0-9]{1,18}", code, re.ASCII):
                raise EngineError(f'strconv.Atoi: parsing "{code}": invalid syntax')
        for health in filters.get("health", ()):
            if health not in HEALTHS:
                raise InvalidParameter(f"Unrecognised filter value for health: {health}")
        for ref in (*filters.get("before", ()), *filters.get("since", ())):
            try:
                self.containers.get_container(ref)
            except NotFound:
                raise EngineError(f"no such container {ref}") from None

    def _passes_filters(self, container: Container, filters: Filters) -> bool:
        name = container.name.removeprefix("/")
        listed = container.listed or container.snapshot()
        networks = listed.networks
        network_ids = {endpoint["NetworkID"] for endpoint in networks.values()}
        exposed = container.config.exposed_ports or {}
        checks: dict[str, Callable[[Sequence[str]], bool]] = {
            "id": lambda wanted: any(self._is_only_id(container, one) for one in wanted),
            "name": lambda wanted: matches(container.name, wanted) or matches(name, wanted),
            "label": lambda wanted: has_labels(container.config.labels or {}, wanted),
            "status": lambda wanted: listed.state.status in wanted,
            "exited": lambda wanted: (
                listed.state.status == "exited" and str(listed.state.exit_code) in wanted
            ),
            "network": lambda wanted: any(one in networks or one in network_ids for one in wanted),
            "ancestor": lambda wanted: any(self._is_ancestor(container, one) for one in wanted),
            "before": lambda wanted: all(
                container.created < self.containers.get_container(one).created for one in wanted
            ),
            "since": lambda wanted: all(
                container.created > self.containers.get_container(one).created for one in wanted
            ),
            "expose": lambda wanted: any(
                one in exposed or f"{one}/tcp" in exposed for one in wanted
            ),
            "publish": lambda wanted: False,
            "volume": lambda wanted: any(
                one in (mount.get("Name"), mount["Destination"])
                for mount in mount_documents(container)
                for one in wanted
            ),
            "health": lambda wanted: "none" in wanted,
            "is-task": lambda wanted: "true" not in wanted,
        }
        return all(
            checks[key](wanted) for key, wanted in filters.items() if wanted and key in checks
        )

    def _is_only_id(self, container: Container, beginning: str) -> bool:
        """Tell whether a container's id, and no other, begins so."""
        fits = [one for one in self.containers if one.id.startswith(beginning)]
        return fits == [container]

    def _is_ancestor(self, container: Container, ref: str) -> bool:
        try:
            return self.images.get(ref).id == container.image_id
        except (NotFound, InvalidParameter):
            return False

    def _row(self, container: Container) -> Wire:
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
