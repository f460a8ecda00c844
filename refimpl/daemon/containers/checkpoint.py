"""Writing a container's two documents.

Mirrors: moby container/container.go CheckpointTo, WriteHostConfig (v20.10).
"""

from __future__ import annotations

import copy
import json

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import guarded
from refimpl.kernel.base import Files
from refimpl.model.wire import have_same_fields

_JSON = json.JSONEncoder(separators=(",", ":"))


class Checkpoints:
    """Writes `config.v2.json` and `hostconfig.json`; the caller holds the container's lock."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def checkpoint_to(self, container: Container) -> None:
        """Write both of a container's documents, and what is listed of it (moby: CheckpointTo)."""
        self._files.write(
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
        self._files.write(f"{container.root}/hostconfig.json", written[1])
        container.written_host_config = written

    def try_checkpoint(self, container: Container) -> None:
        """Write a container's documents where a failure must not stop what is going on."""
        guarded("store", container, lambda: self.checkpoint_to(container))
