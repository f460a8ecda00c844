"""What the suite knows of an engine, whatever kind it is."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import docker

API_TIMEOUT_S = 60
_SAID_MAX = 300
# So begin the lines that the suite itself writes into an engine's log.
OWN_NOTE = "--- netinit:"
NO_LOG = "(no log)"


class EngineError(Exception):
    """An engine could not be started, stopped or reached: an error of the run, not of a row."""


class EngineRefused(EngineError):
    """An engine ended while it started; the message has the end of its log."""


class EngineUnavailable(EngineError):
    """This machine cannot have the engine at all; the message says what to do about it."""


def failed_start(name: str, exc: EngineError, tail: str) -> EngineError:
    """Give the error of a start that failed, of the same type.

    Its first line, which alone stands in a report, ends with what the engine itself said last.

    Args:
        name: the engine.
        exc: why it failed, as far as it was seen from outside.
        tail: the end of the engine's log.
    """
    lines = (line.strip() for line in tail.splitlines())
    said = [line for line in lines if line and not line.startswith((OWN_NOTE, NO_LOG))]
    shown = "".join(sign if sign.isprintable() else " " for sign in said[-1]) if said else ""
    last = f": {shown[:_SAID_MAX]}" if shown else ""
    return type(exc)(f"{name} did not come up: {exc}{last}\nthe end of its log:\n{tail}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """What the engine says about itself at /version."""

    version: str
    api_min: str
    api_max: str

    @classmethod
    def from_wire(cls, document: Mapping[str, Any]) -> "EngineVersion":
        """Read the answer of GET /version."""
        return cls(
            version=str(document["Version"]),
            api_min=str(document.get("MinAPIVersion", "")),
            api_max=str(document["ApiVersion"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """How to look inside a daemon that runs on this machine.

    Attributes:
        pid: the daemon's process.
        netns: a file that names the network namespace it was started in. Not always that of
            /proc/PID/ns/net: a Go program may leave its first thread in a container's.
        root: a path prefix that leads into the daemon's own view of the file system.
        data_root: the daemon's --data-root, as the daemon sees it.
        exec_root: the daemon's --exec-root, as the daemon sees it.
        metrics_url: where the daemon serves its metrics, inside its network namespace; "" = not.
        networks_kept: what below the data-root the engine keeps its networks in, as a pattern of
            `Path.glob`; "" = nobody knows.
        is_shared: whether somebody else makes links and rules in its network namespace, too.
    """

    pid: int
    netns: Path
    root: Path
    data_root: Path
    exec_root: Path
    metrics_url: str = ""
    networks_kept: str = ""
    is_shared: bool = False

    def network_files(self) -> list[Path]:
        """List the files and folders in which the engine keeps what it knows of its networks."""
        folder = self.root / str(self.data_root).lstrip("/")
        found = folder.glob(self.networks_kept) if self.networks_kept else ()
        return [self.data_root / path.relative_to(folder) for path in found]


class Engine(Protocol):
    """One engine. Everything a row does to it goes through here or through its API."""

    @property
    def name(self) -> str:
        """What messages call it: its name in engines.toml, its address, or a short name."""

    @property
    def family(self) -> str:
        """Whose expectations hold: docker, refimpl, podman."""

    @property
    def profile(self) -> str:
        """The Docker release whose promises hold; "" = the engine's own version."""

    @property
    def is_managed(self) -> bool:
        """Whether the suite started it, and so may stop, kill and restart it."""

    @property
    def origin(self) -> str:
        """What tells its column from a recorded one; "" = a table of engines.toml."""

    @property
    def log_path(self) -> Path | None:
        """The daemon's log, where the suite has it."""

    @property
    def start_command(self) -> list[str]:
        """How the suite starts it; empty for an engine of somebody else."""

    def why_unavailable(self) -> str:
        """Say in plain words why it cannot be had here, and what to do about it; "" = it can."""

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            EngineUnavailable: this machine cannot have it.
            EngineError: it did not come up.
        """

    def stop(self) -> None:
        """Stop it and take away everything that it left on this machine."""

    def restart(self) -> None:
        """Stop it as an administrator would (SIGTERM) and start it again on the same state."""

    def kill(self) -> None:
        """SIGKILL the daemon's own process; what it started lives on if the daemon lets it."""

    def kill_everything(self) -> None:
        """SIGKILL the daemon, its helpers, its shims and its containers' processes at once."""

    def resume(self) -> None:
        """Start it again after kill() or kill_everything(), on the state that was left."""

    def version(self) -> EngineVersion:
        """Ask it for its version."""

    def client(self) -> docker.DockerClient:
        """Give the docker SDK's client for it."""

    def connect(self) -> socket.socket:
        """Open a raw connection to its API, for what the SDK cannot say or reads wrongly."""

    def help_text(self) -> str:
        """Give what its program says of its options; "" where it cannot be asked."""

    def inside(self) -> Inside | None:
        """Say how to look inside it from this machine; None where that is not possible."""
