"""The numbers of a comparison: each behaviour is in one of them."""

import json
from pathlib import Path

from click.testing import CliRunner

from conformance.cli import main
from conformance.registry import Behaviour, load_catalogue
from conformance.report.compare import compare_columns
from conformance.variants import groups_of
from tests.unit.conformance.made_reports import cell


def test_document_says_how_many_rows_and_behaviours_there_are():
    rows = load_catalogue()
    said = (Path(__file__).parents[3] / "docs" / "comparing.md").read_text(encoding="utf-8")
    assert f"{len(rows):,} rows are {len(groups_of(rows)):,} behaviours" in " ".join(said.split())


def test_every_behaviour_is_counted_once():
    catalogue = load_catalogue()
    for words in (("docker-20.10", "docker-28.5"), ("docker-28.5", "docker-20.10")):
        found = json.loads(CliRunner().invoke(main, ["compare", *words, "--json"]).stdout)
        parts = ("unknown", "unasked", "not_run", "unpromised", "upgrades", "differences")
        counted = sum(len(found[part]) for part in parts) + found["same"]
        assert counted == len(groups_of(catalogue))
    assert not found["upgrades"]


def test_what_is_left_out_of_a_comparison_is_said_with_its_reason():
    kept = Behaviour(id="upgrade.x", statement="x", source="x", needs=("upgrade-from",))
    other = Behaviour(id="init.z", statement="z", source="z")
    first = {"upgrade.x": cell("upgrade.x", "a", "n/a"), "init.z": cell("init.z", "a", "n/a")}
    second = {"upgrade.x": cell("upgrade.x", "b"), "init.z": cell("init.z", "b", "n/a")}
    found = compare_columns([kept, other], first, second)
    assert (found.unpromised, found.upgrades) == (("init.z",), ("upgrade.x",))
    assert "Of 1 nothing can be said: neither of the two promises them." in found.summary
    assert any("what an upgrade keeps" in said for said in found.summary)
