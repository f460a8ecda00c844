"""The commands that make something of reports that are there: render and evidence."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from conformance.cli import main
from conformance.report.document import write_document
from tests.unit.conformance.made_reports import cell, report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a run with one red cell."""
    place = tmp_path / "reports"
    red = cell("a.c", "x", "FAIL", reason="the links", log="logs/x/a.c")
    write_document(report(cell("a.b", "x"), red), place / "conformance.json")
    (place / "logs" / "x" / "a.c").mkdir(parents=True)
    (place / "logs" / "x" / "a.c" / "row.log").write_text("what the row did")
    return place


def render(*words: object) -> Result:
    return CliRunner().invoke(main, ["render", *map(str, words)])


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("html", "<!DOCTYPE html>"),
        ("markdown", "| `a.b` | ✓ |"),
        ("terminal", "x     -       1/2      -  1 FAIL\nexit 1"),
        ("junit", '<testsuite name="x" tests="2" failures="1"'),
    ],
)
def test_every_format_goes_to_stdout_or_a_file(folder, tmp_path, form, said):
    printed = render(folder, "--format", form)
    assert said in printed.output
    assert printed.exit_code == 0
    output = tmp_path / "out"
    assert render(folder / "conformance.json", "--format", form, "-o", output).output == ""
    assert said in output.read_text()


def test_page_elsewhere_still_finds_the_logs(folder, tmp_path):
    output = tmp_path / "pages" / "index.html"
    output.parent.mkdir()
    render(folder, "--format", "html", "-o", output)
    page = output.read_text()
    assert "what the row did" in page
    assert 'href="../reports/logs/x/a.c/row.log"' in page


def test_several_reports_are_one_matrix(folder, tmp_path):
    other = tmp_path / "other.json"
    write_document(report(cell("a.b", "y")), other)
    assert "| `a.b` | ✓ | ✓ |" in render(folder, other, "--format", "markdown").output
    junit = render(folder, other, "--format", "junit").output
    assert [suite.get("name") for suite in ET.fromstring(junit)] == ["x", "y"]


def test_what_cannot_be_rendered_is_a_usage_error(folder, tmp_path):
    for words, why in (
        ([], "no report is named"),
        ([tmp_path / "none.json"], "does not exist"),
        ([folder, folder], "more than one report has the engine x"),
    ):
        result = render(*words)
        assert (result.exit_code, why in result.output) == (3, True)


def test_part_of_the_rows_is_refused_as_evidence(folder):
    result = CliRunner().invoke(main, ["evidence", str(folder)])
    assert (result.exit_code, "evidence is a run of every row" in result.output) == (3, True)


@pytest.mark.parametrize("command", ["render", "diff", "compare"])
def test_file_that_cannot_be_written_is_one_clear_error(folder, tmp_path, command):
    output = str(tmp_path / "nope" / "x")
    words = {
        "render": [str(folder), "--format", "html", "-o", output],
        "diff": [str(folder), str(folder), "-o", output],
        "compare": ["docker-20.10", "docker-26.1", "--html", output],
    }[command]
    done = CliRunner().invoke(main, [command, *words])
    assert (done.exit_code, done.output.count("\n"), output in done.output) == (3, 1, True)


def test_full_disk_behind_stdout_is_one_line(folder):
    words = [sys.executable, "-m", "conformance", "render", str(folder), "--format", "junit"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        3,
        "Error: cannot be written: [Errno 28] No space left on device\n",
    )
