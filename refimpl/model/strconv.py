"""Go's conversions of text: booleans, integers and quoted strings, with Go's own error texts.

Mirrors: Go strconv (as in Go 1.19, which Docker 20.10 is built with).
"""

from __future__ import annotations

import re

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64_DIGITS_MAX = 19
_ESCAPES = {
    0x07: r"\a",
    0x08: r"\b",
    0x09: r"\t",
    0x0A: r"\n",
    0x0B: r"\v",
    0x0C: r"\f",
    0x0D: r"\r",
    0x22: '\\"',
    0x5C: "\\\\",
}


def parse_bool(text: str) -> bool:
    """Return a boolean as strconv.ParseBool does.

    Raises:
        ValueError: `strconv.ParseBool: parsing "x": invalid syntax`.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int(text: str, function: str = "Atoi") -> int:
    """Return an integer of 64 bits as strconv.Atoi, or another `function` of strconv, does.

    Raises:
        ValueError: `strconv.Atoi: parsing "x": invalid syntax`, or `value out of range`.
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    # the length first: Python refuses to convert thousands of digits
    digits = text.lstrip("+-").lstrip("0") or "0"
    value = int(digits) if len(digits) <= _INT64_DIGITS_MAX else 1 << 64
    value = -value if text.startswith("-") else value
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return value


def quote(text: str) -> str:
    """Return a string as strconv.Quote does: in double quotes, control characters escaped."""
    escaped = []
    for char in text:
        code = ord(char)
        if code in _ESCAPES:
            escaped.append(_ESCAPES[code])
        elif code < 0x20 or code == 0x7F:
            escaped.append(f"\\x{code:02x}")
        elif not char.isprintable():
            escaped.append(f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}")
        else:
            escaped.append(char)
    return '"' + "".join(escaped) + '"'
