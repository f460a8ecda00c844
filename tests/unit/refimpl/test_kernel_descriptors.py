"""Goal: the daemon gets the descriptors that it needs, and no limit is ever lowered."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from refimpl.kernel.descriptors import raise_descriptor_limit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_low_limit_is_raised_to_what_is_wanted(limits):
    soft, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 10, hard))
    assert raise_descriptor_limit(soft - 5) == soft - 5
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft - 5, hard)


def test_a_high_limit_stays(limits):
    assert raise_descriptor_limit(limits[0] - 1) == limits[0]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


def test_nothing_is_beyond_the_hard_limit(limits):
    soft, hard = limits
    if hard == resource.RLIM_INFINITY:
        hard = soft
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    assert raise_descriptor_limit(hard + 1) == hard
