"""A container as the daemon holds it: configuration, state, network settings, and its lock.

`Container.lock` guards every field. The two documents on disk, `config.v2.json` and
`hostconfig.json`, are built here; `lifecycle.checkpoint` writes them.

Mirrors: moby container/{container,state}.go, daemon/network/settings.go (v20.10).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from refimpl.limits import STOP_TIMEOUT_S_MAX
from refimpl.model.moments import ZERO_TIME, format_time, parse_time
from refimpl.model.wire import Document, Place
from refimpl.model.wire_container import ENDPOINT_SETTINGS, Config, EndpointSettings, HostConfig

T = TypeVar("T")


def _value(document: Document, name: str, kind: type[T]) -> T:
    """Return a document's value, which must be of one type; KeyError if it is missing."""
    value = document[name]
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r}")
    return value


@dataclass(slots=True, kw_only=True)
class EndpointState:
    """A container's entry for one network, and whether its addresses came from the system.

    Mirrors: moby daemon/network/settings.go EndpointSettings (v20.10).
    """

    settings: EndpointSettings
    ipam_operational: bool = False


@dataclass(slots=True, kw_only=True)
class NetworkSettings:
    """What a container's network came out as.

    `networks` None is Go's nil map: never filled in. An empty one was emptied by disconnects, and
    that difference decides whether the default network is filled in at start.
    """

    sandbox_id: str = ""
    sandbox_key: str = ""
    networks: dict[str, EndpointState] | None = None
    ports: dict[str, Any] | None = None
    is_anonymous_endpoint: bool = False


@dataclass(slots=True, kw_only=True)
class State:
    """Where a container is in its life; every change is made under the container's lock.

    Mirrors: moby container/state.go (v20.10).
    """

    running: bool = False
    paused: bool = False
    restarting: bool = False
    removal_in_progress: bool = False
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    started_at: datetime = ZERO_TIME
    finished_at: datetime = ZERO_TIME

    @property
    def status(self) -> str:
        """Return Docker's one-word status."""
        if self.running:
            return "paused" if self.paused else "restarting" if self.restarting else "running"
        if self.removal_in_progress:
            return "removing"
        if self.dead:
            return "dead"
        return "created" if self.started_at == ZERO_TIME else "exited"

    def set_running(self, pid: int, now: datetime) -> None:
        """Enter `running` with a new first process."""
        self.error = ""
        self.running = True
        self.paused = self.restarting = False
        self.exit_code = 0
        self.pid = pid
        self.started_at = now

    def set_stopped(self, exit_code: int, now: datetime) -> None:
        """Enter `exited`."""
        self.running = self.paused = self.restarting = False
        self.pid = 0
        self.exit_code = exit_code
        self.finished_at = now

    def set_restarting(self, exit_code: int, now: datetime) -> None:
        """Enter `restarting`, which counts as running: a stop must still be possible."""
        self.running = self.restarting = True
        self.paused = False
        self.pid = 0
        self.exit_code = exit_code
        self.finished_at = now

    def to_wire(self) -> Document:
        """Return inspect's `State`."""
        return {
            "Status": self.status,
            "Running": self.running,
            "Paused": self.paused,
            "Restarting": self.restarting,
            "OOMKilled": False,
            "Dead": self.dead,
            "Pid": self.pid,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "StartedAt": format_time(self.started_at),
            "FinishedAt": format_time(self.finished_at),
        }


class Ends:
    """The ends of a container's runs, and its own end: what `wait` waits for.

    It has a lock of its own, which may be taken while the container's is held, never the other
    way round.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.runs = 0
        self.exit_code = 0
        self.is_removed = False

    def run_ended(self, exit_code: int) -> None:
        """Tell that a run has ended, network and all."""
        with self.changed:
            self.runs += 1
            self.exit_code = exit_code
            self.changed.notify_all()

    def removed(self) -> None:
        """Tell that the container is gone."""
        with self.changed:
            self.is_removed = True
            self.changed.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a list of containers shows of one: how it was when it was written down last.

    A failed start is written down before its network is released, and a failed connect not at all,
    so that a list and an inspect may differ.

    Mirrors: moby container/view.go Snapshot (v20.10).
    """

    state: State
    networks: dict[str, Document]
    ports: tuple[str, ...]


@dataclass(slots=True, kw_only=True, eq=False)
class Container:
    """One container; `name` begins with a slash, as Docker's does."""

    id: str
    name: str
    created: datetime
    root: str
    """Its directory below the data-root."""
    image_id: str
    path: str
    args: list[str]
    config: Config
    host_config: HostConfig
    network_settings: NetworkSettings = field(default_factory=NetworkSettings)
    state: State = field(default_factory=State)
    log_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    resolv_conf_path: str = ""
    restart_count: int = 0
    has_been_started_before: bool = False
    has_been_manually_stopped: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    ends: Ends = field(default_factory=Ends, repr=False)
    written_host_config: tuple[HostConfig, bytes] | None = field(default=None, repr=False)
    """A copy of what `hostconfig.json` has, and how it is encoded; None before the first time."""
    is_unwritten: bool = False
    """Whether the documents on disk are older than this, because a write failed."""
    listed: Listed | None = None
    """None until it is written down for the first time."""

    def is_running(self) -> bool:
        """Tell under the lock whether it runs, restarts or is paused."""
        with self.lock:
            return self.state.running

    def snapshot(self) -> Listed:
        """Return what a list would show now."""
        settings = self.network_settings
        return Listed(
            state=replace(self.state),
            networks={
                name: entry.settings.to_wire() for name, entry in (settings.networks or {}).items()
            },
            ports=tuple(settings.ports or ()),
        )

    def stop_timeout_s(self) -> int:
        """Return how long a stop waits before it kills: its own setting, or 10 seconds."""
        asked = self.config.stop_timeout
        return 10 if asked is None else min(asked, STOP_TIMEOUT_S_MAX)

    def document(self) -> Document:
        """Return `config.v2.json`."""
        state = self.state.to_wire()
        del state["Status"]
        state["RemovalInProgress"] = self.state.removal_in_progress
        return {
            "StreamConfig": {},
            "State": state,
            "ID": self.id,
            "Created": format_time(self.created),
            "Managed": False,
            "Path": self.path,
            "Args": self.args,
            "Config": self.config.to_wire(),
            "Image": self.image_id,
            "NetworkSettings": _settings_document(self.network_settings),
            "LogPath": self.log_path,
            "Name": self.name,
            "Driver": "overlay2",
            "OS": "linux",
            "RestartCount": self.restart_count,
            "HasBeenStartedBefore": self.has_been_started_before,
            "HasBeenManuallyStopped": self.has_been_manually_stopped,
            "HostnamePath": self.hostname_path,
            "HostsPath": self.hosts_path,
            "ResolvConfPath": self.resolv_conf_path,
        }

    @classmethod
    def from_documents(cls, root: str, config: Document, host_config: Document) -> Container:
        """Rebuild a container from its two documents on disk.

        Raises:
            KeyError, TypeError, ValueError: a document is not one that this engine wrote.
        """
        state = config["State"]
        return cls(
            id=_value(config, "ID", str),
            name=_value(config, "Name", str),
            created=parse_time(_value(config, "Created", str)),
            root=root,
            image_id=_value(config, "Image", str),
            path=_value(config, "Path", str),
            args=_value(config, "Args", list),
            config=Config.from_wire(config["Config"]),
            host_config=HostConfig.from_wire(host_config),
            network_settings=_settings_from_document(config["NetworkSettings"]),
            state=State(
                running=_value(state, "Running", bool),
                paused=_value(state, "Paused", bool),
                restarting=_value(state, "Restarting", bool),
                removal_in_progress=_value(state, "RemovalInProgress", bool),
                dead=_value(state, "Dead", bool),
                pid=_value(state, "Pid", int),
                exit_code=_value(state, "ExitCode", int),
                error=_value(state, "Error", str),
                started_at=parse_time(_value(state, "StartedAt", str)),
                finished_at=parse_time(_value(state, "FinishedAt", str)),
            ),
            log_path=_value(config, "LogPath", str),
            hostname_path=_value(config, "HostnamePath", str),
            hosts_path=_value(config, "HostsPath", str),
            resolv_conf_path=_value(config, "ResolvConfPath", str),
            restart_count=_value(config, "RestartCount", int),
            has_been_started_before=_value(config, "HasBeenStartedBefore", bool),
            has_been_manually_stopped=_value(config, "HasBeenManuallyStopped", bool),
        )


def _settings_document(settings: NetworkSettings) -> Document:
    networks = settings.networks
    return {
        "SandboxID": settings.sandbox_id,
        "SandboxKey": settings.sandbox_key,
        "Networks": None
        if networks is None
        else {
            name: {**entry.settings.to_wire(), "IPAMOperational": entry.ipam_operational}
            for name, entry in networks.items()
        },
        "Ports": settings.ports,
        "IsAnonymousEndpoint": settings.is_anonymous_endpoint,
    }


def _settings_from_document(document: Document) -> NetworkSettings:
    networks, ports = document["Networks"], document["Ports"]
    return NetworkSettings(
        sandbox_id=_value(document, "SandboxID", str),
        sandbox_key=_value(document, "SandboxKey", str),
        networks=None
        if networks is None
        else {
            name: EndpointState(
                settings=ENDPOINT_SETTINGS.decode(entry, Place("")),
                ipam_operational=_value(entry, "IPAMOperational", bool),
            )
            for name, entry in _value(document, "Networks", dict).items()
        },
        ports=None if ports is None else _value(document, "Ports", dict),
        is_anonymous_endpoint=_value(document, "IsAnonymousEndpoint", bool),
    )
