"""The OCI bundle's config.json: Docker 20.10's defaults, and what a container asks for.

Mirrors: moby oci/defaults.go and daemon/oci_linux.go (v20.10).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refimpl.errors import EngineError
from refimpl.oci import capabilities
from refimpl.oci.base import ContainerSpec, Mount, ProcessSpec
from refimpl.oci.seccomp import UNCONFINED, build_seccomp
from refimpl.oci.users import Identity

Json = dict[str, Any]

_OCI_VERSION = "1.0.2"

# for a container with a namespace of its own, or another container's: never for the host's
_NETWORK_SYSCTLS = {
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
}

# (major, minor) of the character devices to use; the runtime adds those it makes itself
_ALLOWED_DEVICES = (
    (1, 5),  # zero
    (1, 3),  # null
    (1, 9),  # urandom
    (1, 8),  # random
    (5, 0),  # tty
    (5, 1),  # console
)


def build_config(
    spec: ContainerSpec, identity: Identity, *, cgroup_v2: bool, with_seccomp: bool
) -> Json:
    """Return config.json of a container.

    Args:
        spec: what it is to be.
        identity: of its first process.
        cgroup_v2: whether the host has version 2 alone.
        with_seccomp: whether kernel and runtime can filter system calls.

    Raises:
        EngineError: its seccomp profile cannot be applied.
    """
    config: Json = {
        "ociVersion": _OCI_VERSION,
        "process": build_process(
            spec.process,
            identity,
            cap_add=spec.cap_add,
            cap_drop=spec.cap_drop,
            privileged=spec.privileged or spec.process.privileged,
            no_new_privileges=spec.no_new_privileges,
        ),
        "root": {"path": spec.rootfs, "readonly": spec.read_only_rootfs},
        "mounts": [
            *_default_mounts(privileged=spec.privileged),
            *(_bind_mount(mount) for mount in spec.mounts),
        ],
        "linux": {
            "cgroupsPath": f"/{spec.cgroup_parent.strip('/')}/{spec.id}",
            "namespaces": list(_namespaces(spec, cgroup_v2=cgroup_v2)),
            "resources": {"devices": _device_rules(privileged=spec.privileged)},
            "sysctl": _sysctls(spec),
        },
    }
    linux = config["linux"]
    if spec.hostname and not spec.host_uts:
        config["hostname"] = spec.hostname
    propagation = _root_propagation(spec.mounts)
    if propagation:
        linux["rootfsPropagation"] = propagation
    if spec.privileged:
        linux["devices"] = list(_host_devices())
        return config
    linux["maskedPaths"] = list(spec.masked_paths)
    linux["readonlyPaths"] = list(spec.readonly_paths)
    filters = _seccomp(spec, config["process"]["capabilities"]["bounding"], with_seccomp)
    if filters is not None:
        linux["seccomp"] = filters
    return config


def _seccomp(spec: ContainerSpec, bounding: list[str], is_possible: bool) -> Json | None:
    """Return the filter of a container (moby: WithSeccomp)."""
    if is_possible:
        return build_seccomp(spec.seccomp_profile, bounding)
    if spec.seccomp_profile not in {"", UNCONFINED}:
        raise EngineError(
            "seccomp is not enabled in your kernel, cannot run a custom seccomp profile"
        )
    return None


def build_process(
    process: ProcessSpec,
    identity: Identity,
    *,
    cap_add: tuple[str, ...] = (),
    cap_drop: tuple[str, ...] = (),
    privileged: bool = False,
    no_new_privileges: bool = False,
) -> Json:
    """Return the `process` object: of a container's first process, or of one that exec adds."""
    caps = capabilities.effective_set(add=cap_add, drop=cap_drop, privileged=privileged)
    sets = {"bounding": caps}
    if identity.uid == 0:
        # another user starts with none, as execve would leave it
        sets |= {"effective": caps, "permitted": caps}
    return {
        "terminal": process.tty,
        "user": {
            "uid": identity.uid,
            "gid": identity.gid,
            "additionalGids": list(identity.additional_gids),
        },
        "args": list(process.args),
        "env": list(process.env),
        "cwd": process.cwd or "/",
        "capabilities": sets,
        "noNewPrivileges": no_new_privileges,
        "oomScoreAdj": 0,
    }


def _default_mounts(*, privileged: bool) -> list[Json]:
    access = [] if privileged else ["ro"]
    guarded = ["nosuid", "noexec", "nodev"]
    return [
        _mount("/proc", "proc", "proc", guarded),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts",
            "devpts",
            "devpts",
            ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        _mount("/sys", "sysfs", "sysfs", [*guarded, *access]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*access, *guarded]),
        _mount("/dev/mqueue", "mqueue", "mqueue", guarded),
        _mount("/dev/shm", "tmpfs", "shm", [*guarded, "mode=1777", "size=67108864"]),  # noqa: S108 - in the container
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> Json:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def _bind_mount(mount: Mount) -> Json:
    kind = "rbind" if mount.is_recursive else "bind"
    options = [kind, mount.propagation, "ro" if mount.read_only else "rw"]
    return _mount(mount.destination, "bind", mount.source, options)


def _root_propagation(mounts: tuple[Mount, ...]) -> str:
    """Return what the root must be so that mounts below it can be shared; "" for the default.

    Mirrors: moby daemon/oci_linux.go WithMounts (v20.10).
    """
    kinds = {mount.propagation.removeprefix("r") for mount in mounts}
    if "shared" in kinds:
        return "shared"
    return "rslave" if "slave" in kinds else ""


def _namespaces(spec: ContainerSpec, *, cgroup_v2: bool) -> Iterator[Json]:
    yield {"type": "mount"}
    yield {"type": "pid"}
    yield {"type": "ipc"}
    if not spec.host_uts:
        yield {"type": "uts"}
    if spec.netns == "":
        yield {"type": "network"}
    elif spec.netns is not None:
        yield {"type": "network", "path": spec.netns}
    if cgroup_v2 and not spec.privileged:
        # Docker's default there; on v1 it is the host's
        yield {"type": "cgroup"}


def _sysctls(spec: ContainerSpec) -> dict[str, str]:
    sysctls = dict(_NETWORK_SYSCTLS) if spec.netns is not None else {}
    if spec.domainname:
        # OCI 1.0 has no field for it. In the host's UTS namespace the runtime refuses it, as for
        # Docker 20.10.
        sysctls["kernel.domainname"] = spec.domainname
    return sysctls | spec.sysctls


def _device_rules(*, privileged: bool) -> list[Json]:
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    return [
        {"allow": False, "access": "rwm"},
        *(
            {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
            for major, minor in _ALLOWED_DEVICES
        ),
    ]


def _host_devices() -> Iterator[Json]:
    """Yield every device of the host, as `privileged` gives them to a container."""
    skipped = {"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"}
    for directory, directories, files in os.walk("/dev"):
        directories[:] = [name for name in directories if name not in skipped]
        for name in sorted(set(files) - skipped):
            path = Path(directory, name)
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                yield {
                    "path": str(path),
                    "type": "c" if stat.S_ISCHR(status.st_mode) else "b",
                    "major": os.major(status.st_rdev),
                    "minor": os.minor(status.st_rdev),
                    "fileMode": stat.S_IMODE(status.st_mode),
                    "uid": status.st_uid,
                    "gid": status.st_gid,
                }
