"""The filters of a prune: labels, and how old what goes must be at least.

Mirrors: moby daemon/images/image_prune.go getUntilFromPruneFilters, matchLabels and
api/types/time/timestamp.go GetTimestamp (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from refimpl.daemon.backend import Filters
from refimpl.daemon.filters import verify_filters
from refimpl.errors import EngineError
from refimpl.model.patterns import has_labels

_KNOWN = frozenset({"label", "label!", "until"})
_TIME_CHARACTERS_MAX = 64
"""Nothing longer is a time; and to look for durations in it takes the square of its length."""
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SECONDS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_STAMP = re.compile(r"\d{1,11}(\.\d+)?", re.ASCII)


class PruneFilters:
    """What a prune may take away."""

    def __init__(self, filters: Filters, now: datetime) -> None:
        """Read the filters.

        Raises:
            InvalidParameter: a filter that is not known.
            EngineError: `until` is given twice, or is no time; a 500, as in v20.10.
        """
        verify_filters(filters, _KNOWN)
        self._labels = filters.get("label", ())
        self._no_labels = filters.get("label!", ())
        self._until = _until(filters.get("until", ()), now)

    def allow(self, labels: Mapping[str, str], created: datetime) -> bool:
        """Tell whether something with these labels, made then, may go."""
        if self._until is not None and created > self._until:
            return False
        if self._no_labels and has_labels(labels, self._no_labels):
            return False
        return has_labels(labels, self._labels)


def _until(texts: Sequence[str], now: datetime) -> datetime | None:
    if len(texts) > 1:
        raise EngineError("more than one until filter specified")
    if not texts:
        return None
    text = texts[0]
    moment = None
    if len(text) <= _TIME_CHARACTERS_MAX:
        moment = _before(text, now) or _seconds(text) or _date(text)
    if moment is None:
        raise EngineError(f'failed to parse value as time or duration: "{text}"')
    return moment


def _before(text: str, now: datetime) -> datetime | None:
    """Read a duration as time.ParseDuration does, and return the moment that long ago."""
    unsigned = text.lstrip("+-") if text[:1] in {"+", "-"} else text
    if not _PART.match(unsigned) or _PART.sub("", unsigned):
        return None
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(unsigned))
    try:
        return now - timedelta(seconds=-seconds if text.startswith("-") else seconds)
    except OverflowError:
        return None


def _seconds(text: str) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if _STAMP.fullmatch(text) else None


def _date(text: str) -> datetime | None:
    if "-" not in text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
