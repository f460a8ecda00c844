"""Mounts: a container's overlay, lazy unmounting, and how the host's mounts propagate."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from refimpl.kernel import libc
from refimpl.kernel.base import OverlayPlan

_MOUNT_TABLE = Path("/proc/self/mountinfo")
_MOUNT_POINT_FIELD, _OPTIONAL_FIELDS = 4, 6
_OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")
_LAYERS_MAX = 64


def mount_overlay(plan: OverlayPlan) -> None:
    """Mount layers, upper and work directories as one tree at the target.

    Raises:
        OSError: ENAMETOOLONG when the options do not fit the kernel's one page.
    """
    options = ",".join(
        (
            "lowerdir=" + ":".join(_escape(layer, also=":") for layer in plan.lower),
            "upperdir=" + _escape(plan.upper),
            "workdir=" + _escape(plan.work),
        )
    )
    if len(options) >= 4096:
        raise OSError(
            errno.ENAMETOOLONG, f"mount {plan.target}: too many layers, or paths too long"
        )
    libc.mount("overlay", plan.target, "overlay", 0, options)


def unmount(target: str) -> None:
    """Unmount everything that is mounted at `target`; no error when nothing is."""
    for _ in range(_LAYERS_MAX):
        try:
            libc.umount(target)
        except OSError as error:
            # EINVAL: not a mount point; ENOENT: not there at all
            if error.errno in {errno.EINVAL, errno.ENOENT}:
                return
            raise


def check_propagation(source: str, propagation: str) -> None:
    """Check that mounts can pass from or to a directory as a bind mount of it wants.

    Args:
        source: what is to be bound; links are followed.
        propagation: `shared`, `slave`, `private`, or one of these with an `r` in front.

    Raises:
        OSError: EINVAL with Docker's text: the mount that it is on is of another kind.

    Mirrors: moby daemon/oci_linux.go ensureShared, ensureSharedOrSlave (v20.10).
    """
    kind = propagation.removeprefix("r")
    if kind == "private":
        return
    point, options = _mount_of(str(Path(source).resolve()))
    if any(option.startswith(b"shared:") for option in options):
        return
    if kind == "slave" and any(option.startswith(b"master:") for option in options):
        return
    wanted = "a shared" if kind == "shared" else "a shared or slave"
    text = f"path {source} is mounted on {point} but it is not {wanted} mount"
    raise OSError(errno.EINVAL, text)


def _mount_of(path: str) -> tuple[str, list[bytes]]:
    """Return the mount point that a path is below, and the mount's optional fields."""
    found: tuple[str, list[bytes]] = ("/", [])
    for line in _MOUNT_TABLE.read_bytes().splitlines():
        fields = line.split(b" ")
        point = _unescape(fields[_MOUNT_POINT_FIELD])
        # of several at one point the last is seen
        if f"{path}/".startswith(f"{point.rstrip('/')}/") and len(point) >= len(found[0]):
            found = point, fields[_OPTIONAL_FIELDS : fields.index(b"-")]
    return found


def _escape(path: str, also: str = "") -> str:
    """Hide the characters that overlayfs takes for separators."""
    for character in "\\," + also:
        path = path.replace(character, "\\" + character)
    return path


def _unescape(field: bytes) -> str:
    """Undo the kernel's octal escapes for space, tab, newline and backslash."""
    raw = _OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
    return raw.decode(errors="surrogateescape")
