"""What a scenario does to an engine: short steps, each with its answer and all that is seen after.

A scenario is a function over a `Stage`; it runs once on Docker and once on the reference, knows
nothing of which, and decides nothing by what it sees. The stage writes down every step.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import docker.errors
import requests

from conformance.observe.events import wire_time
from conformance.observe.poll import wait_until
from tests.differential.pair import Side
from tests.differential.snapshot import snapshot, symbols_of

FOR_EVER = ("sleep", "600")
"""As process 1 it has no handler for SIGTERM, so how it ends does not hang on when it is asked."""

_WAIT_S = 20.0
_HEXADECIMAL = re.compile("[0-9a-f]+")
_BUILT_IN = {"bridge", "host", "none"}


@dataclass(frozen=True)
class Step:
    """One step of a scenario.

    Attributes:
        label: the call, as somebody would type it.
        seen: the comparable answer and, unless the step only asked, the snapshot after it.
    """

    label: str
    seen: dict[str, Any]


class Stage:
    """One engine, and what one scenario did to it so far."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._symbols = symbols_of(side)
        self._since = self._now()
        self._statuses: list[int] = []
        self.steps: list[Step] = []
        side.api.hooks["response"] = [self._note_status]

    def _note_status(self, response: requests.Response, **_: Any) -> None:
        self._statuses.append(response.status_code)

    # ------------------------------------------------------------------------------- containers

    def create(
        self,
        name: str,
        command: tuple[str, ...] = FOR_EVER,
        *,
        host: dict[str, Any] | None = None,
        endpoints: dict[str, dict[str, Any]] | None = None,
        look: bool = True,
        **options: Any,
    ) -> None:
        """Create a container.

        Args:
            name: its name.
            command: its program and arguments.
            host: arguments of the SDK's create_host_config: network_mode, links, dns, ...
            endpoints: by network, the arguments of the SDK's create_endpoint_config.
            look: whether to look at everything afterwards.
            options: further ones of create_container: hostname, labels, ...
        """
        check_name(name)
        api = self._side.api

        def call() -> Any:
            more: dict[str, Any] = dict(options)
            if host is not None:
                more["host_config"] = api.create_host_config(**self._filled(host))
            if endpoints is not None:
                configs = {n: api.create_endpoint_config(**c) for n, c in endpoints.items()}
                more["networking_config"] = api.create_networking_config(configs)
            made = api.create_container(self._side.image, list(command), name=name, **more)
            self._symbols.learn(made["Id"], f"container {name}")
            return made

        words = [f"{key}={value}" for key, value in {**(host or {}), **options}.items()]
        words += [f"on {network} {config or ''}" for network, config in (endpoints or {}).items()]
        self._step(" ".join(["create", name, *words]), call, look=look)

    def start(self, name: str, *, look: bool = True) -> None:
        """Start a container; do not look where it is a matter of moments what there is to see."""
        self._step(f"start {name}", lambda: self._side.api.start(name), look=look)

    def run(self, name: str, command: tuple[str, ...] = FOR_EVER, **options: Any) -> None:
        """Create a container and start it: two steps."""
        self.create(name, command, **options)
        self.start(name)

    def stop(self, name: str, *, look: bool = True) -> None:
        """Stop a container at once: SIGTERM, then SIGKILL without waiting."""
        self._step(f"stop {name}", lambda: self._side.api.stop(name, timeout=0), look=look)

    def restart(self, name: str, *, look: bool = True) -> None:
        """Stop a container at once and start it."""
        self._step(f"restart {name}", lambda: self._side.api.restart(name, timeout=0), look=look)

    def kill(self, name: str, signal: str = "KILL") -> None:
        """Send a signal."""
        self._step(f"kill -s {signal} {name}", lambda: self._side.api.kill(name, signal))

    def pause(self, name: str) -> None:
        """Freeze a container."""
        self._step(f"pause {name}", lambda: self._side.api.pause(name))

    def unpause(self, name: str) -> None:
        """Let a frozen container go on."""
        self._step(f"unpause {name}", lambda: self._side.api.unpause(name))

    def rename(self, name: str, new: str) -> None:
        """Give a container another name."""
        check_name(new)
        self._step(f"rename {name} {new}", lambda: self._side.api.rename(name, new))

    def remove(self, name: str, *, force: bool = False, link: bool = False) -> None:
        """Remove a container, or only a link to one."""
        words = "rm" + " -f" * force + " --link" * link
        self._step(
            f"{words} {name}",
            lambda: self._side.api.remove_container(name, force=force, link=link),
        )

    def wait(self, name: str, condition: str = "not-running") -> None:
        """Wait for a container's end, or for its removal."""
        self._step(
            f"wait {name} {condition}",
            lambda: self._side.api.wait(name, timeout=_WAIT_S, condition=condition),
        )

    def execute(self, name: str, *command: str) -> None:
        """Run a command in a container and wait for its end; the output is not looked at."""
        api = self._side.api

        def call() -> Any:
            made = api.exec_create(name, list(command))
            self._symbols.learn(made["Id"], "exec")
            api.exec_start(made["Id"])
            wait_until(
                f"exec of {command} to end",
                lambda: not api.exec_inspect(made["Id"])["Running"],
                timeout_s=_WAIT_S,
            )
            return api.exec_inspect(made["Id"])

        self._step(f"exec {name} {' '.join(command)}", call)

    def environment(self, name: str, *lines: str, tty: bool = False) -> None:
        """Look at the environment of a command in a container, which has further lines itself."""
        api = self._side.api

        def call() -> Any:
            made = api.exec_create(name, ["env"], environment=list(lines), tty=tty)
            self._symbols.learn(made["Id"], "exec")
            return api.exec_start(made["Id"]).decode().splitlines()

        self._step(f"exec {'-t ' * tty}{name} env, with {' '.join(lines)}", call, look=False)

    def until(self, name: str, words: str, holds: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until a container's inspect document is as wanted; then look."""

        def call() -> None:
            wait_until(
                f"{name}: {words}",
                lambda: holds(self._side.api.inspect_container(name)),
                timeout_s=_WAIT_S,
            )
            self._statuses.clear()

        self._step(f"until {name} {words}", call)

    def until_gone(self, name: str) -> None:
        """Wait until a container is removed; then look."""

        def call() -> None:
            wait_until(
                f"{name} to be removed",
                lambda: self._side.request("GET", f"/containers/{name}/json").status == 404,
                timeout_s=_WAIT_S,
            )

        self._step(f"until {name} is removed", call)

    # --------------------------------------------------------------------------------- networks

    def network(self, name: str, *subnets: str, look: bool = True, **options: Any) -> None:
        """Create a network on subnets, each with the first address as gateway unless told."""
        check_name(name)
        if subnets:
            options["ipam"] = {"Driver": "default", "Config": [{"Subnet": s} for s in subnets]}

        def call() -> Any:
            made = self._side.api.create_network(name, **options)
            self._symbols.learn(made["Id"], f"network {name}")
            return made

        words = [f"{key}={value}" for key, value in options.items()]
        self._step(" ".join(["network create", name, *words]), call, look=look)

    def remove_network(self, name: str) -> None:
        """Remove a network."""
        self._step(f"network rm {name}", lambda: self._side.api.remove_network(self._filled(name)))

    def connect(self, container: str, network: str, **options: Any) -> None:
        """Connect a container to a network; options are the SDK's: aliases, ipv4_address, ..."""
        words = [f"{key}={value}" for key, value in options.items()]
        self._step(
            " ".join(["network connect", network, container, *words]),
            lambda: self._side.api.connect_container_to_network(
                container, self._filled(network), **options
            ),
        )

    def disconnect(self, container: str, network: str, *, force: bool = False) -> None:
        """Disconnect a container from a network."""
        self._step(
            f"network disconnect {'-f ' * force}{network} {container}",
            lambda: self._side.api.disconnect_container_from_network(
                container, self._filled(network), force=force
            ),
        )

    def prune_networks(self, **filters: Any) -> None:
        """Remove the networks that nobody uses."""
        self._step(
            f"network prune {filters}",
            lambda: self._side.api.prune_networks(filters=filters or None),
        )

    # ------------------------------------------------------------------------ questions, raw calls

    def ps(self, *, every: bool = True, **filters: Any) -> None:
        """List containers."""
        self._ask(
            f"ps {'-a ' * every}{filters}",
            lambda: self._side.api.containers(all=every, filters=self._filled(filters)),
        )

    def list_networks(self, **filters: Any) -> None:
        """List networks; in no order, since Docker promises none."""
        self._ask(
            f"network ls {filters}",
            lambda: sorted(
                self._side.api.networks(filters=self._filled(filters)),
                key=lambda network: str(network["Name"]),
            ),
        )

    def inspect(self, reference: str) -> None:
        """Inspect a container by its name or a part of its id."""
        self._ask(
            f"inspect {reference}",
            lambda: self._side.api.inspect_container(self._filled(reference)),
        )

    def inspect_network(self, reference: str) -> None:
        """Inspect a network by its name or a part of its id."""
        self._ask(
            f"network inspect {reference}",
            lambda: self._side.api.inspect_network(self._filled(reference)),
        )

    def events(self, **filters: Any) -> None:
        """Ask for the events of the scenario so far that pass a filter."""
        self._ask(
            f"events {filters}",
            lambda: self._announced({key: [value] for key, value in filters.items()}),
        )

    def request(self, method: str, path: str, body: Any = None) -> None:
        """Send one raw request, for what the SDK cannot say."""

        def call() -> Any:
            answer = self._side.request(method, self._filled(path), body)
            self._statuses.append(answer.status)
            if answer.status >= 300:
                return [answer.message, answer.headers.get("location")]
            return answer.json()

        self._step(f"{method} {path} {'' if body is None else body}".rstrip(), call)

    def ask_ambiguous(self, method: str, kind: str, path: str) -> None:
        """Send a request for the first digit of ids of which several begin so.

        Args:
            method: GET, POST, ...
            kind: container or network.
            path: with `{}` where the digit goes; it differs from engine to engine.
        """
        digit = self._symbols.shared_beginning(kind)

        def call() -> Any:
            answer = self._side.request(method, path.format(digit))
            self._statuses.append(answer.status)
            message = re.sub(r"\d+ matches", "<several> matches", answer.message)
            return re.sub(rf"\b{digit}\b", "<digit>", message)

        self._ask(f"{method} {path.format('<digit>')}", call)

    # ------------------------------------------------------------------------------------- record

    def _step(self, label: str, call: Callable[[], Any], *, look: bool = True) -> None:
        """Do one thing and look at everything."""
        self._ask(label, call)
        if look:
            self.steps[-1].seen.update(snapshot(self._side, self._symbols))

    def _filled(self, value: Any) -> Any:
        """Put ids in the place of `{container ct1:12}`, however deep it lies."""
        if isinstance(value, dict):
            return {key: self._filled(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._filled(entry) for entry in value]
        return self._symbols.filled(value) if isinstance(value, str) else value

    def _ask(self, label: str, call: Callable[[], Any]) -> None:
        """Do one thing that changes nothing, and write down the answer."""
        self._statuses.clear()
        try:
            result = call()
        except docker.errors.APIError as error:
            result = error.explanation
        answer = {"status": list(self._statuses), "body": result}
        self.steps.append(Step(label, {"answer": self._symbols.comparable(answer)}))

    def finish(self) -> None:
        """Write down the events of the whole scenario, and leave nothing on the engine."""
        found = self._symbols.comparable(self._announced({}))
        self.steps.append(Step("the events", {"events": found}))
        self.clear()

    def _announced(self, filters: dict[str, list[str]]) -> list[Any]:
        """Give what the engine announced since the scenario began, in order."""
        query = {"since": self._since, "until": self._now(), "filters": json.dumps(filters)}
        answer = self._side.request("GET", f"/events?{urlencode(query)}")
        self._statuses.append(answer.status)
        if answer.status != 200:
            return [answer.message]
        events = (json.loads(line) for line in answer.body.splitlines() if line.strip())
        return in_any_order(
            [[e["Type"], e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]] for e in events]
        )

    def _now(self) -> str:
        """Give the engine's own clock, as its events API takes it."""
        return wire_time(str(self._side.get("/info")["SystemTime"]))

    def clear(self) -> None:
        """Remove every container and every network that is not the engine's own."""
        self._side.api.hooks["response"] = []
        clear(self._side)


def check_name(name: str) -> None:
    """Check the name of a container or network: it must not be the beginning of an id.

    Where nobody has the name, an engine takes it for such a beginning, and may find another object.

    Raises:
        ValueError: it has hexadecimal digits only.
    """
    if _HEXADECIMAL.fullmatch(name):
        raise ValueError(f"the name {name!r} may be the beginning of an id")


def in_any_order(events: list[list[Any]]) -> list[list[Any]]:
    """Sort the events of several networks where one request has them all.

    A start connects to one after the other, a stop disconnects, and a prune removes; Docker goes
    through a map of them: in no order. So those of one container, and those that go, are put in
    the order of their names where they follow one another.
    """

    def kind(event: list[Any]) -> tuple[Any, ...]:
        is_several = event[0] == "network" and event[1] in {"connect", "disconnect", "destroy"}
        return (event[1], event[3].get("container")) if is_several else (id(event),)

    return [
        event
        for _, run in itertools.groupby(events, key=kind)
        for event in sorted(run, key=lambda event: str(event[3].get("name")))
    ]


def clear(side: Side) -> None:
    """Remove every container and network of an engine that is not its own."""
    for container in side.get("/containers/json?all=1"):
        side.request("DELETE", f"/containers/{container['Id']}?force=1")
    for network in side.get("/networks"):
        if network["Name"] not in _BUILT_IN:
            side.request("DELETE", f"/networks/{network['Id']}")
    containers, networks = side.get("/containers/json?all=1"), side.get("/networks")
    left = {str(c["Names"]) for c in containers} | {str(n["Name"]) for n in networks}
    assert left == _BUILT_IN, f"{side.name} keeps {left - _BUILT_IN}"
