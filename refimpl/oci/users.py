"""Who a process runs as: names looked up in the container's own /etc/passwd and /etc/group.

The container's root can write both files, and make them anything. They are read by `ReadInside`,
which never waits and follows links inside the root file system only. What is no regular file, or
too large, is refused here: runc reads both files as well when it starts a process, and waits for
ever at a pipe.

Mirrors: runc libcontainer/user GetExecUser (1.1) as moby daemon/oci_linux.go getUser calls it
(v20.10.24, with the primary group among the supplementary ones: CVE-2022-36109).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from refimpl.limits import CONTAINER_FILE_BYTES_MAX
from refimpl.oci.base import ReadInside, RuntimeFailure

_ID_MAX = 2**31 - 1
_ID_DIGITS_MAX = 19
"""Those of a 64-bit integer; a longer one is out of range by its first ones."""
_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


class UnknownUser(RuntimeFailure):
    """The container does not know the user or the group, or its files cannot be used.

    The text is Docker's own where Docker has one.
    """


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


def resolve(rootfs: str, user: str, read_inside: ReadInside) -> Identity:
    """Return the identity that `user[:group]` means in a container; "" is root.

    Args:
        rootfs: the container's root file system.
        user: names or numbers.
        read_inside: reads a file of the container.

    Raises:
        UnknownUser: a name is in no file, a number is out of range, or a file cannot be used.
    """
    passwd = _read(rootfs, "/etc/passwd", read_inside)
    group = _read(rootfs, "/etc/group", read_inside)
    user_part, _, group_part = user.partition(":")
    wanted = user_part or "0"
    number = _number(wanted)
    found = next(
        (one for one in _users(passwd) if one.name == wanted or one.uid == number),
        None,
    )
    if found is not None:
        uid, gid = _in_range(found.uid), _in_range(found.gid)
    elif number is None:
        raise UnknownUser(f"unable to find user {wanted}: no matching entries in passwd file")
    else:
        uid, gid = _in_range(number), 0
    supplementary: list[int] = []
    if group_part:
        gid = _resolve_group(group, group_part)
    elif found is not None:
        supplementary = [_in_range(one.gid) for one in _groups(group) if found.name in one.members]
    others = tuple(one for one in supplementary if one != gid)
    return Identity(uid=uid, gid=gid, additional_gids=(gid, *others))


def _resolve_group(group: str, wanted: str) -> int:
    number = _number(wanted)
    for one in _groups(group):
        if (number is not None and one.gid == number) or (number is None and one.name == wanted):
            return _in_range(one.gid)
    if number is None:
        raise UnknownUser(f"unable to find group {wanted}: no matching entries in group file")
    return _in_range(number)


def _number(text: str) -> int | None:
    """Return the integer that a text is, None for any other text; a huge one is out of range."""
    sign = "-" if text.startswith("-") else ""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    return int(sign + (digits.lstrip("0") or "0")[:_ID_DIGITS_MAX])


def _in_range(number: int) -> int:
    if not 0 <= number <= _ID_MAX:
        raise UnknownUser(f"uids and gids must be in range 0-{_ID_MAX}")
    return number


def _users(passwd: str) -> Iterator[_User]:
    for fields in _records(passwd):
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is not None and gid is not None:
            yield _User(fields[0], uid, gid)


def _groups(group: str) -> Iterator[_Group]:
    for fields in _records(group):
        gid = _number(fields[2])
        if gid is not None:
            yield _Group(fields[0], gid, tuple(fields[3].split(",")))


def _read(rootfs: str, path: str, read_inside: ReadInside) -> str:
    """Return the text of a container's file; "" when there is none.

    Raises:
        UnknownUser: it is no regular file, is too large, or cannot be read at once.
    """
    try:
        content = read_inside(rootfs, path, CONTAINER_FILE_BYTES_MAX)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return ""
        raise UnknownUser(f"the container's {error.strerror}") from error
    return content.decode(errors="replace")


def _records(text: str) -> Iterator[list[str]]:
    """Yield the colon-separated lines of a file that have at least four fields."""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            fields = stripped.split(":")
            if len(fields) >= 4:
                yield fields
