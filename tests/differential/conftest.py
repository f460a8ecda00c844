"""Both engines, started once for the scenarios and once for the walks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.differential.compare import Accepted
from tests.differential.pair import Pair, running_pair, why_unavailable
from tests.differential.upstream import nobody_known_upstream


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """The reference and Docker 20.10, side by side."""
    with _running_pair() as started:
        yield started


@pytest.fixture(scope="session")
def walked_pair() -> Iterator[Pair]:
    """A pair for walks, which ask for many names that nobody knows.

    They look at the daemons' bridges, too, and a scenario leaves its trace there: Docker gives
    `docker0` the address of a network that says it is the default bridge.
    """
    with _running_pair("w") as started, nobody_known_upstream(started):
        yield started


def _running_pair(name: str = "") -> AbstractContextManager[Pair]:
    reason = why_unavailable()
    if reason:
        pytest.skip(reason)
    return running_pair(name)


@pytest.fixture(scope="session")
def accepted() -> Accepted:
    """accepted.toml; it notes which entries this run needed."""
    return Accepted.load()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for stale entries when all scenarios have run, in whatever order that is."""
    items.sort(key=lambda item: item.name == "test_every_accepted_difference_was_seen")
