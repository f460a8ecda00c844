"""Giving back what a run of a container had.

Mirrors: moby daemon/start.go Cleanup (v20.10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from refimpl.daemon.containers.container import Container
from refimpl.daemon.containers.guard import guarded
from refimpl.daemon.lifecycle.root_filesystem import RootFilesystems
from refimpl.oci.base import Runtime


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cleanup:
    """Gives back a run's network, runtime state, mount and execs.

    Attributes:
        release_network: takes the container off its networks.
        forget_execs: forgets the execs that were not started in the run.
    """

    release_network: Callable[[Container], None]
    runtime: Runtime
    root_filesystems: RootFilesystems
    forget_execs: Callable[[Container], None]

    def cleanup(self, container: Container) -> None:
        """Give back what a run had (moby: Cleanup).

        Goes on past errors, which are logged: the next start or boot finds what is left.
        """
        guarded("release network", container, lambda: self.release_network(container))
        guarded("delete", container, lambda: self.runtime.delete(container.id))
        guarded("unmount", container, lambda: self.root_filesystems.unmount(container))
        self.forget_execs(container)
