"""The comparison sees what differs, and nothing else; an entry accepts only what it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential.compare import Accepted, AcceptedEntry, differences, report


def places(docker: object, reference: object) -> list[str]:
    return [difference.place for difference in differences(docker, reference)]


@pytest.mark.parametrize(
    ("docker", "reference", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a/b/1"]),
        ({"a": 1}, {}, ["a"]),
        ({}, {"a": None}, ["a"]),
        ({"a": []}, {"a": None}, ["a"]),
        ({"a": [1]}, {"a": [1, 2]}, ["a"]),
        ([["x"], ["y"]], [["y"], ["x"]], ["0/0", "1/0"]),
        # equal in Python, not in JSON
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": 0}, {"a": 0.0}, ["a"]),
        ({"a": ""}, {"a": None}, ["a"]),
    ],
)
def test_every_difference_is_found_where_it_is(docker, reference, found):
    assert places(docker, reference) == found


@pytest.mark.parametrize(
    ("path", "scenario", "covers"),
    [
        ("a/b/c", "one", True),
        ("a/*/c", "*", True),
        ("a/b*/c", "o*", True),
        ("**", "*", True),
        ("**/c", "*", True),
        ("a/**/c", "*", True),
        ("a/b/c/**", "*", True),
        ("a/b", "*", False),
        ("a/*", "*", False),
        ("b/**", "*", False),
        ("a/b/c", "other", False),
    ],
)
def test_an_entry_covers_its_path_in_its_scenario(path, scenario, covers):
    accepted = Accepted([AcceptedEntry(path, scenario, "a reason")])
    [difference] = differences({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}})
    assert (accepted.unexplained([difference], "one") == []) is covers
    assert (accepted.stale() == []) is covers


@pytest.mark.parametrize(
    "table",
    [
        'path = "a"\nscenario = "*"',
        'path = "a"\nscenario = "*"\nreason = " "',
        'path = "a"\nscenario = "*"\nreason = "r"\nsince = "now"',
    ],
)
def test_an_entry_without_a_reason_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "accepted.toml").write_text(f"[[accepted]]\n{table}\n")
    with pytest.raises(ValueError, match="want path, scenario and reason"):
        Accepted.load(tmp_path / "accepted.toml")


def test_the_report_shows_both_values_and_the_lines_that_differ():
    found = list(
        differences(
            {"ip": "10.0.0.2", "gone": 1, "hosts": "a\nb\nc\n"},
            {"ip": "10.0.0.3", "hosts": "a\nx\nc\n"},
        )
    )
    assert report(found) == (
        'ip\n    docker:    "10.0.0.2"\n    reference: "10.0.0.3"\n'
        "gone\n    docker:    1\n    reference: (absent)\n"
        "hosts\n    --- docker\n    +++ reference\n    @@ -1,3 +1,3 @@\n     a\n"
        "    -b\n    +x\n     c"
    )
    assert report(found, limit=1).endswith("\n... and 2 more")
