"""Benchmarks of the reference in process: its own `allocate_network` and `release_network`.

The real store, files and kernel; no API and no container process. The test process moves into
namespaces of its own, so that all links and mounts end with it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.cases import BRIDGE, PORTS, REFERENCE, USER
from benchmarks.exec_root import mount_in_memory
from benchmarks.inprocess import InProcess
from benchmarks.links import ContainerLinks
from benchmarks.measure import CHEAP_REPEATS
from refimpl.kernel import libc

CLONE_NEWNS = 0x20000
MS_REC_PRIVATE = 0x44000
WARMUP_ROUNDS = 5

pytestmark = pytest.mark.timeout(900)


class Allocator:
    """The reference with one container at a time on a network."""

    def __init__(self, reference: InProcess, links: ContainerLinks) -> None:
        self._reference = reference
        self._links = links
        self._allocated: Any = None

    def find(self, network: str) -> Any:
        """Return the container of a network."""
        return self._reference.find(network)

    def allocate(self, container: Any) -> None:
        """Give a container its network."""
        self._allocated = container
        with container.lock:
            self._reference.booted.allocate_network(container)

    def after_start(self) -> None:
        """Do what a start does when it is over: make the namespace of the next one."""
        self._reference.booted.expect_start()

    def release(self, container: Any) -> None:
        """Take a container's network away; its links are deleted behind this."""
        self._allocated = None
        with container.lock:
            self._reference.booted.release_network(container)

    def release_until_gone(self, container: Any) -> None:
        """Take a container's network away, and wait until its links are gone."""
        self.release(container)
        self._links.wait_until_gone()

    def clear(self) -> None:
        """Release what is still allocated, and wait until its links are gone."""
        if self._allocated is not None:
            self.release(self._allocated)
        self._links.wait_until_gone()


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Any]:
    """A daemon of the reference in this process."""
    if REFERENCE not in (pytestconfig.getoption("netinit_engine") or [REFERENCE]):
        pytest.skip(f"only the reference allocates in process: --engine {REFERENCE}")
    if os.geteuid() != 0:
        pytest.skip("this makes network namespaces; run it as root")
    try:
        libc.unshare(libc.CLONE_NEWNET | CLONE_NEWNS)
        libc.mount("none", "/", None, MS_REC_PRIVATE)
    except OSError as error:
        pytest.skip(f"this kernel lets it make no namespaces: {error}")
    directory = tmp_path_factory.mktemp("reference")
    mount_in_memory(directory / "exec")
    reference = InProcess(directory)
    links = ContainerLinks()
    gc.freeze()  # as the program does when it has booted
    try:
        yield Allocator(reference, links)
    finally:
        gc.unfreeze()
        links.close()
        reference.close()


@pytest.fixture
def allocator(booted: Allocator) -> Iterator[Allocator]:
    """The reference with nothing allocated, now and after it."""
    yield booted
    booted.clear()


@pytest.fixture
def rounds(start_rounds: int) -> int:
    """How often something is done that takes a millisecond where a start takes 50."""
    return CHEAP_REPEATS * start_rounds


@pytest.mark.parametrize("network", [BRIDGE, USER, PORTS])
@pytest.mark.benchmark(group="allocate in process")
def test_allocate(
    allocator: Allocator, network: str, rounds: int, benchmark: BenchmarkFixture
) -> None:
    """Give a container its network: on each kind, and with two published ports."""

    def put_back(container: Any) -> None:
        allocator.after_start()
        allocator.release_until_gone(container)

    benchmark.extra_info["engine"] = REFERENCE
    benchmark.pedantic(
        allocator.allocate,
        args=(allocator.find(network),),
        teardown=put_back,
        rounds=rounds,
        warmup_rounds=WARMUP_ROUNDS,
    )


@pytest.mark.parametrize("network", [BRIDGE, USER, PORTS])
@pytest.mark.parametrize("until", ["its-return", "the-links-are-gone"])
@pytest.mark.benchmark(group="release in process")
def test_release(
    allocator: Allocator, until: str, network: str, rounds: int, benchmark: BenchmarkFixture
) -> None:
    """Take it away: until the call returns, and until the links, deleted behind it, are gone."""
    container = allocator.find(network)

    def allocate() -> None:
        allocator.allocate(container)
        allocator.after_start()

    benchmark.extra_info["engine"] = REFERENCE
    benchmark.pedantic(
        allocator.release if until == "its-return" else allocator.release_until_gone,
        args=(container,),
        setup=allocate,
        teardown=lambda _container: allocator.clear(),
        rounds=rounds,
        warmup_rounds=WARMUP_ROUNDS,
    )
