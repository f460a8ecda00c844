"""Mounts: a container's overlay, lazy unmounting, and reading the kernel's table of mounts."""

from __future__ import annotations

import contextlib
import errno
import re
from pathlib import Path

from refimpl.kernel import libc
from refimpl.kernel.base import OverlayPlan

_MOUNT_TABLE = Path("/proc/self/mountinfo")
_MOUNT_POINT_FIELD = 4
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


def mounts_below(directory: str) -> tuple[str, ...]:
    """Return the mount points at or below a directory, deepest first."""
    root = str(Path(directory))
    with contextlib.suppress(OSError):
        root = str(Path(directory).resolve())
    prefix = root.rstrip("/") + "/"
    found = {point for point in mount_points() if point == root or point.startswith(prefix)}
    return tuple(sorted(found, key=lambda point: (-point.count("/"), point)))


def mount_points() -> tuple[str, ...]:
    """Return every mount point of this mount namespace, in the kernel's order."""
    return tuple(
        _unescape(line.split(b" ")[_MOUNT_POINT_FIELD])
        for line in _MOUNT_TABLE.read_bytes().splitlines()
    )


def _escape(path: str, also: str = "") -> str:
    """Hide the characters that overlayfs takes for separators."""
    for character in "\\," + also:
        path = path.replace(character, "\\" + character)
    return path


def _unescape(field: bytes) -> str:
    """Undo the kernel's octal escapes for space, tab, newline and backslash."""
    raw = _OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
    return raw.decode(errors="surrogateescape")
