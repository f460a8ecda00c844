"""Takes away what runs left on this machine: crashed ones, and kept engines by their name.

Only what a record of ours names is touched: `/tmp/netinit-<name>/<slot>/engine.json` for daemons
that the suite started, `external-*.json` for engines of somebody else.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import docker.errors
import requests

from conformance.engines.base import EngineError
from conformance.engines.external import ExternalEngine
from conformance.engines.managed import (
    FOLDER_PREFIX,
    RECORD,
    WORKSPACE_ROOT,
    clear_away,
    read_record,
    workspace_of,
)
from conformance.engines.processes import is_alive, start_time
from conformance.observe.poll import WaitedTooLong

RUN_LABEL = "netinit.run"


def record_external(workspace: Path, address: str, run_id: str) -> Path:
    """Write down that a run makes objects on an engine of somebody else; give the record."""
    workspace.mkdir(parents=True, exist_ok=True)
    number = len(list(workspace.glob("external-*.json")))
    record = {
        "address": address,
        "run_id": run_id,
        "owner": os.getpid(),
        "owner_start": start_time(os.getpid()),
    }
    path = workspace / f"external-{number}-{os.getpid()}.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def sweep(
    name: str = "", *, is_forced: bool = False, are_externals_meant: bool = True
) -> list[str]:
    """Clear away left-overs; give one sentence for each thing that was taken away or resisted.

    Args:
        name: only those of one run or of one `--keep` name; "" = of all.
        is_forced: also kept engines, and those whose run is still going on.
        are_externals_meant: also ask engines of somebody else, which takes time if one is gone.
    """
    said = []
    pattern = workspace_of(name).name if name else f"{FOLDER_PREFIX}*"
    for workspace in sorted(WORKSPACE_ROOT.glob(pattern)):
        records = sorted(workspace.glob(f"*/{RECORD}"))
        files = sorted(workspace.glob("external-*.json")) if are_externals_meant else []
        for record in records:
            said += _sweep_daemon(record.parent, is_forced)
        for file in files:
            said += _sweep_external(file, is_forced)
        if records or files or name:
            # not empty, or another run has swept it meanwhile
            with contextlib.suppress(OSError):
                workspace.rmdir()
    return said


def _is_in_use(record: dict[str, Any]) -> bool:
    owner = record["owner"]
    is_owned = is_alive(owner) and start_time(owner) == record["owner_start"]
    return bool(is_owned or record.get("keep"))


def _sweep_daemon(folder: Path, is_forced: bool) -> list[str]:
    record = read_record(folder)
    if record is None or (_is_in_use(record) and not is_forced):
        return []
    try:
        clear_away(folder, record["netns"])
    except (EngineError, WaitedTooLong, OSError) as exc:
        return [f"{folder} resisted: {exc}"]
    return [f"took away {folder} and the namespace {record['netns']}"]


def _sweep_external(file: Path, is_forced: bool) -> list[str]:
    record = json.loads(file.read_text(encoding="utf-8"))
    if _is_in_use(record) and not is_forced:
        return []
    engine = ExternalEngine(record["address"])
    try:
        said = remove_labelled(engine, record["run_id"])
    except (EngineError, docker.errors.DockerException, requests.RequestException) as exc:
        return [f"{record['address']} could not be cleaned, so {file} stays: {exc}"]
    finally:
        engine.stop()
    file.unlink()
    return said


def remove_labelled(engine: ExternalEngine, run_id: str) -> list[str]:
    """Remove the containers and networks of one run from an engine of somebody else."""
    api = engine.client().api
    chosen = {"label": f"{RUN_LABEL}={run_id}"}
    said = []
    for container in api.containers(all=True, filters=chosen):
        api.remove_container(container["Id"], force=True, v=True)
        said.append(f"removed container {container['Names'][0]} from {engine.name}")
    for network in api.networks(filters=chosen):
        api.remove_network(network["Id"])
        said.append(f"removed network {network['Name']} from {engine.name}")
    return said
