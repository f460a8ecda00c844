"""The containers that the daemon knows, by id and by name.

Mirrors: moby daemon/{container,names}.go, container/view.go (v20.10).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.verify import verify_name
from refimpl.errors import Conflict, EngineError, InvalidParameter, NotFound


class ContainerRegistry:
    """The containers by id and by name; safe to use from many threads.

    Args:
        link_index: the legacy links, whose aliases are names too.
    """

    def __init__(self, link_index: LinkIndex) -> None:
        self._link_index = link_index
        self._lock = threading.Lock()
        self._by_id: dict[str, Container] = {}
        self._names: dict[str, str] = {}

    def reserve_name(self, container_id: str, name: str) -> str:
        """Take a name for a container and return it with its slash (moby: reserveName).

        Raises:
            InvalidParameter: it is no name.
            Conflict: another container has it.
        """
        verify_name(name)
        name = f"/{name.removeprefix('/')}"
        with self._lock:
            holder = self._names.setdefault(name, container_id)
        if holder != container_id:
            raise Conflict(
                f'Conflict. The container name "{name}" is already in use by container '
                f'"{holder}". You have to remove (or rename) that container to be able to reuse '
                "that name."
            )
        return name

    def release_name(self, name: str) -> None:
        """Give a name back (moby: releaseName)."""
        with self._lock:
            self._names.pop(name, None)

    def add(self, container: Container) -> None:
        """Make a container known."""
        with self._lock:
            self._by_id[container.id] = container

    def discard(self, container: Container) -> None:
        """Forget a container and every name of it."""
        with self._lock:
            self._by_id.pop(container.id, None)
            for name in [name for name, owner in self._names.items() if owner == container.id]:
                del self._names[name]

    def __iter__(self) -> Iterator[Container]:
        with self._lock:
            return iter(list(self._by_id.values()))

    def get_container(self, ref: str) -> Container:
        """Return a container by full id, name, or prefix of its id, or by `<parent>/<alias>`.

        Mirrors: moby daemon/container.go GetContainer (v20.10).

        Raises:
            InvalidParameter: the reference is empty.
            NotFound: there is none.
            EngineError: the prefix fits several.
        """
        if not ref:
            raise InvalidParameter('invalid name or ID supplied: ""')
        # an alias may have slashes of its own, a name has none
        parent_name, _, alias = ref.strip("/").partition("/")
        if not alias:
            return self._get(ref)
        try:
            parent = self._get(parent_name)
        except EngineError:
            parent = None
        child = self._link_index.child(parent.id, alias) if parent is not None else None
        if child is None or parent is None or parent.name != f"/{parent_name}":
            raise NotFound(f"No such container: {ref}")
        return child

    def _get(self, ref: str) -> Container:
        with self._lock:
            found = self._by_id.get(ref)
            if found is None:
                name = ref if ref.startswith("/") else f"/{ref}"
                found = self._by_id.get(self._names.get(name, ""))
            if found is not None:
                return found
            fits = [one for key, one in self._by_id.items() if ref and key.startswith(ref)]
        if len(fits) > 1:
            raise EngineError(f"Multiple IDs found with provided prefix: {ref}")
        if not fits:
            raise NotFound(f"No such container: {ref}")
        return fits[0]
