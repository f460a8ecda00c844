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
    default_gateway: str = ""
    """`--default-gateway`: where the default network's route leads; "" is the bridge."""
    fixed_cidr: str = ""
    """`--fixed-cidr`: the range of the default bridge's dynamic addresses."""
    ipv6: bool = False
    """`--ipv6`: the default network has IPv6, too; it then needs `fixed_cidr_v6`."""
    fixed_cidr_v6: str = ""
    """`--fixed-cidr-v6`: the default bridge's IPv6 subnet."""
    default_gateway_v6: str = ""
    """`--default-gateway-v6`: where the default network's IPv6 route leads; "" is the bridge."""
    default_address_pools: tuple[tuple[str, int], ...] = ()
    """`--default-address-pool`: (base, prefix length of its parts); empty is Docker's own list."""
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
