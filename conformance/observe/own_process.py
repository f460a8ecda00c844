"""Whether a container that is said to run does run: a process apart from the engine's own.

Every row that starts a container rests on it, and an engine that only says so would pass the rows
that state what must not happen.
"""

import os
import re
import secrets
import signal
import time
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker.errors

from conformance.assertions import expect_equal, violated
from conformance.engines.base import Engine, EngineError, Inside
from conformance.observe.exec import run_in_container

PROCESS_END_TOLD_WITHIN_S = 10
HANDLER_WAIT_S = 2


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
    look = partial(_says, engine, document["Id"]) if inside is None else partial(_is_apart, inside)
    deadline = time.monotonic() + PROCESS_END_TOLD_WITHIN_S
    while not (apart := look(state["Pid"])):
        # a command may have ended since: an engine with much to do says so a moment later
        now = engine.client().api.inspect_container(document["Id"])["State"]
        if not _is_up(now) or now["Pid"] != state["Pid"]:
            return
        if apart is False or time.monotonic() > deadline:
            expected = "one of its own"
            violated("the container's process", expected=expected, actual=f"pid {state['Pid']}")
        time.sleep(0.1)


def wait_for_handler(engine: Engine, document: Mapping[str, Any], number: signal.Signals) -> None:
    """Give a container's process the moment it needs to handle a signal, where that can be seen.

    A start returns before the command is that far, and the first process of a namespace never
    gets a signal that it does not handle: a stop would take its whole timeout.
    """
    path = Path(f"/proc/{document['State']['Pid']}/status")
    deadline = time.monotonic() + HANDLER_WAIT_S
    while engine.inside() is not None and time.monotonic() < deadline:
        try:
            caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", path.read_text(), re.MULTILINE)
        except OSError:
            return
        if caught and int(caught[1], 16) >> (number - 1) & 1:
            return
        time.sleep(0.005)


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


def _is_apart(inside: Inside, pid: int) -> bool | None:
    """Say whether a process sees other files than the engine's; None: there is no such process."""
    if pid <= 0:
        return False
    try:
        theirs = Path(f"/proc/{pid}/ns/mnt").stat().st_ino
        return theirs != Path(f"/proc/{inside.pid}/ns/mnt").stat().st_ino
    except OSError:
        return None


def _says(engine: Engine, container_id: str, _pid: int) -> bool | None:
    """Ask for a word in a container; slower, but the API is all it needs.

    None: the engine says that nothing runs there, as it does where the command has ended.
    """
    word = secrets.token_hex(4)
    try:
        return run_in_container(engine, container_id, "echo", word).text == word
    except docker.errors.APIError as exc:
        return None if exc.status_code == HTTPStatus.CONFLICT else False
    except EngineError:
        return False
