"""A prune takes only what is old enough and labelled as asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from refimpl.daemon.prune_filters import PruneFilters
from refimpl.errors import EngineError, InvalidParameter

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def allows(filters: dict[str, list[str]], *, age: timedelta, labels: str = "") -> bool:
    given = dict(label.partition("=")[::2] for label in labels.split())
    return PruneFilters(filters, NOW).allow(given, NOW - age)


@pytest.mark.parametrize(
    "until",
    ["1h", "59m60s", "3600s", "0.5h30m", "2026-11-24T11:00:00Z", "1795518000", "1795518000.0"],
)
def test_what_is_younger_than_until_stays(until: str) -> None:
    assert not allows({"until": [until]}, age=timedelta(minutes=59))
    assert allows({"until": [until]}, age=timedelta(minutes=61))


def test_a_negative_duration_lies_ahead() -> None:
    assert allows({"until": ["-1h"]}, age=timedelta(minutes=-59))


def test_a_number_is_a_time_and_no_duration() -> None:
    assert not allows({"until": ["1"]}, age=timedelta(days=10_000))


@pytest.mark.parametrize(
    "until",
    [
        "x",
        "",
        "1d",
        "h",
        "2026-13-01",
        "0001-01-01T00:00:00+23:59",  # before the calendar begins
        "9999-12-31T23:59:59-23:59",
        "1" * 400 + "h",
        "1h" + "1" * 50_000,  # to look for durations in it takes the square of its length
        "9" * 50_000 + ".",
    ],
)
def test_what_is_neither_time_nor_duration_is_refused(until: str) -> None:
    with pytest.raises(EngineError) as refused:
        PruneFilters({"until": [until]}, NOW)
    assert str(refused.value) == f'failed to parse value as time or duration: "{until}"'
    assert refused.value.status == 500


def test_until_is_given_once() -> None:
    with pytest.raises(EngineError, match="more than one until filter specified"):
        PruneFilters({"until": ["1h", "2h"]}, NOW)


def test_labels_choose_and_spare() -> None:
    old = timedelta(days=1)
    assert allows({"label": ["a"]}, age=old, labels="a=b")
    assert allows({"label": ["a=b"]}, age=old, labels="a=b")
    assert not allows({"label": ["a=c"]}, age=old, labels="a=b")
    assert not allows({"label!": ["a"]}, age=old, labels="a=b")
    assert allows({"label!": ["a"]}, age=old, labels="c=d")


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="Invalid filter 'name'"):
        PruneFilters({"name": ["x"]}, NOW)
