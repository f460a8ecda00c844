"""Bind mounts as a client writes them: `SOURCE:DESTINATION[:OPTIONS]`.

Mirrors: moby volume/mounts/linux_parser.go (v20.10).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from refimpl.errors import InvalidParameter, NotServed

_ACCESS = frozenset({"ro", "rw"})
_LABEL = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_COPY = frozenset({"nocopy"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated"})
_GROUPS = (_ACCESS, _LABEL, _PROPAGATION, _COPY, _CONSISTENCY)
"""Of each group a mount has one option at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """One bind mount; both paths are absolute."""

    source: str
    destination: str
    mode: str
    """The options as the client wrote them."""

    @property
    def read_only(self) -> bool:
        """Tell whether the container may not write."""
        return "ro" in self.mode.split(",")

    @property
    def propagation(self) -> str:
        """Return how mounts below it propagate; `rprivate` where nothing is asked for."""
        return next((one for one in self.mode.split(",") if one in _PROPAGATION), "rprivate")


def parse_bind(text: str) -> Bind:
    """Read one entry of `HostConfig.Binds`.

    Raises:
        InvalidParameter: Docker refuses it, too.
        NotServed: it names a volume, which this engine does not have.
    """
    parts = text.split(":")
    is_whole = 1 <= len(parts) <= 3 and all(parts[:2])
    if not is_whole or (len(parts) == 2 and _is_mode(parts[1])):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    mode = parts[2] if len(parts) == 3 else ""
    if not _is_mode(mode):
        raise InvalidParameter(f"invalid mode: {mode}")
    if len(parts) == 1 or not posixpath.isabs(parts[0]):
        raise NotServed(f"only bind mounts of absolute paths are served, not {text!r}")
    source, destination = posixpath.normpath(parts[0]), posixpath.normpath(parts[1])
    if destination == "/":
        raise InvalidParameter(
            'invalid mount config for type "bind": invalid specification: destination can\'t be '
            "'/'"
        )
    if not posixpath.isabs(destination):
        raise InvalidParameter(
            f"invalid mount config for type \"bind\": invalid mount path: '{destination}' mount "
            "path must be absolute"
        )
    if "nocopy" in mode.split(","):
        raise InvalidParameter(
            'invalid mount config for type "bind": field VolumeOptions must not be specified'
        )
    return Bind(source=source, destination=destination, mode=mode)


def _is_mode(mode: str) -> bool:
    """Tell whether every option is known, and none excludes another (moby: linuxValidMountMode)."""
    options = mode.split(",") if mode else []
    return all(any(one in group for group in _GROUPS) for one in options) and all(
        sum(one in group for one in options) <= 1 for group in _GROUPS
    )
