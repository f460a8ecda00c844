"""The page, Markdown, merging and the matrix that both are drawn from."""

import re

import pytest

from conformance.registry import Tier
from conformance.report.document import DocumentError
from conformance.report.html import Budget, render_html
from conformance.report.markdown import areas_table, literal, render_markdown, text
from conformance.report.matrix import matrix_of
from conformance.report.merge import merge_documents
from conformance.report.score import Score
from tests.unit.conformance.made_reports import cell, known, report

# ----------------------------------------------------------------------------------- matrix


def test_areas_of_one_or_two_rows_go_under_their_first_word():
    rows = ["init.none.a", "init.none.b", "init.none.c", "init.rare.d", "events.start.e"]
    areas = matrix_of(report(*(cell(row, "x") for row in rows))).areas
    assert [(area.name, [row.name for row in area.rows]) for area in areas] == [
        ("events", ["start.e"]),
        ("init", ["rare.d"]),
        ("init.none", ["a", "b", "c"]),
    ]


def test_cell_that_a_run_does_not_have_is_neither_pass_nor_failure():
    matrix = matrix_of(report(cell("a.b", "x"), cell("a.c", "y", "FAIL")))
    missing = matrix.rows[0].cells[1]
    assert (missing.verdict, missing.look.symbol, missing.is_deviation) == (None, "·", False)
    contract = [column.scores[Tier.CONTRACT] for column in matrix.columns]
    assert contract == [Score(passed=1, promised=1), Score(passed=0, promised=1)]


def test_expected_deviation_is_no_pass_and_what_is_not_promised_does_not_count():
    verdicts = ["pass", "FIXED", "known", "non-strict", "FAIL", "error", "unsupported", "n/a"]
    cells = [cell(f"a.{v.replace('/', '')}".lower(), "x", v) for v in verdicts]
    scores = matrix_of(report(*cells)).columns[0].scores
    assert scores[Tier.CONTRACT] == Score(passed=2, promised=7)


def test_each_tier_has_a_score_of_its_own():
    document = report(cell("a.b", "x"), cell("a.c", "x", "known"), cell("a.d", "x", "n/a"))
    for row, tier in zip(document["behaviours"], ("core", "quirk", "quirk"), strict=True):
        row["tier"] = tier
    scores = matrix_of(document).columns[0].scores
    assert {tier.value: str(score) for tier, score in scores.items()} == {
        "core": "1/1",
        "contract": "-",
        "quirk": "0/1",
    }


@pytest.mark.parametrize(
    ("verdict", "is_notable", "is_deviation"),
    [("pass", False, False), ("n/a", True, False), ("unsupported", True, False)]
    + [(verdict, True, True) for verdict in ("known", "FAIL", "FIXED", "non-strict", "error")],
)
def test_only_what_an_engine_was_asked_is_a_deviation(verdict, is_notable, is_deviation):
    found = matrix_of(report(cell("a.b", "x", verdict))).rows[0].cells[0]
    assert (found.is_notable, found.is_deviation) == (is_notable, is_deviation)


# ----------------------------------------------------------------------------------- html


def test_page_escapes_whatever_an_engine_prints():
    page = render_html(
        report(cell("a.b", "<i>x</i>", "FAIL", reason="</script><b>", actual="'&\""))
    )
    assert "</script><b>" not in page
    assert "<i>x</i>" not in page
    assert "&lt;/script&gt;&lt;b&gt;" in page


@pytest.mark.parametrize(
    ("statement", "written"),
    [
        ("`a<b>` MUST", "<code>a&lt;b&gt;</code> MUST"),
        ("odd ` <i>", "odd ` &lt;i&gt;"),
    ],
)
def test_statement_has_its_code_and_no_markup_of_its_own(statement, written):
    document = report(cell("a.b", "x"))
    document["behaviours"][0]["statement"] = statement
    assert f'<p class="statement">{written}</p>' in render_html(document)


def test_page_needs_nothing_else():
    page = render_html(report(cell("a.b", "x")))
    assert re.findall(r"""(?:src|href)=["']?(?!#|data:,)([^"' >]+)""", page) == []
    assert not re.search(r"@import|url\(", page)


def test_page_of_an_engine_that_never_came_up():
    document = report(cell("a.b", "x", "error", reason="did not come up"))
    document["engines"] = [{"name": "x", "spec": "x"}]
    document["behaviours"] = [{"id": "a.b"}]
    assert "did not come up" in render_html(document)


def test_page_says_what_an_engine_is_held_to():
    document = report(cell("a.b", "x"))
    document["engines"][0] |= {"promises": "20.10.24", "newer_than_known": "1.1"}
    page = render_html(document)
    assert "held to Docker 20.10.24" in page
    assert "newer than 1.1, the last that was known" in page
    document["engines"][0] |= {"promises": "1.2", "newer_than_known": ""}
    assert "held to" not in render_html(document)
    assert "newer than" not in render_html(document)


def test_page_stays_below_a_megabyte_whatever_it_is_to_tell(tmp_path):
    rows, engines = [f"area.row-{n}" for n in range(140)], [f"engine-{n}" for n in range(6)]
    text = "<&'\">" * 2000
    cells = [
        cell(row, engine, "FAIL", reason=text, expected=text, actual=text, log=f"logs/{engine}")
        for row in rows
        for engine in engines
    ]
    for engine in engines:
        (tmp_path / "logs" / engine).mkdir(parents=True)
        (tmp_path / "logs" / engine / "row.log").write_text(text)
    page = render_html(report(*cells), logs=tmp_path)
    assert 500_000 < len(page.encode()) < 1_000_000
    assert "Left out to keep this page small" in page


def test_worst_cells_are_told_first_when_room_runs_out():
    many = [cell(f"a.r{n}", "x", "non-strict", reason="y" * 1500) for n in range(300)]
    page = render_html(report(*many, cell("z.last", "x", "FAIL", reason="what matters")))
    assert "what matters" in page


def test_budget_counts_bytes_as_they_will_stand_on_the_page():
    budget = Budget(10)
    assert budget.spend("<", "<")  # &lt;&lt; are 8
    assert not budget.spend("abc")
    assert not budget.spend("ab", markup_bytes=1)
    assert budget.spend("ab")
    assert not budget.spend("a")


def test_log_outside_of_the_report_is_not_read(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "row.log").write_text("secret words")
    (tmp_path / "report").mkdir()
    document = report(cell("a.b", "x", "FAIL", log="../secret"))
    assert "secret words" not in render_html(document, logs=tmp_path / "report")
    document["results"][0]["log"] = "secret"
    assert "secret words" in render_html(document, logs=tmp_path)


def test_log_files_are_linked_from_where_the_page_is(tmp_path):
    place = tmp_path / "logs" / "a b"
    place.mkdir(parents=True)
    (place / "engine.log").write_text("")
    document = report(cell("a.b", "x", "FAIL", log="logs/a b"))
    page = render_html(document, logs=tmp_path, base="../reports/")
    assert 'href="../reports/logs/a%20b/engine.log"' in page


# ----------------------------------------------------------------------------------- markdown


def test_markdown_has_every_row_and_tells_the_deviations():
    document = report(
        cell("a.b", "x"),
        cell("a.b", "y", "known", expectation=known("does not | why"), expected="1"),
        cell("a.c", "x", "FAIL", reason="the links", expected="`1`", actual="2"),
        cell("a.c", "y", "n/a", reason="promised by Docker <28"),
    )
    assert render_markdown(document) == (
        "## netinit conformance matrix\n"
        "\n"
        "Suite abc of 2026-11-24.\n"
        "\n"
        "| engine | version | core | contract | quirk | ~ | ✗ | - |\n"
        "| --- | :-: | :-: | :-: | :-: | :-: | :-: | :-: |\n"
        "| x | 1.2 | - | 1/2 | - |  | 1 |  |\n"
        "| y | 1.2 | - | 0/1 | - | 1 |  | 1 |\n"
        "\n"
        "Core, contract, quirk: rows that pass of those the engine promises; then the rest.\n"
        "Legend: ✓ pass · ~ known deviation · ✗ new failure · - not promised\n"
        "\n"
        "| behaviour | x | y |\n"
        "| --- | :-: | :-: |\n"
        "| `a.b` | ✓ | ~ |\n"
        "| `a.c` | ✗ | - |\n"
        "\n"
        "### Where an engine deviates\n"
        "\n"
        "`a.b`: It MUST a.b.\n"
        "\n"
        "- ~ **y**: does not \\| why; https://example.org/1\n"
        "\n"
        "`a.c`: It MUST a.c.\n"
        "\n"
        "- ✗ **x**: the links; expected `` `1` ``, got `2`\n"
    )


def test_markdown_of_a_perfect_run_says_so():
    assert "No engine deviates." in render_markdown(report(cell("a.b", "x")))


def test_markdown_fits_a_comment_however_much_there_is_to_tell():
    cells = [
        cell(f"area.row-{n}", f"e{m}", "FAIL", reason="r" * 999)
        for n in range(140)
        for m in range(5)
    ]
    assert len(render_markdown(report(*cells))) < 65_536


def test_area_counts():
    rows = [cell("a.b", "x"), cell("a.c", "x"), cell("a.d", "x", "known")]
    assert areas_table(matrix_of(report(*rows)))[2:] == ["| `a` | 2 ✓ 1 ~ |"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\n  b", "a b"),
        ("a*b_c<d>[e]|f", r"a\*b\_c\<d\>\[e\]\|f"),
        ("the `a_b|c` of *d", r"the `a_b\|c` of \*d"),
        ("odd ` tick *", r"odd \` tick \*"),
        ("x" * 400, "x" * 300 + " ..."),
    ],
)
def test_text_means_nothing_to_markdown_but_its_code(value, written):
    assert text(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [("", "`nothing`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a|b\nc", r"`a\|b c`")],
)
def test_literal_is_code_whatever_it_holds(value, written):
    assert literal(value) == written


# ----------------------------------------------------------------------------------- merge


def test_reports_of_one_engine_each_become_one_matrix():
    early = report(cell("a.b", "x"), cell("a.c", "x"))
    late = report(cell("a.b", "y", "FAIL"), started="2026-11-25T00:00:00+00:00", revision="def")
    late["run"]["ended"] = "2026-11-25T00:01:00+00:00"
    merged = merge_documents([early, late])
    assert [engine["name"] for engine in merged["engines"]] == ["x", "y"]
    assert merged["engines"][1]["run"]["revision"] == "def"
    assert merged["run"]["started"] == early["run"]["started"]
    assert merged["run"]["ended"] == late["run"]["ended"]
    assert "revision" not in merged["run"]
    assert merged["host"] == early["host"]
    assert [row["id"] for row in merged["behaviours"]] == ["a.b", "a.c"]
    assert [(r["behaviour"], r["engine"]) for r in merged["results"]] == [
        ("a.b", "x"),
        ("a.b", "y"),
        ("a.c", "x"),
    ]
    assert "suite def, 2026-11-25, kernel 6.1" in render_html(merged)
    assert "Suite 0.1.0 of 2026-11-24." in render_markdown(merged)


def test_one_report_stays_as_it_is():
    document = report(cell("a.b", "x"))
    assert merge_documents([document]) is document


def test_same_engine_twice_is_refused():
    with pytest.raises(DocumentError, match="more than one report has the engine x"):
        merge_documents([report(cell("a.b", "x")), report(cell("a.b", "x", "FAIL"))])


def test_page_of_two_machines_says_what_they_have_in_common_and_each_engine_the_rest():
    here, there = report(cell("init.a", "one")), report(cell("init.a", "two"))
    there["host"]["kernel"] = "7.0"
    for document in (here, there):
        document["host"]["machine"] = "x86_64"
    page = render_html(merge_documents([here, there]))
    assert "<dt>Kernel</dt>" not in page
    assert "<dt>Machine</dt><dd>x86_64</dd>" in page
    assert "kernel 6.1<" in page
    assert "kernel 7.0<" in page


def test_page_says_once_what_engines_lack():
    document = report(cell("init.a", "one", "unsupported"), cell("init.b", "one", "unsupported"))
    for row in document["behaviours"]:
        row["needs"] = ["icc-option", "<b>"]
    page = render_html(document)
    assert page.count("its daemon takes the option <code>icc</code>") == 1
    assert "one: 2" in page
    assert "<code>&lt;b&gt;</code>" in page
