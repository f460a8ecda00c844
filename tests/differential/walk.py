"""A walk: the same steps on both engines, and after each one the two worlds compared.

A step is a method with plain arguments. So what a random walk prints when it fails,

    state.network_create(network='alpha', kind='plain', check_duplicate=True)
    state.create(container='web', mode='alpha', extra='plain', address='.10', alias='')

is the body of a test in test_found_sequences.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from tests.differential.compare import Accepted, Difference, differences, report
from tests.differential.pair import Pair, Side
from tests.differential.snapshot import symbols_of
from tests.differential.steps import CONTAINER_EXTRAS, NETWORK_KINDS, NONSENSE, address_in
from tests.differential.world import PREDEFINED, World, renumbered

T = TypeVar("T")
SCENARIO = "random"
"""What accepted.toml calls all walks."""

# how long to wait for an echo or a name: at first, and when there is a difference
_PATIENCE_S = (0.06, 0.2, 0.5, 1.0, 1.0)


class Walk:
    """Steps on a pair of engines that were empty before it and are after `end`."""

    def __init__(self, pair: Pair) -> None:
        """Begin a walk; nothing is made yet."""
        self.pair = pair
        self.counts: Counter[str] = Counter()
        self.unsure: set[str] = set()
        self._accepted = Accepted.load()
        self._worlds = [World(side, symbols_of(side)) for side in pair.sides]
        self._pool = ThreadPoolExecutor(len(self._worlds))
        self.containers: dict[str, Any] = {}
        """What Docker's containers look like, by their names."""
        self.networks: set[str] = set()
        """The names of Docker's networks."""

    # ------------------------------------------------------------------------------ networks

    def network_create(self, network: str, kind: str, check_duplicate: bool) -> None:
        """Make a network of one of the NETWORK_KINDS."""
        body = {"Name": network, "CheckDuplicate": check_duplicate, **NETWORK_KINDS[kind](network)}
        self._post("/networks/create", body, learn=f"network {network}")

    def network_rm(self, network: str) -> None:
        """Remove a network."""
        self._step(lambda side: side.request("DELETE", f"/networks/{_word(network)}"))

    def connect(self, network: str, container: str, address: str, alias: str, link: str) -> None:
        """Connect a container, with a static address, an alias and a link or without.

        Not done where Docker's handler panics and hangs up: a container in container mode that
        does not run has no map of networks, and 20.10 writes an unknown network into it.
        """
        if self._has_no_map(container) and network not in self.networks:
            return
        endpoint = endpoint_of(network, address, alias, link)
        body = {"Container": container, **({"EndpointConfig": endpoint} if endpoint else {})}
        self._post(f"/networks/{_word(network)}/connect", body)

    def disconnect(self, network: str, container: str, force: bool) -> None:
        """Disconnect a container."""
        body = {"Container": container, "Force": force}
        self._post(f"/networks/{_word(network)}/disconnect", body)

    # ---------------------------------------------------------------------------- containers

    def create(self, container: str, mode: str, extra: str, address: str, alias: str) -> None:
        """Create a container with one of the CONTAINER_EXTRAS; it ends at once when stopped."""
        body: dict[str, Any] = {
            "Image": self.pair.docker.image,
            "Cmd": ["sleep", "100000"],
            "StopSignal": "SIGKILL",
            "HostConfig": {"NetworkMode": mode},
        }
        endpoint = endpoint_of(mode, address, alias, "")
        if endpoint:
            body["NetworkingConfig"] = {"EndpointsConfig": {mode: endpoint}}
        CONTAINER_EXTRAS[extra](body)
        self._post(
            f"/containers/create?{urlencode({'name': container})}",
            body,
            learn=f"container {container}",
        )

    def start(self, container: str) -> None:
        """Start a container."""
        self._start(container, "start")

    def restart(self, container: str) -> None:
        """Stop a container and start it."""
        self._start(container, "restart")

    def stop(self, container: str) -> None:
        """Stop a container."""
        self._post(f"/containers/{_word(container)}/stop")

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to a container."""
        self._post(f"/containers/{_word(container)}/kill?{urlencode({'signal': signal})}")

    def pause(self, container: str) -> None:
        """Pause a container."""
        self._post(f"/containers/{_word(container)}/pause")

    def unpause(self, container: str) -> None:
        """Let a paused container go on."""
        self._post(f"/containers/{_word(container)}/unpause")

    def rename(self, container: str, to: str) -> None:
        """Rename a container."""
        accepted = self._post(f"/containers/{_word(container)}/rename?{urlencode({'name': to})}")
        if accepted and container in self.unsure:
            self.unsure = self.unsure - {container} | {to}

    def rm(self, container: str, force: bool) -> None:
        """Remove a container."""
        path = f"/containers/{_word(container)}?{urlencode({'force': int(force)})}"
        if self._step(lambda side: side.request("DELETE", path)):
            self.unsure.discard(container)

    def nonsense(self, request: str) -> None:
        """Send one of the NONSENSE requests, none of which any engine accepts."""
        method, path, body = NONSENSE[request]
        self._step(lambda side: side.request(method, path, body))

    # ------------------------------------------------------------------------------ mechanics

    def _start(self, container: str, how: str) -> None:
        is_chance = len(set(self.recorded(container)) - {"bridge"}) > 1
        if self._post(
            f"/containers/{_word(container)}/{how}", unsure=container if is_chance else ""
        ):
            self.unsure.discard(container)

    def _has_no_map(self, container: str) -> bool:
        document = self.containers.get(container)
        return (
            document is not None
            and not document["State"]["Running"]
            and document["HostConfig"]["NetworkMode"].startswith("container:")
        )

    def recorded(self, container: str) -> list[str]:
        """Give the networks that a container is recorded to be on."""
        document = self.containers.get(container)
        if document is None:
            return []
        settings = document["NetworkSettings"]
        return list(settings.get("Networks", settings) or {})

    def _post(self, path: str, body: Any = None, *, learn: str = "", unsure: str = "") -> bool:
        return self._step(lambda side: side.request("POST", path, body), learn, unsure)

    def _step(self, act: Callable[[Side], Any], learn: str = "", unsure: str = "") -> bool:
        """Act on both engines and compare the answers and the worlds.

        Args:
            act: what to do with an engine.
            learn: what to call the id in the answer.
            unsure: a container that is on several networks; should it not start, chance decides
                how far it got and which network its error is about.

        Returns: whether the engines accepted it.
        """

        def do(world: World) -> tuple[int, Any]:
            world.begin_step()
            answer = act(world.side)
            try:
                document = answer.json()
            except ValueError:
                document = answer.body.decode("utf-8", "replace")
            if learn and answer.status == 201:
                world.known.learn(document["Id"], learn)
            if isinstance(document, dict) and "message" in document:
                document["message"] = _in_any_order(document["message"])
            return answer.status, renumbered(world.known.comparable(document))

        docker, reference = self._both(do)
        self.counts["steps"] += 1
        self.counts["accepted" if docker[0] < 400 else "refused"] += 1
        if unsure and docker[0] >= 400 and reference[0] >= 400:
            self.unsure.add(unsure)
            reference = docker
        found = list(
            differences(
                {"status": docker[0], "answer": docker[1]},
                {"status": reference[0], "answer": reference[1]},
                ("answer",),
            )
        )
        self._compare(self._accepted.unexplained(found, SCENARIO))
        return bool(docker[0] < 400)

    def _compare(self, found: list[Difference]) -> None:
        """Compare the worlds; what differs only for a moment is no difference."""
        unexplained: list[Difference] = []
        for patience_s in _PATIENCE_S:
            docker, reference = self._both(
                partial(World.look, unsure=self.unsure, patience_s=patience_s)
            )
            unexplained = self._accepted.unexplained(differences(docker, reference), SCENARIO)
            if not unexplained:
                break
            self.counts["second looks"] += 1
        self.containers = {seen["Name"][1:]: seen for seen in docker["containers"].values()}
        self.networks = {seen["Name"] for seen in docker["networks"].values()}
        self._count(docker["asked"])
        assert not [*found, *unexplained], "\n" + report([*found, *unexplained])

    def _count(self, asked: dict[str, Any]) -> None:
        for answers in asked.values():
            for question, answer in answers.items():
                kind = question.partition(" ")[0]
                self.counts[f"{kind}s"] += 1
                self.counts[f"{kind}s answered"] += bool(answer) and answer == "answers"
                self.counts[f"{kind}s answered"] += isinstance(answer, list) and bool(answer)

    def _both(self, work: Callable[[World], T]) -> list[T]:
        return list(self._pool.map(work, self._worlds))

    def end(self) -> None:
        """Remove everything from both engines, and see that they are alike when empty, too."""
        for world in self._worlds:
            world.begin_step()
        self._both(_clear)
        for world in self._worlds:
            world.begin_step()
        try:
            self._compare([])
        finally:
            self._pool.shutdown()


def endpoint_of(network: str, address: str, alias: str, link: str) -> dict[str, Any]:
    """Give an endpoint's configuration; empty where nothing is asked for."""
    endpoint: dict[str, Any] = {}
    if address:
        kind = "IPv6Address" if ":" in address else "IPv4Address"
        endpoint["IPAMConfig"] = {kind: address_in(network, address)}
    if alias:
        endpoint["Aliases"] = [alias]
    if link:
        endpoint["Links"] = [link]
    return endpoint


def _in_any_order(message: str) -> str:
    """Sort the networks that a create is refused for: Docker names them in a map's order."""
    head, separator, names = message.partition("network endpoints: ")
    return head + separator + ", ".join(sorted(names.split(", ")))


def _word(name: str) -> str:
    return quote(name, safe=":")


def _clear(world: World) -> None:
    """Remove every container and then every network."""
    for listed in world.side.get("/containers/json?all=1"):
        answer = world.side.request("DELETE", f"/containers/{listed['Id']}?force=1")
        assert answer.status == 204, f"{world.side.name}: {answer.message}"
    for network in world.side.get("/networks"):
        if network["Name"] not in PREDEFINED:
            answer = world.side.request("DELETE", f"/networks/{network['Id']}")
            assert answer.status == 204, f"{world.side.name}: {answer.message}"
