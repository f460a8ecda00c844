"""The engine as a program: how it starts, refuses to, stops, dies and comes back."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kernel.docker_cli import IMAGE, ROOT, WAIT_S, load_image, until
from tests.kernel.own_engine import Engine, own_engine

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with own_engine(tmp_path) as one:
        yield one


def run(engine: Engine, name: str, *options: str) -> None:
    engine.docker("run", "-d", "--name", name, *options, IMAGE, "sleep", "600")


def test_help_tells_a_stranger_what_it_is():
    shown = subprocess.run(
        [sys.executable, "-m", "refimpl", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for word in ("reference implementation", "docker -H unix://", "--data-root", "--metrics-addr"):
        assert word in shown.stdout


def test_another_kind_of_address_is_refused(engine):
    engine_command = engine.command("--host", "tcp://127.0.0.1:2375")
    refused = subprocess.run(engine_command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "argument -H/--host: cannot listen on tcp:" in refused.stderr
    assert "only unix:// sockets are served" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("flag", "value", "code", "complaint"),
    [
        ("--dns", "foo", 2, "foo is not an ip address"),
        ("--metrics-addr", "127.0.0.1:99999", 2, "expected HOST:PORT"),
        ("--bip", "1.2.3", 2, "invalid CIDR address: 1.2.3"),
        ("--default-gateway", "hello", 2, "hello is not an ip address"),
        ("--host", "unix:///proc/nothere/x", 1, "No such file or directory"),
        ("--pidfile", "/proc/nothere/x", 1, "No such file or directory"),
        ("--data-root", "/dev/null/x", 1, "Not a directory"),
        ("--exec-root", "/dev/null/x", 1, "Not a directory"),
        ("--runtime", "nothere", 1, "not installed"),
        ("--metrics-addr", "192.0.2.1:9323", 1, "Cannot assign requested address"),
    ],
)
def test_value_that_does_not_work_is_refused_with_its_flag(engine, flag, value, code, complaint):
    refused = subprocess.run(
        engine.command(flag, value), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == code
    assert f"{flag}" in refused.stderr.splitlines()[-1]
    assert complaint in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    assert not (engine.folder / "engine.sock").exists()
    assert engine.links() == {"lo"}


@pytest.mark.parametrize("shared", ["data-root", "exec-root"])
def test_second_daemon_on_a_root_is_refused(engine, shared):
    engine.start()
    load_image(engine.docker)
    run(engine, "one")
    folder = engine.folder
    root = {"data-root": f"{folder}/data", "exec-root": f"{folder}/exec"}[shared]
    second = engine.second(
        "--host", f"unix://{folder}/second.sock", "--pidfile", f"{folder}/pid2", f"--{shared}", root
    )
    assert second.returncode == 1
    assert f"the {shared} {root} is in use by another daemon" in second.stderr
    assert "Traceback" not in second.stderr
    assert engine.docker("network", "ls", "--quiet").count("\n") == 2
    assert engine.state("one") == "running"


def test_pid_file_of_a_daemon_that_lives_is_left_to_it(engine):
    engine.start()
    assert engine.process is not None
    second = engine.second("--host", f"unix://{engine.folder}/second.sock")
    pid_file = engine.folder / "pid"
    assert second.returncode == 1
    assert f"pid file found, ensure docker is not running or delete {pid_file}" in second.stderr
    assert "Traceback" not in second.stderr
    assert pid_file.read_text() == f"{engine.process.pid}\n"
    engine.end(signal.SIGKILL)
    engine.start()
    assert pid_file.read_text() == f"{engine.process.pid}\n"


@pytest.mark.parametrize("taken", ["socket", "metrics"])
def test_start_that_is_refused_leaves_nothing(engine, taken):
    metrics = ("--metrics-addr", "127.0.0.1:9323")
    engine.start(*metrics)
    links, tables = engine.links(), engine.tables()
    options = {
        "socket": (),
        "metrics": ("--host", f"unix://{engine.folder}/second.sock", *metrics),
    }[taken]
    second = engine.second(*options)
    assert second.returncode == 1
    assert {"socket": "another engine listens", "metrics": "--metrics-addr 127.0.0.1:9323: "}[
        taken
    ] in (second.stderr)
    assert "Traceback" not in second.stderr
    assert not (engine.folder / "second.sock").exists()
    assert not (engine.folder / "data2").exists()
    assert (engine.links(), engine.tables()) == (links, tables)
    assert engine.docker("network", "ls", "--quiet").count("\n") == 2


def test_two_engines_in_one_namespace_have_a_table_each(engine):
    engine.start()
    tables = engine.tables()
    other = Engine(engine.folder / "other")
    other.folder.mkdir()
    other.start()
    try:
        assert tables.items() < engine.tables().items()
        assert len(engine.tables()) == 2
        assert engine.links() == {"lo", "docker0", "netinit0"}
        other.docker("network", "create", "theirs")
        assert tables.items() < engine.tables().items()
    finally:
        other.end(signal.SIGTERM)
    assert engine.end(signal.SIGTERM) == 0
    other.start()
    assert set(engine.tables()) == {"netinit"}, "what it wrote beside the first one is left"
    assert other.end(signal.SIGTERM) == 0


def test_garbage_is_collected_once_it_serves(engine):
    look = """
import gc, os, signal, sys, threading, time
from refimpl.__main__ import main

def look():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    while not gc.get_freeze_count():
        was_on = gc.isenabled()
        time.sleep(0.01)
    time.sleep(0.1)
    print("collects:", was_on, "while it is loaded,", gc.isenabled(), "when it serves")
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=look).start()
sys.exit(main(sys.argv[1:]))
"""
    command = engine.command()
    place = command.index("-m")
    command[place : place + 2] = ["-c", look]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=True
    )
    assert done.stdout == "collects: False while it is loaded, True when it serves\n"


def test_sigterm_stops_containers_and_keeps_networks(engine):
    engine.start()
    load_image(engine.docker)
    engine.docker("network", "create", "kept")
    run(engine, "one", "--stop-timeout", "0")
    run(engine, "two", "--stop-timeout", "0", "--network", "kept", "--restart", "unless-stopped")
    network = engine.docker("network", "inspect", "--format", "{{.Id}}", "kept")

    assert engine.end(signal.SIGTERM) == 0
    assert "Traceback" not in engine.log()
    assert not (engine.folder / "pid").exists()
    assert engine.namespaces() == set()
    assert not any(name.startswith("veth") for name in engine.links())

    engine.start()
    assert engine.docker("network", "inspect", "--format", "{{.Id}}", "kept") == network
    assert (engine.state("one"), engine.state("one", "ExitCode")) == ("exited", "137")
    assert engine.state("two") == "running"
    engine.docker("start", "one")


def test_killed_daemon_leaves_nothing_that_the_next_one_does_not_clear(engine):
    engine.start()
    load_image(engine.docker)
    for name in ("one", "two"):
        run(engine, name)
    run(engine, "shared", "--network", "host")
    run(engine, "again", "--restart", "always")
    veths = {name for name in engine.links() if name.startswith("veth")}
    assert len(veths) == 3
    stale = engine.namespaces()

    assert engine.end(signal.SIGKILL) == -signal.SIGKILL
    assert veths < engine.links(), "the crash was none"
    engine.start()

    assert engine.log().count("Removing stale sandbox") == 4
    assert not veths & engine.links()
    assert not stale & engine.namespaces()
    assert (engine.state("one"), engine.state("one", "ExitCode")) == ("exited", "137")
    assert engine.state("again") == "running"
    for name in ("one", "two", "shared"):
        engine.docker("start", name)
    addresses = {
        engine.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
        for name in ("one", "two", "again")
    }
    assert addresses == {"172.17.0.2", "172.17.0.3", "172.17.0.4"}


def test_boot_after_a_crash_restarts_in_order_and_removes_what_was_to_go(engine):
    engine.start()
    load_image(engine.docker)
    run(engine, "target", "--restart", "always")
    # of so many, an id that sorts before the target's is all but sure
    linkers = [f"linker{number}" for number in range(4)]
    for name in linkers:
        run(engine, name, "--restart", "always", "--link", "target:t")
    run(engine, "failed", "--restart", "on-failure")
    run(engine, "brief", "--rm")
    engine.docker("create", "--rm", "--name", "unused", IMAGE, "true")

    engine.end(signal.SIGKILL)
    engine.start()

    left = engine.docker("ps", "--all", "--format", "{{.Names}} {{.State}}").splitlines()
    assert sorted(left) == sorted(f"{name} running" for name in ["target", "failed", *linkers])
    layers = list((engine.folder / "data/overlay").iterdir())
    assert len(layers) == len(left)


def test_without_a_bridge_a_container_has_only_its_loopback(engine):
    engine.start("--bridge", "none")
    load_image(engine.docker)
    run(engine, "lonely")
    assert "eth0" not in engine.docker("exec", "lonely", "ip", "link")
    assert "docker0" not in engine.links()
    engine.docker("rm", "-f", "lonely")
    assert engine.namespaces() == set()


@pytest.mark.parametrize(("policy", "count"), [("on-failure:2", "2"), ("no", "0")])
def test_restart_policy_restarts_what_fails(engine, policy, count):
    engine.start()
    load_image(engine.docker)
    engine.docker("run", "-d", "--name", "failing", "--restart", policy, IMAGE, "false")
    until("the last run has ended", lambda: engine.state("failing") == "exited")
    assert engine.docker("inspect", "--format", "{{.RestartCount}}", "failing") == count
    assert engine.state("failing", "ExitCode") == "1"


def test_stop_ends_the_waiting_for_a_restart(engine):
    engine.start()
    load_image(engine.docker)
    engine.docker("run", "-d", "--name", "failing", "--restart", "always", IMAGE, "false")
    until("it waits for a restart", lambda: engine.state("failing") == "restarting")
    until("the wait is long", lambda: int(restarts(engine)) >= 3)
    began = time.monotonic()
    engine.docker("stop", "failing")
    assert time.monotonic() - began < 10
    assert engine.state("failing") == "exited"
    assert engine.namespaces() == set()


def restarts(engine: Engine) -> str:
    return engine.docker("inspect", "--format", "{{.RestartCount}}", "failing")


def test_kill_waits_for_the_run_that_it_ended_and_no_later_one(engine):
    engine.start()
    load_image(engine.docker)
    run(engine, "again")
    for _ in range(3):
        began = time.monotonic()
        jobs = [
            engine.docker.start(*words)
            for _ in range(4)
            for words in (("kill", "again"), ("stop", "-t", "0", "again"), ("start", "again"))
        ]
        errors = [job.communicate(timeout=60)[1].decode() for job in jobs]
        assert "of SIGKILL" not in "".join(errors)
        assert time.monotonic() - began < 10
        engine.docker("start", "again")
    engine.docker("rm", "-f", "again")


def test_parallel_starts_and_stops_leak_no_address(engine):
    engine.start()
    load_image(engine.docker)
    engine.docker("network", "create", "--subnet", "10.97.0.0/29", "small")
    engine.docker("create", "--name", "one", "--network", "small", IMAGE, "sleep", "600")
    jobs: list[Callable[[], subprocess.Popen[bytes]]] = [
        lambda: engine.docker.start("start", "one"),
        lambda: engine.docker.start("stop", "-t", "0", "one"),
        lambda: engine.docker.start("restart", "-t", "0", "one"),
    ]
    running = [job() for _ in range(4) for job in jobs]
    for process in running:
        process.communicate(timeout=60)
    engine.docker("rm", "-f", "one")
    for number in range(5):
        run(engine, f"fill{number}", "--network", "small")
    full = engine.docker.run("run", "--rm", "--network", "small", IMAGE, "true")
    assert "no available IPv4 addresses on this network's address pools" in full.err
    assert "Traceback" not in engine.log()
