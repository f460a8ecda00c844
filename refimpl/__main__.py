"""The reference implementation as a program: `python -m refimpl`."""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from refimpl.api.server import Listener, Server
from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.core import Services
from refimpl.daemon.daemon import Daemon, database_path
from refimpl.daemon.metrics import Metrics
from refimpl.errors import EngineError
from refimpl.kernel.descriptors import raise_descriptor_limit
from refimpl.kernel.files import LinuxFiles
from refimpl.kernel.firewall import TableClaim
from refimpl.kernel.linux import LinuxKernel
from refimpl.libnetwork.controller import new_id, utc_now
from refimpl.libnetwork.store import SQLiteStore
from refimpl.limits import DESCRIPTORS_WANTED
from refimpl.oci.runtime import become_subreaper, find_runtime

log = logging.getLogger("refimpl")

_STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}

DESCRIPTION = """\
The netinit reference implementation: a container engine that gives containers their network the
way Docker 20.10 does. It serves the Docker Engine API on a unix socket, so that the docker CLI
and the docker SDK work with it:

    python -m refimpl &
    docker -H unix:///run/netinit.sock info

It needs root, runc or crun, and nftables. The flags are dockerd's own."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m refimpl",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_daemon_flags(parser)
    _add_network_flags(parser.add_argument_group("network"))
    return parser.parse_args(arguments)


def _add_daemon_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    # fmt: off
    add("-H", "--host", default="unix:///run/netinit.sock", metavar="unix://PATH",
        help="socket to listen on (default: %(default)s)")
    add("--data-root", default="/var/lib/netinit", metavar="DIR",
        help="images, containers and networks are kept here (default: %(default)s)")
    add("--exec-root", default="/run/netinit", metavar="DIR",
        help="namespaces and bundles of running containers (default: %(default)s)")
    add("-p", "--pidfile", metavar="FILE", help="write the daemon's process id here")
    add("--metrics-addr", metavar="HOST:PORT", help="serve Prometheus metrics at /metrics there")
    add("--runtime", metavar="PROGRAM",
        help="OCI runtime: runc, crun or a path (default: the first of these that works)")
    add("-l", "--log-level", default="info", choices=("debug", "info", "warn", "error", "fatal"),
        help="what is logged on standard error (default: %(default)s)")
    # fmt: on


def _add_network_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    # fmt: off
    add("-b", "--bridge", default="", metavar="NAME",
        help="bridge for the default network; 'none' runs without a default network")
    add("--bip", default="", metavar="CIDR", help="the default bridge's own address")
    add("--fixed-cidr", default="", metavar="CIDR",
        help="the default bridge gives out addresses of this part of its subnet")
    add("--mtu", type=int, default=1500, metavar="BYTES",
        help="MTU of the default bridge (default: %(default)s)")
    add("--icc", default="true", choices=("true", "false"),
        help="let containers on the default bridge talk to each other (default: %(default)s)")
    add("--dns", action="append", default=[], metavar="ADDRESS",
        help="name server for containers, instead of the host's; may be repeated")
    add("--dns-search", action="append", default=[], metavar="DOMAIN",
        help="search domain for containers; may be repeated")
    add("--dns-opt", action="append", default=[], metavar="OPTION",
        help="resolver option for containers; may be repeated")
    # fmt: on


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


def run(options: argparse.Namespace) -> None:
    """Compose the engine, serve until a signal ends it, and clean up.

    Raises:
        EngineError, OSError: it cannot start; the text says why.
    """
    config = configure(options)
    # both are for the whole process, and before the first thread
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    become_subreaper()
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
                runtime=find_runtime(config.exec("runtime"), options.runtime),
                clock=utc_now,
                new_id=new_id,
                metrics=metrics,
            )
        )
        at_end.callback(daemon.close)
        if options.pidfile:
            at_end.callback(files.remove, options.pidfile)
            files.write(options.pidfile, f"{os.getpid()}\n".encode())
        claim.remove_other_table()
        daemon.boot(SQLiteStore(database_path(config.data_root)))
        # what is there by now stays: a collection that looked at it would hold up a start for 9 ms
        gc.freeze()
        server = Server(daemon, listener)
        at_end.callback(server.close)
        log.info("API listen on %s", listener.path)
        received = signal.sigwait(_STOP_SIGNALS)
        log.info("Processing signal '%s'", signal.Signals(received).name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0 stopped by a signal, 1 could not start."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    levels = {"warn": logging.WARNING, "fatal": logging.CRITICAL}
    logging.basicConfig(
        level=levels.get(options.log_level, options.log_level.upper()),
        format="time=%(asctime)s level=%(levelname)s logger=%(name)s %(message)s",
        stream=sys.stderr,
    )
    if os.geteuid() != 0:
        print(
            "netinit needs root: it makes network namespaces, bridges and mounts. Try: "
            "sudo python -m refimpl",
            file=sys.stderr,
        )
        return 1
    try:
        run(options)
    except (EngineError, OSError, ValueError) as error:
        print(f"netinit could not start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
