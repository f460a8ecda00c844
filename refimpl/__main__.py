"""The reference implementation as a program: `python -m refimpl`."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from refimpl.errors import EngineError
from refimpl.flags import parse_arguments
from refimpl.kernel.files import LinuxFiles
from refimpl.oci.runtime import become_subreaper, find_runtime
from refimpl.signals import Signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0 stopped by a signal, 1 could not start.

    A wrong command line is the exit code 2, as argparse has it.
    """
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
            f"sudo {sys.executable} -m refimpl",
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
