"""A part of a document that somebody else wrote: read with its place, so that an error names it."""

from collections.abc import Iterator
from typing import Any

NAME_CHARS_MAX = 300


class SetupError(Exception):
    """A document cannot be read as a container or a network; the text names the place."""


class Part:
    """A value of a document, and where it stands.

    What is left out or null reads as empty; what has another type is an error.
    """

    def __init__(self, value: Any, place: str) -> None:
        """Remember both."""
        self.value = value
        self.place = place

    def _is_left_out(self, key: str) -> bool:
        return self.value is None or self.value.get(key) is None

    def _get(self, key: str, kind: type, called: str) -> Any:
        self._expect(self.value, dict, "an object", self.place)
        place = f"{self.place}.{printable(key)}"
        return self._expect(self.value[key], kind, called, place)

    @staticmethod
    def _expect(value: Any, kind: type, called: str, place: str) -> Any:
        is_flag_as_number = kind is int and isinstance(value, bool)
        if not isinstance(value, kind) or is_flag_as_number:
            raise SetupError(f"{place}: expected {called}, found {type(value).__name__}")
        return value

    def has(self, key: str) -> bool:
        """Tell whether an object has a key, whatever stands there."""
        return key in self._expect(self.value, dict, "an object", self.place)

    def text(self, key: str) -> str:
        """Give a string; "" where there is none."""
        if self._is_left_out(key):
            return ""
        return printable(self._get(key, str, "a string"))

    def number(self, key: str) -> int:
        """Give an integer; 0 where there is none."""
        return 0 if self._is_left_out(key) else int(self._get(key, int, "an integer"))

    def flag(self, key: str) -> bool:
        """Give a boolean; False where there is none."""
        return not self._is_left_out(key) and bool(self._get(key, bool, "true or false"))

    def part(self, key: str) -> "Part":
        """Give an object; an empty one where there is none."""
        if self._is_left_out(key):
            return Part({}, f"{self.place}.{printable(key)}")
        return Part(self._get(key, dict, "an object"), f"{self.place}.{printable(key)}")

    def parts(self) -> Iterator[tuple[str, "Part"]]:
        """Give each entry of an object of objects, by its key."""
        for key in self.value:
            yield printable(key), self.part(key)

    def members(self, key: str) -> Iterator["Part"]:
        """Give each object of a list of objects."""
        if self._is_left_out(key):
            return
        for index, entry in enumerate(self._get(key, list, "a list")):
            place = f"{self.place}.{printable(key)}[{index}]"
            yield Part(self._expect(entry, dict, "an object", place), place)

    def texts(self, key: str) -> tuple[str, ...]:
        """Give a list of strings."""
        if self._is_left_out(key):
            return ()
        place = f"{self.place}.{printable(key)}"
        listed = self._get(key, list, "a list")
        return tuple(printable(self._expect(one, str, "a string", place)) for one in listed)

    def words(self, key: str) -> dict[str, str]:
        """Give an object of strings; values of another type are left out."""
        found = self.part(key).value
        return {printable(k): printable(v) for k, v in found.items() if isinstance(v, str)}


def printable(text: str) -> str:
    """Give a text that can be printed: cut where it is too long, without signs of control."""
    cut = text if len(text) <= NAME_CHARS_MAX else f"{text[: NAME_CHARS_MAX - 3]}..."
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in cut)
