"""What changed between two runs: only the cells that differ."""

from dataclasses import dataclass

from conformance.report.document import Document
from conformance.verdicts import Verdict

ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Change:
    """One cell that is not what it was; `absent` where one of the runs does not have it."""

    behaviour: str
    engine: str
    old: str
    new: str

    @property
    def is_worse(self) -> bool:
        """Say whether the cell is red now and was not red before."""
        return _is_red(self.new) and not _is_red(self.old)

    def to_json(self) -> dict[str, str]:
        """Give the change as JSON."""
        return {
            "behaviour": self.behaviour,
            "engine": self.engine,
            "old": self.old,
            "new": self.new,
        }

    def __str__(self) -> str:
        """Write the change as one line."""
        mark = "-" if self.is_worse else "+" if _is_red(self.old) else " "
        return f"{mark} {self.engine}  {self.behaviour}: {self.old} -> {self.new}"


def _is_red(verdict: str) -> bool:
    return verdict != ABSENT and Verdict(verdict).is_red


def engines_apart(old: Document, new: Document) -> tuple[list[str], list[str]]:
    """Give the engines that only the old and only the new run has."""
    before, after = ({engine["name"] for engine in d["engines"]} for d in (old, new))
    return sorted(before - after), sorted(after - before)


def diff_documents(old: Document, new: Document) -> list[Change]:
    """Give the cells whose verdict differs, by engine and behaviour, on engines that both have."""
    apart = {name for names in engines_apart(old, new) for name in names}
    before, after = (
        {key: verdict for key, verdict in _cells(document).items() if key[0] not in apart}
        for document in (old, new)
    )
    return [
        Change(behaviour, engine, before.get(key, ABSENT), after.get(key, ABSENT))
        for key in sorted(before.keys() | after.keys())
        for engine, behaviour in [key]
        if before.get(key, ABSENT) != after.get(key, ABSENT)
    ]


def _cells(document: Document) -> dict[tuple[str, str], str]:
    return {
        (result["engine"], result["behaviour"]): result["verdict"] for result in document["results"]
    }
