"""Evidence into which a run of some rows is put."""

import pytest

from conformance.registry import Behaviour
from conformance.report.document import DocumentError
from conformance.report.evidence_update import updated
from tests.unit.conformance.made_reports import cell, report


def row(name: str) -> Behaviour:
    return Behaviour(id=name, statement=f"What {name} states MUST hold.", source="moby v17.03")


def run_of(*cells, version="1.2.3", **run):
    document = report(*cells, **run)
    document["engines"] = [{"name": "docker-1.2", "spec": "docker", "version": version}]
    return document


ROWS = [row("a.old"), row("a.mended"), row("a.new")]
RECORDED = {
    "docker-1.2": run_of(
        cell("a.gone", "docker-1.2"),
        cell("a.mended", "docker-1.2", "FAIL"),
        cell("a.old", "docker-1.2"),
        revision="one",
    )
}
NEWS = run_of(cell("a.mended", "docker-1.2"), cell("a.new", "docker-1.2"), revision="two")


def test_cells_of_a_report_replace_and_add_to_what_is_recorded():
    (made,) = updated(RECORDED, [NEWS], ROWS)
    assert [(r["behaviour"], r["verdict"]) for r in made["results"]] == [
        ("a.mended", "pass"),
        ("a.new", "pass"),
        ("a.old", "pass"),
    ]
    assert [b["statement"] for b in made["behaviours"]] == [
        "What a.mended states MUST hold.",
        "What a.new states MUST hold.",
        "What a.old states MUST hold.",
    ]
    assert made["engines"][0]["scores"]["contract"] == {"passed": 3, "promised": 3}


def test_each_run_that_gave_something_is_named():
    last = run_of(cell("a.old", "docker-1.2"), revision="three")
    (made,) = updated(RECORDED, [NEWS, last], ROWS)
    assert made["run"]["revision"] == "one"
    told = [(part["revision"], part["rows"]) for part in made["run"]["updates"]]
    assert told == [("two", 2), ("three", 1)]
    assert all(part["started"] and part["ended"] for part in made["run"]["updates"])


@pytest.mark.parametrize(
    ("recorded", "version", "said"),
    [
        ({}, "1.2.3", "nothing is recorded of docker-1.2"),
        (RECORDED, "1.2.4", "docker-1.2 was 1.2.3 when it was recorded and is 1.2.4 now"),
    ],
)
def test_engine_that_is_not_the_recorded_one_is_refused(recorded, version, said):
    news = run_of(cell("a.new", "docker-1.2"), version=version)
    with pytest.raises(DocumentError, match=said):
        updated(recorded, [news], ROWS)
