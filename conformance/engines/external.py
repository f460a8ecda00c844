"""A daemon that somebody else runs: never stopped, only our own objects touched."""

import grp
import os
import pwd
import re
import socket
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import docker
import docker.errors
import docker.tls
import docker.utils
import requests

from conformance.engines.base import EngineError, EngineUnavailable, EngineVersion, Inside
from conformance.engines.processes import serving_pid, start_time
from conformance.engines.settings import SettingsError
from conformance.engines.threads import Pinned, home_thread
from conformance.engines.transport import open_socket, peer_pid, sdk_client, socket_path

# What the SDK and the docker command read, besides DOCKER_HOST.
TLS_VARIABLES = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
FROM_ENVIRONMENT = "env"
_SCHEMES = ("unix", "tcp", "http", "https")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST_AND_PORT = re.compile(r"[^/\s]*:[0-9]{1,5}", re.ASCII)


def is_address(spec: str) -> bool:
    """Say whether what `--engine` says is the address of an engine."""
    return _ADDRESS.match(spec) is not None


def address_from_environment(environment: Mapping[str, str] = os.environ) -> str:
    """Give the address that the SDK and the docker command would use: that of `--engine env`.

    Raises:
        SettingsError: `DOCKER_HOST` holds none.
    """
    host = environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    address = f"tcp://{host}" if _HOST_AND_PORT.fullmatch(host) else host
    if not _is_well_formed(address):
        raise SettingsError(
            f"DOCKER_HOST is {host!r}, no address: want unix:///path or tcp://host:port"
        )
    return address


def address_of(spec: str) -> str:
    """Give the address that `--engine SPEC` names; `env` is that of the environment.

    Raises:
        SettingsError: it is none.
    """
    if spec == FROM_ENVIRONMENT:
        return address_from_environment()
    if not _is_well_formed(spec):
        raise SettingsError(f"{spec} is no address: want unix:///path, tcp://host:port or env")
    return spec


def _is_well_formed(address: str) -> bool:
    try:
        _ = urlsplit(address).port  # read, since only that checks it
    except ValueError:
        return False
    return is_address(address)


class ExternalEngine:
    """An engine at an address: `unix:///path`, `tcp://host:port`."""

    is_managed = False
    origin = "external"
    profile = ""
    log_path: Path | None = None

    def __init__(
        self, address: str, *, name: str = "", environment: Mapping[str, str] = os.environ
    ) -> None:
        """Remember where it is; nothing is opened yet.

        Args:
            address: `unix:///path`, `tcp://host:port`.
            name: what messages call it; "" = its address.
            environment: where `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` are, which work as in the
                SDK.
        """
        self.address = address
        self.name = name or address
        self.family = "docker"
        self.start_command: list[str] = []
        self._client: docker.DockerClient | None = None
        self._tls: docker.tls.TLSConfig | None = None
        self._netns: Pinned | None = None
        self._inside: Inside | None = None
        self._started = ""
        self._lock = threading.Lock()
        names = () if address.startswith("unix:") else TLS_VARIABLES
        self.tls_settings = {key: environment[key] for key in names if environment.get(key)}

    def why_unavailable(self) -> str:
        """Say in plain words why it cannot be had from here; "" = it answers."""
        try:
            self.start()
        except EngineUnavailable as exc:
            return str(exc)
        finally:
            self.stop()
        return ""

    def start(self) -> None:
        """Check that it answers, and learn what it is.

        Raises:
            EngineUnavailable: in plain words why not, and what to do about it.
        """
        reason = self._why_unreachable()
        if reason:
            raise EngineUnavailable(f"{self.name}: {reason}")
        try:
            facts = self.client().version()
            EngineVersion.from_wire(facts)
        except (docker.errors.DockerException, requests.RequestException, ValueError) as exc:
            hint = self._tls_hint(str(exc))
            raise EngineUnavailable(f"{self.name}: no engine answers there: {exc}{hint}") from exc
        except KeyError as exc:
            raise EngineUnavailable(f"{self.name}: GET /version does not say its {exc}") from exc
        components = facts.get("Components") or []
        if any("podman" in str(part.get("Name", "")).lower() for part in components):
            self.family = "podman"

    def _why_unreachable(self) -> str:
        """Say what can be seen to be wrong before anything is asked; "" = nothing."""
        scheme = urlsplit(self.address).scheme
        if scheme not in _SCHEMES:
            return f"{scheme}:// is no way to an engine here: want unix:///path or tcp://host:port"
        return explain_socket(Path(socket_path(self.address))) if scheme == "unix" else ""

    def _tls_hint(self, error: str) -> str:
        if self.address.startswith("unix:"):
            return ""
        if self.tls_settings:
            return f" (with TLS: {', '.join(f'{k}={v}' for k, v in self.tls_settings.items())})"
        if "HTTPS server" in error or "certificate" in error:
            return " (it wants TLS: set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH=<folder>)"
        return ""

    def stop(self) -> None:
        """Close our connections; the engine stays as it is."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._forget()

    def _forget(self) -> None:
        """Let go of what was seen of the process that serves there."""
        if self._netns is not None:
            self._netns.close()
        self._netns = self._inside = None

    def restart(self) -> None:
        """Refuse: it is not ours."""
        raise EngineError(f"{self.name} is not ours to restart")

    def kill(self) -> None:
        """Refuse: it is not ours."""
        raise EngineError(f"{self.name} is not ours to kill")

    def kill_everything(self) -> None:
        """Refuse: it is not ours."""
        raise EngineError(f"{self.name} is not ours to kill")

    def resume(self) -> None:
        """Refuse: it is not ours."""
        raise EngineError(f"{self.name} is not ours to start")

    def version(self) -> EngineVersion:
        """Ask the engine for its version."""
        return EngineVersion.from_wire(self.client().version())

    def client(self) -> docker.DockerClient:
        """Give the SDK's client."""
        if self._client is None:
            found = docker.utils.kwargs_from_env(environment=self.tls_settings)
            self._tls = found.get("tls") or None
            self._client = sdk_client(self.address, self._tls)
        return self._client

    def connect(self) -> socket.socket:
        """Open a raw connection to its API."""
        self.client()  # knows by now where the certificates are
        return open_socket(self.address, self._tls)

    def help_text(self) -> str:
        """Give nothing: its program may be anywhere."""
        return ""

    @property
    def proc_nets(self) -> list[Path]:
        """The folders in /proc with the routes that its networks must not overlap, if it is here.

        One for each of its threads, of which some are in the namespaces of containers: without
        root nobody can tell which.
        """
        parts = urlsplit(self.address)
        if parts.scheme != "unix" and parts.hostname not in _LOOPBACK:
            return []
        pid = peer_pid(self.address) or "self"
        return list(Path(f"/proc/{pid}/task").glob("*/net"))

    def inside(self) -> Inside | None:
        """Say how to look inside it: only as root, only on this machine, only if it is found.

        Asked once for each process that serves there: a row looks inside for each container.

        Raises:
            EngineError: it ended meanwhile.
        """
        if os.geteuid() != 0 or not self.address.startswith("unix:"):
            return None
        with self._lock:
            if self._inside is None or start_time(self._inside.pid) != self._started:
                self._forget()
                self._inside = self._look_inside()
            return self._inside

    def _look_inside(self) -> Inside | None:
        info = self.client().info()  # systemd starts its daemon when it is asked
        pid = serving_pid(self.address)
        if pid is None:
            return None
        self._started = start_time(pid)
        try:
            self._netns = Pinned(home_thread(pid) / "ns/net")
        except OSError as exc:
            raise EngineError(f"{self.name}: its process {pid} has ended: {exc}") from exc
        return Inside(
            pid=pid,
            netns=self._netns.path,
            root=Path(f"/proc/{pid}/root"),
            data_root=Path(info.get("DockerRootDir", "/var/lib/docker")),
            exec_root=Path("/var/run/docker"),
            is_shared=True,
        )


def explain_socket(path: Path) -> str:
    """Say in plain words what is wrong with a socket, and the command to mend it; "" = nothing."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return (
            f"there is no socket at {path}. If Docker is installed, start it: "
            "`sudo systemctl start docker`; or name another one: --engine unix:///path"
        )
    except PermissionError:
        return f"the folder of {path} may not be read by you; try again with sudo"
    if not stat.S_ISSOCK(facts.st_mode):
        return f"{path} is not a socket"
    if not os.access(path, os.R_OK | os.W_OK):
        owner = f"{_user_name(facts.st_uid)}:{_group_name(facts.st_gid)}"
        return (
            f"{path} exists (mode {stat.S_IMODE(facts.st_mode):04o}, owner {owner}) but you may "
            f"not use it. Join its group: `sudo usermod -aG {_group_name(facts.st_gid)} $USER`, "
            "then log in again; or run with sudo"
        )
    return ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
