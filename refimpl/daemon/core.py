"""What every part of the daemon stands on: its services, its containers, its checkpoints.

The daemon is one object, as in moby, written down in parts: each part is a class that builds on
the parts it calls, and `daemon.Daemon` is all of them together. This is the part below all others.

Mirrors: moby daemon/{daemon,container,checkpoint,events}.go (v20.10).
"""

from __future__ import annotations

import copy
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.events import Events
from refimpl.daemon.metrics import Metrics
from refimpl.daemon.network_lookup import find_network
from refimpl.errors import Conflict, EngineError, NotFound
from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.controller import Controller
from refimpl.libnetwork.network import Network
from refimpl.model.container import Container
from refimpl.model.wire import have_same_fields
from refimpl.oci.base import Runtime

log = logging.getLogger(__name__)

DEFAULT_NETWORK = "bridge"
"""runconfig.DefaultDaemonNetworkMode().NetworkName() on Linux."""

_JSON = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a daemon is composed of; a test may hand in wrapped ones."""

    config: DaemonConfig
    kernel: Kernel
    files: Files
    runtime: Runtime
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    metrics: Metrics = field(default_factory=Metrics)


class ContainerRegistry:
    """The containers by id and by name; safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, Container] = {}
        self._names: dict[str, str] = {}

    def reserve(self, name: str, container_id: str) -> str | None:
        """Take a name (with its slash); return the id of the container that has it, or None."""
        with self._lock:
            holder = self._names.setdefault(name, container_id)
            return None if holder == container_id else holder

    def release(self, name: str) -> None:
        """Give a name back."""
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

    def get(self, ref: str) -> Container:
        """Return a container by full id, by name, or by a prefix of its id, in this order.

        Raises:
            NotFound: there is none.
            EngineError: the prefix fits several.
        """
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


class DaemonCore:
    """The services, and what all parts of the daemon share."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.config = services.config
        self.files = services.files
        self.kernel = services.kernel
        self.runtime = services.runtime
        self.clock = services.clock
        self.new_id = services.new_id
        self.network_actions = services.metrics.network_actions
        self.events = Events(services.clock)
        self.containers = ContainerRegistry()
        self.net_controller: Controller | None = None
        self.shutting_down = threading.Event()
        self.workers = ThreadPoolExecutor(max_workers=16, thread_name_prefix="daemon")

    def get_container(self, ref: str) -> Container:
        """Return a container by name, id, or id prefix (moby: GetContainer)."""
        return self.containers.get(ref)

    def controller(self) -> Controller:
        """Return the network controller where there must be one."""
        if self.net_controller is None:
            raise EngineError("network controller is not initialized")
        return self.net_controller

    def find_network(self, ref: str) -> Network:
        """Return a network by full id, by name, or by a unique prefix of its id.

        Mirrors: moby daemon/network.go FindNetwork (v20.10).

        Raises:
            NotFound: there is none.
            InvalidParameter: several have this name, or this prefix.
        """
        return find_network(self.controller(), ref)

    def checkpoint_to(self, container: Container) -> None:
        """Write both of a container's documents, and what is listed of it (moby: CheckpointTo)."""
        self.files.write(
            f"{container.root}/config.v2.json",
            _JSON.encode(container.document()).encode(),
            mode=0o600,
        )
        self.write_host_config(container)
        container.listed = container.snapshot()

    def write_host_config(self, container: Container) -> None:
        """Write `hostconfig.json` (moby: Container.WriteHostConfig)."""
        written = container.written_host_config
        # every start writes it, and nearly always the same; to compare takes less than to encode
        if written is None or not have_same_fields(written[0], container.host_config):
            encoded = _JSON.encode(container.host_config.to_wire()).encode()
            written = copy.deepcopy(container.host_config), encoded
        self.files.write(f"{container.root}/hostconfig.json", written[1])
        container.written_host_config = written

    def log_container_event(
        self, container: Container, action: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Tell that something happened to a container; its labels are attributes too."""
        self.events.log(
            "container",
            action,
            container.id,
            {
                **(container.config.labels or {}),
                **(attributes or {}),
                "image": container.config.image,
                "name": container.name.removeprefix("/"),
            },
        )

    def log_network_event(
        self, network: Network, action: str, attributes: Mapping[str, str] | None = None
    ) -> None:
        """Tell that something happened to a network."""
        self.events.log(
            "network",
            action,
            network.id,
            {**(attributes or {}), "name": network.name, "type": network.type},
        )


def is_running(container: Container) -> bool:
    """Tell under its lock whether a container runs, restarts or is paused."""
    with container.lock:
        return container.state.running


def removal_conflict(container: Container) -> Conflict:
    """Build the refusal to network a dying container (moby: errRemovalContainer)."""
    return Conflict(
        f"Container {container.id} is marked for removal and cannot be connected or "
        "disconnected to the network"
    )
