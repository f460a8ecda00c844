"""Evidence brought up to date by a run of the rows that are new or changed.

Which run gave what stays told: `run` is the first, whole one, and `run.updates` lists the later
ones.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from conformance.registry import Behaviour
from conformance.report.document import Document, DocumentError
from conformance.report.score import engine_scores, scores_json


def updated(
    recorded: Mapping[str, Document], reports: Iterable[Document], rows: Iterable[Behaviour]
) -> list[Document]:
    """Put the cells of reports into what is recorded, one after the other.

    Args:
        recorded: the evidence of each column, a document of one engine.
        reports: runs of some rows.
        rows: the catalogue; what a row states comes from it, and a row that is not in it goes.

    Returns:
        The evidence of each engine of the reports.

    Raises:
        DocumentError: an engine of a report has no evidence, or was another version then.
    """
    known = {row.id: row.to_json() for row in rows}
    made: dict[str, Document] = {}
    for report in reports:
        for engine in report["engines"]:
            was = _recorded_of(engine, {**recorded, **made})
            made[engine["name"]] = _update(was, engine, report, known)
    return list(made.values())


def _recorded_of(engine: Document, recorded: Mapping[str, Document]) -> Document:
    name = engine["name"]
    if name not in recorded:
        raise DocumentError(f"nothing is recorded of {name}: run every row on it")
    (was,) = recorded[name]["engines"]
    version = engine.get("version", "not known")
    if was["version"] != version:
        raise DocumentError(
            f"{name} was {was['version']} when it was recorded and is {version} now: "
            "run every row on it"
        )
    return recorded[name]


def _update(
    document: Document, engine: Document, report: Document, known: Mapping[str, dict[str, Any]]
) -> Document:
    cells = {result["behaviour"]: result for result in document["results"]}
    news = {r["behaviour"]: r for r in report["results"] if r["engine"] == engine["name"]}
    cells = {row: cell for row, cell in (cells | news).items() if row in known}
    run = report["run"]
    part = {key: run[key] for key in ("revision", "started", "ended") if key in run}
    part |= {"rows": len(news)}
    made = document | {
        "run": document["run"] | {"updates": [*document["run"].get("updates", []), part]},
        "behaviours": [known[row] for row in sorted(cells)],
        "results": [cells[row] for row in sorted(cells)],
    }
    scores = scores_json(engine_scores(made)[engine["name"]])
    return made | {"engines": [{**document["engines"][0], "scores": scores}]}
