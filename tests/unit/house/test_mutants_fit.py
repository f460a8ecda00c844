"""Every planted defect still fits the source, so that a moved line is seen at once."""

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
