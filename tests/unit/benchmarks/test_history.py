"""The history's files and its command line; no clock, no kernel, no statistics."""

import configparser
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cli import main
from benchmarks.gate.revisions import RevisionError, describe_commit, latest_commits
from benchmarks.history import cli
from benchmarks.history.lines import (
    ANCHORS,
    CPU,
    HISTORY,
    WALL,
    Anchor,
    HistoryError,
    Line,
    Ratio,
    append_line,
    read_anchors,
    read_lines,
    write_anchors,
)
from benchmarks.history.series import control_misses, control_of, make_series

CASE = "in-process-user"
OLD = Anchor(revision="a" * 40, since="2026-01-01", reason="the first")


def make_line(number=0, *, value=1.0, anchor=OLD.revision, cpu="model", control=1.0):
    figures = {CPU: Ratio(value, value - 0.1, value + 0.1), WALL: Ratio(2 * value, 0.1, 9.0)}
    same = Ratio(control, control - 0.01, control + 0.01)
    return Line(
        revision=f"{number:040x}",
        time=f"2026-01-{number + 1:02}T00:00:00+00:00",
        subject=f"Change number {number}",
        anchor=anchor,
        measured="2026-02-01T00:00:00+00:00",
        pairs=60,
        cases={CASE: figures},
        control={CASE: {CPU: same, WALL: same}},
        machine={"cpu": cpu},
    )


@pytest.fixture
def repository(tmp_path):
    """A clone with three commits, of which the first and the last touch the reference."""
    path = tmp_path / "clone"
    path.mkdir()

    def git(*arguments):
        who = ("-c", "user.name=n", "-c", "user.email=e")
        subprocess.run(["git", "-C", path, *who, *arguments], check=True, capture_output=True)

    git("init", "-q")
    for number, name in enumerate(("refimpl/a", "docs/b", "refimpl/c")):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("x")
        git("add", ".")
        git("commit", "-q", "-m", f"Commit {number}\n\nmore")
    return path


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "new" / "history.jsonl"
    lines = [make_line(0), replace(make_line(1), cases={}, control={}, failure="no refimpl")]
    for line in lines:
        append_line(path, line)
    assert read_lines(path) == lines
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '{"cases": {}, "control": {}, "more": 1}'])
def test_line_that_cannot_be_read_is_named(tmp_path, text):
    path = tmp_path / "history.jsonl"
    append_line(path, make_line())
    path.write_text(path.read_text() + text + "\n")
    with pytest.raises(HistoryError, match="line 2"):
        read_lines(path)


@pytest.mark.parametrize(
    "change",
    [
        {"machine": {}},
        {"time": 5},
        {"control": {}},
        {"cases": {CASE: {CPU: [1, 1, 1]}}},
        {"cases": {CASE: {CPU: [1, 1, 1], WALL: ["1", "1", "1"]}}},
        {"cases": {CASE: {CPU: [1, 1, 1], WALL: [float("nan"), 1, 1]}}},
    ],
)
def test_line_with_something_odd_in_it_is_named(tmp_path, change):
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps({**make_line().to_wire(), **change}) + "\n")
    with pytest.raises(HistoryError, match="line 1"):
        read_lines(path)


def test_history_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(HistoryError, match=r"history\.jsonl"):
        read_lines(path)


def test_own_history_and_anchors_can_be_read():
    anchors = {anchor.revision for anchor in read_anchors(ANCHORS)}
    assert {line.anchor for line in read_lines(HISTORY)} <= anchors
    assert all(len(anchor) == 40 for anchor in anchors)


def test_commits_that_touch_the_reference_come_oldest_first(repository):
    assert [each.subject for each in latest_commits(5, repository=repository)] == [
        "Commit 0",
        "Commit 2",
    ]
    assert [each.subject for each in latest_commits(1, repository=repository)] == ["Commit 2"]
    assert describe_commit("HEAD~1", repository=repository).subject == "Commit 1"
    assert describe_commit("HEAD", repository=repository).time.endswith("+00:00")
    with pytest.raises(RevisionError, match="no such commit"):
        describe_commit("nonsense", repository=repository)


def test_git_that_failed_for_another_reason_says_its_own_words(tmp_path):
    with pytest.raises(RevisionError, match=r"HEAD: git rev-parse: .*cannot change to"):
        describe_commit("HEAD", repository=tmp_path / "gone")


def test_git_in_tox_sees_who_called_sudo():
    # without it git refuses root a clone of somebody else, and the gate finds no revision
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(Path(__file__).parents[3] / "tox.ini")
    assert "SUDO_UID" in tox["testenv"]["pass_env"].split()


def test_series_are_in_commit_order_and_apart_by_processor_and_anchor():
    lines = [make_line(2, value=3.0), make_line(0), make_line(1, cpu="other")]
    lines += [make_line(3, anchor="b" * 40), replace(make_line(4), cases={}, failure="dead")]
    found = {(each.cpu, each.figure): each for each in make_series(lines, OLD.revision)}
    assert set(found) == {("model", CPU), ("model", WALL), ("other", CPU), ("other", WALL)}
    assert [point.ratio.value for point in found["model", CPU].points] == [1.0, 3.0]
    assert [point.ratio.value for point in found["model", WALL].points] == [2.0, 6.0]


def test_control_that_leaves_1_out_is_counted():
    lines = [make_line(0), make_line(1, control=1.2), make_line(2, control=0.9)]
    series = make_series(lines, OLD.revision)[0]
    assert control_misses(series) == 2
    assert [point.ratio.value for point in control_of(series).points] == [1.0, 1.2, 0.9]


@pytest.fixture
def anchors(tmp_path, monkeypatch):
    path = tmp_path / "anchor.json"
    write_anchors([OLD], path)
    monkeypatch.setattr(cli, "ANCHORS", path)
    return path


def test_new_anchor_keeps_those_before_it_and_is_none_twice(anchors, monkeypatch):
    monkeypatch.setattr(cli, "resolve", lambda _name: "b" * 40)
    call = ["history", "anchor", "v1", "--reason", "a release"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    assert [each["revision"][0] for each in json.loads(anchors.read_text())] == ["a", "b"]
    assert read_anchors(anchors)[-1].reason == "a release"
    assert CliRunner().invoke(main, call).exit_code == 3


def test_measuring_needs_root_and_a_known_revision(monkeypatch):
    assert CliRunner().invoke(main, ["history", "append", "nonsense"]).exit_code == 2
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    result = CliRunner().invoke(main, ["history", "replay", "1"])
    assert result.exit_code == 2
    assert "run it as root" in result.output


def test_report_without_otava_says_what_to_install(anchors, monkeypatch):
    monkeypatch.setitem(sys.modules, "otava", None)
    monkeypatch.delitem(sys.modules, "benchmarks.history.report", raising=False)
    monkeypatch.delitem(sys.modules, "benchmarks.history.steps", raising=False)
    result = CliRunner().invoke(main, ["history", "report"])
    assert result.exit_code == 2
    assert "pip install --group history" in result.output
