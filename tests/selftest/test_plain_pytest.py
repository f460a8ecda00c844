"""Rows under pytest as people call it: by hand, and by words after `run ... --`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT
from tests.selftest.deviant import Deviant

ROOT = Path(__file__).parents[2]
ROWS = Path(__file__).parent / "rows"
PLAIN = ("-m", "pytest", "-c", ROOT / "conformance/pytest.ini", "-p", "conformance.plugin")


def call(*words: Any) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )
    return done.returncode, done.stdout


@pytest.fixture
def deviant(tmp_path):
    """Somebody's engine on which no container runs; what a run left on record of it is removed."""
    with Deviant(tmp_path / "engine.sock", "never-runs") as engine:
        yield engine
    for record in WORKSPACE_ROOT.glob(f"{FOLDER_PREFIX}*/external-*.json"):
        if str(tmp_path) in record.read_text(encoding="utf-8"):
            record.unlink()
            record.parent.rmdir()


def test_pytest_finds_the_plugin_by_the_folder_alone():
    code, out = call("-m", "pytest", "conformance/behaviours/test_files.py", "--collect-only", "-q")
    assert (code, "[<reference><files.hostname.rewritten-at-start>]" in out) == (0, True), out


def test_an_engine_that_cannot_be_had_is_told_in_a_line():
    words = ("-m", "pytest", "conformance/behaviours/test_files.py")
    code, out = call(*words, "--engine", "nosuch")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert out.startswith("ERROR: no engine is called 'nosuch'; known: reference"), out
    code, out = call(*words, "--engine", "unix:///nowhere")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "there is no socket at /nowhere" in out
    assert "Traceback" not in out


def test_other_tests_beside_rows_are_refused_and_say_why():
    files = ("tests/unit/conformance/test_versions.py", "conformance/behaviours/test_files.py")
    code, out = call("-m", "pytest", *files, "-p", "no:randomly")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "other tests than rows are run by a pytest of their own" in out


def test_plain_run_fails_as_pytest_does_with_the_statement_beside_it(deviant):
    wanted = ("-k", "test_started_container_runs or created", "-x", "--durations=1")
    code, out = call(*PLAIN, ROWS, "--engine", deviant.address, *wanted)
    assert code == pytest.ExitCode.TESTS_FAILED, out
    for said in (
        f"engines: {deviant.address}",
        "> ",
        "A started container MUST run.\nSource: selftest",
        "slowest 1 durations",
        "stopping after 1 failures",
    ):
        assert said in out
    assert deviant.containers == {}
    assert not list(WORKSPACE_ROOT.glob(f"{FOLDER_PREFIX}*/external-*.json.new"))


def test_plain_run_writes_no_report(deviant, tmp_path):
    code, out = call(*PLAIN, ROWS, "--engine", deviant.address, "-k", "created", "-n", "1")
    assert (code, "1 passed" in out) == (0, True), out
    assert not (ROOT / "reports" / "engine.sock").exists()
    assert not list(tmp_path.glob("*.json"))


def run(deviant: Deviant, report: Path, *words: str) -> tuple[int, str, Any]:
    engine = ("--engine", deviant.address, "--report", report, "--behaviours", ROWS)
    code, out = call("-m", "conformance", "run", *engine, *words)
    path = report / "conformance.json"
    return code, out, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def test_words_after_two_hyphens_are_pytests(deviant, tmp_path):
    rows = ("self.creates", "self.runs", "self.runs-if-possible")
    code, out, document = run(deviant, tmp_path / "r", *rows, "--", "-x", "--tb=short")
    assert code == 1, out
    assert "FAILURES" in out
    # what `-x` kept from running is not in the report, and no error
    assert document["run"]["unfinished"] == "stopping after 1 failures"
    assert "stopping after 1 failures: 1 cell was not run" in out
    verdicts = {cell["behaviour"]: cell["verdict"] for cell in document["results"]}
    assert verdicts == {"self.creates": "pass", "self.runs": "FAIL"}


def test_a_choice_of_pytests_own_narrows_the_report(deviant, tmp_path):
    code, out, document = run(
        deviant, tmp_path / "r", "self", "--", "-k", "test_container_is_created"
    )
    assert code == 0, out
    assert [row["id"] for row in document["behaviours"]] == ["self.creates"]


def test_a_word_that_pytest_does_not_know_is_wrong_usage(deviant, tmp_path):
    code, out, document = run(deviant, tmp_path / "r", "self.creates", "--", "--nosuch")
    assert (code, document) == (3, None), out
    assert "Error: pytest does not take --nosuch" in out


def test_quiet_run_prints_what_is_red_and_the_scores(deviant, tmp_path):
    code, out, _ = run(deviant, tmp_path / "r", "-q", "self.creates", "self.runs")
    assert code == 1
    assert "✗" in out
    assert "self.creates" not in out
    assert "FAIL: self.runs on" in out
    assert out.rstrip().endswith("exit 1")
