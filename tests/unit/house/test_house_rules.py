"""The rules of the house that can be counted and that no linter counts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PYTHON = sorted(
    path
    for folder in ("refimpl", "conformance", "benchmarks", "ci", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

FUNCTION_LINES_MAX = 70  # a function fits a screen
FILE_LINES_MAX = 500


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # from `def` on: a table of parameters above it is read like a table
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_longer_than_a_screen():
    too_long = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path in PYTHON
        for name, lines in functions(path)
        if lines > FUNCTION_LINES_MAX
    ]
    assert too_long == []


def test_no_file_is_longer_than_a_reader_can_hold():
    too_long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in PYTHON
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    ]
    assert too_long == []


def test_no_module_is_called_after_nothing():
    nameless = {"utils", "helpers", "common", "misc"}
    assert [str(path) for path in PYTHON if path.stem in nameless] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_tox_environment_that_a_page_names_is_on_the_menu():
    menu = set(re.findall(r"^\[testenv:([\w-]+)\]", (ROOT / "tox.ini").read_text(), re.MULTILINE))
    named = {
        env
        for page in [*PAGES, ROOT / "ci" / "tox"]
        for asked in re.findall(r"tox (?:run )?-e ([\w,-]+)", page.read_text(encoding="utf-8"))
        for env in asked.split(",")
    }
    assert named, "the pages name no environment at all"
    assert named <= menu


def test_every_tox_environment_says_what_it_does():
    sections = (ROOT / "tox.ini").read_text().split("\n[testenv:")[1:]
    assert [text.split("]")[0] for text in sections if "\ndescription = " not in text] == []
