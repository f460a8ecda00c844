"""One request, read as moby's handlers read it: path, version, and Go's conversions of the query.

Mirrors: moby api/server/httputils/{form,httputils}.go, api/types/filters/parse.go (v20.10).
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

from refimpl.api import gojson
from refimpl.errors import EngineError, InvalidParameter
from refimpl.limits import (
    API_PARAMETERS_MAX,
    FILTERS_BYTES_MAX,
    JSON_BYTES_MAX,
    STOP_TIMEOUT_S_MAX,
)
from refimpl.model.strconv import parse_bool, parse_int

_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2}).{0,2}")
_PARAMETER = re.compile(r"\s*[^\s=;]+\s*=\s*(\"[^\"]*\"|[^\s;\"]+)\s*\Z")
_WHOLE_VALUE_TRIES = 8
_WHOLE_VALUE_BYTES = 4096
_READ_BYTES = 64 << 10

Status = Callable[[str], EngineError]
"""An error class: which status a decoding error has differs from endpoint to endpoint."""


class BodyError(EngineError):
    """A body that broke off or is badly framed; the text is Go's."""


class BodyTooLarge(EngineError):
    """A JSON body beyond `JSON_BYTES_MAX`."""

    status = 413


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, its body not yet read.

    Attributes:
        path: decoded, without the version prefix.
        version: the API version that the prefix names, "" without a prefix.
        headers: by lower-case name; of repeated ones the first.
        body: the body as a stream, whose reads raise `BodyError`.
        moved: the target with a clean path, where it came with another one; "" as a rule.
        query_error: why the query is malformed, in Go's words; "" as a rule.
    """

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: io.BufferedReader
    version: str = ""
    moved: str = ""
    query_error: str = ""

    # ------------------------------------------------------------------------------- the query

    def check_query(self) -> None:
        """Refuse a malformed query, as httputils.ParseForm does.

        Raises:
            InvalidParameter: an escape is broken, or there is a semicolon.
        """
        if self.query_error:
            raise InvalidParameter(self.query_error)

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as it came; of a repeated one the first."""
        return self.query.get(name, [default])[0]

    def texts(self, name: str) -> list[str]:
        """Return every value of a parameter that may be repeated."""
        return self.query.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a parameter as httputils.BoolValue does: anything but a few words is true."""
        if name not in self.query:
            return default
        return self.text(name).strip().lower() not in {"", "0", "no", "false", "none"}

    def integer(self, name: str, error: Status = EngineError) -> int:
        """Return a parameter as strconv.Atoi does.

        Raises:
            EngineError: of the class `error`, `strconv.Atoi: parsing "x": invalid syntax` or
                `value out of range`.
        """
        try:
            return parse_int(self.text(name))
        except ValueError as exc:
            raise error(str(exc)) from None

    def integer_or_none(self, name: str, error: Status = EngineError) -> int | None:
        """Return a parameter as `integer` does, None when it is absent or empty."""
        return self.integer(name, error) if self.text(name) else None

    def timeout_s(self, name: str) -> int | None:
        """Return a time to wait, None when it is absent; a negative one is for ever."""
        value = self.integer_or_none(name)
        return None if value is None else max(-1, min(value, STOP_TIMEOUT_S_MAX))

    def terminal_size(self) -> tuple[int, int]:
        """Return the rows and columns `h` and `w`, of 16 bits each, as the kernel takes them.

        Raises:
            InvalidParameter: one of them is no number.
        """
        rows, columns = (self.integer(name, InvalidParameter) for name in ("h", "w"))
        return rows & 0xFFFF, columns & 0xFFFF

    def strict_flag(self, name: str) -> bool:
        """Return a parameter as strconv.ParseBool does, False when it is absent or empty."""
        text = self.text(name)
        try:
            return bool(text) and parse_bool(text)
        except ValueError as exc:
            raise InvalidParameter(f"invalid value for {name}: {text}: {exc}") from None

    def filters(self, error: Status = EngineError) -> dict[str, list[str]]:
        """Return the `filters` parameter, in either of its encodings, as name to values.

        Raises:
            EngineError: of the class `error`, with the text of Go's decoder for a map of maps.
            InvalidParameter: longer than `FILTERS_BYTES_MAX`.
        """
        raw = self.text("filters").encode("utf-8", "replace")
        if not raw:
            return {}
        if len(raw) > FILTERS_BYTES_MAX:
            raise InvalidParameter(f"filters are longer than {FILTERS_BYTES_MAX} bytes")
        try:
            return _filters(gojson.decode(raw, whole=True))
        except gojson.GoJSONError as exc:
            raise error(str(exc)) from None

    # -------------------------------------------------------------------------------- the body

    @property
    def content_length(self) -> int:
        """The declared length of the body in bytes, -1 when it comes in chunks."""
        if "transfer-encoding" in self.headers:
            return -1
        return int(self.headers.get("content-length", "0"))

    def json_object(
        self, go_type: str, *, error: Status = InvalidParameter, empty: str | None = None
    ) -> dict[str, Any]:
        """Read the body as one JSON object; `null` is an empty one.

        Args:
            go_type: moby's name of the type, for the error text.
            error: the class of decoding errors; a wrong content type is always a 400.
            empty: the text for an absent body; None leaves Go's `EOF`.
        """
        self.check_content_type()
        try:
            value = gojson.decode(self._read_json())
            if value is None:
                return {}
            if isinstance(value, dict):
                return value
            raise gojson.cannot_unmarshal(value, go_type)
        except (gojson.GoJSONError, BodyError) as exc:
            text = str(exc)
            raise error(empty if text == "EOF" and empty is not None else text) from None

    def check_content_type(self) -> None:
        """Refuse a body that does not say it is JSON, as httputils.CheckForJSON does."""
        content_type = self.headers.get("content-type", "")
        if not content_type and self.content_length == 0:
            return
        media_type, *parameters = content_type.split(";")
        while parameters and not parameters[-1].strip():
            parameters.pop()  # one trailing semicolon is fine; two are an empty parameter
            break
        if media_type.strip().lower() != "application/json" or not all(
            map(_PARAMETER.match, parameters)
        ):
            raise InvalidParameter(
                f"Content-Type specified ({content_type}) must be 'application/json'"
            )

    def _read_json(self) -> bytes:
        """Read the body, or of a body in chunks what is one value: some clients do not end it."""
        if self.content_length > JSON_BYTES_MAX:
            raise _too_large()
        raw = bytearray()
        tries = _WHOLE_VALUE_TRIES if self.content_length < 0 else 0
        while piece := self.body.read1(_READ_BYTES):
            raw += piece
            if len(raw) > JSON_BYTES_MAX:
                raise _too_large()
            if tries and len(raw) <= _WHOLE_VALUE_BYTES and raw.rstrip().endswith(b"}"):
                tries -= 1
                with contextlib.suppress(gojson.GoJSONError):
                    gojson.decode(bytes(raw))
                    break
        return bytes(raw)


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"http: request body too large: more than {JSON_BYTES_MAX} bytes")


@dataclass(frozen=True, slots=True)
class Target:
    """A request line's target, taken apart.

    Attributes:
        query: the parameters that are well-formed.
        query_error: what is wrong with the others, in Go's words; "" as a rule.
    """

    path: str
    query: dict[str, list[str]]
    query_error: str


def parse_target(target: str) -> Target:
    """Split a target into its decoded path and its query.

    Raises:
        ValueError: a target that is no path.
        InvalidParameter: too many parameters.
    """
    if target.startswith(("http://", "https://")):
        target = "/" + target.split("/", 3)[3] if target.count("/") > 2 else "/"
    path, _, query = target.partition("?")
    if not path.startswith("/") or _BAD_ESCAPE.search(path):
        raise ValueError(f"no path: {target!r}")
    if query.count("&") >= API_PARAMETERS_MAX:
        raise InvalidParameter(f"more than {API_PARAMETERS_MAX} parameters in the query")
    return Target(unquote(path, errors="replace"), *_parse_query(query))


def _parse_query(query: str) -> tuple[dict[str, list[str]], str]:
    """Return the well-formed parameters, and what is wrong with the others (Go: url.ParseQuery).

    Of several faults a semicolon is told before a broken escape, and the first escape of all.
    """
    values: dict[str, list[str]] = {}
    error = ""
    for parameter in filter(None, query.split("&")):
        name, _, value = parameter.partition("=")
        if ";" in parameter:
            error = "invalid semicolon separator in query"
        elif bad := _BAD_ESCAPE.search(name) or _BAD_ESCAPE.search(value):
            error = error or f'invalid URL escape "{bad.group()}"'
        else:
            name, value = (unquote_plus(text, errors="replace") for text in (name, value))
            values.setdefault(name, []).append(value)
    return values, error


def moved_target(target: str, path: str) -> str:
    """Return where a client is sent that asks for `//` or `/../`; "" for a clean path.

    Mirrors: cleanPath of the router that moby uses (v20.10).
    """
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/") and clean != "/":
        clean += "/"
    _, mark, query = target.partition("?")
    return "" if clean == path else f"{quote(clean)}{mark}{query}"


def _filters(value: Any) -> dict[str, list[str]]:
    """Return decoded filters, `{name: {value: true}}` or the old `{name: [value]}`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise gojson.cannot_unmarshal(value, "map[string]map[string]bool")
    if value and all(_is_old_filter(values) for values in value.values()):
        # null is Go's empty string, and the values are a set
        return {
            name: list(dict.fromkeys(item or "" for item in values or ()))
            for name, values in value.items()
        }
    for values in value.values():
        if values is not None and not isinstance(values, dict):
            raise gojson.cannot_unmarshal(values, "map[string]bool")
        for flag in (values or {}).values():
            if flag is not None and not isinstance(flag, bool):
                raise gojson.cannot_unmarshal(flag, "bool")
    return {name: list(values or ()) for name, values in value.items()}


def _is_old_filter(values: Any) -> bool:
    if values is None:
        return True
    return isinstance(values, list) and all(
        item is None or isinstance(item, str) for item in values
    )
