"""What an engine lacked in a run: a line for each capability, for the terminal and the page."""

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.capabilities import PROBES
from conformance.report.document import Document
from conformance.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A capability that an engine did not have, and the rows that needed it.

    Attributes:
        engine: the name of the column.
        capability: such as `host-view`.
        meaning: what it is.
        remedy: how to get it.
        rows: the rows that were not run for want of it; a row may want others, too.
    """

    engine: str
    capability: str
    meaning: str
    remedy: str
    rows: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in one line."""
        count = f"{len(self.rows)} row" + ("" if len(self.rows) == 1 else "s")
        said = f"{self.engine} lacks {self.capability} ({self.meaning}): {count}."
        return f"{said} {self.remedy}." if self.remedy else said


def missing_of(document: Document) -> list[Missing]:
    """List what each engine of a report lacked, the capability that most rows need first."""
    needs = {row["id"]: row.get("needs", ()) for row in document["behaviours"]}
    found = []
    for engine in document["engines"]:
        has = set(engine.get("capabilities", ()))
        lacking = [
            result["behaviour"]
            for result in document["results"]
            if result["engine"] == engine["name"]
            and Verdict(result["verdict"]) is Verdict.UNSUPPORTED
        ]
        found += sorted(
            _of_engine(str(engine["name"]), has, {row: needs.get(row, ()) for row in lacking}),
            key=lambda it: (-len(it.rows), it.capability),
        )
    return found


def _of_engine(name: str, has: set[str], needs: dict[str, tuple[str, ...]]) -> Iterator[Missing]:
    for capability in sorted({need for wanted in needs.values() for need in wanted} - has):
        probe = PROBES.get(capability)
        yield Missing(
            engine=name,
            capability=capability,
            meaning=probe.meaning if probe else "this suite does not know it",
            remedy=probe.remedy if probe else "",
            rows=tuple(row for row, wanted in needs.items() if capability in wanted),
        )
