"""Both engines, started once for the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.compare import Accepted
from tests.differential.pair import Pair, running_pair, why_unavailable
from tests.differential.upstream import nobody_known_upstream


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """The reference and Docker 20.10, side by side."""
    reason = why_unavailable()
    if reason:
        pytest.skip(reason)
    with running_pair() as started:
        yield started


@pytest.fixture(scope="module")
def walked_pair(pair: Pair) -> Iterator[Pair]:
    """The pair for walks, which ask for many names that nobody knows."""
    with nobody_known_upstream(pair):
        yield pair


@pytest.fixture(scope="session")
def accepted() -> Accepted:
    """accepted.toml; it notes which entries this run needed."""
    return Accepted.load()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ask for stale entries when all scenarios have run, in whatever order that is."""
    items.sort(key=lambda item: item.name == "test_every_accepted_difference_was_seen")
