"""The rights that a container needs to hold an engine, and the ways to ask an engine for them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

# In the order of their numbers: see capabilities(7).
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO "
    "SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME "
    "SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG "
    "WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


@dataclass(frozen=True, slots=True)
class Rights:
    """A way to ask for them: what messages call it, and the part of HostConfig."""

    name: str
    host_config: dict[str, Any]


def ways_to_be_root(status: Path = Path("/proc/self/status")) -> list[Rights]:
    """Give the ways, best first.

    Docker 20.10 gives a privileged container every capability that it knows of, and so cannot start
    one on a machine that lacks some. There they are asked for one by one.
    """
    missing = missing_capabilities(status)
    by_name = {
        "CapAdd": ["ALL"],
        "CapDrop": missing,
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "DeviceCgroupRules": ["a *:* rwm"],
        "Binds": ["/sys/fs/cgroup:/sys/fs/cgroup:rw"],
    }
    ways = [Rights("privileged", {"Privileged": True})]
    return [*ways, Rights(f"without {', '.join(missing)}", by_name)] if missing else ways


def missing_capabilities(status: Path) -> list[str]:
    """Name the capabilities that nobody on this machine has, out of a process's status."""
    lines = status.read_text(encoding="utf-8").splitlines()
    words = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    bounding = int(words["CapBnd"], 16)
    return [name for bit, name in enumerate(CAPABILITIES) if not bounding >> bit & 1]
