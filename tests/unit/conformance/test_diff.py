"""What changed between two runs, on the terminal, as JSON and as a pull request's comment."""

import copy
import json

import pytest
from click.testing import CliRunner

from conformance.cli import main
from conformance.report.diff import diff_documents, diff_markdown, versions_changed
from conformance.report.document import write_document
from tests.unit.conformance.made_reports import cell, report


@pytest.fixture
def old():
    return report(
        cell("a.b", "x"),
        cell("a.c", "x", "FAIL"),
        cell("a.d", "x"),
        cell("a.e", "x", "error"),
        cell("a.f", "x"),
    )


@pytest.fixture
def new(old):
    document = copy.deepcopy(old)
    document["results"][0] |= {
        "verdict": "FAIL",
        "reason": "the *links*",
        "expected": '["lo"]',
        "actual": "`x`|",
    }
    document["results"][1] |= {"verdict": "pass"}
    document["results"][2] |= {
        "verdict": "known",
        "expectation": {"reason": "does not since 1.3"},
    }
    document["results"][3] |= {"verdict": "FAIL"}
    document["engines"][0] |= {"version": "1.3", "packages": {"lib": "2"}}
    return document


def test_markdown_tells_first_what_became_red(old, new):
    assert diff_markdown(old, new) == (
        "## Conformance: 1 red now, 1 not red any more, 2 changed otherwise\n"
        "\n"
        "Engines that changed themselves:\n"
        "\n"
        "- x lib: absent -\\> 2\n"
        "- x version: 1.2 -\\> 1.3\n"
        "\n"
        "### Red now\n"
        "\n"
        "- **x** `a.b`: ✓ pass → ✗ FAIL\n"
        "  - It MUST a.b.\n"
        "  - the \\*links\\*\n"
        '  - expected `["lo"]`, got `` `x`\\| ``\n'
        "\n"
        "### Not red any more\n"
        "\n"
        "| behaviour | engine | was | is | why |\n"
        "| --- | :-: | :-: | :-: | :-: |\n"
        "| `a.c` | x | ✗ FAIL | ✓ pass |  |\n"
        "\n"
        "<details>\n"
        "<summary>2 other changes</summary>\n"
        "\n"
        "| behaviour | engine | was | is | why |\n"
        "| --- | :-: | :-: | :-: | :-: |\n"
        "| `a.d` | x | ✓ pass | ~ known | does not since 1.3 |\n"
        "| `a.e` | x | E error | ✗ FAIL |  |\n"
        "\n"
        "</details>\n"
    )


def test_markdown_of_no_change_is_one_line(old):
    assert diff_markdown(old, old) == "## Conformance: nothing changed\n"


def test_red_cell_that_is_gone_is_not_called_better(old):
    new = copy.deepcopy(old)
    del new["results"][1]
    [change] = diff_documents(old, new)
    assert (change.new, change.is_better, change.is_worse) == ("absent", False, False)
    assert str(change) == "  x  a.c: FAIL -> absent"
    assert "1 in one of the runs only" in diff_markdown(old, new)


def test_markdown_names_engines_that_are_not_compared(old):
    new = copy.deepcopy(old)
    new["engines"].append({"name": "y", "spec": "y", "version": "1"})
    assert "Only in this run, and not compared: y." in diff_markdown(old, new)


def test_markdown_fits_a_comment_however_much_changed():
    told = {"reason": "*" * 999, "expected": "e" * 999, "actual": "a" * 999}
    pairs = [("pass", "FAIL"), ("FAIL", "pass"), ("pass", "known")]
    cells = [(cell(f"area.row-{n}", "engine"), pairs[n % 3]) for n in range(420)]
    old = report(*(item | {"verdict": was} for item, (was, _) in cells))
    new = report(*(item | {"verdict": now} | told for item, (_, now) in cells))
    text = diff_markdown(old, new)
    assert 30_000 < len(text) < 65_536
    assert text.count(" more: see the terminal's") == 3


def test_versions_that_stayed_are_not_told(old, new):
    assert versions_changed(old, old) == []
    assert versions_changed(new, old) == ["x lib: 2 -> absent", "x version: 1.3 -> 1.2"]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ([], "- x  a.b: pass -> FAIL\n"),
        (["--markdown"], "## Conformance: 1 red now"),
        (["--json"], '"reason": "the *links*"'),
    ],
)
def test_command_prints_the_difference_and_is_red(tmp_path, old, new, option, said):
    for name, document in (("old", old), ("new", new)):
        write_document(document, tmp_path / name / "conformance.json")
    folders = [str(tmp_path / "old"), str(tmp_path / "new" / "conformance.json")]
    result = CliRunner().invoke(main, ["diff", *folders, *option])
    assert said in result.output
    assert result.exit_code == 1
    assert CliRunner().invoke(main, ["diff", folders[0], folders[0], *option]).exit_code == 0


def test_json_is_json(tmp_path, old, new):
    for name, document in (("old", old), ("new", new)):
        write_document(document, tmp_path / f"{name}.json")
    words = ["diff", str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--json"]
    changes = json.loads(CliRunner().invoke(main, words).stdout)
    assert [change["behaviour"] for change in changes] == ["a.b", "a.c", "a.d", "a.e"]


def test_rows_that_only_one_run_has_are_counted_and_listed(tmp_path, old, new):
    few = copy.deepcopy(new)
    few["results"] = new["results"][:2]
    few["results"].append(cell("a.z", "x"))
    few["behaviours"].append({"id": "a.z"})
    for name, document in (("full", old), ("few", few)):
        write_document(document, tmp_path / f"{name}.json")
    full, part = (str(tmp_path / f"{name}.json") for name in ("full", "few"))
    result = CliRunner().invoke(main, ["diff", full, part])
    assert result.stdout.splitlines()[2:] == [
        "- x  a.b: pass -> FAIL",
        "+ x  a.c: FAIL -> pass",
        f"only in {full}: x  a.d: pass",
        f"only in {full}: x  a.e: error",
        f"only in {full}: x  a.f: pass",
        f"only in {part}: x  a.z: pass",
        f"2 of 2 cells differ; 3 are only in {full}; 1 are only in {part}",
    ]
    page = CliRunner().invoke(main, ["diff", full, part, "--markdown"]).stdout
    assert "4 in one of the runs only" in page.splitlines()[0]


def test_diff_without_a_cell_in_common_compares_nothing(tmp_path, old):
    new = report(cell("b.a", "x"))
    for name, document in (("old", old), ("new", new)):
        write_document(document, tmp_path / f"{name}.json")
    words = ["diff", str(tmp_path / "old.json"), str(tmp_path / "new.json")]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "nothing to compare" in result.output) == (3, True)


def test_one_form_of_a_difference_is_printed(tmp_path):
    result = CliRunner().invoke(main, ["diff", "a", "b", "--json", "--markdown"])
    assert (result.exit_code, "give one of" in result.output) == (3, True)
