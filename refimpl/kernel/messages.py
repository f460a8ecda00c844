"""pyroute2's classes of route messages, and nothing else of it.

Whichever of its modules is imported, the package itself comes first and imports all of the library,
a large part of the daemon's boot. So it is left empty meanwhile, and what was imported is ours
alone: whoever imports the library afterwards gets it whole.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator

PACKAGE = "pyroute2"


@contextlib.contextmanager
def _package_left_empty() -> Iterator[None]:
    spec = None if PACKAGE in sys.modules else importlib.util.find_spec(PACKAGE)
    if spec is None:
        yield
        return
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        for name in [one for one in sys.modules if one.partition(".")[0] == PACKAGE]:
            del sys.modules[name]


with _package_left_empty():
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
    from pyroute2.netlink.rtnl.nsidmsg import nsidmsg
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

__all__ = ["ifaddrmsg", "ifinfmsg", "nsidmsg", "rtmsg"]
