"""docker_5xx.toml: which requests Docker 20.10 itself answers with a 5xx."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.shots import Shot
from tests.fuzz.wire import Outcome

PATH = Path(__file__).with_name("docker_5xx.toml")


@dataclass(frozen=True)
class Entry:
    """One kind of request and its answer; the file says what its fields mean."""

    routes: tuple[str, ...]
    odd: str
    status: int
    message: re.Pattern[str]
    reason: str
    example: str
    body: str | None
    engine: str

    def covers(self, route: str, outcome: Outcome) -> bool:
        """Say whether an answer is of this kind; one to HEAD, or that was left, has no text."""
        return (
            self.status == outcome.status
            and not {"*", route}.isdisjoint(self.routes)
            and (not outcome.message or self.says(outcome.message))
        )

    def says(self, message: str) -> bool:
        """Say whether it is this entry's text."""
        return self.message.fullmatch(message.strip()) is not None

    def shot(self) -> Shot:
        """Give the example as a shot."""
        method, target = self.example.split(" ", 1)
        if self.body is None:
            return Shot(method, target)
        return Shot(method, target, self.body.encode(), (("Content-Type", "application/json"),))


def load(path: Path = PATH) -> list[Entry]:
    """Read the table."""
    document = tomllib.loads(path.read_text("utf-8"))
    return [_entry(row, document["patterns"]) for row in document["answer"]]


def _entry(row: dict[str, Any], patterns: dict[str, str]) -> Entry:
    message = re.sub(r"<(\w+)>", lambda match: patterns[match[1]], row["message"])
    routes = row["route"]
    return Entry(
        routes=tuple(routes) if isinstance(routes, list) else (routes,),
        odd=row["odd"],
        status=row["status"],
        message=re.compile(message, re.DOTALL),
        reason=row["reason"],
        example=row.get("example", ""),
        body=row.get("body"),
        engine=row.get("engine", "docker"),
    )
