"""A dockerd that somebody has just built: a copy of this machine's, in a folder of its own."""

import secrets
import shutil
from pathlib import Path

import pytest

from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine, workspace_of
from conformance.engines.processes import NETNS_DIR, is_alive, mounts_under
from conformance.runner import why_unavailable
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.workbench import Workbench

WHY_NOT = why_unavailable("docker")
pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
]


def test_it_may_be_configured_killed_and_started_again_and_leaves_nothing(tmp_path):
    for name in ("dockerd", "docker-proxy"):
        found = shutil.which(name)
        assert found is not None
        shutil.copy(found, tmp_path)
    run_id = secrets.token_hex(3)
    folder = workspace_of(run_id)
    engine = make_engine(
        f"dockerd:{tmp_path}/dockerd", run_id=run_id, workspace=folder, config={"mtu": 1400}
    )
    assert isinstance(engine, ManagedEngine)
    engine.start()
    try:
        subnets = SubnetAllocator(taken_subnets(engine.client()))
        bench = Workbench(engine, run_id=run_id, subnets=subnets)
        container = bench.run()
        pid = container.attrs["State"]["Pid"]
        assert bench.host.netns_of(pid).links()["eth0"]["mtu"] == 1400
        daemon = Path("/proc", str(bench.host.inside.pid))
        assert (daemon / "exe").readlink() == tmp_path / "dockerd"
        words = (daemon / "environ").read_bytes().split(b"\0")
        assert [word for word in words if word.startswith(f"PATH={tmp_path}:".encode())] != []
        engine.kill_everything()
        assert not is_alive(pid)
        engine.resume()
        assert bench.inspect(container)["State"]["Status"] == "exited"
        bench.start(container)
    finally:
        engine.stop()
    assert mounts_under(folder) == []
    assert list(NETNS_DIR.glob(f"*{run_id}*")) == []
    folder.rmdir()
