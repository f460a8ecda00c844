"""What is written of changes: advice and commands for who goes from one engine to another."""

import json

import pytest

from conformance.changes import (
    PODMAN_DIR,
    Change,
    ChangeError,
    changes_between,
    load_changes,
)
from conformance.registry import load_catalogue
from conformance.report.compare import compare_columns
from conformance.variants import groups_of
from tests.unit.conformance.test_compare import NEW, OLD, PLAIN, cells, run


@pytest.mark.parametrize("changes", [load_changes(), load_changes(PODMAN_DIR)])
def test_changes_are_those_of_behaviours(changes):
    assert set(changes) <= {group.id for group in groups_of(load_catalogue())}
    assert all(change.advice for change in changes.values())


@pytest.mark.parametrize(
    ("old", "new"), [("docker-20.10", "docker-28.5"), ("docker-28.5", "podman-6.1")]
)
def test_change_that_breaks_something_is_a_difference(old, new):
    found = json.loads(run(old, new, "--json")[1])["differences"]
    named = load_changes(PODMAN_DIR) if "podman" in new else load_changes()
    breaking = {id for id, change in named.items() if change.breaks}
    assert breaking == {one["behaviour"] for one in found if one["breaks"]}
    assert 15 < len(breaking) < 30


@pytest.mark.parametrize(
    ("first", "second", "folder"),
    [
        (("docker", "20.10"), ("docker", "28.5"), "docker"),
        (("refimpl", "20.10.24+netinit"), ("docker", "28.5"), "docker"),
        (("docker", "28.5"), ("docker", "20.10"), ""),
        (("docker", "28.5"), ("podman", "6.1"), "podman"),
        (("podman", "5.8"), ("podman", "6.1"), ""),
        (("podman", "6.1"), ("docker", "28.5"), ""),
        (("docker", "28.5"), ("docker", "none"), ""),
        (("docker", ""), ("mine", "6.1"), ""),
    ],
)
def test_advice_is_of_the_way_that_one_goes(first, second, folder):
    facts = [{"family": family, "version": version} for family, version in (first, second)]
    expected = {"docker": load_changes(), "podman": load_changes(PODMAN_DIR), "": {}}[folder]
    assert changes_between(*facts) == expected


def test_difference_says_how_to_see_it_and_what_to_do():
    changes = {"dns.x.new": Change(see="docker x", advice="Nothing.")}
    sides = cells(old="pass"), cells(new="pass")
    (found,) = compare_columns([OLD, NEW, PLAIN], *sides, changes).differences
    assert (found.see, found.advice) == ("docker x", "Nothing.")


@pytest.mark.parametrize(
    "text",
    [
        '["a.b"]\nsee = "x"',
        '["a.b"]\nsee = "x"\nhow = "y"',
        '["a.b"]\nsee = "x"\nadvice = "y"\nbreaks = "all"',
    ],
)
def test_change_that_is_described_wrongly_is_refused(tmp_path, text):
    (tmp_path / "some.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ChangeError, match=r"a\.b"):
        load_changes(tmp_path)
