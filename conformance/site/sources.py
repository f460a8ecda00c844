"""The test of a row as it stands in the tree."""

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

from conformance.registry import Behaviour

_PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a test is, and its text."""

    path: str
    line: int
    function: str
    text: str


def source_of(row: Behaviour) -> Source | None:
    """Give the test of a row; None = its text cannot be had."""
    module, _, name = row.function.partition(":")
    function = getattr(sys.modules.get(module), name, None)
    if function is None:
        return None
    try:
        lines, line = inspect.getsourcelines(function)
        path = Path(inspect.getsourcefile(function) or "").resolve()
    except (OSError, TypeError):
        return None
    if not path.is_relative_to(_PROJECT):
        return None
    shown = path.relative_to(_PROJECT).as_posix()
    return Source(path=shown, line=line, function=name, text="".join(lines).rstrip())
