"""Every planted defect still fits the source, so that a moved line is seen at once."""

import importlib.util
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
EDITS = [
    (name, edit["file"], edit["find"])
    for table in sorted((ROOT / "ci" / "mutants").glob("*.toml"))
    for name, entry in tomllib.loads(table.read_text(encoding="utf-8")).items()
    for edit in entry.get("edits", [entry])
]


def test_each_text_to_replace_stands_once_in_its_file():
    sources = {file: (ROOT / file).read_text(encoding="utf-8") for _, file, _ in EDITS}
    misfits = [
        f"{name}: {file} has the text {sources[file].count(find)} times"
        for name, file, find in EDITS
        if sources[file].count(find) != 1
    ]
    assert misfits == []


def test_the_same_seed_draws_the_same_defects():
    spec = importlib.util.spec_from_file_location("mutants_run", ROOT / "ci" / "mutants" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = program  # its dataclass looks itself up
    spec.loader.exec_module(program)
    mutants = program.load(sorted(program.TABLES.glob("*.toml")))
    drawn = program.draw(mutants, 20, "a seed")
    assert drawn == program.draw(mutants, 20, "a seed") != program.draw(mutants, 20, "another")
    assert len(drawn) == 20
    assert program.draw(mutants, len(mutants), "a seed") == mutants
