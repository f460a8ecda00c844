"""Takes away what runs left on this machine: crashed ones, and kept engines by their name.

Only what a record of ours names is touched: `/tmp/netinit-<name>/<slot>/engine.json` for daemons
that the suite started, `external-*.json` for engines of somebody else.
"""

import contextlib
import itertools
import json
import os
import random
import stat
from collections.abc import Callable
from functools import partial
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
    read_record,
    workspace_of,
)
from conformance.engines.processes import (
    clear_away,
    clear_cgroup,
    is_alive,
    make_in,
    remove_empty_cgroups,
    start_time,
)
from conformance.image import REPOSITORY
from conformance.labels import RUN_LABEL
from conformance.observe.poll import WaitedTooLong

# Podman's, for all containers of all its services; from the inside to the outside.
SHARED_CGROUPS = ("libpod_parent/conmon", "libpod_parent")
# Of so many free numbers a run takes one, if another run took the lowest at the same moment.
_CHOICES = 4


def record_external(
    workspace: Path, engine: ExternalEngine, run_id: str, *, label: str = "", cgroup: str = ""
) -> Path:
    """Write down that a run makes objects on an engine of somebody else; give the record.

    Args:
        workspace: the run's folder.
        engine: the engine.
        run_id: what the objects are labelled with.
        label: tells the record from others of this process; "" = a number.
        cgroup: the control group of this machine in which an engine within a container has its own
            containers; "" = there is none.
    """
    label = label or str(len(list(workspace.glob("external-*.json"))))
    record = {
        "address": engine.address,
        "tls": engine.tls_settings,
        "run_id": run_id,
        "cgroup": cgroup,
        "owner": os.getpid(),
        "owner_start": start_time(os.getpid()),
    }
    path = workspace / f"external-{label}-{os.getpid()}.json"
    make_in(workspace, lambda: path.write_text(json.dumps(record), encoding="utf-8"))
    return path


def part_beside_others(path: Path) -> int:
    """Give a number from 0 on that no other run of this machine on the same engine has.

    Every run writes its number into its record and then looks at those of the others: of two that
    have the same one, the later writer sees it, and takes another.
    """
    own = json.loads(path.read_text(encoding="utf-8"))
    part, choices = None, 1
    while True:
        taken = _parts_on(own["address"], but=path)
        if part is not None and part not in taken:
            return part
        free = itertools.islice((n for n in itertools.count() if n not in taken), choices)
        part, choices = random.choice(list(free)), _CHOICES  # noqa: S311 - no secret
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({**own, "part": part}), encoding="utf-8")
        beside.replace(path)


def _parts_on(address: str, *, but: Path) -> set[int]:
    """Give the numbers of the other runs that have an engine at this address in use."""
    records = [_read_whole(file) for file in _external_records() if file != but]
    return {
        record["part"]
        for record in records
        if record and "part" in record and record["address"] == address and _is_in_use(record)
    }


def _external_records() -> list[Path]:
    """List the records of this user's runs on engines of somebody else."""
    files = WORKSPACE_ROOT.glob(f"{FOLDER_PREFIX}*/external-*.json")
    return [file for file in files if _is_of_this_user(file.parent)]


def _read_whole(file: Path) -> dict[str, Any] | None:
    """Read another run's record; None = it is gone, or is being written."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


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
        if not _is_of_this_user(workspace):
            continue
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
    remove_empty_cgroups(SHARED_CGROUPS)
    return said


def _is_of_this_user(workspace: Path) -> bool:
    """Say whether a folder may be believed: anybody can make one in /tmp, or a link there."""
    try:
        facts = workspace.lstat()
    except FileNotFoundError:
        return False  # gone since it was listed
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


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
    engine = ExternalEngine(record["address"], environment=record.get("tls", {}))
    try:
        said = remove_labelled(engine, record["run_id"])
    except (EngineError, docker.errors.DockerException, requests.RequestException) as exc:
        return [f"{record['address']} could not be cleaned, so {file} stays: {exc}"]
    finally:
        engine.stop()
    if record.get("cgroup"):
        clear_cgroup(record["cgroup"])
    file.unlink()
    return said


def sweep_engine(engine: ExternalEngine) -> list[str]:
    """Remove from an engine what runs left there, also of other machines; give one sentence each.

    What belongs to a run of this machine that still goes on stays.

    Raises:
        EngineError: something resisted; the rest is gone.
    """
    api = engine.client().api
    chosen = {"label": RUN_LABEL}
    found: set[str] = {
        (listed.get("Labels") or {})[RUN_LABEL]
        for listed in (
            *api.containers(all=True, filters=chosen),
            *api.networks(filters=chosen),
            *api.images(filters=chosen),
        )
    }
    said = []
    for run_id in sorted(found - _runs_in_use()):
        said += remove_labelled(engine, run_id)
    return said


def _runs_in_use() -> set[str]:
    records = filter(None, map(_read_whole, _external_records()))
    return {record["run_id"] for record in records if _is_in_use(record)}


def remove_labelled(engine: ExternalEngine, run_id: str) -> list[str]:
    """Remove what one run made on an engine of somebody else; give one sentence for each thing.

    Goes on past what resists.

    Raises:
        EngineError: naming everything that resisted.
    """
    api = engine.client().api
    chosen = {"label": f"{RUN_LABEL}={run_id}"}
    steps: list[tuple[str, Callable[[], None]]] = []
    for container in api.containers(all=True, filters=chosen):
        remove = partial(api.remove_container, container["Id"], force=True, v=True)
        steps.append((f"container {container['Names'][0]}", remove))
    for network in api.networks(filters=chosen):
        steps.append((f"network {network['Name']}", partial(api.remove_network, network["Id"])))
    for image in api.images(filters=chosen):
        # By our name, not by its id: a name that its owner gave it since keeps it.
        names = [name for name in image.get("RepoTags") or [] if REPOSITORY in name]
        for name in names or [image["Id"]]:
            steps.append((f"image {name}", partial(api.remove_image, name, noprune=True)))
    said, refused = [], []
    for what, act in steps:
        try:
            act()
            said.append(f"removed {what} from {engine.name}")
        except docker.errors.NotFound:
            continue
        except docker.errors.APIError as exc:
            refused.append(f"{what}: {exc.explanation}")
    if refused:
        raise EngineError(f"{engine.name} refused to remove {'; '.join(refused)}")
    return said
