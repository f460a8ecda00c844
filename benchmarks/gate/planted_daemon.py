"""`python -m refimpl`, after two words that say what to add to every allocate."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.gate.plant import Plant
from refimpl import __main__ as program
from refimpl.daemon.daemon import Daemon


def main() -> int:
    """Run the program with the slowdown planted, if there is one."""
    plant = Plant.from_arguments(sys.argv[1:3])
    if plant != Plant():
        allocate = Daemon.allocate_network

        def slower(self: Daemon, *arguments: Any, **options: Any) -> None:
            allocate(self, *arguments, **options)
            plant.spend()

        setattr(Daemon, "allocate_network", slower)  # noqa: B010 - mypy holds methods for constant
    return program.main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
