"""Can every row fail? All of them are run on engines that say yes to everything and do nothing."""

import json
import os
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from conformance.registry import load_catalogue
from conformance.runner import RunRequest, pytest_command
from tests.selftest.null_plugin import VARIANTS

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

GOLDEN = tomllib.loads(Path(__file__).with_name("null_engine.toml").read_text(encoding="utf-8"))
# an upgrade takes a second engine
CATALOGUE = {row.id: row for row in load_catalogue() if "upgrade-from" not in row.needs}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory) -> Mapping[str, dict[str, str]]:
    """Run everything once: what each row says, by variant; a failed row says "FAIL"."""
    folder = tmp_path_factory.mktemp("null")
    (folder / "expectations").mkdir()
    request = RunRequest(
        rows=list(CATALOGUE),
        engines=list(VARIANTS),
        report=folder,
        workers=len(VARIANTS),
        expectations=folder / "expectations",
    )
    command = [*pytest_command(request, "null"), "-p", "tests.selftest.null_plugin", "--tb=native"]
    root = str(Path(__file__).parents[2])
    subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": root},
        cwd=root,
        capture_output=True,
        timeout=500,
        check=False,
    )
    found: dict[str, dict[str, str]] = {row: {} for row in CATALOGUE}
    for cell in json.loads((folder / "conformance.json").read_text(encoding="utf-8"))["results"]:
        why = f": {cell['reason']}" if cell["verdict"] == "error" else ""
        found[cell["behaviour"]][cell["engine"]] = cell["verdict"] + why
    return found


def test_every_row_ran_on_every_variant(verdicts):
    missing = [row for row, said in verdicts.items() if said.keys() != VARIANTS.keys()]
    assert missing == []


def test_no_row_dies_of_an_error_of_the_harness(verdicts):
    """What an engine does not show or make is its failure: an assertion must say so."""
    dead = {
        row: said
        for row, said in verdicts.items()
        if any(word.startswith("error") for word in said.values())
    }
    assert dead == {}


def test_only_the_golden_list_passes(verdicts):
    passed = {
        row: sorted(variant for variant, word in said.items() if word == "pass")
        for row, said in verdicts.items()
    }
    wanted = {row: sorted(entry["passes_on"]) for row, entry in GOLDEN.items()}
    assert {row: on for row, on in passed.items() if on} == wanted


def test_golden_list_has_only_quirks_and_says_why():
    assert [row for row in GOLDEN if CATALOGUE[row].tier != "quirk"] == []
    assert [row for row, entry in GOLDEN.items() if len(entry["reason"]) < 20] == []
