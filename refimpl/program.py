"""The reference's program: composes the engine, serves, and cleans up."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from refimpl.api.server import Listener, Server
from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.core import Services
from refimpl.daemon.daemon import Daemon, database_path
from refimpl.daemon.metrics import Metrics
from refimpl.daemon.pid_file import write_pid_file
from refimpl.errors import EngineError
from refimpl.kernel.descriptors import raise_descriptor_limit
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.firewall import TableClaim
from refimpl.kernel.linux import LinuxKernel
from refimpl.libnetwork.controller import new_id, utc_now
from refimpl.libnetwork.store import SQLiteStore
from refimpl.limits import DESCRIPTORS_WANTED
from refimpl.oci.runtime import OciRuntime

log = logging.getLogger("refimpl")


def configure(options: argparse.Namespace) -> DaemonConfig:
    """Return the daemon's settings."""
    return DaemonConfig(
        data_root=str(Path(options.data_root).absolute()),
        exec_root=str(Path(options.exec_root).absolute()),
        bridge=options.bridge,
        bip=options.bip,
        fixed_cidr=options.fixed_cidr,
        mtu_bytes=options.mtu,
        icc=options.icc == "true",
        dns=tuple(options.dns),
        dns_search=tuple(options.dns_search),
        dns_options=tuple(options.dns_opt),
    )


def socket_path(host: str) -> Path:
    """Return the path of a unix:// address.

    Raises:
        EngineError: it is an address of another kind.
    """
    scheme, separator, path = host.partition("://")
    if separator and scheme != "unix":
        raise EngineError(f"cannot listen on {host}: only unix:// sockets are served")
    return Path(path if separator else host)


def run(
    options: argparse.Namespace,
    find_runtime: Callable[[], OciRuntime],
    stop_signals: set[signal.Signals],
) -> None:
    """Compose the engine, serve until a signal ends it, and clean up.

    When it serves, garbage is collected again: while the program is loaded, which makes nothing but
    what stays, the caller should have switched that off.

    Args:
        options: of the command line.
        find_runtime: returns the OCI runtime.
        stop_signals: what ends it; blocked in every thread.

    Raises:
        EngineError, OSError: it cannot start; the text says why.
    """
    config = configure(options)
    raise_descriptor_limit(DESCRIPTORS_WANTED)

    with contextlib.ExitStack() as at_end:
        # what can be refused comes before the kernel is touched: a failed start leaves nothing
        listener = Listener(socket_path(options.host))
        at_end.callback(listener.close)
        metrics = Metrics()
        at_end.callback(metrics.close)
        if options.metrics_addr:
            metrics.serve(options.metrics_addr)
        claim = TableClaim(config.data_root)
        at_end.callback(claim.release)
        kernel = LinuxKernel(firewall_table=claim.table)
        at_end.callback(kernel.close)
        files = LinuxFiles()
        daemon = Daemon(
            Services(
                config=config,
                kernel=kernel,
                files=files,
                runtime=find_runtime(),
                clock=utc_now,
                new_id=new_id,
                metrics=metrics,
            )
        )
        at_end.callback(daemon.close)
        if options.pidfile:
            write_pid_file(options.pidfile, files)
            at_end.callback(files.remove, options.pidfile)
        claim.remove_other_table()
        daemon.boot(SQLiteStore(database_path(config.data_root)))
        server = Server(daemon, listener)
        at_end.callback(server.close)
        log.info("API listen on %s", listener.path)
        for library in ("refimpl.daemon.exposition", "refimpl.libnetwork.dns_library"):
            importlib.import_module(library)  # each says why not before
        # what is there by now stays: a collection that looked at it would hold up a start for 9 ms
        gc.collect()
        gc.freeze()
        gc.enable()
        received = signal.sigwait(stop_signals)
        log.info("Processing signal '%s'", signal.Signals(received).name)
