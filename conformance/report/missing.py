"""What no engine could be asked, told once per capability and not in each cell."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.capabilities import PROBES
from conformance.report.document import Document
from conformance.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A capability that rows need and engines lack.

    Attributes:
        name: the capability.
        meaning: what it is, in a sentence; "" = this suite knows no probe for it.
        rows: how many rows each engine could not run for want of it.
    """

    name: str
    meaning: str
    rows: Mapping[str, int]


def missing_capabilities_of(document: Document) -> list[Missing]:
    """Give what engines lacked, what is missing in most rows first."""
    needs = {row["id"]: row.get("needs", ()) for row in document["behaviours"]}
    has = {engine["name"]: set(engine.get("capabilities", ())) for engine in document["engines"]}
    counts: dict[str, Counter[str]] = {}
    for result in document["results"]:
        if Verdict(result["verdict"]) is Verdict.UNSUPPORTED:
            engine = result["engine"]
            for need in needs.get(result["behaviour"], ()):
                if need not in has.get(engine, ()):
                    counts.setdefault(need, Counter())[engine] += 1
    found = [
        Missing(name=name, meaning=PROBES[name].meaning if name in PROBES else "", rows=rows)
        for name, rows in counts.items()
    ]
    return sorted(found, key=lambda one: (-sum(one.rows.values()), one.name))
