"""The reference implementation as a program: `python -m refimpl`."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from refimpl.errors import EngineError
from refimpl.kernel.files import LinuxFiles
from refimpl.oci.runtime import become_subreaper, find_runtime
from refimpl.signals import Signals

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
    signals = Signals()
    become_subreaper()
    try:
        with ThreadPoolExecutor(1) as meanwhile:
            # the runtime tells its version while the rest of the program is loaded
            root = str(Path(options.exec_root).absolute() / "runtime")
            runtime = meanwhile.submit(
                find_runtime, root, LinuxFiles().read_inside, options.runtime
            )
            gc.disable()  # until the API listens: a tenth of the time that all this takes
            from refimpl.program import run  # noqa: PLC0415

            run(options, runtime.result, signals)
    except (EngineError, OSError, ValueError) as error:
        print(f"netinit could not start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
