"""Legacy links on the default bridge: registered, listed, kept on disk.

A link is an edge from a container (the parent) to another (the child) under an alias. It gives the
parent a line in its hosts file and environment variables, and `<parent>/<alias>` is a name of the
child. The edges live in a graph of their own, and on disk in the parent's `links.json`.

Mirrors: moby daemon/{container_operations,container_operations_unix}.go (v20.10).
"""

from __future__ import annotations

import json
import logging
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.link_index import LinkIndex
from refimpl.daemon.containers.refusals import HOST_LINKS
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.containers.verify import verify_word
from refimpl.daemon.network.joined import namespace_owner
from refimpl.daemon.network.link_environment import link_environment
from refimpl.daemon.network.options import parse_link
from refimpl.errors import EngineError, InvalidParameter, NotFound
from refimpl.kernel.base import Files
from refimpl.model.network_mode import DEFAULT_NETWORK
from refimpl.model.wire_container import HostConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Links:
    """The links of all containers."""

    link_index: LinkIndex
    containers: ContainerRegistry
    files: Files

    def register_links(self, container: Container, host_config: HostConfig) -> None:
        """Resolve the links of a create request and remember them.

        Mirrors: moby daemon/daemon_unix.go registerLinks (v20.10).

        Raises:
            InvalidParameter: a container to link to is not there, or shares the host's network, or
                an alias would be two words in /etc/hosts.
            EngineError: a link is malformed.
        """
        if host_config.network_mode.is_user_defined():
            return
        for link in host_config.links or []:
            name, asked = parse_link(link)
            verify_word("link alias", asked)
            child = self._link_target(name)
            if child.host_config.network_mode.is_host():
                raise InvalidParameter(HOST_LINKS)
            alias = _alias_below(container.name, asked)
            if not alias or not self.link_index.link(container.id, alias, child):
                log.warning(
                    "error registering link for %s, to %s, as alias %s, ignoring: "
                    "the name is taken", container.id, child.id, asked,
                )  # fmt: skip
        # from here on the graph is the truth, and inspect reads it
        host_config.links = None

    def _link_target(self, name: str) -> Container:
        """Return the container that a link leads to: for a joiner, the one that it joins.

        Raises:
            InvalidParameter: a container is missing.
            EngineError: the containers join each other in a ring.
        """

        def look_up(ref: str) -> Container:
            try:
                return self.containers.get_container(ref)
            except EngineError as error:
                # moby begins the second text with a capital, and so does this
                complaint = "could" if ref == name else "Could"
                kind = InvalidParameter if isinstance(error, NotFound) else type(error)
                raise kind(f"{complaint} not get container for {ref}: {error}") from error

        return namespace_owner(look_up(name), look_up)

    def linked_children(self, container: Container) -> Iterator[tuple[str, Container]]:
        """Yield (alias, child) for every link of a container (moby: daemon.children)."""
        yield from self.link_index.children(container.id).items()

    def link_documents(self, container: Container) -> list[str] | None:
        """Return inspect's `HostConfig.Links`: `/child:/parent/alias`, or None without any."""
        return [
            f"{child.name}:{container.name}/{alias}"
            for alias, child in self.linked_children(container)
        ] or None

    def save_links(self, container: Container) -> None:
        """Write a container's links where `load_links` finds them after a restart."""
        children = self.link_index.children(container.id)
        document = {alias: child.id for alias, child in children.items()}
        path = str(PurePath(container.root, "links.json"))
        if document:
            self.files.write(path, json.dumps(document).encode())
        else:
            self.files.remove(path)

    def load_links(self, container: Container) -> None:
        """Read what `save_links` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            document = json.loads(self.files.read(str(PurePath(container.root, "links.json"))))
        except FileNotFoundError:
            return
        if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
            raise ValueError("links.json is no map of aliases to ids")
        for alias, child_id in document.items():
            try:
                self.link_index.link(container.id, alias, self.containers.get_container(child_id))
            except EngineError as error:
                log.warning("a link of container %s to %s: %s", container.id, child_id, error)

    def setup_linked_containers(self, container: Container) -> list[str]:
        """Return the environment variables that a container's links give it.

        Mirrors: moby daemon/container_operations_unix.go setupLinkedContainers (v20.10).

        Raises:
            EngineError: a linked container does not run.
        """
        networks = container.network_settings.networks or {}
        if DEFAULT_NETWORK not in networks:
            return []
        environment: list[str] = []
        for alias, child in self.linked_children(container):
            full_alias = f"{container.name}/{alias}"
            if not child.state.running:
                raise EngineError(
                    f"Cannot link to a non running container: {child.name} AS {full_alias}"
                )
            entry = (child.network_settings.networks or {}).get(DEFAULT_NETWORK)
            if entry is not None:
                short = short_alias(alias)
                environment += link_environment(short, full_alias, child, entry.settings.ip_address)
        return environment


def short_alias(alias: str) -> str:
    """Return the last part of an alias, the one that files and variables have."""
    return alias.rpartition("/")[2]


def _alias_below(parent_name: str, alias: str) -> str:
    """Return an alias as a path below its parent's name; "" where it leads elsewhere.

    Outside its parent an alias would be another container's name. Docker 20.10 takes it for one
    where nobody has that name; here such a link is left out, as one whose name is taken.

    Mirrors: moby daemon/links.go registerLink: path.Join(parent.Name, alias) (v20.10).
    """
    full = posixpath.normpath(f"{parent_name}/{alias}")
    below = f"{parent_name}/"
    return full.removeprefix(below) if full.startswith(below) else ""
