import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from conformance.report.collect import Collector
from conformance.report.diff import diff_documents, engines_apart
from conformance.report.document import INTERRUPTED, DocumentError, read_document, write_document
from conformance.report.evidence import split_report
from conformance.report.html import render_html
from conformance.report.junit import junit_tree
from conformance.report.matrix import rerun_command
from conformance.report.merge import merge_documents
from conformance.report.symbols import SYMBOLS
from conformance.report.terminal import missing_lines, print_report
from conformance.verdicts import Verdict
from tests.unit.conformance.made_reports import cell, report


def result(behaviour: str, engine: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {
        "behaviour": behaviour,
        "engine": engine,
        "verdict": verdict,
        "duration_s": 0.5,
        "reason": "",
        "expected": "",
        "actual": "",
        "log": "",
        "expectation": None,
        **more,
    }


def taken(cell: dict[str, Any], spec: str) -> dict[str, Any]:
    row = {"id": cell["behaviour"], "statement": "It MUST.", "source": "seed", "level": "MUST"}
    row["tier"] = "core" if "none" in cell["behaviour"] else "contract"
    facts = {"name": cell["engine"], "spec": spec}
    return {"result": cell, "logs": {}, "row": row, "facts": facts}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(folder=tmp_path, rows=["init.none.x", "init.def.y"], engines=["ref", "docker"])


@pytest.fixture
def document(collector: Collector) -> dict[str, Any]:
    red = {"expected": "1", "actual": "2", "log": "logs/docker-20.10/init.none.x", "reason": "n"}
    collector.take(taken(result("init.none.x", "ref", "pass"), "ref"))
    collector.take(taken(result("init.none.x", "docker-20.10", "FAIL", **red), "docker"))
    collector.take(taken(result("init.def.y", "ref", "unsupported"), "ref"))
    collector.take(taken(result("init.def.y", "docker-20.10", "known", reason="k"), "docker"))
    return collector.document()


def render(document: dict[str, Any], **options: Any) -> tuple[str, int]:
    out = io.StringIO()
    code = print_report(document, Console(file=out, width=60), report_folder="r", **options)
    return out.getvalue(), int(code)


def test_disk_that_refuses_takes_no_verdict_away(collector, tmp_path):
    (tmp_path / "logs").write_text("a file where a folder is wanted")
    red = result("init.none.x", "ref", "FAIL", log="logs/ref/init.none.x")
    line = collector.take({**taken(red, "ref"), "logs": {"row.log": "text"}})
    assert "FAIL" in line
    assert "the logs are not complete" in collector.write()
    assert read_document(tmp_path / "conformance.json")["results"][-1]["verdict"] == "FAIL"


def test_report_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    lost = Collector(folder=tmp_path / "file", rows=["init.none.x"], engines=["ref"])
    assert lost.write().startswith("the report cannot be written: ")


def test_matrix_groups_areas_and_ends_with_the_scores(document):
    text, code = render(document)
    assert text == (
        "\n"
        "             ref  docker-20.10\n"
        "init.def.y     ?             ~\n"
        "\n"
        "init.none.x    ✓             ✗\n"
        "✓ pass  ~ known deviation  ✗ new failure  ! unexpectedly fixed  s SHOULD not met  "
        "E harness error  - not promised  ? capability missing\n"
        "\n"
        "FAIL: init.none.x on docker-20.10\n"
        "  statement: It MUST.\n"
        "  source:    seed\n"
        "  reason:    n\n"
        "  Expected:  1\n"
        "  Actual:    2\n"
        "  log:       r/logs/docker-20.10/init.none.x\n"
        "  rerun:     python -m conformance run --engine docker init.none.x\n"
        "\n"
        "              core  contract  quirk\n"
        "ref            1/1       0/1      -  1 unsupported\n"
        "docker-20.10   0/1       0/1      -  1 known, 1 FAIL\n"
        "exit 1\n"
    )
    assert code == 1


def test_error_that_many_rows_share_is_told_once(collector):
    lost = render(collector.document())[0]
    assert lost.count("error: ") == 2
    assert lost.count("  the same:  1 more on docker\n") == 1
    assert "ref        -       0/2      -  2 error\n" in lost


def test_engine_that_is_too_new_is_said_beside_its_score(document):
    document["engines"][0]["newer_than_known"] = "28.5"
    assert (
        "0/1      -  1 unsupported (NEWER than 28.5, to whose deviations it" in render(document)[0]
    )


def test_document_has_the_scores_of_each_engine(document):
    scores = {engine["name"]: engine["scores"] for engine in document["engines"]}
    assert scores == {
        "ref": {
            "core": {"passed": 1, "promised": 1},
            "contract": {"passed": 0, "promised": 1},
            "quirk": {"passed": 0, "promised": 0},
        },
        "docker-20.10": {
            "core": {"passed": 0, "promised": 1},
            "contract": {"passed": 0, "promised": 1},
            "quirk": {"passed": 0, "promised": 0},
        },
    }


def test_ascii_report_has_only_ascii(document):
    assert render(document, is_ascii=True)[0].isascii()


def test_every_verdict_has_its_own_symbol():
    assert set(SYMBOLS) == set(Verdict)
    assert len({symbol.symbol for symbol in SYMBOLS.values()}) == len(Verdict)
    assert len({symbol.ascii for symbol in SYMBOLS.values()}) == len(Verdict)


def test_markup_in_a_value_is_printed_as_it_is(document):
    document["results"][2]["actual"] = "[bold]x[/bold] [red"
    assert "[bold]x[/bold] [red" in render(document)[0]


def test_row_that_never_ended_is_an_error(collector):
    collector.take(taken(result("init.none.x", "ref", "pass"), "ref"))
    cells = {(r["behaviour"], r["engine"]): r for r in collector.document()["results"]}
    assert len(cells) == 4
    assert cells["init.none.x", "docker"]["verdict"] == "error"
    assert "did not come to an end" in cells["init.def.y", "ref"]["reason"]


def test_row_that_was_left_out_is_no_cell(collector, tmp_path):
    collector.take(taken(result("init.none.x", "ref", "pass"), "ref"))
    collector.unfinished = INTERRUPTED
    document = collector.document()
    assert [cell["engine"] for cell in document["results"]] == ["ref"]
    text, code = render(document)
    assert code == 130
    assert "interrupted: 3 cells were not run" in text
    assert "init.def.y" not in text
    page = render_html(document)
    assert "init.def.y" in page
    with pytest.raises(DocumentError, match="ended before: interrupted"):
        split_report(document, ["init.none.x"])
    merged = merge_documents([document, {**document, "engines": [{"name": "b"}], "results": []}])
    assert merged["run"]["unfinished"] == INTERRUPTED


def test_quiet_report_has_no_matrix(document):
    text, code = render(document, is_quiet=True)
    assert (code, "FAIL: init.none.x" in text, "new failure" in text) == (1, True, False)


@pytest.mark.parametrize("order", [("pass", "FAIL"), ("FAIL", "pass")])
def test_row_run_on_several_values_is_one_cell_with_the_worst_verdict(collector, order):
    for verdict in order:
        collector.take(taken(result("init.none.x", "ref", verdict, reason=verdict), "ref"))
    cell = next(r for r in collector.document()["results"] if r["reason"] in order)
    assert (cell["verdict"], cell["reason"], cell["duration_s"]) == ("FAIL", "FAIL", 1.0)


def test_progress_line_counts(collector):
    first = collector.take(taken(result("init.none.x", "ref", "pass"), "ref"))
    second = collector.take(taken(result("init.none.x", "docker-20.10", "FAIL"), "docker"))
    assert first == "[1/4] ✓ ref  init.none.x  0.5s"
    assert second == "[2/4] ✗ docker-20.10  init.none.x  0.5s  FAIL"


def test_document_survives_the_file(document, tmp_path):
    path = tmp_path / "c.json"
    write_document(document, path)
    assert read_document(path) == json.loads(json.dumps(document))
    assert document["schema_version"] == 1
    assert [r["behaviour"] for r in document["results"]] == sorted(
        r["behaviour"] for r in document["results"]
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 2}'])
def test_foreign_file_is_refused(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=r"c\.json is not"):
        read_document(path)


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("run", None, "run is no object"),
        ("run", {"started": None, "ended": ""}, "run.started is no text"),
        ("run", {"started": "2026"}, "run has no `ended`"),
        ("run", {"started": "2026", "ended": "2026", "revision": 7}, "run.revision is no text"),
        ("host", [], "host is no object"),
        ("behaviours", [], "a result of the row 'init.def.y', which is not in `behaviours`"),
        ("engines", [], "a result of the engine 'docker-20.10', which is not in `engines`"),
    ],
)
def test_report_without_what_every_reader_uses_is_refused(document, tmp_path, part, value, said):
    document[part] = value
    write_document(document, tmp_path / "c.json")
    with pytest.raises(DocumentError, match=re.escape(f"c.json is no report: {said}")):
        read_document(tmp_path / "c.json")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(DocumentError, match="does not exist"):
        read_document(tmp_path / "none.json")


def test_junit_counts_per_engine(document):
    root = junit_tree(document)
    suites = {suite.get("name"): suite for suite in root}
    assert suites["docker-20.10"].get("failures") == "1"
    assert suites["docker-20.10"].get("skipped") == "1"
    assert suites["ref"].get("skipped") == "1"
    failure = suites["docker-20.10"].find(".//failure")
    assert failure is not None
    assert failure.text == "Expected: 1\nActual: 2\nlog: logs/docker-20.10/init.none.x"


def test_junit_has_no_character_that_xml_forbids(document):
    document["results"][2]["actual"] = "a\x00b\x1bc"
    ET.fromstring(ET.tostring(junit_tree(document)))


def test_diff_gives_changed_cells_only(document):
    other = json.loads(json.dumps(document))
    other["results"][0]["verdict"] = "FIXED"
    del other["results"][1]
    assert [str(change) for change in diff_documents(document, other)] == [
        "- docker-20.10  init.def.y: known -> FIXED",
        "  ref  init.def.y: unsupported -> absent",
    ]
    assert diff_documents(document, document) == []


def test_diff_leaves_out_engines_that_one_run_does_not_have(document):
    other = json.loads(json.dumps(document))
    other["engines"][0]["name"] = "podman-5.8"
    for result in other["results"]:
        result["engine"] = result["engine"].replace("ref", "podman-5.8")
    assert engines_apart(document, other) == (["ref"], ["podman-5.8"])
    assert diff_documents(document, other) == []


def test_logs_of_a_red_cell_are_written_where_the_report_is(collector, tmp_path):
    """A worker on another machine has no folder here: its logs come with the result."""
    cell = result("init.none.x", "ref", "FAIL", log="logs/ref/init.none.x")
    collector.take({**taken(cell, "ref"), "logs": {"row.log": "what it did\n"}})
    assert (tmp_path / "logs/ref/init.none.x/row.log").read_text("utf-8") == "what it did\n"


def test_each_capability_that_is_missing_is_told_in_one_line():
    document = report(
        cell("a.b", "x", "unsupported"),
        cell("a.c", "x", "unsupported"),
        cell("a.b", "y", "unsupported"),
    )
    document["behaviours"] = [
        {"id": "a.b", "statement": "It MUST.", "needs": ["ipv4", "sctp"]},
        {"id": "a.c", "statement": "It MUST.", "needs": ["sctp", "nosuch"]},
    ]
    document["engines"] = [
        {"name": "x", "spec": "x", "capabilities": ["ipv4"]},
        {"name": "y", "spec": "y", "capabilities": ["sctp"]},
    ]
    assert missing_lines(document) == [
        "sctp (the kernel has SCTP sockets) is missing; rows not run: 2 on x. Load the module "
        "sctp on the engine's machine, and run the suite there as root.",
        "ipv4 (it forwards IPv4) is missing; rows not run: 1 on y. Set the sysctl "
        "net.ipv4.ip_forward=1 on the engine's machine.",
        "nosuch is missing; rows not run: 1 on x.",
    ]


def test_command_to_run_a_row_again_is_one_for_a_shell():
    assert rerun_command("dockerd:/my build/[x]", "a.b").endswith(
        "--engine 'dockerd:/my build/[x]' a.b"
    )
