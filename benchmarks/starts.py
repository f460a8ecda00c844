"""Containers that are started, measured and stopped again on one engine, through the docker SDK.

One container per kind of network is made once; a sample is one start of it. So a sample is a
start and nothing else, and every start of an engine is like the others.

A container counts as ended when its links are gone, too: an engine that deletes them later would
else do it within the next engine's sample.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import BRIDGE, NONE, PORTS, STARTED_NETWORKS, USER, Case, Figure
from benchmarks.links import ContainerLinks
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
        end_s: from the request to kill it until it has ended and its links are gone; None where
            the engine's links cannot be seen.
    """

    wall_s: float
    allocate_s: float | None = None
    release_s: float | None = None
    end_s: float | None = None


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
        metrics = MetricsReader(inside) if inside is not None and inside.metrics_url else None
        # a Podman is asked at the same place, and serves none
        self._metrics = metrics if metrics is not None and metrics.is_usable() else None
        # where somebody else makes links as well, theirs would be waited for
        is_own = inside is not None and not inside.is_shared
        self._links = ContainerLinks(inside.netns) if inside is not None and is_own else None
        self._run_id = run_id
        self._image = ""
        self._containers: dict[str, str] = {}
        self._running: set[str] = set()
        self._releases = 0
        self._network_id = ""
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        self._image = ensure_image(self._engine.client())
        user_network = f"{PREFIX}-{self._run_id}"
        self._network_id = self._api.create_network(
            user_network, driver="bridge", labels={LABEL: self._run_id}
        )["Id"]
        modes = {NONE: "none", BRIDGE: "bridge", USER: user_network}
        for network in STARTED_NETWORKS:
            self._create(network, network_mode=modes[network])

    def _create(self, network: str, **host_config: Any) -> None:
        self._containers[network] = self._api.create_container(
            self._image,
            ["sleep", "86400"],
            name=f"{PREFIX}-{self._run_id}-{network}",
            labels={LABEL: self._run_id},
            ports=sorted(host_config.get("port_bindings", ())),
            host_config=self._api.create_host_config(**host_config),
        )["Id"]

    def add_published(self) -> None:
        """Make the container `PORTS`: on the default bridge, with two ports that are published."""
        if PORTS not in self._containers:
            # the engine chooses the host's ports, so that none is somebody else's
            self._create(PORTS, network_mode="bridge", port_bindings={80: None, 443: None})

    @property
    def sees_links(self) -> bool:
        """Whether `end` waits until the container's links are gone."""
        return self._links is not None

    def start(self, network: str) -> None:
        """Start the container of one network."""
        self._api.start(self._containers[network])
        self._running.add(network)

    def end(self, network: str) -> None:
        """Kill the container of one network, and wait until it has ended and its links are gone.

        Raises:
            LinksError: one of them stayed.
        """
        self._api.kill(self._containers[network])
        self._api.wait(self._containers[network], timeout=int(SETTLE_TIMEOUT_S))
        if self._links is not None:
            self._links.wait_until_gone()
        self._running.discard(network)

    def note_releases(self) -> None:
        """Note how many releases the engine has counted, before the next `end`."""
        self._releases = self._read().get("release", _NOTHING).count

    def settle(self) -> None:
        """Wait until the engine has counted a release since `note_releases`.

        So nothing of an end overlaps with what comes next. Where no metric is served, there is
        nothing to wait for.
        """
        if self._metrics is not None:
            wait_until(
                f"{self._engine.name} to release the network of a stopped container",
                lambda: self._read().get("release", _NOTHING).count > self._releases,
                timeout_s=SETTLE_TIMEOUT_S,
            )

    def stop(self, network: str) -> None:
        """End the container of one network, with all that the engine does after it."""
        self.note_releases()
        self.end(network)
        self.settle()

    def stop_all(self) -> None:
        """Stop the containers that run."""
        for network in sorted(self._running):
            self.stop(network)

    def sample(self, network: str) -> StartSample:
        """Start the container of one network, and stop it again outside the measurement.

        Raises:
            LinksError: one of its links stayed.
            StartError: not exactly one allocate and one release were counted, so the times are not
                this start's.
        """
        before = self._read()
        started = time.perf_counter()
        self.start(network)
        wall_s = time.perf_counter() - started
        after = self._read()
        self._releases = after.get("release", _NOTHING).count
        started = time.perf_counter()
        self.end(network)
        end_s = time.perf_counter() - started if self.sees_links else None
        self.settle()
        if self._metrics is None:
            return StartSample(wall_s=wall_s, end_s=end_s)
        return StartSample(
            wall_s=wall_s,
            allocate_s=self._spent("allocate", before, after, network),
            release_s=self._spent("release", after, self._read(), network),
            end_s=end_s,
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

    def close(self) -> None:
        """Remove the containers and the network."""
        if self._links is not None:
            self._links.close()
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
            (Figure.END, sample.end_s),
        ):
            if seconds is not None:
                found[Case(figure, name, network)] = seconds
        return found
