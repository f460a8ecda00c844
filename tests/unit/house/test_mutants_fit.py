"""Every planted defect fits the source, and every row that ought to has one."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]
EVIDENCE = next((ROOT / "conformance" / "results").glob("reference-*.json"))
TIERS = {"core", "contract"}
NO_MUTANT: dict[str, str] = {}
"""Rows that no defect of the reference can turn red, and why."""


@pytest.fixture(scope="module")
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutants_run", ROOT / "ci" / "mutants" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mutants(program):
    return program.load(sorted(program.TABLES.glob("*.toml")))


def test_each_defect_fits_its_files(program, mutants, tmp_path):
    misfits = []
    for mutant in mutants:
        for file, *_ in mutant.edits:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, tmp_path / file)
        try:
            program.plant(mutant.edits, tmp_path)
        except program.Misfit as misfit:
            misfits.append(f"{mutant.name}: {misfit}")
    assert misfits == []


@pytest.mark.parametrize(
    ("find", "replace", "reason"),
    [
        ("two", "three", "0 times"),
        ("one", "three", "2 times"),
        ("    return one\n", "    one += 1\n        return one\n", "is not Python"),
    ],
)
def test_defect_that_does_not_fit_is_refused(program, tmp_path, find, replace, reason):
    (tmp_path / "a.py").write_text("def a(one):\n    return one\n", encoding="utf-8")
    with pytest.raises(program.Misfit, match=reason):
        program.plant([("a.py", find, replace)], tmp_path)


def test_each_core_and_contract_row_that_passes_has_a_mutant(mutants):
    report = json.loads(EVIDENCE.read_text(encoding="utf-8"))
    tiers = {row["id"]: row["tier"] for row in report["behaviours"]}
    passed = {one["behaviour"] for one in report["results"] if one["verdict"] == "pass"}
    ought = {row for row in passed if tiers[row] in TIERS}
    have = {row for mutant in mutants for row in mutant.rows}
    assert sorted(ought - have - set(NO_MUTANT)) == []
    assert sorted(set(NO_MUTANT) & have) == []


def test_only_the_reference_is_edited(mutants):
    assert [
        one.name for one in mutants if any(file[:8] != "refimpl/" for file, *_ in one.edits)
    ] == []


def test_the_same_seed_draws_the_same_defects(program, mutants):
    drawn = program.draw(mutants, 20, "a seed")
    assert drawn == program.draw(mutants, 20, "a seed") != program.draw(mutants, 20, "another")
    assert len(drawn) == 20
    assert program.draw(mutants, len(mutants), "a seed") == mutants


def test_what_a_change_touches_is_drawn_first(program, mutants):
    first = [mutant.name for mutant in mutants[::40]]
    drawn = program.draw(mutants, len(first) + 5, "a seed", first)
    assert len(drawn) == len(first) + 5
    assert {mutant.name for mutant in drawn} >= set(first)
    few = program.draw(mutants, 3, "a seed", first)
    assert {mutant.name for mutant in few} < set(first)


def test_change_touches_the_defects_of_its_files(program, mutants, monkeypatch):
    rows = program.load_catalogue()
    table = "ci/mutants/reach.toml"

    def git(*words):
        if words[0] == "diff":
            return f"refimpl/limits.py\nconformance/behaviours/test_links.py\n{table}\n"
        before = (ROOT / table).read_text(encoding="utf-8")
        return before.replace("reach.peer.mtu", "reach.peer.mtu:before")

    monkeypatch.setattr(program, "git", git)
    touched = program.touched_by("HEAD~", mutants, rows)
    assert "dns.forward.silence-blocks-nobody" in touched  # it edits limits.py
    here = {row.id for row in rows if row.function.startswith("conformance.behaviours.test_links:")}
    assert {one.name for one in mutants if here & set(one.rows)} <= set(touched)
    assert "reach.peer.mtu" in touched  # the change adds it
    assert "reach.peer.by-name" not in touched


def test_revision_that_is_not_in_the_clone_touches_nothing(program, mutants):
    assert program.touched_by("no-such-revision", mutants, []) == []


def test_equal_defects_share_a_copy(program):
    edit = (("refimpl/limits.py", "1", "2"),)
    made = [
        program.Mutant(name=f"a.row-{letter}", edits=edit, rows=(f"a.row-{letter}",), tests=())
        for letter in "abcdefghijklmno"
    ]
    other = program.Mutant(name="b.row", edits=(), rows=("b.row",), tests=("tests/a.py",))
    batches = program.group([*made, other])
    assert [len(batch.rows) for batch in batches] == [program.ROWS_PER_ENGINE, 3, 1, 0]
    assert sorted(row for batch in batches for row in batch.rows if row != "b.row") == sorted(
        mutant.name for mutant in made
    )


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (("FAIL", "FAIL"), "killed"),
        (("FAIL", "non-strict"), "killed"),
        (("FAIL", "pass"), "SURVIVED"),
        (("unsupported", "FAIL"), "SURVIVED"),
        (("error", "FAIL"), "BROKEN"),
    ],
)
def test_defect_is_killed_when_each_of_its_rows_notices(program, said, verdict):
    mutant = program.Mutant(name="a.one", edits=(), rows=("a.one", "a.two"), tests=())
    found = {row: program.Finding(one) for row, one in zip(mutant.rows, said, strict=True)}
    assert program.verdict_on(mutant, found)[0] == verdict
    del found["a.two"]
    assert program.verdict_on(mutant, found) is None


def test_rows_after_one_that_spoilt_its_engine_get_a_new_one(program, monkeypatch, tmp_path):
    said = {
        "a.one": {"verdict": "FAIL", "reason": "the address"},
        "a.two": {"verdict": "FAIL", "reason": "what the row left behind"},
        "a.three": {"verdict": "pass", "reason": ""},
        "a.four": {"verdict": "error", "reason": "it broke"},
        "a.five": {"verdict": "pass", "reason": ""},
    }
    engines = []

    def run_engine(rows, _tree):
        engines.append(list(rows))
        return [{"behaviour": row, **said[row]} for row in rows], ""

    bench = program.Bench(tmp_path, [])
    monkeypatch.setattr(bench, "_run_engine", run_engine)
    found = bench._run_rows(list(said), tmp_path)
    assert {row: one.verdict for row, one in found.items()} == {
        row: one["verdict"] for row, one in said.items()
    }
    every = list(said)
    assert engines == [every, every[2:], every[4:]]
