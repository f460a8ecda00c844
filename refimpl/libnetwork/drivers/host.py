"""Driver `host`: containers in the daemon's own namespace.

Mirrors: libnetwork drivers/host/host.go (v20.10).
"""

from __future__ import annotations

from refimpl.libnetwork.drivers.single import SingleNetworkDriver


class HostDriver(SingleNetworkDriver):
    """The `host` driver; the sandbox of its endpoints is the daemon's own namespace."""

    name = "host"
