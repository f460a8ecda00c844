"""Linux capabilities: Docker's default set, and what adding, dropping and `privileged` make of it.

Mirrors: moby oci/caps (v20.10).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

DEFAULT = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
)

# in the order of their numbers: include/uapi/linux/capability.h
BY_NUMBER = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)


def effective_set(
    *, add: Iterable[str] = (), drop: Iterable[str] = (), privileged: bool = False
) -> list[str]:
    """Return the capabilities of a container's processes, those that this daemon can give.

    Names may come with or without `CAP_`, in any case; `ALL` means every one.

    Raises:
        ValueError: a name that is no capability.
    """
    available = _bounding_set()
    if privileged:
        return [name for name in BY_NUMBER if name in available]
    added, dropped = _normalise(add), _normalise(drop)
    base: Iterable[str] = () if "ALL" in dropped else DEFAULT
    if "ALL" in added:
        base = BY_NUMBER
    chosen = {name for name in base if name not in dropped} | (added - {"ALL"})
    return [name for name in BY_NUMBER if name in chosen and name in available]


def _normalise(names: Iterable[str]) -> set[str]:
    result = set()
    for name in names:
        upper = name.upper()
        if upper != "ALL" and not upper.startswith("CAP_"):
            upper = "CAP_" + upper
        if upper != "ALL" and upper not in BY_NUMBER:
            raise ValueError(f'unknown capability: "{name}"')
        result.add(upper)
    return result


@cache
def _bounding_set() -> frozenset[str]:
    """Return what this process may pass on: runc fails on any other."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for number, name in enumerate(BY_NUMBER) if bits >> number & 1)
    return frozenset(BY_NUMBER)
