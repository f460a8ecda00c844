"""The reference's program: composes the engine, serves, and cleans up."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from refimpl.api.server import Listener, Server
from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.daemon import Daemon, Services, database_path
from refimpl.daemon.events.metrics import Metrics
from refimpl.daemon.pid_file import write_pid_file
from refimpl.flags import metrics_address, naming, socket_path
from refimpl.kernel.descriptors import raise_descriptor_limit
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.firewall import TableClaim
from refimpl.kernel.linux import LinuxKernel
from refimpl.libnetwork.controller import new_id, utc_now
from refimpl.libnetwork.store import SQLiteStore
from refimpl.limits import DESCRIPTORS_WANTED
from refimpl.oci.runtime import OciRuntime
from refimpl.signals import STOP, Signals

log = logging.getLogger("refimpl")


def configure(options: argparse.Namespace) -> DaemonConfig:
    """Return the daemon's settings."""
    return DaemonConfig(
        data_root=str(Path(options.data_root).absolute()),
        exec_root=str(Path(options.exec_root).absolute()),
        bridge=options.bridge,
        bip=options.bip,
        default_gateway=options.default_gateway,
        fixed_cidr=options.fixed_cidr,
        ipv6=options.ipv6 == "true",
        fixed_cidr_v6=options.fixed_cidr_v6,
        default_gateway_v6=options.default_gateway_v6,
        default_address_pools=tuple(options.default_address_pool),
        mtu_bytes=options.mtu,
        icc=options.icc == "true",
        ip_masq=options.ip_masq == "true",
        default_ip=options.ip,
        userland_proxy=options.userland_proxy == "true",
        dns=tuple(options.dns),
        dns_search=tuple(options.dns_search),
        dns_options=tuple(options.dns_opt),
    )


def run(
    options: argparse.Namespace,
    find_runtime: Callable[[], OciRuntime],
    signals: Signals,
) -> None:
    """Compose the engine, serve until a signal ends it, and clean up.

    When it serves, garbage is collected again: while the program is loaded, which makes nothing but
    what stays, the caller should have switched that off.

    Args:
        options: of the command line.
        find_runtime: returns the OCI runtime.
        signals: what ends it.

    Raises:
        EngineError, OSError: it cannot start; the text says why.
    """
    config = configure(options)
    raise_descriptor_limit(DESCRIPTORS_WANTED)

    with contextlib.ExitStack() as at_end:
        # what can be refused comes before the kernel is touched: a failed start leaves nothing
        with naming("--host", options.host):
            listener = Listener(socket_path(options.host))
        at_end.callback(listener.close)
        metrics = Metrics()
        at_end.callback(metrics.close)
        if options.metrics_addr:
            with naming("--metrics-addr", options.metrics_addr):
                metrics.serve(*metrics_address(options.metrics_addr))
        claim = TableClaim(config.data_root)
        at_end.callback(claim.release)
        kernel = LinuxKernel(firewall_table=claim.table)
        at_end.callback(kernel.close)
        files = LinuxFiles()
        for flag, root in (("--data-root", config.data_root), ("--exec-root", config.exec_root)):
            with naming(flag, root):
                files.make_directory(root)
        chosen = naming("--runtime", options.runtime) if options.runtime else None
        with chosen or contextlib.nullcontext():
            runtime = find_runtime()
        daemon = Daemon(
            Services(
                config=config,
                kernel=kernel,
                files=files,
                runtime=runtime,
                open_store=lambda: SQLiteStore(database_path(config.data_root)),
                clock=utc_now,
                new_id=new_id,
                metrics=metrics,
            )
        )
        at_end.callback(daemon.close)
        if options.pidfile:
            with naming("--pidfile", options.pidfile):
                write_pid_file(options.pidfile, files)
            at_end.callback(files.remove, options.pidfile)
        claim.remove_other_table()
        daemon.load()
        boot = Boot(daemon)
        server = Server(daemon, listener)
        at_end.callback(server.close)
        log.info("API listen on %s", listener.path)
        boot.begin()
        at_end.callback(boot.end)
        wait_for_the_end(signals)
    if boot.failure is not None:
        raise boot.failure


class Boot:
    """The part of a boot that runs behind the API, on a thread of its own.

    Attributes:
        failure: why the engine cannot run; the program is then ended by a SIGTERM to itself.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="boot", daemon=True)

    def begin(self) -> None:
        """Start it."""
        self._thread.start()

    def end(self) -> None:
        """Let it break off, and wait until it has."""
        self.daemon.begin_shutdown()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.daemon.restore()
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing can be served
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)
            return
        for library in ("refimpl.daemon.events.exposition", "refimpl.libnetwork.dns_library"):
            importlib.import_module(library)  # each says why not before
        # what is there by now stays: a collection that looked at it would hold up a start
        gc.collect()
        gc.freeze()
        gc.enable()
        self.daemon.start_again()


def wait_for_the_end(signals: Signals) -> None:
    """Return when a signal ends the program; SIGUSR1 writes every thread's stack to the log.

    SIGHUP makes dockerd read its configuration file again. There is none here.
    """
    while (received := signals.wait()) not in STOP:
        if received == signal.SIGUSR1:
            log.info("stacks of all threads:\n%s", stacks())
        else:
            log.info("Got signal to reload configuration, there is none to reload")
    log.info("Processing signal '%s'", received.name)


def stacks() -> str:
    """Return the stacks of all threads."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )
