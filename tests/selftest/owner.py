"""The owner of an engine, who makes, joins, publishes, stops and removes things all the time."""

import itertools
import random
import threading
from types import TracebackType
from typing import Any, Self

import docker
import docker.errors

from conformance.workbench import WAIT_FOR_EVER
from tests.selftest.foreign import Theirs

# Below the ports that the suite takes for its own.
_FIRST_PORT, _END_PORT = 18000, 19900
# The engine may have given a port that it is asked for away, or lose a container that is ending.
_HAPPENS = ("port is already allocated", "is not running", "address already in use")


class Owner:
    """Works on an engine in a thread of its own for a `with` block, and leaves nothing behind.

    Attributes:
        rounds: how many containers came and went.
        complaints: what the engine refused, although nothing of the owner's was in the way.
    """

    def __init__(self, theirs: Theirs) -> None:
        """Begin with nothing; `theirs` holds the image."""
        self.rounds = 0
        self.complaints: list[str] = []
        self._client = docker.DockerClient(base_url=theirs.address, version="auto", timeout=120)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        """Begin to work."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End after the round that goes on."""
        self._is_over.set()
        self._thread.join()
        self._client.close()

    def _work(self) -> None:
        ports = itertools.cycle(range(_FIRST_PORT, _END_PORT))
        while not self._is_over.is_set():
            try:
                self._round(f"owner-{self.rounds}", next(ports))
            except docker.errors.APIError as exc:
                if not any(words in str(exc.explanation) for words in _HAPPENS):
                    self.complaints.append(str(exc.explanation))
            self.rounds += 1

    def _round(self, name: str, port: int) -> None:
        """Let a container and a network come and go; the n-th round does the same in each run."""
        chance = random.Random(self.rounds)
        net = self._client.networks.create(name, driver="bridge")
        container = None
        try:
            options: dict[str, Any] = {"ports": {"80/tcp": port}} if chance.random() < 0.5 else {}
            if chance.random() < 0.5:
                options["network"] = name
            container = self._client.containers.create(
                "theirs:1", list(WAIT_FOR_EVER), name=name, **options
            )
            container.start()
            if "network" not in options:
                net.connect(container)
            if chance.random() < 0.3:
                container.restart(timeout=5)
            if chance.random() < 0.3:
                net.disconnect(container, force=True)
            if chance.random() < 0.5:
                container.stop(timeout=5)
        finally:
            if container is not None:
                container.remove(force=True)
            net.remove()
