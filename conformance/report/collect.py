"""Gathers the rows' results while a run goes on, and makes the report of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.registry import catalogue
from conformance.report.document import (
    FILE_NAME,
    INTERRUPTED,
    SCHEMA_VERSION,
    Document,
    host_facts,
    suite_facts,
    write_document,
)
from conformance.report.score import engine_scores, scores_json
from conformance.report.symbols import SYMBOLS
from conformance.verdicts import Verdict, worst


class Collector:
    """The results of one run so far."""

    def __init__(self, *, folder: Path, rows: list[str], engines: list[str]) -> None:
        """Begin a run of these rows on these engines (their specs)."""
        self.complaint = ""
        # Why rows were left out on purpose: they are not in the report; "" = none was.
        self.unfinished = ""
        self._folder = folder
        self._rows = rows
        self._engines = engines
        self._started = _now()
        self._facts: dict[str, dict[str, Any]] = {}
        self._behaviours: dict[str, dict[str, Any]] = {}
        self._results: dict[tuple[str, str], dict[str, Any]] = {}

    @property
    def total(self) -> int:
        """How many results the run is to have."""
        return len(self._rows) * len(self._engines)

    def narrow(self, rows: Iterable[str]) -> None:
        """Learn that of the rows only these are meant, by a choice of pytest's own; none = all."""
        chosen = set(rows) - {""}
        self._rows = [row for row in self._rows if row in chosen] or self._rows

    def take(self, taken: dict[str, Any]) -> str:
        """Take one row's result; give the line that shows the progress."""
        result, facts = taken["result"], taken["facts"]
        self._facts[facts["spec"]] = facts
        self._behaviours[result["behaviour"]] = taken["row"]
        try:
            self._write_logs(result["log"], taken["logs"])
        except OSError as exc:  # a full disk: the verdict counts all the same
            self.complaint = f"the logs are not complete: {exc}"
        result = self._merge(result)
        width = len(str(self.total))
        verdict = Verdict(result["verdict"])
        return (
            f"[{len(self._results):>{width}}/{self.total}] {SYMBOLS[verdict].symbol} "
            f"{result['engine']}  {result['behaviour']}  {result['duration_s']:.1f}s"
            + (f"  {verdict.value}" if verdict is not Verdict.PASS else "")
        )

    def _write_logs(self, place: str, logs: dict[str, str]) -> None:
        for name, text in logs.items():
            path = self._folder / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _merge(self, result: dict[str, Any]) -> dict[str, Any]:
        """Take a result in; of several for one cell (a row run on several values) the worst."""
        key = result["behaviour"], result["engine"]
        earlier = self._results.get(key)
        if earlier is not None:
            pair = Verdict(earlier["verdict"]), Verdict(result["verdict"])
            duration_s = round(earlier["duration_s"] + result["duration_s"], 3)
            result = {**(earlier if worst(pair) is pair[0] else result), "duration_s": duration_s}
        self._results[key] = result
        return result

    def document(self) -> Document:
        """Give the report; a row that came to no end is an error in it, unless it was left out."""
        columns = [self._facts.get(spec, {"name": spec, "spec": spec}) for spec in self._engines]
        results = dict(self._results)
        missing = {(row, facts["name"]) for facts in columns for row in self._rows} - set(results)
        if not missing and self.unfinished != INTERRUPTED:
            self.unfinished = ""  # the failure that ended it was in the last row
        if not self.unfinished:
            results |= {(row, engine): _lost(row, engine) for row, engine in missing}
        known = {row.id: row.to_json() for row in catalogue.rows()} | self._behaviours
        unfinished = {"unfinished": self.unfinished} if self.unfinished else {}
        document: Document = {
            "schema_version": SCHEMA_VERSION,
            "run": {**suite_facts(), "started": self._started, "ended": _now(), **unfinished},
            "host": host_facts(),
            "engines": columns,
            "behaviours": [known.get(row, {"id": row}) for row in sorted(self._rows)],
            "results": [results[key] for key in sorted(results)],
        }
        scores = engine_scores(document)
        document["engines"] = [
            {**facts, "scores": scores_json(scores[facts["name"]])} for facts in columns
        ]
        return document

    def write(self) -> str:
        """Write the report into its folder; give what the disk refused, "" = nothing."""
        try:
            write_document(self.document(), self._folder / FILE_NAME)
        except OSError as exc:
            return f"the report cannot be written: {exc}"
        return self.complaint


def _lost(behaviour: str, engine: str) -> dict[str, Any]:
    return {
        "behaviour": behaviour,
        "engine": engine,
        "verdict": Verdict.ERROR.value,
        "duration_s": 0.0,
        "reason": "did not come to an end: its worker died, or pytest found no test of it",
        "expected": "",
        "actual": "",
        "expectation": None,
        "log": "",
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
