"""docs/differential.md lists what accepted.toml accepts, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from tests.differential.compare import Accepted

PAGE = Path(__file__).parents[3] / "docs" / "differential.md"


def test_the_page_lists_every_accepted_difference_in_order():
    rows = [
        f"| `{entry.path}` | `{entry.scenario}` | {entry.reason} |"
        for entry in Accepted.load().entries
    ]
    found = re.findall(r"^\| `.*\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found == rows, "copy into docs/differential.md:\n" + "\n".join(rows)


def test_every_entry_is_one_sentence_without_a_bar():
    for entry in Accepted.load().entries:
        assert "|" not in entry.path + entry.scenario + entry.reason
        assert "\n" not in entry.reason
