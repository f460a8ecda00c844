"""Points in time as Go writes them."""

from __future__ import annotations

from datetime import UTC, datetime

ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
"""Go's zero time: it never happened."""


def format_time(moment: datetime) -> str:
    """Write a time as Go's RFC3339Nano: no trailing zeros in the fraction, `Z` for UTC."""
    whole = f"{moment:%Y-%m-%dT%H:%M:%S}" if moment.year >= 1000 else "0001-01-01T00:00:00"
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote.

    Raises:
        ValueError: the text is no time, or has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text}: a time without a zone")
    return moment
