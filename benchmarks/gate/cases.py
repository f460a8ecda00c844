"""What the gate judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MODULES: Mapping[str, str] = {
    "in-process": "benchmarks.gate.in_process",
    "api": "benchmarks.gate.through_api",
}


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """What is compared: a way to ask for an allocate, and the kind of network.

    Attributes:
        way: a key of `MODULES`.
        network: `bridge` or `user`.
    """

    way: str
    network: str

    @property
    def id(self) -> str:
        """Its name in reports."""
        return f"{self.way}-{self.network}"


CASES = (Case("api", "user"), Case("in-process", "bridge"), Case("in-process", "user"))
"""What a gate judges. One network through the API: a start there takes five times as long, and
what the two differ in is below it."""
