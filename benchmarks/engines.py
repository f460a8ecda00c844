"""Engines that are started for one measurement, side by side, with their exec-root in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conformance.engines.base import EngineError
from conformance.engines.factory import make_engine
from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT, ManagedEngine


@contextmanager
def started_engines(specs: Sequence[str], *, run_id: str) -> Iterator[list[ManagedEngine]]:
    """Start engines, and stop them at the end.

    Args:
        specs: names of conformance/engines.toml.
        run_id: makes the names of this run's objects unique; begins with the command's name.

    Raises:
        EngineError: one could not be had, or is not started here.
    """
    WORKSPACE_ROOT.mkdir(parents=True, exist_ok=True)
    with ExitStack() as cleanup:
        folder = tempfile.TemporaryDirectory(prefix=f"{FOLDER_PREFIX}{run_id}-", dir=WORKSPACE_ROOT)
        workspace = Path(cleanup.enter_context(folder))
        engines = []
        for spec in specs:
            engine = make_engine(spec, run_id=run_id, workspace=workspace)
            if not isinstance(engine, ManagedEngine):
                raise EngineError(f"{spec}: this is for engines that are started here")
            cleanup.callback(engine.stop)
            engine.exec_root_in_memory = True
            engine.start()
            engines.append(engine)
        yield engines
