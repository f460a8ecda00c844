"""Which worker runs which rows: an engine's rows in one worker, or in several parts.

A worker has an instance of its own of every engine whose rows it runs, so that the rows of one
instance run one after the other. Of an engine at an address there is but the one: there a worker is
to the others what a second run beside them is.

pytest-xdist's own `loadgroup` marks the group in a node's id, which pytest 9.2 does not let it do
any more: groups are silently torn apart. So the group is read from the test's parameter instead.
"""

import re
from urllib.parse import quote, unquote

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # ships no types

# These rows look at one set-up, whose making takes far longer than they do.
ONE_SET_UP = "upgrade."
# The row is closed, too: the values of its parameters follow it, after a hyphen as rows have them.
# What of an engine's address or path stands in a test's id as it is; the rest is quoted.
_SAFE = "/:.@+~=,"
_GROUP = re.compile(r"<([^<>]+)><([a-z0-9.-]*)>")


def engine_id(spec: str, behaviour: str = "") -> str:
    """Give the id of the test parameter that names an engine, and the row for who only sees ids."""
    return f"<{quote(spec, safe=_SAFE)}><{behaviour}>"


def engine_of(nodeid: str) -> str:
    """Read the engine out of a test's id; "" = none is named."""
    match = _GROUP.search(nodeid)
    return unquote(match[1]) if match else ""


def behaviour_in(nodeid: str) -> str:
    """Read the row's id out of a test's id; "" = none is named."""
    match = _GROUP.search(nodeid)
    return match[2] if match else ""


class EngineScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist ships no types
    """Hands out the rows of one engine in so many pieces of work as `--netinit-parts` says."""

    def _split_scope(self, nodeid: str) -> str:
        """Give the piece of work that a test belongs to; all tests of a row are in the same one."""
        option, row = self.config.option, behaviour_in(nodeid)
        is_whole = option.netinit_parts == 1 or row.startswith(ONE_SET_UP)
        number = 0 if is_whole else option.netinit_row.index(row) % option.netinit_parts
        return f"{number} {engine_of(nodeid)}"
