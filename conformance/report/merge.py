"""Several reports made one: of jobs that had an engine each, of evidence of different days."""

from collections.abc import Sequence

from conformance.report.document import INTERRUPTED, SCHEMA_VERSION, Document, DocumentError


def merge_documents(documents: Sequence[Document]) -> Document:
    """Put reports side by side; each engine keeps the facts of the run and the host it ran on.

    Raises:
        DocumentError: two of them have the same engine, so that one would hide the other.
    """
    if len(documents) == 1:
        return documents[0]
    engines = [
        {"run": document["run"], "host": document["host"], **engine}
        for document in documents
        for engine in document["engines"]
    ]
    names = [engine["name"] for engine in engines]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DocumentError(f"more than one report has the engine {', '.join(twice)}")
    behaviours = {row["id"]: row for document in documents for row in document["behaviours"]}
    results = [result for document in documents for result in document["results"]]
    unfinished = {d["run"]["unfinished"] for d in documents if d["run"].get("unfinished")}
    why = INTERRUPTED if INTERRUPTED in unfinished else next(iter(sorted(unfinished)), "")
    return {
        "schema_version": SCHEMA_VERSION,
        "run": _common([document["run"] for document in documents])
        | ({"unfinished": why} if why else {})
        | {
            "started": min(document["run"]["started"] for document in documents),
            "ended": max(document["run"]["ended"] for document in documents),
        },
        "host": _common([document["host"] for document in documents]),
        "engines": engines,
        "behaviours": [behaviours[name] for name in sorted(behaviours)],
        "results": sorted(results, key=lambda cell: (cell["behaviour"], cell["engine"])),
    }


def check_same_suite(documents: Sequence[Document]) -> None:
    """Make sure that reports are of the same rows, so that a column can be laid beside another.

    Raises:
        DocumentError: naming the rows that only some have, or that say different things.
    """
    first, *others = (
        {row["id"]: row.get("statement") for row in d["behaviours"]} for d in documents
    )
    for other in others:
        apart = sorted(first.keys() ^ other.keys())
        changed = sorted(row for row in first.keys() & other.keys() if first[row] != other[row])
        if apart:
            raise DocumentError(f"not all reports have the rows {', '.join(apart)}")
        if changed:
            raise DocumentError(f"the reports mean different things by {', '.join(changed)}")


def _common(facts: Sequence[Document]) -> Document:
    """Give the facts that hold for all of them."""
    first, *others = facts
    return {key: value for key, value in first.items() if all(o.get(key) == value for o in others)}
