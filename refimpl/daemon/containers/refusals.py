"""Refusals that several parts give, with Docker's texts.

Mirrors: moby daemon/errors.go, runconfig/errors.go (v20.10).
"""

from __future__ import annotations

from refimpl.errors import Conflict

SHARED_NETWORK = (
    "container sharing network namespace with another container or host cannot be connected to "
    "any other network"
)
"""runconfig.ErrConflictSharedNetwork"""
HOST_NETWORK = "container cannot be disconnected from host network or connected to host network"
"""runconfig.ErrConflictHostNetwork"""
NO_NETWORK = (
    "container cannot be connected to multiple networks with one of the networks in private "
    "(none) mode"
)
"""runconfig.ErrConflictNoNetwork"""
HOST_LINKS = (
    "conflicting options: host type networking can't be used with links. This would result in "
    "undefined behavior"
)
"""runconfig.ErrConflictHostNetworkAndLinks"""


def not_running(container_id: str) -> Conflict:
    """Build the refusal for a container that does not run (moby: errNotRunning)."""
    return Conflict(f"Container {container_id} is not running")


def restarting(container_id: str) -> Conflict:
    """Build the refusal for a container between two runs (moby: errContainerIsRestarting)."""
    return Conflict(f"Container {container_id} is restarting, wait until the container is running")


def removal_conflict(container_id: str) -> Conflict:
    """Build the refusal to network a dying container (moby: errRemovalContainer)."""
    return Conflict(
        f"Container {container_id} is marked for removal and cannot be connected or "
        "disconnected to the network"
    )
