"""`conformance merge`: the reports of jobs that ran an engine each become one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conformance.cli import main


def write_report(folder: Path, engine: str, verdict: str = "pass", **more: Any) -> Path:
    """Write a report of one row on one engine, with the log of a red cell."""
    row = {"id": "init.x", "statement": "It MUST.", "source": "seed", "level": "MUST"}
    log = "" if verdict == "pass" else f"logs/{engine}/init.x"
    cell = {"behaviour": "init.x", "engine": engine, "verdict": verdict, "duration_s": 1.0}
    cell |= {"reason": "", "expected": "1", "actual": "2", "expectation": None, "log": log}
    times = {"started": "2026-11-24T12:00:00+00:00", "ended": "2026-11-24T12:01:00+00:00"}
    document = {
        "schema_version": 1,
        "run": {**times, "version": "0.1.0", "revision": "abc"},
        "host": {"kernel": "6.1", "distro": "Debian", "cgroup": "v2"},
        "engines": [{"name": engine, "spec": engine, "family": "docker", "version": "20.10.24"}],
        "behaviours": [row],
        "results": [cell],
        **more,
    }
    (folder / log).mkdir(parents=True)
    if log:
        (folder / log / "row.log").write_text("what it did")
    (folder / "conformance.json").write_text(json.dumps(document))
    return folder


def merge(*words: object) -> Result:
    return CliRunner().invoke(main, ["merge", *(str(word) for word in words)])


def test_merged_report_has_all_columns_the_logs_and_the_worst_exit_code(tmp_path):
    good = write_report(tmp_path / "good", "docker-20.10")
    bad = write_report(tmp_path / "bad", "docker-26.1", "FAIL")
    done = merge(good, bad / "conformance.json", "-o", tmp_path / "all")
    assert done.exit_code == 1
    lines = done.output.splitlines()[-4:]
    assert lines[1:3] == [
        "docker-20.10     -       1/1      -",
        "docker-26.1      -       0/1      -  1 FAIL",
    ]
    document = json.loads((tmp_path / "all/conformance.json").read_text())
    assert [engine["name"] for engine in document["engines"]] == ["docker-20.10", "docker-26.1"]
    assert (tmp_path / "all/logs/docker-26.1/init.x/row.log").read_text() == "what it did"
    suites = (tmp_path / "all/conformance.xml").read_text().count("<testsuite ")
    assert (suites, (tmp_path / "all/conformance.md").exists()) == (2, True)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"id": "init.y", "statement": "It MUST."}, "not all reports have the rows init.x, init.y"),
        ({"id": "init.x", "statement": "It MAY."}, "mean different things by init.x"),
    ],
    ids=["another row", "another statement"],
)
def test_reports_of_different_suites_are_refused(tmp_path, row, complaint):
    one = write_report(tmp_path / "one", "a")
    other = write_report(tmp_path / "other", "b", behaviours=[row], results=[])
    done = merge(one, other, "-o", tmp_path / "all")
    assert (done.exit_code, complaint in done.output) == (3, True)
    assert not (tmp_path / "all").exists()


def test_two_reports_of_one_engine_are_refused(tmp_path):
    reports = [write_report(tmp_path / name, "a") for name in ("one", "two")]
    done = merge(*reports, "-o", tmp_path / "all")
    assert (done.exit_code, "more than one report has the engine a" in done.output) == (3, True)


def test_nothing_to_merge_is_a_usage_error(tmp_path):
    assert merge("-o", tmp_path / "all").exit_code == 3
    assert merge(tmp_path / "missing", "-o", tmp_path / "all").exit_code == 3


@pytest.mark.parametrize(
    ("place", "is_folder"),
    [
        ("parent", False),
        ("parent/all", False),
        ("parent/all/logs", False),
        ("parent/all/logs/docker-26.1/init.x", False),
        ("parent/all/conformance.json", True),
    ],
)
def test_a_report_that_cannot_be_written_is_one_line_and_a_usage_error(tmp_path, place, is_folder):
    bad = write_report(tmp_path / "bad", "docker-26.1", "FAIL")
    in_the_way, out = tmp_path / place, tmp_path / "parent/all"
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        in_the_way.mkdir()
    else:
        in_the_way.write_text("mine")
    done = merge(bad, "-o", out)
    assert done.exit_code == 3
    [line] = done.output.splitlines()
    assert line.startswith(f"Error: the report cannot be written to {out}: ")
    assert line.endswith("; -o names another folder")


def test_folders_on_the_way_to_the_report_are_made(tmp_path):
    good = write_report(tmp_path / "good", "docker-20.10")
    assert merge(good, "-o", tmp_path / "a/b/c").exit_code == 0
    assert (tmp_path / "a/b/c/conformance.json").is_file()
