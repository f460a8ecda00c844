"""Containers that are started, measured and stopped again on one engine, through the docker SDK.

One container per kind of network is made once; a sample is one start of it. So a sample is a
start and nothing else, and every start of an engine is like the others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cases import BRIDGE, NONE, STARTED_NETWORKS, USER, Case, Figure
from conformance.engines.base import Engine
from conformance.image import ensure_image
from conformance.observe.metrics import ActionMetric, MetricsReader
from conformance.observe.poll import wait_until

SETTLE_TIMEOUT_S = 30.0
PREFIX = "netinit-bench"
LABEL = "netinit.benchmark"
_NOTHING = ActionMetric()


class StartError(Exception):
    """A start could not be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSample:
    """One start.

    Attributes:
        wall_s: from the SDK's request to its answer.
        allocate_s: what the engine's metric counted for it; None where it serves none.
        release_s: likewise, for giving the network back when the container had ended.
    """

    wall_s: float
    allocate_s: float | None = None
    release_s: float | None = None


class Starts:
    """The containers of one engine that runs already."""

    def __init__(self, engine: Engine, *, run_id: str) -> None:
        """Make the image, the user network and the containers.

        Args:
            engine: it has been started.
            run_id: makes the names of this run's objects unique.
        """
        self._engine = engine
        self._api = engine.client().api
        inside = engine.inside()
        served = inside is not None and inside.metrics_url != ""
        self._metrics = MetricsReader(inside) if inside is not None and served else None
        self._containers: dict[str, str] = {}
        self._network_id = ""
        try:
            self._make(run_id)
        except BaseException:
            self.close()
            raise

    def _make(self, run_id: str) -> None:
        image = ensure_image(self._engine.client())
        labels = {LABEL: run_id}
        user_network = f"{PREFIX}-{run_id}"
        self._network_id = self._api.create_network(user_network, driver="bridge", labels=labels)[
            "Id"
        ]
        modes = {NONE: "none", BRIDGE: "bridge", USER: user_network}
        for network in STARTED_NETWORKS:
            self._containers[network] = self._api.create_container(
                image,
                ["sleep", "86400"],
                name=f"{PREFIX}-{run_id}-{network}",
                labels=labels,
                host_config=self._api.create_host_config(network_mode=modes[network]),
            )["Id"]

    def sample(self, network: str) -> StartSample:
        """Start the container of one network, and stop it again outside the measurement.

        Raises:
            StartError: not exactly one allocate and one release were counted, so the times are not
                this start's.
        """
        container = self._containers[network]
        before = self._read()
        started = time.perf_counter()
        self._api.start(container)
        wall_s = time.perf_counter() - started
        after = self._read()
        self._stop(container, releases=after.get("release", _NOTHING).count)
        if self._metrics is None:
            return StartSample(wall_s=wall_s)
        return StartSample(
            wall_s=wall_s,
            allocate_s=self._spent("allocate", before, after, network),
            release_s=self._spent("release", after, self._read(), network),
        )

    def _spent(
        self,
        action: str,
        before: Mapping[str, ActionMetric],
        after: Mapping[str, ActionMetric],
        network: str,
    ) -> float:
        old, new = before.get(action, _NOTHING), after.get(action, _NOTHING)
        if new.count - old.count != 1:
            raise StartError(
                f"{self._engine.name}: {action} was counted {new.count - old.count} times for one "
                f"start on network {network}; does somebody else use this engine?"
            )
        return new.sum_s - old.sum_s

    def _read(self) -> Mapping[str, ActionMetric]:
        return {} if self._metrics is None else self._metrics.read()

    def _stop(self, container: str, *, releases: int) -> None:
        """Kill the container and wait until its network is released, so that nothing overlaps."""
        self._api.kill(container)
        self._api.wait(container, timeout=int(SETTLE_TIMEOUT_S))
        if self._metrics is not None:
            wait_until(
                f"{self._engine.name} to release the network of a stopped container",
                lambda: self._read().get("release", _NOTHING).count > releases,
                timeout_s=SETTLE_TIMEOUT_S,
            )

    def close(self) -> None:
        """Remove the containers and the network."""
        while self._containers:
            _network, container = self._containers.popitem()
            self._api.remove_container(container, force=True)
        if self._network_id:
            self._api.remove_network(self._network_id)
            self._network_id = ""

    def samples_by_case(self, network: str) -> dict[Case, float]:
        """Take one sample and say which cases it belongs to; times in seconds."""
        sample = self.sample(network)
        name = self._engine.name
        found = {Case(Figure.START, name, network): sample.wall_s}
        for figure, seconds in (
            (Figure.METRIC, sample.allocate_s),
            (Figure.RELEASE, sample.release_s),
        ):
            if seconds is not None:
                found[Case(figure, name, network)] = seconds
        return found
