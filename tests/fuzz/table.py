"""docker_5xx.toml: which requests Docker 20.10 itself answers with a 5xx."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.shots import Shot

PATH = Path(__file__).with_name("docker_5xx.toml")
_METHOD = re.compile("[A-Z]+|[*]")


@dataclass(frozen=True)
class Entry:
    """One kind of request and its answer.

    Attributes:
        route: as in the routing table, `POST /containers/{ref}/start`; `*` = any.
        odd: what is odd about such a request.
        status: what Docker 20.10 answers.
        message: a pattern for the whole text of the answer.
        reason: why it is no fault of the reference's.
        example: a request that gets it whatever there is; "" = it needs some state, or it is an
            answer of the reference's own.
        body: of the example.
        engine: "docker" or, for what only the reference refuses, "reference".
    """

    route: str
    odd: str
    status: int
    message: str
    reason: str
    example: str = ""
    body: str | None = None
    engine: str = "docker"

    def covers(self, route: str, status: int, message: str) -> bool:
        """Say whether an answer is of this kind."""
        return (
            self.status == status
            and self.route in {"*", route}
            and re.fullmatch(self.message, message.strip(), re.DOTALL) is not None
        )

    def shot(self) -> Shot:
        """Give the example as a shot."""
        method, target = self.example.split(" ", 1)
        if self.body is None:
            return Shot(method, target)
        headers = (("Content-Type", "application/json"),)
        return Shot(method, target, self.body.encode(), headers)


def load() -> list[Entry]:
    """Read the table."""
    return [Entry(**entry) for entry in tomllib.loads(PATH.read_text("utf-8"))["answer"]]
