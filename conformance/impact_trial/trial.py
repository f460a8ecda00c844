"""Lets drawn set-ups go through an upgrade, and writes down what changed and what was there."""

import random
import secrets
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from conformance.engines.base import EngineError
from conformance.engines.factory import make_engine
from conformance.engines.managed import ManagedEngine, workspace_of
from conformance.impact_trial.draw import Made, SetUp
from conformance.impact_trial.look import Look, Observer
from conformance.rawapi import Answer
from conformance.subnets import SubnetAllocator
from conformance.upgrade import Upgrade
from conformance.workbench import WAIT_FOR_EVER, Workbench

_SETTLE_S = 6
_ENTRIES_MAX = 4
# What the reader of `impact` reads of an inspect document.
_KEPT = {
    "Id": None,
    "Name": None,
    "State": ("Status",),
    "Config": ("Hostname", "MacAddress", "ExposedPorts", "NetworkDisabled"),
    "HostConfig": (
        "NetworkMode", "Dns", "Links", "PortBindings", "Sysctls", "RestartPolicy", "AutoRemove",
    ),
    "NetworkSettings": ("Networks",),
    **dict.fromkeys(("Driver", "Internal", "EnableIPv4", "EnableIPv6", "IPAM", "Options")),
}  # fmt: skip


def run_trial(seed: int, set_ups: Sequence[SetUp], releases: Sequence[str]) -> dict[str, Any]:
    """Make the set-ups on the first release and take them through the others.

    Args:
        seed: draws the order in which a user starts what does not start by itself.
        set_ups: what is made.
        releases: names in engines.toml, oldest first.
    """
    run_id = secrets.token_hex(3)
    workspace = workspace_of(run_id)

    def make(name: str) -> ManagedEngine:
        engine = make_engine(name, run_id=run_id, workspace=workspace, slot="trial")
        if not isinstance(engine, ManagedEngine):
            raise EngineError(f"{name} is not ours to start")
        return engine

    dice = random.Random(seed)  # noqa: S311 - to be repeated
    looks: list[Look] = []
    documents: list[list[dict[str, Any]]] = []
    versions: list[str] = []
    refused: list[dict[str, str]] = []
    containers = [one for each in set_ups for one in each.containers]
    with Upgrade(make, run_id=run_id) as upgrade:
        for release in releases:
            if not versions:
                bench = upgrade.begin(release)
                refused.append(_make(bench, set_ups))
            else:
                bench = upgrade.go_on(release)
                refused.append(_start(bench, containers, dice))
            versions.append(bench.engine.version().version)
            time.sleep(_SETTLE_S)
            observer = Observer(bench, [one.name for one in containers])
            there = [*observer.documents.values(), *observer.networks]
            documents.append([_kept(one) for one in there])
            _say(f"{release}: {len(observer.documents)} containers are there")
            looks.append(observer.look())
            _say(f"{release}: looked at")
    if workspace.exists():
        workspace.rmdir()
    steps = [(0, 1), (1, 2), (0, 2)] if len(releases) > 2 else [(0, 1)]
    return {
        "seed": seed,
        "releases": list(releases),
        "versions": versions,
        "set_ups": [one.to_json() for one in set_ups],
        "refused": refused,
        "documents": documents[:-1],  # nothing is foretold of the last ones
        "steps": [
            {"from": old, "to": new, "seen": changes(looks[old], looks[new])} for old, new in steps
        ],
    }


def make_anew(set_ups: Sequence[SetUp], release: str) -> dict[str, str]:
    """Make the set-ups on an empty engine of a release; give what it refuses and why.

    Who had a name of the first engine's choice gets that name.
    """
    for one in (one for each in set_ups for one in each.containers):
        one.is_nameless = False
    run_id = secrets.token_hex(3)
    workspace = workspace_of(run_id)
    engine = make_engine(release, run_id=run_id, workspace=workspace, slot="anew")
    engine.start()
    try:
        bench = Workbench(engine, run_id=run_id, subnets=SubnetAllocator(()))
        return _make(bench, set_ups)
    finally:
        engine.stop()
        if workspace.exists():
            workspace.rmdir()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _kept(document: dict[str, Any]) -> dict[str, Any]:
    return {
        key: document[key] if fields is None else {f: document[key].get(f) for f in fields}
        for key, fields in _KEPT.items()
        if key in document
    }


def _make(bench: Workbench, set_ups: Iterable[SetUp]) -> dict[str, str]:
    refused = {}
    names: dict[str, str] = {}
    for set_up in set_ups:
        for name, body in set_up.networks.items():
            answer = bench.network_raw(body, name=name)
            if answer.status >= 400:
                refused[name] = answer.message
        for one in set_up.containers:
            complaint = _make_container(bench, one, names)
            if complaint:
                refused[one.name] = complaint
        for name in set_up.removed:
            answer = bench.api("DELETE", f"/networks/{name}")
            if answer.status >= 400:
                refused[name] = answer.message
    return refused


def _make_container(bench: Workbench, one: Made, names: dict[str, str]) -> str:
    """Make a container; what it is called, where the engine chooses that, goes into `names`."""
    host = one.body["HostConfig"]
    mode, _, target = host["NetworkMode"].partition(":")
    if target:
        host["NetworkMode"] = f"{mode}:{names.get(target, target)}"
    for of_links in (
        host,
        *one.body.get("NetworkingConfig", {}).get("EndpointsConfig", {}).values(),
    ):
        if "Links" in of_links:
            links = (link.split(":") for link in of_links["Links"])
            of_links["Links"] = [f"{names.get(to, to)}:{alias}" for to, alias in links]
    if one.is_nameless:
        body = {
            "Image": bench.image,
            "Cmd": list(WAIT_FOR_EVER),
            "Labels": bench.labels,
            **one.body,
        }
        answers = [bench.api("POST", "/containers/create", body)]
        if answers[0].status == 201:
            drawn, one.name = one.name, bench.inspect(answers[0].json()["Id"])["Name"].lstrip("/")
            names[drawn] = one.name
    else:
        answers = [bench.create_raw(one.body, name=one.name)]
    return _live(bench, one, answers)


def _live(bench: Workbench, one: Made, answers: list[Answer]) -> str:
    """Bring a container to where the upgrade finds it; give what was refused until then."""

    def connect(networks: dict[str, dict[str, Any]]) -> None:
        for network, endpoint in networks.items():
            body = {"Container": one.name, "EndpointConfig": endpoint}
            answers.append(bench.api("POST", f"/networks/{network}/connect", body))

    connect(one.before)
    if one.end != "created":
        answers.append(bench.api("POST", f"/containers/{one.name}/start"))
    connect(one.after)
    for network in one.leaves:
        body = {"Container": one.name}
        answers.append(bench.api("POST", f"/networks/{network}/disconnect", body))
    if one.end == "stopped":
        answers.append(bench.api("POST", f"/containers/{one.name}/stop?t=5"))
    return "; ".join(answer.message for answer in answers if answer.status >= 400)


def _start(bench: Workbench, containers: Iterable[Made], dice: random.Random) -> dict[str, str]:
    """Start what ran and was not started by a policy: in any order, those who need others last."""
    time.sleep(_SETTLE_S)
    wanted = [one for one in containers if not one.end]
    dice.shuffle(wanted)
    wanted.sort(key=_needs_others)
    refused = {}
    for one in wanted:
        answer = bench.api("POST", f"/containers/{one.name}/start")
        if answer.status >= 400:
            refused[one.name] = answer.message
    return refused


def _needs_others(one: Made) -> int:
    host = one.body["HostConfig"]
    return (2 if host["NetworkMode"].startswith("container:") else 0) + bool(host.get("Links"))


def changes(old: Look, new: Look) -> dict[str, dict[str, list[Any] | None]]:
    """Give for each thing that both looks have what it was and is; None where nothing changed.

    What another container is needed for is compared where that one is there in both looks: one
    that does not start any more is counted once, as its own change.
    """
    both = {
        who.partition(" ")[2]
        for who in old
        if "running" == old[who].get("starts") == new.get(who, {}).get("starts")
    }
    found: dict[str, dict[str, list[Any] | None]] = {}
    for who in old:
        found[who] = {}
        for about in old[who]:
            if about in new.get(who, {}):
                was, now = (_of_both(about, side[who][about], both) for side in (old, new))
                found[who][about] = None if was == now else _short(was, now)
    return found


def _of_both(about: str, value: Any, both: set[str]) -> Any:
    if about.startswith("reach"):
        return {key: word for key, word in value.items() if key.partition("@")[0] in both}
    if about == "names":
        return {key: found for key, found in value.items() if key.rpartition(" ")[2] in both}
    return value


def _short(old: Any, new: Any) -> list[Any]:
    """Give both values; of lists and objects a few of the entries that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)][:_ENTRIES_MAX]
        return [{key: side.get(key) for key in keys} for side in (old, new)]
    if isinstance(old, list) and isinstance(new, list):
        return [
            [entry for entry in old if entry not in new][:_ENTRIES_MAX],
            [entry for entry in new if entry not in old][:_ENTRIES_MAX],
        ]
    return [old, new]
