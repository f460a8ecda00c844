"""What a create request may ask for and a start does not apply: each is told as a warning."""

from __future__ import annotations

from collections.abc import Container as Values
from typing import Any, Final

from refimpl.model.wire_container import Config, HostConfig

_NOTHING: Final[tuple[Any, ...]] = (None, 0, "", False, [], {})
"""What stands in a document for an option that nobody asked for."""
_SHM_BYTES_DEFAULT: Final = 64 << 20

HOST_OPTIONS: Final[dict[str, Values[Any]]] = {
    "Memory": _NOTHING,
    "MemoryReservation": _NOTHING,
    "MemorySwap": (*_NOTHING, -1),
    "MemorySwappiness": (None, -1),
    "KernelMemory": _NOTHING,
    "KernelMemoryTCP": _NOTHING,
    "OomKillDisable": _NOTHING,
    "OomScoreAdj": _NOTHING,
    "NanoCpus": _NOTHING,
    "CpuShares": _NOTHING,
    "CpuPeriod": _NOTHING,
    "CpuQuota": _NOTHING,
    "CpuRealtimePeriod": _NOTHING,
    "CpuRealtimeRuntime": _NOTHING,
    "CpusetCpus": _NOTHING,
    "CpusetMems": _NOTHING,
    "PidsLimit": (*_NOTHING, -1),
    "BlkioWeight": _NOTHING,
    "BlkioWeightDevice": _NOTHING,
    "BlkioDeviceReadBps": _NOTHING,
    "BlkioDeviceWriteBps": _NOTHING,
    "BlkioDeviceReadIOps": _NOTHING,
    "BlkioDeviceWriteIOps": _NOTHING,
    "Ulimits": _NOTHING,
    "Devices": _NOTHING,
    "DeviceCgroupRules": _NOTHING,
    "DeviceRequests": _NOTHING,
    "GroupAdd": _NOTHING,
    "Tmpfs": _NOTHING,
    "ShmSize": (*_NOTHING, _SHM_BYTES_DEFAULT),
    "StorageOpt": _NOTHING,
    "VolumeDriver": _NOTHING,
    "IpcMode": (*_NOTHING, "private", "shareable"),
    "PidMode": _NOTHING,
    "UsernsMode": (*_NOTHING, "host"),
    "CgroupnsMode": (*_NOTHING, "host"),
    "CgroupParent": _NOTHING,
    "Init": _NOTHING,
}
"""Options of HostConfig that are taken and shown, and the values that ask for nothing."""


def warn_of_unapplied(config: Config, host_config: HostConfig) -> list[str]:
    """Name the options that a start will not apply, a sentence each.

    Args:
        config: as the client sent it, together with what its image says.
        host_config: as the client sent it; no default is filled in yet.
    """
    asked = host_config.to_wire()
    names = [name for name, nothing in HOST_OPTIONS.items() if asked.get(name) not in nothing]
    if config.volumes:
        names.append("Volumes")
    if config.healthcheck is not None and (config.healthcheck.test or ["NONE"]) != ["NONE"]:
        names.append("Healthcheck")
    return [f"{name} is not applied by this engine." for name in names]
