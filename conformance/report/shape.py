"""What a report may hold: every field that somebody reads, its type and its bounds.

A check takes a value and the place where it stands, and raises `ShapeError`. What a report has
beside the known fields is kept, as long as it can be written as JSON again.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from conformance.registry import Tier
from conformance.verdicts import Verdict

Check = Callable[[Any, str], None]

# Reports have eight levels: results, a result, its expectation, its values.
_DEPTH_MAX = 32
# A path, and a name that is one, has at most 4,096 bytes; a version has few.
_NAME_CHARS = 4_200
_VERSION_CHARS = 200
_NUMBER_MAX = 1e12
_KEY = re.compile(r"[\w.+-]{1,80}", re.ASCII)


class ShapeError(ValueError):
    """A field is not what it must be; the message names the field."""


def check_report(document: Mapping[str, Any]) -> None:
    """Make sure that every field of a report is what its readers take it for.

    Raises:
        ShapeError: naming the first field that is not, such as `engines[0].version`.
    """
    _check_depth(document)
    _REPORT(document, "")
    _check_cells(document)


def _check_depth(document: Mapping[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(_DEPTH_MAX):
        lists = (one.values() if isinstance(one, dict) else one for one in level)
        level = [value for some in lists for value in some if isinstance(value, dict | list)]
        if not level:
            return
    raise ShapeError(f"it has more than {_DEPTH_MAX} levels")


def _check_cells(document: Mapping[str, Any]) -> None:
    """Make sure that the row and the engine of each result are there."""
    rows = {row["id"] for row in document["behaviours"]}
    engines = {engine["name"] for engine in document["engines"]}
    for result in document["results"]:
        row, name = result["behaviour"], result["engine"]
        if row not in rows:
            raise ShapeError(f"a result of the row {row!r}, which is not in `behaviours`")
        if name not in engines:
            raise ShapeError(f"a result of the engine {name!r}, which is not in `engines`")


def _text(value: Any, place: str) -> None:
    if not isinstance(value, str):
        raise ShapeError(f"{place} is no text")
    try:
        value.encode()
    except UnicodeEncodeError as exc:  # half of a pair of UTF-16, which JSON can name
        raise ShapeError(f"{place} cannot be written as UTF-8") from exc


def _line(chars_max: int) -> Check:
    """Check for a text that is printed as it is."""

    def check(value: Any, place: str) -> None:
        _text(value, place)
        if len(value) > chars_max:
            raise ShapeError(f"{place} has more than {chars_max:,} characters")
        if not value.isprintable():
            raise ShapeError(f"{place} has characters that cannot be printed")

    return check


def _number(value: Any, place: str) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= _NUMBER_MAX):
        raise ShapeError(f"{place} is no number from 0 to {_NUMBER_MAX:g}")


def _any(value: Any, place: str) -> None:
    """Check what nobody reads: it must only be such that it can be written again."""
    if isinstance(value, str):
        _text(value, place)
    elif isinstance(value, list):
        _list_of(_any)(value, place)
    elif isinstance(value, dict):
        _map_of(_any)(value, place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ShapeError(f"{place} is no number")


def _list_of(check: Check) -> Check:
    def check_list(value: Any, place: str) -> None:
        if not isinstance(value, list):
            raise ShapeError(f"{place} is no list")
        for index, entry in enumerate(value):
            check(entry, f"{place}[{index}]")

    return check_list


def _map_of(check: Check) -> Check:
    return _object({}, {}, check)


def _object(must: Mapping[str, Check], may: Mapping[str, Check], beside: Check = _any) -> Check:
    """Check for an object.

    Args:
        must: the fields that it must have.
        may: the fields that it may have.
        beside: for all others.
    """
    known = {**must, **may}

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise ShapeError(f"{place or 'it'} is no object")
        for key in must:
            if key not in value:
                raise ShapeError(f"{place or 'it'} has no `{key}`")
        for key, entry in value.items():
            name = key if _KEY.fullmatch(key) else ascii(key[:80])
            inner = f"{place}.{name}" if place else name
            _text(key, f"the name of {inner}")
            known.get(key, beside)(entry, inner)

    return check


def _one_of(values: type[Tier | Verdict], what: str) -> Check:
    known = set(values)

    def check(value: Any, place: str) -> None:
        _text(value, place)
        if value not in known:
            raise ShapeError(f"{place} is no {what}: {value[:80]!r}")

    return check


def _optional(check: Check) -> Check:
    def check_optional(value: Any, place: str) -> None:
        if value is not None:
            check(value, place)

    return check_optional


_NAME, _VERSION = _line(_NAME_CHARS), _line(_VERSION_CHARS)
_TEXTS, _NAMES = _list_of(_text), _list_of(_NAME)
_RUN = _object(
    {"started": _VERSION, "ended": _VERSION},
    {
        "version": _VERSION,
        "revision": _VERSION,
        "unfinished": _text,
        "python": _VERSION,
        "sdk": _map_of(_VERSION),
        "updates": _list_of(_map_of(_any)),
    },
)
_HOST = _map_of(_text)
_ENGINE = _object(
    {"name": _NAME, "spec": _NAME},
    {
        "family": _VERSION,
        "version": _VERSION,
        "promises": _VERSION,
        "newer_than_known": _VERSION,
        "api_min": _VERSION,
        "api_max": _VERSION,
        "origin": _text,
        "packages": _map_of(_text),
        "capabilities": _NAMES,
        "start_command": _TEXTS,
        "scores": _map_of(_map_of(_number)),
        "run": _RUN,
        "host": _HOST,
    },
)
_BEHAVIOUR = _object(
    {"id": _NAME},
    {
        "statement": _text,
        "level": _VERSION,
        "tier": _one_of(Tier, "tier"),
        "source": _text,
        "docker": _VERSION,
        "api": _VERSION,
        "needs": _NAMES,
        "bugs": _NAMES,
        "replaces": _NAMES,
    },
)
_EXPECTATION = _object(
    {},
    {
        "reason": _text,
        "link": _text,
        "evidence": _text,
        "since": _VERSION,
        "versions": _VERSION,
        "fails_at": _TEXTS,
        "values": _list_of(_any),
    },
)
_RESULT = _object(
    {"behaviour": _NAME, "engine": _NAME, "verdict": _one_of(Verdict, "verdict")},
    {
        "reason": _text,
        "expected": _text,
        "actual": _text,
        "log": _text,
        "value": _text,
        "duration_s": _number,
        "expectation": _optional(_EXPECTATION),
    },
)
_REPORT = _object(
    {
        "run": _RUN,
        "host": _HOST,
        "engines": _list_of(_ENGINE),
        "behaviours": _list_of(_BEHAVIOUR),
        "results": _list_of(_RESULT),
    },
    {},
)
