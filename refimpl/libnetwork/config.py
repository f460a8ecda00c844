"""What the daemon's flags say about networking."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerConfig:
    """The settings of a controller."""

    netns_directory: str
    """`<exec-root>/netns`."""
    bridge: str = ""
    """`--bridge`: "" makes the default bridge, "none" leaves it out, else the bridge to use."""
    bip: str = ""
    """`--bip`: the default bridge's own address with its prefix."""
    fixed_cidr: str = ""
    """`--fixed-cidr`: the range of the default bridge's dynamic addresses."""
    mtu_bytes: int = 1500
    icc: bool = True
    ip_masq: bool = True
    default_ip: str = "0.0.0.0"  # noqa: S104
    """`--ip`: where the default network publishes ports whose binding names no address."""
    userland_proxy: bool = True
    """`--userland-proxy`: a process leads on what the firewall cannot."""
    host_resolv_conf_path: str = "/etc/resolv.conf"

    @property
    def is_disabled(self) -> bool:
        """Whether there is to be no default bridge (moby: config.DisableBridge)."""
        return self.bridge == "none"
