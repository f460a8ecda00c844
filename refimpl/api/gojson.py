"""JSON as Go's decoder reads it: the first value of a body, and Go's own words for what is wrong.

Docker's clients show the text of a decoding error as it is, so it has to be Go's. Python's parser
reads well-formed documents; only a document that it refuses is scanned again, byte by byte, for
the place and the words, and only a small one.

Python's parser holds the interpreter, and with it every thread, from the first byte to the last.
How long that is depends on the number of values more than on the number of bytes, so both have a
limit, which is checked before.

Mirrors: Go encoding/json scanner.go (its error texts are unchanged from Go 1.8 to 1.19).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from refimpl.limits import JSON_DEPTH_MAX, JSON_EXACT_ERROR_BYTES_MAX, JSON_MEMBERS_MAX

_WHITESPACE = b" \t\r\n"
_ESCAPES = {
    0x07: r"\a",
    0x08: r"\b",
    0x09: r"\t",
    0x0A: r"\n",
    0x0B: r"\v",
    0x0C: r"\f",
    0x0D: r"\r",
    0x27: r"\'",
    0x5C: "\\\\",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_NESTING = frozenset({list, dict})
_END = -1
_INTEGER_CHARACTERS_MAX = 20
_TOO_DEEP = "exceeded max depth"


class GoJSONError(ValueError):
    """A document that Go's decoder refuses; the text is Go's."""


class Number(float):
    """A number that is no integer of Go's. It is shown as it came: in errors of Go's decoder."""

    __slots__ = ("text",)
    text: str

    def __str__(self) -> str:
        """Return the text of the document."""
        return self.text


def decode(raw: bytes, *, whole: bool = False) -> Any:
    """Return the first JSON value of `raw`; what follows it is ignored, as json.Decoder does.

    With `whole` the value must be alone, as json.Unmarshal demands.

    Raises:
        GoJSONError: `EOF` for an empty document, `unexpected EOF` for a truncated one (with
            `whole`: `unexpected end of JSON input`), `invalid character ...` for the rest; a
            document with too many members, or nested too deep.
    """
    openers = raw.count(b"[") + raw.count(b"{")
    if openers + raw.count(b",") > JSON_MEMBERS_MAX:
        raise GoJSONError(f"json: more than {JSON_MEMBERS_MAX} members")
    text = raw.decode("utf-8", "replace").lstrip(" \t\r\n")
    try:
        value, end = _DECODER.raw_decode(text)
    except GoJSONError:
        raise
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        _refuse(raw, error, whole=whole)
    if openers > JSON_DEPTH_MAX and _depth(value) > JSON_DEPTH_MAX:
        raise _too_deep()
    if whole and text[end:].strip(" \t\r\n"):
        _refuse(raw, ValueError("a second value follows the first"), whole=True)
    if isinstance(value, int | float) and len(raw) <= JSON_EXACT_ERROR_BYTES_MAX:
        _Scanner(raw, whole=whole).value()  # `1.x`: Python stops before the dot, Go does not
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def kind(value: Any) -> str:
    """Return Go's word for the kind of a decoded value: object, array, string, number, bool."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    return "bool" if isinstance(value, bool) else "number"


def cannot_unmarshal(value: Any, go_type: str) -> GoJSONError:
    """Return Go's error for a document that is not of the wanted type at its top."""
    return GoJSONError(f"json: cannot unmarshal {kind(value)} into Go value of type {go_type}")


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")  # Python's parser takes NaN, Go's does not


def _integer(text: str) -> int | Number:
    # to convert thousands of digits takes the square of their number; Go's integers have 20
    return int(text) if len(text) <= _INTEGER_CHARACTERS_MAX else _number(text)


def _number(text: str) -> Number:
    number = Number(text)
    if math.isinf(number):
        shown = text if len(text) <= 64 else f"{text[:64]}..."
        raise GoJSONError(f"json: cannot unmarshal number {shown} into Go value of type float64")
    number.text = text
    return number


_DECODER = json.JSONDecoder(parse_constant=_not_a_number, parse_float=_number, parse_int=_integer)


def _depth(value: Any) -> int:
    """Return how deep arrays and objects nest, counted up to just beyond the limit."""
    level = [value] if type(value) in _NESTING else []
    depth = 0
    while level and depth <= JSON_DEPTH_MAX:
        depth += 1
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) in _NESTING
        ]
    return depth


def _without_surrogates(value: Any) -> Any:
    """Replace what is no character (half of a pair) by U+FFFD, as Go does."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return value


def _too_deep() -> GoJSONError:
    return GoJSONError(f"invalid character '[' {_TOO_DEEP}")


def _refuse(raw: bytes, error: ValueError, *, whole: bool) -> NoReturn:
    if len(raw) <= JSON_EXACT_ERROR_BYTES_MAX:
        scanner = _Scanner(raw, whole=whole)
        scanner.value()
        if whole:
            scanner.end()
    # too large to scan
    raise GoJSONError(f"invalid JSON: {error}")


class _Scanner:
    """Walks one document and raises at the byte at which Go would."""

    def __init__(self, raw: bytes, *, whole: bool) -> None:
        self._raw = raw
        self._at = 0
        self._eof = "unexpected end of JSON input" if whole else "unexpected EOF"
        self._whole = whole

    def value(self) -> None:
        """Scan one value. Iterative, because a document may nest deeper than Python's stack."""
        if self._peek_after_space() == _END and not self._whole:
            raise GoJSONError("EOF")
        closers: list[int] = []
        while True:
            opener = self._scalar_or_open(closers)
            if opener and self._opened(closers):
                continue
            if not self._closed(closers):
                return

    def end(self) -> None:
        """Demand that nothing but white space follows."""
        if self._peek_after_space() != _END:
            self._invalid("after top-level value")

    def _scalar_or_open(self, closers: list[int]) -> bool:
        """Scan a scalar, or push the closer of the array or object that begins here."""
        char = self._next_after_space()
        if char in b"[{":
            closers.append(0x5D if char == 0x5B else 0x7D)
            if len(closers) > JSON_DEPTH_MAX:
                self._invalid(_TOO_DEEP, back=1)
            return True
        if char == 0x22:
            self._string()
        elif char in b"-0123456789":
            self._number(char)
        elif char in b"tfn":
            self._literal({0x74: b"true", 0x66: b"false", 0x6E: b"null"}[char])
        else:
            self._invalid("looking for beginning of value", back=1)
        return False

    def _opened(self, closers: list[int]) -> bool:
        """After an opener: True when a value follows, False when it was closed at once."""
        if self._peek_after_space() == closers[-1]:
            return False
        if closers[-1] == 0x7D:
            self._key()
        return True

    def _closed(self, closers: list[int]) -> bool:
        """After a value: close what ends here; True when a further value follows."""
        while closers:
            char = self._next_after_space()
            if char == closers[-1]:
                closers.pop()
                continue
            if char != 0x2C:
                in_object = closers[-1] == 0x7D
                where = "after object key:value pair" if in_object else "after array element"
                self._invalid(where, back=1)
            if closers[-1] == 0x7D:
                self._key()
            return True
        return False

    def _key(self) -> None:
        if self._next_after_space() != 0x22:
            self._invalid("looking for beginning of object key string", back=1)
        self._string()
        if self._next_after_space() != 0x3A:
            self._invalid("after object key", back=1)

    def _string(self) -> None:
        while (char := self._next()) != 0x22:
            if char < 0x20:
                self._invalid("in string literal", back=1)
            if char == 0x5C:
                self._escape()

    def _escape(self) -> None:
        char = self._next()
        if char == 0x75:
            for _ in range(4):
                if self._next() not in b"0123456789abcdefABCDEF":
                    self._invalid("in \\u hexadecimal character escape", back=1)
        elif char not in b'bfnrt\\/"':
            self._invalid("in string escape code", back=1)

    def _number(self, first: int) -> None:
        if first == 0x2D:
            first = self._next()
            if first not in b"0123456789":
                self._invalid("in numeric literal", back=1)
        if first != 0x30:
            self._digits()
        if self._peek() == 0x2E:
            self._at += 1
            if self._next() not in b"0123456789":
                self._invalid("after decimal point in numeric literal", back=1)
            self._digits()
        if (mark := self._peek()) and mark in b"eE":
            self._at += 1
            if (sign := self._peek()) and sign in b"+-":
                self._at += 1
            if self._next() not in b"0123456789":
                self._invalid("in exponent of numeric literal", back=1)
            self._digits()

    def _digits(self) -> None:
        while (char := self._peek()) and char in b"0123456789":
            self._at += 1

    def _literal(self, word: bytes) -> None:
        for wanted in word[1:]:
            if self._next() != wanted:
                where = f"in literal {word.decode()} (expecting '{chr(wanted)}')"
                self._invalid(where, back=1)

    def _peek(self) -> int:
        """Return the byte here, 0 at the end: neither is a digit."""
        return self._raw[self._at] if self._at < len(self._raw) else 0

    def _peek_after_space(self) -> int:
        while self._at < len(self._raw) and self._raw[self._at] in _WHITESPACE:
            self._at += 1
        return self._raw[self._at] if self._at < len(self._raw) else _END

    def _next(self) -> int:
        if self._at >= len(self._raw):
            raise GoJSONError(self._eof)
        self._at += 1
        return self._raw[self._at - 1]

    def _next_after_space(self) -> int:
        self._peek_after_space()
        return self._next()

    def _invalid(self, where: str, *, back: int = 0) -> NoReturn:
        char = quote_char(self._raw[self._at - back])
        raise GoJSONError(f"invalid character {char} {where}")


def quote_char(byte: int) -> str:
    r"""Return a byte as Go's scanner shows it: `'x'`, `'\n'`, `'\x00'`, `'Ã'`."""
    if byte in _ESCAPES:
        return f"'{_ESCAPES[byte]}'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    if 0x80 <= byte <= 0xA0 or byte == 0xAD:
        return f"'\\u{byte:04x}'"
    return f"'{chr(byte)}'"
