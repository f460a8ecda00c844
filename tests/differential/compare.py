"""Differences between two comparable documents, and those that are accepted.

accepted.toml holds one table for each accepted difference:

    [[accepted]]
    path = "containers/*/GraphDriver/Data/**"   # as a difference prints it; * is one step of the
                                                # path or a part of it, ** any number of steps
    scenario = "*"                              # a scenario's name, or a pattern of names
    reason = "..."                              # what a maintainer of Docker would agree with

An entry that a whole run did not need makes the run fail.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

ACCEPTED_TOML = Path(__file__).with_name("accepted.toml")


class Missing:
    """What stands in the place of a value that one document does not have."""

    def __repr__(self) -> str:
        return "(absent)"


MISSING = Missing()


@dataclass(frozen=True)
class Difference:
    """One place where the two engines differ.

    Attributes:
        path: the way to it, step by step.
        docker: Docker's value.
        reference: the reference's.
    """

    path: tuple[str, ...]
    docker: Any
    reference: Any

    @property
    def place(self) -> str:
        """The path as accepted.toml writes it."""
        return "/".join(self.path)

    def __str__(self) -> str:
        docker, reference = _lines(self.docker), _lines(self.reference)
        if docker and reference:
            lines = difflib.unified_diff(docker, reference, "docker", "reference", n=1, lineterm="")
            return f"{self.place}\n" + "\n".join(f"    {line}" for line in lines)
        return (
            f"{self.place}\n    docker:    {_shown(self.docker)}"
            f"\n    reference: {_shown(self.reference)}"
        )


def differences(docker: Any, reference: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Give every place where two comparable documents differ, the deepest that can be named.

    Lists of the same length are compared entry by entry; others as a whole.
    """
    if isinstance(docker, dict) and isinstance(reference, dict):
        for key in [*docker, *(key for key in reference if key not in docker)]:
            pair = docker.get(key, MISSING), reference.get(key, MISSING)
            yield from differences(*pair, (*path, str(key)))
    elif isinstance(docker, list) and isinstance(reference, list) and len(docker) == len(reference):
        for number, pair in enumerate(zip(docker, reference, strict=True)):
            yield from differences(*pair, (*path, str(number)))
    elif type(docker) is not type(reference) or docker != reference:
        # 1, 1.0 and true are equal in Python and not in JSON
        yield Difference(path, docker, reference)


@dataclass
class AcceptedEntry:
    """One table of accepted.toml, and whether this run needed it."""

    path: str
    scenario: str
    reason: str
    is_used: bool = False

    def covers(self, difference: Difference, scenario: str) -> bool:
        """Say whether it accepts a difference that was seen in a scenario."""
        return fnmatchcase(scenario, self.scenario) and _matches(
            self.path.split("/"), difference.path
        )


@dataclass
class Accepted:
    """accepted.toml."""

    entries: list[AcceptedEntry] = field(default_factory=list)

    @classmethod
    def load(cls, path: Path = ACCEPTED_TOML) -> Accepted:
        """Read it.

        Raises:
            ValueError: an entry lacks a key, has another one, or gives no reason.
        """
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])
        for table in tables:
            if set(table) != {"path", "scenario", "reason"} or not all(
                isinstance(value, str) and value.strip() for value in table.values()
            ):
                raise ValueError(f"{path.name}: want path, scenario and reason: {table}")
        return cls([AcceptedEntry(**table) for table in tables])

    def unexplained(self, found: Iterable[Difference], scenario: str) -> list[Difference]:
        """Give the differences that no entry accepts, and note which entries were needed."""
        left = []
        for difference in found:
            covering = [entry for entry in self.entries if entry.covers(difference, scenario)]
            for entry in covering:
                entry.is_used = True
            if not covering:
                left.append(difference)
        return left

    def stale(self) -> list[AcceptedEntry]:
        """Give the entries that no difference needed so far."""
        return [entry for entry in self.entries if not entry.is_used]


def report(found: Sequence[Difference], limit: int = 40) -> str:
    """Print differences for somebody to read; the first ones where there are many."""
    shown = [str(difference) for difference in found[:limit]]
    if len(found) > limit:
        shown.append(f"... and {len(found) - limit} more")
    return "\n".join(shown)


def _matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(pattern[1:], path[at:]) for at in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(pattern[1:], path[1:])


def _lines(value: Any) -> list[str]:
    """Give the lines of a text of several, or the entries of a list, else none."""
    if isinstance(value, list):
        return [_shown(entry) for entry in value]
    if isinstance(value, str) and "\n" in value.rstrip("\n"):
        return value.splitlines()
    return []


def _shown(value: Any) -> str:
    return repr(value) if value is MISSING else json.dumps(value, sort_keys=True)
