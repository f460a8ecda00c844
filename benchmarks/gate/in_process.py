"""Worker of the gate: the reference in process, with ten containers per network.

Run by `benchmarks.worker.Worker` in a network and a mount namespace of its own; the argument is a
directory to work in.
"""

from __future__ import annotations

import gc
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.exec_root import mount_in_memory
from benchmarks.gate import serving
from benchmarks.inprocess import InProcess


class InProcessAllocator:
    """`serving.Allocator` on the reference's own `allocate_network`."""

    def __init__(self, reference: InProcess) -> None:
        """Create the containers."""
        self._pool = ThreadPoolExecutor(serving.BATCH)
        self._reference = reference
        self._containers = {
            network: [reference.create(f"{network}{index}", mode) for index in range(serving.BATCH)]
            for network, mode in serving.NETWORK_MODES.items()
        }

    @property
    def cpu_pid(self) -> int:
        """This process."""
        return os.getpid()

    @property
    def works_in_caller(self) -> bool:
        """Yes."""
        return True

    def allocate(self, network: str, index: int) -> None:
        """Allocate the network of a container."""
        container = self._containers[network][index]
        with container.lock:
            self._reference.booted.allocate_network(container)
        self._reference.booted.expect_start()

    def release(self, allocated: list[tuple[str, int]]) -> None:
        """Release all of them at once: most of a release is waiting for the kernel."""
        list(self._pool.map(self._release, allocated))

    def _release(self, which: tuple[str, int]) -> None:
        network, index = which
        container = self._containers[network][index]
        with container.lock:
            self._reference.booted.release_network(container)


def main() -> int:
    """Serve until the standard input ends."""
    directory = Path(sys.argv[1])
    mount_in_memory(directory / "exec")
    reference = InProcess(directory)
    try:
        allocator = InProcessAllocator(reference)
        gc.freeze()  # as the program does when it has booted
        serving.serve(allocator)
    finally:
        reference.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
