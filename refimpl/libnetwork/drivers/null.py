"""Driver `null`: containers with a loopback interface and nothing else (network `none`).

Mirrors: libnetwork drivers/null/null.go (v20.10).
"""

from __future__ import annotations

from refimpl.libnetwork.drivers.single import SingleNetworkDriver


class NullDriver(SingleNetworkDriver):
    """The `null` driver; its endpoints put nothing into the sandbox."""

    name = "null"
