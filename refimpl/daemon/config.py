"""What the command line decides about a daemon."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

DEFAULT_RUNTIME = "runc"
"""What Docker calls its runtime, whichever program it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """The daemon's own settings; the names are dockerd's flags.

    Mirrors: moby daemon/config/config.go (v20.10).
    """

    data_root: str
    exec_root: str
    bridge: str = ""
    """`none` runs without a default bridge (moby: DisableBridge)."""
    bip: str = ""
    fixed_cidr: str = ""
    mtu_bytes: int = 1500
    icc: bool = True
    ip_masq: bool = True
    default_ip: str = "0.0.0.0"  # noqa: S104
    userland_proxy: bool = True
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    host_resolv_conf_path: str = "/etc/resolv.conf"

    @property
    def disable_bridge(self) -> bool:
        """Tell whether there is no default bridge."""
        return self.bridge == "none"

    def data(self, *names: str) -> str:
        """Return a path below the data-root."""
        return str(PurePath(self.data_root, *names))

    def exec(self, *names: str) -> str:
        """Return a path below the exec-root."""
        return str(PurePath(self.exec_root, *names))
