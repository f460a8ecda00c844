"""Goal: a boot serves first; what hangs in it holds up nobody else, nor the program's end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.docker_cli import IMAGE, ROOT, WAIT_S, answers, load_image, until
from tests.kernel.own_engine import Engine, own_engine

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(180)]
END_S = 25
"""How long the end may take while the runtime hangs: a command under way, the next one, and the
wait for the killed processes have 5 s each, and the machine may have other work."""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with own_engine(tmp_path) as one:
        yield one


def hanging_runtime(folder: Path, command: str) -> str:
    """Return a runc that does not end one command for the ids in a file."""
    program = folder / "runc-that-hangs"
    (folder / "hung-ids").touch()
    program.write_text(
        "#!/bin/sh\n"
        f'while read -r id; do case "$*" in *" {command} "*"$id"*)\n'
        f'echo "$*" >> {folder}/hung; exec sleep 1000;; esac; done < {folder}/hung-ids\n'
        'exec runc "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


def boot(engine: Engine, *options: str) -> None:
    """Start the program, and wait no longer than for its `_ping`."""
    sock = engine.folder / "engine.sock"
    sock.unlink(missing_ok=True)
    with (engine.folder / "log").open("ab") as log:
        engine.process = process = subprocess.Popen(
            engine.command(*options), cwd=ROOT, stdout=log, stderr=log
        )
    until("the engine answers", lambda: answers(sock) or process.poll() is not None)
    assert process.poll() is None, engine.log()


def has_hung(engine: Engine, command: str) -> bool:
    path = engine.folder / "hung"
    return path.exists() and f" {command} " in path.read_text()


def runs(engine: Engine, name: str) -> bool:
    return engine.state(name) == "running"


@pytest.mark.parametrize("command", ["run", "delete"])
def test_a_container_that_does_not_start_again_holds_up_nobody(engine, command) -> None:
    runtime = ("--runtime", hanging_runtime(engine.folder, command))
    engine.start(*runtime)
    load_image(engine.docker)
    always = ("run", "-d", "--restart", "always")
    ids = {
        name: engine.docker(*always, "--name", name, IMAGE, "sleep", "9999")
        for name in ("stuck", "one", "two")
    }
    engine.docker(*always, "--network", "container:stuck", IMAGE, "sleep", "9999")
    engine.end(signal.SIGKILL)
    (engine.folder / "hung-ids").write_text(f"{ids['stuck']}\n")

    boot(engine, *runtime)
    until("it hangs", lambda: has_hung(engine, command))
    assert len(engine.docker("ps", "-aq").split()) == 4
    until("the others run", lambda: runs(engine, "one") and runs(engine, "two"))
    engine.docker("run", "--rm", IMAGE, "true")

    assert engine.process is not None
    began = time.monotonic()
    engine.process.send_signal(signal.SIGTERM)
    assert engine.process.wait(END_S * 2) == 0, engine.log()
    assert time.monotonic() - began < END_S
    assert "Traceback" not in engine.log()
    assert engine.namespaces() == set()
    assert subprocess.run(["pgrep", "-f", ids["stuck"]], check=False).returncode == 1


def test_what_is_of_no_container_is_removed_behind_the_others(engine) -> None:
    runtime = ("--runtime", hanging_runtime(engine.folder, "delete"))
    engine.start(*runtime)
    load_image(engine.docker)
    engine.docker("run", "-d", "--name", "one", "--restart", "always", IMAGE, "sleep", "9999")
    lost = engine.docker("run", "-d", "--name", "lost", IMAGE, "sleep", "9999")
    engine.end(signal.SIGKILL)
    for path in (engine.folder / "data/containers" / lost).iterdir():
        path.unlink()
    (engine.folder / "hung-ids").write_text(f"{lost}\n")

    boot(engine, *runtime)
    until("it hangs", lambda: has_hung(engine, "delete"))
    until("the other runs", lambda: engine.state("one") == "running")
    # what is new meanwhile is nobody's orphan
    new = engine.docker("run", "-d", "--name", "new", IMAGE, "sleep", "9999")
    (engine.folder / "hung-ids").write_text("")
    until("all of the lost one is gone", lambda: not any(
        (engine.folder / place / lost).exists()
        for place in ("data/overlay", "exec/bundles", "exec/runtime")
    ))  # fmt: skip
    assert engine.state("new") == "running"
    assert (engine.folder / "data/overlay" / new).exists()
    assert engine.end(signal.SIGTERM) == 0


def send_and_read(engine: Engine, number: signal.Signals, told: str, times: int) -> None:
    """Send a signal, and wait until the log has told of it so many times."""
    assert engine.process is not None
    engine.process.send_signal(number)
    until(f"{number.name} is in the log", lambda: engine.log().count(told) == times)


def test_signals_that_are_survived_and_that_end_it(engine) -> None:
    engine.start()
    load_image(engine.docker)
    container = ("run", "-d", "--name", "one", "--stop-timeout", "0", IMAGE, "sleep", "9999")
    engine.docker(*container)
    blocked = engine.docker("exec", "one", "grep", "-h", "Sig[BI]", "/proc/1/status")
    assert set(blocked.split()[1::2]) == {"0" * 16}, "a signal is blocked or ignored in there"
    assert engine.process is not None
    # one after the other: two that are pending at once are one
    send_and_read(engine, signal.SIGHUP, "reload configuration", 1)
    send_and_read(engine, signal.SIGUSR1, "thread stdio:", 1)
    send_and_read(engine, signal.SIGHUP, "reload configuration", 2)
    assert engine.state("one") == "running"
    for number in (signal.SIGQUIT, signal.SIGUSR2):
        assert engine.end(number) == 0
        assert f"Processing signal '{number.name}'" in engine.log()
        assert engine.namespaces() == set()
        engine.start()
        assert json.loads(engine.docker("inspect", "one"))[0]["State"]["Status"] == "exited"
    assert engine.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGQUIT])
def test_signals_during_the_boot(engine, number) -> None:
    engine.start()
    engine.end(signal.SIGTERM)
    (engine.folder / "engine.sock").unlink(missing_ok=True)
    with (engine.folder / "log").open("ab") as log:
        engine.process = process = subprocess.Popen(
            engine.command(), cwd=ROOT, stdout=log, stderr=log
        )
    # from the first moment at which the handlers are there
    until("handlers", lambda: caught(process.pid) & 1 << number - 1 or process.poll() is not None)
    process.send_signal(number)
    if number in (signal.SIGTERM, signal.SIGQUIT):
        assert process.wait(WAIT_S) == 0, engine.log()
        assert "Traceback" not in engine.log()
        assert not (engine.folder / "pid").exists()
    else:
        until("the engine answers", lambda: answers(engine.folder / "engine.sock"))
        assert engine.end(signal.SIGTERM) == 0


def caught(pid: int) -> int:
    """Return the mask of the signals that a process has handlers for."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("SigCgt:")[2].split()[0], 16)
