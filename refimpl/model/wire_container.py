"""The API's shapes of a container: its configuration, its host configuration, its endpoints.

Field order, names and zero values are those of Docker 20.10. Fields that this engine does not act
on are kept, because a client reads them back.

Mirrors: moby api/types/container/{config,host_config}.go, api/types/network/network.go (v20.10).
"""

# ruff: noqa: RUF009 - `wire` is a field specifier: it returns dataclasses.field

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from refimpl.model.network_mode import NetworkMode
from refimpl.model.wire import (
    ANY,
    BOOL,
    DURATION,
    EMPTY,
    INT,
    INT64,
    STR_SLICE,
    STRING,
    STRING_MAP,
    STRINGS,
    UINT,
    UINT16,
    UINT64,
    Document,
    Kind,
    decode,
    encode,
    list_of,
    map_of,
    named,
    pointer,
    struct,
    wire,
)

PORT_SET = map_of(EMPTY, name="nat.PortSet")


@dataclass(slots=True, kw_only=True)
class EndpointIPAMConfig:
    """The addresses that a user asked for."""

    ipv4_address: str = wire("IPv4Address", STRING, omitempty=True)
    ipv6_address: str = wire("IPv6Address", STRING, omitempty=True)
    link_local_ips: list[str] | None = wire("LinkLocalIPs", STRINGS, omitempty=True)

    @property
    def is_empty(self) -> bool:
        """Tell whether no address of its own was asked for; further link-local ones are none.

        Mirrors: moby daemon/container_operations.go hasUserDefinedIPAddress (v20.10).
        """
        return not (self.ipv4_address or self.ipv6_address)


@dataclass(slots=True, kw_only=True)
class EndpointSettings:
    """A container's place on one network: what was asked for, and what it got."""

    ipam_config: EndpointIPAMConfig | None = wire(
        "IPAMConfig", pointer(struct(EndpointIPAMConfig, go_type="network.EndpointIPAMConfig"))
    )
    links: list[str] | None = wire("Links", STRINGS)
    aliases: list[str] | None = wire("Aliases", STRINGS)
    network_id: str = wire("NetworkID", STRING)
    endpoint_id: str = wire("EndpointID", STRING)
    gateway: str = wire("Gateway", STRING)
    ip_address: str = wire("IPAddress", STRING)
    ip_prefix_len: int = wire("IPPrefixLen", INT)
    ipv6_gateway: str = wire("IPv6Gateway", STRING)
    global_ipv6_address: str = wire("GlobalIPv6Address", STRING)
    global_ipv6_prefix_len: int = wire("GlobalIPv6PrefixLen", INT64)
    mac_address: str = wire("MacAddress", STRING)
    driver_opts: dict[str, str] | None = wire("DriverOpts", STRING_MAP)

    def to_wire(self) -> Document:
        """Return the API's document."""
        return encode(self)


ENDPOINT_SETTINGS = struct(EndpointSettings, go_type="network.EndpointSettings")


@dataclass(slots=True, kw_only=True)
class NetworkingConfig:
    """The endpoints that a create request asks for; a null entry stays None."""

    endpoints_config: dict[str, EndpointSettings | None] | None = wire(
        "EndpointsConfig", map_of(pointer(ENDPOINT_SETTINGS))
    )


@dataclass(slots=True, kw_only=True)
class RestartPolicy:
    """When a container that ended is started again."""

    name: str = wire("Name", STRING)
    maximum_retry_count: int = wire("MaximumRetryCount", INT)


@dataclass(slots=True, kw_only=True)
class LogConfig:
    """The logging driver and its options (`refimpl.daemon.streams.log_options`)."""

    type: str = wire("Type", STRING)
    config: dict[str, str] | None = wire("Config", STRING_MAP)


@dataclass(slots=True, kw_only=True)
class PortBinding:
    """One wanted publication of a port."""

    host_ip: str = wire("HostIp", STRING)
    host_port: str = wire("HostPort", STRING)


PORT_MAP = map_of(list_of(struct(PortBinding, go_type="nat.PortBinding")), name="nat.PortMap")


@dataclass(slots=True, kw_only=True)
class HealthConfig:
    """How a container's health would be checked, which this engine does not; times in ns."""

    test: list[str] | None = wire("Test", STRINGS, omitempty=True)
    interval: int = wire("Interval", DURATION, omitempty=True)
    timeout: int = wire("Timeout", DURATION, omitempty=True)
    start_period: int = wire("StartPeriod", DURATION, omitempty=True)
    retries: int = wire("Retries", INT, omitempty=True)


@dataclass(slots=True, kw_only=True)
class WeightDevice:
    """A block device's weight."""

    path: str = wire("Path", STRING)
    weight: int = wire("Weight", UINT16)


@dataclass(slots=True, kw_only=True)
class ThrottleDevice:
    """A block device's rate, in bytes or operations a second."""

    path: str = wire("Path", STRING)
    rate: int = wire("Rate", UINT64)


@dataclass(slots=True, kw_only=True)
class DeviceMapping:
    """A device of the host, as a container would see it."""

    path_on_host: str = wire("PathOnHost", STRING)
    path_in_container: str = wire("PathInContainer", STRING)
    cgroup_permissions: str = wire("CgroupPermissions", STRING)


@dataclass(slots=True, kw_only=True)
class DeviceRequest:
    """Devices that a driver would be asked for."""

    driver: str = wire("Driver", STRING)
    count: int = wire("Count", INT)
    device_ids: list[str] | None = wire("DeviceIDs", STRINGS)
    capabilities: list[list[str] | None] | None = wire("Capabilities", list_of(STRINGS))
    options: dict[str, str] | None = wire("Options", STRING_MAP)


@dataclass(slots=True, kw_only=True)
class Ulimit:
    """A limit of setrlimit(2)."""

    name: str = wire("Name", STRING)
    hard: int = wire("Hard", INT64)
    soft: int = wire("Soft", INT64)


def _pointers(model: type[Any], go_type: str) -> Kind:
    """Return the kind of a list of pointers to structs: an entry may be null."""
    return list_of(replace(pointer(struct(model, go_type=go_type)), go_type=f"*{go_type}"))


THROTTLES = _pointers(ThrottleDevice, "blkiodev.ThrottleDevice")


@dataclass(slots=True, kw_only=True)
class Config:
    """The portable part of a container's configuration; an image carries one as its defaults."""

    hostname: str = wire("Hostname", STRING)
    domainname: str = wire("Domainname", STRING)
    user: str = wire("User", STRING)
    attach_stdin: bool = wire("AttachStdin", BOOL)
    attach_stdout: bool = wire("AttachStdout", BOOL)
    attach_stderr: bool = wire("AttachStderr", BOOL)
    exposed_ports: dict[str, Document] | None = wire("ExposedPorts", PORT_SET, omitempty=True)
    tty: bool = wire("Tty", BOOL)
    open_stdin: bool = wire("OpenStdin", BOOL)
    stdin_once: bool = wire("StdinOnce", BOOL)
    env: list[str] | None = wire("Env", STRINGS)
    cmd: list[str] | None = wire("Cmd", STR_SLICE)
    healthcheck: HealthConfig | None = wire(
        "Healthcheck",
        pointer(struct(HealthConfig, go_type="container.HealthConfig")),
        omitempty=True,
    )
    image: str = wire("Image", STRING)
    volumes: dict[str, Document] | None = wire("Volumes", map_of(EMPTY))
    working_dir: str = wire("WorkingDir", STRING)
    entrypoint: list[str] | None = wire("Entrypoint", STR_SLICE)
    network_disabled: bool = wire("NetworkDisabled", BOOL, omitempty=True)
    mac_address: str = wire("MacAddress", STRING, omitempty=True)
    on_build: list[str] | None = wire("OnBuild", STRINGS)
    labels: dict[str, str] | None = wire("Labels", STRING_MAP)
    stop_signal: str = wire("StopSignal", STRING, omitempty=True)
    stop_timeout: int | None = wire("StopTimeout", pointer(INT), omitempty=True)
    shell: list[str] | None = wire("Shell", STR_SLICE, omitempty=True)

    @classmethod
    def from_wire(cls, document: Document | None) -> Config:
        """Build a configuration from its document; absent fields have Go's zero values."""
        return decode(cls, document, go_type="container.Config")

    def to_wire(self) -> Document:
        """Return the API's document."""
        return encode(self)


@dataclass(slots=True, kw_only=True)
class HostConfig:
    """The part of a container's configuration that depends on this host."""

    binds: list[str] | None = wire("Binds", STRINGS)
    container_id_file: str = wire("ContainerIDFile", STRING)
    log_config: LogConfig = wire("LogConfig", struct(LogConfig, go_type="container.LogConfig"))
    # encoded as the plain string that it is one of
    network_mode: NetworkMode = wire(
        "NetworkMode", replace(named(STRING, "container.NetworkMode"), encode=str)
    )
    port_bindings: dict[str, list[PortBinding] | None] | None = wire("PortBindings", PORT_MAP)
    restart_policy: RestartPolicy = wire(
        "RestartPolicy", struct(RestartPolicy, go_type="container.RestartPolicy")
    )
    auto_remove: bool = wire("AutoRemove", BOOL)
    volume_driver: str = wire("VolumeDriver", STRING)
    volumes_from: list[str] | None = wire("VolumesFrom", STRINGS)
    cap_add: list[str] | None = wire("CapAdd", STR_SLICE)
    cap_drop: list[str] | None = wire("CapDrop", STR_SLICE)
    cgroupns_mode: str = wire("CgroupnsMode", STRING)
    dns: list[str] | None = wire("Dns", STRINGS)
    dns_options: list[str] | None = wire("DnsOptions", STRINGS)
    dns_search: list[str] | None = wire("DnsSearch", STRINGS)
    extra_hosts: list[str] | None = wire("ExtraHosts", STRINGS)
    group_add: list[str] | None = wire("GroupAdd", STRINGS)
    ipc_mode: str = wire("IpcMode", STRING)
    cgroup: str = wire("Cgroup", STRING)
    links: list[str] | None = wire("Links", STRINGS)
    oom_score_adj: int = wire("OomScoreAdj", INT)
    pid_mode: str = wire("PidMode", STRING)
    privileged: bool = wire("Privileged", BOOL)
    publish_all_ports: bool = wire("PublishAllPorts", BOOL)
    readonly_rootfs: bool = wire("ReadonlyRootfs", BOOL)
    security_opt: list[str] | None = wire("SecurityOpt", STRINGS)
    storage_opt: dict[str, str] | None = wire("StorageOpt", STRING_MAP, omitempty=True)
    tmpfs: dict[str, str] | None = wire("Tmpfs", STRING_MAP, omitempty=True)
    uts_mode: str = wire("UTSMode", STRING)
    userns_mode: str = wire("UsernsMode", STRING)
    shm_size: int = wire("ShmSize", INT64)
    sysctls: dict[str, str] | None = wire("Sysctls", STRING_MAP, omitempty=True)
    runtime: str = wire("Runtime", STRING, omitempty=True)
    console_size: list[int] | None = wire("ConsoleSize", list_of(UINT))
    isolation: str = wire("Isolation", STRING)
    cpu_shares: int = wire("CpuShares", INT64)
    memory: int = wire("Memory", INT64)
    nano_cpus: int = wire("NanoCpus", INT64)
    cgroup_parent: str = wire("CgroupParent", STRING)
    blkio_weight: int = wire("BlkioWeight", UINT16)
    blkio_weight_device: list[WeightDevice | None] | None = wire(
        "BlkioWeightDevice", _pointers(WeightDevice, "blkiodev.WeightDevice")
    )
    blkio_device_read_bps: list[ThrottleDevice | None] | None = wire(
        "BlkioDeviceReadBps", THROTTLES
    )
    blkio_device_write_bps: list[ThrottleDevice | None] | None = wire(
        "BlkioDeviceWriteBps", THROTTLES
    )
    blkio_device_read_iops: list[ThrottleDevice | None] | None = wire(
        "BlkioDeviceReadIOps", THROTTLES
    )
    blkio_device_write_iops: list[ThrottleDevice | None] | None = wire(
        "BlkioDeviceWriteIOps", THROTTLES
    )
    cpu_period: int = wire("CpuPeriod", INT64)
    cpu_quota: int = wire("CpuQuota", INT64)
    cpu_realtime_period: int = wire("CpuRealtimePeriod", INT64)
    cpu_realtime_runtime: int = wire("CpuRealtimeRuntime", INT64)
    cpuset_cpus: str = wire("CpusetCpus", STRING)
    cpuset_mems: str = wire("CpusetMems", STRING)
    devices: list[DeviceMapping] | None = wire(
        "Devices", list_of(struct(DeviceMapping, go_type="container.DeviceMapping"))
    )
    device_cgroup_rules: list[str] | None = wire("DeviceCgroupRules", STRINGS)
    device_requests: list[DeviceRequest] | None = wire(
        "DeviceRequests", list_of(struct(DeviceRequest, go_type="container.DeviceRequest"))
    )
    kernel_memory: int = wire("KernelMemory", INT64)
    kernel_memory_tcp: int = wire("KernelMemoryTCP", INT64)
    memory_reservation: int = wire("MemoryReservation", INT64)
    memory_swap: int = wire("MemorySwap", INT64)
    memory_swappiness: int | None = wire("MemorySwappiness", pointer(INT64))
    oom_kill_disable: bool | None = wire("OomKillDisable", pointer(BOOL))
    pids_limit: int | None = wire("PidsLimit", pointer(INT64))
    ulimits: list[Ulimit | None] | None = wire("Ulimits", _pointers(Ulimit, "units.Ulimit"))
    cpu_count: int = wire("CpuCount", INT64)
    cpu_percent: int = wire("CpuPercent", INT64)
    io_maximum_iops: int = wire("IOMaximumIOps", INT64)
    io_maximum_bandwidth: int = wire("IOMaximumBandwidth", INT64)
    mounts: Any = wire("Mounts", ANY, omitempty=True)
    masked_paths: list[str] | None = wire("MaskedPaths", STRINGS)
    readonly_paths: list[str] | None = wire("ReadonlyPaths", STRINGS)
    init: bool | None = wire("Init", pointer(BOOL), omitempty=True)

    def __post_init__(self) -> None:
        self.network_mode = NetworkMode(self.network_mode)

    @classmethod
    def from_wire(cls, document: Document | None) -> HostConfig:
        """Build a host configuration from its document."""
        return decode(cls, document, go_type="container.HostConfig")

    def to_wire(self) -> Document:
        """Return the API's document."""
        return encode(self)


@dataclass(slots=True, kw_only=True)
class CreateRequest(Config):
    """The body of POST /containers/create: a `Config` with two more objects in it."""

    host_config: HostConfig | None = wire(
        "HostConfig", pointer(struct(HostConfig, go_type="container.HostConfig")), omitempty=True
    )
    networking_config: NetworkingConfig | None = wire(
        "NetworkingConfig",
        pointer(struct(NetworkingConfig, go_type="network.NetworkingConfig")),
        omitempty=True,
    )

    cpuset: str = wire("Cpuset", STRING, omitempty=True)

    @classmethod
    def from_wire(cls, document: Document | None) -> CreateRequest:
        """Build a request from its document.

        Clients of before API 1.18 give the host configuration's fields beside the portable ones
        and not in an object of their own (moby: ContainerConfigWrapper.getHostConfig). With such
        an object only five of them count.

        Raises:
            WireError: a value has the wrong type.
        """
        go_type = "runconfig.ContainerConfigWrapper"
        request = decode(cls, document, go_type=go_type)
        outer = {
            key: value for key, value in (document or {}).items() if key.lower() in _HOST_FIELDS
        }
        if outer:
            beside = decode(HostConfig, outer, go_type=go_type)
            request.host_config = _merged(request.host_config, beside)
        if request.host_config is not None and not request.host_config.cpuset_cpus:
            request.host_config.cpuset_cpus = request.cpuset
        return request

    def config(self) -> Config:
        """Return the portable part alone."""
        return Config.from_wire(Config.to_wire(self))


_HOST_FIELDS = frozenset(
    field.metadata["wire"].lower() for field in fields(HostConfig) if "wire" in field.metadata
)


def _merged(inner: HostConfig | None, beside: HostConfig) -> HostConfig:
    """Return the host configuration, completed by what stands beside it."""
    if inner is None:
        return beside
    inner.memory = inner.memory or beside.memory
    inner.memory_swap = inner.memory_swap or beside.memory_swap
    inner.cpu_shares = inner.cpu_shares or beside.cpu_shares
    inner.cpuset_cpus = inner.cpuset_cpus or beside.cpuset_cpus
    inner.volume_driver = inner.volume_driver or beside.volume_driver
    return inner


@dataclass(slots=True, kw_only=True)
class ExecRequest:
    """The body of POST /containers/{id}/exec."""

    user: str = wire("User", STRING)
    privileged: bool = wire("Privileged", BOOL)
    tty: bool = wire("Tty", BOOL)
    attach_stdin: bool = wire("AttachStdin", BOOL)
    attach_stderr: bool = wire("AttachStderr", BOOL)
    attach_stdout: bool = wire("AttachStdout", BOOL)
    detach: bool = wire("Detach", BOOL)
    detach_keys: str = wire("DetachKeys", STRING)
    env: list[str] | None = wire("Env", STRINGS)
    working_dir: str = wire("WorkingDir", STRING)
    cmd: list[str] | None = wire("Cmd", STRINGS)


@dataclass(slots=True, kw_only=True)
class ExecStartRequest:
    """The body of POST /exec/{id}/start."""

    detach: bool = wire("Detach", BOOL)
    tty: bool = wire("Tty", BOOL)
