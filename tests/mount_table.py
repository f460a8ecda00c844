"""The kernel's table of mounts, for tests that look for what was left behind."""

from __future__ import annotations

import re
from pathlib import Path

_OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")


def mounts_below(directory: str) -> tuple[str, ...]:
    """Return the mount points at or below a directory, deepest first."""
    root = str(Path(directory).resolve())
    prefix = root.rstrip("/") + "/"
    points = (
        _unescape(line.split(b" ")[4])
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines()
    )
    found = {point for point in points if point == root or point.startswith(prefix)}
    return tuple(sorted(found, key=lambda point: (-point.count("/"), point)))


def _unescape(field: bytes) -> str:
    """Undo the kernel's octal escapes for space, tab, newline and backslash."""
    raw = _OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
    return raw.decode(errors="surrogateescape")
