"""What the engine says of itself.

Mirrors: moby daemon/{info,info_unix}.go (v20.10).
"""

from __future__ import annotations

import base64
import contextlib
import os
import platform
import re
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from refimpl.daemon.backend import EventStream, Filters, Wire
from refimpl.daemon.config import DEFAULT_RUNTIME, DaemonConfig
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.images.store import ImageStore
from refimpl.kernel.base import Files
from refimpl.model.api_version import API_VERSION, API_VERSION_MIN
from refimpl.model.moments import format_time
from refimpl.oci.base import Runtime

ENGINE_VERSION = "20.10.24+netinit"
"""The release whose behaviour this is; clients compare it as a version."""
_LIMITS = (
    "MemoryLimit", "SwapLimit", "KernelMemory", "KernelMemoryTCP", "CpuCfsPeriod", "CpuCfsQuota",
    "CPUShares", "CPUSet", "PidsLimit", "OomKillDisable",
)  # fmt: skip
"""The limits of resources that Docker tells of; this engine sets none of them."""
_ID_GROUPS, _ID_GROUP_CHARACTERS = 12, 4
_ID = re.compile(r"(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System:
    """Answers for the engine as a whole."""

    config: DaemonConfig
    engine_id: str
    clock: Callable[[], datetime]
    runtime: Runtime
    containers: ContainerRegistry
    images: ImageStore
    events: Events

    def version(self) -> Wire:
        """Answer GET /version."""
        kernel = os.uname()
        details = {
            "Version": ENGINE_VERSION,
            "ApiVersion": API_VERSION,
            "MinAPIVersion": API_VERSION_MIN,
            "GitCommit": "",
            "GoVersion": f"python{platform.python_version()}",
            "Os": "linux",
            "Arch": _ARCHITECTURES.get(kernel.machine, kernel.machine),
            "KernelVersion": kernel.release,
            "BuildTime": "",
        }
        component = {
            "ApiVersion": API_VERSION,
            "Arch": details["Arch"],
            "BuildTime": "",
            "Experimental": "false",
            "GitCommit": "",
            "GoVersion": details["GoVersion"],
            "KernelVersion": kernel.release,
            "MinAPIVersion": API_VERSION_MIN,
            "Os": "linux",
        }
        return {
            "Platform": {"Name": "netinit reference implementation"},
            "Components": [
                {"Name": "Engine", "Version": ENGINE_VERSION, "Details": component},
                {"Name": self.runtime.name, "Version": self.runtime.version, "Details": {}},
            ],
            **details,
        }

    def info(self) -> Wire:
        """Answer GET /info."""
        states = [container.state for container in self.containers]
        paused = sum(state.paused for state in states)
        running = sum(state.running for state in states)
        kernel = os.uname()
        cgroup_v2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        return {
            "ID": self.engine_id,
            "Containers": len(states),
            "ContainersRunning": running - paused,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - running,
            "Images": len(self.images),
            "Driver": "overlay2",
            "DriverStatus": [],
            "Plugins": {
                "Volume": [],
                "Network": ["bridge", "host", "macvlan", "null"],
                "Authorization": None,
                "Log": ["json-file", "local"],
            },
            **dict.fromkeys(_LIMITS, False),
            "IPv4Forwarding": _is_on("net/ipv4/ip_forward"),
            "BridgeNfIptables": _is_on("net/bridge/bridge-nf-call-iptables"),
            "BridgeNfIp6tables": _is_on("net/bridge/bridge-nf-call-ip6tables"),
            "Debug": False,
            "NFd": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "NGoroutines": threading.active_count(),
            "SystemTime": format_time(self.clock()),
            "LoggingDriver": "json-file",
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": "2" if cgroup_v2 else "1",
            "NEventsListener": self.events.listeners(),
            "KernelVersion": kernel.release,
            "OperatingSystem": _os_release("PRETTY_NAME"),
            "OSVersion": _os_release("VERSION_ID"),
            "OSType": "linux",
            "Architecture": kernel.machine,
            "IndexServerAddress": "",
            "RegistryConfig": None,
            "NCPU": len(os.sched_getaffinity(0)),
            "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "GenericResources": None,
            "DockerRootDir": self.config.data_root,
            "HttpProxy": "",
            "HttpsProxy": "",
            "NoProxy": "",
            "Name": socket.gethostname(),
            "Labels": [],
            "ExperimentalBuild": False,
            "ServerVersion": ENGINE_VERSION,
            "Runtimes": {DEFAULT_RUNTIME: {"path": self.runtime.name}},
            "DefaultRuntime": DEFAULT_RUNTIME,
            "Swarm": {
                "NodeID": "",
                "NodeAddr": "",
                "LocalNodeState": "inactive",
                "ControlAvailable": False,
                "Error": "",
                "RemoteManagers": None,
            },
            "LiveRestoreEnabled": False,
            "Isolation": "",
            "InitBinary": "",
            "RuncCommit": {"ID": self.runtime.version, "Expected": self.runtime.version},
            "SecurityOptions": self._security_options(),
            **self._default_address_pools(),
            "Warnings": None,
        }

    def _default_address_pools(self) -> Wire:
        pools = self.config.default_address_pools
        shown = [{"Base": base, "Size": size} for base, size in pools]
        return {"DefaultAddressPools": shown} if shown else {}

    def _security_options(self) -> list[str]:
        return ["name=seccomp,profile=default"] if self.runtime.has_seccomp else []

    def events_subscribe(
        self, *, since: str = "", until: str = "", filters: Filters
    ) -> EventStream:
        """Answer GET /events."""
        return self.events.subscribe(since, until, filters)


def load_engine_id(files: Files, path: str) -> str:
    """Return the id of a data-root, which it keeps: twelve groups of four characters, as Docker's.

    Where there is none, or something else, a new one is made.

    Raises:
        OSError: the file cannot be read or written.
    """
    with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
        engine_id = files.read(path).decode().strip()
        if _ID.fullmatch(engine_id):
            return engine_id
    characters = base64.b32encode(secrets.token_bytes(30)).decode()
    groups = range(0, _ID_GROUPS * _ID_GROUP_CHARACTERS, _ID_GROUP_CHARACTERS)
    engine_id = ":".join(characters[at : at + _ID_GROUP_CHARACTERS] for at in groups)
    files.write(path, f"{engine_id}\n".encode())
    return engine_id


def _is_on(sysctl: str) -> bool:
    """Tell whether a switch of the kernel is on, in the daemon's own network namespace."""
    try:
        return Path("/proc/sys", sysctl).read_text(encoding="ascii").strip() != "0"
    except OSError:
        return False  # the kernel has no such switch, or its module is not loaded


def _os_release(key: str) -> str:
    try:
        return platform.freedesktop_os_release().get(key, "")
    except OSError:
        return ""
