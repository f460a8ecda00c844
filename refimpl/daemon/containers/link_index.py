"""The graph of legacy links: who links to whom, under which alias.

Mirrors: moby daemon/links.go (v20.10).
"""

from __future__ import annotations

import threading

from refimpl.daemon.containers.container import Container


class LinkIndex:
    """The edges: (parent id, alias) to child; safe to use from many threads.

    An edge to a container that was removed stays with its parent, is shown, and keeps the parent
    from starting; but its alias is no name any more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._edges: dict[tuple[str, str], Container] = {}
        self._dangling: dict[tuple[str, str], Container] = {}

    def link(self, parent_id: str, alias: str, child: Container) -> bool:
        """Add an edge; False: the parent has one of this alias, and that one stays."""
        with self._lock:
            return self._edges.setdefault((parent_id, alias), child) is child

    def unlink(self, parent_id: str, alias: str) -> bool:
        """Remove an edge; tell whether there was one."""
        with self._lock:
            return self._edges.pop((parent_id, alias), None) is not None

    def forget(self, container_id: str) -> None:
        """Remove the edges that a removed container had, and let those to it dangle."""
        with self._lock:
            for edge, child in [*self._edges.items(), *self._dangling.items()]:
                if edge[0] == container_id:
                    self._edges.pop(edge, None)
                    self._dangling.pop(edge, None)
                elif child.id == container_id and edge in self._edges:
                    self._dangling[edge] = self._edges.pop(edge)

    def children(self, parent_id: str) -> dict[str, Container]:
        """Return what a container links to: alias to child."""
        with self._lock:
            edges = [*self._edges.items(), *self._dangling.items()]
        return {alias: child for (parent, alias), child in edges if parent == parent_id}

    def parents(self, child_id: str) -> list[tuple[str, str]]:
        """Return who links to a container, as (alias, parent id)."""
        with self._lock:
            return [
                (alias, parent)
                for (parent, alias), child in self._edges.items()
                if child.id == child_id
            ]

    def child(self, parent_id: str, alias: str) -> Container | None:
        """Return the container that an alias is a name of."""
        with self._lock:
            return self._edges.get((parent_id, alias))
