"""A report is outside input: each of its fields may be of any type, or missing.

Whatever it holds, it is refused as one, with the field named, or every reader can work with it.
"""

import copy
import functools
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from conformance.bisect import judge
from conformance.changes import is_upgrade
from conformance.cli import main
from conformance.compare import cells_of, facts_of
from conformance.impact.foretell import foretell
from conformance.impact.setup import Setup
from conformance.registry import Behaviour
from conformance.report.compare import compare_columns
from conformance.report.compared_html import render_comparison
from conformance.report.compared_text import markdown, plain
from conformance.report.diff import diff_documents, diff_markdown
from conformance.report.document import DocumentError, read_document, write_document
from conformance.report.evidence_update import updated
from conformance.report.grid import environment
from conformance.report.html import render_html
from conformance.report.junit import junit_text
from conformance.report.markdown import render_markdown
from conformance.report.merge import check_same_suite, merge_documents
from conformance.report.shape import ShapeError, check_report
from conformance.report.terminal import print_report
from conformance.site.build import files_of
from conformance.site.content import gather
from tests.unit.conformance.made_reports import cell, known, report

Document = dict[str, Any]
_environment = functools.cache(environment)
ROWS = [
    Behaviour(id="a.b.c", statement="It MUST be.", source="x", needs=("ipv6",)),
    Behaviour(id="a.b.d", statement="It MUST be.", source="x", docker=">=28.0"),
    Behaviour(id="a.b.e", statement="It MUST be.", source="x"),
]
GONE = object()
DEEP: Any = json.loads("[" * 200 + "]" * 200)
STRANGE: tuple[Any, ...] = (
    GONE, None, True, 0, -1, 7, 1.5, 10**400, float("inf"), "", "x", "\ud800", "\x1b[31m",
    "9" * 5000, [], [None], [[]], ["\ud800"], {}, {"a": 1}, {"a": "b"}, {"\ud800": "b"}, DEEP,
)  # fmt: skip


def whole(engine: str, version: str) -> Document:
    """Give a report that has every field."""
    told = {"reason": "it is", "expected": "a", "actual": "b", "log": "logs/a", "value": "v"}
    why = known("it is otherwise") | {"evidence": "e", "fails_at": ["links"], "values": ["v"]}
    made = report(
        cell("a.b.c", engine, "unsupported", **told),
        cell("a.b.d", engine, "known", **{**told, "expectation": why}),
        cell("a.b.e", engine, "FAIL", **told),
        unfinished="interrupted",
        python="3.11",
    )
    made["run"] |= {"sdk": {"docker": "7"}, "updates": [{"rows": 1, "revision": "abc"}]}
    made["engines"][0] |= {
        "family": "docker",
        "version": version,
        "promises": version,
        "newer_than_known": "1.1",
        "api_min": "1.12",
        "api_max": "1.41",
        "packages": {"docker.io": "1.2"},
        "capabilities": ["icc-option"],
        "start_command": ["dockerd", "-D"],
        "scores": {"core": {"passed": 1, "promised": 2}},
        "run": {**made["run"]},
        "host": {"kernel": "6.1", "distro": "Debian"},
    }
    made["behaviours"][0] |= {
        "tier": "core",
        "source": "s",
        "docker": ">=28.0",
        "api": ">=1.40",
        "needs": ["ipv6"],
        "bugs": ["moby#1"],
        "replaces": ["a.b.z"],
    }
    return made


OTHER = whole("other", "20.10")


def fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of each field of a report, at each depth."""
    if path:
        yield path
    if not isinstance(value, dict | list):
        return
    for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
        yield from fields(entry, (*path, key))


def with_field(path: tuple[Any, ...], value: Any) -> Document:
    made = whole("x", "28.5")
    place: Any = made
    for key in path[:-1]:
        place = place[key]
    if value is GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = copy.deepcopy(value)
    return made


def render_all(document: Document, folder: Path) -> None:
    written = [
        render_html(document, logs=folder),
        render_markdown(document),
        junit_text(document),
    ]
    console = Console(file=io.StringIO(), width=80)
    print_report(document, console, report_folder=str(folder))
    for text in (*written, console.file.getvalue()):  # type: ignore[attr-defined]
        (folder / "out").write_text(text, encoding="utf-8")


def compare_all(document: Document, folder: Path) -> None:
    del folder
    for engine in document["engines"]:
        columns = {engine["name"]: document, "other": OTHER}
        for first, second in ((engine["name"], "other"), ("other", engine["name"])):
            engines = facts_of(columns, first), facts_of(columns, second)
            cells = cells_of(columns, first), cells_of(columns, second)
            is_upgrade(*engines)
            found = compare_columns(ROWS, *cells, engines=engines)
            said = plain(found) + markdown(found) + render_comparison(found)
            json.dumps(found.to_json()).encode()
            said.encode()
            foretell(found.differences, ROWS, cells[1], Setup())


def site_of_all(document: Document, folder: Path) -> None:
    del folder
    merged = merge_documents([document, OTHER])
    for path, text in files_of(gather(merged, ROWS, {}, lambda *_: {})):
        (path + text).encode()


def merge_all(document: Document, folder: Path) -> None:
    check_same_suite([document, OTHER])
    write_document(merge_documents([document, OTHER]), folder / "merged.json")
    read_document(folder / "merged.json")


def diff_all(document: Document, folder: Path) -> None:
    del folder
    plain_one = whole("x", "28.5")
    for pair in ((document, plain_one), (plain_one, document)):
        diff_markdown(*pair).encode()
        json.dumps([change.to_json() for change in diff_documents(*pair)]).encode()


def judge_all(document: Document, folder: Path) -> None:
    del folder
    judge(document)


def update_all(document: Document, folder: Path) -> None:
    made = updated({"x": whole("x", "28.5")}, [document], ROWS)
    for one in made:
        write_document(one, folder / "updated.json")


READERS: dict[str, Callable[[Document, Path], None]] = {
    "render": render_all,
    "compare": compare_all,
    "site": site_of_all,
    "merge": merge_all,
    "diff": diff_all,
    "bisect": judge_all,
    "evidence": update_all,
}


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
    """Let the many sites of this file share their templates: to compile them takes the time."""
    monkeypatch.setattr("conformance.site.pages.environment", _environment)


PLACES = list(fields(whole("x", "28.5")))


def read(file: Path, document: Document) -> Document | str:
    """Write a report and read it again; give what is said where it is refused."""
    file.write_text(json.dumps(document))
    try:
        return read_document(file)
    except DocumentError as exc:
        return str(exc)


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_field_of_any_type_is_refused_or_read_by_everybody(tmp_path, path):
    for value in STRANGE:
        found = read(tmp_path / "strange.json", with_field(path, value))
        if isinstance(found, str):
            assert found.startswith(f"{tmp_path}/strange.json is n")
            assert len(found) < 1_000
            continue
        for name, reader in READERS.items():
            try:
                reader(found, tmp_path)
            except DocumentError:
                pass
            except Exception as exc:
                raise AssertionError(f"{name}, {'.'.join(map(str, path))} = {value!r}") from exc


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("engines", 0, "packages"), [], "engines[0].packages is no object"),
        (("engines", 0, "packages", "docker.io"), 1, "engines[0].packages.docker.io is no text"),
        (("engines", 0, "spec"), GONE, "engines[0] has no `spec`"),
        (("engines", 0, "name"), "a\x1b[31m", "engines[0].name has characters that cannot be pri"),
        (("engines", 0, "version"), "9" * 300, "engines[0].version has more than 200 characters"),
        (("engines", 0, "\x1b[31m"), float("nan"), r"engines[0].'\x1b[31m' is no number"),
        (("results", 2, "duration_s"), "1", "results[2].duration_s is no number from 0 to 1e+12"),
        (("results", 2, "duration_s"), 10**400, "results[2].duration_s is no number from 0 to"),
        (("results", 2, "verdict"), "good", "results[2].verdict is no verdict: 'good'"),
        (("results", 1, "expectation", "reason"), 1, "results[1].expectation.reason is no text"),
        (("results", 1, "reason"), "\ud800", "results[1].reason cannot be written as UTF-8"),
        (("results", 1, "behaviour"), "a.x", "a result of the row 'a.x', which is not in `beha"),
        (("behaviours", 1, "statement"), 7, "behaviours[1].statement is no text"),
        (("behaviours", 1, "tier"), "none", "behaviours[1].tier is no tier: 'none'"),
        (("run", "strange"), DEEP, "it has more than 32 levels"),
    ],
)
def test_refusal_names_the_field(tmp_path, path, value, said):
    file = tmp_path / "strange.json"
    assert f"{file} is no report: {said}" in read(file, with_field(path, value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(path=st.sampled_from(PLACES), value=JSON)
@settings(deadline=None, max_examples=60)
def test_any_value_anywhere_is_refused_or_can_be_written_again(path, value):
    document = with_field(path, value)
    try:
        check_report(document)
    except ShapeError:
        return
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("engines", 0, "packages"), ["a"]),
        (("results", 2, "duration_s"), "long"),
        (("behaviours", 0, "statement"), 7),
    ],
)
def test_every_command_refuses_a_strange_report_in_one_line(tmp_path, path, value):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(OTHER))
    bad.write_text(json.dumps(with_field(path, value)))
    for words in (
        ["render", bad],
        ["merge", bad, good, "-o", tmp_path / "out"],
        ["diff", good, bad],
        ["compare", "x", "other", "--report", bad, "--report", good],
        ["impact", "--inspect", "-", "--from", "x", "--to", "other", "--report", bad],
        ["site", tmp_path / "site", "--report", bad],
        ["run", "init.none.files", "--red-in", bad, "--report", tmp_path / "run"],
    ):
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert (done.exit_code, done.output.count("\n"), str(bad) in done.output) == (3, 1, True)
    assert not (tmp_path / "site").exists()


def test_free_text_steers_no_terminal(tmp_path):
    document = with_field(("results", 2, "reason"), "\x1b[31m\x9b1m")
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    print_report(document, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert "?[31m?1m" in printed
    assert not {"\x1b", "\x9b"} & set(printed)


def test_evidence_without_durations_and_logs_is_rendered_as_junit(tmp_path):
    document = whole("x", "28.5")
    for result in document["results"]:
        del result["duration_s"], result["log"]
    assert 'time="0.000"' in junit_text(document)
    render_all(document, tmp_path)
