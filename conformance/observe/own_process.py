"""Whether a container that is said to run does run: a process apart from the engine's own.

Every row that starts a container rests on it, and an engine that only says so would pass the rows
that state what must not happen.
"""

import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker.errors

from conformance.assertions import expect_equal, violated
from conformance.engines.base import Engine, EngineError, Inside
from conformance.observe.exec import run_in_container


def expect_own_process(engine: Engine, document: Mapping[str, Any], *, stays: bool = False) -> None:
    """Expect a container that is said to run to have a process with a view of files of its own.

    Where the engine cannot be looked into, the container is asked to say a word.

    Args:
        engine: the engine.
        document: the container's inspect document.
        stays: whether its command does not end by itself, so that it must still run.
    """
    state = document["State"]
    if not _is_up(state):
        expect_equal("the container runs", False, stays)
        return
    inside = engine.inside()
    is_there = _says(engine, document["Id"]) if inside is None else _is_apart(state["Pid"], inside)
    if is_there:
        return
    # a command may have ended since, or run again by its policy: then the engine says so by now
    now = engine.client().api.inspect_container(document["Id"])["State"]
    if _is_up(now) and now["Pid"] == state["Pid"]:
        violated("the container's process", expected="one of its own", actual=f"pid {state['Pid']}")


def kill_process(pid: int) -> None:
    """End a container's process as somebody other than the engine would.

    A pid is what an engine says it is: 0 would be the suite itself, and any other one somebody
    else's, so a process that sees the suite's files is left alone.
    """
    own = Path("/proc/self/ns/mnt").stat().st_ino
    try:
        seen = Path(f"/proc/{pid}/ns/mnt").stat().st_ino if pid > 1 else own
    except OSError:
        seen = own
    if seen == own:
        violated("the container's process", expected="one of its own", actual=f"pid {pid}")
    os.kill(pid, signal.SIGKILL)


def _is_up(state: Mapping[str, Any]) -> bool:
    """Say whether it has a process by what the engine says; between two starts it has none."""
    return bool(state["Running"] and not state.get("Restarting"))


def _is_apart(pid: int, inside: Inside) -> bool:
    try:
        theirs = Path(f"/proc/{pid}/ns/mnt").stat().st_ino
        return theirs != Path(f"/proc/{inside.pid}/ns/mnt").stat().st_ino
    except OSError:
        return False


def _says(engine: Engine, container_id: str) -> bool:
    """Ask for a word in a container; slower, but the API is all it needs."""
    word = secrets.token_hex(4)
    try:
        return run_in_container(engine, container_id, "echo", word).text == word
    except (docker.errors.APIError, EngineError):
        return False
