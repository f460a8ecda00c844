"""The filters of a container list.

Mirrors: moby daemon/list.go foldFilter, filterByNameIDMatches, includeContainerInList (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from refimpl.daemon.backend import Filters
from refimpl.daemon.containers.container import Container
from refimpl.daemon.filters import verify_filters
from refimpl.daemon.views.mounts import mount_documents
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.model.patterns import Patterns, has_labels
from refimpl.model.ports import parse_port_range, split_proto_port
from refimpl.model.strconv import parse_int

_STATUSES = frozenset({"paused", "restarting", "removing", "running", "dead", "created", "exited"})
_HEALTHS = frozenset({"none", "starting", "healthy", "unhealthy"})
_KNOWN = frozenset(
    {
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label",
        "name", "network", "publish", "since", "status", "volume",
    }
)  # fmt: skip
_PORT_FILTERS = ("expose", "publish")
_STOPPED_TOO = ("status", "exited", "before", "since")
_IS_TASK = {"true": True, "false": False}


class ContainerFilters:
    """The filters of one request, read once.

    Attributes:
        want_stopped: whether containers that do not run are asked for too.
    """

    def __init__(
        self,
        filters: Filters,
        get_container: Callable[[str], Container],
        image_id: Callable[[str], str],
    ) -> None:
        """Read and check the filters.

        Args:
            filters: as the client sent them.
            get_container: finds a container by id, name or prefix; raises NotFound.
            image_id: finds an image's id; raises NotFound or InvalidParameter.

        Raises:
            InvalidParameter: an unknown filter, a value that can never match, too long patterns.
            EngineError: an exit code that is no number, a container that is not there; 500, as
                in v20.10.
        """
        verify_filters(filters, _KNOWN)
        self._wanted = {name: values for name, values in filters.items() if values}
        self.want_stopped = any(name in self._wanted for name in _STOPPED_TOO)
        _verify_values(self._wanted)
        self._exit_codes = frozenset(map(_exit_code, self._wanted.get("exited", ())))
        self._names = Patterns(self._wanted.get("name", ()))
        self._ids = _found(self._wanted.get("id", ()), lambda ref: _id_of(get_container, ref))
        self._images = _found(self._wanted.get("ancestor", ()), image_id)
        self._before = _others(self._wanted.get("before", ()), get_container)
        self._since = _others(self._wanted.get("since", ()), get_container)
        self._ports = {name: _ports(name, self._wanted.get(name, ())) for name in _PORT_FILTERS}

    def passes(self, container: Container) -> bool:
        """Tell whether a container passes every filter."""
        return all(
            check(self, container, self._wanted[name])
            for name, check in _CHECKS.items()
            if name in self._wanted
        )

    def _has_id(self, container: Container, _wanted: Sequence[str]) -> bool:
        return container.id in self._ids

    def _has_name(self, container: Container, _wanted: Sequence[str]) -> bool:
        bare = container.name.removeprefix("/")
        return self._names.match(container.name) or self._names.match(bare)

    def _has_labels(self, container: Container, wanted: Sequence[str]) -> bool:
        return has_labels(container.config.labels or {}, wanted)

    def _has_status(self, container: Container, wanted: Sequence[str]) -> bool:
        return (container.listed or container.snapshot()).state.status in wanted

    def _has_exited(self, container: Container, _wanted: Sequence[str]) -> bool:
        state = (container.listed or container.snapshot()).state
        return state.status == "exited" and state.exit_code in self._exit_codes

    def _has_network(self, container: Container, wanted: Sequence[str]) -> bool:
        networks = (container.listed or container.snapshot()).networks
        ids = [endpoint["NetworkID"] for endpoint in networks.values()]
        beginnings = tuple(wanted)
        return any(one in networks for one in wanted) or any(
            network_id.startswith(beginnings) for network_id in ids
        )

    def _has_ancestor(self, container: Container, _wanted: Sequence[str]) -> bool:
        return container.image_id in self._images

    def _is_before(self, container: Container, _wanted: Sequence[str]) -> bool:
        return all(container.created < one.created for one in self._before)

    def _is_since(self, container: Container, _wanted: Sequence[str]) -> bool:
        return all(container.created > one.created for one in self._since)

    def _has_port(self, container: Container, _wanted: Sequence[str]) -> bool:
        """Tell whether one of the shown ports is published or exposed as asked; either will do.

        A port that is published nowhere has the public port 0, as in v20.10.
        """
        listed = container.listed or container.snapshot()
        for key, bindings in listed.ports.items():
            number, _, protocol = key.partition("/")
            if _is_among(int(number), protocol, self._ports["expose"]):
                return True
            public = [int(one["HostPort"]) for one in bindings or ()] or [0]
            if any(_is_among(one, protocol, self._ports["publish"]) for one in public):
                return True
        return False

    def _has_volume(self, container: Container, wanted: Sequence[str]) -> bool:
        return any(
            mount.get("Name") in wanted or mount["Destination"] in wanted
            for mount in mount_documents(container)
        )

    def _has_health(self, _container: Container, wanted: Sequence[str]) -> bool:
        return "none" in wanted

    def _is_task(self, _container: Container, wanted: Sequence[str]) -> bool:
        return not _IS_TASK[wanted[0]]


_CHECKS: Mapping[str, Callable[[ContainerFilters, Container, Sequence[str]], bool]] = {
    "id": ContainerFilters._has_id,
    "name": ContainerFilters._has_name,
    "label": ContainerFilters._has_labels,
    "status": ContainerFilters._has_status,
    "exited": ContainerFilters._has_exited,
    "network": ContainerFilters._has_network,
    "ancestor": ContainerFilters._has_ancestor,
    "before": ContainerFilters._is_before,
    "since": ContainerFilters._is_since,
    "expose": ContainerFilters._has_port,
    "publish": ContainerFilters._has_port,
    "volume": ContainerFilters._has_volume,
    "health": ContainerFilters._has_health,
    "is-task": ContainerFilters._is_task,
}


def _verify_values(wanted: Filters) -> None:
    for status in wanted.get("status", ()):
        if status not in _STATUSES:
            raise InvalidParameter(f"Invalid filter 'status={status}'")
    for value in wanted.get("is-task", ()):
        if value not in _IS_TASK:
            raise InvalidParameter(f"Invalid filter 'is-task=[{value}]'")
    for health in wanted.get("health", ()):
        if health not in _HEALTHS:
            raise InvalidParameter(f"Unrecognised filter value for health: {health}")


def _ports(name: str, values: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Read the values of a filter for ports (moby: portOp).

    Returns:
        Protocol, first and last port of each.

    Raises:
        EngineError: a value is none; 500, as in v20.10.
    """
    ports = []
    for value in values:
        if ":" in value:
            raise EngineError(f"filter for '{name}' should not contain ':': {value}")
        protocol, port = split_proto_port(value)
        try:
            ports.append((protocol, *parse_port_range(port)))
        except ValueError as error:
            raise EngineError(f"error while looking up for {name} {value}: {error}") from None
    return tuple(ports)


def _is_among(port: int, protocol: str, wanted: Sequence[tuple[str, int, int]]) -> bool:
    return any(protocol == one and first <= port <= last for one, first, last in wanted)


def _exit_code(text: str) -> int:
    try:
        return parse_int(text)
    except ValueError as error:
        raise EngineError(str(error)) from None


def _id_of(get_container: Callable[[str], Container], ref: str) -> str:
    """Return the id that begins so; a name is none (moby: idIndex.Get)."""
    found = get_container(ref).id
    return found if found.startswith(ref) else ""


def _found(refs: Sequence[str], find: Callable[[str], str]) -> frozenset[str]:
    """Return what the references name; those that name nothing are left out, as in v20.10."""
    found = set()
    for ref in refs:
        try:
            found.add(find(ref))
        except EngineError:
            continue
    return frozenset(found)


def _others(
    refs: Sequence[str], get_container: Callable[[str], Container]
) -> tuple[Container, ...]:
    found = []
    for ref in refs:
        try:
            found.append(get_container(ref))
        except NotFound:
            raise EngineError(f"no such container {ref}") from None
    return tuple(found)
