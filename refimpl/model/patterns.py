"""The regular expressions that clients send, as values of filters: the one place that runs them.

They run in RE2, which needs time in proportion to the text whatever the pattern is, and whose
syntax is that of Go's regexp. Python's `re` backtracks: a pattern of 16 characters can hold the
interpreter, and with it every thread, for minutes.

Mirrors: moby api/types/filters/parse.go Match, MatchKVList (v20.10).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import re2

from refimpl.errors import InvalidParameter
from refimpl.limits import PATTERN_BYTES_MAX, PATTERN_MEMORY_BYTES_MAX

_WORD = re.compile(r"[\w/-]*", re.ASCII)
"""A pattern without any special character: it is searched for as it is."""


class Patterns:
    """The patterns of one filter, compiled once."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile them. What is no pattern matches only the text that is the same (v20.10).

        Raises:
            InvalidParameter: more than `PATTERN_BYTES_MAX` bytes of patterns.
        """
        self._texts = frozenset(patterns)
        self._words = tuple(one for one in patterns if _WORD.fullmatch(one))
        encoded = [one.encode("utf-8", "replace") for one in patterns if not _WORD.fullmatch(one)]
        if sum(map(len, encoded)) > PATTERN_BYTES_MAX:
            raise InvalidParameter(
                f"the patterns of a filter are longer than {PATTERN_BYTES_MAX} bytes"
            )
        self._compiled = tuple(filter(None, map(_compile, encoded)))
        re2.purge()  # it would keep the last 128 patterns of any client, and their memory

    def match(self, text: str) -> bool:
        """Tell whether a text is one of the patterns, or one is found in it (Args.Match)."""
        if text in self._texts or any(word in text for word in self._words):
            return True
        if not self._compiled:
            return False
        encoded = text.encode("utf-8", "replace")
        return any(one.search(encoded) for one in self._compiled)


def _compile(pattern: bytes) -> re2._Regexp[bytes] | None:
    options = re2.Options()
    options.max_mem = PATTERN_MEMORY_BYTES_MAX
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error:
        return None


def has_labels(labels: Mapping[str, str], wanted: Sequence[str]) -> bool:
    """Tell whether every `key` or `key=value` is there (Args.MatchKVList)."""
    for text in wanted:
        key, separator, value = text.partition("=")
        if key not in labels or (separator and labels[key] != value):
            return False
    return True
