"""A comparison for the terminal, as Markdown and as a page."""

import re
from typing import Any

import pytest
from click.testing import CliRunner

from conformance.changes import Breaks, Change
from conformance.cli import main
from conformance.registry import Behaviour
from conformance.report.compare import compare_columns
from conformance.report.compared_html import render_comparison
from conformance.report.compared_text import markdown, plain
from conformance.report.comparison import Comparison
from tests.unit.conformance.made_reports import cell, known

HOSTILE = "<script>alert(1)</script>\x1b[2J *x* [y](javascript:z)"
SEE = "docker run `x` | grep 'a*b' && echo <&1"


def _compared(reason: str = "It does not.", **facts: str) -> Comparison:
    rows = [
        Behaviour(id=id, statement=f"The `{id}` MUST be.", source="moby", bugs=("moby#1",))
        for id in ("init.a", "init.b", "init.c")
    ]
    first = {row.id: cell(row.id, "one", "pass") for row in rows}
    second = {row.id: cell(row.id, "two", "known") for row in rows}
    for id in ("init.a", "init.b"):
        second[id]["expectation"] = known(reason)
    second["init.c"]["expectation"] = known("Another.", link="javascript:alert(1)")
    changes = {"init.b": Change(see=SEE, advice="Do.", breaks=Breaks.SOME)}
    engines: tuple[dict[str, Any], dict[str, Any]] = (
        {"name": facts.get("one", "one"), "family": "docker"},
        {"name": facts.get("two", "two"), "family": "podman"},
    )
    return compare_columns(rows, first, second, changes, engines=engines)


def test_terminal_tells_a_reason_once_with_its_rows_under_it():
    lines = plain(_compared()).splitlines()
    assert lines[:10] == [
        "Whether containers and networks come up (3)",
        "",
        "  two: It does not. (2 behaviours)",
        "",
        "    init.b  [no longer, since Podman 1]",
        "      one: The `init.b` MUST be.",
        "      what to do: Do.",
        f"      see it: {SEE}",
        "      source: moby",
        "      told of in: https://example.org/1",
    ]
    assert lines.count("  init.c  [no longer, since Podman 1]") == 1
    assert lines[-4:] == [
        "What can stop a set-up, or open it to others (1):",
        "  init.b: It does not.",
        "",
        "two differs from one in 3 behaviours and does the same in 0.",
    ]


def test_markdown_tells_a_reason_once_and_the_command_as_it_is():
    page = markdown(_compared())
    assert page.startswith("# From one to two\n\ntwo differs from one in 3 behaviours")
    assert page.count("It does not.") == 2  # in the list of what breaks, and over its rows
    assert f"\n  ```sh\n  {SEE}\n  ```\n" in page
    assert "[moby\\#1](https://github.com/moby/moby/issues/1)" in page


def test_nothing_of_a_report_steers_the_terminal_or_the_pages():
    found = _compared(HOSTILE, one=HOSTILE, two="]" + HOSTILE)
    assert "\x1b" not in plain(found)
    assert "[y](" not in markdown(found)
    assert "<script" not in markdown(found).replace("\\<script", "")
    page = render_comparison(found)
    assert "<script" not in page
    assert 'href="javascript:' not in page


def test_page_is_one_file_and_every_link_in_it_leads_somewhere():
    page = render_comparison(_compared())
    assert re.findall(r'(?:src|href)="(?!#|data:,|https://)[^"]*"', page) == []
    assert "@import" not in page
    assert "url(" not in page
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert page.count("It does not.") == 2
    assert "docker run `x` | grep &#39;a*b&#39; &amp;&amp; echo &lt;&amp;1" in page


def test_page_of_no_difference_says_so():
    same = Comparison(first="a", second="b", differences=(), same=7, unknown=())
    page = render_comparison(same)
    assert "No behaviour differs." in page
    assert plain(same) == "b differs from a in 0 behaviours and does the same in 7."


@pytest.mark.parametrize("place", ["-", "page.html"])
def test_command_writes_the_page(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    words = ["compare", "docker-20.10", "docker-28.5", "--html", place]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    page = result.stdout if place == "-" else (tmp_path / place).read_text(encoding="utf-8")
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert page.count('<article class="compared-one') > 100
    refused = CliRunner().invoke(main, [*words[:-1], "no/such/folder.html"])
    assert (refused.exit_code, "cannot be written" in refused.output) == (3, True)
