"""Evidence: how it is made of a run, and that README and the page say what it says."""

import json
from functools import cache

import pytest

from conformance.registry import load_catalogue
from conformance.report.document import DocumentError, read_document
from conformance.report.evidence import (
    BEGIN,
    END,
    RESULTS_DIR,
    evidence_name,
    pages,
    read_evidence,
    replace_between,
    split_report,
    write_evidence,
    write_pages,
)
from conformance.report.html import render_html
from conformance.steady import steady
from tests.unit.conformance.made_reports import cell, known, report

FILES = sorted(RESULTS_DIR.glob("*.json"))


def run_of_two(**run):
    document = report(
        cell("a.b", "docker-1.2", log="logs/x"),
        cell("a.b", "podman-5.8", "known", expectation=known("does not")),
        **run,
    )
    document["engines"] = [
        {"name": "docker-1.2", "spec": "docker", "version": "1.2.3+dfsg1", "family": "docker"},
        {"name": "podman-5.8", "spec": "podman", "version": "5.8.2", "family": "podman"},
    ]
    return document


# ---------------------------------------------------------------------- what is committed


@cache
def made():
    return pages(read_evidence(), load_catalogue())


@pytest.mark.parametrize("name", ["README.md", "matrix.md", "matrix.svg", "regressions.md"])
def test_pages_say_what_the_evidence_says(name):
    found = {path.name: (path, text) for path, text in made().items()}
    path, text = found[name]
    assert path.read_text(encoding="utf-8") == text, (
        f"{path} differs from conformance/results/: python -m conformance evidence"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_committed_evidence_is_as_it_was_made(path):
    document = read_document(path)
    rows = {row["id"] for row in document["behaviours"]}
    assert split_report(document, rows) == {path.name: document}
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert path.read_text(encoding="utf-8") == text
    assert {result["behaviour"] for result in document["results"]} == rows


# ---------------------------------------------------------------------- making it


def test_report_is_split_by_engine_without_what_differs_each_time():
    files = split_report(run_of_two(), ["a.b"])
    assert list(files) == ["docker-1.2.3+dfsg1.json", "podman-5.8.2.json"]
    one = files["podman-5.8.2.json"]
    assert [engine["name"] for engine in one["engines"]] == ["podman-5.8"]
    assert [result["verdict"] for result in one["results"]] == ["known"]
    assert "duration_s" not in one["results"][0]
    assert "log" not in one["results"][0]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"id {'0a' * 32} and {'0a' * 6}", "id <id-1> and <short id-1>"),
        ("netinit-766352-31-network, netinit-766352-32-x", "<name-1>-network, <name-2>-x"),
        ("/tmp/netinit-766352/podman/exec", "/tmp/<name-1>/podman/exec"),
        ("6e:2e:50:96:54:9e but 02:42:ac:11:00:02", "<mac-1> but 02:42:ac:11:00:02"),
        ("HTTP 404: netinit-nothing, 10.213.2.2, 123456", None),
    ],
)
def test_what_is_thrown_anew_in_each_run_is_numbered(text, kept):
    once = steady(cell("a.b", "x", "FAIL", actual=text))
    assert once["actual"] == (text if kept is None else kept)
    assert steady(once) == once


def test_one_thing_has_one_number_in_expected_and_actual():
    found = steady(cell("a.b", "x", "FAIL", expected="b" * 64, actual=f"{'c' * 64} {'b' * 64}"))
    assert (found["expected"], found["actual"]) == ("<id-1>", "<id-2> <id-1>")


@pytest.mark.parametrize(
    ("name", "version", "file"),
    [
        ("docker-20.10", "20.10.24+dfsg1", "docker-20.10.24+dfsg1.json"),
        ("reference", "20.10.24+netinit", "reference-20.10.24+netinit.json"),
        ("unix:///run/my.sock", "28.5.2", "unix-run-my.sock-28.5.2.json"),
    ],
)
def test_name_of_the_file(name, version, file):
    assert evidence_name({"name": name, "version": version}) == file


def test_part_of_the_rows_is_no_evidence():
    with pytest.raises(DocumentError, match=r"1 are not in it: a\.c"):
        split_report(run_of_two(), ["a.b", "a.c"])


def test_error_of_the_harness_is_no_evidence(tmp_path):
    document = run_of_two()
    document["results"][0]["verdict"] = "error"
    with pytest.raises(DocumentError, match=r"a\.b on docker-1\.2"):
        write_evidence([run_of_two(), document], ["a.b"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_engine_that_is_not_in_engines_toml_is_no_evidence():
    document = run_of_two()
    document["engines"][1]["origin"] = "built-1a2b3c"
    with pytest.raises(DocumentError, match=r"engines in engines\.toml; podman-5\.8 is not"):
        split_report(document, ["a.b"])


def test_engine_that_never_came_up_is_no_evidence():
    document = run_of_two()
    document["engines"][0] = {"name": "docker-1.2", "spec": "docker"}
    with pytest.raises(DocumentError, match="never came up"):
        split_report(document, ["a.b"])


def test_newest_version_of_an_engine_is_its_column(tmp_path):
    older, newer = run_of_two(), run_of_two(started="2026-11-20T00:00:00+00:00")
    newer["engines"][1]["version"] = "5.8.10"  # newer as a version, though not as a text
    newer["results"][1]["verdict"] = "pass"
    written = write_evidence([newer, older], ["a.b"], tmp_path)
    assert len(written) == 3
    found = read_evidence(tmp_path)
    assert [engine["version"] for engine in found["engines"]] == ["1.2.3+dfsg1", "5.8.10"]
    assert [result["verdict"] for result in found["results"]] == ["pass", "pass"]


def test_columns_begin_with_the_reference(tmp_path):
    document = run_of_two()
    document["engines"][1] = document["engines"][1] | {
        "name": "reference",
        "version": "1.0",
        "family": "refimpl",
    }
    document["results"][1]["engine"] = "reference"
    write_evidence([document], ["a.b"], tmp_path)
    engines = read_evidence(tmp_path)["engines"]
    assert [engine["name"] for engine in engines] == ["reference", "docker-1.2"]


def test_evidence_can_be_rendered_as_any_report(tmp_path):
    write_evidence([run_of_two()], ["a.b"], tmp_path)
    assert "does not" in render_html(read_evidence(tmp_path))


def test_no_evidence_is_said(tmp_path):
    with pytest.raises(DocumentError, match="no evidence in"):
        read_evidence(tmp_path)


# ---------------------------------------------------------------------- pages


def test_pages_are_made_of_evidence(tmp_path):
    readme, docs = tmp_path / "README.md", tmp_path / "docs"
    docs.mkdir()
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    written = write_pages(run_of_two(), [], tmp_path)
    assert sorted(written) == sorted([readme, *docs.iterdir()])
    assert (docs / "regressions.md").read_text(encoding="utf-8").startswith("# Bugs")
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n| engine |")
    assert text.endswith(f"is in [the matrix](docs/matrix.md).\n\n{END}\nafter\n")
    assert "On 1 of the 1 rows at least one engine deviates" in text
    assert "old" not in text
    page = (docs / "matrix.md").read_text()
    assert "| `a.b` | ✓ | ~ |" in page
    assert "| `a` | 1 ✓ | 1 ~ |" in page
    assert "- ~ **podman-5.8**: does not; https://example.org/1\n" in page


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_page_without_its_markers_is_left_alone(text):
    with pytest.raises(DocumentError, match="needs one"):
        replace_between(text, "new")
