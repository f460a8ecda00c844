"""A dockerd in a container of the user's own engine: `--engine image:NAME`.

The container's first process only sleeps, and dockerd is started beside it. So dockerd can be
killed and started again while its network namespace, mounts and files stay, as a machine's do. The
container has no network but `lo`, as the machine of any engine of the suite (machine.py), and it
shares the processes of this machine: what the dockerd inside calls a pid is one here, too.

All of it is reached through /proc/<first process>: it takes root, and an engine on this machine.
"""

import json
import os
import re
import signal
import socket
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

from conformance.engines.base import (
    NO_LOG,
    OWN_NOTE,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    EngineVersion,
    Inside,
    failed_start,
)
from conformance.engines.cleanup import record_external
from conformance.engines.containerd import forget_dead_containerd
from conformance.engines.external import ExternalEngine, address_from_environment
from conformance.engines.kinds import EngineKind
from conformance.engines.machine import TREE_PATH
from conformance.engines.managed import (
    METRICS_ADDRESS,
    NETNS_PREFIX,
    READY_TIMEOUT_S,
    STOP_TIMEOUT_S,
)
from conformance.engines.processes import (
    clear_cgroup,
    descendants,
    is_alive,
    kill_all,
    processes_in_mounts,
    run_tool,
)
from conformance.engines.program import ask
from conformance.engines.rights import Rights, ways_to_be_root
from conformance.engines.settings import EngineSettings, SettingsError, settings_of_argument
from conformance.engines.transport import KeptClient, open_socket, shows_networks
from conformance.labels import ENGINE_PREFIX, RUN_LABEL
from conformance.observe.poll import WaitedTooLong, wait_until
from conformance.rawapi import request

DATA_ROOT, EXEC_ROOT = Path("/var/lib/docker"), Path("/run/docker")
SOCKET, PID_FILE = Path("/run/docker.sock"), Path("/run/docker.pid")
CONFIG, LOG = Path("/run/netinit.json"), Path("/run/netinit.log")
# By this variable a process of the container is known to be one of this machine.
MARK = "NETINIT_ENGINE"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@-]{0,255}")
_SLEEPER = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"
_LAUNCH = 'log=$1; shift; exec "$@" >>"$log" 2>&1'
# What the machine of any other engine has; a container's network is another.
_NETWORK = (
    "echo 0 >/proc/sys/net/ipv4/ip_forward;"
    "for one in all default lo; do echo 0 >/proc/sys/net/ipv6/conf/$one/disable_ipv6; done"
)


class ImageEngine:
    """A dockerd from an image, in a container of its own."""

    family = "docker"
    profile = ""
    is_managed = True

    def __init__(
        self,
        settings: EngineSettings,
        *,
        run_id: str,
        slot: str,
        workspace: Path,
        config: dict[str, Any] | None = None,
        keep: str = "",
    ) -> None:
        """Prepare it; the arguments are those of `ManagedEngine`.

        Raises:
            SettingsError: it is to be kept, or `DOCKER_HOST` holds no address.
        """
        if keep:
            raise SettingsError(f"{settings.spec} ends with its run; --keep is not for images")
        self.settings = settings
        self.name = settings.name
        self.origin = settings.origin
        self.config = config or {}
        self.start_command: list[str] = []
        self._run_id = run_id
        self._slot = slot
        self._workspace = workspace
        self._label = f"{ENGINE_PREFIX}{run_id}-{slot}"
        self._cgroup = f"{NETNS_PREFIX}{run_id}-{slot}"
        self._owner = ExternalEngine(address_from_environment())
        self._record: Path | None = None
        self._container = ""
        self._exec = ""
        self._first = 0
        self._path = TREE_PATH
        self._client = KeptClient()

    def why_unavailable(self) -> str:
        """Say why there is no such image, or no engine that could run it; "" = there is."""
        spec, address = self.settings.spec, self._owner.address
        if not address.startswith("unix:"):
            return f"{spec}: the engine that runs it must be on this machine, not at {address}"
        if reason := self._owner.why_unavailable():
            return f"{spec}: the engine that is to run it: {reason}"
        try:
            self._owner.client().images.get(self.settings.argument)
        except docker.errors.NotFound:
            return (
                f"{spec}: {address} has no such image; get it: docker pull {self.settings.argument}"
            )
        except docker.errors.APIError as exc:
            return f"{spec}: {address} says: {exc.explanation}"
        finally:
            self._owner.stop()
        if os.geteuid() != 0:
            return f"{spec}: an engine in a container is looked into from this machine: needs root"
        return ""

    def start(self) -> None:
        """Make the container and start its dockerd.

        Raises:
            EngineUnavailable: there is no image, or its container is not on this machine.
            EngineError: it did not come up; nothing is left of it.
        """
        if reason := self.why_unavailable():
            raise EngineUnavailable(reason)
        self._owner.start()
        self._record = record_external(
            self._workspace, self._owner, self._run_id, label=self._slot, cgroup=self._cgroup
        )
        try:
            self._make_container()
            self._launch()
        except EngineError as exc:
            tail = self.log_tail()
            self.stop()
            raise failed_start(self.name, exc, tail) from None
        except (docker.errors.DockerException, requests.RequestException) as exc:
            self.stop()
            raise EngineError(f"{self.name}: {self._owner.address} says: {exc}") from exc

    def _make_container(self) -> None:
        """Make and start the container, in the first way that the user's engine can."""
        refused = []
        for rights in ways_to_be_root():
            try:
                self._try_container(rights)
            except docker.errors.APIError as exc:
                refused.append(f"{rights.name}: {exc.explanation}")
                self._remove_container()
            else:
                break
        else:
            raise EngineError(f"the container does not start; {'; '.join(refused)}")
        state = self._owner.client().api.inspect_container(self._container)["State"]
        first = int(state["Pid"])
        # Nothing is read, written or killed through a process that may be somebody else's.
        if not self._is_ours(first):
            raise EngineUnavailable(
                f"{self._owner.address} runs its containers on another machine, or in a namespace "
                "of processes of its own: its engines cannot be looked into from here"
            )
        self._first = first
        run_tool("nsenter", f"--net={self._netns}", "sh", "-c", _NETWORK)

    def _try_container(self, rights: Rights) -> None:
        owner = self._owner.client()
        image = owner.images.get(self.settings.argument).attrs["Config"] or {}
        words = [word.partition("=") for word in image.get("Env") or []]
        self._path = {name: value for name, _, value in words}.get("PATH", TREE_PATH)
        self.start_command = [*_entry(image.get("Entrypoint") or []), "--config-file", str(CONFIG)]
        body = {
            "Image": self.settings.argument,
            "Entrypoint": ["/bin/sh", "-c", _SLEEPER],
            "Cmd": [],
            "User": "0",
            "Labels": {RUN_LABEL: self._run_id},
            "Env": [f"{MARK}={self._label}"],
            "Volumes": {str(DATA_ROOT): {}},
            "HostConfig": {
                **rights.host_config,
                "NetworkMode": "none",
                "PidMode": "host",
                "UsernsMode": "host",
                "Tmpfs": {"/run": "rw,exec,mode=755"},
            },
        }
        answer = request(self._owner, "POST", f"/containers/create?name={self._label}", body)
        if answer.status != HTTPStatus.CREATED:
            raise EngineError(f"{self._owner.address} makes no container: {answer.message}")
        self._container = answer.json()["Id"]
        owner.api.start(self._container)

    def _is_ours(self, pid: int) -> bool:
        """Say whether a process of this machine is one of the container."""
        try:
            found = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False
        return f"{MARK}={self._label}".encode() in found

    def _launch(self) -> None:
        """Start dockerd in the container, and wait until it answers.

        Raises:
            EngineError: it does not.
        """
        config = {
            "data-root": str(DATA_ROOT),
            "exec-root": str(EXEC_ROOT),
            "pidfile": str(PID_FILE),
            "hosts": [f"unix://{SOCKET}"],
            "metrics-addr": METRICS_ADDRESS,
            # 20.10 serves metrics only with this.
            "experimental": True,
            "log-level": "info",
            "cgroup-parent": f"/{self._cgroup}",
            **self.config,
        }
        self._here(PID_FILE).unlink(missing_ok=True)
        self._here(CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
        api = self._owner.client().api
        command = ["/bin/sh", "-c", _LAUNCH, "sh", str(LOG), *self.start_command]
        self._exec = api.exec_create(self._container, command, stdout=False, stderr=False)["Id"]
        api.exec_start(self._exec, detach=True)
        try:
            wait_until(
                f"{self.settings.spec} to answer",
                lambda: shows_networks(self._address) or self._has_exited(),
                timeout_s=READY_TIMEOUT_S,
            )
        except WaitedTooLong as exc:
            raise EngineError(str(exc)) from exc
        if self._has_exited():
            raise EngineRefused("its dockerd exited while it started")

    @property
    def _netns(self) -> Path:
        return Path(f"/proc/{self._first}/ns/net")

    @property
    def _address(self) -> str:
        return f"unix://{self._here(SOCKET)}"

    def _here(self, path: Path) -> Path:
        """Lead to a file of the container from this machine."""
        return Path(f"/proc/{self._first}/root") / path.relative_to("/")

    @property
    def log_path(self) -> Path | None:
        """Its dockerd's log."""
        return self._here(LOG) if self._first else None

    def log_tail(self, lines: int = 15) -> str:
        """Give the end of its dockerd's log."""
        if not (self._first and self._here(LOG).exists()):
            return NO_LOG
        text = self._here(LOG).read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def _note(self, text: str) -> None:
        with self._here(LOG).open("a", encoding="utf-8") as log:
            log.write(f"{OWN_NOTE} {text}\n")

    def _has_exited(self) -> bool:
        return not self._owner.client().api.exec_inspect(self._exec)["Running"]

    def _pid(self) -> int:
        """Give its dockerd's process; 0 = it has none."""
        try:
            pid = int(self._here(PID_FILE).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0
        return pid if self._is_ours(pid) else 0

    def _launched(self) -> set[int]:
        """Its dockerd's process, and that which started it: an entrypoint may not be dockerd."""
        state = self._owner.client().api.exec_inspect(self._exec)
        first = int(state["Pid"]) if state["Running"] else 0
        return {self._pid(), first if self._is_ours(first) else 0} - {0}

    def _family_of_processes(self) -> set[int]:
        """Everything in the container but its first process, and the containers in it."""
        if not self._is_ours(self._first):  # ended, and its number may be another's by now
            return set()
        found = descendants(processes_in_mounts(self._first) - {self._first})
        return found - {self._first, os.getpid()}

    def stop(self) -> None:
        """Stop it, and remove its container with all that is in it."""
        self._client.close()
        if self._first:
            self._terminate()
            kill_all(self._family_of_processes())
        self._remove_container()
        clear_cgroup(self._cgroup)
        self._owner.stop()
        if self._record is not None:
            self._record.unlink(missing_ok=True)
            self._record = None

    def _remove_container(self) -> None:
        if not self._container:
            return
        try:
            self._owner.client().api.remove_container(self._container, force=True, v=True)
        except docker.errors.NotFound:
            pass
        except (docker.errors.DockerException, requests.RequestException) as exc:
            raise EngineError(f"{self._label} cannot be removed: {exc}") from exc
        self._container, self._first = "", 0

    def _terminate(self) -> None:
        """Ask its dockerd to stop, and wait."""
        pid = self._pid()
        if not pid or not is_alive(pid):
            return
        os.kill(pid, signal.SIGTERM)
        try:
            wait_until(
                f"{self.settings.spec} to stop after SIGTERM",
                lambda: not is_alive(pid),
                timeout_s=STOP_TIMEOUT_S,
            )
        except WaitedTooLong:
            self._note(f"did not stop within {STOP_TIMEOUT_S} s of SIGTERM")

    def restart(self) -> None:
        """Stop its dockerd gracefully and start it on the same state."""
        self._client.close()
        self._terminate()
        if is_alive(self._pid()):
            raise EngineError(f"{self.settings.spec} did not stop in time")
        self.resume()

    def kill(self) -> None:
        """SIGKILL its dockerd's own process."""
        self._client.close()
        self._note("SIGKILL to the daemon")
        kill_all({self._pid()} - {0})

    def kill_everything(self) -> None:
        """SIGKILL its dockerd, containerd, shims and its containers' processes at once."""
        pids = self._family_of_processes()
        self._client.close()
        self._note(f"SIGKILL to everything: {sorted(pids)}")
        kill_all(pids)

    def resume(self) -> None:
        """Start its dockerd again on the state that was left; once more where it fails."""
        forget_dead_containerd(self._here(EXEC_ROOT))
        try:
            self._launch()
        except EngineError as exc:
            self._note(f"did not come up again ({exc}); trying once more")
            kill_all(self._launched())
            forget_dead_containerd(self._here(EXEC_ROOT))
            self._launch()

    def version(self) -> EngineVersion:
        """Ask it for its version."""
        return EngineVersion.from_wire(self.client().version())

    def client(self) -> docker.DockerClient:
        """Give the SDK's client; a new one after each restart."""
        return self._client.of(self.settings.spec, self._address)

    def connect(self) -> socket.socket:
        """Open a raw connection to its API."""
        return open_socket(self._address)

    def help_text(self) -> str:
        """Ask the dockerd of the image for its options."""
        enter = ["nsenter", f"--target={self._first}", "--mount"]
        return ask([*enter, "dockerd", "--help"], {"PATH": self._path}).text

    def inside(self) -> Inside:
        """Say how to look inside, through the container's first process."""
        return Inside(
            pid=self._pid() or self._first,
            netns=self._netns,
            root=Path(f"/proc/{self._first}/root"),
            data_root=DATA_ROOT,
            exec_root=EXEC_ROOT,
            metrics_url=f"http://{METRICS_ADDRESS}/metrics",
            networks_kept="network/files/local-kv.db",
        )


def _entry(entrypoint: Sequence[str]) -> list[str]:
    """Give the words that start dockerd in an image: by its own entrypoint, where it has one."""
    if entrypoint and Path(entrypoint[-1]).name == "dockerd":
        return list(entrypoint)
    return [*entrypoint, "dockerd"]


def settings_of(argument: str) -> EngineSettings:
    """Read what follows `image:`; the name of an image.

    Raises:
        SettingsError: it is none.
    """
    if not _NAME.fullmatch(argument):
        raise SettingsError(
            f"image: {argument!r} is no name of an image; want image:docker:28-dind"
        )
    return settings_of_argument("image", argument, family="docker")


KIND = EngineKind(settings_of=settings_of, make=ImageEngine)
