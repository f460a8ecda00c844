"""Documents of an engine, made comparable: what changes from run to run gets a name.

An id becomes a symbol (`<container a>`, `<EndpointID#2>`), the same one wherever it appears, also
inside a text and cut to twelve characters; so whether two fields hold the same id is compared
still. Times, process ids and the engine's own folders are masked. All else
stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

ZERO_TIME = "0001-01-01T00:00:00Z"

_LONG_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_SHORT_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
_AGE = re.compile(
    r"\b(?:Less than a second|1 second|\d+ seconds|About a minute|\d+ minutes)\b(?: ago)?"
)
_PART = re.compile(r"\{(?P<symbol>[^{}:]+):(?P<length>\d+)\}")
_LINK = re.compile(r"(?<=\bveth)[0-9a-f]{7}\b|(?<=Ifindex: )\d+")
_ZERO_IS_A_FACT = {"Pid": "<pid>", "Created": "<time>"}
"""Numbers that are volatile unless they are 0, by the names of their fields."""
_UNORDERED = {"Links", "NetworksDeleted", "Ports"}
"""Lists that Docker makes of a map, in no order."""
_UNORDERED_TEXT = re.compile(r"(?<=cannot be connected to network endpoints: )\S+(?:, \S+)+")
"""The same inside a text: the names that Docker's refusal of several networks ends with."""


class Symbols:
    """The names of one engine's ids; one object per engine and scenario."""

    def __init__(self, words: Mapping[str, str] | None = None) -> None:
        """Begin with no id known.

        Args:
            words: what to write for the engine's own folders and whatever else is its own.
        """
        self._symbols: dict[str, str] = {}
        self._shorts: dict[str, str] = {}
        self._taken: set[str] = set()
        self._words = sorted((words or {}).items(), key=lambda pair: -len(pair[0]))

    def learn(self, identifier: str, symbol: str) -> str:
        """Name an id, once; the second id that is given a name is called `name#2`."""
        identifier = identifier.removeprefix("sha256:")
        if identifier not in self._symbols:
            candidate, number = symbol, 1
            while candidate in self._taken:
                number += 1
                candidate = f"{symbol}#{number}"
            self._taken.add(candidate)
            self._symbols[identifier] = candidate
            self._shorts[identifier[:12]] = candidate
        return self._symbols[identifier]

    def comparable(self, document: Any, field: str = "") -> Any:
        """Give a document with symbols and masks in the place of what is volatile.

        Args:
            document: any JSON value.
            field: the name of the field it stands in; a new id is named after it.
        """
        if isinstance(document, dict):
            # sorted, so that both engines' new ids are met in the same order
            return {
                self.text(key, field): self.comparable(document[key], key)
                for key in sorted(document)
            }
        if isinstance(document, list):
            entries = [self.comparable(entry, field) for entry in document]
            return sorted(entries, key=repr) if field in _UNORDERED else entries
        if isinstance(document, str):
            return self.text(document, field)
        if document and field in _ZERO_IS_A_FACT and not isinstance(document, bool):
            return _ZERO_IS_A_FACT[field]
        return document

    def text(self, text: str, field: str = "id") -> str:
        """Give a text with symbols and masks in the place of what is volatile."""
        for word, symbol in self._words:
            text = text.replace(word, symbol)
        text = _LONG_ID.sub(lambda found: f"<{self.learn(found[0], field)}>", text)
        text = _SHORT_ID.sub(self._short, text)
        text = _TIME.sub(lambda found: found[0] if found[0] == ZERO_TIME else "<time>", text)
        text = _LINK.sub("<link>", text)
        text = _UNORDERED_TEXT.sub(lambda found: ", ".join(sorted(found[0].split(", "))), text)
        if field == "Status":
            text = _AGE.sub("<age>", text)
        return text

    def filled(self, text: str) -> str:
        """Put an id's beginning in the place of `{container ct1:12}`: the way back."""
        ids = {symbol: identifier for identifier, symbol in self._symbols.items()}
        return _PART.sub(lambda part: ids[part["symbol"]][: int(part["length"])], text)

    def shared_beginning(self, kind: str) -> str:
        """Give the digit with which most ids of a kind begin, the first of several such."""
        firsts = [i[0] for i, symbol in self._symbols.items() if symbol.startswith(f"{kind} ")]
        return max(sorted(set(firsts)), key=firsts.count)

    def _short(self, found: re.Match[str]) -> str:
        symbol = self._shorts.get(found[0])
        return f"<short {symbol}>" if symbol else found[0]
