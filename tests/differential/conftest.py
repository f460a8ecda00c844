"""Both engines, started once for the session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.differential.compare import Accepted
from tests.differential.pair import Pair, running_pair
from tests.differential.upstream import nobody_known_upstream


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """The reference and Docker 20.10, side by side."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts two engines")
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
