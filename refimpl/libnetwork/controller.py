"""The controller: the registry of networks and sandboxes, and what happens at boot.

Mirrors: libnetwork controller.go, sandbox_store.go and moby daemon/daemon_unix.go
initNetworkController (v20.10).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from refimpl.kernel.base import Files, Kernel
from refimpl.libnetwork.network import Network
from refimpl.libnetwork.sandbox import Sandbox
from refimpl.libnetwork.store import Store
from refimpl.model.network import NetworkOptions, SandboxOptions


def new_id() -> str:
    """Return a fresh 64-hex id."""
    return os.urandom(32).hex()


def utc_now() -> datetime:
    """Return the current time with its zone."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerConfig:
    """What the daemon's flags say about networking."""

    netns_directory: str
    """`<exec-root>/netns`."""
    bridge: str = ""
    """`--bridge`: "" makes the default bridge, "none" leaves it out, else the bridge to use."""
    bip: str = ""
    """`--bip`: the default bridge's own address with its prefix."""
    fixed_cidr: str = ""
    mtu_bytes: int = 1500
    icc: bool = True
    ip_masq: bool = True
    default_address_pools: tuple[tuple[str, int], ...] = ()
    """`--default-address-pool`: (base, size); empty means Docker's own."""
    host_resolv_conf_path: str = "/etc/resolv.conf"


class Controller:
    """Networks and sandboxes of one daemon; safe to use from many threads.

    Lock order: the container's lock, then the controller's or a network's, then a sandbox's.
    """

    def __init__(
        self,
        *,
        kernel: Kernel,
        files: Files,
        store: Store,
        config: ControllerConfig,
        clock: Callable[[], datetime] = utc_now,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        raise NotImplementedError

    @property
    def default_bridge_disabled(self) -> bool:
        """Whether the daemon runs with `--bridge none` (moby: config.DisableBridge)."""
        raise NotImplementedError

    def networks(self) -> tuple[Network, ...]:
        """Return every network, oldest first."""
        raise NotImplementedError

    def network_by_id(self, network_id: str) -> Network | None:
        """Return the network with exactly this id."""
        raise NotImplementedError

    def network_by_name(self, name: str) -> Network | None:
        """Return the first network of this name."""
        raise NotImplementedError

    def new_network(
        self, name: str, options: NetworkOptions, *, network_id: str | None = None
    ) -> Network:
        """Make a network: pools, row, then the driver's part; undone whole when one fails.

        Duplicate names are the daemon's business, as in moby.

        Raises:
            InvalidParameter, Forbidden, NotFound, EngineError: with 20.10's texts.
        """
        raise NotImplementedError

    def new_sandbox(self, options: SandboxOptions) -> Sandbox:
        """Make a sandbox for a container; the kernel is touched first in `Sandbox.populate`.

        Raises:
            Forbidden: the container has one already (`container <id> is already present in
                sandbox <id>`).
        """
        raise NotImplementedError

    def sandbox_by_id(self, sandbox_id: str) -> Sandbox | None:
        """Return the sandbox with this id."""
        raise NotImplementedError

    def get_sandbox(self, container_id: str) -> Sandbox | None:
        """Return the sandbox of a container (moby: daemon.getNetworkSandbox)."""
        raise NotImplementedError

    def sandbox_destroy(self, container_id: str) -> None:
        """Delete the sandbox of a container; no error when there is none.

        Raises:
            EngineError: everything that went wrong on the way; the sandbox is gone as far as
                possible.
        """
        raise NotImplementedError

    def sandbox_cleanup(self) -> None:
        """Remove, at boot, everything that a crash left behind, and restore the networks.

        To be called once, before `init_default_networks`. Goes on past errors and logs them.
        """
        raise NotImplementedError

    def init_default_networks(self) -> None:
        """Make `none`, `host` and `bridge`; host and none keep their ids, bridge gets a new one.

        Mirrors: daemon.initNetworkController (v20.10).
        """
        raise NotImplementedError

    def close(self) -> None:
        """Delete the sandboxes that are left, stop the resolver, close the store."""
        raise NotImplementedError
