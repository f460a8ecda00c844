"""Go's JSON decoder, as far as the API's bodies need it: field tables, zero values, error texts.

A wire object is a dataclass whose fields are made by `wire(...)`, which records the name on the
wire and the Go type. `decode` builds such an object from decoded JSON the way encoding/json fills
a Go struct (names in any case, unknown names ignored, null is the zero value), and `encode` writes
it back with Go's zero values. What has the wrong type is refused with Go's own sentence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")
Document = dict[str, Any]


class WireError(ValueError):
    """A value that Go's decoder refuses; the text is the decoder's."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the decoder is: the Go struct and the path of field names from the body's root."""

    struct: str
    path: tuple[str, ...] = ()

    def refuse(self, found: str, go_type: str) -> WireError:
        """Build the error for a value of JSON type `found` where `go_type` is wanted."""
        if not self.path:
            return WireError(f"json: cannot unmarshal {found} into Go value of type {go_type}")
        return WireError(
            f"json: cannot unmarshal {found} into Go struct field "
            f"{self.struct}.{'.'.join(self.path)} of type {go_type}"
        )

    def field(self, struct: str, name: str) -> Place:
        """Step into a field of a struct."""
        return Place(struct, (*self.path, name))


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """A Go type: its name in errors, its zero value, and how it reads and writes JSON."""

    go_type: str
    zero: Callable[[], Any]
    decode: Callable[[Any, Place], Any]
    encode: Callable[[Any], Any] = _as_it_is
    is_pointer: bool = False
    """Whether only null is empty: a pointer to 0 or false is not."""


def json_type(value: Any) -> str:
    """Name a decoded JSON value as Go's decoder does."""
    names: dict[type, str] = {bool: "bool", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "number")


def named(kind: Kind, go_type: str) -> Kind:
    """Return a kind under the name that Go's errors give it."""

    def decode_named(value: Any, place: Place) -> Any:
        try:
            return kind.decode(value, place)
        except WireError:
            raise place.refuse(json_type(value), go_type) from None

    return Kind(go_type, kind.zero, decode_named, kind.encode)


def _scalar(go_type: str, python: type, zero: Any) -> Kind:
    def decode_scalar(value: Any, place: Place) -> Any:
        if value is None:
            return zero
        if type(value) is not python:
            raise place.refuse(json_type(value), go_type)
        return value

    return Kind(go_type, lambda: zero, decode_scalar)


def _integer(go_type: str, low: int, high: int) -> Kind:
    def decode_integer(value: Any, place: Place) -> Any:
        if value is None:
            return 0
        if isinstance(value, float) or (type(value) is int and not low <= value <= high):
            raise place.refuse(f"number {value}", go_type)
        if type(value) is not int:
            raise place.refuse(json_type(value), go_type)
        return value

    return Kind(go_type, lambda: 0, decode_integer)


STRING = _scalar("string", str, "")
BOOL = _scalar("bool", bool, False)
INT = _integer("int", -(2**63), 2**63 - 1)
INT64 = _integer("int64", -(2**63), 2**63 - 1)
DURATION = _integer("time.Duration", -(2**63), 2**63 - 1)
"""In nanoseconds."""
UINT = _integer("uint", 0, 2**64 - 1)
UINT16 = _integer("uint16", 0, 2**16 - 1)
UINT64 = _integer("uint64", 0, 2**64 - 1)
ANY = Kind("interface {}", lambda: None, lambda value, place: value)


def _decode_empty(value: Any, place: Place) -> Document:
    if value is not None and not isinstance(value, dict):
        raise place.refuse(json_type(value), "struct {}")
    return {}


EMPTY = Kind("struct {}", dict, _decode_empty)


def list_of(item: Kind) -> Kind:
    """Return the kind `[]item`, whose zero is null."""

    def decode_list(value: Any, place: Place) -> Any:
        if value is None:
            return None
        if not isinstance(value, list):
            raise place.refuse(json_type(value), f"[]{item.go_type}")
        return [item.decode(one, place) for one in value]

    def encode_list(value: Any) -> Any:
        return None if value is None else [item.encode(one) for one in value]

    return Kind(f"[]{item.go_type}", lambda: None, decode_list, encode_list)


def map_of(item: Kind, *, name: str = "") -> Kind:
    """Return the kind `map[string]item`, whose zero is null; `name` is Go's own type name."""
    go_type = name or f"map[string]{item.go_type}"

    def decode_map(value: Any, place: Place) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict):
            raise place.refuse(json_type(value), go_type)
        return {key: item.decode(one, place) for key, one in value.items()}

    def encode_map(value: Any) -> Any:
        return None if value is None else {key: item.encode(one) for key, one in value.items()}

    return Kind(go_type, lambda: None, decode_map, encode_map)


def pointer(item: Kind) -> Kind:
    """Return the kind `*item`: null when it is absent."""

    def decode_pointer(value: Any, place: Place) -> Any:
        return None if value is None else item.decode(value, place)

    def encode_pointer(value: Any) -> Any:
        return None if value is None else item.encode(value)

    return Kind(item.go_type, lambda: None, decode_pointer, encode_pointer, is_pointer=True)


def _decode_str_slice(value: Any, place: Place) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        return [value]
    # Go tries a list of strings and then a string, and tells of the second failure
    if not isinstance(value, list) or any(
        one is not None and not isinstance(one, str) for one in value
    ):
        raise place.refuse(json_type(value), "string")
    return [STRING.decode(one, place) for one in value]


STRINGS = list_of(STRING)
STRING_MAP = map_of(STRING)
STR_SLICE = Kind("strslice.StrSlice", lambda: None, _decode_str_slice)
"""A command: a list, or one string."""


def wire(name: str, kind: Kind, *, omitempty: bool = False) -> Any:
    """Declare a dataclass field as a field on the wire."""
    metadata = {"wire": name, "kind": kind, "omitempty": omitempty}
    return dataclasses.field(default_factory=kind.zero, metadata=metadata)


def struct(model: type[T], *, go_type: str) -> Kind:
    """Return the kind of a struct that `model`, a dataclass of `wire` fields, describes.

    `go_type` is Go's name with its package, as in `network.EndpointSettings`.
    """

    def decode_struct(value: Any, place: Place) -> T:
        if value is None:
            return model()
        if not isinstance(value, dict):
            raise place.refuse(json_type(value), go_type)
        return _fill(model, value, place, go_type.rpartition(".")[2])

    return Kind(go_type, model, decode_struct, encode)


def _fill(model: type[T], value: Mapping[str, Any], place: Place, struct_name: str) -> T:
    """Fill a model from an object; a name that is given twice counts as its last value."""
    by_name = _fields_of(model).by_name  # type: ignore[arg-type]  # a class is hashable
    arguments = {}
    for key, one in value.items():
        field = by_name.get(key) or by_name.get(key.lower())
        if field is not None and one is not None:
            name, attribute, kind = field
            arguments[attribute] = kind.decode(one, place.field(struct_name, name))
    return model(**arguments)


def decode(model: type[T], document: Any, *, go_type: str) -> T:
    """Build a model from a body; `go_type` is the Go type the handler decodes into.

    Raises:
        WireError: a value has the wrong type; the text is encoding/json's.
    """
    decoded: T = struct(model, go_type=go_type).decode(document, Place(""))
    return decoded


def encode(value: Any) -> Document:
    """Write a model as Go does: every field, but not an empty one marked `omitempty`."""
    fields = _fields_of(type(value))  # type: ignore[arg-type]  # a class is hashable
    document: Document = dict(zip(fields.names, fields.read(value), strict=True))
    for name in fields.omitempty:
        if not document[name]:
            del document[name]
    for name in fields.omit_null:
        if document[name] is None:
            del document[name]
    for name, encode_field in fields.encoders:
        one = document.get(name)
        if one is not None:
            document[name] = encode_field(one)
    return document


def have_same_fields(one: T, other: T) -> bool:
    """Tell whether two objects of one model would be written alike.

    Faster than a dataclass's own comparison, which reads one field after the other.
    """
    read = _fields_of(type(one)).read  # type: ignore[arg-type]  # a class is hashable
    return read(one) == read(other)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The wire fields of a model; to ask a dataclass for them takes longer than to write them."""

    names: tuple[str, ...]
    read: Callable[[Any], tuple[Any, ...]]
    omitempty: tuple[str, ...]
    omit_null: tuple[str, ...]
    """The pointers that are marked `omitempty`."""
    encoders: tuple[tuple[str, Callable[[Any], Any]], ...]
    """By name, for the fields that are not written as they are; none has null to write."""
    by_name: Mapping[str, tuple[str, str, Kind]]
    """By name as it is and in lower case: the name, the attribute and the kind."""


@cache
def _fields_of(model: type) -> _Fields:
    fields = [field for field in dataclasses.fields(model) if "wire" in field.metadata]
    names = tuple(field.metadata["wire"] for field in fields)
    read = attrgetter(*(field.name for field in fields))
    omitted = [field for field in fields if field.metadata["omitempty"]]
    return _Fields(
        names,
        read if len(fields) > 1 else lambda value: (read(value),),
        tuple(field.metadata["wire"] for field in omitted if not field.metadata["kind"].is_pointer),
        tuple(field.metadata["wire"] for field in omitted if field.metadata["kind"].is_pointer),
        tuple(
            (name, field.metadata["kind"].encode)
            for name, field in zip(names, fields, strict=True)
            if field.metadata["kind"].encode is not _as_it_is
        ),
        {
            key: (name, field.name, field.metadata["kind"])
            for name, field in zip(names, fields, strict=True)
            for key in (name, name.lower())
        },
    )
