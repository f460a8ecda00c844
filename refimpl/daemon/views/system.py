"""What the engine says of itself.

Mirrors: moby daemon/{info,info_unix}.go (v20.10).
"""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from refimpl.daemon.backend import EventStream, Filters, Wire
from refimpl.daemon.config import DaemonConfig
from refimpl.daemon.containers.registry import ContainerRegistry
from refimpl.daemon.events.events import Events
from refimpl.daemon.images.store import ImageStore
from refimpl.model.api_version import API_VERSION, API_VERSION_MIN
from refimpl.model.moments import format_time
from refimpl.oci.base import Runtime

ENGINE_VERSION = "20.10.24+netinit"
"""The release whose behaviour this is; clients compare it as a version."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class System:
    """Answers for the engine as a whole."""

    config: DaemonConfig
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
            "ID": "",
            "Containers": len(states),
            "ContainersRunning": running - paused,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - running,
            "Images": len(self.images),
            "Driver": "overlay2",
            "DriverStatus": [],
            "Plugins": {
                "Volume": [],
                "Network": ["bridge", "host", "null"],
                "Authorization": None,
                "Log": ["json-file", "local"],
            },
            "MemoryLimit": False,
            "SwapLimit": False,
            "IPv4Forwarding": True,
            "BridgeNfIptables": False,
            "BridgeNfIp6tables": False,
            "Debug": False,
            "NFd": sum(1 for _ in Path("/proc/self/fd").iterdir()),
            "NGoroutines": 0,
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
            "NCPU": os.cpu_count() or 1,
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
            "Runtimes": {self.runtime.name: {"path": self.runtime.name}},
            "DefaultRuntime": self.runtime.name,
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
            "SecurityOptions": self._security_options(),
            "Warnings": None,
        }

    def _security_options(self) -> list[str]:
        return ["name=seccomp,profile=default"] if self.runtime.has_seccomp else []

    def events_subscribe(
        self, *, since: str = "", until: str = "", filters: Filters
    ) -> EventStream:
        """Answer GET /events."""
        return self.events.subscribe(since, until, filters)


def _os_release(key: str) -> str:
    try:
        return platform.freedesktop_os_release().get(key, "")
    except OSError:
        return ""
