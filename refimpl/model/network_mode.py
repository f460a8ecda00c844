"""A container's network mode, and the questions that moby asks it.

Mirrors: moby api/types/container/{host_config,hostconfig_unix}.go NetworkMode (v20.10).
"""

from __future__ import annotations

DEFAULT_NETWORK = "bridge"
"""runconfig.DefaultDaemonNetworkMode().NetworkName() on Linux."""

_PREDEFINED = frozenset({"default", "bridge", "host", "none"})


class NetworkMode(str):
    """`default`, `bridge`, `host`, `none`, `container:<ref>`, or a network's name or id."""

    __slots__ = ()

    def is_default(self) -> bool:
        """Tell whether the daemon's default network is meant."""
        return self == "default"

    def is_host(self) -> bool:
        """Tell whether the host's namespace is shared."""
        return self == "host"

    def is_none(self) -> bool:
        """Tell whether the container has a namespace of its own with nothing but `lo`."""
        return self == "none"

    def is_container(self) -> bool:
        """Tell whether another container's namespace is shared (`container:<ref>`)."""
        return self == "container" or self.startswith("container:")

    def is_private(self) -> bool:
        """Tell whether the container has a network namespace of its own."""
        return not (self.is_host() or self.is_container())

    def is_user_defined(self) -> bool:
        """Tell whether it names a network that a user made."""
        return self not in _PREDEFINED and not self.is_container()

    def connected_container(self) -> str:
        """Return the reference of the container whose namespace is shared, or ""."""
        return self.partition(":")[2] if self.is_container() else ""

    def network_name(self) -> str:
        """Return the name of the network that the mode stands for; "" for none at all."""
        return "container" if self.is_container() else str(self)
