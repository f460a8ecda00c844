from pathlib import Path

import pytest

from conformance.engines.settings import load_settings
from conformance.expectations import (
    ExpectationError,
    find_expectation,
    held_to_version,
    lint_expectations,
    load_expectations,
)
from conformance.registry import load_catalogue

GOOD = """
[["dns.x"]]
versions = "{versions}"
expected = "fail"
fails_at = "the answer"
reason = "does otherwise"
link = "https://example.org/1"
since = 2026-11-24
"""


def write(folder: Path, text: str, family: str = "docker") -> Path:
    (folder / f"{family}.toml").write_text(text, encoding="utf-8")
    return folder


def test_family_without_file_has_no_known_deviation(tmp_path):
    assert load_expectations("docker", folder=tmp_path) == []


@pytest.mark.parametrize(
    ("version", "is_known"), [("20.10.24+dfsg1", True), ("28.5.2+dfsg4", False)]
)
def test_entry_holds_for_its_versions_only(tmp_path, version, is_known):
    entries = load_expectations("docker", folder=write(tmp_path, GOOD.format(versions="<28")))
    found = find_expectation(entries, behaviour="dns.x", version=version)
    assert (found is not None) is is_known
    assert find_expectation(entries, behaviour="dns.y", version=version) is None


@pytest.mark.parametrize(
    ("version", "held_to", "newest"),
    [
        ("28.5.2+dfsg4", "28.5.2+dfsg4", ""),
        ("24.0.7", "24.0.7", ""),
        ("29.1.0", "28.5.2", "28.5.2"),
    ],
)
def test_newer_version_than_was_measured_is_held_to_the_newest(tmp_path, version, held_to, newest):
    folder = write(tmp_path, 'measured = ["20.10.24", "28.5.2"]\n' + GOOD)
    assert held_to_version("docker", version, folder=folder) == (held_to, newest)
    assert held_to_version("podman", version, folder=folder) == (version, "")


@pytest.mark.parametrize(
    ("values", "known"), [("", ["tcp", "udp", ""]), ('values = ["udp"]', ["udp"])]
)
def test_entry_holds_for_its_values_only(tmp_path, values, known):
    entries = load_expectations("docker", folder=write(tmp_path, GOOD.format(versions="") + values))
    for value in ("tcp", "udp", ""):
        found = find_expectation(entries, behaviour="dns.x", version="28.0", value=value)
        assert (found is not None) is (value in known)


def test_two_version_ranges_are_two_entries(tmp_path):
    text = GOOD.format(versions="<20") + GOOD.format(versions=">=28")
    entries = load_expectations("docker", folder=write(tmp_path, text))
    assert [entry.versions for entry in entries] == ["<20", ">=28"]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('expected = "fail"', 'expected = "error"', 'expected = "fail" is all'),
        ('expected = "fail"', "", 'expected = "fail" is all'),
        ('reason = "does otherwise"', "", "reason is required"),
        ('reason = "does otherwise"', 'reason = "TODO"', "reason is required"),
        ('link = "https://example.org/1"', "", "link or evidence is required"),
        ('fails_at = "the answer"', "", "fails_at is required"),
        ('fails_at = "the answer"', "fails_at = [1]", "fails_at: want a text or a list"),
        ("since = 2026-11-24", "since = 2026-11-24\nvalues = 6", "values: want a text or a list"),
        ("since = 2026-11-24", "", "since = YYYY-MM-DD"),
        ("since = 2026-11-24", 'since = "today"', "since = YYYY-MM-DD"),
        ('versions = "<28"', 'versions = "old ones"', "not a version condition"),
        ("since = 2026-11-24", "since = 2026-11-24\nflaky = true", "unknown key flaky"),
        ('[["dns.x"]]', '["dns.x"]', "a list of entries"),
        ('[["dns.x"]]', '[["dns.x"]', "docker.toml"),
    ],
)
def test_entry_that_breaks_a_rule_is_refused(tmp_path, old, new, complaint):
    text = GOOD.format(versions="<28").replace(old, new)
    with pytest.raises(ExpectationError, match=complaint):
        load_expectations("docker", folder=write(tmp_path, text))


def test_evidence_does_where_there_is_no_link(tmp_path):
    text = GOOD.format(versions="").replace("link = ", "evidence = ")
    assert load_expectations("docker", folder=write(tmp_path, text))[0].evidence


def test_lint_names_unknown_rows_families_and_doubles(tmp_path):
    write(tmp_path, GOOD.format(versions="") * 2)
    write(tmp_path, "", family="lxc")
    complaints = lint_expectations(["docker"], ["dns.y"], folder=tmp_path)
    assert complaints == [
        "docker.toml: dns.x: no such behaviour",
        "docker.toml: dns.x: no such behaviour",
        "docker.toml: dns.x: two entries for versions ''",
        "lxc.toml: no engine in engines.toml is of this family",
    ]


def test_the_projects_own_files_are_in_order():
    families = {settings.family for settings in load_settings().values()}
    assert lint_expectations(families, [row.id for row in load_catalogue()]) == []


def test_entry_stands_in_the_report(tmp_path):
    entry = load_expectations("docker", folder=write(tmp_path, GOOD.format(versions="<28")))[0]
    assert entry.to_json() == {
        "versions": "<28",
        "values": [],
        "fails_at": ["the answer"],
        "reason": "does otherwise",
        "link": "https://example.org/1",
        "evidence": "",
        "since": "2026-11-24",
    }


def test_entry_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(ExpectationError, match="an entry is a table"):
        load_expectations("docker", folder=write(tmp_path, '"dns.x" = ["fail"]'))


def test_lint_goes_on_past_a_broken_file(tmp_path):
    write(tmp_path, "[[")
    write(tmp_path, GOOD.format(versions=""), family="refimpl")
    complaints = lint_expectations(["docker", "refimpl"], [], folder=tmp_path)
    assert complaints[0].startswith("docker.toml: ")
    assert complaints[1:] == ["refimpl.toml: dns.x: no such behaviour"]
