"""Who a process runs as: names looked up in the image's own /etc/passwd and /etc/group.

The files belong to the image, so a symbolic link in them is followed inside the root file system
only: `/etc/passwd -> /etc/shadow` of the image is the image's, never the host's.

Mirrors: runc libcontainer/user GetExecUser (1.1) as moby daemon/oci_linux.go getUser calls it
(v20.10.24, with the primary group among the supplementary ones: CVE-2022-36109).
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from refimpl.oci.base import RuntimeFailure

_ID_MAX = 2**31 - 1
_LINKS_MAX = 40
_FILE_BYTES_MAX = 1 << 20


class UnknownUser(RuntimeFailure):
    """The image does not know the user or the group; the text is Docker's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Numbers that the kernel wants."""

    uid: int
    gid: int
    additional_gids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _User:
    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: tuple[str, ...]


def resolve(rootfs: str, user: str) -> Identity:
    """Return the identity that `user[:group]` means in an image; "" is root.

    Raises:
        UnknownUser: a name is in no file, or a number is out of range.
    """
    user_part, _, group_part = user.partition(":")
    wanted = user_part or "0"
    number = _number(wanted)
    found = next(
        (one for one in _users(rootfs) if one.name == wanted or one.uid == number),
        None,
    )
    if found is not None:
        uid, gid = found.uid, found.gid
    elif number is None:
        raise UnknownUser(f"unable to find user {wanted}: no matching entries in passwd file")
    else:
        uid, gid = _in_range(number), 0
    supplementary: list[int] = []
    if group_part:
        gid = _resolve_group(rootfs, group_part)
    elif found is not None:
        supplementary = [one.gid for one in _groups(rootfs) if found.name in one.members]
    others = tuple(one for one in supplementary if one != gid)
    return Identity(uid=uid, gid=gid, additional_gids=(gid, *others))


def inside(rootfs: str, path: str) -> Path:
    """Return the host's path of a path of the image, links followed inside the image only.

    Raises:
        OSError: ELOOP-like, when the links do not end.
    """
    root = Path(rootfs)
    left = [part for part in reversed(path.split("/")) if part]
    current: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part == ".":
            continue
        if part == "..":
            current = current[:-1]
            continue
        candidate = root.joinpath(*current, part)
        if not candidate.is_symlink():
            current.append(part)
            continue
        links += 1
        if links > _LINKS_MAX:
            raise OSError(f"too many symbolic links in {path} of the image")
        target = str(candidate.readlink())
        if target.startswith("/"):
            current = []
        left.extend(piece for piece in reversed(target.split("/")) if piece)
    return root.joinpath(*current)


def _resolve_group(rootfs: str, wanted: str) -> int:
    number = _number(wanted)
    for one in _groups(rootfs):
        if (number is not None and one.gid == number) or (number is None and one.name == wanted):
            return one.gid
    if number is None:
        raise UnknownUser(f"unable to find group {wanted}: no matching entries in group file")
    return _in_range(number)


def _number(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isascii() and _is_integer(text) else None


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdigit()


def _in_range(number: int) -> int:
    if not 0 <= number <= _ID_MAX:
        raise UnknownUser(f"uids and gids must be in range 0-{_ID_MAX}")
    return number


def _users(rootfs: str) -> list[_User]:
    users = []
    for fields in _records(rootfs, "/etc/passwd"):
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is not None and gid is not None:
            users.append(_User(fields[0], uid, gid))
    return users


def _groups(rootfs: str) -> list[_Group]:
    groups = []
    for fields in _records(rootfs, "/etc/group"):
        gid = _number(fields[2])
        if gid is not None:
            groups.append(_Group(fields[0], gid, tuple(fields[3].split(","))))
    return groups


def _records(rootfs: str, path: str) -> list[list[str]]:
    """Return the colon-separated lines of an image's file; none when it is not a regular file."""
    try:
        descriptor = os.open(
            inside(rootfs, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return []
        text = file.read(_FILE_BYTES_MAX).decode(errors="replace")
    lines = (line.strip() for line in text.splitlines())
    return [
        fields
        for line in lines
        if line and not line.startswith("#")
        for fields in [line.split(":")]
        if len(fields) >= 4
    ]
