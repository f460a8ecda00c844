"""A run on somebody else's engine leaves it byte for byte as it was, whatever ends the run."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.engines.managed import WORKSPACE_ROOT
from conformance.labels import RUN_LABEL
from conformance.observe.poll import WaitedTooLong, wait_until
from tests.selftest.foreign import (
    GROUP,
    THEIR_ROUTE,
    THEIR_SUBNET,
    Theirs,
    as_nobody,
    environment,
    make_certificates,
    running_dockerd,
    what_is_missing,
)

pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(what_is_missing()), reason=what_is_missing()),
]

# One of each kind, and so many that several workers run them; NETINIT_EXTERNAL_ROWS="" runs all
# that an external engine allows (5 minutes).
ROWS = os.environ.get(
    "NETINIT_EXTERNAL_ROWS",
    "allocate.order.default-network-first allocate.failure.nothing-kept events links files "
    "init.container.shares-netns init.host.allocated init.none.only-loopback "
    "init.user.network-recreated-after-run init.user.network-by-name ipam.aux",
).split()
ONE_ROW = "init.user.network-by-name"
# A busy machine may take so long to bring up several workers.
START_TIMEOUT_S = 120


@pytest.fixture(scope="module")
def theirs() -> Iterator[Theirs]:
    """One dockerd for all tests, which is itself a part of the proof: no test may harm it."""
    with running_dockerd(hosts=["tcp://127.0.0.1:2375"]) as engine:
        engine.fill()
        yield engine


@pytest.fixture
def unharmed(theirs) -> Iterator[Theirs]:
    """The engine; the test fails if anything on it is not as it was."""
    before = theirs.seen()
    yield theirs

    def changes() -> list[str]:
        now = theirs.seen()
        return [
            f"{name}: {before.get(name)} -> {now.get(name)}"
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        ]

    try:
        wait_until("everything to be as it was", lambda: not changes(), timeout_s=10)
    except WaitedTooLong:
        assert changes() == []


def program(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "conformance", *(str(word) for word in words)]


def run(*command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=280, check=False, env=environment(**more)
    )


def test_whole_run_leaves_the_engine_as_it_was(unharmed, tmp_path):
    words = program("run", *ROWS, "-n", "1", "--engine", unharmed.address, "--report", tmp_path)
    done = run(*words)
    assert done.returncode == 0, done.stdout
    assert "docker-20.10-external" in done.stdout
    assert unharmed.subnets_that_stay_taken() == []


def test_networks_overlap_neither_theirs_nor_their_routes(unharmed, tmp_path):
    """Their daemon announces the networks that the run makes; each names its subnet."""
    process = start(unharmed, tmp_path, "allocate.order.default-network-first")
    found: set[str] = set()

    def look() -> bool:
        for network in unharmed.client.api.networks(filters={"label": RUN_LABEL}):
            found.update(entry["Subnet"] for entry in network["IPAM"]["Config"])
        return process.poll() is not None

    wait_until("the run to end", look, timeout_s=60)
    process.communicate()
    assert found
    assert found.isdisjoint({THEIR_SUBNET, THEIR_ROUTE})


def start(theirs: Theirs, report: Path, *rows: str) -> subprocess.Popen[str]:
    """Start a run in a session of its own and wait until it has made a container."""
    words = program("run", *rows, "--engine", theirs.address, "--report", report)
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=environment(),
    )
    try:
        wait_until("a container of the run", lambda: made(theirs), timeout_s=START_TIMEOUT_S)
    except WaitedTooLong:
        os.killpg(process.pid, signal.SIGINT)
        raise AssertionError(process.communicate(timeout=60)[0]) from None
    return process


def made(theirs: Theirs) -> list[Any]:
    return list(theirs.client.api.containers(all=True, filters={"label": RUN_LABEL}))


def runs_on(theirs: Theirs) -> set[str]:
    """Give the ids of the runs that have an image on the engine: one for each worker."""
    images = theirs.client.api.images(filters={"label": RUN_LABEL})
    return {image["Labels"][RUN_LABEL] for image in images}


def test_ctrl_c_leaves_the_engine_as_it_was(unharmed, tmp_path):
    process = start(unharmed, tmp_path, "init", "-n", "2")
    wait_until("the other worker", lambda: len(runs_on(unharmed)) == 2, timeout_s=START_TIMEOUT_S)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60)[0].rstrip().endswith("exit 130")


def test_workers_of_a_run_are_to_each_other_as_two_runs(unharmed, tmp_path):
    """No name, image or subnet is used by two of them, and each removes only its own."""
    process = start(unharmed, tmp_path, "init", "-n", "4")
    subnets: dict[str, set[str]] = {}

    def look() -> bool:
        for network in unharmed.client.api.networks(filters={"label": RUN_LABEL}):
            given = subnets.setdefault(network["Labels"][RUN_LABEL], set())
            given.update(entry["Subnet"] for entry in network["IPAM"]["Config"])
        return process.poll() is not None

    wait_until("the run to end", look, timeout_s=400)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    assert len(subnets) == 4
    assert len(set.union(*subnets.values())) == sum(map(len, subnets.values()))


def test_lost_terminal_leaves_the_engine_as_it_was(unharmed, tmp_path):
    """The run is in a session with a terminal of its own, whose other end is closed."""
    ours, terminal = os.openpty()
    words = program("run", "init", "--engine", unharmed.address, "--report", tmp_path)
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    command = [sys.executable, "-c", take + "os.execv(sys.executable, sys.argv[1:])", *words]
    with subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env=environment(),
    ) as process:
        os.close(terminal)
        wait_until("a container of the run", lambda: made(unharmed), timeout_s=30)
        os.close(ours)
        assert process.wait(timeout=60) != 0
    wait_until("the rows to stop", lambda: not made(unharmed), timeout_s=120)


def test_clean_mends_what_a_killed_run_left(unharmed, tmp_path):
    process = start(unharmed, tmp_path, "init", "-n", "2")
    wait_until("the other worker", lambda: len(runs_on(unharmed)) == 2, timeout_s=START_TIMEOUT_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert made(unharmed)
    done = run(*program("clean"))
    assert done.stdout.count("removed image netinit/busybox:run-") == 2


def test_clean_finds_what_is_left_without_any_record(unharmed, tmp_path):
    """The run was another machine's: only the engine itself knows of it."""
    process = start(unharmed, tmp_path, "init")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    records = [
        record
        for record in WORKSPACE_ROOT.glob("netinit-*/external-*.json")
        if unharmed.address in record.read_text()
    ]
    for record in records:  # one for each worker
        record.unlink()
    for folder in {record.parent for record in records}:
        folder.rmdir()
    done = run(*program("clean", "--engine", unharmed.address))
    assert (done.returncode, "removed container /netinit-" in done.stdout) == (0, True)


def test_clean_lets_a_run_that_goes_on_alone(unharmed, tmp_path):
    process = start(unharmed, tmp_path, "init.user.network-by-name", "init.none.only-loopback")
    done = run(*program("clean", "--engine", unharmed.address))
    assert (done.returncode, "removed" in done.stdout) == (0, False)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_rows_end_with_a_runner_that_is_killed_alone(unharmed, tmp_path):
    """They are told to stop and clean up after themselves: nobody has to come after them."""
    process = start(unharmed, tmp_path, "init")
    process.kill()
    process.communicate(timeout=120)
    wait_until("the rows to stop", lambda: not made(unharmed), timeout_s=120)
    wait_until("the images to go", lambda: not runs_on(unharmed), timeout_s=120)
    run(*program("clean"))


@pytest.fixture
def report_of_nobody(unharmed):
    """A folder that everybody may write to."""
    folder = unharmed.folder / "report-of-nobody"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    return folder


def test_user_without_rights_runs_what_the_api_reaches(unharmed, report_of_nobody):
    rows = (ONE_ROW, "init.container.shares-netns")
    words = program("run", *rows, "--engine", unharmed.address, "--report", report_of_nobody)
    done = run(*as_nobody(group=GROUP), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 unsupported" in done.stdout
    assert f"✓ docker-20.10-external  {ONE_ROW}" in done.stdout


def test_user_who_may_not_use_the_socket_is_told_what_to_do(unharmed, report_of_nobody):
    words = program("run", ONE_ROW, "--engine", unharmed.address, "--report", report_of_nobody)
    done = run(*as_nobody(), *words)
    assert done.returncode == 3
    assert f"(mode 0660, owner root:{GROUP}) but you may not use it" in done.stderr
    assert f"sudo usermod -aG {GROUP} $USER" in done.stderr


def test_docker_host_names_an_engine_over_tcp(unharmed, tmp_path):
    words = program("run", ONE_ROW, "--engine", "env", "--report", tmp_path)
    done = run(*unharmed.inside(*words), DOCKER_HOST="tcp://127.0.0.1:2375")
    assert done.returncode == 0, done.stdout + done.stderr


def test_tls_works_as_the_sdk_does(tmp_path):
    certificates = tmp_path / "certificates"
    make_certificates(certificates)
    files = {"tlscacert": "ca", "tlscert": "server-cert", "tlskey": "server-key"}
    settings: dict[str, Any] = {key: f"{certificates}/{name}.pem" for key, name in files.items()}
    where = {"DOCKER_HOST": "tcp://127.0.0.1:2376"}
    tls = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
    with running_dockerd(hosts=list(where.values()), tlsverify=True, **settings) as engine:
        words = engine.inside(
            *program("run", ONE_ROW, "--engine", "env", "--report", str(tmp_path / "r"))
        )
        done = run(*words, **where, **tls)
        assert done.returncode == 0, done.stdout + done.stderr
        plain = run(*words, **where)
        assert (plain.returncode, "set DOCKER_TLS_VERIFY=1" in plain.stderr) == (3, True)
        lost = run(*words, **where, **{**tls, "DOCKER_CERT_PATH": str(tmp_path)})
        assert (lost.returncode, "Traceback" in lost.stderr) == (3, False)
