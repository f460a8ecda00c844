"""A container as the daemon holds it: configuration, state, network settings, and its lock.

`Container.lock` guards every field. The two documents on disk, `config.v2.json` and
`hostconfig.json`, are built here; `lifecycle.checkpoint` writes them.

Mirrors: moby container/{container,state}.go, daemon/network/settings.go (v20.10).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any, TypeVar

from refimpl.errors import EngineError
from refimpl.model.binds import Bind, parse_binds
from refimpl.model.moments import ZERO_TIME, format_time, parse_time
from refimpl.model.ports import parse_port
from refimpl.model.wire import Document, Place
from refimpl.model.wire_container import (
    ENDPOINT_SETTINGS,
    PORT_MAP,
    Config,
    EndpointSettings,
    HostConfig,
)

T = TypeVar("T")


_SHOWN_CHARACTERS_MAX = 80
"""How much of a value that is refused is shown."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """An object in a document on disk; a ValueError names the document and the field."""

    place: str
    document: Any

    def fault(self, name: str, fault: object) -> ValueError:
        """Build the refusal of a field."""
        return ValueError(f"{self.place}: {name}: {str(fault)[:_SHOWN_CHARACTERS_MAX]}")

    def value(self, name: str, kind: type[T]) -> T:
        """Return a field, which must be of one type."""
        if not isinstance(self.document, dict):
            raise self.fault(name, f"there is no object but {self.document!r}")
        value = self.document.get(name)
        if type(value) is not kind:
            raise self.fault(name, f"{value!r} is no {kind.__name__}")
        return value

    def optional(self, name: str, kind: type[T]) -> T | None:
        """Return a field, which may be null."""
        is_null = isinstance(self.document, dict) and self.document.get(name, ...) is None
        return None if is_null else self.value(name, kind)

    def inner(self, name: str) -> _Stored:
        """Return a field that is an object."""
        return _Stored(f"{self.place}: {name}", self.value(name, dict))

    def moment(self, name: str) -> datetime:
        """Return a field that is a moment."""
        text = self.value(name, str)
        try:
            return parse_time(text)
        except (ValueError, OverflowError) as error:
            raise self.fault(name, error) from error

    def decoded(self, name: str, decode: Callable[[Document], T]) -> T:
        """Return a field that is one of the API's objects."""
        document = self.value(name, dict)
        try:
            return decode(document)
        except ValueError as error:
            raise self.fault(name, error) from error


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
    ports: Mapping[str, Any]
    """As inspect shows them."""


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
    binds: tuple[Bind, ...] = ()
    """`host_config.binds`, read."""
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
                name: _listed(entry.settings) for name, entry in (settings.networks or {}).items()
            },
            ports=settings.ports or {},  # never changed, only replaced
        )

    def stop_timeout_s(self) -> int:
        """Return how long a stop waits before it kills: its own setting, or 10 seconds."""
        return 10 if self.config.stop_timeout is None else self.config.stop_timeout

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
    def from_documents(cls, root: str, config: Any, host_config: Any) -> Container:
        """Rebuild a container from its two documents on disk.

        Args:
            root: its directory, `<data-root>/containers/<id>`.
            config: `config.v2.json`, decoded.
            host_config: `hostconfig.json`, decoded.

        Raises:
            ValueError: a document is not one that this engine wrote; the text names the document
                and the field.
        """
        stored = _Stored("config.v2.json", config)
        args = stored.value("Args", list)
        if not all(isinstance(argument, str) for argument in args):
            raise stored.fault("Args", f"{args!r} are no strings")
        read_host_config, binds = _read_host_config(root, host_config)
        return cls(
            id=stored.value("ID", str),
            name=stored.value("Name", str),
            created=stored.moment("Created"),
            root=root,
            image_id=stored.value("Image", str),
            path=stored.value("Path", str),
            args=args,
            config=stored.decoded("Config", Config.from_wire),
            host_config=read_host_config,
            binds=binds,
            network_settings=_read_settings(stored.inner("NetworkSettings")),
            state=_read_state(stored.inner("State")),
            log_path=stored.value("LogPath", str),
            hostname_path=stored.value("HostnamePath", str),
            hosts_path=stored.value("HostsPath", str),
            resolv_conf_path=stored.value("ResolvConfPath", str),
            restart_count=stored.value("RestartCount", int),
            has_been_started_before=stored.value("HasBeenStartedBefore", bool),
            has_been_manually_stopped=stored.value("HasBeenManuallyStopped", bool),
        )


def _read_host_config(root: str, document: Any) -> tuple[HostConfig, tuple[Bind, ...]]:
    field_name = "the document"
    try:
        host_config = HostConfig.from_wire(document)
        field_name = "Binds"
        binds = parse_binds(
            host_config.binds,
            tmpfs=host_config.tmpfs,
            daemon_root=str(PurePath(root).parent.parent),
        )
    except (ValueError, EngineError) as error:
        raise ValueError(f"hostconfig.json: {field_name}: {error}") from error
    return host_config, binds


def _read_state(stored: _Stored) -> State:
    return State(
        running=stored.value("Running", bool),
        paused=stored.value("Paused", bool),
        restarting=stored.value("Restarting", bool),
        removal_in_progress=stored.value("RemovalInProgress", bool),
        dead=stored.value("Dead", bool),
        pid=stored.value("Pid", int),
        exit_code=stored.value("ExitCode", int),
        error=stored.value("Error", str),
        started_at=stored.moment("StartedAt"),
        finished_at=stored.moment("FinishedAt"),
    )


def _listed(settings: EndpointSettings) -> Document:
    """Return an endpoint as a list shows it: without link-local addresses."""
    document = settings.to_wire()
    if document["IPAMConfig"]:
        document["IPAMConfig"].pop("LinkLocalIPs", None)
    return document


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


def _read_settings(stored: _Stored) -> NetworkSettings:
    networks: dict[str, EndpointState] | None = None
    if stored.optional("Networks", dict) is not None:
        entries = stored.inner("Networks")
        networks = {
            name: EndpointState(
                settings=entries.decoded(name, _read_endpoint),
                ipam_operational=entries.inner(name).value("IPAMOperational", bool),
            )
            for name in entries.document
        }
    return NetworkSettings(
        sandbox_id=stored.value("SandboxID", str),
        sandbox_key=stored.value("SandboxKey", str),
        networks=networks,
        ports=None
        if stored.optional("Ports", dict) is None
        else stored.decoded("Ports", _read_ports),
        is_anonymous_endpoint=stored.value("IsAnonymousEndpoint", bool),
    )


def _read_ports(document: Document) -> Document:
    ports = PORT_MAP.decode(document, Place(""))
    for key, bindings in ports.items():
        parse_port(key.partition("/")[0])
        for binding in bindings or ():
            parse_port(binding.host_port)
    return document


def _read_endpoint(document: Document) -> EndpointSettings:
    settings: EndpointSettings = ENDPOINT_SETTINGS.decode(document, Place(""))
    return settings
