"""What engines could not be asked, told once per capability and not in each cell."""

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
        is_of_machine: whether it is the machine that lacks it, and not the engine.
    """

    name: str
    meaning: str
    rows: Mapping[str, int]
    is_of_machine: bool = False


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
    found = [_missing(name, rows) for name, rows in counts.items()]
    return sorted(found, key=lambda one: (-sum(one.rows.values()), one.name))


def _missing(name: str, rows: Mapping[str, int]) -> Missing:
    probe = PROBES.get(name)
    if probe is None:
        return Missing(name=name, meaning="", rows=rows)
    return Missing(name=name, meaning=probe.meaning, rows=rows, is_of_machine=probe.is_of_machine)
