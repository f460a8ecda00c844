"""What changed between two runs: only the cells that differ."""

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.report.document import Document
from conformance.report.markdown import line, literal, mark, table, text
from conformance.verdicts import Verdict

ABSENT = "absent"
# GitHub refuses a comment of more than 65,536 characters.
_TOLD_MAX = 20
_LISTED_MAX = 50
_WHY_CHARS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One cell that is not what it was; `absent` where one of the runs does not have it."""

    behaviour: str
    engine: str
    old: str
    new: str
    statement: str = ""
    reason: str = ""
    expected: str = ""
    actual: str = ""

    @property
    def is_worse(self) -> bool:
        """Say whether the cell is red now and was not red before."""
        return _is_red(self.new) and not _is_red(self.old)

    @property
    def is_better(self) -> bool:
        """Say whether the cell was red, is still there and is not red any more."""
        return _is_red(self.old) and not _is_red(self.new) and self.new != ABSENT

    @property
    def is_apart(self) -> bool:
        """Say whether only one of the runs has the cell."""
        return ABSENT in (self.old, self.new)

    @property
    def either(self) -> str:
        """The verdict of the run that has the cell."""
        return self.old if self.new == ABSENT else self.new

    def to_json(self) -> dict[str, str]:
        """Give the change as JSON."""
        return {
            "behaviour": self.behaviour,
            "engine": self.engine,
            "old": self.old,
            "new": self.new,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        """Write the change as one line."""
        sign = "-" if self.is_worse else "+" if self.is_better else " "
        return f"{sign} {self.engine}  {self.behaviour}: {self.old} -> {self.new}"


def _is_red(verdict: str) -> bool:
    return verdict != ABSENT and Verdict(verdict).is_red


def engines_apart(old: Document, new: Document) -> tuple[list[str], list[str]]:
    """Give the engines that only the old and only the new run has."""
    before, after = ({engine["name"] for engine in d["engines"]} for d in (old, new))
    return sorted(before - after), sorted(after - before)


def cells_in_both(old: Document, new: Document) -> int:
    """Count the cells that both runs have: there is nothing else to compare."""
    return len(_cells(old).keys() & _cells(new).keys())


def rows_apart(old: Document, new: Document) -> tuple[list[Change], list[Change]]:
    """Give the cells that only the old and only the new run has, on engines that both have."""
    changes = diff_documents(old, new)
    return (
        [change for change in changes if change.new == ABSENT],
        [change for change in changes if change.old == ABSENT],
    )


def versions_changed(old: Document, new: Document) -> list[str]:
    """Say which engines are another version or another package now: that explains changes."""
    before, after = ({e["name"]: _versions(e) for e in d["engines"]} for d in (old, new))
    return [
        f"{name} {part}: {before[name].get(part, ABSENT)} -> {after[name].get(part, ABSENT)}"
        for name in sorted(before.keys() & after.keys())
        for part in sorted(before[name].keys() | after[name].keys())
        if before[name].get(part) != after[name].get(part)
    ]


def _versions(engine: Document) -> dict[str, str]:
    return {"version": engine.get("version", ""), **engine.get("packages", {})}


def diff_documents(old: Document, new: Document) -> list[Change]:
    """Give the cells whose verdict differs, by engine and behaviour, on engines that both have."""
    apart = {name for names in engines_apart(old, new) for name in names}
    before, after = (
        {key: cell for key, cell in _cells(document).items() if key[0] not in apart}
        for document in (old, new)
    )
    rows = {row["id"]: row for document in (old, new) for row in document["behaviours"]}
    changes = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key, {}), after.get(key, {})
        if was.get("verdict") != now.get("verdict"):
            changes.append(
                Change(
                    engine=key[0],
                    behaviour=key[1],
                    old=was.get("verdict", ABSENT),
                    new=now.get("verdict", ABSENT),
                    statement=rows.get(key[1], {}).get("statement", ""),
                    reason=(now.get("expectation") or {}).get("reason") or now.get("reason", ""),
                    expected=now.get("expected", ""),
                    actual=now.get("actual", ""),
                )
            )
    return changes


def _cells(document: Document) -> dict[tuple[str, str], Document]:
    return {(result["engine"], result["behaviour"]): result for result in document["results"]}


def diff_markdown(old: Document, new: Document) -> str:
    """Write the difference as a pull request's comment: what became red first, and told."""
    changes = diff_documents(old, new)
    worse = [change for change in changes if change.is_worse]
    better = [change for change in changes if change.is_better]
    rest = [change for change in changes if not change.is_worse and not change.is_better]
    others = [change for change in rest if not change.is_apart]
    apart = [change for change in rest if change.is_apart]
    lines = [f"## Conformance: {_headline(worse, better, others, apart)}", ""]
    for label, names in zip(("base", "this run"), engines_apart(old, new), strict=True):
        if names:
            lines += [f"Only in {label}, and not compared: {', '.join(names)}.", ""]
    versions = versions_changed(old, new)
    if versions:
        lines += ["Engines that changed themselves:", "", *(f"- {text(v)}" for v in versions), ""]
    if worse:
        lines += ["### Red now", "", *_told(worse)]
    if better:
        lines += ["### Not red any more", "", *_listed(better)]
    for some, what in ((others, "other changes"), (apart, "that only one of the runs has")):
        if some:
            lines += ["<details>", f"<summary>{len(some)} {what}</summary>", "", *_listed(some)]
            lines += ["</details>", ""]
    return "\n".join(lines)


def _headline(
    worse: list[Change], better: list[Change], others: list[Change], apart: list[Change]
) -> str:
    counts = [
        (worse, "red now"),
        (better, "not red any more"),
        (others, "changed otherwise"),
        (apart, "in one of the runs only"),
    ]
    return ", ".join(f"{len(some)} {what}" for some, what in counts if some) or "nothing changed"


def _told(changes: list[Change]) -> list[str]:
    lines = []
    for change in changes[:_TOLD_MAX]:
        lines.append(f"- **{change.engine}** `{change.behaviour}`: {_step(change)}")
        lines += [f"  - {text(part)}" for part in (change.statement, change.reason) if part]
        if change.expected or change.actual:
            lines.append(f"  - expected {literal(change.expected)}, got {literal(change.actual)}")
    return [*lines, *_more(changes, _TOLD_MAX), ""]


def _listed(changes: list[Change]) -> list[str]:
    lines = table(["behaviour", "engine", "was", "is", "why"])
    lines += [
        line([f"`{c.behaviour}`", c.engine, _name(c.old), _name(c.new), text(c.reason, _WHY_CHARS)])
        for c in changes[:_LISTED_MAX]
    ]
    return [*lines, *_more(changes, _LISTED_MAX), ""]


def _more(changes: list[Change], told_max: int) -> Iterable[str]:
    if len(changes) > told_max:
        yield ""
        yield f"{len(changes) - told_max} more: see the terminal's `python -m conformance diff`."


def _step(change: Change) -> str:
    return f"{_name(change.old)} → {_name(change.new)}"


def _name(verdict: str) -> str:
    return ABSENT if verdict == ABSENT else f"{mark(Verdict(verdict))} {verdict}"
