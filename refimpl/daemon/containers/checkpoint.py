"""Writing a container's two documents.

Mirrors: moby container/container.go CheckpointTo, WriteHostConfig (v20.10).
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable

from refimpl.daemon.containers.container import Container
from refimpl.errors import EngineError
from refimpl.kernel.base import Files
from refimpl.model.wire import have_same_fields

log = logging.getLogger(__name__)

RETRY_S = 5.0
"""How long after a failed write the next try comes, for instance on a full disk."""
_JSON = json.JSONEncoder(separators=(",", ":"))


class Checkpoints:
    """Writes `config.v2.json` and `hostconfig.json`; the caller holds the container's lock.

    Args:
        files: writes.
        later: calls something on another thread after so many seconds.
    """

    def __init__(self, files: Files, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._files = files
        self._later = later

    def checkpoint_to(self, container: Container) -> None:
        """Write both of a container's documents, and what is listed of it (moby: CheckpointTo).

        What is listed is true also where the disk is full, unlike in moby.
        """
        container.listed = container.snapshot()
        self._files.write(
            f"{container.root}/config.v2.json",
            _JSON.encode(container.document()).encode(),
            mode=0o600,
        )
        self.write_host_config(container)
        container.is_unwritten = False

    def write_host_config(self, container: Container) -> None:
        """Write `hostconfig.json` (moby: Container.WriteHostConfig)."""
        written = container.written_host_config
        # every start writes it, and nearly always the same; to compare takes less than to encode
        if written is None or not have_same_fields(written[0], container.host_config):
            encoded = _JSON.encode(container.host_config.to_wire()).encode()
            written = copy.deepcopy(container.host_config), encoded
        self._files.write(f"{container.root}/hostconfig.json", written[1])
        container.written_host_config = written

    def try_checkpoint(self, container: Container) -> None:
        """Write a container's documents where a failure must not stop what is going on.

        A failed write is tried again every RETRY_S seconds until one succeeds.
        """
        try:
            self.checkpoint_to(container)
        except (OSError, EngineError) as error:
            log.error("container %s could not be written down: %s", container.id, error)
            if not container.is_unwritten:
                container.is_unwritten = True
                self._later(RETRY_S, lambda: self._retry(container))

    def _retry(self, container: Container) -> None:
        with container.lock:
            if container.is_unwritten and not container.ends.is_removed:
                container.is_unwritten = False
                self.try_checkpoint(container)
