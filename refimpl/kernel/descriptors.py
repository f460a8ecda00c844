"""How many descriptors the process may have open."""

from __future__ import annotations

import resource


def raise_descriptor_limit(wanted: int) -> int:
    """Allow the process at least so many descriptors, as far as its hard limit lets it.

    Processes that it starts inherit the limit: a container's processes have the daemon's, as with
    dockerd, unless its ulimits say otherwise.

    Returns:
        The limit now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
