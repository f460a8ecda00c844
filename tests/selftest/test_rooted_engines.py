"""What an engine in a root of its own leaves behind: nothing, and its root is as it was."""

import contextlib
import os
import secrets
import subprocess
from pathlib import Path

import pytest

from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine, workspace_of
from conformance.engines.processes import (
    CGROUP_ROOT,
    NETNS_DIR,
    is_alive,
    mounts_under,
    processes_naming,
)
from conformance.engines.settings import load_settings
from conformance.observe.poll import wait_until
from conformance.runner import why_unavailable
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.workbench import Workbench

pytestmark = [pytest.mark.root, pytest.mark.engine]


@pytest.fixture(params=[name for name, settings in load_settings().items() if settings.root])
def bench(request):
    """A workbench on an engine in a root; skipped where nobody made that root."""
    reason = why_unavailable(request.param)
    if reason:
        pytest.skip(reason)
    run_id = secrets.token_hex(3)
    engine = make_engine(request.param, run_id=run_id, workspace=workspace_of(run_id))
    engine.start()
    yield Workbench(engine, run_id=run_id, subnets=SubnetAllocator(taken_subnets(engine.client())))
    engine.stop()
    workspace_of(run_id).rmdir()


def processes_in(namespace: int) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "ns" / "net").stat().st_ino == namespace:
                    found.append(f"process {(entry / 'comm').read_text()}")
    return found


def namespace_of(bench: Workbench) -> Path:
    run_id = bench.labels["netinit.run"]
    return NETNS_DIR / f"ni-{run_id}-{bench.engine.name}"


def folder_of(bench: Workbench):
    return workspace_of(bench.labels["netinit.run"]) / bench.engine.name


def traces(bench: Workbench, container_id: str, pid: int) -> list[str]:
    folder, run_id = folder_of(bench), bench.labels["netinit.run"]
    found = [str(path) for path in NETNS_DIR.glob(f"*{run_id}*")]
    found += [str(path) for path in mounts_under(folder)]
    found += [str(path) for path in CGROUP_ROOT.rglob(f"*{run_id}*")]
    found += [str(path) for path in CGROUP_ROOT.rglob(f"*{container_id}*")]
    found += [f"process {number}" for number in processes_naming(folder)]
    found += [str(folder)] if folder.exists() else []
    return found + ([f"process {pid}"] if is_alive(pid) else [])


def changes_in(engine: ManagedEngine) -> str:
    if engine.tree is None:
        return ""  # the machine's own program
    marker = engine.tree.parent / "root.json"
    command = ["find", str(engine.tree), "-newer", str(marker), "-type", "f"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def links_in_sys(bench: Workbench) -> list[str]:
    """Read what the engine finds in /sys/class/net."""
    return sorted(link.name for link in bench.host.file("/sys/class/net").iterdir())


def test_engine_finds_the_links_of_its_own_namespace_in_sys(bench):
    bench.run(network_mode=bench.network().name)
    # a veth's other end may leave the namespace late
    wait_until(
        "the links to be there",
        lambda: links_in_sys(bench) == sorted(bench.host.daemon_netns().links()),
        timeout_s=10,
    )
    assert len(links_in_sys(bench)) >= 3  # lo, a bridge, a port
    # Docker 28 waits 20 ms for each port whose state file it does not find
    assert "Failed to open port state file" not in bench.engine.log_path.read_text()


def test_stop_leaves_no_trace_and_the_root_as_it_was(bench):
    net = bench.network()
    container = bench.run(network_mode=net.name)
    pid = container.attrs["State"]["Pid"]
    assert traces(bench, container.id, pid) != []
    with namespace_of(bench).open() as held:  # so that no other namespace gets its number
        namespace = os.fstat(held.fileno()).st_ino
        assert processes_in(namespace) != []
        bench.engine.stop()
        assert traces(bench, container.id, pid) == []
        assert processes_in(namespace) == []
    assert changes_in(bench.engine) == ""


def test_killed_engine_comes_back_to_its_own_machine(bench):
    mounts = Path(f"/proc/{bench.host.inside.pid}/ns/mnt").readlink()
    run = bench.host.file("/run/ni-kept")
    run.touch()
    bench.engine.kill_everything()
    bench.engine.resume()
    assert Path(f"/proc/{bench.host.inside.pid}/ns/mnt").readlink() == mounts
    # a file in a tree's /run; where the engine runs on this machine's files, of this machine's
    assert bench.host.file("/run/ni-kept").exists()
    bench.host.file("/run/ni-kept").unlink()


def test_killed_engine_leaves_no_trace_when_it_is_stopped(bench):
    container = bench.run()
    pid = container.attrs["State"]["Pid"]
    bench.engine.kill_everything()
    assert not is_alive(pid)
    bench.engine.stop()
    assert traces(bench, container.id, pid) == []
