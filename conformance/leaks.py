"""Proof that a row left nothing behind: the engine after it is as it was before it."""

import time
from dataclasses import dataclass

from conformance.assertions import BehaviourViolated
from conformance.engines.base import Engine
from conformance.observe.host import HostView

SETTLE_TIMEOUT_S = 5
_INTERVAL_S = 0.05


class LeakFound(BehaviourViolated):
    """Something is left of a row, or something that was there before is gone."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything on an engine that a row could leave behind, as sorted sentences."""

    things: tuple[str, ...]


def take_snapshot(engine: Engine) -> Snapshot:
    """Look at the engine through its API and, where it can be seen, from the machine."""
    api = engine.client().api
    things = [f"container {entry['Names'][0]}" for entry in api.containers(all=True)]
    for listed in api.networks():
        things.append(f"network {listed['Name']}")
        endpoints = api.inspect_network(listed["Id"]).get("Containers") or {}
        things += [
            f"endpoint {endpoint.get('Name') or key} on network {listed['Name']}"
            for key, endpoint in endpoints.items()
        ]
    inside = engine.inside()
    if inside is not None and engine.is_managed:
        host = HostView(inside)
        netns = host.daemon_netns()
        things += [f"link {name} in the daemon's namespace" for name in netns.links()]
        things += [f"namespace mount {path}" for path in host.netns_mounts()]
        things += [f"firewall rule {rule}" for rule in netns.rules()]
    return Snapshot(tuple(sorted(things)))


def compare(before: Snapshot, after: Snapshot) -> tuple[list[str], list[str]]:
    """Give what is left over and what is missing; equal things are counted."""
    left, missing = list(after.things), list(before.things)
    for thing in before.things:
        if thing in left:
            left.remove(thing)
            missing.remove(thing)
    return left, missing


def check_nothing_left(engine: Engine, before: Snapshot, refused: list[str]) -> None:
    """Wait until the engine is as it was before the row.

    Links and mounts go a moment after the API says that a container is gone.

    Raises:
        LeakFound: naming everything that is left over or missing.
    """
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        left, missing = compare(before, take_snapshot(engine))
        if not (left or missing or refused):
            return
        if time.monotonic() > deadline:
            found = refused + [f"left: {x}" for x in left] + [f"gone: {x}" for x in missing]
            raise LeakFound("what the row left behind", "nothing", "; ".join(found))
        time.sleep(_INTERVAL_S)
