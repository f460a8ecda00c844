"""What the suite starts it also takes away: the engines of a plain run."""

import os
import secrets
import subprocess
import sys

import pytest

from conformance.engines.cleanup import sweep
from conformance.engines.factory import make_engine
from conformance.engines.managed import workspace_of
from conformance.engines.processes import CGROUP_ROOT, NETNS_DIR, is_alive, mounts_under
from conformance.observe.poll import wait_until
from conformance.runner import DEFAULT_ENGINES, why_unavailable
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.workbench import Workbench
from tests.selftest.failing_once import check_second_try

pytestmark = [pytest.mark.root, pytest.mark.engine]


@pytest.fixture(params=DEFAULT_ENGINES)
def engine_name(request) -> str:
    """Each engine of a plain run that this machine can have."""
    reason = why_unavailable(request.param)
    if reason:
        pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def bench(engine_name):
    """A workbench on a new engine; the engine is ended even if the test fails."""
    run_id = secrets.token_hex(3)
    engine = make_engine(engine_name, run_id=run_id, workspace=workspace_of(run_id))
    engine.start()
    subnets = SubnetAllocator(taken_subnets(engine.client()))
    yield Workbench(engine, run_id=run_id, subnets=subnets)
    engine.stop()
    workspace_of(run_id).rmdir()


def left_of(bench: Workbench, container_pid: int) -> list[str]:
    """List what is still there of an engine and of its container."""
    run_id = bench.labels["netinit.run"]
    folder = workspace_of(run_id) / bench.engine.name
    found = [str(path) for path in NETNS_DIR.glob(f"*{run_id}*")]
    found += [str(path) for path in mounts_under(folder)]
    found += [str(path) for path in CGROUP_ROOT.glob(f"*/*{run_id}*")]
    found += [str(folder)] if folder.exists() else []
    return found + ([f"process {container_pid}"] if is_alive(container_pid) else [])


def links_in_sys(bench: Workbench) -> list[str]:
    """Read what the engine finds in /sys/class/net."""
    return sorted(link.name for link in bench.host.file("/sys/class/net").iterdir())


def mount_namespace(bench: Workbench) -> str:
    return os.readlink(f"/proc/{bench.host.inside.pid}/ns/mnt")  # noqa: PTH115


def test_engine_finds_the_links_of_its_own_namespace_in_sys(bench):
    bench.run(network_mode=bench.network().name)
    # a veth's other end may leave the namespace late
    wait_until(
        "the links to be there",
        lambda: links_in_sys(bench) == sorted(bench.host.daemon_netns().links()),
        timeout_s=10,
    )
    assert len(links_in_sys(bench)) >= 4  # lo, two bridges, a port


def test_stop_with_a_running_container_leaves_nothing(bench):
    pid = bench.run().attrs["State"]["Pid"]
    assert left_of(bench, pid) != []
    bench.engine.stop()
    assert left_of(bench, pid) == []


def test_killed_engine_comes_back_on_its_state_and_leaves_nothing(bench):
    container = bench.run()
    pid, mounts = container.attrs["State"]["Pid"], mount_namespace(bench)
    bench.engine.kill_everything()
    assert not is_alive(pid)
    bench.engine.resume()
    assert bench.inspect(container)["State"]["Status"] == "exited"
    assert mount_namespace(bench) == mounts
    bench.engine.stop()
    assert left_of(bench, pid) == []


def test_second_try_to_come_back_finds_the_containers_running(monkeypatch):
    if reason := why_unavailable("docker"):
        pytest.skip(reason)
    check_second_try("docker", monkeypatch)


TWIN = """
import signal, sys
from pathlib import Path
from conformance.engines.cleanup import sweep
from conformance.engines.factory import make_engine
twin = make_engine(sys.argv[1], run_id=sys.argv[2], workspace=Path(sys.argv[3]))
twin.start()
print(twin.inside().pid, flush=True)
signal.pause()
"""


def test_engine_ends_with_the_process_that_started_it(engine_name):
    """A child starts an engine and is killed; the engine must follow it, `clean` takes the rest."""
    run_id = secrets.token_hex(3)
    words = [engine_name, run_id, str(workspace_of(run_id))]
    child = subprocess.Popen(
        [sys.executable, "-c", TWIN, *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        pid = int(child.stdout.readline())
        assert is_alive(pid)
        child.kill()
        wait_until("the engine to follow its parent", lambda: not is_alive(pid), timeout_s=30)
        assert len(sweep(run_id)) == 1
        assert list(NETNS_DIR.glob(f"*{run_id}*")) == []
        assert not workspace_of(run_id).exists()
    finally:
        child.kill()
        child.communicate()
        sweep(run_id, is_forced=True)


FROM_A_SCRIPT = """
import os, secrets, signal, sys
from conformance.engines.factory import make_engine
from conformance.engines.managed import workspace_of
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.workbench import Workbench
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
os.umask(0o077)
name, run_id = sys.argv[1:]
engine = make_engine(name, run_id=run_id, workspace=workspace_of(run_id))
try:
    engine.start()
    subnets = SubnetAllocator(taken_subnets(engine.client()))
    container = Workbench(engine, run_id=run_id, subnets=subnets).run()
    for pid in (engine.inside().pid, container.attrs["State"]["Pid"]):
        print(open(f"/proc/{pid}/status").read())
finally:
    engine.stop()
    workspace_of(run_id).rmdir()
"""


def test_script_that_ignores_signals_and_hides_its_files_hands_neither_on(engine_name):
    """Started as by a script's `nohup ... &`, under a umask of its own."""
    words = [engine_name, secrets.token_hex(3)]
    environment = {**os.environ, "DOCKER_TLS_VERIFY": "1", "DOCKER_DRIVER": "vfs", "TMPDIR": "/x"}
    done = subprocess.run(
        [sys.executable, "-c", FROM_A_SCRIPT, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fields = [line.split(":\t") for line in done.stdout.splitlines() if ":\t" in line]
    ignored = [int(value, 16) for key, value in fields if key == "SigIgn"]
    assert len(ignored) == 2
    # 1 = SIGHUP, 2 = SIGINT; what the daemon ignores by itself is its own affair
    assert ignored[1] & 0b11 == 0
    assert {value for key, value in fields if key == "Umask"} == {"0022"}
