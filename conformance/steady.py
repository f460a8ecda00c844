"""Takes out of a cell's text what is another one in each run although the engine did the same."""

import re
from collections.abc import Mapping
from typing import Any

_TEXTS = ("reason", "expected", "actual")
_PARTS = re.compile(
    r"(?P<name>\bnetinit-[0-9a-f]{6}(?:-\d+)?\b)"
    r"|(?P<id>\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b)"
    # 02:42 is no dice: Docker makes it of the IPv4 address
    r"|(?P<mac>\b(?!02:42:)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b)"
)
_SHORT_ID_CHARS = 12


def steady_text(text: str) -> str:
    """Give one text in which ids, names of the run and random addresses are numbered instead."""
    return str(steady({"reason": text})["reason"])


def steady(result: Mapping[str, Any]) -> dict[str, Any]:
    """Give a result in which ids, names of the run and random addresses are numbered instead.

    The same thing has the same number in all texts of the cell, so that who compares Expected
    with Actual still sees whether they meant one container or two.
    """
    numbers: dict[str, dict[str, int]] = {"name": {}, "id": {}, "mac": {}}

    def number(match: re.Match[str]) -> str:
        kind = match.lastgroup or ""
        seen = numbers[kind]
        thing = match[0][:_SHORT_ID_CHARS] if kind == "id" else match[0]
        place = f"{kind}-{seen.setdefault(thing, len(seen) + 1)}"
        is_short = kind == "id" and len(match[0]) == _SHORT_ID_CHARS
        return f"<short {place}>" if is_short else f"<{place}>"

    texts = {key: _PARTS.sub(number, result[key]) for key in _TEXTS if result.get(key)}
    return {**result, **texts}
