"""Proof that a row left nothing behind: the engine after it is as it was before it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import docker.errors
import requests

from conformance.engines.base import Engine
from conformance.labels import ENGINE_PREFIX, NAME_PREFIX, RUN_LABEL
from conformance.observe.host import HostView
from conformance.violation import BehaviourViolated

SETTLE_TIMEOUT_S = 5
_INTERVAL_S = 0.05
# Networks that are nobody's, where a row's container may be.
_PREDEFINED = ("bridge", "host", "none", "podman")


class LeakFound(BehaviourViolated):
    """Something is left of a row, or something that was there before is gone."""

    def __init__(self, left: list[str], missing: list[str], refused: list[str]) -> None:
        """Name everything."""
        self.left = left
        found = refused + [f"left: {x}" for x in left] + [f"gone: {x}" for x in missing]
        super().__init__("what the row left behind", "nothing", "; ".join(found))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything on an engine that a row could leave behind, as sorted sentences."""

    things: tuple[str, ...]


def take_snapshot(engine: Engine, run_id: str = "") -> Snapshot:
    """Look at the engine through its API and, where it can be seen, from the machine.

    On an engine of somebody else only what this run made: what its owner and another run start
    and stop meanwhile is no leak. There it is asked once more if it closes a connection without an
    answer, as Docker 20.10 may while others make networks.

    Args:
        engine: the engine.
        run_id: the run's id; "" = whatever carries the suite's marks.
    """
    try:
        return _look(engine, run_id)
    except requests.ConnectionError:
        if engine.is_managed:
            raise
        return _look(engine, run_id)


def _look(engine: Engine, run_id: str) -> Snapshot:
    def is_ours(name: str, labels: Mapping[str, str] | None) -> bool:
        return engine.is_managed or _is_of(run_id, name, labels)

    api = engine.client().api
    things = [
        f"container {entry['Names'][0]}"
        for entry in api.containers(all=True)
        if is_ours(entry["Names"][0], entry.get("Labels"))
    ]
    for listed in api.networks():
        is_counted = is_ours(listed["Name"], listed.get("Labels"))
        if not is_counted and listed["Name"] not in _PREDEFINED:
            continue
        things += [f"network {listed['Name']}"] if is_counted else []
        try:
            endpoints = api.inspect_network(listed["Id"]).get("Containers") or {}
        except docker.errors.NotFound:
            continue  # gone since it was listed, and so no leak
        things += [
            f"endpoint {endpoint.get('Name') or key} on network {listed['Name']}"
            for key, endpoint in endpoints.items()
            if is_counted or is_ours(str(endpoint.get("Name")), None)
        ]
    inside = engine.inside()
    if inside is not None and engine.is_managed:
        host = HostView(inside)
        netns = host.daemon_netns()
        things += [f"link {name} in the daemon's namespace" for name in netns.links()]
        things += [f"namespace mount {path}" for path in host.netns_mounts()]
        things += [f"firewall rule {rule}" for rule in netns.rules()]
    return Snapshot(tuple(sorted(things)))


def _is_of(run_id: str, name: str, labels: Mapping[str, str] | None) -> bool:
    """Say whether a run made something, or with no run named, whether any run did.

    An engine in a container is no row's.
    """
    if name.removeprefix("/").startswith(ENGINE_PREFIX):
        return False
    marked = (labels or {}).get(RUN_LABEL)
    if not run_id:
        return name.removeprefix("/").startswith(NAME_PREFIX) or marked is not None
    return name.removeprefix("/").startswith(f"{NAME_PREFIX}{run_id}-") or marked == run_id


def compare(before: Snapshot, after: Snapshot) -> tuple[list[str], list[str]]:
    """Give what is left over and what is missing; equal things are counted."""
    left, missing = list(after.things), list(before.things)
    for thing in before.things:
        if thing in left:
            left.remove(thing)
            missing.remove(thing)
    return left, missing


def check_nothing_left(
    engine: Engine, before: Snapshot, refused: list[str], earlier: list[str], run_id: str = ""
) -> Snapshot:
    """Wait until the engine is as it was before the row, and give what is on it then.

    Links and mounts go a moment after the API says that a container is gone.

    Args:
        engine: the engine.
        before: what was on it before the row.
        refused: what could not be removed.
        earlier: what earlier rows left there, and told of; it may go at any time.
        run_id: whose things count on an engine of somebody else.

    Raises:
        LeakFound: naming everything that is left over or missing.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        after = take_snapshot(engine, run_id)
        left, missing = compare(before, after)
        missing = [thing for thing in missing if thing not in earlier]
        if not (left or missing or refused):
            return after
        if time.monotonic() > deadline:
            raise LeakFound(left, missing, refused)
        time.sleep(_INTERVAL_S)
