"""Does an engine that takes over another one's state find it, on the same machine?"""

import os
from pathlib import Path

import pytest

from conformance.engines.base import EngineError
from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine
from conformance.upgrade import Upgrade, look

pytestmark = [
    pytest.mark.root,
    pytest.mark.engine,
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.geteuid() != 0, reason="starts daemons"),
]


def upgrade_in(folder: Path) -> Upgrade:
    def make(spec: str) -> ManagedEngine:
        engine = make_engine(spec, run_id="upgrade", workspace=folder, slot="up")
        assert isinstance(engine, ManagedEngine)
        return engine

    return Upgrade(make, run_id="upgrade")


@pytest.fixture
def folder(request):
    # the path of a unix socket must stay short
    place = Path(f"/tmp/netinit-up{os.getpid()}")
    yield place
    if place.exists():
        place.rmdir()


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed"])
def test_state_and_machine_are_taken_over(folder, killed):
    with upgrade_in(folder) as upgrade:
        bench = upgrade.begin("reference")
        net = bench.network(name="kept")
        web = bench.run(name="web", network_mode="kept")
        before, pid = look(bench, "web"), upgrade.engine.inside().pid
        inode = bench.host.daemon_netns().inode()
        bench = upgrade.go_on("reference", killed=killed)
        assert upgrade.engine.inside().pid != pid
        assert bench.host.daemon_netns().inode() == inode
        assert bench.inspect_network("kept")["Id"] == net.id
        assert not look(bench, "web").is_running
        bench.client.containers.get(str(web.id)).start()
        after = look(bench, "web")
    assert before.links == after.links
    assert before.default_routes == after.default_routes == ("eth0", "")
    assert not (folder / "up").exists()


def test_engine_that_does_not_come_up_leaves_nothing(folder, monkeypatch):
    with upgrade_in(folder) as upgrade:
        upgrade.begin("reference")
        monkeypatch.setattr("conformance.engines.managed.READY_TIMEOUT_S", 0)
        with pytest.raises(EngineError, match="did not come up"):
            upgrade.go_on("reference")
        assert not (folder / "up").exists()
