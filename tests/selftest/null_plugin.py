"""A pytest plugin beside conformance.plugin: engines `null-empty` and `null-echo`, all rows.

Every row runs, whatever release promises it and whatever it needs, and waits pass at once.
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from conformance import leaks, pool, rowrun
from conformance.capabilities import PROBES
from conformance.engines.base import EngineVersion, Inside
from conformance.engines.transport import open_socket, sdk_client
from conformance.observe import poll
from conformance.observe.metrics import MetricsReader
from tests.selftest.null_api import Echo, Nothing, NullServer

VARIANTS = {"null-empty": Nothing, "null-echo": Echo}


class Clock:
    """A clock that moves only when somebody sleeps by it."""

    def __init__(self) -> None:
        """Begin at zero."""
        self._now_s = 0.0

    def monotonic(self) -> float:
        """Give the time."""
        return self._now_s

    def sleep(self, seconds: float) -> None:
        """Let it pass; a poll has three looks and no more."""
        self._now_s += max(seconds, 5)


class Bystander:
    """A process that stands for the engine, in a namespace with `lo`, a link and a route."""

    def __init__(self) -> None:
        """Start it, and wait until it is in its namespace."""
        script = (
            "ip link set lo up && ip link add uplink type veth peer name beyond && "
            "ip link set uplink up && ip link set beyond up && "
            "ip addr add 192.0.2.2/24 dev uplink && ip route add default via 192.0.2.1 && "
            "echo && exec sleep 1000"
        )
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"\n"
        self.pid = self._process.pid

    def has_ended(self) -> bool:
        """Say whether somebody has killed it."""
        return self._process.poll() is not None

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


class NullEngine:
    """A managed engine without a daemon."""

    family = "docker"
    profile = ""
    origin = ""
    is_managed = True

    def __init__(self, spec: str) -> None:
        """Remember which variant it is."""
        self.name = spec
        self.config: dict[str, Any] = {}
        self.start_command: list[str] = []

    def why_unavailable(self) -> str:
        """Say that it can be had everywhere."""
        return ""

    def start(self) -> None:
        """Listen; beside it is a process that stands for the daemon, and for every container."""
        self.folder = Path(tempfile.mkdtemp(prefix="netinit-null-"))
        (self.folder / "data" / "containers").mkdir(parents=True)
        self.log_path = self.folder / "log"
        self.log_path.touch()
        self.address = f"unix://{self.folder}/sock"
        self._engine = Bystander()
        self._null = VARIANTS[self.name](data_root=self.folder / "data", pid=self._engine.pid)
        self._server = NullServer(self.folder / "sock", self._null)
        self._server.begin()
        self._client: docker.DockerClient = sdk_client(self.address)

    def stop(self) -> None:
        """Take everything away."""
        self._client.close()
        self._server.end()
        self._engine.end()
        shutil.rmtree(self.folder)

    def restart(self) -> None:
        """Do nothing."""

    kill = kill_everything = resume = restart

    def version(self) -> EngineVersion:
        """Ask it for its version."""
        return EngineVersion.from_wire(self._client.version())

    def client(self) -> docker.DockerClient:
        """Give the SDK's client."""
        return self._client

    def connect(self) -> Any:
        """Open a raw connection."""
        return open_socket(self.address)

    def help_text(self) -> str:
        """Give nothing."""
        return ""

    def inside(self) -> Inside:
        """Lead to the bystander that stands for the daemon; a row may have killed a container."""
        if self._engine.has_ended():
            self._engine = Bystander()
            self._null.pid = self._engine.pid
        return Inside(
            pid=self._engine.pid,
            netns=Path(f"/proc/{self._engine.pid}/ns/net"),
            root=Path("/"),
            data_root=self.folder / "data",
            exec_root=self.folder / "exec",
            metrics_url="-",
            networks_kept="*",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Put the null engines in the place of all others."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(pool, "make_engine", lambda spec, **_: NullEngine(spec))
    patch.setattr(pool, "slot_of", lambda spec: spec)
    patch.setattr(pool, "blame", lambda _, exc: str(exc))
    patch.setattr(pool, "probe_capabilities", lambda _: frozenset(PROBES))
    patch.setattr(pool, "column_name", lambda engine, _: engine.name)
    patch.setattr(rowrun, "matches", lambda *_: True)
    patch.setattr(leaks, "take_snapshot", lambda *_: leaks.Snapshot(()))
    patch.setattr("conformance.fixtures.take_snapshot", lambda *_: leaks.Snapshot(()))
    patch.setattr(rowrun, "take_snapshot", lambda _: leaks.Snapshot(()))
    patch.setattr(MetricsReader, "page", lambda _: "")
    clock = Clock()
    patch.setattr(poll, "time", clock)
    assert time.monotonic is not clock.monotonic
