"""One row's hands on one engine: makes containers and networks, and takes them away again.

The fixtures `create`, `run`, `network`, `exec_in`, ... are the methods of the workbench on the
shared engine; `own_daemon(...)` gives a whole workbench on a daemon of the row's own.
"""

import itertools
import re
import signal
from typing import Any, cast

import docker
import docker.errors
import requests
from docker.models.containers import Container
from docker.models.networks import Network

from conformance.engines.base import Engine, EngineError
from conformance.image import ensure_image
from conformance.labels import NAME_PREFIX, RUN_LABEL
from conformance.observe.events import Event, EventCollector
from conformance.observe.exec import ExecResult, run_in_container
from conformance.observe.host import HostView
from conformance.observe.metrics import MetricsReader
from conformance.observe.own_process import expect_own_process, wait_for_handler
from conformance.rawapi import Answer, request
from conformance.subnets import SubnetAllocator

# Waits for ever but stops at once on SIGTERM, which a plain `sleep` as process 1 would not.
WAIT_FOR_EVER = ("sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done")

# What Docker and Podman say of a subnet that they hold already.
_IS_TAKEN = re.compile("overlaps with other one|already used")

_numbers = itertools.count(1)


class Workbench:
    """Makes and removes a row's objects on one engine."""

    def __init__(self, engine: Engine, *, run_id: str, subnets: SubnetAllocator) -> None:
        """Begin with nothing made; the image is imported if it is not there."""
        self.engine = engine
        self.subnets = subnets
        self._run_id = run_id
        self._containers: list[str] = []
        self._networks: list[str] = []
        self._names: set[str] = set()
        self.image = ensure_image(engine.client(), run_id="" if engine.is_managed else run_id)

    @property
    def client(self) -> docker.DockerClient:
        """The docker SDK's client; ask again after a restart of the engine."""
        return self.engine.client()

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that this run makes."""
        return {RUN_LABEL: self._run_id}

    def new_name(self, role: str = "row") -> str:
        """Give a name that nothing else on the engine has: `netinit-<run>-<number>-<role>`."""
        name = f"{NAME_PREFIX}{self._run_id}-{next(_numbers)}-{role}"
        self._names.add(name)
        return name

    def link_name(self, role: str) -> str:
        """Give the name of a link in the engine's namespace, as `ni-par0`.

        On an engine of somebody else it is one that no other run has: `ni3f9a1cp0`. With the
        longest number of a VLAN, `.4094`, it has the 15 characters that the kernel allows.
        """
        return f"ni-{role}" if self.engine.is_managed else f"ni{self._run_id}{role[0]}{role[-1]}"

    def create(self, command: Any = WAIT_FOR_EVER, **options: Any) -> Container:
        """Create a container; options are the SDK's own (network_mode=, hostname=, ...).

        Without a command it waits for ever. Removed when the row ends.
        """
        options.setdefault("name", self.new_name("container"))
        options["labels"] = {**self.labels, **options.get("labels", {})}
        image = options.pop("image", self.image)
        command = list(command) if isinstance(command, tuple) else command
        container = self.client.containers.create(image, command, **options)
        self._containers.append(str(container.id))
        return container

    def run(self, command: Any = WAIT_FOR_EVER, **options: Any) -> Container:
        """Create a container and start it; its `attrs` are those after the start."""
        stays = command is WAIT_FOR_EVER and not {"image", "entrypoint"} & options.keys()
        return self.start(self.create(command, **options), stays=stays)

    def start(self, container: Container, *, stays: bool = True) -> Container:
        """Start a container; the row FAILs at once if it does not run, whatever the engine says.

        Args:
            container: one that was created or has ended; its `attrs` are those after the start.
            stays: whether its command does not end by itself.
        """
        container.start()
        container.reload()
        expect_own_process(self.engine, container.attrs, stays=stays)
        if container.attrs["Config"]["Cmd"] == list(WAIT_FOR_EVER):
            wait_for_handler(self.engine, container.attrs, signal.SIGTERM)
        return container

    def create_raw(self, body: dict[str, Any], *, name: str = "", version: str = "") -> Answer:
        """POST /containers/create with a body of the row's own; Image and Labels are filled in.

        Args:
            body: the rest of it.
            name: of the container; a new one by default.
            version: of the API, as `/v1.41`; the engine's newest by default.
        """
        name = name or self.new_name("container")
        document = {"Image": self.image, "Cmd": list(WAIT_FOR_EVER), "Labels": self.labels, **body}
        answer = self.api("POST", f"{version}/containers/create?name={name}", document)
        if answer.status == 201:
            self._containers.append(answer.json()["Id"])
        return answer

    def network(self, name: str = "", *, subnet: str = "", **options: Any) -> Network:
        """Create a network with an explicit subnet; options are the SDK's own (driver=, ...).

        A row that sets `ipam=` itself gets no subnet from here. Removed when the row ends.
        """
        options.setdefault("driver", "bridge")
        options["labels"] = {**self.labels, **options.get("labels", {})}
        name = name or self.new_name("network")
        if "ipam" in options:
            network = self.client.networks.create(name, **options)
        elif subnet:
            network = self.client.networks.create(name, ipam=_on(subnet), **options)
        else:
            network = self._on_a_free_subnet(name, options)
        self._networks.append(str(network.id))
        network.reload()
        return network

    def _on_a_free_subnet(self, name: str, options: dict[str, Any]) -> Network:
        """Create a network on the next free subnet.

        An engine of somebody else may hold subnets that it does not list, as Docker 20.10 does
        after some failed requests: then the one after it is taken.
        """
        for is_last in (False, False, True):
            try:
                ipam = _on(self.subnets.ipv4())
                return self.client.networks.create(name, ipam=ipam, **options)
            except docker.errors.APIError as error:
                if is_last or self.engine.is_managed or not _IS_TAKEN.search(str(error)):
                    raise
        raise AssertionError("the last attempt returns or raises")

    def network_raw(self, body: dict[str, Any], *, name: str = "") -> Answer:
        """POST /networks/create with a body of your own; a network that was made is removed."""
        name = name or self.new_name("network")
        answer = self.api("POST", "/networks/create", {"Name": name, **body})
        if answer.status == 201:
            self._networks.append(str(answer.json()["Id"]))
        return answer

    def exec_in(self, container: Container, *command: str, **options: Any) -> ExecResult:
        """Run a command in a running container: `exec_in(c, "ip", "addr").stdout`."""
        return run_in_container(self.engine, str(container.id), *command, **options)

    def api(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send one raw request, for what the SDK cannot form."""
        return request(self.engine, method, path, body, **options)

    def inspect(self, container: Container | str) -> dict[str, Any]:
        """Give a container's inspect document as it is now."""
        key = container if isinstance(container, str) else str(container.id)
        return cast("dict[str, Any]", self.client.api.inspect_container(key))

    def inspect_network(self, network: Network | str) -> dict[str, Any]:
        """Give a network's inspect document as it is now."""
        key = network if isinstance(network, str) else str(network.id)
        return cast("dict[str, Any]", self.client.api.inspect_network(key))

    @property
    def host(self) -> HostView:
        """The engine seen from the machine; the row needs `host-view`."""
        inside = self.engine.inside()
        if inside is None:
            raise EngineError(f"{self.engine.name} cannot be looked into from this machine")
        return HostView(inside)

    @property
    def metrics(self) -> MetricsReader:
        """The engine's metrics; the row needs `metrics`."""
        return MetricsReader(self.host.inside)

    def events(self) -> EventCollector:
        """Collect the engine's events from now on."""
        return EventCollector(self.engine, self._is_ours)

    def _is_ours(self, event: Event) -> bool:
        if self.engine.is_managed:
            return True
        about = {event.actor, *event.attributes.values()}
        return bool(about & {*self._containers, *self._networks, *self._names})

    def clean_up(self) -> list[str]:
        """Remove all that was made, containers first; give what the engine refused to remove."""
        refused = []
        for container_id in reversed(self._containers):
            refused += self._remove("container", container_id)
        for network_id in reversed(self._networks):
            refused += self._remove("network", network_id)
        self._containers.clear()
        self._networks.clear()
        return refused

    def _remove(self, kind: str, object_id: str) -> list[str]:
        api = self.client.api
        try:
            if kind == "container":
                api.remove_container(object_id, force=True, v=True)
            else:
                api.remove_network(object_id)
        except docker.errors.NotFound:
            return []
        except docker.errors.APIError as exc:
            return [f"{kind} {object_id[:12]} cannot be removed: {exc.explanation}"]
        except requests.RequestException as exc:
            raise EngineError(f"{kind} {object_id[:12]} cannot be removed: {exc}") from exc
        return []


def _on(subnet: str) -> docker.types.IPAMConfig:
    return docker.types.IPAMConfig(pool_configs=[docker.types.IPAMPool(subnet=subnet)])
