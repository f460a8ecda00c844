"""Bind mounts as a client writes them: `SOURCE:DESTINATION[:OPTIONS]`. Read here, nowhere else.

Mirrors: moby volume/mounts/linux_parser.go, daemon/volumes.go registerMountPoints,
daemon/volumes_linux.go validateBindDaemonRoot (v20.10).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from refimpl.errors import EngineError, InvalidParameter, NotServed

_ACCESS = frozenset({"ro", "rw"})
_LABEL = frozenset({"z", "Z"})
_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_COPY = frozenset({"nocopy"})
_CONSISTENCY = frozenset({"consistent", "cached", "delegated"})
_EXCLUSIVE = (_ACCESS, _LABEL, _PROPAGATION, _COPY)
"""Of each of these groups a mount has one option at most."""
_OPTIONS = frozenset().union(*_EXCLUSIVE, _CONSISTENCY)
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """One bind mount; both paths are absolute and clean."""

    source: str
    destination: str
    mode: str
    """The options as the client wrote them."""
    propagation: str = ""
    """What the client asked for: an option of mount(8), "" for nothing."""
    holds_daemon_root: bool = False
    """The source holds the daemon's data or is a part of it."""

    @property
    def read_only(self) -> bool:
        """Tell whether the container may not write."""
        return "ro" in self.mode.split(",")

    @property
    def shown_propagation(self) -> str:
        """Return what inspect shows: with the daemon's data Docker says `rslave` by itself."""
        return self.propagation or ("rslave" if self.holds_daemon_root else "rprivate")


def parse_binds(
    texts: Iterable[str] | None, *, tmpfs: Iterable[str] | None, daemon_root: str
) -> tuple[Bind, ...]:
    """Read `HostConfig.Binds` (moby: registerMountPoints).

    Args:
        texts: the entries.
        tmpfs: the destinations that `HostConfig.Tmpfs` takes.
        daemon_root: the data-root.

    Raises:
        EngineError: an entry is malformed; 500 as in v20.10.
        InvalidParameter: a destination is taken, or the daemon's data is to be bound as private.
        NotServed: an entry names a volume, which this engine does not have.
    """
    taken = set(tmpfs or ())
    binds = []
    for text in texts or ():
        bind = _parse_bind(text)
        # the beginnings of texts are compared and not whole names: so does v20.10
        if bind.source.startswith(daemon_root) or daemon_root.startswith(bind.source):
            _verify_daemon_root(bind, daemon_root)
            bind = replace(bind, holds_daemon_root=True)
        if bind.destination in taken:
            raise InvalidParameter(f"Duplicate mount point: {bind.destination}")
        taken.add(bind.destination)
        binds.append(bind)
    return tuple(binds)


def _parse_bind(text: str) -> Bind:
    """Read one entry (moby: ParseMountRaw)."""
    parts = text.split(":")
    malformed = f"invalid volume specification: '{text}'"
    if len(parts) > 3 or not parts[0] or (len(parts) == 2 and _is_mode(parts[1])):
        raise EngineError(malformed)
    mode = parts[2] if len(parts) == 3 else ""
    if not _is_mode(mode):
        raise EngineError(f"invalid mode: {mode}")
    options = mode.split(",")
    propagation = next((one for one in options if one in _PROPAGATION), "")
    source, destination = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
    is_bind = source.startswith("/")
    fault = _destination_fault(destination)
    if not fault and is_bind and "nocopy" in options:
        fault = "field VolumeOptions must not be specified"
    if not fault and not is_bind and propagation:
        fault = "field BindOptions must not be specified"
    if fault:
        kind = "bind" if is_bind else "volume"
        raise EngineError(f'{malformed}: invalid mount config for type "{kind}": {fault}')
    if not is_bind:
        _refuse_volume(source, text)
    return Bind(
        source=_clean(source), destination=_clean(destination), mode=mode, propagation=propagation
    )


def _is_mode(mode: str) -> bool:
    """Tell whether every option is known, and none excludes another (moby: linuxValidMountMode)."""
    options = mode.split(",") if mode else []
    return _OPTIONS.issuperset(options) and all(
        sum(one in group for one in options) <= 1 for group in _EXCLUSIVE
    )


def _destination_fault(destination: str) -> str:
    """Return what is wrong with a destination, "" for nothing."""
    if not destination:
        return "field Target must not be empty"
    if _clean(destination.replace("\\", "/")) == "/":
        return "invalid specification: destination can't be '/'"
    if not destination.startswith("/"):
        return f"invalid mount path: '{destination}' mount path must be absolute"
    return ""


def _refuse_volume(name: str, text: str) -> None:
    """Refuse a volume, first with Docker's words where Docker refuses it, too."""
    if len(name) == 1:
        raise InvalidParameter(
            f"create {name}: volume name is too short, names should be at least two alphanumeric "
            "characters"
        )
    if name and not _VOLUME_NAME.fullmatch(name):
        raise InvalidParameter(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, '
            "use absolute path"
        )
    raise NotServed(f"only bind mounts of absolute paths are served, not {text!r}")


def _verify_daemon_root(bind: Bind, daemon_root: str) -> None:
    if bind.propagation not in {"", "rslave", "rshared"}:
        raise InvalidParameter(
            'invalid mount config: must use either propagation mode "rslave" or "rshared" when '
            f'mount source is within the daemon root, daemon root: "{daemon_root}", bind mount '
            f'source: "{bind.source}", propagation: "{bind.propagation}"'
        )


def _clean(path: str) -> str:
    """Return the shortest equal path (Go: path.Clean); Python keeps two slashes in front."""
    clean = posixpath.normpath(path)
    return clean[1:] if clean.startswith("//") else clean
