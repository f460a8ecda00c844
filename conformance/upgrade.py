"""A state folder that passes from one release of an engine to the next, on one machine.

    with Upgrade(make) as upgrade:          # make(spec) -> an engine that is not started
        bench = upgrade.begin("docker-20.10")
        web = bench.run(ports={"80/tcp": 8080})
        bench = upgrade.go_on("docker-26.1")             # or killed=True
        look(bench, web.id)

Each engine is stopped before the next one starts, as an upgrade of the machine's packages does it:
gracefully, or by SIGKILL to all its processes; with it end its containers. The next one gets the
folder, the network namespace with its links and its firewall, and a file system of its own.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from docker.models.containers import Container

from conformance.engines.base import EngineError
from conformance.engines.managed import ManagedEngine
from conformance.subnets import SubnetAllocator, taken_subnets
from conformance.workbench import Workbench


class Upgrade:
    """Starts engines of several releases one after the other; one of them runs at a time."""

    def __init__(self, make: Callable[[str], ManagedEngine], *, run_id: str) -> None:
        """Begin with no engine.

        Args:
            make: makes the engine of a name in engines.toml, not started; all of them must have
                the same folder and namespace, so the same run and slot.
            run_id: begins the names of what is made on the engines.
        """
        self._make = make
        self._run_id = run_id
        self._engine: ManagedEngine | None = None

    def __enter__(self) -> "Upgrade":
        """Give itself; no engine is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the engine that runs and take everything away."""
        self.end()

    @property
    def engine(self) -> ManagedEngine:
        """The engine that runs now.

        Raises:
            EngineError: none was started.
        """
        if self._engine is None:
            raise EngineError("no engine was started yet")
        return self._engine

    def begin(self, spec: str) -> Workbench:
        """Start the first engine on an empty folder."""
        engine = self._make(spec)
        engine.start()
        self._engine = engine
        return self._bench()

    def go_on(self, spec: str, *, killed: bool = False) -> Workbench:
        """Stop the engine that runs and start another one on its state.

        Args:
            spec: the next engine's name in engines.toml.
            killed: SIGKILL it with its containers; else stop it as an administrator would.
        """
        if killed:
            self.engine.kill_everything()
        else:
            self._stop_what_outlives_it()
            self.engine.leave()
        following = self._make(spec)
        # before it starts: whoever fails from here on has both to take away
        self._engine = following
        following.take_over()
        return self._bench()

    def _stop_what_outlives_it(self) -> None:
        """Stop the containers of an engine that would leave them running, as a shutdown does."""
        if self.engine.containers_outlive_it:
            running = self.engine.client().containers.list()
            with ThreadPoolExecutor(max_workers=4) as pool:
                list(pool.map(lambda container: container.stop(timeout=5), running))

    def end(self) -> None:
        """Stop the engine that runs and take everything away."""
        if self._engine is not None:
            self._engine.stop()
            self._engine = None

    def _bench(self) -> Workbench:
        taken = taken_subnets(self.engine.client())
        return Workbench(self.engine, run_id=self._run_id, subnets=SubnetAllocator(taken))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A container as it was at one moment.

    Attributes:
        inspect: its inspect document.
        links: the addresses of its links by the link's name, as `a.b.c.d/prefix`; empty where it
            does not run.
        macs: their hardware addresses.
        default_routes: the links of its default routes, IPv4 then IPv6; "" where there is none.
    """

    inspect: dict[str, Any]
    links: dict[str, list[str]] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    default_routes: tuple[str, str] = ("", "")

    @property
    def is_running(self) -> bool:
        """Whether it ran."""
        return bool(self.inspect["State"]["Running"])

    @property
    def pid(self) -> int:
        """Its first process; 0 where it did not run."""
        return int(self.inspect["State"]["Pid"])

    def endpoint(self, network: str) -> dict[str, Any]:
        """Give its settings on a network; Podman has another name for `bridge`."""
        networks = self.inspect["NetworkSettings"]["Networks"]
        if network == "bridge" and network not in networks:
            network = "podman"
        return dict(networks[network])


def look(bench: Workbench, container: Container | str) -> Seen:
    """Look at a container: its inspect document and, where it runs, its links and routes."""
    document = bench.inspect(container)
    if not document["State"]["Running"]:
        return Seen(inspect=document)
    netns = bench.host.netns_of(document["State"]["Pid"])
    entries = [entry for entry in netns.ip("addr", "show") if entry["ifname"] != "lo"]
    links = {
        entry["ifname"]: [
            f"{address['local']}/{address['prefixlen']}"
            for address in entry["addr_info"]
            if address.get("scope") == "global"
        ]
        for entry in entries
    }
    defaults = [
        [route["dev"] for route in netns.routes(family) if route["dst"] == "default"]
        for family in ("-4", "-6")
    ]
    ipv4, ipv6 = ((found or [""])[0] for found in defaults)
    return Seen(
        inspect=document,
        links=links,
        macs={entry["ifname"]: entry["address"] for entry in entries},
        default_routes=(ipv4, ipv6),
    )
