"""Would the suite notice? A deviant engine, and the real command line run against it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.engines.managed import FOLDER_PREFIX, WORKSPACE_ROOT
from conformance.observe.poll import wait_until
from tests.selftest.deviant import Deviant

HERE = Path(__file__).parent


class Result:
    """What one run of the program printed, wrote and returned."""

    def __init__(self, done: subprocess.CompletedProcess[str], report: Path) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr
        self.report = report

    @property
    def document(self) -> Any:
        return json.loads((self.report / "conformance.json").read_text(encoding="utf-8"))

    def verdict(self, row: str) -> str:
        return next(r["verdict"] for r in self.document["results"] if r["behaviour"] == row)


@pytest.fixture
def expectations(tmp_path: Path) -> Path:
    folder = tmp_path / "expectations"
    folder.mkdir()
    return folder


@pytest.fixture
def suite(tmp_path: Path, expectations: Path):
    """Run the program on an engine with deviations: `suite("self.runs", "never-runs")`."""

    def run(row: str, *deviations: str, options: tuple[str, ...] = (), report: str = "r") -> Result:
        with Deviant(tmp_path / "engine.sock", *deviations) as engine:
            command = [sys.executable, "-m", "conformance", "run", row]
            command += ["--engine", engine.address, "--report", str(tmp_path / report)]
            command += ["--behaviours", str(HERE / "rows"), "--expectations", str(expectations)]
            done = subprocess.run(
                [*command, *options],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
                env={**os.environ, "NO_COLOR": "1"},
            )
        (tmp_path / "engine.sock").unlink()
        return Result(done, tmp_path / report)

    yield run
    # an engine that is gone for good keeps its record, for `clean`; this one never comes back
    for record in WORKSPACE_ROOT.glob(f"{FOLDER_PREFIX}*/external-*.json"):
        if str(tmp_path) in record.read_text(encoding="utf-8"):
            record.unlink()
            record.parent.rmdir()


def expect_known(folder: Path, row: str, at: str, values: tuple[str, ...] = ()) -> None:
    text = f'[["{row}"]]\nexpected = "fail"\nreason = "known here"\nevidence = "x"\n'
    text += f"fails_at = {json.dumps(at)}\nvalues = {json.dumps(values)}\n"
    (folder / "docker.toml").write_text(text + "since = 2026-11-24\n", encoding="utf-8")


def test_good_engine_is_green(suite):
    result = suite("self.runs")
    assert (result.code, result.verdict("self.runs")) == (0, "pass")
    assert result.out.rstrip().splitlines()[-3:] == [
        "                       core  contract  quirk",
        "docker-20.10-external     -       1/1      -",
        "exit 0",
    ]
    assert "could not be cleaned" not in result.err


def test_deviation_turns_the_row_red_and_says_what_was_expected(suite):
    result = suite("self.runs", "never-runs")
    assert (result.code, result.verdict("self.runs")) == (1, "FAIL")
    assert "statement: A started container MUST run." in result.out
    assert "Expected:  true" in result.out
    assert "Actual:    false" in result.out
    assert result.out.rstrip().endswith("  0/1      -  1 FAIL\nexit 1")


def test_refused_request_is_a_failure_of_the_engine(suite):
    result = suite("self.runs", "refuses-start")
    assert (result.code, result.verdict("self.runs")) == (1, "FAIL")
    assert "HTTP 500: driver failed" in result.out


def test_known_deviation_is_green(suite, expectations):
    expect_known(expectations, "self.runs", "whether it runs")
    result = suite("self.runs", "never-runs")
    assert (result.code, result.verdict("self.runs")) == (0, "known")


def test_deviation_at_another_assertion_is_news(suite, expectations):
    expect_known(expectations, "self.runs", "whether it sings")
    result = suite("self.runs", "never-runs")
    assert (result.code, result.verdict("self.runs")) == (1, "FAIL")
    assert "whether it runs (known to fail at: whether it sings)" in result.out


@pytest.mark.parametrize(
    ("values", "code", "verdict"), [(("two",), 0, "known"), ((), 1, "FIXED"), (("one",), 1, "FAIL")]
)
def test_one_value_of_a_row_may_be_known_to_fail(suite, expectations, values, code, verdict):
    expect_known(expectations, "self.each-value", "which value", values)
    result = suite("self.each-value")
    assert (result.code, result.verdict("self.each-value")) == (code, verdict)
    (cell,) = result.document["results"]
    assert cell["value"] == ("one" if verdict == "FIXED" else "two")
    assert (result.report / cell["log"] / "row.log").exists()
    assert cell["log"].endswith(f"self.each-value/{cell['value']}")


def test_unexpected_pass_is_red(suite, expectations):
    expect_known(expectations, "self.runs", "whether it runs")
    result = suite("self.runs")
    assert (result.code, result.verdict("self.runs")) == (1, "FIXED")
    assert "passed, though expected to fail: known here" in result.out


def test_unmet_should_is_not_red(suite):
    result = suite("self.runs-if-possible", "never-runs")
    assert (result.code, result.verdict("self.runs-if-possible")) == (0, "non-strict")


def test_error_of_the_harness_is_no_failure_and_no_expectation_covers_it(suite, expectations):
    expect_known(expectations, "self.broken-row", "KeyError in call")
    result = suite("self.broken-row")
    assert (result.code, result.verdict("self.broken-row")) == (2, "error")
    assert "KeyError in call" in result.out


def test_engine_that_dies_in_a_row_is_asked_once_and_not_by_every_later_row(suite):
    result = suite("self.runs", "falls-silent", options=("self.runs-if-possible",))
    assert result.code == 2
    assert [engine["name"] for engine in result.document["engines"]] == ["docker-20.10-external"]
    last = result.document["results"][-1]
    assert last["behaviour"] == "self.runs-if-possible"
    assert "does not answer any more, since self.runs" in last["reason"]


def test_leak_is_red_and_named(suite):
    result = suite("self.creates", "keeps-containers")
    assert (result.code, result.verdict("self.creates")) == (1, "FAIL")
    assert "left: container /netinit-" in result.out


@pytest.mark.parametrize(
    ("row", "verdict"), [("self.own-daemon", "unsupported"), ("self.later-release", "n/a")]
)
def test_nothing_executed_is_an_error(suite, row, verdict):
    result = suite(row)
    assert (result.code, result.verdict(row)) == (2, verdict)


def test_empty_selection_is_a_usage_error(suite):
    result = suite("self.nothing-like-it")
    assert result.code == 3
    assert "no behaviour is selected by: self.nothing-like-it" in result.err


def test_dead_engine_is_explained(tmp_path):
    command = [sys.executable, "-m", "conformance", "run", "--engine", f"unix://{tmp_path}/no"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert f"there is no socket at {tmp_path}/no" in done.stderr
    assert "systemctl start docker" in done.stderr


def test_diff_shows_the_changed_cell(suite, tmp_path):
    suite("self.runs", report="old")
    suite("self.runs", "never-runs", report="new")
    files = [str(tmp_path / name / "conformance.json") for name in ("old", "new")]
    command = [sys.executable, "-m", "conformance", "diff"]
    worse = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    better = subprocess.run([*command, *files[::-1]], capture_output=True, text=True, check=False)
    assert worse.returncode == 1
    assert "- docker-20.10-external  self.runs: pass -> FAIL\n1 of 1 cells differ" in worse.stdout
    assert better.returncode == 0
    assert "+ docker-20.10-external  self.runs: FAIL -> pass" in better.stdout


def test_junit_has_one_suite_per_engine_and_the_failure(suite):
    result = suite("self.runs", "never-runs")
    text = (result.report / "conformance.xml").read_text(encoding="utf-8")
    assert '<testsuite name="docker-20.10-external" tests="1" failures="1" errors="0"' in text
    assert "Expected: true" in text


def test_page_of_the_run_tells_the_failure_and_has_its_log(suite):
    result = suite("self.runs", "never-runs")
    page = (result.report / "conformance.html").read_text(encoding="utf-8")
    assert "docker-20.10-external: new failure" in page
    assert "BehaviourViolated" in page
    assert f'href="{result.document["results"][0]["log"]}/row.log"' in page


def test_red_cell_has_its_log(suite):
    result = suite("self.runs", "never-runs")
    cell = result.document["results"][0]
    assert "BehaviourViolated" in (result.report / cell["log"] / "row.log").read_text("utf-8")


def test_only_what_was_red_runs_again(suite, tmp_path):
    suite("self.*uns*", "never-runs", report="old")
    old = str(tmp_path / "old" / "conformance.json")
    again = suite("self", options=("--red-in", old), report="new")
    assert [cell["behaviour"] for cell in again.document["results"]] == ["self.runs"]
    assert again.code == 0
    new = str(tmp_path / "new" / "conformance.json")
    nothing = suite("self", options=("--red-in", new))
    assert (nothing.code, "nothing is red in" in nothing.err) == (3, True)


def start_slow_run(engine: Deviant, report: Path) -> subprocess.Popen[str]:
    """Start a run in a session of its own and wait until its row has made a container."""
    before = len(engine.containers)
    command = [sys.executable, "-m", "conformance", "run", "self.slow", "--engine", engine.address]
    process = subprocess.Popen(
        [*command, "--report", str(report), "--behaviours", str(HERE / "rows")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until("the row's container", lambda: len(engine.containers) > before, timeout_s=30)
    return process


def test_ctrl_c_leaves_nothing_and_still_reports(tmp_path):
    with Deviant(tmp_path / "engine.sock") as engine:
        process = start_slow_run(engine, tmp_path / "r")
        os.killpg(process.pid, signal.SIGINT)
        out = process.communicate(timeout=60)[0]
        assert engine.containers == {}
    assert process.returncode == 130
    assert "interrupted: 1 cell was not run" in out
    assert json.loads((tmp_path / "r" / "conformance.json").read_text("utf-8"))["results"] == []
    assert out.rstrip().endswith("exit 130")


def test_run_in_the_background_of_a_script_ends_on_sigterm_but_not_on_what_nohup_ignores(tmp_path):
    ignored = (signal.SIGINT, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]  # inherited by the run
    try:
        with Deviant(tmp_path / "engine.sock") as engine:
            process = start_slow_run(engine, tmp_path / "r")
            os.killpg(process.pid, signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=2)
            process.terminate()
            assert process.wait(timeout=12) == 130
            process.communicate()
            assert engine.containers == {}
    finally:
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)


def test_clean_removes_what_a_killed_run_left_on_the_engine(tmp_path):
    with Deviant(tmp_path / "engine.sock") as engine:
        engine.containers["f" * 64] = {"Name": "/theirs", "Config": {"Labels": {"their": "own"}}}
        process = start_slow_run(engine, tmp_path / "r")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        assert len(engine.containers) == 2
        command = [sys.executable, "-m", "conformance", "clean"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert list(engine.containers) == ["f" * 64]
    assert f"from {engine.address}" in done.stdout


def test_ascii_matrix_has_only_ascii(suite):
    matrix = suite("self.runs", "never-runs", options=("--ascii",)).out.partition("\n\n")[2]
    assert "X" in matrix
    assert matrix.isascii()
