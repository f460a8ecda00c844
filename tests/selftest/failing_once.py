"""An engine with live-restore, whose first try to come back after a kill fails."""

import secrets
from typing import Any

import pytest

from conformance.engines.base import EngineError
from conformance.engines.factory import make_engine
from conformance.engines.managed import workspace_of
from conformance.engines.processes import is_alive
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.workbench import Workbench


def check_second_try(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill a dockerd, let it come back at the second try; check that its container runs on."""
    run_id = secrets.token_hex(3)
    config = {"live-restore": True}
    engine: Any = make_engine(spec, run_id=run_id, workspace=workspace_of(run_id), config=config)
    engine.start()
    try:
        subnets = SubnetAllocator(taken_subnets(engine.client()))
        bench = Workbench(engine, run_id=run_id, subnets=subnets)
        container = bench.run()
        launch, daemons = engine._launch, []

        def fail_once() -> None:
            launch()
            daemons.append(engine.inside().pid)
            if len(daemons) == 1:
                raise EngineError("planted")

        monkeypatch.setattr(engine, "_launch", fail_once)
        engine.kill()
        engine.resume()
        assert [is_alive(pid) for pid in daemons] == [False, True]
        state = bench.inspect(container)["State"]
        assert (state["Status"], state["Pid"]) == ("running", container.attrs["State"]["Pid"])
    finally:
        engine.stop()
        if workspace_of(run_id).exists():
            workspace_of(run_id).rmdir()
