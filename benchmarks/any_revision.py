"""The reference's daemon in process, of this revision or of an older one.

The gate and the history run these benchmarks on other revisions' `refimpl`. Until 27 Nov 2026 the
daemon was one object whose constructor took no store, and its services were in another module.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refimpl.daemon import daemon as daemon_module
from refimpl.daemon.config import DaemonConfig
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.linux import LinuxKernel
from refimpl.libnetwork.store import SQLiteStore
from refimpl.oci import runtime as runtime_module


@dataclass(frozen=True, slots=True, kw_only=True)
class BootedDaemon:
    """A daemon, and what the benchmarks call of it.

    Attributes:
        daemon: answers the calls of the API (`container_create`, `network_create`, ...).
        get_container: finds a container by its id.
        allocate_network: what is measured.
        release_network: undoes it.
        expect_start: what a start does when it is over; nothing where allocate does it itself.
    """

    daemon: Any
    get_container: Callable[[str], Any]
    allocate_network: Callable[[Any], None]
    release_network: Callable[[Any], None]
    expect_start: Callable[[], None]


def boot(
    data_root: str, exec_root: str, clock: Callable[[], Any], make_id: Callable[[], str]
) -> BootedDaemon:
    """Boot a daemon on the real kernel, store and files."""
    module: Any = daemon_module
    kernel = LinuxKernel()
    services = {
        "config": DaemonConfig(data_root=data_root, exec_root=exec_root),
        "kernel": kernel,
        "files": LinuxFiles(),
        "runtime": _find_runtime(f"{exec_root}/runtime"),
        "clock": clock,
        "new_id": make_id,
    }
    path = module.database_path(data_root)
    if "store" in inspect.signature(module.Daemon.boot).parameters:
        core: Any = importlib.import_module("refimpl.daemon.core")
        daemon = module.Daemon(core.Services(**services))
        daemon.boot(SQLiteStore(path))
        return BootedDaemon(
            daemon=daemon,
            get_container=daemon.get_container,
            allocate_network=daemon.allocate_network,
            release_network=daemon.release_network,
            expect_start=lambda: None,
        )
    daemon = module.Daemon(module.Services(**services, open_store=lambda: SQLiteStore(path)))
    daemon.boot()
    return BootedDaemon(
        daemon=daemon,
        get_container=daemon.containers.get_container,
        allocate_network=daemon.networking.allocate_network,
        release_network=daemon.networking.release_network,
        expect_start=kernel.expect_sandbox,
    )


def _find_runtime(root: str) -> Any:
    find: Any = runtime_module.find_runtime
    if "read_inside" in inspect.signature(find).parameters:
        return find(root, LinuxFiles().read_inside)
    return find(root)
