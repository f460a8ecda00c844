import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from conformance import cli
from conformance.cli import main
from conformance.preflight import (
    RequestError,
    check_expectations,
    files_of,
    make_report_folder,
    select_rows,
    with_needs,
)
from conformance.registry import Behaviour
from conformance.report.terminal import print_report
from tests.unit.conformance.made_reports import cell, report

IDS = ["allocate.order.default-first", "init.none.files", "init.none.only-loopback"]


def test_rows_stand_in_the_files_that_their_modules_name(tmp_path):
    rows = [
        Behaviour(id=id, statement="It MUST.", source="-", function=f"conformance.behaviours.{at}")
        for id, at in (("a.one", "test_b:test_it"), ("a.two", "test_a:test_it"))
    ]
    every = files_of(rows, ["a.one", "a.two"], tmp_path)
    assert every == [tmp_path / "test_a.py", tmp_path / "test_b.py"]
    assert files_of(rows, ["a.one"], tmp_path) == [tmp_path / "test_b.py"]


def test_selection_keeps_the_order_and_no_pattern_means_all():
    assert select_rows(IDS, ["init.none", "allocate.*"]) == IDS
    assert select_rows(IDS, []) == IDS


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("init.none.file", "by: init.none.file; did you mean init.none.files"),
        ("init.nonee", "did you mean init.none"),
        ("something-else", "`list` shows them all"),
    ],
)
def test_typo_beside_a_pattern_that_is_right_is_not_overlooked(pattern, said):
    with pytest.raises(RequestError) as caught:
        select_rows(IDS, ["allocate", pattern])
    assert said in str(caught.value)


def test_folder_without_rows_is_said():
    with pytest.raises(RequestError, match="has none"):
        select_rows([], [])


def test_report_folder_is_made_and_left_empty(tmp_path):
    make_report_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/netinit-reports"])
def test_report_folder_that_cannot_be_is_refused_before_the_run(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="the report cannot be written to"):
        make_report_folder(tmp_path / place)


def test_expectations_of_any_family_are_read_before_the_run(tmp_path):
    (tmp_path / "docker.toml").write_text('[["init.none.files"]]\nexpected = "fail"\n')
    with pytest.raises(RequestError, match="a reason is required"):
        check_expectations(tmp_path)


def test_run_refuses_what_cannot_be_met_before_it_asks_for_an_engine(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "test_bad.py").write_text(
        "from conformance.registry import behaviour\n"
        "@behaviour('Bad', 'It MUST.', source='s')\n"
        "def test_it(): pass\n"
    )
    for words, said in (
        (["--report", f"{tmp_path}/file"], "the report cannot be written to"),
        (["--expectations", f"{tmp_path}/none"], "does not exist"),
        (["--behaviours", f"{tmp_path}/none"], "does not exist"),
        (["--behaviours", str(tmp_path)], "behaviour id 'Bad'"),
    ):
        result = CliRunner().invoke(main, ["run", "--engine", "nodocker", *words])
        assert (result.exit_code, said in result.output) == (3, True), result.output


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OSError("a defect"), 2)])
def test_what_goes_wrong_here_does_not_look_like_a_red_row(monkeypatch, error, code):
    def fail() -> None:
        raise error

    monkeypatch.setattr(cli, "load_catalogue", fail)
    assert CliRunner().invoke(main, ["list"]).exit_code == code


def test_terminal_without_the_signs_gets_plain_letters():
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    print_report(report(cell("init.none.files", "docker", "pass")), console)
    assert b". pass" in raw.getvalue()


@pytest.mark.parametrize(
    ("needs", "without", "found"),
    [
        (None, None, ["a.free", "a.own", "a.seen"]),
        ("own-daemon", None, ["a.own"]),
        (None, "own-daemon", ["a.free", "a.seen"]),
        ("host-view", "own-daemon", ["a.seen"]),
    ],
)
def test_rows_are_selected_by_what_they_need(needs, without, found):
    rows = [
        Behaviour(id=id, statement="It MUST.", source="x", needs=needs)
        for id, needs in (
            ("a.free", ()),
            ("a.own", ("host-view", "own-daemon")),
            ("a.seen", ("host-view",)),
        )
    ]
    ids = [row.id for row in rows]
    assert with_needs(rows, ids, needs=needs, without=without) == found
    with pytest.raises(RequestError, match="no capability is called odd"):
        with_needs(rows, ids, needs="odd", without=None)
    with pytest.raises(RequestError, match="no row that is selected needs own-daemon"):
        with_needs(rows, ["a.free"], needs="own-daemon", without=None)
