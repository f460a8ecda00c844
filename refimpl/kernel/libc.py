"""The handful of system calls that Python 3.11 has no function for.

Each raises OSError with the kernel's errno, the name of the file that it was about, and what was
being done; none is interruptible half-way. Other modules of this package give them a meaning.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNET = 0x40000000

MS_BIND = 4096
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_FSOPEN, _FSCONFIG, _FSMOUNT, _OPENAT2 = 430, 431, 432, 437
"""Numbers of system calls, the same on every architecture; the C library has no names for them."""
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_FSCONFIG_CMD_CREATE = 6
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 2, 16

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """The kernel's struct open_how."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def _check(result: int, doing: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own."""
    _check(_libc.unshare(flags), "make a namespace")


def setns(descriptor: int, kind: int, what: str) -> None:
    """Move the calling thread into the namespace that a descriptor stands for."""
    _check(_libc.setns(descriptor, kind), f"enter namespace {what}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount `source` at `target`."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            os.fsencode(options) if options else None,
        ),
        f"mount {source} at {target}",
    )


def umount(target: str) -> None:
    """Take a mount out of the tree at once, and let the kernel free it when nobody uses it."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW), f"unmount {target}")


def make_filesystem(kind: str) -> int:
    """Make an instance of a file system that is mounted nowhere; it ends with the descriptor.

    Returns:
        A descriptor of its root.

    Raises:
        OSError: ENOSYS before Linux 5.2. (Before 5.8 all instances of proc are one and the same.)
    """
    doing = f"make a file system of kind {kind}"
    context = _libc.syscall(_FSOPEN, kind.encode(), _FSOPEN_CLOEXEC)
    _check(context, doing)
    try:
        _check(_libc.syscall(_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0), doing)
        root = int(_libc.syscall(_FSMOUNT, context, _FSMOUNT_CLOEXEC, 0))
        _check(root, doing)
    finally:
        os.close(context)
    return root


def open_inside(directory: int, path: str, flags: int) -> int:
    """Open a path as a process would whose root directory is `directory`.

    Neither `..` nor a symbolic link leads out of it, even if they change meanwhile.

    Returns:
        A descriptor.

    Raises:
        OSError: ENOSYS before Linux 5.6.
    """
    how = _OpenHow(flags, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    descriptor = int(
        _libc.syscall(_OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    )
    _check(descriptor, path)
    return descriptor
