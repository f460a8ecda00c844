import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.bugs import BugError, find_bugs, load_bugs, url_of
from conformance.cli import main
from conformance.registry import load_catalogue

ROOT = Path(__file__).parents[3]
BUGS = load_bugs()
MUTANTS = {
    name: entry
    for table in sorted((ROOT / "ci" / "mutants").glob("*.toml"))
    for name, entry in tomllib.loads(table.read_text(encoding="utf-8")).items()
}


def showing(bug: str) -> list[str]:
    return [row.id for row in load_catalogue() if bug in row.bugs]


def planting(mutant: str) -> list[str]:
    return [name for name in MUTANTS if name.partition(":")[0] == mutant]


def test_every_bug_of_a_row_is_described():
    assert {bug for row in load_catalogue() for bug in row.bugs} <= set(BUGS)


def test_every_bug_has_a_row_or_says_why_not():
    assert [bug.id for bug in BUGS.values() if bool(showing(bug.id)) == bool(bug.no_row)] == []


def test_every_bug_is_planted_or_says_why_not():
    assert [
        bug.id for bug in BUGS.values() if bool(planting(bug.mutant)) == bool(bug.no_mutant)
    ] == []


def test_planted_bug_turns_a_row_red_that_names_it():
    wrong = [
        name
        for bug in BUGS.values()
        for name in planting(bug.mutant)
        if not set(MUTANTS[name].get("rows", ())) <= set(showing(bug.id))
    ]
    assert wrong == []


def write(folder: Path, text: str) -> Path:
    (folder / "some.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('["moby#1"]\narea = "dns"', "what"),
        ('["moby#1"]\narea = "dns"\nwhat = "It is."\nhow = "so"', "how"),
        ('["mobi#1"]\narea = "dns"\nwhat = "It is."', "want one of aardvark-dns"),
    ],
)
def test_bug_that_is_described_wrongly_is_refused(tmp_path, text, complaint):
    with pytest.raises(BugError, match=complaint):
        load_bugs(write(tmp_path, text))


@pytest.mark.parametrize(
    "also", ['"moby#1"', '"moby#2"', '"moby#3", "moby#3"'], ids=["itself", "another", "repeated"]
)
def test_id_that_stands_twice_is_refused(tmp_path, also):
    entry = '["moby#{}"]\narea = "dns"\nwhat = "It is."\nalso = [{}]\n'
    with pytest.raises(BugError, match=r"moby#1: moby#\d stands twice"):
        load_bugs(write(tmp_path, entry.format(1, also) + entry.format(2, "")))


def test_report_may_tell_of_two_bugs(tmp_path):
    entry = '["moby#{}"]\narea = "dns"\nwhat = "It is."\nalso = ["moby#3"]\n'
    bugs = load_bugs(write(tmp_path, entry.format(1) + entry.format(2)))
    assert list(bugs) == ["moby#1", "moby#2"]


def test_addresses_of_reports(tmp_path):
    text = """
["moby#1"]
area = "dns"
what = "It is."
["podman@4.4.0"]
area = "ports"
what = "It is."
"""
    issue, notes = load_bugs(write(tmp_path, text)).values()
    assert url_of(issue.id) == "https://github.com/moby/moby/issues/1"
    assert issue.mutant == "moby-1"
    assert url_of(notes.id) == "https://github.com/containers/podman/releases/tag/v4.4.0"
    assert notes.mutant == "podman-4.4.0"


def test_row_is_found_by_its_bug():
    bug = next(bug for bug in BUGS.values() if not bug.no_row)
    found = CliRunner().invoke(main, ["list", "--bug", bug.id])
    assert [line for line in found.output.splitlines() if line[:1] > " "][:-1] == showing(bug.id)
    assert bug in find_bugs(f" {bug.id.upper()}")


def test_report_of_several_bugs_finds_the_rows_of_all():
    found = CliRunner().invoke(main, ["list", "--bug", "moby#47211"])
    ids = {row for bug in find_bugs("moby#47211") for row in showing(bug.id)}
    assert len(find_bugs("moby#47211")) == 2
    assert ids <= set(found.output.splitlines())


def test_list_is_not_written_in_part():
    assert CliRunner().invoke(main, ["list", "--write", "--bug", "moby#45553"]).exit_code == 3


def test_bug_that_nobody_described_is_refused():
    refused = CliRunner().invoke(main, ["list", "--bug", "moby#1"])
    assert refused.exit_code == 3
    assert "no bug moby#1" in refused.output


def test_selection_that_does_not_show_the_bug_is_a_usage_error():
    result = CliRunner().invoke(main, ["list", "init.none", "--bug", "moby#46697"])
    assert result.exit_code == 3
    assert "no row that is selected shows moby#46697; it is shown by life." in result.output
