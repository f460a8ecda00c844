"""What an engine answers, in such a form that a row which misses a field FAILs.

A row reads `attrs["NetworkSettings"]["Networks"]["bridge"]`: where the engine does not say it, that
is the engine's failure and no error of the harness.
"""

from typing import Any

import requests

from conformance.violation import BehaviourViolated, show


class FieldMissing(BehaviourViolated, KeyError):
    """A document has not the field that the row rests on."""

    __str__ = BehaviourViolated.__str__


class EntryMissing(BehaviourViolated, IndexError):
    """A list has not the entry that the row rests on."""


class Document(dict[Any, Any]):
    """An object of an answer, or what an observer found by name."""

    def __missing__(self, key: object) -> Any:
        raise FieldMissing("what the engine shows or made", f"to have {show(key)}", show(self))


class Listing(list[Any]):
    """A list of an answer, or what an observer found in order."""

    def __getitem__(self, index: Any) -> Any:
        try:
            return super().__getitem__(index)
        except IndexError as exc:
            wanted = f"to have an entry {index}"
            raise EntryMissing("a list of the engine's", wanted, show(self)) from exc


def as_document(value: Any) -> Any:
    """Give a value of JSON with `Document` for each object and `Listing` for each list."""
    if isinstance(value, dict):
        return Document({key: as_document(entry) for key, entry in value.items()})
    if isinstance(value, list):
        return Listing(as_document(entry) for entry in value)
    return value


def answer_in_documents(response: requests.Response, **_: Any) -> None:
    """Let the SDK read an answer's JSON as documents: a hook of its session."""
    read = response.json

    def read_documents(**options: Any) -> Any:
        return as_document(read(**options))

    response.json = read_documents  # type: ignore[method-assign]
