"""API versions: which prefixes are understood, and how a client outside of them is turned away.

Mirrors: moby api/server/middleware/version.go (v20.10).
"""

from __future__ import annotations

import re

from refimpl.errors import InvalidParameter
from refimpl.model.api_version import API_VERSION, API_VERSION_MIN

_PREFIX = re.compile(r"/v([0-9.]+)(/.*)\Z", re.DOTALL)


def split_version(path: str) -> tuple[str, str]:
    """Return the version that a path begins with ("" for none) and the rest of the path."""
    match = _PREFIX.match(path)
    return (match[1], match[2]) if match else ("", path)


def check_version(version: str) -> None:
    """Refuse a version that is not served; "" is the newest.

    Raises:
        InvalidParameter: too new or too old, in Docker's words.
    """
    if not version:
        return
    if less_than(API_VERSION, version):
        raise InvalidParameter(
            f"client version {version} is too new. Maximum supported API version is {API_VERSION}"
        )
    if less_than(version, API_VERSION_MIN):
        raise InvalidParameter(
            f"client version {version} is too old. "
            f"Minimum supported API version is {API_VERSION_MIN}, "
            "please upgrade your client to a newer version"
        )


def less_than(version: str, other: str) -> bool:
    """Return whether `version` is before `other`; "" counts as the newest."""
    if not version or not other:
        return bool(version) and not other
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    # 4 digits are plenty, and keep a path of a million digits from being converted
    numbers = [int(part[:4]) if part else 0 for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
