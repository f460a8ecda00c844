"""Containers that share another container's network namespace."""

from __future__ import annotations

from collections.abc import Callable

from refimpl.daemon.containers.container import Container
from refimpl.errors import EngineError


def namespace_owner(container: Container, get_container: Callable[[str], Container]) -> Container:
    """Follow `container:` modes to the container whose namespace is shared in the end.

    A joiner may join a joiner. A rename or a name that looks like an id can close a ring.

    Raises:
        NotFound: a container on the way does not exist.
        EngineError: the containers join each other in a ring.
    """
    seen = {container.id}
    while container.host_config.network_mode.is_container():
        container = get_container(container.host_config.network_mode.connected_container())
        if container.id in seen:
            raise EngineError("cannot join own network")
        seen.add(container.id)
    return container
